"""One job that mails strangers is one page: what trips in another mailbox soon after, and what the ledger finds of that time, are parts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from monitor.model.facts import Doubted, ResolveAsked, Silenced, SilencePlanned, Tripped
from monitor.model.incident import THE_LEDGER, IncidentId, Phase, Severity, SilenceId
from monitor.model.ledger import DifferenceClass
from monitor.model.policy import Role
from monitor.model.probe import MailboxName
from monitor.model.sources import LedgerPages
from monitor.model.verdict import Symptom
from monitor.rules.incident.tripwires import SAME_JOB
from monitor.rules.notify import owed
from monitor.views.tripwires import QUIET
from tests.rules.test_incident_ledger import LEDGER, Books
from tests.stages.house import seed

OPENED, GROWN, RESOLVED = Phase.OPENED, Phase.GROWN, Phase.RESOLVED
ONE, TWO, THREE = MailboxName("trap-1"), MailboxName("trap-2"), MailboxName("trap-3")
SPURIOUS = DifferenceClass.SPURIOUS


class Street(Books):
    """Three tripwires and a ledger, for which one bogus confirmation is a ticket and two are a page."""

    def __init__(self) -> None:
        super().__init__(replace(LEDGER, pages=replace(LedgerPages(), spurious=2)))
        box = self.policy.mailboxes[seed(1)]
        wires = {name: replace(box, name=name, role=Role.TRIPWIRE, provider="mailbox") for name in (ONE, TWO, THREE)}
        self.policy = replace(self.policy, mailboxes={**self.policy.mailboxes, **wires})
        self.layout = type(self.layout).of(self.policy)

    def trip(self, wire: MailboxName, t: float, ask: bool = True) -> list[Phase]:
        self.tell(Tripped(self.at(t), wire, 2, "shop.test", (f"certainly ours, in {wire}",)))
        return self.ask(t) if ask else []

    def doubt(self, wire: MailboxName, t: float) -> list[Phase]:
        self.tell(Doubted(self.at(t), wire, 1, "shop.test", ("it may be ours",)))
        return self.ask(t)

    def end(self, incident: str, t: float) -> list[Phase]:
        self.tell(ResolveAsked(self.at(t), IncidentId(incident), "ana", "stopped"))
        return self.ask(t)

    @property
    def promised(self) -> list[str]:
        """What people are told, or will be: the incidents, by promise."""
        return [item.transition.incident for item in self.world.outbox.items.values() if item.fires and not item.superseded]


def parents(of: Street) -> dict[str, str | None]:
    return {state.id: state.parent for state in of.world.incidents.open()}


@pytest.fixture
def of() -> Street:
    return Street()


class TestTrips:
    @pytest.mark.parametrize("later", [0.0, 1.0, SAME_JOB])
    def test_a_second_mailbox_soon_after_is_a_part(self, of: Street, later: float) -> None:
        assert of.trip(ONE, 0) == [OPENED] and of.trip(TWO, later) == [OPENED]
        assert parents(of) == {"INC-1": None, "INC-2": "INC-1"} and of.promised == ["INC-1"]
        told = of.last
        assert (told.severity, told.scope.name, told.note) == (Severity.PAGE, TWO, "part of INC-1")
        assert told.diagnosis is not None and told.diagnosis.shows[0] == "certainly ours, in trap-2"
        assert of.ask(later + 1) == []

    def test_two_that_trip_before_anybody_asks(self, of: Street) -> None:
        of.trip(ONE, 0, ask=False)
        assert of.trip(TWO, 2) == [OPENED, OPENED] and parents(of) == {"INC-1": None, "INC-2": "INC-1"}

    def test_a_third_is_a_part_of_the_first(self, of: Street) -> None:
        for t, wire in enumerate((ONE, TWO, THREE)):
            of.trip(wire, t * SAME_JOB / 2)
        assert parents(of) == {"INC-1": None, "INC-2": "INC-1", "INC-3": "INC-1"}

    def test_later_it_is_its_own(self, of: Street) -> None:
        of.trip(ONE, 0)
        of.trip(TWO, SAME_JOB + 1)
        assert parents(of) == {"INC-1": None, "INC-2": None} and of.promised == ["INC-1", "INC-2"]

    def test_after_a_person_ended_the_first_it_is_its_own(self, of: Street) -> None:
        of.trip(ONE, 0)
        assert of.end("INC-1", 10) == [RESOLVED] and of.trip(TWO, 20) == [OPENED]
        assert parents(of) == {"INC-2": None}

    def test_no_page_behind_a_ticket(self, of: Street) -> None:
        of.doubt(ONE, 0)
        of.trip(TWO, 10)
        assert of.said[0].severity is Severity.TICKET and parents(of) == {"INC-1": None, "INC-2": None}

    def test_a_ticket_of_doubt_that_became_a_page_speaks_from_then_on(self, of: Street) -> None:
        of.doubt(ONE, 0)
        assert of.trip(ONE, 3_600) == [GROWN]
        of.trip(TWO, 3_700)
        assert parents(of) == {"INC-1": None, "INC-2": "INC-1"}

    def test_a_doubt_is_no_part(self, of: Street) -> None:
        of.trip(ONE, 0)
        of.doubt(TWO, 10)
        assert parents(of) == {"INC-1": None, "INC-2": None}

    @pytest.mark.parametrize("planned", [False, True])
    def test_what_is_silent_speaks_for_nothing_else(self, of: Street, planned: bool) -> None:
        of.trip(ONE, 0)
        until = of.at(3_600).utc
        if planned:
            scopes = (of.said[0].scope,)
            of.tell(SilencePlanned(of.at(1), SilenceId("SIL-1"), scopes=scopes, begins=of.at(1).utc, until=until, by="ana", reason="known"))
        else:
            of.tell(Silenced(of.at(1), IncidentId("INC-1"), "ana", "known", until))
        of.ask(2)
        of.trip(TWO, 10)
        assert parents(of) == {"INC-1": None, "INC-2": None}

    def test_what_remains_when_a_person_ends_the_first_is_told_again(self, of: Street) -> None:
        of.trip(ONE, 0)
        of.trip(TWO, 10)
        assert of.end("INC-1", 60) == [RESOLVED, GROWN] and of.ask(61) == []
        told = of.last
        assert (told.incident, told.parent, told.note) == ("INC-2", None, "goes on after INC-1") and of.promised == ["INC-1", "INC-2"]
        assert told.diagnosis is not None and told.diagnosis.shows[0] == "certainly ours, in trap-2" and told.evidence

    def test_after_a_quiet_day_all_is_over_and_nobody_is_woken(self, of: Street) -> None:
        of.trip(ONE, 0)
        of.trip(TWO, 200)
        of.tell(Tripped(of.at(4_000), TWO, 2, "shop.test", ("again",)))
        assert of.ask(QUIET + 100) == [], "it speaks for the second, which is not over"
        assert of.ask(4_000 + QUIET) == [RESOLVED, RESOLVED] and of.promised == ["INC-1"] and parents(of) == {}


class TestLedger:
    @pytest.mark.parametrize("began", [-SAME_JOB + 100, 95.0, 99.0 + SAME_JOB])
    def test_bogus_confirmations_of_that_time_are_a_part(self, of: Street, began: float) -> None:
        of.trip(ONE, 100)
        assert of.differ(SPURIOUS, 3, 900, began=began) == [OPENED]
        told = of.last
        assert (told.symptom, told.scope, told.severity) == (Symptom.LEDGER_SPURIOUS, THE_LEDGER, Severity.PAGE)
        assert told.parent == "INC-1" and told.diagnosis is not None and of.promised == ["INC-1"]
        assert of.ask(901) == []

    @pytest.mark.parametrize("began", [100 - SAME_JOB - 1, 101 + SAME_JOB])
    def test_those_of_another_time_are_their_own(self, of: Street, began: float) -> None:
        of.trip(ONE, 100)
        of.differ(SPURIOUS, 3, 900, began=began)
        assert of.last.parent is None and of.promised == ["INC-1", "INC-2"]

    @pytest.mark.parametrize("kind", [DifferenceClass.MISSING, DifferenceClass.MISMATCHED, DifferenceClass.DUPLICATE])
    def test_other_differences_are_their_own(self, of: Street, kind: DifferenceClass) -> None:
        of.trip(ONE, 100)
        of.differ(kind, 100, 900, began=100)
        assert of.last.parent is None

    def test_a_doubt_speaks_for_none(self, of: Street) -> None:
        of.doubt(ONE, 100)
        of.differ(SPURIOUS, 3, 900, began=100)
        assert of.last.parent is None

    def test_with_two_mailboxes_and_the_ledger_one_page(self, of: Street) -> None:
        of.trip(ONE, 100)
        of.trip(TWO, 101)
        of.differ(SPURIOUS, 1, 200, began=99)
        assert of.last.severity is Severity.TICKET
        of.differ(SPURIOUS, 4, 900)
        assert of.last.severity is Severity.PAGE and of.promised == ["INC-1"]
        assert parents(of) == {"INC-1": None, "INC-2": "INC-1", "INC-3": "INC-1"}
        assert {item.transition.incident for item in owed(of.world.outbox, of.policy.notify, of.at(901))} <= {"INC-1"}

    def test_what_remains_when_the_trip_is_ended_is_told_again(self, of: Street) -> None:
        of.trip(ONE, 100)
        of.differ(SPURIOUS, 3, 900, began=100)
        assert of.end("INC-1", 1_000) == [RESOLVED, GROWN] and of.ask(1_001) == []
        told = of.last
        assert (told.incident, told.parent, told.note) == ("INC-2", None, "goes on after INC-1") and told.evidence and told.diagnosis
        assert of.promised == ["INC-1", "INC-2"] and told.severity is Severity.PAGE

    def test_of_two_that_remain_one_is_told(self, of: Street) -> None:
        of.trip(ONE, 100)
        of.trip(TWO, 101)
        of.differ(SPURIOUS, 3, 900, began=99)
        assert of.end("INC-1", 1_000) == [RESOLVED, GROWN, GROWN] and of.ask(1_001) == []
        assert parents(of) == {"INC-2": None, "INC-3": "INC-2"} and of.promised == ["INC-1", "INC-2"]

    def test_it_ends_by_itself(self, of: Street) -> None:
        of.trip(ONE, 100)
        of.differ(SPURIOUS, 3, 900, began=100)
        assert of.reconciled(900 + 3_700) == [RESOLVED] and parents(of) == {"INC-1": None} and of.promised == ["INC-1"]
