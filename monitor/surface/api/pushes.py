"""POST /v1/refunds and /v1/confirmations: the shop says which there were."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from aiohttp import web

from monitor.desk import Desk
from monitor.model.instant import Instant
from monitor.model.ledger import Confirmation, Refund, RowFault, Side, Table, Taken, Taking
from monitor.model.sources import COMPLETE, PushSource, SourcePolicy
from monitor.ports import Ledger, LedgerUnreadable
from monitor.rules.plain import plain
from monitor.rules.reconcile import Knowledge, Known, read
from monitor.surface.api.bodies import Pushed
from monitor.surface.api.limits import MOST_PUSHED, MOST_PUSHES, PUSHED_BYTES
from monitor.surface.api.replies import BODY_WITHIN
from monitor.surface.ledger import Row, iso

AHEAD = 60.0  # seconds that the shop's clock may be ahead of ours
AGAIN = 5  # seconds after which it is worth asking again while the store cannot be used
MOST_COLUMNS = 200  # names of fields in one request
AT_ONCE = 1_000  # rows that the rule is given: of so many it names every fault
NAMED = 3  # faults that a refusal repeats
MOST_SHOWN = 100  # faults that an answer spells out
MAX_KEY = 40  # characters of an unknown key that are repeated
_SETS = re.compile(r"\b(?:set|leave) `")  # mends that are of the configuration
_NO_OBJECT = ("is no object", "send each row as {...}")
SMALLER = f"send at most {MOST_PUSHED} rows and {PUSHED_BYTES >> 20} MiB, the rest in another request; a row may come twice"


class Written(str):
    """A number of JSON that has a point, as it is written: money goes through no binary fraction, and the point is its decimal mark
    whatever the one of texts is."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class _Read:
    """`refused`: rows that could not be taken; one fault may be about all of them."""

    records: Sequence[Refund] | Sequence[Confirmation]
    faults: tuple[RowFault, ...]
    dropped: int
    refused: int

    @property
    def nothing(self) -> bool:
        return bool(self.refused) and not self.records and not self.dropped


@dataclass(slots=True)
class Pushes:
    """One push at a time is read and kept, in the order in which they came; a few more may be sending their bodies meanwhile."""

    desk: Desk
    ledger: Ledger | None
    nudge: Callable[[], None]
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    under_way: int = 0
    _known: Knowledge = field(default_factory=Knowledge)

    async def refunds(self, request: web.Request) -> web.Response:
        return await self._bounded(request, Side.REFUNDS)

    async def confirmations(self, request: web.Request) -> web.Response:
        return await self._bounded(request, Side.CONFIRMATIONS)

    async def _bounded(self, request: web.Request, side: Side) -> web.Response:
        if self.under_way >= MOST_PUSHES:
            raise web.HTTPServiceUnavailable(text=f"{MOST_PUSHES} other pushes are under way; ask again", headers={"Retry-After": "1"})
        self.under_way += 1
        try:
            return await self._push(request, side)
        finally:
            self.under_way -= 1

    async def _push(self, request: web.Request, side: Side) -> web.Response:
        text = await _body(request)
        async with self.turn:
            rows, said = await asyncio.to_thread(_parsed, text, side)
            lines = _lines(rows, said.lines)
            ledger, source = self._source(side, said.source)
            now = self.desk.clock.now()
            until = _until(said.complete_until, now, source.lag)
            known = self._known.now(self.desk.policy, self.desk.world.ledger)
            reading = await asyncio.to_thread(_read, rows, lines, source, known, now.utc)
            if reading.nothing or (said.complete_until is None and await _has_said(ledger, source)):
                until = None
            taking = Taking(
                source=source.name,
                side=side,
                origin=plain(said.origin) or f"pushed {now.iso()[:16]}Z",
                records=reading.records,
                at=now.utc,
                faults=reading.faults,
                dropped=reading.dropped,
                position=COMPLETE if said.complete_until is not None and not reading.nothing else None,
                read_until=None if until is None else until + source.lag,  # of which the lag is taken off again
            )
            try:
                taken = await ledger.take(taking)
            except LedgerUnreadable as error:
                raise unreadable(error) from None
        self.nudge()
        answer = _answer(source, reading, taken, until, lines)
        if not reading.nothing:
            return web.json_response(answer)
        why = "no row was taken: " + "; ".join(_worded(fault, said.origin) for fault in reading.faults[:NAMED])
        return web.json_response({"error": "Unprocessable Entity", "reason": why, **answer}, status=422)

    def _source(self, side: Side, name: str) -> tuple[Ledger, SourcePolicy]:
        ledger = configured(self.desk, self.ledger)
        sources = {source.name: source for source in self.desk.policy.ledger.of(side) if isinstance(source.via, PushSource)}
        if not sources:
            why = f"no source of {side.value} takes pushes; write ledger.{side.value}: {{shop: {{kind: push}}}}"
            raise web.HTTPConflict(text=why)
        if not name and len(sources) == 1:
            return ledger, next(iter(sources.values()))
        if name not in sources:
            what = f"{plain(name)} takes no {side.value}" if name else "which source they are of is not said"
            raise web.HTTPConflict(text=f"source: {what}; name one of {', '.join(sources)}")
        return ledger, sources[name]


