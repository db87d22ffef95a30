"""A Submitter that is a dictionary of outcomes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from monitor.model.address import Address, SeedList
from monitor.model.submission import Outcome, Reply, Submission, Taken

TAKEN = Taken(Reply(250, "Ok: queued as FAKE", "2.0.0"), queue_id="FAKE")


class FakeSubmitter:
    """What comes of each attempt, by recipient (its tag does not matter), in order; the last one stays. Default: taken.

    `submissions` are those that reached the peer, `deadlines` what each was given.
    """

    def __init__(self, seeds: SeedList, outcomes: Mapping[Address, Sequence[Outcome]] | None = None) -> None:
        self.seeds = seeds
        self.outcomes = {address.base: list(answers) for address, answers in (outcomes or {}).items()}
        self.submissions: list[Submission] = []
        self.deadlines: list[float] = []
        self.closed = False

    async def submit(self, submission: Submission, deadline: float) -> Outcome:
        self.seeds.admit(submission.recipient)
        self.submissions.append(submission)
        self.deadlines.append(deadline)
        answers = self.outcomes.get(submission.recipient.base, [])
        return answers.pop(0) if len(answers) > 1 else answers[0] if answers else TAKEN

    async def close(self) -> None:
        self.closed = True
