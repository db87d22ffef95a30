"""tripwire on virtual time behind watch: what trips, what does not, and that a restart neither forgets nor repeats."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from monitor.model.address import Address
from monitor.model.facts import Doubted, Entry, Fact, Foreign, Imitated, Judged, Sighted, Stray, Tripped, Unasked
from monitor.model.instant import Instant
from monitor.model.mail import Authentication, AuthResult
from monitor.model.mailauth import DeliveredMail
from monitor.model.policy import Policy, Role
from monitor.model.probe import MailboxName
from monitor.model.submission import MailSubmission
from monitor.model.verdict import Reason
from monitor.rules.tripwire import IMITATED_A_DAY, STRAYS_A_DAY, UNASKED_A_DAY
from monitor.stages.tripwire import Tripwire
from monitor.views.tripwires import KEPT, Tripwires
from tests.fakes.mailbox import FakeAccount
from tests.stages.house import House, policy, seed
from tests.stages.virtual import virtual

CORPUS = Path(__file__).parent.parent / "corpus" / "tripwire"
WIRE = MailboxName("tripwire-1")
OURS = (CORPUS / "ours" / "english.eml").read_bytes()


def wired(directory: Path, **changes: object) -> Policy:
    """One seed, and a tripwire mailbox that trusts its receiver."""
    known = policy(directory, holding=True)
    box = replace(
        known.mailboxes[MailboxName("holding")],
        name=WIRE,
        role=Role.TRIPWIRE,
        address=Address.parse("nobody.bought@mailbox.example"),
        authserv_ids=("mx.mailbox.example",),
        clean_up=False,
        **changes,  # type: ignore[arg-type]
    )
    return replace(known, mailboxes={seed(1): known.mailboxes[seed(1)], WIRE: box}, sending_domains=("shop.example",))


class WiredHouse(House):
    def build(self) -> None:
        super().build()
        self.tripwire = Tripwire(self.desk)

    @property
    def wire(self) -> FakeAccount:
        return self.accounts[WIRE]


STAGES = ("submit", "watch", "judge", "tripwire")


@pytest.mark.parametrize("case", sorted((CORPUS / "ours").glob("*.eml")), ids=lambda case: case.stem)
def test_our_refund_mail_trips(case: Path, tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = WiredHouse(wired(tmp_path))
        async with house.running(*STAGES):
            await house.sleep(60)
            house.wire.deliver(case.read_bytes())
            await house.sleep(1)
        (stray,), (trip,) = house.facts(Stray), house.facts(Tripped)
        assert stray.author_domain.lower().endswith("shop.example") and stray.amounts and stray.internaldate is not None
        assert (trip.mailbox, trip.author_domain) == (WIRE, stray.author_domain)
        assert house.entries[trip.stray - 1].fact == stray
        assert "mx.mailbox.example says" in trip.evidence[0] and "=pass" in trip.evidence[0]
        assert stray.amounts[0] in trip.evidence[1] and "arrived at" in trip.evidence[2]

    run()


@pytest.mark.parametrize("case", sorted((CORPUS / "not_ours").glob("*.eml")), ids=lambda case: case.stem)
def test_nothing_else_trips(case: Path, tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = WiredHouse(wired(tmp_path))
        async with house.running(*STAGES):
            await house.sleep(60)
            house.wire.deliver(case.read_bytes())
            await house.sleep(1)
        assert house.facts(Tripped) == []

    run()


@virtual
async def test_all_of_them_in_one_mailbox(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    ours, others = (sorted((CORPUS / kind).glob("*.eml")) for kind in ("ours", "not_ours"))
    async with house.running(*STAGES):
        for case in (*others, *ours, *others):
            house.wire.deliver(case.read_bytes(), "Junk" if len(case.stem) % 2 else "INBOX")
        await house.sleep(900)
    assert len(house.facts(Tripped)) == len(ours)
    assert len(house.facts(Foreign)) == 2, "the forged token, twice"
    assert {name for _, name in house.wire.calls} <= {"open", "folders", "look", "idle", "present"}, "nothing is ever removed"


@virtual
async def test_the_same_mail_trips_once_wherever_it_lies_and_after_a_new_uidvalidity(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    async with house.running(*STAGES):
        house.wire.deliver(OURS)
        house.wire.deliver(OURS)
        house.wire.deliver(OURS, "Archive")
        await house.sleep(1_000)
        house.wire.renew_uidvalidity("INBOX")
        house.wire.deliver(b"Subject: hello\r\n\r\n")
        await house.sleep(1_000)
    assert len(house.facts(Stray)) == 5 and len(house.facts(Tripped)) == 1


@virtual
async def test_a_stray_is_not_held_although_a_probe_is_on_its_way(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    house.post.transit = None
    async with house.running(*STAGES):
        await house.sleep(30)
        await house.probe()
        await house.sleep(1)
        assert house.world.probes_to(seed(1))[0].hunted
        house.wire.deliver(OURS)
        await house.sleep(1)
        assert len(house.facts(Tripped)) == 1


@virtual
async def test_a_probe_that_leaked_there_is_misrouted_and_trips_nothing(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))

    def astray(mail: MailSubmission) -> tuple[FakeAccount, str]:
        return house.wire, "INBOX"

    house.post.into = astray
    async with house.running(*STAGES):
        await house.sleep(30)
        await house.probe()
        await house.sleep(60)
        (seen,) = house.facts(Sighted)
        assert seen.mailbox == WIRE
        assert [fact.reason for fact in house.facts(Judged)] == [Reason.MISROUTED]
    assert house.facts(Stray) == house.facts(Tripped) == []


@virtual
async def test_a_probe_without_its_token_is_known_there_by_its_number(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    house.post.transit = None
    async with house.running(*STAGES):
        await house.sleep(30)
        await house.probe()
        await house.sleep(1)
        number = house.world.probes_to(seed(1))[0].plan.story.refund_number
        house.wire.deliver(OURS.replace(b"RF-1001", number.encode()))
        await house.sleep(1)
        assert [fact.mailbox for fact in house.facts(Sighted)] == [WIRE]
    assert house.facts(Stray) == house.facts(Tripped) == []


@virtual
async def test_a_flood_of_phish_hides_no_trip_and_makes_none(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    phish = (CORPUS / "not_ours" / "phish-in-our-name.eml").read_bytes()
    async with house.running(*STAGES):
        for number in range(KEPT + 100):
            house.wire.deliver(phish.replace(b"RF-1001", b"RF-%d" % number))
        house.wire.deliver(OURS)
        await house.sleep(60)
    assert len(house.facts(Stray)) == STRAYS_A_DAY + 1 and len(house.facts(Tripped)) == 1


@virtual
async def test_a_flood_of_signed_phish_is_written_whole_and_hides_no_trip(tmp_path: Path) -> None:
    """Any of them might be ours."""
    house = WiredHouse(wired(tmp_path))
    phish = b"DKIM-Signature: v=1; d=shop.example\n" + (CORPUS / "not_ours" / "phish-in-our-name.eml").read_bytes()
    async with house.running(*STAGES):
        for number in range(KEPT + 100):
            house.wire.deliver(phish.replace(b"RF-1001", b"RF-%d" % number))
        house.wire.deliver(OURS)
        await house.sleep(60)
    assert len(house.facts(Stray)) == KEPT + 101 and len(house.facts(Tripped)) == 1
    assert len(house.world.tripwires.lying) <= KEPT


@virtual
async def test_refund_mail_of_others_is_a_bounded_number_of_facts(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    receipt = (CORPUS / "not_ours" / "receipt-of-another-shop.eml").read_bytes()
    async with house.running(*STAGES):
        for number in range(1_000):
            house.wire.deliver(b"Subject: refund %d of $5.00\n" % number + receipt)
        await house.sleep(600)
        assert house.facts(Stray) == [] and len(house.facts(Unasked)) == UNASKED_A_DAY
        await house.sleep(86_400)
        house.wire.deliver(receipt)
        await house.sleep(600)
    assert house.facts(Stray) == [] and house.facts(Unasked)[-1].more == 1_000 - UNASKED_A_DAY


@virtual
async def test_what_looks_like_ours_is_bounded_too_and_the_rest_is_counted(tmp_path: Path) -> None:
    known = wired(tmp_path)
    first = WiredHouse(known)
    alike = OURS.replace(b"@shop.example", b"@shop-example.test").replace(b"header.from=shop.example", b"header.from=shop-example.test")
    async with first.running(*STAGES):
        for number in range(STRAYS_A_DAY + 40):
            first.wire.deliver(alike.replace(b"RF-1001", b"RF-%d" % number))
        await first.sleep(600)
        assert len(first.facts(Stray)) == STRAYS_A_DAY and len(first.facts(Imitated)) == IMITATED_A_DAY
        await first.sleep(86_400)
        first.wire.deliver(alike.replace(b"RF-1001", b"RF-new"))
        await first.sleep(600)
        assert first.facts(Stray)[-1].more == 40
        assert sum(1 + fact.more for fact in first.facts(Imitated)) == STRAYS_A_DAY + 41, "none is forgotten"
        for number in range(STRAYS_A_DAY - 1):
            first.wire.deliver(alike.replace(b"RF-1001", b"RF-again-%d" % number))
        await first.sleep(600)
    second = await WiredHouse(known, first).restored()
    async with second.running(*STAGES):
        second.wire.deliver(alike.replace(b"RF-1001", b"RF-last"))
        await second.sleep(600)
    assert len(second.facts(Stray)) == 2 * STRAYS_A_DAY, "the day of a restart is one day"


@virtual
async def test_what_was_only_counted_is_carried_over_a_day_that_is_full(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    alike = OURS.replace(b"@shop.example", b"@shop-example.test")
    async with house.running(*STAGES):
        for number in range(IMITATED_A_DAY):
            house.wire.deliver(alike.replace(b"RF-1001", b"RF-%d" % number))
        await house.sleep(600)
        assert len(house.facts(Imitated)) == IMITATED_A_DAY
        await house.journal.append([replace(house.facts(Stray)[-1], digest="later", more=7)])
        await house.sleep(86_400)
        house.wire.deliver(alike)
        await house.sleep(600)
    assert house.facts(Imitated)[-1].more == 1 + 7


SENT_ON = OURS.replace(b"spf=pass smtp.mailfrom=bounce+77@shop.example", b"spf=fail smtp.mailfrom=bounce+77@shop.example")
SENT_ON = SENT_ON.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=shop.example; s=s1; h=%s; bh=eA==; b=eA==\r\n"


@pytest.mark.parametrize(
    ("headers", "trips"),
    [
        pytest.param(SIGNATURE % b"from:to:subject", True, id="as we sent it"),
        pytest.param(SIGNATURE % b"from:subject", False, id="its To is not signed"),
        pytest.param(SIGNATURE % b"from:to:subject" + b"To: nobody.bought@mailbox.example\r\n", False, id="another To on top"),
        pytest.param(SIGNATURE % b"from:to" + SIGNATURE % b"from", False, id="of two signatures"),
        pytest.param((SIGNATURE % b"from:to").replace(b"\r", b"") + SIGNATURE % b"from", False, id="ours below another line end"),
        pytest.param(
            (SIGNATURE % b"from:to").replace(b"shop.example", b"x.test") * 10 + SIGNATURE % b"from", False, id="ours below many others"
        ),
    ],
)
def test_an_old_mail_of_ours_that_a_stranger_sends_on_is_in_doubt(headers: bytes, trips: bool, tmp_path: Path) -> None:
    """Also where nothing is inspected: nobody can check then which To was signed, and with what."""

    @virtual
    async def run() -> None:
        known = wired(tmp_path)
        house = WiredHouse(replace(known, inspect=replace(known.inspect, enabled=False)))
        async with house.running(*STAGES):
            house.wire.deliver(headers + SENT_ON)
            await house.sleep(60)
        assert len(house.facts(Tripped)) == trips and len(house.facts(Doubted)) == (not trips)

    run()


@virtual
async def test_a_probe_that_arrived_and_leaked_too_is_misrouted_not_merely_held(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    deliver = house.post.into

    def both(mail: MailSubmission) -> tuple[FakeAccount, str]:
        house.wire.deliver(mail.message)
        return deliver(mail)

    house.post.into = both
    async with house.running(*STAGES):
        await house.sleep(30)
        await house.probe()
        await house.sleep(60)
    assert Reason.MISROUTED in {house.facts(Judged)[-1].reason, *house.facts(Judged)[-1].also}


@virtual
async def test_a_restart_catches_up_and_does_not_trip_again(tmp_path: Path) -> None:
    first = WiredHouse(wired(tmp_path))
    async with first.running("watch"):  # dies before the stage has decided
        first.wire.deliver(OURS)
        await first.sleep(60)
    assert len(first.facts(Stray)) == 1
    second = await WiredHouse(first.policy, first).restored()
    async with second.running(*STAGES):
        await second.sleep(60)
    assert len(second.facts(Tripped)) == 1
    third = await WiredHouse(first.policy, second).restored()
    async with third.running(*STAGES):
        await third.sleep(60)
        third.wire.deliver(OURS)
        await third.sleep(60)
    assert len(third.facts(Stray)) == 2 and len(third.facts(Tripped)) == 1


@virtual
async def test_a_seed_and_a_removed_mailbox_never_trip(tmp_path: Path) -> None:
    house = WiredHouse(wired(tmp_path))
    async with house.running(*STAGES):
        house.accounts[seed(1)].deliver(OURS)
        await house.sleep(1)
        (stray,) = house.facts(Stray)
        await house.journal.append([replace(stray, mailbox=MailboxName("gone"), digest="other")])
        await house.sleep(1)
    assert stray.mailbox == seed(1) and stray.author_domain == "shop.example"
    assert house.facts(Tripped) == []


@virtual
async def test_without_trusted_results_it_stays_a_stray_that_says_why(tmp_path: Path) -> None:
    known = wired(tmp_path)
    blind = replace(known, mailboxes={**known.mailboxes, WIRE: replace(known.mailboxes[WIRE], authserv_ids=())})
    house = WiredHouse(blind)
    async with house.running(*STAGES):
        house.wire.deliver(OURS)
        house.wire.deliver(OURS.replace(b"@shop.example", b"@shop-example.test"))
        await house.sleep(1)
    ours, theirs = house.facts(Stray)
    assert "mailboxes.tripwire-1.authserv_ids" in ours.why and "authserv_ids" not in theirs.why
    assert house.facts(Tripped) == []


# ---- the view ---------------------------------------------------------------------------------------------------------


def stray(number: int, mailbox: str = WIRE) -> Stray:
    at = Instant(1.0, 1.0, "p")
    return Stray(at, MailboxName(mailbox), "INBOX", f"d{number}", "<m>", Authentication(dkim=AuthResult.PASS), "why", "shop.example")


def folded(*facts: Fact) -> Tripwires:
    view = Tripwires()
    for seq, fact in enumerate(facts, 1):
        view.fold(Entry(seq, "", fact))
    return view


def trip(seq: int) -> Tripped:
    return Tripped(Instant(2.0, 2.0, "p"), WIRE, seq, "shop.example", ("evidence",))


def test_the_view_keeps_what_lies_and_what_tripped() -> None:
    view = folded(stray(1), stray(2), trip(2), stray(2), stray(2, "elsewhere"), trip(99))
    assert list(view.lying) == [1, 5] and view.tripped == {f"{WIRE} d2": 2}
    assert view.has_tripped(stray(2)) and not view.has_tripped(stray(1)) and not view.has_tripped(stray(2, "elsewhere"))


def test_the_view_is_bounded() -> None:
    view = folded(*(stray(number) for number in range(KEPT + 7)))
    assert len(view.lying) == KEPT and min(view.lying) == 8
    facts: list[Fact] = []
    for number in range(KEPT + 7):
        facts += [stray(number), trip(2 * number + 1)]
    view = folded(*facts)
    assert len(view.tripped) == KEPT and view.has_tripped(stray(KEPT)) and not view.has_tripped(stray(0))


def test_what_was_decided_on_one_claim_settles_no_other() -> None:
    """Also where the claim itself is not in the journal, and with or without it."""
    one = replace(stray(1), claimed="one")
    view = folded(one, Doubted(Instant(2.0, 2.0, "p"), WIRE, 1, "shop.example", ("evidence",)))
    assert view.is_settled(one) and view.is_settled(replace(one, claim=DeliveredMail(envelope_domain="shop.example")))
    assert not view.is_settled(replace(one, claimed="two")) and not view.is_settled(stray(1))
