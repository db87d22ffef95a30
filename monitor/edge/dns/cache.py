"""Answers kept for a while."""

from __future__ import annotations

from collections import OrderedDict

from monitor.model.dns import Answer, Question

MOST_ANSWERS = 20_000
LEAST_SECONDS = 1.0


class Cache:
    """Keeps to the TTLs, but for no longer than `longest` seconds; the answer that was asked for least recently goes first. Failures, and
    what a named server said, are never kept."""

    def __init__(self, longest: float) -> None:
        self._longest = longest
        self._kept: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, question: Question, mono: float) -> Answer | None:
        kept = self._kept.get(question)
        if kept is None:
            return None
        until, answer = kept
        if mono >= until:
            del self._kept[question]
            return None
        self._kept.move_to_end(question)
        return answer

    def put(self, answer: Answer, mono: float) -> None:
        if answer.failed or answer.question.server or (answer.void and not answer.ttl) or self._longest <= 0:
            return
        self._kept[answer.question] = (mono + min(max(answer.ttl, LEAST_SECONDS), self._longest), answer)
        self._kept.move_to_end(answer.question)
        if len(self._kept) > MOST_ANSWERS:
            self._kept.popitem(last=False)
