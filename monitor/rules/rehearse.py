"""Are the templates of a path fit to be judged by? Sample probes are written and read back as a watcher would read them.

A template that does not print what the expectation demands would make every probe fail; one without its token carrier would make every
probe go missing. Both are found here, before anything is sent.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from monitor.model.address import Address, Domain
from monitor.model.facts import ProbePlanned
from monitor.model.instant import Instant
from monitor.model.mail import Carrier, Field
from monitor.model.policy import CommandPath, HttpPath, KeyRing, Locale, MailIdentity, PathPolicy, SigningKey, SmtpPath
from monitor.model.probe import Deadlines, MailboxName, ProbeId, Purpose, Route
from monitor.model.secret import SecretRef
from monitor.rules import amounts, token, visible
from monitor.rules.compose import VARIANTS, TemplateBroken, compose, envelope_sender, message_id, render, variables
from monitor.rules.reading import read
from monitor.rules.story import expectation, tell_story

_SEED = Address("seed", Domain("example.com"))
_KEYS = KeyRing((SigningKey(1, b"rehearsal"),))
_NEED = {  # what the request must hand over so that the application can write the carrier
    Carrier.HEADER: "token",
    Carrier.MESSAGE_ID: "token",
    Carrier.BODY: "token",
    Carrier.PLUS_TAG: "recipient",
    Carrier.REFUND_NUMBER: "refund_number",
}


KeyPath = tuple[str | int, ...]
_FILES = {"subject": "subject.txt", "text": "message.txt", "html": "message.html"}


@dataclass(frozen=True, slots=True)
class TemplateFault:
    """Where below the path's key in the configuration, what is wrong (with file and line of the template), and the mend."""

    key: KeyPath  # ("templates",), ("body", "customer", "email"), ("headers", "X-Shop")
    what: str
    mend: str


def rehearse(path: PathPolicy) -> tuple[TemplateFault, ...]:
    """The faults of the path's templates over all locales and wordings, each once."""
    faults: dict[TemplateFault, None] = {}
    for locale in path.locales:
        for variant in range(VARIANTS):
            plan = _sample(path, locale, variant)
            match path.via:
                case SmtpPath(identity=identity):
                    found = _mail_faults(plan, identity)
                case HttpPath() as http:
                    headers = {name: value for name, value in http.headers.items() if not isinstance(value, SecretRef)}
                    found = _request_faults(plan, "body", (*_leaves(("headers",), headers), *_leaves(("body",), http.body)), http.refund_id)
                case CommandPath() as command:
                    found = _request_faults(plan, "input", tuple(_leaves(("input",), command.input)), command.refund_id)
            faults.update(dict.fromkeys(found))
    return tuple(faults)


def _mail_faults(plan: ProbePlanned, identity: MailIdentity) -> Iterator[TemplateFault]:
    templates, shown = identity.templates, variables(plan, identity)
    sources = {"subject": templates.subject, "text": templates.text, "html": templates.html}
    broken = [fault for part, source in sources.items() if (fault := _broken(("templates",), source, shown, _FILES[part]))]
    if broken:
        yield from broken
        return
    reading = read(compose(plan, identity))
    if not reading.subject:
        yield TemplateFault(("templates",), "subject.txt prints nothing", "write a subject line")
    known = (dict(plan.expectation.fields)[Field.AMOUNT], *plan.expectation.allowed_amounts)
    html = visible.see(render(templates.html, shown, html=True))
    printed = {"subject": reading.subject, "text": reading.text or "", "html": reading.html or ""}
    for part, text in printed.items():
        for amount in amounts.others(text, known):
            what = f"{_FILES[part]} prints the amount {amount!r} beside {known[0]!r}"
            yield TemplateFault(("templates",), what, "list it under allowed_amounts if it is always the same, or take it out")
        if part == "subject":
            continue
        for field, value in plan.expectation.fields:
            if not (amounts.stands if field is Field.AMOUNT else visible.shows)(text, value):
                what = f"{_FILES[part]} does not show the {field.value} as a word of its own"
                yield TemplateFault(("templates",), what, f"print {{{{ {field.value} }}}}")
        if Carrier.BODY in plan.expectation.carriers and plan.token not in (text if part == "text" else f"{text}\n{html.hidden}"):
            what = f"{_FILES[part]} does not print its token carrier `body`"
            yield TemplateFault(("templates",), what, "print {{ token }}, hidden or small, or drop the carrier")
        if Carrier.REFUND_NUMBER in plan.expectation.carriers and not visible.shows(text, plan.story.refund_number):
            what = f"{_FILES[part]} does not print its token carrier `refund_number`"
            yield TemplateFault(("templates",), what, "print {{ refund_number }}, or drop the carrier")


