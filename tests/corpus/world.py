"""The small world that the corpus and the rule tests speak of: keys, names, probes, a path. Every value is fixed."""

from __future__ import annotations

from dataclasses import replace

from monitor.model.address import Address, Domain
from monitor.model.facts import ProbePlanned
from monitor.model.instant import Instant
from monitor.model.mail import Carrier
from monitor.model.policy import Demand, HttpPath, KeyRing, Locale, MailIdentity, PathPolicy, Security, SigningKey, SmtpPath
from monitor.model.probe import Deadlines, MailboxName, PathName, ProbeId, Purpose, RefundStory, Route
from monitor.rules import compose, token
from monitor.rules.match import Context, Known
from monitor.rules.story import expectation, tell_story

KEYS = KeyRing((SigningKey(7, b"corpus key seven"), SigningKey(6, b"corpus key six")))
STRANGE_KEYS = KeyRing((SigningKey(7, b"not ours"),))
ENVIRONMENT, INSTANCE = "production", "one"
EVERY_CARRIER = (Carrier.HEADER, Carrier.PLUS_TAG, Carrier.MESSAGE_ID, Carrier.BODY, Carrier.REFUND_NUMBER)

BRITISH = Locale("en-GB", "GBP", "£{amount}")
GERMAN = Locale("de-DE", "EUR", "{amount}\u00a0€", ".", ",")
FRENCH = Locale("fr-FR", "EUR", "{amount}\u00a0€", "\u202f", ",")
SWISS = Locale("de-CH", "CHF", "CHF {amount}", "’", ".")
AMERICAN = Locale("en-US", "USD", "US${amount}")
SWEDISH = Locale("sv-SE", "SEK", "{amount} kr", " ", ",")
JAPANESE = Locale("ja-JP", "JPY", "¥{amount}")
LOCALES = (BRITISH, GERMAN, FRENCH, SWISS, AMERICAN, SWEDISH, JAPANESE)

ROUTE = Route(PathName("relay"), MailboxName("gmail-1"))
IDENTITY = MailIdentity(
    Address.parse("refunds@shop.example"), "Müller & Söhne, Online", Address.parse("bounce@mail.shop.example"), compose.built_in()
)
OPEN, CLOSED, UNKNOWN = ProbeId("0a1b2c3d4e5f"), ProbeId("00000000c105"), ProbeId("ffffffffffff")


def smtp_path(locales: tuple[Locale, ...] = (BRITISH,), identity: MailIdentity = IDENTITY, **changes: object) -> PathPolicy:
    via = SmtpPath("relay.example", 587, Security.STARTTLS, None, None, None, identity)
    path = PathPolicy(ROUTE.path, via, EVERY_CARRIER, locales, (), Demand(), 30.0, 60.0, 3600.0, 300.0, 300)
    return replace(path, **changes)  # type: ignore[arg-type]


def http_path(body: object, headers: dict[str, object] | None = None, **changes: object) -> PathPolicy:
    via = HttpPath("https://shop.example/refunds", "POST", headers or {}, body, (200,), None, None, None, False)  # type: ignore[arg-type]
    path = replace(smtp_path(), via=replace(via, **{k: v for k, v in changes.items() if hasattr(via, k)}))  # type: ignore[arg-type]
    return replace(path, **{k: v for k, v in changes.items() if not hasattr(via, k)})  # type: ignore[arg-type]


def planned(
    path: PathPolicy | None = None,
    story: RefundStory | None = None,
    probe: ProbeId = OPEN,
    route: Route = ROUTE,
    utc: float = 1_790_000_000.0,
) -> ProbePlanned:
    path = path or smtp_path()
    story = story or tell_story(path.locales, b"the corpus draws this")
    text = token.mint(KEYS, ENVIRONMENT, INSTANCE, probe, route, int(utc))
    return ProbePlanned(
        at=Instant(utc, 1000.0, "corpus"),
        probe=probe,
        route=route,
        purpose=Purpose.SCHEDULED,
        token=text,
        message_id=compose.message_id(text, Domain("shop.example")),
        envelope_sender=compose.envelope_sender(IDENTITY, probe),
        recipient=compose.recipient(Address.parse("seed@mailbox.example"), text, path.carriers, True),
        story=story,
        expectation=expectation(path, story),
        deadlines=Deadlines(60.0, 600.0, 1800.0, 2400.0),
        policy_hash="corpus",
    )


PLAN = planned()
KNOWN = {OPEN: Known(PLAN, open=True), CLOSED: Known(planned(probe=CLOSED), open=False)}
CONTEXT = Context(KEYS, ENVIRONMENT, INSTANCE, KNOWN.get, {"APP-778899": OPEN}, ("mx.mailbox.example",))
