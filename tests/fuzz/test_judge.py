"""The fuzz script notices what it is there for: a crash, a hang, a traceback, a wrong code, a verdict from nothing."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

if not hasattr(os, "pidfd_open"):
    pytest.skip("calls are bounded by what Linux alone has", allow_module_level=True)

from fuzzing.case import Case, Written, choose, rng_of
from fuzzing.judge import complaint, item_complaint
from fuzzing.process import call


def crash() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def raise_error() -> None:
    raise KeyError("a fault")


def print_noise() -> None:
    print("libpng warning: hm", file=sys.stderr)


def end_silently() -> None:
    sys.exit(6)


def end_well() -> None:
    print("tinydf-run: a.mp4: is damaged.", file=sys.stderr)
    sys.exit(6)


@pytest.mark.parametrize(
    ("action", "words"),
    [
        (crash, "SIGKILL"),
        (raise_error, "traceback: KeyError"),
        (print_noise, "more than its own lines"),
        (end_silently, "without a word"),
        (lambda: time.sleep(60), "hangs"),
        (lambda: sys.exit(2), "exit 2, promised"),
        (end_well, None),
    ],
)
def test_every_broken_promise_is_named(action: Callable[[], object], words: str | None) -> None:
    found = complaint(call(action, 2.0), (0, 6))
    assert found is None if words is None else found is not None and words in found


def item(**change: Any) -> dict[str, Any]:
    track = {"faces_used": 1, "fake_probability": 0.5, "scores": [{"fake_probability": 0.5}]}
    whole = {
        "status": "ok", "verdict": "real", "frames_scored": 3, "message": None, "tracks": [track], "reasons": [],
        "fake_probability": 0.5, "timing": {"total_s": 1.0},
    }  # fmt: skip
    return whole | change


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({}, None),
        ({"frames_scored": 0}, "from no picture"),
        ({"tracks": []}, "from no face"),
        ({"status": "unreadable"}, "still called real"),
        ({"verdict": "no_face", "tracks": []}, "with a probability"),
        ({"fake_probability": 7}, "probability 7"),
        ({"verdict": "inconclusive"}, "without a reason"),
    ],
)
def test_a_verdict_from_nothing_is_named(change: dict[str, Any], words: str | None) -> None:
    found = item_complaint(item(**change), Written(Path("a.mp4"), "cut off", "media", (0, 5)))
    assert found is None if words is None else found is not None and words in found


def test_a_share_is_the_same_each_time_and_takes_from_every_group() -> None:
    cases = [Case(f"{group}{n}", group, bytes) for group in ("a", "b", "c") for n in range(9)]
    chosen = [case.name for case in choose(cases, 6, seed=1)]
    assert chosen == [case.name for case in choose(cases, 6, seed=1)] != [c.name for c in choose(cases, 6, seed=2)]
    assert sorted(name[0] for name in chosen) == list("aabbcc")
    assert rng_of(1, "x").random() == rng_of(1, "x").random() != rng_of(2, "x").random()