def configured(desk: Desk, ledger: Ledger | None) -> Ledger:
    if ledger is None or not desk.policy.ledger.enabled:
        raise web.HTTPConflict(text="no ledger is configured; name its sources under ledger.refunds and ledger.confirmations")
    return ledger


def unreadable(error: LedgerUnreadable) -> web.HTTPException:
    return web.HTTPServiceUnavailable(text=str(error), headers={"Retry-After": str(AGAIN)})


async def _body(request: web.Request) -> bytes:
    if request.content_type != "application/json":  # a page of another site can post anything else to a loopback port
        raise web.HTTPUnsupportedMediaType(text="send application/json")
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await request.clone(client_max_size=PUSHED_BYTES).read()
    except TimeoutError:
        raise web.HTTPRequestTimeout(text=f"the body did not come within {BODY_WITHIN:.0f} s") from None
    except web.HTTPRequestEntityTooLarge:
        raise _too_much(f"more than {PUSHED_BYTES >> 20} MiB") from None


def _parsed(text: bytes, side: Side) -> tuple[list[object], Pushed]:
    """The rows, and what is said beside them."""
    try:
        said = json.loads(text, parse_float=Written, parse_constant=_no_number)
    except (ValueError, RecursionError):  # no JSON or no UTF-8, a number of a thousand digits, nested beyond reason
        raise web.HTTPBadRequest(text="the body is not JSON") from None
    rows = said.pop(side.value, None) if isinstance(said, dict) else None
    if not isinstance(rows, list):
        raise web.HTTPBadRequest(text=f'send an object with a list of rows: {{"{side.value}": [...]}}')
    if len(rows) > MOST_PUSHED:
        raise _too_much(f"{len(rows)} rows")
    known = (side.value, *Pushed.model_fields)
    if strange := [name for name in said if name not in known]:
        what = ", ".join(plain(name[:MAX_KEY]) for name in strange[:NAMED])
        raise web.HTTPBadRequest(text=f"{what}: no such key in the body; the keys are {', '.join(known)}")
    return rows, Pushed.model_validate(said)


def _no_number(word: str) -> object:
    raise ValueError(word)


def _too_much(what: str) -> web.HTTPException:
    return web.HTTPRequestEntityTooLarge(PUSHED_BYTES, text=f"{what} at once; {SMALLER}")


def _lines(rows: Sequence[object], said: Sequence[int] | None) -> Sequence[int]:
    """On which line each row stands; as they stand in the batch where it does not say so."""
    if said is None:
        return range(1, len(rows) + 1)
    if len(said) != len(rows):
        raise web.HTTPBadRequest(text=f"lines: has {len(said)} numbers for {len(rows)} rows; name the line of each row, or leave it out")
    return said


