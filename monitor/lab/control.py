"""The lab's control API on loopback, for tests and demos that live in another process, and its client."""

import base64
import binascii
from dataclasses import fields
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Self

import aiohttp
from aiohttp import web

from monitor.lab.dns import Trouble
from monitor.lab.faults import Fault, FaultState, Scope
from monitor.lab.store import StoreFull, UnknownMailbox

if TYPE_CHECKING:
    from monitor.lab.world import Lab

MAX_BODY = 90 << 20  # a raw message of 64 MiB in base64
MAX_PAGE = 10_000  # accepted recipients or messages in one answer
CLIENT_SECONDS = 30.0

_PARAMS = {field.name for field in fields(FaultState)} - {"fault", "scope"}


def control_application(lab: "Lab") -> web.Application:
    """The HTTP application that steers one lab."""
    return _Control(lab).application()


class _Control:
    def __init__(self, lab: "Lab") -> None:
        self._lab = lab

    def application(self) -> web.Application:
        app = web.Application(client_max_size=MAX_BODY, middlewares=[_explain])
        app.add_routes(
            [
                web.get("/describe", self._describe),
                web.get("/faults", self._list_faults),
                web.post("/faults", self._switch),
                web.delete("/faults", self._clear),
                web.post("/deploy", self._deploy),
                web.get("/accepted", self._accepted),
                web.get("/mailboxes/{address}", self._mailbox),
                web.post("/deliver", self._deliver),
                web.post("/release", self._release),
                web.post("/imap", self._imap),
                web.post("/dns", self._dns),
            ]
        )
        return app

    async def _describe(self, request: web.Request) -> web.Response:
        return web.json_response(self._lab.description.as_json())

    async def _list_faults(self, request: web.Request) -> web.Response:
        return web.json_response([state.as_json() for state in self._lab.faults.active])

    async def _switch(self, request: web.Request) -> web.Response:
        body = await _object(request)
        fault = Fault(body["fault"])
        scope = Scope(**body.get("scope") or {})
        params = body.get("params") or {}
        if unknown := set(params) - _PARAMS:
            raise ValueError(f"unknown parameters: {', '.join(sorted(unknown))}")
        if body.get("on", True):
            await self._lab.switch_on(fault, scope, **params)
        else:
            await self._lab.switch_off(fault, scope if body.get("scope") else None)
        return await self._list_faults(request)

    async def _clear(self, request: web.Request) -> web.Response:
        await self._lab.clear_faults()
        return await self._list_faults(request)

    async def _deploy(self, request: web.Request) -> web.Response:
        body = await _object(request)
        self._lab.deploy(body["version"])
        return web.json_response({"version": self._lab.shop.version.value})

    async def _accepted(self, request: web.Request) -> web.Response:
        relay = self._lab.relay
        after = int(request.query.get("after", "0"))
        found = [entry.as_json() for entry in relay.accepted if entry.number > after]
        return web.json_response(
            {
                "messages": relay.messages_accepted,
                "recipients": relay.recipients_accepted,
                "held": relay.held,
                "accepted": found[:MAX_PAGE],
            }
        )

    async def _mailbox(self, request: web.Request) -> web.Response:
        account = self._lab.store.resolve(request.match_info["address"])
        shown = {}
        for folder in account.folders.values():
            if folder.selectable:
                shown[folder.name] = {
                    "uidvalidity": folder.uidvalidity,
                    "count": len(folder.messages),
                    "messages": [
                        {
                            "uid": message.uid,
                            "flags": sorted(message.flags),
                            "size": len(message.raw),
                            "internaldate": message.internaldate.isoformat(),
                            "header": message.header[:16_384].decode("utf-8", "replace"),
                        }
                        for message in folder.messages[-MAX_PAGE:]
                    ],
                }
        return web.json_response({"address": account.address, "folders": shown})

    async def _deliver(self, request: web.Request) -> web.Response:
        body = await _object(request)
        store = self._lab.store
        folder = store.resolve(body["address"]).folder(body.get("folder", "INBOX"))
        if folder is None or not folder.selectable:
            raise ValueError("no such folder")
        message = store.append(folder, base64.b64decode(body["raw"], validate=True), flags=body.get("flags", ()))
        return web.json_response({"uid": message.uid})

    async def _release(self, request: web.Request) -> web.Response:
        return web.json_response({"released": self._lab.relay.release()})

    async def _imap(self, request: web.Request) -> web.Response:
        """Stop or start one provider's IMAP service: the fault imap_down, under a name that reads well."""
        body = await _object(request)
        scope = Scope(provider=body["provider"])
        if body["up"]:
            await self._lab.switch_off(Fault.IMAP_DOWN, scope)
        else:
            await self._lab.switch_on(Fault.IMAP_DOWN, scope)
        return await self._list_faults(request)

    async def _dns(self, request: web.Request) -> web.Response:
        """Replace a zone ({origin, zone}), set or clear the trouble of a name ({name, trouble|null}), replace the records of a type, or
        drop them ({name, type, records: [...]}), or restore a name's records, or all that were changed ({restore: name|""})."""
        body = await _object(request)
        if "origin" in body:
            self._lab.dns.set_zone(body["origin"], body["zone"])
        if "restore" in body:
            self._lab.dns.restore_records(str(body["restore"]))
        if "type" in body:
            self._change(str(body["name"]), str(body["type"]), [str(record) for record in body["records"]])
        elif "name" in body:
            name = str(body["name"]).lower().rstrip(".")
            if body.get("trouble") is None:
                self._lab.dns.troubles.pop(name, None)
            else:
                self._lab.dns.troubles[name] = Trouble(body["trouble"])
        return web.json_response({name: trouble.value for name, trouble in self._lab.dns.troubles.items()})

    def _change(self, name: str, rtype: str, records: list[str]) -> None:
        if records:
            self._lab.dns.replace_record(name, rtype, *records)
        else:
            self._lab.dns.drop_record(name, rtype)


