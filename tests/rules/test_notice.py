"""The renderer: what people read, to the letter for typical cases, and in bounds for any."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.model.facts import Transition
from monitor.model.incident import (
    EVERYWHERE,
    DeployCandidate,
    DeployPhase,
    Diagnosis,
    IncidentId,
    Layer,
    Link,
    Opening,
    Phase,
    Scope,
    ScopeKind,
    Severity,
    Tally,
)
from monitor.model.notice import Call, Notice
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom
from monitor.rules.heading import TITLES
from monitor.rules.notice import LONGEST, LONGEST_KEY, LONGEST_TITLE, plain, render, render_test
from tests.stages import house
from tests.views.life import at

RUNBOOKS = Path(__file__).parents[2] / "docs" / "runbooks"
PUBLIC = "https://canary.shop.example"
RUNBOOK_URL = "https://runbooks.shop.example/mail"

DIAGNOSIS = Diagnosis(
    layer=Layer.APPLICATION,
    summary="mail of app does not arrive at gmail, outlook, while that of bare-smtp is fine: the application",
    shows=("app fails: gmail 6/8", "bare-smtp arrives: gmail 4/4, outlook 4/4"),
    said=("the peer answered 554 5.7.1 <canary.one@seed.example>: access denied at RCPT TO",),
    next_step="roll back checkout v512, then watch the next probes of app",
)
OPENED = Transition(
    at=at(660),
    incident=IncidentId("INC-42"),
    phase=Phase.OPENED,
    symptom=Symptom.DELIVERY_MISSING,
    scope=Scope(ScopeKind.PATH, "app"),
    severity=Severity.PAGE,
    episode=1,
    since=at(130),
    routes=("app/gmail-1", "app/outlook-1"),
    opening=Opening.CONFIRMED,
    last_good=at(-118),
    tallies=(Tally("app", "gmail", 6, 8), Tally("app", "outlook", 2, 2)),
    evidence=(4, 5, 6),
    diagnosis=DIAGNOSIS,
    deploys=(DeployCandidate("d-9", DeployPhase.FINISH, "checkout", "v512", "ana", at(-91), 221.0, Link.BRACKETED),),
)
REJECTED = replace(
    OPENED, phase=Phase.GROWN, symptom=Symptom.SMTP_REJECT, scope=EVERYWHERE, tallies=(), deploys=(), last_good=None, diagnosis=None
)
GOLDEN: tuple[tuple[str, Transition, Call, str, str], ...] = (
    (
        "opened",
        OPENED,
        Call.FIRE,
        "[PAGE][prod] Refund confirmations not arriving on path app: outlook 2/2, gmail 6/8; the application; "
        "began 3m41s after checkout v512 (since 12:02:10Z)",
        """\
Broke:    mail of app does not arrive at gmail, outlook, while that of bare-smtp is fine: the application
Since:    12:02:10Z (8m50s), last good 11:58:02Z
Deploy:   checkout v512 by ana finished 11:58:29Z; began 3m41s after (bracketed)
Shows:    app fails: gmail 6/8; bare-smtp arrives: gmail 4/4, outlook 4/4
Said:     "the peer answered 554 5.7.1 <***@seed.example>: access denied at RCPT TO"
Impact:   outlook 100 %, gmail 75 % of probes; on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     1) roll back checkout v512, then watch the next probes of app  2) mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/delivery-missing
Dedup:    mailcanary/prod/delivery_missing/path:app""",
    ),
    (
        "reopened",
        replace(OPENED, episode=2, tallies=OPENED.tallies[:1], deploys=(), diagnosis=None),
        Call.FIRE,
        "[PAGE][prod] Again: Refund confirmations not arriving on path app: gmail 6/8 (since 12:02:10Z)",
        """\
Broke:    Refund confirmations not arriving: path:app
Now:      reopened within the hour, episode 2
Since:    12:02:10Z (8m50s), last good 11:58:02Z
Impact:   gmail 75 % of probes; on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/delivery-missing
Dedup:    mailcanary/prod/delivery_missing/path:app""",
    ),
    (
        "grown",
        REJECTED,
        Call.FIRE,
        "[PAGE][prod] Grown: Refund confirmations not taken for delivery (since 12:02:10Z)",
        """\
