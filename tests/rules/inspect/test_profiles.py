"""What each provider demands, and its answer in one line."""

from __future__ import annotations

import pytest

from monitor.model.checks import CheckId, CheckResult, Gravity, Profile, ProviderAnswer, Status
from monitor.rules.inspect.profiles import DEMANDS, STRICT, answers, line

P, I, W, F, U, S = Status.PASS, Status.INFO, Status.WARN, Status.FAIL, Status.UNKNOWN, Status.SKIP  # noqa: E741


def results(profile: Profile, **changed: Status | tuple[Status, ...]) -> list[CheckResult]:
    """All demands met, but for these."""
    found = []
    for check in DEMANDS[profile]:
        statuses = changed.get(check.name, P)
        for number, status in enumerate(statuses if isinstance(statuses, tuple) else (statuses,)):
            found.append(CheckResult(check, status, f"thing {number}", Gravity.INFO, ""))
    return found


@pytest.mark.parametrize(
    ("profile", "changed", "expected"),
    [
        (Profile.GMAIL, {}, "Gmail: 14/14"),
        (Profile.YAHOO, {}, "Yahoo: 14/14"),
        (Profile.OUTLOOK, {}, "Outlook: 10/10"),
        (Profile.APPLE, {}, "Apple: 10/10"),
        (Profile.PROTECTED, {}, "Protected: 16/16"),
        (Profile.GMAIL, {"IP_02": F}, "Gmail: 13/14, blocked by IP-02"),
        (Profile.GMAIL, {"IP_02": (P, F)}, "Gmail: 13/14, blocked by IP-02"),
        (Profile.GMAIL, {"IP_02": (U, F)}, "Gmail: 13/14, blocked by IP-02"),
        (Profile.GMAIL, {"IP_02": (P, U)}, "Gmail: 13/14, cannot tell: IP-02"),
        (Profile.GMAIL, {"IP_02": (P, S)}, "Gmail: 14/14"),
        (Profile.GMAIL, {"IP_02": S}, "Gmail: 13/13"),
        (Profile.GMAIL, {"IP_02": W, "DKIM_K4": W, "IP_05": I}, "Gmail: 14/14"),
        (Profile.GMAIL, {"IP_02": F, "IP_01": F, "SPF_07": U}, "Gmail: 11/14, blocked by IP-01, IP-02; cannot tell: SPF-07"),
        (Profile.YAHOO, {"IP_04": W}, "Yahoo: 14/14"),
        (Profile.YAHOO, {"DNS_11": F}, "Yahoo: 13/14, blocked by DNS-11"),
        (Profile.PROTECTED, {"DMARC_05": W}, "Protected: 15/16, blocked by DMARC-05"),
        (Profile.PROTECTED, {"DKIM_K4": W}, "Protected: 15/16, blocked by DKIM-K4"),
        (Profile.PROTECTED, {"SPF_09": I, "DMARC_03": W}, "Protected: 16/16"),
    ],
)
def test_line(profile: Profile, changed: dict[str, Status], expected: str) -> None:
    (answer,) = answers(results(profile, **changed), [profile])
    assert line(answer) == expected


def test_nothing_was_looked_at() -> None:
    (answer,) = answers([], [Profile.GMAIL])
    assert (answer.passed, answer.asked, answer.untested[0]) == (0, 0, CheckId.SPF_07)
    assert line(ProviderAnswer(Profile.GMAIL, 0, 0)) == "Gmail: nothing to test"


def test_several_profiles_in_their_order_once_each() -> None:
    wanted = [Profile.APPLE, Profile.GMAIL, Profile.APPLE]
    assert [answer.profile for answer in answers(results(Profile.GMAIL), wanted)] == [Profile.APPLE, Profile.GMAIL]


@pytest.mark.parametrize("profile", [Profile.GMAIL, Profile.YAHOO, Profile.OUTLOOK, Profile.APPLE])
def test_a_policy_of_none_is_enough_for_providers(profile: Profile) -> None:
    none = CheckResult(CheckId.DMARC_05, Status.FAIL, "shop.test", Gravity.ERROR, "p=none")
    assert answers([*results(profile), none], [profile])[0].blocked_by == ()


def test_lists_are_sound() -> None:
    assert set(DEMANDS) == set(Profile)
    for profile, demands in DEMANDS.items():
        assert len(set(demands)) == len(demands)
        assert STRICT.get(profile, frozenset()) <= set(demands)
