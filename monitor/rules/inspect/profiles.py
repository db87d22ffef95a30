"""What each mailbox provider demands of a sender, as lists of checks, and its answer in one line."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from monitor.model.checks import CheckId, CheckResult, Profile, ProviderAnswer, Status
from monitor.rules.inspect.untested import told, untested

_AUTHENTICATED = (
    CheckId.SPF_01,
    CheckId.SPF_07,
    CheckId.DKIM_K1,
    CheckId.DKIM_K3,
    CheckId.DKIM_K4,
    CheckId.DKIM_M2,
    CheckId.DMARC_01,
    CheckId.DMARC_10,
)
_REVERSE = (CheckId.IP_01, CheckId.IP_02)

DEMANDS: Mapping[Profile, tuple[CheckId, ...]] = {
    # A DMARC policy of none is enough for all of them, so DMARC-05 stands in no list but ours.
    Profile.GMAIL: (*_AUTHENTICATED, *_REVERSE, CheckId.IP_05, CheckId.TLS_01, CheckId.DKIM_M12, CheckId.MSG_01),
    Profile.YAHOO: (*_AUTHENTICATED, *_REVERSE, CheckId.IP_04, CheckId.DNS_11, CheckId.DKIM_M12, CheckId.MSG_01),
    Profile.OUTLOOK: (*_AUTHENTICATED, *_REVERSE),
    Profile.APPLE: (*_AUTHENTICATED, *_REVERSE),
    Profile.PROTECTED: (
        CheckId.SPF_01,
        CheckId.SPF_02,
        CheckId.SPF_03,
        CheckId.SPF_09,
        CheckId.SPF_10,
        CheckId.DKIM_K2,
        CheckId.DKIM_K4,
        CheckId.DKIM_K6,
        CheckId.DKIM_M3,
        CheckId.DKIM_M6,
        CheckId.DMARC_01,
        CheckId.DMARC_02,
        CheckId.DMARC_03,
        CheckId.DMARC_04,
        CheckId.DMARC_05,
        CheckId.DMARC_06,
    ),
}
STRICT: Mapping[Profile, frozenset[CheckId]] = {  # a warning blocks too: what providers put up with protects nobody
    Profile.PROTECTED: frozenset({CheckId.SPF_10, CheckId.DKIM_K4, CheckId.DKIM_K6, CheckId.DMARC_05, CheckId.DMARC_06})
}
NAMES = {
    Profile.GMAIL: "Gmail",
    Profile.YAHOO: "Yahoo",
    Profile.OUTLOOK: "Outlook",
    Profile.APPLE: "Apple",
    Profile.PROTECTED: "Protected",
}


def answers(results: Sequence[CheckResult], profiles: Iterable[Profile]) -> tuple[ProviderAnswer, ...]:
    """Of each profile: how many of its demands are met. A demand is asked when there is anything to test; a failure blocks, an unknown
    is counted as not met."""
    found: dict[CheckId, set[Status]] = {}
    for result in results:
        found.setdefault(result.check, set()).add(result.status)
    lacking = frozenset(untested(results))
    return tuple(_answer(profile, found, lacking) for profile in dict.fromkeys(profiles))


def line(answer: ProviderAnswer) -> str:
    """`Gmail: 9/10, blocked by IP-02; cannot tell: SPF-07; not tested: DKIM-K* (give --selector)`."""
    lacking = f"; not tested: {told(answer.untested, DEMANDS[answer.profile])}" if answer.untested else ""
    if not answer.asked:
        return f"{NAMES[answer.profile]}: nothing to test{lacking}"
    parts = []
    if answer.blocked_by:
        parts.append("blocked by " + ", ".join(check.value for check in answer.blocked_by))
    if answer.unknown:
        parts.append("cannot tell: " + ", ".join(check.value for check in answer.unknown))
    wrong = f", {'; '.join(parts)}" if parts else ""
    return f"{NAMES[answer.profile]}: {answer.passed}/{answer.asked}{wrong}{lacking}"


def _answer(profile: Profile, found: Mapping[CheckId, set[Status]], lacking: frozenset[CheckId]) -> ProviderAnswer:
    blocked, unknown, passed = [], [], 0
    strict = STRICT.get(profile, frozenset())
    for check in DEMANDS[profile]:
        statuses = found.get(check, set()) - {Status.SKIP}
        if not statuses:
            continue
        if Status.FAIL in statuses or (Status.WARN in statuses and check in strict):
            blocked.append(check)
        elif Status.UNKNOWN in statuses:
            unknown.append(check)
        else:
            passed += 1
    left = tuple(check for check in DEMANDS[profile] if check in lacking)
    return ProviderAnswer(profile, passed, passed + len(blocked) + len(unknown), tuple(blocked), tuple(unknown), left)
