"""Scores of a live source -> running verdicts, and the part of the scores that its report rests on.

A source with an end keeps them all. For one without, what is kept does not grow with time. Of a person are kept: the
last ``MEMORY_S`` for the running verdict; up to ``MAXIMUM_SPREAD`` scores spread evenly over the whole time, every
second one being dropped whenever they are full; and, whole, the last seconds that looked worst, if they looked forged.
Of persons who left, the ``MAXIMUM_TRACKS`` most suspicious are kept and the others counted.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from tinydf_runtime.results import Verdict
from tinydf_runtime.types import FaceScore
from tinydf_runtime.verdict.aggregate import judge_track, severity
from tinydf_runtime.verdict.rules import DecisionRule

MEMORY_S = 10.0
"""A running verdict rests on this many seconds: long enough for some ten independent frames, short enough to follow a
change."""
MAXIMUM_RECORDS = 600
"""Bound on the records of a running verdict, reached when every frame of a 60 fps camera is scored."""
MAXIMUM_SPREAD = 300
"""A minute at the default rate is kept whole; a day still has one score in five minutes or more."""
MAXIMUM_TRACKS = 100
"""Persons in a report; with all their records some 25 MB at the most."""


@dataclass(slots=True)
class TrackMemory:
    """What is kept of one person."""

    track: int
    endless: bool
    recent: deque[FaceScore] = field(default_factory=lambda: deque(maxlen=MAXIMUM_RECORDS))
    spread: list[FaceScore] = field(default_factory=list)
    worst: tuple[FaceScore, ...] = ()
    worst_rank: tuple[int, float] = (-2, 0.0)
    final_rank: tuple[int, float] = (-2, 0.0)
    last_s: float = 0.0
    step: int = 1
    seen: int = 0

    def add(self, record: FaceScore, rule: DecisionRule) -> Verdict:
        """Takes one more score and returns the verdict of the last seconds."""
        self.last_s = record.time_s
        self.recent.append(record)
        while self.recent[0].time_s < record.time_s - MEMORY_S:
            self.recent.popleft()
        if self.seen % self.step == 0:
            self.spread.append(record)
            if self.endless and len(self.spread) > MAXIMUM_SPREAD:
                del self.spread[1::2]
                self.step *= 2
        self.seen += 1
        verdict, _ = judge_track(self.track, self.recent, rule)
        rank = severity(verdict)
        if verdict.label == "fake" and rank > self.worst_rank:
            self.worst, self.worst_rank = tuple(self.recent), rank
        return verdict

    def records(self) -> list[FaceScore]:
        """Returns the scores that are kept, in order of time."""
        by_frame = {record.frame: record for record in (*self.spread, *self.worst)}
        return [by_frame[frame] for frame in sorted(by_frame)]


@dataclass(slots=True)
class StreamMemory:
    """What is kept of everybody in a stream.

    Attributes:
        rule: Thresholds and margins.
        endless: Whether the source has no end.
        forgotten: Tracks that were evicted.
    """

    rule: DecisionRule
    endless: bool = True
    forgotten: int = 0
    _present: dict[int, TrackMemory] = field(default_factory=dict)
    _left: dict[int, TrackMemory] = field(default_factory=dict)

    def add(self, track: int, record: FaceScore) -> Verdict:
        """Takes one more score of a person and returns the verdict of the last seconds."""
        memory = self._present.get(track) or self._left.pop(track, None) or TrackMemory(track, self.endless)
        self._present[track] = memory
        return memory.add(record, self.rule)

    def tidy(self, now_s: float) -> None:
        """Retires tracks not seen for ``MEMORY_S``, and evicts the least suspicious of those."""
        if not self.endless:
            return
        for track in [track for track, memory in self._present.items() if memory.last_s < now_s - MEMORY_S]:
            memory = self._left[track] = self._present.pop(track)
            memory.recent.clear()
            verdict, _ = judge_track(track, memory.records(), self.rule)
            memory.final_rank = severity(verdict)
            if len(self._left) > MAXIMUM_TRACKS:
                del self._left[min(self._left.values(), key=lambda memory: memory.final_rank).track]
                self.forgotten += 1

    def records(self) -> dict[int, list[FaceScore]]:
        """Returns the scores that are kept, by track."""
        return {track: memory.records() for track, memory in sorted({**self._left, **self._present}.items())}