def _read(rows: Sequence[object], lines: Sequence[int], source: SourcePolicy, known: Known, now: float) -> _Read:
    """Under the names of all fields that any row has; what a row leaves out is not known. A row that is no object is a fault."""
    columns = tuple(dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row))
    if len(columns) > MOST_COLUMNS:
        raise web.HTTPBadRequest(text=f"the rows have {len(columns)} different fields, at most {MOST_COLUMNS}; send those that are needed")
    faults = [RowFault(line, *_NO_OBJECT) for line, row in zip(lines, rows, strict=True) if not isinstance(row, dict)]
    cut = [(line, [row.get(name) for name in columns]) for line, row in zip(lines, rows, strict=True) if isinstance(row, dict)]
    records: list[Refund | Confirmation] = []
    dropped = 0
    for start in range(0, len(cut), AT_ONCE):
        some = cut[start : start + AT_ONCE]
        reading = read(source, known, Table(columns, [row for _, row in some], [line for line, _ in some]), "", now)
        placed = [replace(fault, mend=_placed(fault.mend, source)) for fault in reading.faults]
        if _is_about_all(placed):
            return _Read((), (*faults, *(replace(fault, line=0) for fault in placed)), 0, len(rows))
        records += reading.records
        faults += placed
        dropped += reading.dropped
    return _Read(cast(Sequence[Refund] | Sequence[Confirmation], records), tuple(faults), dropped, len(faults))


def _placed(mend: str, source: SourcePolicy) -> str:
    """A mend that sets something says where."""
    if not _SETS.search(mend):
        return mend
    return f"{mend}, under ledger.{source.side.value}.{source.name} in the daemon's configuration, then reload"


def _is_about_all(faults: Sequence[RowFault]) -> bool:
    """A fault of a row names its field; that a field is missing everywhere, or there twice, is one fault that names none."""
    return len(faults) == 1 and not faults[0].column


async def _has_said(ledger: Ledger, source: SourcePolicy) -> bool:
    """Whether a batch has ever said until when it is complete: then one that does not, an old file for example, says nothing of it."""
    try:
        return (await ledger.reached(source.name))[0] == COMPLETE
    except LedgerUnreadable as error:
        raise unreadable(error) from None


def _until(complete_until: float | None, now: Instant, lag: float) -> float | None:
    """Up to when all has come by this push: as it says itself, or as late as this source may tell."""
    if complete_until is None:
        return now.utc - lag
    if complete_until - now.utc > AHEAD:
        raise web.HTTPBadRequest(
            text=f"complete_until: {iso(complete_until)} has not come yet, the monitor's clock says {now.iso()}; "
            "name a time up to which all has been sent, or leave it out"
        )
    return min(complete_until, now.utc)


def _answer(source: SourcePolicy, reading: _Read, taken: Taken, until: float | None, lines: Sequence[int]) -> Row:
    told = (*reading.faults, *taken.conflicts)
    rows = {line: row for row, line in reversed([*enumerate(lines, start=1)])}
    return {
        "source": source.name,
        "taken": taken.new,
        "known": taken.known,
        "changed": taken.changed,
        "dropped_probes": reading.dropped,
        "refused": reading.refused,
        "conflicts": len(taken.conflicts),
        "faults": [
            {
                "row": rows.get(fault.line, 0),
                "line": fault.line,
                "column": plain(fault.column),
                "what": plain(fault.what),
                "mend": plain(fault.mend),
            }
            for fault in told[:MOST_SHOWN]
        ],
        "more_faults": max(0, len(told) - MOST_SHOWN),
        "read_until": iso(until),
    }


def _worded(fault: RowFault, origin: str) -> str:
    where = f"{origin}, line {fault.line}: " if origin and fault.line else f"row {fault.line}: " if fault.line else ""
    return plain(f"{where}{fault.what}" + (f"; {fault.mend}" if fault.mend else ""))
