"""What is said to an SMTP or IMAP server to see how far it lets us: never a login, never a message."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

from monitor.edge.reply import clean
from monitor.edge.transport.line import Line, Stopped

MAX_LINES = 200  # of one reply
MAX_RECIPIENTS = 10
_CODE = re.compile(r"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.DOTALL)
_RECIPIENT = re.compile(r"[!-;=?-~]{1,254}\Z")  # printable ASCII without the angle brackets
_SENDS_PASSWORD = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a server offers. `plain_auth`: mechanisms that send the password itself."""

    tls: bool
    plain_auth: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Received:
    """`refused` for good (5xx), `deferred` until later: (recipient, reply)."""

    refused: tuple[tuple[str, str], ...] = ()
    deferred: tuple[tuple[str, str], ...] = ()


class Dialogue(Protocol):
    """One protocol over one line. All methods raise Stopped."""

    line: Line

    async def greeting(self) -> None: ...

    async def capabilities(self) -> Capabilities: ...

    async def start_tls(self) -> None: ...

    async def received(self, recipients: tuple[str, ...]) -> Received: ...

    async def injected(self) -> None:
        """Ask for TLS with a harmless command behind it in the same segment, which belongs to nobody once TLS begins (CVE-2011-0411)."""
        ...

    async def obeyed(self) -> bool:
        """Inside TLS: whether that command was kept and is answered now."""
        ...


@dataclass(slots=True)
class SmtpDialogue:
    """RFC 5321, 3207."""

    line: Line

    async def greeting(self) -> None:
        code, text = await self._reply()
        if code != 220:
            raise Stopped(f"the server greets with {code}", transient=code // 100 == 4, reply=text)

    async def capabilities(self) -> Capabilities:
        text = await self._command(f"EHLO {self.line.our_address}", "EHLO")
        words = [line.upper().replace("=", " ", 1).split() for line in text.split("\n")[1:]]
        auth = {word for offer in words if offer[:1] == ["AUTH"] for word in offer[1:]}
        return Capabilities(["STARTTLS"] in [offer[:1] for offer in words], tuple(word for word in _SENDS_PASSWORD if word in auth))

    async def start_tls(self) -> None:
        await self._command("STARTTLS", "STARTTLS", 220)

    async def received(self, recipients: tuple[str, ...]) -> Received:
        refused: list[tuple[str, str]] = []
        deferred = [(recipient, "not tried: no plain ASCII address") for recipient in recipients if not _RECIPIENT.match(recipient)]
        self.line.send("MAIL FROM:<>")
        code, text = await self._reply()
        for recipient in [recipient for recipient in recipients if _RECIPIENT.match(recipient)][:MAX_RECIPIENTS]:
            if code // 100 == 2:
                self.line.send(f"RCPT TO:<{recipient}>")
                answer, said = await self._reply()
            else:
                answer, said = code, f"MAIL FROM:<> was answered {text}"
            if answer // 100 == 5:
                refused.append((recipient, said))
            elif answer // 100 != 2:
                deferred.append((recipient, said))
        self.line.send("RSET")
        await self._reply()
        return Received(tuple(refused), tuple(deferred))

    async def injected(self) -> None:
        await self._command("STARTTLS\r\nNOOP", "STARTTLS", 220)

    async def obeyed(self) -> bool:
        self.line.send(f"EHLO {self.line.our_address}")
        self.line.send("QUIT")
        for number in range(4):
            code, _ = await self._reply()
            if code == 221:
                return number > 1
        return True

    async def _command(self, command: str, name: str, good: int = 250) -> str:
        self.line.send(command)
        code, text = await self._reply()
        if code != good:
            raise Stopped(f"{name} is answered {code}", transient=code // 100 == 4, reply=text)
        return text

    async def _reply(self) -> tuple[int, str]:
        """(code, the reply with its codes, a line each)."""
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            line = await self.line.line()
            found = _CODE.match(line)
            if found is None:
                raise Stopped("the server does not speak SMTP", reply=clean(line))
            lines.append(clean(found[3] or ""))
            if found[2] != "-":
                text = "\n".join(lines)
                return int(found[1]), f"{found[1]} {text}"
        raise Stopped(f"a reply of more than {MAX_LINES} lines")


@dataclass(slots=True)
class ImapDialogue:
    """RFC 3501, up to the login that is never tried."""

    line: Line
    number: int = 0

    async def greeting(self) -> None:
        said = await self.line.line()
        word = said[2:].split(" ", 1)[0].upper() if said.startswith("* ") else ""
        if word not in ("OK", "PREAUTH"):
            failed = "the server greets with BYE" if word == "BYE" else "the server does not speak IMAP"
            raise Stopped(failed, transient=word == "BYE", reply=clean(said))

    async def capabilities(self) -> Capabilities:
        found: set[str] = set()
        for said in await self._command("CAPABILITY"):
            if said.upper().startswith("* CAPABILITY "):
                found |= set(said.upper().split()[2:])
        open_login = "LOGIN" if "LOGINDISABLED" not in found else ""
        plain = {open_login, *(word.removeprefix("AUTH=") for word in found if word.startswith("AUTH="))}
        return Capabilities("STARTTLS" in found, tuple(word for word in _SENDS_PASSWORD if word in plain))

    async def start_tls(self) -> None:
        await self._command("STARTTLS")

    async def received(self, recipients: tuple[str, ...]) -> Received:
        return Received()

    async def injected(self) -> None:
        await self._command("STARTTLS\r\ninjected NOOP")

    async def obeyed(self) -> bool:
        return any(said.startswith("injected ") for said in await self._command("CAPABILITY"))

    async def _command(self, command: str) -> list[str]:
        """The untagged lines before a tagged OK."""
        self.number += 1
        tag = f"look{self.number} "
        self.line.send(tag + command)
        lines: list[str] = []
        while len(lines) < MAX_LINES:
            said = await self.line.line()
            if said.startswith(tag):
                if not said[len(tag) :].upper().startswith("OK"):
                    raise Stopped(f"{command.split(maxsplit=1)[0]} is answered {said[len(tag) :].split(' ', 1)[0]}", reply=clean(said))
                return lines
            if said.upper().startswith("* BYE"):
                raise Stopped("the server says BYE", transient=True, reply=clean(said))
            lines.append(said)
        raise Stopped(f"a reply of more than {MAX_LINES} lines", reply=clean(lines[-1]))
