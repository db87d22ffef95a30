"""What the person who is woken reads, one notice for each symptom: notices/<symptom>.txt, to the letter. `python -m
tests.rules.test_notice_of_each_symptom` writes them anew; read what it changed."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Status
from monitor.model.facts import Deferred, DeployMarked, Reconciled, SourceBlind, Transition, WatchBlind, ZoneObserved
from monitor.model.incident import (
    EVERYWHERE,
    THE_LEDGER,
    DeployPhase,
    Diagnosis,
    IncidentId,
    Layer,
    Phase,
    Scope,
    ScopeKind,
    Severity,
    Tally,
)
from monitor.model.inspection import Cause
from monitor.model.ledger import ClassStanding, Flow, Impact, Side, Standing, Volume
from monitor.model.mail import BlindCause
from monitor.model.money import Money
from monitor.model.notice import Call, Notice
from monitor.model.policy import Policy
from monitor.model.submission import Reply, Step
from monitor.model.verdict import Reason, Symptom
from monitor.rules import deploys
from monitor.rules.diagnose import diagnose
from monitor.rules.diagnose.layer import parsed
from monitor.rules.diagnose.pattern import observe
from monitor.rules.incident.layout import severity
from monitor.rules.notice import render
from monitor.views.ledger import CLASS_OF_SYMPTOM
from tests.rules.test_diagnose import (
    APP,
    BARE,
    BOXES,
    GMAIL,
    HTTP,
    MISSING,
    NOW,
    OK,
    OUTLOOK,
    SINCE,
    SMTP,
    WEB,
    Scene,
    accepted,
    all_fail,
    app_fails,
    configured,
    misconfigured,
    one_mailbox,
    one_provider,
    parked,
    refused,
    returned,
)
from tests.rules.test_incident_ledger import Books
from tests.views.life import NOON, at

NOTICES = Path(__file__).parent / "notices"
SHOP = "shop.test"
S, R = Symptom, Reason
PATH, GMAIL_ALONE, ONE_BOX = Scope(ScopeKind.PATH, APP), Scope(ScopeKind.PROVIDER, "gmail"), Scope(ScopeKind.MAILBOX, "gmail-1")
TRIPWIRE, DOMAIN = Scope(ScopeKind.MAILBOX, "trip"), Scope(ScopeKind.DOMAIN, SHOP)
MONEY = (Money(Decimal("1204.50"), "EUR"),)
IMPACT = Impact(NOON, NOON + 590, 31, 30, 8, 23, MONEY)

WRONG = Impact(NOON, NOON + 590, 31, 30, 31, wrong=4, wrong_customers=3, wrong_money=MONEY)


def overdue(scene: Scene) -> None:
    for path in (APP, BARE):
        for mailbox in BOXES:
            scene.probe(path, mailbox, accepted, lambda probe: Deferred(at(11), probe, 1, Step.DATA, Reply(451, "later", "4.3.0"), 30.0))


def late_at_one(scene: Scene) -> None:
    one_provider(accepted, R.LATE)(scene)


def found(check: str, saw: str, mend: str, publish: str = "", gravity: Gravity = Gravity.CRITICAL) -> Callable[[Scene], object]:
    """Two inspections agree."""
    bad = CheckResult(CheckId(check), Status.FAIL, SHOP, gravity, saw, mend=mend, publish=publish)
    return lambda scene: scene.tell(*(ZoneObserved(at(t), SHOP, Cause.SCHEDULE, (bad,), (), ()) for t in (20, 100)))


def unanswered(scene: Scene) -> None:
    scene.tell(ZoneObserved(at(20), SHOP, Cause.SCHEDULE, (), (), (), blind="no answer from 192.0.2.53 within 5 s"))


def differing(symptom: Symptom, number: int) -> Callable[[Scene], object]:
    def tell(scene: Scene) -> None:
        standing = ClassStanding(CLASS_OF_SYMPTOM[symptom], number, number, NOON + 500, NOON + 30, number - 1, MONEY)
        scene.each(APP, BOXES, *OK).tell(Reconciled(at(590), Standing(31, 8, 8, 3, 0, (standing,), NOON + 590, NOON + 580)))

    return tell


def collapsed(scene: Scene) -> None:
    volume = Volume(Flow.COLLAPSE, Side.CONFIRMATIONS, NOON, NOON + 600, 2, 64.0, "refunds")
    scene.each(APP, BOXES, *OK).tell(Reconciled(at(590), Standing(64, 2, 2, 3, 0, (), NOON + 590, NOON + 580), (volume,)))


def unread(scene: Scene) -> None:
    scene.tell(SourceBlind(at(20), "shop-db", Side.REFUNDS, "connection refused at 192.0.2.9:5432", "see whether the database runs"))


def held(_: Scene) -> Diagnosis:
    return Diagnosis(
        Layer.APPLICATION,
        "fail by gate G-3 (policy quick, attempt 1): 4 of 10 probes lost on gmail, limit 1; stable version 0 of 10",
        said=("the peer answered 554 5.7.1 access denied at RCPT TO",),
        next_step="mailcanary gate explain G-3; then roll checkout v512 back, or mend it and deploy anew; or override the gate",
    )


def deployed(scene: Scene) -> None:
    scene.tell(DeployMarked(at(-221), "d-9", DeployPhase.FINISH, "checkout", "v512", by="ana"))


SCENES: dict[Symptom, tuple[Scope, Callable[[Scene], object]]] = {
    S.DELIVERY_MISSING: (PATH, app_fails(*MISSING)),
    S.DELIVERY_LATE: (GMAIL_ALONE, late_at_one),
    S.DELIVERY_STALLED: (EVERYWHERE, overdue),
    S.MISROUTED: (PATH, app_fails(parked, R.MISROUTED)),
    S.BOUNCED: (ONE_BOX, one_mailbox(accepted, returned("5.2.2", "smtp; 552 5.2.2 <gmail-1@box.test> mailbox full"), R.BOUNCED)),
    S.SPAM_PLACEMENT: (GMAIL_ALONE, one_provider(R.SPAM)),
    S.MISFILED: (ONE_BOX, one_mailbox(R.MISFILED)),
    S.SMTP_REJECT: (EVERYWHERE, all_fail(refused("<canary@box.test>: access denied", "5.7.1"), R.REJECTED)),
    S.CONTENT_WRONG: (PATH, lambda scene: scene.probe(APP, "gmail-1", R.ALTERED)),
    S.DUPLICATE: (PATH, app_fails(R.DUPLICATE)),
    S.AUTH: (EVERYWHERE, all_fail(R.UNAUTHENTICATED)),
    S.MAILBOX_BLIND: (ONE_BOX, lambda s: s.tell(WatchBlind(at(20), BOXES[0], BlindCause.AUTH_REFUSED, "NO [AUTHENTICATIONFAILED]", ""))),
    S.SUBMIT_BLIND: (
        Scope(ScopeKind.PATH, BARE),
        lambda s: s.each(BARE, BOXES, misconfigured, R.SUBMIT_MISCONFIGURED).each(APP, BOXES, *OK),
    ),
    S.BUDGET: (PATH, lambda scene: scene.each(APP, GMAIL, R.BUDGET_EXHAUSTED)),
    S.BASELINE: (PATH, lambda scene: scene.each(APP, GMAIL, R.BASELINE_BROKEN)),
    S.MONITOR: (EVERYWHERE, lambda scene: scene.each(APP, (*GMAIL, *OUTLOOK, *WEB), R.OVERLOADED)),
    S.STRAY: (TRIPWIRE, lambda scene: scene),
    S.IMITATION: (TRIPWIRE, lambda scene: scene),
    S.TRIPWIRE_LEAKED: (TRIPWIRE, lambda scene: scene),
    S.GATE_HOLD: (Scope(ScopeKind.DEPLOY, "d-9"), held),
    S.AUTH_SPF: (DOMAIN, found("SPF-01", "no SPF record", "publish one", 'shop.test. TXT "v=spf1 ip4:192.0.2.10 -all"')),
    S.AUTH_DKIM: (DOMAIN, found("DKIM-K1", "selector s1 has no key record", "publish the public half of the key that signs")),
    S.AUTH_DMARC: (DOMAIN, found("DMARC-01", "no DMARC record", "publish one", '_dmarc.shop.test. TXT "v=DMARC1; p=none"')),
    S.DNS: (DOMAIN, found("MX-01", "the MX host mx.shop.test has no address", "give it one, or take it out")),
    S.TLS: (DOMAIN, found("TLS-05", "the certificate of mx.shop.test expired on 2025-12-31", "renew it", gravity=Gravity.ERROR)),
    S.DRIFT: (DOMAIN, found("DNS-14", "the TXT record at _dmarc was changed from p=reject to p=none", "approve it, or take it back")),
    S.DNS_BLIND: (DOMAIN, unanswered),
    S.LEDGER_MISSING: (THE_LEDGER, differing(S.LEDGER_MISSING, 23)),
    S.LEDGER_SPURIOUS: (THE_LEDGER, differing(S.LEDGER_SPURIOUS, 4)),
    S.LEDGER_MISMATCHED: (THE_LEDGER, differing(S.LEDGER_MISMATCHED, 2)),
    S.LEDGER_DUPLICATE: (THE_LEDGER, differing(S.LEDGER_DUPLICATE, 9)),
    S.VOLUME: (THE_LEDGER, collapsed),
    S.LEDGER_BLIND: (THE_LEDGER, unread),
}
DEPLOYED = {S.DELIVERY_MISSING, S.MISROUTED, S.CONTENT_WRONG, S.LEDGER_SPURIOUS}
COUNTED = {symptom for symptom, (scope, _) in SCENES.items() if scope in (EVERYWHERE, PATH, GMAIL_ALONE, ONE_BOX)} - {S.MAILBOX_BLIND}


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    return _policy(tmp_path_factory.mktemp("notices"))


def _policy(directory: Path) -> Policy:
    loaded = configured(directory, {APP: HTTP, BARE: SMTP}, BOXES)
    links = replace(loaded.notify, public_url="https://canary.shop.example", runbooks_url="https://runbooks.shop.example/mail")
    return replace(loaded, environment="prod", sending_domains=(SHOP,), notify=links, ledger=Books().policy.ledger)


def told(policy: Policy, symptom: Symptom) -> Notice:
    scope, tell = SCENES[symptom]
    scene = Scene(policy)
    if symptom in DEPLOYED:
        deployed(scene)
    made = tell(scene)
    mail = symptom in COUNTED
    routes = tuple(str(route) for route in policy.routes) if mail else ()
    diagnosis = made if isinstance(made, Diagnosis) else diagnose(scene.world, policy, scope, symptom, (), SINCE, NOW)
    transition = Transition(
        at=NOW,
        incident=IncidentId("INC-42"),
        phase=Phase.OPENED,
        symptom=symptom,
        scope=scope,
        severity=Severity.PAGE if symptom is S.STRAY else severity(symptom, scope),
        episode=1,
        since=SINCE,
        routes=routes,
        last_good=at(-300) if mail else None,
        tallies=_tallies(scene, symptom, scope) if mail else (),
        diagnosis=diagnosis,
        deploys=deploys.candidates(scene.world.incidents.deploys, SINCE, at(-300), control_good=True),
        impact=WRONG if symptom in (S.LEDGER_SPURIOUS, S.LEDGER_MISMATCHED, S.LEDGER_DUPLICATE) else IMPACT,
    )
    return render(transition, policy, "INC-42-1", Call.FIRE)


def _tallies(scene: Scene, symptom: Symptom, scope: Scope) -> tuple[Tally, ...]:
    seen = observe(scene.world, scene.policy, symptom, parsed((), scene.policy), SINCE).observations
    within = [o for o in seen if scope.kind is ScopeKind.ALL or scope.name in (o.route.path, o.route.mailbox, o.provider)]
    sent, bad = Counter((o.route.path, o.provider) for o in within), Counter((o.route.path, o.provider) for o in within if o.bad)
    return tuple(Tally(path, provider, bad[path, provider], number) for (path, provider), number in sorted(sent.items()))


def _file(symptom: Symptom) -> Path:
    return NOTICES / f"{symptom.value}.txt"


def test_there_is_one_for_each_symptom_and_no_other() -> None:
    assert set(SCENES) == set(Symptom)
    assert {page.name for page in NOTICES.glob("*.txt")} == {_file(symptom).name for symptom in Symptom}


@pytest.mark.parametrize("symptom", Symptom)
def test_to_the_letter(policy: Policy, symptom: Symptom) -> None:
    notice = told(policy, symptom)
    assert f"{notice.title}\n{notice.text}\n" == _file(symptom).read_text()


@pytest.mark.parametrize("symptom", Symptom)
def test_the_first_line_says_for_whom_and_since_when(policy: Policy, symptom: Symptom) -> None:
    notice = told(policy, symptom)
    scope = SCENES[symptom][0]
    assert notice.title.endswith("(since 12:00:00Z)")
    assert scope.name in notice.title
    if symptom in COUNTED:
        assert "gmail " in notice.title
        assert "% of probes" in notice.text


@pytest.mark.parametrize("symptom", [*CLASS_OF_SYMPTOM, S.VOLUME])
def test_the_first_line_of_the_ledger_says_how_many(policy: Policy, symptom: Symptom) -> None:
    what = told(policy, symptom).title.removeprefix("[PAGE][prod] ").removesuffix(" (since 12:00:00Z)")
    assert re.search(r"\b[1-9][0-9]* (refund|confirmation|wrong confirmation)s?\b", what), what


@pytest.mark.parametrize("symptom", Symptom)
def test_its_lines_are_the_words_of_the_text(policy: Policy, symptom: Symptom) -> None:
    notice = told(policy, symptom)
    rows = {line[:9].rstrip(": ") for line in notice.text.splitlines()}
    assert rows <= {name for name, _ in notice.lines}
    for name, words in notice.lines:
        (shown,) = [line[10:] for line in notice.text.splitlines() if line.startswith(f"{name}:")] or [""]
        assert words.startswith(shown.removesuffix("…"))
        assert 0 < len(words) <= 500


def main() -> None:
    NOTICES.mkdir(exist_ok=True)
    with TemporaryDirectory() as directory:
        made = _policy(Path(directory))
        for symptom in Symptom:
            notice = told(made, symptom)
            _file(symptom).write_text(f"{notice.title}\n{notice.text}\n")


if __name__ == "__main__":
    main()
