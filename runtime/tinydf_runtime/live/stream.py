"""Camera, stream or file as it plays -> a result per frame, with scores and running verdicts; a report at any time."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from types import TracebackType

import cv2

from tinydf_runtime.errors import UnavailableError, UnknownFormatError, one_line
from tinydf_runtime.io.address import mask_credentials
from tinydf_runtime.io.input import Input
from tinydf_runtime.io.video import VideoReader
from tinydf_runtime.live.memory import StreamMemory
from tinydf_runtime.live.reader import GIVE_UP_S, StreamReader
from tinydf_runtime.results import FrameResult, InputReport, ScoredFace
from tinydf_runtime.types import FaceScores, Frame, Kind
from tinydf_runtime.verdict.summary import rule_of, summarize, summarize_unreadable
from tinydf_runtime.watch import Limits, Watch


@dataclass(frozen=True, slots=True)
class LiveSettings:
    """Settings of a live source.

    Attributes:
        sample_fps: Frames wanted a second, None for all.
        threshold: Probability from which a face counts as fake.
        limits: When to end.
        max_latency_s: Results for frames older than this are thrown away, None for however late they come.
        give_up_s: How long a stream that broke off is tried again.
    """

    sample_fps: float | None
    threshold: float
    limits: Limits = field(default_factory=Limits)
    max_latency_s: float | None = None
    give_up_s: float = GIVE_UP_S


class LiveStream(Iterator[FrameResult]):
    """Yields one result per sampled frame. It opens its source when the first one is asked for, and is used once.

    Memory does not grow with time: ``memory.py`` says what is kept for the report.
    """

    def __init__(self, source: Input, watch: Watch, settings: LiveSettings) -> None:
        """Prepares the stream; opens nothing yet.

        Args:
            source: A video, camera or stream.
            watch: The networks, and what was seen; nothing as yet.
            settings: See ``LiveSettings``.
        """
        self._source, self._watch, self._settings = source, watch, settings
        self._memory = StreamMemory(rule_of(watch, settings.threshold, "stream"))
        self._reader: StreamReader | VideoReader | None = None
        self._late = 0
        self._message: str | None = None
        self._began_s = time.monotonic()
        self._ended_s: float | None = None
        self._results = self._look()

    def __enter__(self) -> LiveStream:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the source."""
        self.close()

    def __next__(self) -> FrameResult:
        """Returns the next result.

        Raises:
            StopIteration: The source ended, or a limit ended it.
            UnreadableInputError: The file cannot be read.
            UnavailableError: The camera or address cannot be opened, or delivers nothing.
        """
        return next(self._results)

    def close(self) -> None:
        """Closes the source. A hanging one does not hold this up."""
        self._results.close()

    def report(self) -> InputReport:
        """Returns what was found so far, or until the end."""
        shown = mask_credentials(self._source.source)
        kind: Kind = "stream" if self._source.kind == "stream" else "video"
        total_s = (time.monotonic() if self._ended_s is None else self._ended_s) - self._began_s
        if self._reader is None or self._message is not None:
            message = self._message or f"{shown}: nothing was read of it yet. Take a result first."
            return summarize_unreadable(shown, None, kind, message, total_s)
        watch = self._watch
        watch.info = self._reader.info
        watch.frames_decoded = self._reader.frames_decoded
        watch.scores = {track: FaceScores(records) for track, records in self._memory.records().items()}
        if self._reader.truncated:
            watch.status = "truncated"
        item = summarize(shown, None, kind, watch, self._settings.threshold, total_s)
        if isinstance(self._reader, VideoReader):
            return item
        return replace(
            item,
            gaps=self._reader.gaps,
            frames_dropped=self._reader.frames_dropped + self._late,
            tracks_forgotten=self._memory.forgotten,
        )

    def _look(self) -> Generator[FrameResult, None, None]:
        """Reads, scores and judges frame by frame."""
        self._began_s = time.monotonic()
        try:
            with self._open() as reader:
                self._reader = reader
                self._memory.endless = isinstance(reader, StreamReader) and reader.live
                for frame in reader:
                    if self._is_over():
                        return
                    result = self._result(frame)
                    if self._is_late(result):
                        self._late += 1
                        continue
                    yield result
                self._is_over()
        except (UnavailableError, UnknownFormatError, OSError, cv2.error) as error:
            self._message = one_line(error)
            raise
        finally:
            self._ended_s = time.monotonic()

    def _is_over(self) -> bool:
        """Returns whether a limit was reached, and notes which."""
        limits = self._settings.limits
        self._watch.interrupted = limits.stop is not None and limits.stop.is_set()
        if limits.max_seconds is not None and time.monotonic() - self._began_s >= limits.max_seconds:
            self._watch.status = "timeout"
        return self._watch.interrupted or self._watch.status == "timeout"

    def _open(self) -> StreamReader | VideoReader:
        """Opens the source."""
        settings = self._settings
        if self._source.kind != "stream":
            return VideoReader(self._source.source, settings.sample_fps)
        return StreamReader(self._source.source, settings.sample_fps, settings.limits, settings.give_up_s)

    def _result(self, frame: Frame) -> FrameResult:
        """Takes one frame through the same steps as a file's, its faces scored in one batch."""
        found = self._watch.step.find(frame)
        self._watch.count(found)
        scored: list[ScoredFace] = []
        if found.crops:
            records, maps = self._watch.score([(cropped, found.frame) for cropped in found.crops])
            for one, record, forgery_map in zip(found.crops, records, maps, strict=True):
                verdict = self._memory.add(one.track, record)
                scored.append(ScoredFace(one.track, one.face, record.fake_probability, forgery_map, verdict))
        self._memory.tidy(frame.time_s)
        reader = self._reader
        if not isinstance(reader, StreamReader) or not reader.live:
            return FrameResult(frame, tuple(scored))
        latency_s = time.monotonic() - reader.started_s - frame.time_s
        return FrameResult(frame, tuple(scored), latency_s, reader.frames_dropped + self._late)

    def _is_late(self, result: FrameResult) -> bool:
        """Returns whether a result comes too late to be shown. Its scores count as evidence all the same."""
        bound_s = self._settings.max_latency_s
        return bound_s is not None and result.latency_s is not None and result.latency_s > bound_s
