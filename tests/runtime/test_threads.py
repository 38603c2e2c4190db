"""One analyzer in many threads at once: every result is the one that a single thread gets."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinydf_runtime import Analyzer, Image, InputReport, Limits, UsageError
from tinydf_runtime.results import Timing

THREADS = 6
BOX = [60.0, 60.0, 160.0, 160.0]


@pytest.fixture
def pictures(draw_squares: Callable[..., Image]) -> list[Image]:
    return [draw_squares((60 + i, 60, 160 + i, 160), background=(90, 40 + i, 90)) for i in range(40)]


@pytest.fixture
def clips(write_video: Callable[..., Path], pictures: list[Image]) -> list[Path]:
    """Clips that differ, so that a mix-up would be seen."""
    return [write_video(np.roll(pictures, shift, axis=1)[: 30 + shift], f"{shift}.mp4") for shift in range(4)]


def timeless(item: InputReport) -> InputReport:
    """A report without the clock's part in it."""
    return replace(item, timing=Timing())


def work(analyzer: Analyzer, clips: list[Path], pictures: list[Image]) -> list[Callable[[], object]]:
    """One call of every kind, each with a result that can be compared."""
    picture = pictures[0]
    return [
        *(lambda clip=clip: timeless(analyzer.analyze_input(clip)) for clip in clips),
        lambda: timeless(analyzer.analyze_frames(pictures, fps=25)),
        lambda: [(m.frame.index, [(f.track, f.fake_probability) for f in m.faces]) for m in analyzer.stream(clips[0])],
        lambda: analyzer.detect_faces(picture),
        lambda: analyzer.score_faces(picture, [BOX] * 3).fake_probability.tolist(),
        lambda: (analyzer.report([]), analyzer.spec, analyzer.device, analyzer.threshold),
    ]


@pytest.fixture
def networks(tiny_classifier: Path, tiny_detector: Path) -> dict[str, Any]:
    return {"model": tiny_classifier, "detector": tiny_detector}


@pytest.fixture
def alone(networks: dict[str, Any], clips: list[Path], pictures: list[Image]) -> list[object]:
    """What a single thread gets."""
    with Analyzer(**networks, threads=1) as analyzer:
        return [call() for call in work(analyzer, clips, pictures)]


def test_all_calls_at_once_give_what_they_give_alone(
    networks: dict[str, Any], clips: list[Path], pictures: list[Image], alone: list[object]
) -> None:
    with Analyzer(**networks, threads=1) as analyzer, ThreadPoolExecutor(THREADS) as pool:
        rounds = [[pool.submit(call) for call in work(analyzer, clips, pictures)] for _ in range(4)]
        for futures in rounds:
            assert [future.result(60) for future in futures] == alone


def test_several_analyzers_at_once_do_not_meet(
    networks: dict[str, Any], clips: list[Path], pictures: list[Image], alone: list[object]
) -> None:
    def use_one(threads: int) -> list[object]:
        with Analyzer(**networks, threads=threads) as analyzer:
            return [call() for call in work(analyzer, clips, pictures)]

    with ThreadPoolExecutor(THREADS) as pool:
        assert list(pool.map(use_one, [1, 1, 2, 2])) == [alone] * 4


def repeat_until_closed(
    first: int, calls: list[Callable[[], object]], begin: threading.Barrier
) -> list[tuple[int, object]]:
    """Calls one after the other, from a different one in each thread, and returns what came before the refusal."""
    begin.wait(10)
    results: list[tuple[int, object]] = []
    while len(results) < 1000:
        number = (first + len(results)) % len(calls)
        try:
            results.append((number, calls[number]()))
        except UsageError as error:
            assert "closed" in str(error)
            return results
    raise AssertionError("the analyzer was never closed")


def test_closing_meanwhile_loses_no_result_and_spoils_none(
    networks: dict[str, Any], clips: list[Path], pictures: list[Image], alone: list[object]
) -> None:
    for _ in range(3):
        analyzer = Analyzer(**networks, threads=1)
        calls, begin = work(analyzer, clips, pictures), threading.Barrier(THREADS + 1)
        with ThreadPoolExecutor(THREADS) as pool:
            futures = [pool.submit(repeat_until_closed, first, calls, begin) for first in range(THREADS)]
            begin.wait(10)
            analyzer.detect_faces(pictures[0])
            analyzer.close()
            results = [result for future in futures for result in future.result(60)]
        assert [result for _, result in results] == [alone[number] for number, _ in results]


def test_one_event_ends_the_work_of_all_threads(networks: dict[str, Any], pictures: list[Image]) -> None:
    stop, started = threading.Event(), threading.Barrier(THREADS + 1)

    def frames_without_end() -> Iterator[Image]:
        started.wait(10)
        while True:
            yield from pictures

    with Analyzer(**networks, threads=1) as analyzer, ThreadPoolExecutor(THREADS) as pool:
        futures = [
            pool.submit(analyzer.analyze_frames, frames_without_end(), fps=25.0, limits=Limits(stop=stop))
            for _ in range(THREADS)
        ]
        started.wait(10)
        stop.set()
        items = [future.result(60) for future in futures]
    assert all("interrupted" in item.reasons for item in items)


def test_a_stream_ends_at_its_event(networks: dict[str, Any], clips: list[Path]) -> None:
    stop = threading.Event()
    with Analyzer(**networks, threads=1, sample_fps=None) as analyzer:
        moments = analyzer.stream(clips[0], limits=Limits(stop=stop))
        next(moments)
        stop.set()
        assert len(list(moments)) <= 1


def test_a_stream_that_has_begun_outlives_its_analyzer(networks: dict[str, Any], clips: list[Path]) -> None:
    with Analyzer(**networks, threads=1) as analyzer:
        whole = [moment.frame.index for moment in analyzer.stream(clips[0])]
        moments = analyzer.stream(clips[0])
        begun = [next(moments).frame.index]
    assert begun + [moment.frame.index for moment in moments] == whole