def _request_faults(
    plan: ProbePlanned, main: str, sources: Iterable[tuple[KeyPath, str]], refund_id: str | None
) -> Iterator[TemplateFault]:
    """`sources`: all that the application is given, by key; `main`: the key whose value a mend belongs in."""
    shown = variables(plan)
    sent = []
    for key, source in sources:
        if fault := _broken(key, source, shown):
            yield fault
        else:
            sent.append(render(source, shown))
    learns = refund_id is not None  # the number that the application assigns comes back with its answer
    for carrier in plan.expectation.carriers:
        need = _NEED[carrier]
        if (carrier is Carrier.REFUND_NUMBER and learns) or any(str(shown[need]) in text for text in sent):
            continue
        what = f"the application is never given {{{{ {need} }}}}, so the carrier `{carrier.value}` cannot survive"
        where = "the body or a header" if main == "body" else main
        yield TemplateFault((main,), what, f"put {{{{ {need} }}}} into {where}, or drop the carrier")
    if not plan.expectation.carriers and not learns:
        yield TemplateFault(("carriers",), "no probe of this path could be told from other mail", "declare a carrier, or set refund_id")


def _broken(key: KeyPath, source: str, shown: dict[str, object], file: str = "") -> TemplateFault | None:
    try:
        render(source, shown, html=file.endswith(".html"))
    except TemplateBroken as broken:
        line = f"{file or 'template'} line {broken.line}: " if broken.line else f"{file}: " if file else ""
        return TemplateFault(key, f"{line}{broken.what}", f"a template may print {', '.join(sorted(shown))}")
    return None


def _leaves(key: KeyPath, value: object) -> Iterator[tuple[KeyPath, str]]:
    """The string leaves of a JSON value with their key paths."""
    match value:
        case str():
            yield key, value
        case dict():
            for name, inner in value.items():
                yield from _leaves((*key, name), inner)
        case list() | tuple():
            for index, inner in enumerate(value):
                yield from _leaves((*key, index), inner)


def _sample(path: PathPolicy, locale: Locale, variant: int) -> ProbePlanned:
    story = tell_story((locale,), hashlib.sha256(f"rehearsal {locale.tag} {variant}".encode()).digest())
    probe, route = ProbeId(f"{variant:012x}"), Route(path.name, MailboxName("rehearsal"))
    text = token.mint(_KEYS, "rehearsal", "rehearsal", probe, route, 0)
    identity = path.via.identity if isinstance(path.via, SmtpPath) else None
    return ProbePlanned(
        at=Instant(0.0, 0.0, "rehearsal"),
        probe=probe,
        route=route,
        purpose=Purpose.CLI,
        token=text,
        message_id=message_id(text, identity.author.domain if identity else _SEED.domain),
        envelope_sender=envelope_sender(identity, probe) if identity else _SEED,
        recipient=_SEED.tagged(text) if Carrier.PLUS_TAG in path.carriers else _SEED,
        story=story,
        expectation=expectation(path, story),
        deadlines=Deadlines(0.0, 0.0, 0.0, 0.0),
        policy_hash="",
    )
