"""tripwire with a resolver, on virtual time: the corpus, lookups that fail, restarts, floods, and a gate that runs meanwhile."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

import monitor.rules.mailauth.prove  # noqa: F401 - else a thread reads it, which virtual time does not wait for
from monitor.desk import MOST_CLAIMS
from monitor.model.dns import DnsFailure, RecordType
from monitor.model.facts import Doubted, Imitated, Stray, Transition, Tripped, Unasked
from monitor.model.gate import Because
from monitor.model.incident import Phase, Severity
from monitor.model.inspection import DomainPolicy
from monitor.model.mailauth import DeliveredMail
from monitor.model.policy import Policy
from monitor.model.verdict import Symptom, Verdict
from monitor.rules.tripwire import CLAIMS_A_DAY, DOUBTED_A_DAY, IMITATED_A_DAY, RETRIES, STRAYS_A_DAY, UNASKED_A_DAY
from monitor.stages.tripwire import MOST_WAITING, PROVE_WITHIN, Tripwire
from monitor.views.tripwires import KEPT_CLAIMS
from tests.fakes.resolver import FakeResolver
from tests.rules.dkim.signing import rsa, sign
from tests.stages.shop import STAGES as SHOP_STAGES
from tests.stages.shop import ShopHouse, shop_policy
from tests.stages.test_tripwire import CORPUS, WIRE, WiredHouse, wired
from tests.stages.virtual import virtual

STAGES = ("watch", "tripwire")
PROVEN = (CORPUS / "proven" / "receiver-silent.eml").read_bytes()
PHISH = (CORPUS / "imitation" / "in-our-name-receiver-silent.eml").read_bytes()
SPAM = (CORPUS / "unrelated" / "spam.eml").read_bytes()
ALL_TRIES = sum(RETRIES) + PROVE_WITHIN * (1 + len(RETRIES)) + 60


class Suffixes:
    """ports.SuffixList for names of two labels."""

    def registrable(self, domain: str) -> str:
        return ".".join(domain.split(".")[-2:])


def zone(case: Path | None = None) -> FakeResolver:
    """The corpus' zone, with what the case changes in it."""
    records: dict[str, list[str] | str] = json.loads((CORPUS / "dns.json").read_text())
    if case is not None and (own := case.with_suffix(".dns.json")).exists():
        records |= json.loads(own.read_text())
    return FakeResolver(
        records={(name, RecordType.TXT): tuple(texts) for name, texts in records.items() if isinstance(texts, list) and texts},
        failures={name: DnsFailure.TIMEOUT for name, texts in records.items() if texts == "timeout"},
    )


def inspected(directory: Path, **changes: object) -> Policy:
    known = wired(directory, provider="mailbox", **changes)
    domains = {"shop.example": DomainPolicy("shop.example", selectors=("s1",))}
    return replace(known, inspect=replace(known.inspect, enabled=True, domains=domains))


class ProvingHouse(WiredHouse):
    resolver: FakeResolver | None = None

    def build(self) -> None:
        super().build()
        self.resolver = self.resolver or zone()
        self.tripwire = Tripwire(self.desk, self.resolver, Suffixes())

    def told(self) -> list[str]:
        return [type(entry.fact).__name__.lower() for entry in self.entries if isinstance(entry.fact, Tripped | Doubted | Imitated)]


def cases(kind: str) -> list[Path]:
    return sorted((CORPUS / kind).glob("*.eml"))


def after(case: Path, directory: Path) -> ProvingHouse:
    """Everything is over that the stage will ever do about it."""
    house = ProvingHouse(inspected(directory))
    house.resolver = zone(case)

    @virtual
    async def run() -> None:
        async with house.running(*STAGES):
            await house.sleep(60)
            house.wire.deliver(case.read_bytes())
            await house.sleep(ALL_TRIES)

    run()
    return house