Broke:    Refund confirmations not taken for delivery: all
Now:      more than told before: 2 routes
Since:    12:02:10Z (8m50s)
Impact:   on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/smtp-reject
Dedup:    mailcanary/prod/smtp_reject/all""",
    ),
    (
        "flapping ticket",
        replace(REJECTED, phase=Phase.FLAPPING, severity=Severity.TICKET, episode=3, scope=Scope(ScopeKind.MAILBOX, "gmail-1")),
        Call.FIRE,
        "[TICKET][prod] Flapping: Refund confirmations not taken for delivery: gmail-1 (since 12:02:10Z)",
        """\
Broke:    Refund confirmations not taken for delivery: mailbox:gmail-1
Now:      opened 3 times: it stays open until mail is good for four times as long
Since:    12:02:10Z (8m50s)
Impact:   on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/smtp-reject
Dedup:    mailcanary/prod/smtp_reject/mailbox:gmail-1""",
    ),
    (
        "resolved by evidence",
        replace(OPENED, phase=Phase.RESOLVED, at=at(1860), note="resolved on 12 fresh good probes"),
        Call.RESOLVE,
        "[RESOLVED][prod] Refund confirmations not arriving on path app: outlook 2/2, gmail 6/8 (12:02:10Z to 12:31:00Z, 28m50s)",
        """\
Over:     resolved on 12 fresh good probes
Lasted:   28m50s, 12:02:10Z to 12:31:00Z
Adverse:  outlook 2/2, gmail 6/8 of the probes
Impact:   on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/delivery-missing
Dedup:    mailcanary/prod/delivery_missing/path:app""",
    ),
    (
        "closed by a person, a day later",
        replace(REJECTED, phase=Phase.RESOLVED, at=at(90_000), by="ana", note="the relay was moved"),
        Call.RESOLVE,
        "[RESOLVED][prod] Refund confirmations not taken for delivery (2026-01-01 12:02:10Z to 13:00:00Z, 1497m50s)",
        """\
