"""The tables of verdicts are total."""

from __future__ import annotations

import itertools

import pytest

from monitor.model.checks import CheckId
from monitor.model.verdict import SYMPTOM_OF, SYMPTOM_OF_CHECK, VERDICT_OF, Reason, Symptom, Verdict, worst

FAIL = {"rejected", "deferred", "submit_unreachable", "bounced", "missing", "stalled", "late", "spam", "misfiled", "misrouted", "altered"}
FAIL |= {"unauthenticated", "duplicate"}
INCONCLUSIVE = {"mailbox_blind", "submit_unknown", "submit_misconfigured", "budget_exhausted", "baseline_broken", "clock_jump"}
ERROR = {"journal_unwritable", "overloaded", "internal"}


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_a_verdict_and_a_symptom(reason: Reason) -> None:
    assert reason.verdict is VERDICT_OF[reason]
    assert (SYMPTOM_OF[reason] is None) == (reason is Reason.PASS)


def test_reasons_by_verdict() -> None:
    """Design 5, the closed enum."""
    by_verdict = {verdict: {reason.value for reason in Reason if reason.verdict is verdict} for verdict in Verdict}
    assert by_verdict == {Verdict.PASS: {"pass"}, Verdict.FAIL: FAIL, Verdict.INCONCLUSIVE: INCONCLUSIVE, Verdict.ERROR: ERROR}


def test_every_symptom_is_used() -> None:
    inspected = {Symptom.AUTH_SPF, Symptom.AUTH_DKIM, Symptom.AUTH_DMARC, Symptom.DNS, Symptom.TLS, Symptom.DRIFT}
    tripwires = {Symptom.STRAY, Symptom.IMITATION, Symptom.TRIPWIRE_LEAKED}
    ledger = {symptom for symptom in Symptom if symptom.value.startswith("ledger_")} | {Symptom.VOLUME}
    elsewhere = {Symptom.GATE_HOLD, Symptom.DNS_BLIND, *inspected, *tripwires, *ledger}
    assert set(SYMPTOM_OF.values()) == {*Symptom, None} - elsewhere
    assert set(SYMPTOM_OF_CHECK.values()) == {*inspected, Symptom.CONTENT_WRONG, None}


@pytest.mark.parametrize(
    ("check", "symptom"),
    [
        (CheckId.SPF_01, Symptom.AUTH_SPF),
        (CheckId.DKIM_K1, Symptom.AUTH_DKIM),
        (CheckId.DKIM_M13, Symptom.AUTH_DKIM),
        (CheckId.DMARC_10, Symptom.AUTH_DMARC),
        (CheckId.MX_01, Symptom.DNS),
        (CheckId.DNS_02, Symptom.DNS),
        (CheckId.IP_02, Symptom.DNS),
        (CheckId.DNS_14, Symptom.DRIFT),
        (CheckId.TLS_05, Symptom.TLS),
        (CheckId.MSG_01, Symptom.CONTENT_WRONG),
        (CheckId.AR_01, None),
        (CheckId.AR_02, None),
        (CheckId.PLC_02, None),
    ],
)
def test_the_symptom_of_a_check(check: CheckId, symptom: Symptom | None) -> None:
    assert SYMPTOM_OF_CHECK[check] is symptom


def test_every_check_has_its_line() -> None:
    assert set(SYMPTOM_OF_CHECK) == set(CheckId)


def test_monitor_faults_are_no_mail_symptoms() -> None:
    monitor = {reason for reason, symptom in SYMPTOM_OF.items() if symptom is Symptom.MONITOR}
    assert monitor == {Reason.CLOCK_JUMP, Reason.JOURNAL_UNWRITABLE, Reason.OVERLOADED, Reason.INTERNAL}


def test_exit_codes() -> None:
    assert {verdict.value: verdict.exit_code for verdict in Verdict} == {"pass": 0, "fail": 1, "inconclusive": 3, "error": 4}


def test_worst_is_1_4_3_0() -> None:
    rank = [1, 4, 3, 0]
    for size in (1, 2, 3):
        for verdicts in itertools.product(Verdict, repeat=size):
            codes = [verdict.exit_code for verdict in verdicts]
            assert worst(list(verdicts)).exit_code == min(codes, key=rank.index)


def test_no_verdict_at_all_is_no_pass() -> None:
    assert worst([]) is Verdict.INCONCLUSIVE
