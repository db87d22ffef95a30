"""Over any history: every promise is kept or given up, in order, and that it is over is said to those who heard that it began.

The stage runs on virtual time, with channels that fail as drawn and processes that die as drawn.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from monitor.model.facts import Acknowledged, Notified, NotifyFailed
from monitor.model.incident import IncidentId, Phase, Severity
from monitor.model.notice import Call, Telling
from monitor.rules import notify
from monitor.views.outbox import FIRING
from tests.fakes.channel import DOWN, REFUSED, TAKEN, FakeChannel
from tests.stages.house import policy as whole_policy
from tests.stages.office import Office
from tests.stages.virtual import VirtualLoop

AT_LAST = 3_600.0  # longer than any silence and give_up_after together
INCIDENTS = [IncidentId("INC-1"), IncidentId("INC-2")]
NEXT = {
    None: [Phase.OPENED],
    Phase.OPENED: [Phase.RESOLVED, Phase.GROWN, Phase.FLAPPING, Phase.RECOVERING],
    Phase.GROWN: [Phase.RESOLVED, Phase.GROWN, Phase.FLAPPING, Phase.RECOVERING],
    Phase.FLAPPING: [Phase.RESOLVED, Phase.GROWN, Phase.RECOVERING],
    Phase.RECOVERING: [Phase.RESOLVED, Phase.GROWN],
    Phase.RESOLVED: [Phase.OPENED],
}


@dataclass(frozen=True)
class Step:
    """Something happens to one incident after a pause; `choice` picks one of the phases that are possible."""

    incident: IncidentId
    what: str
    choice: int
    severity: Severity
    pause: float
    silence: float


def steps(*what: str) -> st.SearchStrategy[list[Step]]:
    pauses = st.sampled_from([0.0, 0.0, 0.5, 5.0, 100.0, 1_000.0])
    step = st.builds(
        Step, st.sampled_from(INCIDENTS), st.sampled_from(what), st.integers(0, 5), st.sampled_from(Severity), pauses,
        st.sampled_from([1.0, 60.0, 900.0]),
    )  # fmt: skip
    return st.lists(step, min_size=2, max_size=14)


with tempfile.TemporaryDirectory() as directory:
    BASE = whole_policy(Path(directory))
ANSWERS = st.lists(st.sampled_from([TAKEN, DOWN, DOWN, REFUSED]), max_size=10)
CHANNELS = st.fixed_dictionaries({"pager": ANSWERS, "desk": ANSWERS, "spare": ANSWERS})


class Story:
    """Lives through the steps; `deaths`: steps after which the process dies and another one begins."""

    def __init__(self, answers: Mapping[str, Sequence[Telling]]) -> None:
        self.fakes = {name: FakeChannel(*given, TAKEN) for name, given in answers.items()}
        self.last: dict[IncidentId, Phase | None] = dict.fromkeys(INCIDENTS)
        self.episodes: dict[IncidentId, int] = dict.fromkeys(INCIDENTS, 0)
        self.severities: dict[IncidentId, Severity] = {}

    def office(self, before: Office | None) -> Office:
        return Office(BASE, self.fakes, before, pages=("pager",), tickets=("desk",), fallback=("spare",), give_up_after=1_800.0)

    async def live(self, script: Sequence[Step], deaths: frozenset[int]) -> Office:
        office = self.office(None)
        lives = [list(script)[start:end] for start, end in _cuts(len(script), deaths)]
        for number, life in enumerate(lives):
            async with office.open():
                for step in life:
                    await self._take(step, office)
                    await asyncio.sleep(step.pause)
                if number == len(lives) - 1:
                    await asyncio.sleep(AT_LAST)
                    settled(office)
            if number < len(lives) - 1:
                office = self.office(office)
        return office

    async def _take(self, step: Step, office: Office) -> None:
        incident = step.incident
        match step.what:
            case "silence":
                await office.silence(step.silence, incident)
            case "acknowledge":
                await office.journal.append([Acknowledged(office.now(), incident, "ana")])
            case _:
                possible = NEXT[self.last[incident]]
                phase = possible[step.choice % len(possible)]
                if phase is Phase.OPENED:
                    self.episodes[incident] += 1
                    self.severities[incident] = step.severity
                elif step.severity is Severity.PAGE and phase is Phase.GROWN:
                    self.severities[incident] = Severity.PAGE  # it never falls
                self.last[incident] = phase
                await office.tell(phase, incident, self.severities[incident], self.episodes[incident])


def _cuts(length: int, deaths: frozenset[int]) -> list[tuple[int, int]]:
    ends = sorted(death for death in deaths if 0 < death < length)
    return list(zip([0, *ends], [*ends, length], strict=True))


def run(script: list[Step], answers: Mapping[str, Sequence[Telling]], deaths: frozenset[int]) -> tuple[Story, Office]:
    story = Story(answers)
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return story, runner.run(story.live(script, deaths))


def in_order(story: Story, restarts: int) -> None:
    """What each channel took about one incident: episode after episode, notice after notice, the end last."""
    for fake in story.fakes.values():
        for incident in INCIDENTS:
            taken = [notice for notice in fake.taken if notice.incident == incident]
            places = [tuple(map(int, notice.key.split("-")[2:4])) for notice in taken]
            assert places == sorted(places), places
            assert len(places) - len(set(places)) <= restarts, "told twice only where a process died"
            calls: dict[int, list[Call]] = defaultdict(list)
            for notice in taken:
                calls[notice.episode].append(notice.call)
            for heard in calls.values():
                assert heard[0] is Call.FIRE, "nobody hears that it is over who did not hear that it began"
                assert Call.FIRE not in heard[heard.index(Call.RESOLVE) :] if Call.RESOLVE in heard else True


def in_order_of_their_key(story: Story, office: Office) -> None:
    """Both incidents have one dedup key: whoever closes by it never closes what was opened later."""
    promised = {notify.key(office.policy, item): item.seq for item in office.world.outbox.items.values()}
    for fake in story.fakes.values():
        taken = [promised[notice.key] for notice in fake.taken]
        assert taken == sorted(taken)


def settled(office: Office) -> None:
    assert notify.owed(office.world.outbox, office.policy.notify, office.now()) == []
    ends = {(fact.about, fact.channel) for fact in office.facts(Notified)}
    ends |= {(fact.about, fact.channel) for fact in office.facts(NotifyFailed) if fact.retry_in is None}
    for item in office.world.outbox.items.values():
        if item.fires and not item.superseded:
            audience = office.policy.notify.pages if item.transition.severity is Severity.PAGE else office.policy.notify.tickets
            assert all((item.seq, channel) in ends for channel in audience), item
        if not item.fires:
            heard = [fire for fire in office.world.outbox.of(item.transition.incident) if fire.fires and fire.episode == item.episode]
            assert all((item.seq, channel) in ends for fire in heard for channel in fire.taken), item


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps("transition"), CHANNELS, st.frozensets(st.integers(1, 12), max_size=2))
def test_every_transition_is_told_or_given_up_in_order(
    script: list[Step], answers: Mapping[str, Sequence[Telling]], deaths: frozenset[int]
) -> None:
    story, office = run(script, answers, deaths)
    in_order(story, len(deaths))
    in_order_of_their_key(story, office)
    promises = [entry for entry in office.entries if getattr(entry.fact, "phase", None) in FIRING]
    assert {str(entry.seq) for entry in promises} <= office.world.outbox.items.keys(), "nobody acknowledged, nobody silenced"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps("transition", "transition", "silence", "acknowledge"), CHANNELS, st.frozensets(st.integers(1, 12), max_size=2))
def test_with_silences_and_acknowledgements_too(
    script: list[Step], answers: Mapping[str, Sequence[Telling]], deaths: frozenset[int]
) -> None:
    story, _ = run(script, answers, deaths)
    in_order(story, len(deaths))