Over:     closed by ana: the relay was moved
Lasted:   1497m50s, 2026-01-01 12:02:10Z to 13:00:00Z
Adverse:  no probe was counted
Impact:   on real refunds: not measured
Evidence: https://canary.shop.example/incidents/INC-42
Next:     mailcanary incident show INC-42
Runbook:  https://runbooks.shop.example/mail/smtp-reject
Dedup:    mailcanary/prod/smtp_reject/all""",
    ),
)


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Policy:
    loaded = house.policy(tmp_path_factory.mktemp("notice"))
    return replace(loaded, environment="prod", notify=replace(loaded.notify, public_url=PUBLIC, runbooks_url=RUNBOOK_URL))


@pytest.mark.parametrize(("transition", "call", "title", "text"), [row[1:] for row in GOLDEN], ids=[row[0] for row in GOLDEN])
def test_to_the_letter(policy: Policy, transition: Transition, call: Call, title: str, text: str) -> None:
    notice = render(transition, policy, "INC-42-1-7", call)
    assert (notice.title, notice.text) == (title, text)
    assert (notice.key, notice.call, notice.incident, notice.episode) == ("INC-42-1-7", call, "INC-42", transition.episode)
    assert (notice.began, notice.ended) == (at(130), transition.at if call is Call.RESOLVE else None)
    assert notice.dedup_key == text.rpartition("Dedup:    ")[2]
    assert notice.incident_url == "https://canary.shop.example/incidents/INC-42"
    assert notice.runbook_url in text


def test_after_a_silence_it_says_so(policy: Policy) -> None:
    notice = render(OPENED, policy, "again", Call.FIRE, after_silence=True)
    assert notice.title.startswith("[PAGE][prod] Still open: Refund confirmations not arriving")
    counted = OPENED.at.when
    assert notice.title.endswith(f"(since 12:02:10Z, counts of {counted:%H:%M:%S}Z)")
    assert f"Now:      the silence is over, and it is still open; counts and evidence are of {counted:%Y-%m-%d %H:%M:%S}Z" in notice.text
    bare = render(replace(OPENED, tallies=()), policy, "again", Call.FIRE, after_silence=True)
    assert bare.title.endswith("(since 12:02:10Z)") and "evidence are of" in bare.text


def test_a_title_leaves_out_whole_what_does_not_fit(policy: Policy) -> None:
    """First the deploy, then the layer; whom it fails for and since when stay."""
    wide = replace(OPENED, deploys=(replace(OPENED.deploys[0], service="s" * 60),))
    assert "; the application (since 12:02:10Z)" in render(wide, policy, "k", Call.FIRE).title
    tallies = tuple(Tally("app", f"provider-with-long-name-{number}", 2, 2) for number in range(4))
    title = render(replace(wide, tallies=tallies), policy, "k", Call.FIRE).title
    assert "application" not in title
    assert title.endswith("provider-with-long-name-3 2/2 (since 12:02:10Z)")


def test_reopened_and_grown_share_their_dedup_key(policy: Policy) -> None:
    told = [render(replace(OPENED, phase=phase, episode=2), policy, "k", Call.FIRE).dedup_key for phase in (Phase.OPENED, Phase.GROWN)]
    assert set(told) == {render(OPENED, policy, "k", Call.FIRE).dedup_key}


def test_a_test_notice_says_that_nothing_is_broken(policy: Policy) -> None:
    notice = render_test(policy, "test-1", at(0))
    assert notice.title == "[TEST][prod] mailcanary can tell you about incidents (12:00:00Z)"
    assert notice.text.splitlines()[0] == "Broke:    nothing: this is a test of the channel"
    assert (notice.call, notice.severity, notice.ended) == (Call.TEST, Severity.TICKET, None)
    assert notice.dedup_key != render(replace(OPENED, symptom=Symptom.MONITOR, scope=EVERYWHERE), policy, "k", Call.FIRE).dedup_key


def test_without_a_public_address_there_is_no_link(policy: Policy) -> None:
    quiet = replace(policy, notify=replace(policy.notify, public_url=""))
    notice = render(OPENED, quiet, "k", Call.FIRE)
    assert notice.incident_url == ""
    assert "Evidence" not in notice.text


HOSTILE = "\x1b[2J\r\nNext: rm -rf /\u202egro\u2066 canary.one@seed.example RF-12345678 rf_00000001"


def test_what_peers_and_persons_wrote_is_masked_and_escaped(policy: Policy) -> None:
    diagnosis = replace(DIAGNOSIS, summary=HOSTILE, shows=(HOSTILE,), said=(HOSTILE,), next_step=HOSTILE)
    deploy = replace(OPENED.deploys[0], service=HOSTILE, version=HOSTILE, by=HOSTILE)
    transition = replace(OPENED, diagnosis=diagnosis, deploys=(deploy,), note=HOSTILE, by=HOSTILE)
    for call in (Call.FIRE, Call.RESOLVE):
        notice = render(transition, policy, "k", call)
        shown = notice.title + notice.text
        assert "canary.one" not in shown
        assert "12345678" not in shown
        assert "00000001" not in shown
        assert [line for line in notice.text.splitlines() if line.startswith("Next:")] == [notice.text.splitlines()[-3]]
        assert r"\x1b[2J\r\nNext" in shown


def test_long_words_of_peers_leave_next_and_runbook_whole(policy: Policy) -> None:
    long = "x" * 200
    diagnosis = replace(DIAGNOSIS, summary=long, shows=(long,) * 8, said=(long,) * 3, next_step="n" * 200)
    notice = render(replace(OPENED, diagnosis=diagnosis, note=long), policy, "k", Call.FIRE)
    assert f"Next:     1) {'n' * 200}  2) mailcanary incident show INC-42\n" in notice.text
    assert "Runbook:  https://runbooks.shop.example/mail/delivery-missing" in notice.text
    assert notice.text.startswith("Broke:    xxxx")
    assert len(notice.title) + 1 + len(notice.text) <= LONGEST


texts = st.text(max_size=400) | st.sampled_from((HOSTILE, "x" * 400, ""))
names = st.text(min_size=1, max_size=300)
moments = st.floats(-3e6, 3e6).map(at)
diagnoses = st.builds(
    Diagnosis,
    st.sampled_from(Layer),
    texts,
    st.lists(texts, max_size=8).map(tuple),
    st.lists(texts, max_size=3).map(tuple),
    st.just(()),
    texts,
)
candidates = st.builds(
    DeployCandidate, texts, st.sampled_from(DeployPhase), texts, texts, texts, moments, st.floats(0, 1e7), st.sampled_from(Link)
)
transitions = st.builds(
    Transition,
    at=moments,
    incident=st.integers(1, 10**9).map(lambda number: IncidentId(f"INC-{number}")),
    phase=st.sampled_from(Phase),
    symptom=st.sampled_from(Symptom),
    scope=st.builds(Scope, st.sampled_from(ScopeKind), names | st.just("")),
    severity=st.sampled_from(Severity),
    episode=st.integers(1, 10**6),
    since=moments,
    routes=st.lists(names, max_size=5).map(tuple),
    last_good=st.none() | moments,
    tallies=st.lists(st.builds(Tally, names, names, st.integers(0, 10**6), st.integers(0, 10**6)), max_size=12).map(tuple),
    diagnosis=st.none() | diagnoses,
    deploys=st.lists(candidates, max_size=5).map(tuple),
    note=texts,
    by=texts,
)


def well_formed(notice: Notice) -> None:
    assert 0 < len(notice.title) <= LONGEST_TITLE
    assert len(notice.title) + 1 + len(notice.text) <= LONGEST
    assert len(notice.dedup_key) <= LONGEST_KEY
    assert notice.title.isprintable()
    assert all(line.isprintable() for line in notice.text.split("\n"))
    assert f"mailcanary incident show {notice.incident}" in notice.text or notice.call is Call.TEST
    assert notice.runbook_url in notice.text
    assert plain(notice.text.replace("\n", " ")) == notice.text.replace("\n", " ")


@settings(max_examples=50, deadline=None, derandomize=True)
@given(
    transition=transitions,
    call=st.sampled_from((Call.FIRE, Call.RESOLVE)),
    after_silence=st.booleans(),
    environment=names,
    base=st.sampled_from((RUNBOOK_URL, RUNBOOK_URL + "/long" * 48)),
)
def test_any_transition_gives_a_notice_in_bounds(
    policy: Policy, transition: Transition, call: Call, after_silence: bool, environment: str, base: str
) -> None:
    given = replace(policy, environment=environment, notify=replace(policy.notify, runbooks_url=base))
    well_formed(render(transition, given, "key", call, after_silence))


def test_beside_a_very_long_runbook_address_the_first_lines_stay(policy: Policy) -> None:
    diagnosis = replace(DIAGNOSIS, summary="x" * 200, next_step="n" * 200)
    given = replace(policy, environment="e" * 80, notify=replace(policy.notify, runbooks_url=RUNBOOK_URL + "/long" * 48))
    notice = render(replace(OPENED, tallies=(Tally("app", "p" * 100, 1, 2),), diagnosis=diagnosis, note="y" * 200), given, "k", Call.FIRE)
    well_formed(notice)
    assert notice.text.startswith("Broke:    xxxx")
    assert "Said" not in notice.text


@given(environment=names)
def test_any_test_notice_is_in_bounds(policy: Policy, environment: str) -> None:
    well_formed(render_test(replace(policy, environment=environment), "key", at(0)))


@given(one=st.tuples(names, names), other=st.tuples(names, names))
def test_two_incidents_never_share_a_dedup_key(policy: Policy, one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = [
        render(replace(OPENED, scope=Scope(ScopeKind.PATH, prefix + name)), policy, "k", Call.FIRE).dedup_key
        for name, prefix in (one, other)
    ]
    assert (keys[0] == keys[1]) == (one[1] + one[0] == other[1] + other[0])


def test_names_that_differ_only_in_what_is_masked_or_cut_have_keys_of_their_own(policy: Policy) -> None:
    scopes = ["a@box.test", "b@box.test", "x" * 300 + "a", "x" * 300 + "b", "gmail\n", "gmail"]
    keys = [render(replace(OPENED, scope=Scope(ScopeKind.MAILBOX, name)), policy, "k", Call.FIRE).dedup_key for name in scopes]
    assert len(set(keys)) == len(scopes)
    assert all(len(key) <= LONGEST_KEY and key.isprintable() and "a@" not in key for key in keys)


def test_every_symptom_has_words() -> None:
    assert set(TITLES) == set(Symptom)
    assert len(set(TITLES.values())) == len(Symptom)


def test_every_symptom_has_its_runbook_and_the_list_leads_to_them() -> None:
    pages = {page.name for page in RUNBOOKS.glob("*.md")} - {"README.md"}
    of_symptoms = {f"{symptom.value.replace('_', '-')}.md" for symptom in Symptom}
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (RUNBOOKS / "README.md").read_text()))
    assert of_symptoms <= listed <= pages


@pytest.mark.parametrize("symptom", Symptom)
def test_a_runbook_bears_the_words_of_the_notice(symptom: Symptom) -> None:
    page = (RUNBOOKS / f"{symptom.value.replace('_', '-')}.md").read_text()
    assert page.startswith(f"# {TITLES[symptom]}\n")
    assert "mailcanary incident show" in page
