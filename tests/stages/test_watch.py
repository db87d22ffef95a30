"""watch on virtual time, with submit and judge beside it: when it looks, what it proves, and what it leaves alone."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from monitor.model.facts import (
    Accepted,
    CleanedUp,
    Closed,
    DsnReceived,
    Foreign,
    ForeignKind,
    Judged,
    Looked,
    ProbePlanned,
    Scanned,
    Sighted,
    Stray,
    WatchBlind,
    WatchRestored,
)
from monitor.model.mail import BlindCause, Carrier, Placement
from monitor.model.probe import MailboxName, ProbeId
from monitor.model.submission import MailSubmission
from monitor.model.verdict import Reason
from monitor.ports import MailboxError
from monitor.rules import token
from tests.fakes.mailbox import FakeAccount, FakeFolder
from tests.fakes.submitter import TAKEN
from tests.stages.house import RELAY, House, policy, seed
from tests.stages.virtual import virtual

DAY = 86_400.0
REFUSED = MailboxError(BlindCause.UNREACHABLE, "connection refused")
SHOPS_OWN = (
    b"From: Shop <refunds@shop.test>\r\nTo: seed1@box.test\r\nSubject: Your refund\r\nMessage-ID: <%s@shop.test>\r\n\r\n"
    b"Your refund %s of \xc2\xa349.90 is on its way.\r\n"
)


def verdicts(house: House) -> list[tuple[int, Reason]]:
    return [(fact.revision, fact.reason) for fact in house.facts(Judged)]


def box(house: House, number: int = 1) -> FakeAccount:
    return house.accounts[seed(number)]


@virtual
async def test_mail_is_sighted_when_the_server_announces_it_and_once_more_looked_for_a_second_copy(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(100)
        start = house.clock.now()
        await house.probe()
        await house.sleep(100)
    assert house.times(Sighted, start) == [1.0] and house.times(Judged, start) == [1.0]
    (fact,) = house.facts(Sighted)
    assert fact.placement is Placement.INBOX and fact.mailbox == seed(1)
    assert set(fact.carriers) >= {Carrier.HEADER, Carrier.MESSAGE_ID, Carrier.BODY, Carrier.REFUND_NUMBER}
    assert fact.unseen_since is not None and not fact.altered
    rounds = [at for at in house.times(Looked, start) if at > 0]
    assert rounds and rounds[0] == pytest.approx(6.0), "sweep_after the sighting"
    assert verdicts(house) == [(0, Reason.PASS)]


@virtual
async def test_junk_is_found_by_the_sweep(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.into = lambda mail: (box(house), "Junk")
    async with house.running():
        await house.sleep(60)
        start = house.clock.now()
        await house.probe()
        await house.until(lambda: house.facts(Judged))
    assert house.times(Sighted, start) == [5.0]
    assert verdicts(house) == [(0, Reason.SPAM)] and "spam folder ('Junk')" in house.facts(Judged)[0].explanation


@virtual
async def test_absence_is_proven_by_a_look_that_begins_exactly_at_missing_after(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.transit = None
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.sleep(479.9)
        assert not house.facts(Judged)
        await house.until(lambda: house.facts(Judged))
    assert house.times(Judged, start) == [480.0] and verdicts(house) == [(0, Reason.MISSING)]
    (fact,) = house.facts(Judged)
    (proof,) = [entry.fact for entry in house.entries if entry.seq in fact.evidence and isinstance(entry.fact, Looked)]
    assert proof.began.seconds_since(start) >= 480.0 and proof.folders == 3
    assert "in none of 3 folders" in fact.explanation and "250 2.0.0 Ok" in fact.explanation


@virtual
async def test_a_look_that_began_before_missing_after_and_ended_past_it_proves_nothing(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.transit = None
    slow = 0.0

    async def drag(method: str) -> None:
        if method == "look":
            await asyncio.sleep(slow)

    box(house).before = drag
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.sleep(400)
        slow = 20.0  # a round takes a minute now
        await house.until(lambda: house.facts(Judged))
    straddling = [fact for fact in house.facts(Looked) if fact.began.seconds_since(start) < 480 <= fact.at.seconds_since(start)]
    (fact,) = house.facts(Judged)
    proof = next(entry.fact for entry in house.entries if entry.seq == fact.evidence[-1])
    assert isinstance(proof, Looked) and proof not in straddling and proof.began.seconds_since(start) >= 480
    begun = [at - start.utc for at, method in box(house).calls if method == "folders" and at <= proof.at.utc]
    assert straddling and begun[-1] >= 480, "the round itself began after missing_after"


@virtual
async def test_an_hour_without_probes_costs_the_safety_net_only(tmp_path: Path) -> None:
    house = House(policy(tmp_path, watch={"poll_every": "2m"}))
    async with house.running("watch"):
        await house.sleep(10)
        began = len(box(house).calls)
        await house.sleep(3_600)
    rounds = [method for _, method in box(house).calls[began:] if method == "folders"]
    assert len(rounds) == 30
    assert not house.facts(Looked), "nothing was looked for"


# --- blind ----------------------------------------------------------------------------------------------------------


@virtual
async def test_blind_is_said_once_the_waits_grow_and_restored_is_said_after_a_look_at_everything(tmp_path: Path) -> None:
    house = House(policy(tmp_path), draw=0.0)
    account = box(house)
    async with house.running("watch"):
        await house.until(lambda: house.facts(WatchRestored))
        account.fail(REFUSED)
        lost = house.clock.now().utc
        await house.sleep(2_000)
        tries = [at - lost for at, method in account.calls if method == "open" and at > lost]
        account.heal()
        await house.until(lambda: len(house.facts(WatchRestored)) == 2)
        looks = [method for at, method in account.calls if method == "look" and at > lost + 2_000]
    assert [later - earlier for earlier, later in pairwise([0.0, *tries])] == pytest.approx(
        [0.5, 1, 2, 4, 8, 16, 32, 64, 128, 150, *[150] * (len(tries) - 10)], abs=1e-3
    ), "half to all of 1 s doubling, up to 5 minutes"
    causes = [fact.cause for fact in house.facts(WatchBlind)]
    assert causes == [BlindCause.CLOSED, BlindCause.UNREACHABLE], "the cut, and that it stays away; not one for each try"
    assert len(looks) == 3, "restored means that all folders answered"
    assert house.world.mailbox(seed(1)).blind is None


@virtual
async def test_another_cause_is_another_fact(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    account = box(house)
    account.trouble = REFUSED
    async with house.running("watch"):
        await house.sleep(100)
        account.trouble = MailboxError(BlindCause.AUTH_REFUSED, "NO", "set the password")
        await house.sleep(400)
    assert [(fact.cause, fact.mend) for fact in house.facts(WatchBlind)] == [
        (BlindCause.UNREACHABLE, ""),
        (BlindCause.AUTH_REFUSED, "set the password"),
    ]


@virtual
async def test_a_mailbox_without_a_spam_folder_is_blind_with_the_mend(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    del box(house).folders["Junk"]
    async with house.running("watch"):
        await house.until(lambda: house.facts(WatchBlind))
        box(house).folders["Bulk"] = FakeFolder()
        await house.until(lambda: house.facts(WatchRestored))
    (fact,) = house.facts(WatchBlind)
    assert fact.cause is BlindCause.FOLDER_MISSING and "no spam folder" in fact.detail and "Archive" in fact.detail
    assert fact.mend == "name it in mailboxes.seed-1.folders.spam"


@virtual
async def test_blindness_never_becomes_lost_mail(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.transit = None
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.sleep(100)
        box(house).fail(REFUSED)
        await house.sleep(1_699)
        assert not house.facts(Judged), "missing_after passed long ago, unseen by anyone"
        await house.until(lambda: house.facts(Judged))
        assert house.times(Judged, start) == [1_800.0] and verdicts(house) == [(0, Reason.MAILBOX_BLIND)]
        assert "connection refused" in house.facts(Judged)[0].explanation
        box(house).heal()
        await house.until(lambda: len(house.facts(Judged)) == 2)
    assert verdicts(house)[1] == (1, Reason.MISSING), "the look after it is better evidence"


@virtual
async def test_a_look_after_the_blindness_but_before_give_up_decides(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        box(house).fail(REFUSED)
        await house.probe()
        await house.sleep(1_000)
        box(house).heal()
        await house.until(lambda: house.facts(Judged))
    (fact,) = house.facts(Judged)
    assert fact.reason is Reason.PASS, "it may have lain there since the first second: late is not proven"
    assert any("no look at this folder separates" in note for note in fact.notes)
    assert fact.at.seconds_since(start) > 1_000 and fact.uncertainty_seconds is None


# --- what is found --------------------------------------------------------------------------------------------------


@virtual
async def test_a_moved_message_is_one_message(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        await house.sleep(30)
        box(house).move(1, "INBOX", "Junk")
        await house.until(lambda: len(house.facts(Judged)) == 2)
        await house.sleep(1_000)
    assert verdicts(house) == [(0, Reason.PASS), (1, Reason.SPAM)], "moved to junk later: a revision, and no duplicate"
    first, second = house.facts(Sighted)
    seqs = {entry.fact: entry.seq for entry in house.entries if isinstance(entry.fact, Sighted)}
    assert second.supersedes == (seqs[first],)
    assert any("first seen in INBOX" in note for note in house.facts(Judged)[1].notes)


@virtual
async def test_a_second_copy_is_a_revision(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        await house.sleep(100)
        box(house).deliver(b"Received: by another hop\r\n" + mail.message, "Archive")
        await house.until(lambda: len(house.facts(Judged)) == 2)
    assert verdicts(house) == [(0, Reason.PASS), (1, Reason.DUPLICATE)]
    assert "arrived 2 times: INBOX, folder 'Archive'" in house.facts(Judged)[1].explanation


@virtual
async def test_the_same_bytes_in_two_folders_are_labels_on_one_message(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        box(house).deliver(mail.message, "Archive")
        await house.sleep(1_000)
    assert len(house.facts(Sighted)) == 2 and verdicts(house) == [(0, Reason.PASS)]


@virtual
async def test_a_new_uidvalidity_is_no_second_copy(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        box(house).renew_uidvalidity("INBOX")
        await house.sleep(1_000)
    assert verdicts(house) == [(0, Reason.PASS)]
    assert [fact.uidvalidity for fact in house.facts(Sighted)] == [1, 2]


@virtual
async def test_a_folder_that_a_filter_makes_at_its_first_mail_is_looked_into(tmp_path: Path) -> None:
    house = House(policy(tmp_path))

    def filed(mail: MailSubmission) -> tuple[FakeAccount, str]:
        box(house).folders.setdefault("Refunds", FakeFolder())
        return box(house), "Refunds"

    house.post.into = filed
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
    assert verdicts(house) == [(0, Reason.MISFILED)] and "'Refunds'" in house.facts(Judged)[0].explanation


@virtual
async def test_a_probe_that_lies_in_the_holding_store_is_misrouted_with_the_place(tmp_path: Path) -> None:
    house = House(policy(tmp_path, holding=True))
    holding = house.accounts[MailboxName("holding")]
    house.post.into = lambda mail: (holding, "INBOX")
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        assert verdicts(house) == [(0, Reason.MISROUTED)] and house.times(Judged, start) == [1.0]
        assert house.facts(Judged)[0].explanation == "arrived in INBOX of mailbox holding, and not in seed-1"
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        await house.sleep(30)
        box(house).deliver(mail.message)
        await house.until(lambda: len(house.facts(Judged)) == 2)
    assert house.facts(Judged)[1].reason is Reason.PASS, "released from the store to its owner in time"
    assert any("first seen in INBOX of holding" in note for note in house.facts(Judged)[1].notes)


# --- refund mail without a token ------------------------------------------------------------------------------------


@virtual
async def test_held_refund_mail_is_named_by_the_reply_that_comes_later(tmp_path: Path) -> None:
    house = House(policy(tmp_path), outcomes=[replace(TAKEN, app_refund_id="rf_00000001")])
    house.post.transit, house.post.took = None, 20.0
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.sleep(2)
        box(house).deliver(SHOPS_OWN % (b"1", b"rf_00000001"))
        await house.until(lambda: house.facts(Sighted))
        await house.sleep(1)
    assert house.times(Accepted, start) == [20.0]
    assert not house.facts(Stray)
    (fact,) = house.facts(Sighted)
    assert fact.carriers == (Carrier.REFUND_NUMBER,)
    assert fact.at.seconds_since(start) == pytest.approx(2.0), "seen when it was read, not when it was named"
    (judged,) = house.facts(Judged)
    assert house.times(Judged, start) == [20.0], "and named at once"
    assert judged.transit_seconds == 0.0 and "lost on the way" in " ".join(judged.notes)


@virtual
async def test_refund_mail_that_nobody_names_is_a_stray_only_when_no_attempt_could_be_meant(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    house.post.transit = None
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        await house.probe()
        await house.sleep(2)
        box(house).deliver(SHOPS_OWN % (b"1", b"4711"))
        await house.sleep(470)
        assert not house.facts(Stray), "the attempt is younger than missing_after"
        marks = [fact.mark.next_uid for fact in house.facts(Scanned) if fact.folder == "INBOX"]
        assert marks[-1] == 1, "a restart would read it again"
        await house.sleep(60)
    (stray,) = house.facts(Stray)
    assert stray.mailbox == seed(1) and "without a token of ours" in stray.why and "49.90" in stray.why
    assert [fact.mark.next_uid for fact in house.facts(Scanned) if fact.folder == "INBOX"][-1] == 2
    assert verdicts(house) == [(0, Reason.MISSING)]
    assert stray.digest and house.clock.now().seconds_since(start) > 480


@virtual
async def test_with_nothing_under_way_it_is_a_stray_at_once(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        start = house.clock.now()
        box(house).deliver(SHOPS_OWN % (b"1", b"4711"))
        await house.until(lambda: house.facts(Stray))
        box(house).deliver(b"Subject: lunch?\r\n\r\nat noon\r\n")
        await house.sleep(100)
    assert house.times(Stray, start) == [0.0]


@virtual
async def test_held_mail_survives_a_restart(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    first = House(rules, outcomes=[replace(TAKEN, app_refund_id="rf_00000001")])
    first.post.transit, first.post.took = None, 50.0
    async with first.running():
        await first.sleep(10)
        await first.probe()
        await first.sleep(2)
        box(first).deliver(SHOPS_OWN % (b"1", b"4711"))
        await first.sleep(5)
        assert not first.facts(Stray)
    second = await House(rules, before=first).restored()
    async with second.running():
        await second.sleep(1_000)
    assert len(second.facts(Stray)) == 1


@virtual
async def test_tokens_that_are_not_ours_are_counted_and_left_alone(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    route = next(iter(house.policy.routes))
    mail = b"Subject: Your refund\r\nX-Mailcanary-Token: %s\r\n\r\nYour refund of EUR 5.00\r\n"
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        now = int(house.clock.now().utc)
        for environment, instance in (("test", "two"), ("staging", "one"), ("test", "one")):
            text = token.mint(house.policy.keys, environment, instance, ProbeId("abcdefabcdef"), route, now)
            box(house).deliver(mail % text.encode())
        good = house.facts(ProbePlanned)[0].token
        box(house).deliver(mail % (good[:-1] + ("a" if good[-1] != "a" else "b")).encode())
        await house.sleep(DAY * 2)
    kinds = [ForeignKind.INSTANCE, ForeignKind.ENVIRONMENT, ForeignKind.UNKNOWN_PROBE, ForeignKind.FORGED]
    assert [fact.kind for fact in house.facts(Foreign)] == kinds
    assert not house.facts(Stray) and verdicts(house) == [(0, Reason.PASS)]
    assert len(box(house).folders["INBOX"].messages) == 4, "all but our own"


@virtual
async def test_a_dsn_in_a_watched_mailbox_bounces_its_probe(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=2))
    house.post.transit = None
    async with house.running():
        await house.sleep(10)
        await house.probe(seed(1))
        await house.until(lambda: house.facts(Accepted))
        mail = house.post.submissions[0]
        assert isinstance(mail, MailSubmission)
        report = (
            f"From: MAILER-DAEMON@relay.test\r\nTo: <{mail.envelope_sender}>\r\nSubject: Undelivered\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\r\n\r\n'
            "--b\r\nContent-Type: text/plain\r\n\r\nsorry\r\n"
            "--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; relay.test\r\n\r\n"
            f"Final-Recipient: rfc822; {mail.recipient}\r\nAction: failed\r\nStatus: 5.1.1\r\nDiagnostic-Code: smtp; 550 unknown\r\n\r\n"
            f"--b\r\nContent-Type: text/rfc822-headers\r\n\r\nMessage-ID: {mail.message_id}\r\n\r\n--b--\r\n"
        )
        box(house, 2).deliver(report.encode())
        await house.until(lambda: house.facts(Judged))
        await house.sleep(1_000)
    assert len(house.facts(DsnReceived)) == 1 and verdicts(house) == [(0, Reason.BOUNCED)]
    assert "failed (5.1.1)" in house.facts(Judged)[0].explanation and "550 unknown" in house.facts(Judged)[0].explanation


# --- clean-up -------------------------------------------------------------------------------------------------------


@virtual
async def test_our_own_judged_and_aged_copies_are_removed_and_nothing_else(tmp_path: Path) -> None:
    house = House(policy(tmp_path, watch={"poll_every": "2m"}))
    letter = box(house).deliver(b"Subject: lunch?\r\n\r\nat noon\r\n")
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.until(lambda: house.facts(Judged))
        (seen,) = house.facts(Sighted)
        await house.until(lambda: house.facts(Closed))
        assert len(box(house).folders["INBOX"].messages) == 2, "closed, but not aged"
        await house.until(lambda: house.facts(CleanedUp), DAY * 2)
        await house.sleep(DAY)
    (gone,) = house.facts(CleanedUp)
    age = gone.at.seconds_since(seen.at)
    assert DAY <= age <= DAY + 121
    assert (gone.probe, gone.folder, gone.uid) == (seen.probe, "INBOX", seen.uid)
    assert [message.uid for message in box(house).folders["INBOX"].messages] == [letter]
    assert not house.world.leftovers
    assert [method for _, method in box(house).calls].count("remove") == 1


@virtual
async def test_copies_that_were_renumbered_after_they_closed_are_still_cleaned_up(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        box(house).deliver(b"Subject: lunch?\r\n\r\nat noon\r\n")
        await house.probe()
        await house.until(lambda: house.facts(Closed), DAY)
        box(house).folders["INBOX"].messages.pop(0)
        box(house).renew_uidvalidity("INBOX")
        await house.sleep(DAY + 1_000)
    assert not box(house).folders["INBOX"].messages
    assert not house.facts(Foreign) and len(house.facts(CleanedUp)) == 1


@virtual
async def test_clean_up_can_be_switched_off(tmp_path: Path) -> None:
    house = House(policy(tmp_path, mailboxes={"seed-1": {"clean_up": False}}))
    async with house.running():
        await house.sleep(10)
        await house.probe()
        await house.sleep(DAY * 2)
    assert len(box(house).folders["INBOX"].messages) == 1 and not house.facts(CleanedUp)
    assert "remove" not in {method for _, method in box(house).calls}


@virtual
async def test_mail_that_came_while_we_were_down_is_found_and_counts_from_its_attempt(tmp_path: Path) -> None:
    rules = policy(tmp_path)
    first = House(rules)
    async with first.running():
        await first.sleep(10)
        await first.probe()
        await first.until(lambda: first.facts(Accepted))
    second = await House(rules, before=first).restored()
    await second.sleep(30)
    async with second.running():
        await second.until(lambda: second.facts(Judged))
    (fact,) = second.facts(Judged)
    assert fact.reason is Reason.PASS and "transit measured by UTC across a restart" in fact.notes
    assert fact.transit_seconds == pytest.approx(30, abs=1)


@virtual
async def test_a_burst_of_other_mail_is_read_in_pieces_and_every_probe_is_found(tmp_path: Path) -> None:
    house = House(policy(tmp_path))
    async with house.running():
        await house.sleep(10)
        for number in range(95):
            box(house).deliver(b"Subject: letter %d\r\n\r\nhello\r\n" % number)
        probes = [(await house.probe())[0] for _ in range(5)]
        await house.until(lambda: len(house.facts(Judged)) == 5)
    assert {fact.probe for fact in house.facts(Sighted)} == set(probes)
    assert all(fact.reason is Reason.PASS for fact in house.facts(Judged))


@virtual
async def test_the_watchers_of_many_accounts_do_not_log_in_at_one_instant(tmp_path: Path) -> None:
    house = House(policy(tmp_path, seeds=40))
    async with house.running("watch"):
        await house.until(lambda: len(house.facts(WatchRestored)) == 40)
    starts = sorted(account.calls[0][0] for account in house.accounts.values())
    assert len(set(starts)) == 40
    assert RELAY in house.policy.paths