# ---- the corpus ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", cases("proven"), ids=lambda case: case.stem)
def test_our_own_check_trips(case: Path, tmp_path: Path) -> None:
    house = after(case, tmp_path)
    (trip,) = house.facts(Tripped)
    assert house.told() == ["tripped"]
    assert trip.evidence[0].startswith("our own check of the DKIM signature: pass, d=") and "s=s1" in trip.evidence[0]
    assert house.clock is not None and trip.at.mono - house.facts(Stray)[0].at.mono < 0.001, "as soon as the lookup has its answer"


@virtual
async def test_a_signature_that_expired_before_we_looked_was_good_when_the_mail_came(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.records["s1._domainkey.shop.example", RecordType.TXT] = (rsa().record(),)
    unsigned = re.sub(rb"(?ms)^DKIM-Signature:.*?\r\n(?![ \t])", b"", PROVEN)
    async with house.running(*STAGES):
        await house.sleep(60)
        now = house.desk.clock.now().utc
        raw = sign(unsigned, domain="shop.example", forced={"t": f"{now - 7_200:.0f}", "x": f"{now - 3_600:.0f}"})
        house.wire.deliver(raw, internaldate=now - 7_100)
        await house.sleep(ALL_TRIES)
    assert house.told() == ["tripped"], house.facts(Doubted)


@pytest.mark.parametrize("case", cases("ours"), ids=lambda case: case.stem)
def test_the_receivers_word_is_enough_and_nobody_is_asked(case: Path, tmp_path: Path) -> None:
    house = after(case, tmp_path)
    assert house.told() == ["tripped"]
    assert house.resolver is not None and house.resolver.asked == []


@pytest.mark.parametrize("case", cases("doubt"), ids=lambda case: case.stem)
def test_what_nobody_can_tell_is_said_to_be_so(case: Path, tmp_path: Path) -> None:
    house = after(case, tmp_path)
    assert house.told() == ["doubted"], house.facts(Tripped) + house.facts(Imitated)
    (doubt,) = house.facts(Doubted)
    assert "claims to be ours and cannot be verified" in doubt.evidence[0] or "its To names somebody else" in doubt.evidence[0]


@pytest.mark.parametrize("case", cases("imitation"), ids=lambda case: case.stem)
def test_what_imitates_us_is_told_apart(case: Path, tmp_path: Path) -> None:
    house = after(case, tmp_path)
    assert house.told() == ["imitated"], [fact.evidence for fact in (*house.facts(Tripped), *house.facts(Doubted))]


@pytest.mark.parametrize("case", cases("unrelated"), ids=lambda case: case.stem)
def test_unrelated_mail_only_shows_that_the_address_is_known(case: Path, tmp_path: Path) -> None:
    house = after(case, tmp_path)
    assert house.told() == []
    expected = 0 if case.stem == "welcome-of-the-provider" else 1
    assert len(house.facts(Unasked)) + len(house.facts(Stray)) == expected


@pytest.mark.parametrize("case", cases("not_ours"), ids=lambda case: case.stem)
def test_what_must_never_trip_does_not_with_our_own_check_either(case: Path, tmp_path: Path) -> None:
    assert "tripped" not in after(case, tmp_path).told()


def test_every_folder_has_its_test_and_every_zone_its_case() -> None:
    folders = {path.name for path in CORPUS.iterdir() if path.is_dir()}
    assert folders == {"ours", "proven", "doubt", "imitation", "unrelated", "not_ours"}
    assert all(path.with_name(path.name.removesuffix(".dns.json") + ".eml").exists() for path in CORPUS.glob("*/*.dns.json"))


# ---- lookups that fail --------------------------------------------------------------------------------------------------


@virtual
async def test_a_resolver_that_comes_back_trips_at_the_next_try(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.failures = {"*": DnsFailure.TIMEOUT}
    async with house.running(*STAGES):
        house.wire.deliver(PROVEN)
        await house.sleep(RETRIES[0] + RETRIES[1] - 1)
        assert house.told() == []
        house.resolver.failures = {}
        await house.sleep(2)
        (trip,) = house.facts(Tripped)
    assert trip.at.mono - house.facts(Stray)[0].at.mono == pytest.approx(RETRIES[0] + RETRIES[1], abs=0.01)


@virtual
async def test_tries_are_bounded_and_end_in_doubt(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.failures = {"*": DnsFailure.TIMEOUT}
    async with house.running(*STAGES):
        house.wire.deliver(PROVEN)
        await house.sleep(sum(RETRIES) - 1)
        assert house.told() == []
        await house.sleep(2)
        calls = house.resolver.calls
        assert house.told() == ["doubted"]
        await house.sleep(86_400)
        assert house.resolver.calls == calls
    assert calls <= 4 * (1 + len(RETRIES)), "each try asks a few rounds"


@virtual
async def test_a_resolver_that_hangs_delays_no_other_trip(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.takes = 1_000.0
    async with house.running(*STAGES):
        house.wire.deliver(PROVEN)
        await house.sleep(1)
        house.wire.deliver((CORPUS / "ours" / "english.eml").read_bytes().replace(b"RF-1001", b"RF-1002"))
        await house.sleep(1)
        assert house.told() == ["tripped"], "the receiver vouches for the second"
        assert house.desk.stuck() == {}


@virtual
async def test_a_restart_in_the_middle_goes_on(tmp_path: Path) -> None:
    first = ProvingHouse(inspected(tmp_path))
    first.resolver = zone()
    first.resolver.failures = {"*": DnsFailure.TIMEOUT}
    async with first.running(*STAGES):
        first.wire.deliver(PROVEN)
        first.wire.deliver((CORPUS / "imitation" / "our-signature-on-another-header.eml").read_bytes())
        await first.sleep(60)
    assert first.told() == []
    second = await ProvingHouse(first.policy, first).restored()
    async with second.running("tripwire"):
        await second.sleep(1)
    assert sorted(second.told()) == ["imitated", "tripped"]
    third = await ProvingHouse(first.policy, second).restored()
    async with third.running(*STAGES):
        await third.sleep(60)
    assert len(third.told()) == 2, "what is settled stays so"
    assert third.resolver is not None and third.resolver.calls == 0
    assert third.world.tripwires.undecided == {}


@virtual
async def test_a_reload_gives_what_waits_to_the_new_resolver(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.failures = {"*": DnsFailure.TIMEOUT}
    async with house.running(*STAGES):
        house.wire.deliver(PROVEN)
        await house.sleep(10)
        house.tripwire.reload(zone(), Suffixes())
        await house.sleep(1)
        assert house.told() == ["tripped"], "at once"


@virtual
async def test_without_a_resolver_what_waits_is_in_doubt(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.failures = {"*": DnsFailure.TIMEOUT}
    async with house.running(*STAGES):
        house.wire.deliver(PROVEN)
        await house.sleep(10)
        house.tripwire.reload(None, None)
        await house.sleep(1)
        assert house.told() == ["doubted"]


class Broken:
    """A suffix list with a bug."""

    def registrable(self, domain: str) -> str:
        raise ZeroDivisionError(domain)


@virtual
async def test_a_bug_in_a_check_ends_nothing(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running(*STAGES):
        house.tripwire.reload(zone(), Broken())
        house.wire.deliver(PROVEN)
        await house.sleep(1)
        assert house.told() == ["doubted"]
        house.tripwire.reload(zone(), Suffixes())
        house.wire.deliver(PROVEN.replace(b"Message-ID: <p1@", b"message-id: <p1@"))
        house.wire.deliver((CORPUS / "proven" / "tagged-recipient.eml").read_bytes().replace(b"\n", b"\r\n"))
        await house.sleep(1)
        assert "tripped" in house.told()


# ---- the same mail, and very much of it -----------------------------------------------------------------------------------


@virtual
async def test_the_same_mail_is_told_of_once_and_a_forged_twin_hides_nothing(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    twin = PROVEN[PROVEN.index(b"From: ") :]
    async with house.running(*STAGES):
        house.wire.deliver(
            b"Return-Path: <x@evil.example>\nReceived: from a (a [198.51.100.66]) by mx.mailbox.example with ESMTPS;\n" + twin
        )
        await house.sleep(10)
        assert house.told() == ["imitated"]
        for folder in ("INBOX", "Junk"):
            house.wire.deliver(PROVEN, folder)
        await house.sleep(1_000)
        assert house.told() == ["imitated", "tripped"]
        for folder in ("INBOX", "Archive"):
            house.wire.deliver(PHISH.replace(b"RF-1001", b"RF-1002"), folder)
        await house.sleep(1_000)
    assert house.told() == ["imitated", "tripped", "imitated"]


@virtual
async def test_a_thousand_spam_mails_are_a_bounded_number_of_facts(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running("watch", "tripwire", "incident"):
        for number in range(1_000):
            house.wire.deliver(SPAM.replace(b"win.test", b"win%d.test" % (number % 50)).replace(b"$1,000,000", b"gold %d" % number))
        await house.sleep(600)
        assert len(house.facts(Unasked)) == UNASKED_A_DAY
        await house.sleep(86_400)
        house.wire.deliver(SPAM)
        await house.sleep(600)
    assert len(house.facts(Unasked)) == UNASKED_A_DAY + 1
    assert house.facts(Unasked)[-1].more == 1_000 - UNASKED_A_DAY
    leak = [fact for fact in house.facts(Transition) if fact.symptom is Symptom.TRIPWIRE_LEAKED]
    assert [fact.phase for fact in leak] == [Phase.OPENED] and leak[0].severity is Severity.TICKET


@virtual
async def test_spam_in_two_folders_is_one_fact(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running(*STAGES):
        house.wire.deliver(SPAM)
        await house.sleep(10)
        house.wire.deliver(SPAM, "Junk")
        house.wire.renew_uidvalidity("INBOX")
        await house.sleep(1_000)
    assert len(house.facts(Unasked)) == 1


@virtual
async def test_the_day_of_a_restart_is_one_day(tmp_path: Path) -> None:
    first = ProvingHouse(inspected(tmp_path))
    async with first.running(*STAGES):
        for number in range(UNASKED_A_DAY):
            first.wire.deliver(SPAM.replace(b"$1,000,000", b"gold %d" % number))
        await first.sleep(60)
    second = await ProvingHouse(first.policy, first).restored()
    async with second.running(*STAGES):
        second.wire.deliver(SPAM)
        await second.sleep(60)
    assert len(second.facts(Unasked)) == UNASKED_A_DAY


@virtual
async def test_a_campaign_is_one_incident_within_bounds(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running("watch", "tripwire", "incident"):
        for number in range(1_000):
            house.wire.deliver(PHISH.replace(b"RF-1001", b"RF-%d" % number))
        await house.sleep(600)
        assert len(house.facts(Imitated)) == IMITATED_A_DAY
        assert house.facts(Doubted) == [] and len(house.facts(Stray)) == STRAYS_A_DAY
        kept = house.world.tripwires
        assert sum(stray.claim is not None for stray in kept.undecided.values()) <= KEPT_CLAIMS
        opened = [fact for fact in house.facts(Transition) if fact.symptom is Symptom.IMITATION and fact.phase is Phase.OPENED]
        assert len(opened) == 1 and opened[0].severity is Severity.TICKET
        house.wire.deliver((CORPUS / "ours" / "english.eml").read_bytes())
        await house.sleep(1)
        assert len(house.facts(Tripped)) == 1, "the receiver's word needs no proof"
        assert {fact.severity for fact in house.facts(Transition) if fact.symptom is Symptom.STRAY} == {Severity.PAGE}


@virtual
async def test_strangers_cannot_use_up_the_proof_of_a_trip(tmp_path: Path) -> None:
    """Nobody says which receiver to trust, and the day's claims are spent on forged mail in our name."""
    known = inspected(tmp_path)
    known = replace(known, mailboxes={**known.mailboxes, WIRE: replace(known.mailboxes[WIRE], authserv_ids=())})
    house = ProvingHouse(known)
    forged = (CORPUS / "imitation" / "our-signature-on-another-header.eml").read_bytes()
    async with house.running("watch", "tripwire", "incident"):
        for number in range(CLAIMS_A_DAY + DOUBTED_A_DAY + 50):
            house.wire.deliver(forged.replace(b"RF-1001", b"RF-%d" % number))
            await house.sleep(60)
        assert sum(fact.claim is not None for fact in house.facts(Stray)) == CLAIMS_A_DAY, "the journal is bounded"
        house.wire.deliver(PROVEN.replace(b"b=G+ucq", b"b=H+ucq"))
        await house.sleep(1_000)
        assert house.facts(Tripped) == [], "nor does a twin whose signature is forged hide it"
        house.wire.deliver(PROVEN)
        house.wire.deliver(PROVEN, "Junk")
        await house.sleep(1_000)
        (trip,) = house.facts(Tripped)
        assert trip.evidence[0].startswith("our own check of the DKIM signature: pass")
        assert {fact.severity for fact in house.facts(Transition) if fact.symptom is Symptom.STRAY} >= {Severity.PAGE}
    assert sum(fact.claim is not None for fact in house.facts(Stray)) == CLAIMS_A_DAY
    assert len(house.desk.claims) <= MOST_CLAIMS


@virtual
async def test_a_restart_without_its_claim_is_in_doubt_and_hides_no_other(tmp_path: Path) -> None:
    first = ProvingHouse(inspected(tmp_path))
    forged = (CORPUS / "imitation" / "our-signature-on-another-header.eml").read_bytes()
    async with first.running("watch"):  # dies before the stage has decided
        for number in range(CLAIMS_A_DAY):
            first.wire.deliver(forged.replace(b"RF-1001", b"RF-%d" % number))
        first.wire.deliver(PROVEN)
        await first.sleep(60)
    second = await ProvingHouse(first.policy, first).restored()
    async with second.running(*STAGES):
        await second.sleep(60)
        assert second.facts(Tripped) == [] and len(second.facts(Doubted)) > 0
        again = (CORPUS / "proven" / "tagged-recipient.eml").read_bytes()
        second.wire.deliver(again)
        await second.sleep(60)
    assert len(second.facts(Tripped)) == 1


def test_the_claims_that_a_desk_keeps_are_bounded(tmp_path: Path) -> None:
    desk = ProvingHouse(inspected(tmp_path)).desk
    for number in range(MOST_CLAIMS + 50):
        desk.keep(str(number), DeliveredMail(envelope_domain=str(number)))
    desk.keep("50", DeliveredMail())
    desk.keep("new", DeliveredMail())
    assert len(desk.claims) == MOST_CLAIMS and "50" in desk.claims, "what came again is the latest"
    assert "51" not in desk.claims and "52" in desk.claims


@virtual
async def test_a_flood_that_nobody_answers_for_waits_within_bounds_and_lets_the_newest_through(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    house.resolver = zone()
    house.resolver.failures = {"*": DnsFailure.TIMEOUT}
    base = (CORPUS / "doubt" / "nobody-answers-for-the-key.eml").read_bytes()
    async with house.running(*STAGES):
        for number in range(CLAIMS_A_DAY):
            house.wire.deliver(base.replace(b"RF-1001", b"RF-%d" % number))
        await house.sleep(10)
        assert house.told() == [] and len(house.world.tripwires.undecided) <= MOST_WAITING
        house.resolver.failures = {}
        await house.sleep(sum(RETRIES) + 60)
    assert len(house.told()) == CLAIMS_A_DAY


# ---- what else it says ----------------------------------------------------------------------------------------------------


@virtual
async def test_a_trip_where_the_address_is_known_says_so_in_its_evidence(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running(*STAGES):
        house.wire.deliver(PHISH)
        await house.sleep(10)
        house.wire.deliver(PROVEN)
        await house.sleep(10)
    (trip,) = house.facts(Tripped)
    assert len(trip.evidence) == 3 and "; the address is known outside since" in trip.evidence[2] and "typed it in" in trip.evidence[2]


@virtual
async def test_the_secret_and_the_addresses_stay_out_of_the_evidence(tmp_path: Path) -> None:
    house = ProvingHouse(inspected(tmp_path))
    async with house.running(*STAGES):
        for kind in ("proven", "doubt", "imitation"):
            for case in cases(kind):
                house.wire.deliver(case.read_bytes())
        await house.sleep(ALL_TRIES)
    told = [line for kind in (Tripped, Doubted, Imitated) for fact in house.facts(kind) for line in fact.evidence]
    assert told and not any("@" in line or "RF-" in line for line in told)


def test_the_mailbox_is_the_one_of_the_corpus(tmp_path: Path) -> None:
    assert str(inspected(tmp_path).mailboxes[WIRE].address) == "nobody.bought@mailbox.example"


# ---- a gate that runs -----------------------------------------------------------------------------------------------------


class GatedHouse(ShopHouse):
    """A release gate in front of a shop, and a tripwire that asks a resolver."""

    resolver: FakeResolver

    def build(self) -> None:
        super().build()
        self.tripwire = Tripwire(self.desk, self.resolver, Suffixes())


def gated(directory: Path) -> GatedHouse:
    shop, trap = shop_policy(directory), inspected(directory)
    known = replace(
        shop,
        mailboxes={**shop.mailboxes, WIRE: trap.mailboxes[WIRE]},
        sending_domains=trap.sending_domains,
        inspect=trap.inspect,
    )
    house = GatedHouse(known)
    house.resolver = zone()
    house.shop.transit = None  # nothing else decides for a long time
    return house


GATED = (*SHOP_STAGES, "tripwire")


@virtual
async def test_a_trip_that_we_prove_ourselves_fails_a_running_gate_at_once(tmp_path: Path) -> None:
    house = gated(tmp_path)
    house.resolver.takes = 0.2
    async with house.running(*GATED):
        await house.watching()
        state = await house.ask()
        await house.sleep(5)
        house.accounts[WIRE].deliver(PROVEN)
        (decision,) = await house.decided(state.id, seconds=5.0)
    (trip,) = house.facts(Tripped)
    assert (decision.verdict, decision.because) == (Verdict.FAIL, Because.TRIPPED)
    assert decision.at.mono - trip.at.mono < 0.001, "in the same moment"
    assert trip.at.mono - house.facts(Stray)[0].at.mono < 2.0, "as long as a few lookups take"


@virtual
async def test_a_trip_that_the_receiver_vouches_for_waits_for_no_lookup(tmp_path: Path) -> None:
    house = gated(tmp_path)
    house.resolver.takes = 1_000.0
    async with house.running(*GATED):
        await house.watching()
        state = await house.ask()
        await house.sleep(5)
        house.accounts[WIRE].deliver(PROVEN)
        house.accounts[WIRE].deliver((CORPUS / "ours" / "english.eml").read_bytes().replace(b"RF-1001", b"RF-1002"))
        (decision,) = await house.decided(state.id, seconds=5.0)
    assert decision.because is Because.TRIPPED
    assert decision.at.mono - house.facts(Stray)[-1].at.mono < 0.001


@pytest.mark.parametrize("kind", ["doubt", "imitation", "unrelated"])
def test_what_anybody_could_send_fails_no_gate(kind: str, tmp_path: Path) -> None:
    @virtual
    async def run() -> None:
        house = gated(tmp_path)
        house.shop.transit = 1.0
        async with house.running(*GATED):
            await house.watching()
            state = await house.ask()
            for case in (case for case in cases(kind) if not case.with_suffix(".dns.json").exists()):
                house.accounts[WIRE].deliver(case.read_bytes())
            (decision,) = await house.decided(state.id)
        assert (decision.verdict, decision.because) == (Verdict.PASS, Because.CLEAN)

    run()