async def _object(request: web.Request) -> dict[str, Any]:
    body = await request.json()
    if not isinstance(body, dict):
        raise TypeError("a JSON object is expected")
    return body


@web.middleware
async def _explain(request: web.Request, handler: Any) -> web.StreamResponse:
    """Wrong requests are told what is wrong with them."""
    try:
        answer: web.StreamResponse = await handler(request)
    except UnknownMailbox as error:
        return web.json_response({"error": f"no such mailbox: {error}"}, status=404)
    except StoreFull as error:
        return web.json_response({"error": f"mailbox full: {error}"}, status=507)
    except (KeyError, TypeError, ValueError, JSONDecodeError, binascii.Error) as error:
        return web.json_response({"error": f"{type(error).__name__}: {error}"}, status=400)
    return answer


class LabRefused(Exception):
    """The control API refused a request; the text says why."""


class LabClient:
    """Steers a lab in another process: `async with LabClient(control_url) as lab:`."""

    def __init__(self, control_url: str) -> None:
        self._url = control_url
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=CLIENT_SECONDS))
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        assert self._session is not None, "use LabClient as a context manager"
        async with self._session.request(method, self._url + path, json=body) as answer:
            found = await answer.json()
            if answer.status >= 400:
                raise LabRefused(found["error"])
            return found

    async def describe(self) -> dict[str, Any]:
        """Where everything is; the shape of LabDescription."""
        return dict(await self._ask("GET", "/describe"))

    async def switch_on(self, fault: Fault | str, scope: Scope | None = None, **params: Any) -> None:
        """Switch a fault on; when this returns, it is in force."""
        await self._switch(fault, scope, on=True, params=params)

    async def switch_off(self, fault: Fault | str, scope: Scope | None = None) -> None:
        """Switch a fault off, in one scope or in all."""
        await self._switch(fault, scope, on=False, params={})

    async def _switch(self, fault: Fault | str, scope: Scope | None, *, on: bool, params: dict[str, Any]) -> None:
        where = None
        if scope is not None:
            where = {"provider": scope.provider, "mailbox": scope.mailbox, "path": scope.path}
        await self._ask("POST", "/faults", {"fault": Fault(fault).value, "on": on, "scope": where, "params": params})

    async def faults(self) -> list[dict[str, Any]]:
        """All faults that are on."""
        return list(await self._ask("GET", "/faults"))

    async def clear_faults(self) -> None:
        """Switch everything off."""
        await self._ask("DELETE", "/faults")

    async def deploy(self, version: str) -> None:
        """Put a version of the shop live."""
        await self._ask("POST", "/deploy", {"version": version})

    async def accepted(self, after: int = 0) -> dict[str, Any]:
        """{messages, recipients, held, accepted: [...]}; the list begins after that number, up to MAX_PAGE entries."""
        return dict(await self._ask("GET", f"/accepted?after={after}"))

    async def mailbox(self, address: str) -> dict[str, Any]:
        """{address, folders: {name: {uidvalidity, count, messages: [{uid, flags, size, internaldate, header}]}}}."""
        return dict(await self._ask("GET", f"/mailboxes/{address}"))

    async def deliver(self, address: str, raw: bytes, folder: str = "INBOX", flags: tuple[str, ...] = ()) -> int:
        """Put a raw message straight into a folder; returns its UID."""
        body = {"address": address, "raw": base64.b64encode(raw).decode("ascii"), "folder": folder, "flags": flags}
        return int((await self._ask("POST", "/deliver", body))["uid"])

    async def release(self) -> int:
        """Deliver what is held, the fault staying on; returns how many."""
        return int((await self._ask("POST", "/release"))["released"])

    async def stop_imap(self, provider: str) -> None:
        """Take one provider's IMAP service down."""
        await self._ask("POST", "/imap", {"provider": provider, "up": False})

    async def start_imap(self, provider: str) -> None:
        """Bring it back on the same ports."""
        await self._ask("POST", "/imap", {"provider": provider, "up": True})

    async def set_zone(self, origin: str, zone: str) -> None:
        """Replace a DNS zone."""
        await self._ask("POST", "/dns", {"origin": origin, "zone": zone})

    async def set_records(self, name: str, rtype: str, *records: str) -> None:
        """Replace the records of a type at a name, as in a zone file; none: they are gone."""
        await self._ask("POST", "/dns", {"name": name, "type": rtype, "records": records})

    async def restore_records(self, name: str = "") -> None:
        """Undo that, at one name or everywhere."""
        await self._ask("POST", "/dns", {"restore": name})

    async def trouble(self, name: str, trouble: str | None) -> None:
        """Make a DNS name drop, servfail, refused or tc; None heals it."""
        await self._ask("POST", "/dns", {"name": name, "trouble": trouble})
