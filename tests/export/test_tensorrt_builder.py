"""The plan builder on doubles of TensorRT 10 and 11: the flags of each version, and clear ends of failed builds."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinydf_export.plan_options import PlanOptions
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError

Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(tensorrt_machine: Any, tiny_classifier: Path) -> Build:
    """Builds a plan and returns what it holds."""
    from tinydf_export.tensorrt_builder import build_plan

    def run(precision: Any = "int8", cache: bytes = b"", **options: Any) -> dict[str, Any]:
        plan, timing_cache = build_plan(tiny_classifier.read_bytes(), precision, PlanOptions(**options), cache)
        return {**json.loads(plan), "cache": timing_cache}

    return run


def test_version_10_is_asked_for_strong_types_and_11_has_them_anyway(tensorrt_machine: Any, build: Build) -> None:
    import tensorrt

    strong = 1 << int(tensorrt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
    assert build()["network_flags"] == (strong if tensorrt_machine.version.startswith("10.") else 0)


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_no_flag_changes_the_types_of_a_model(build: Build, precision: str) -> None:
    # Neither FP16 and INT8, which 11 has no more, nor TF32, which is on where nobody clears it.
    assert build(precision)["flags"] == []


def test_flags_follow_the_options(build: Build) -> None:
    plan = build(version_compatible=True, dla_core=1, max_batch=8)
    assert plan["flags"] == ["GPU_FALLBACK", "VERSION_COMPATIBLE"]
    assert (plan["device"], plan["dla_core"]) == ("DLA", 1)
    # An accelerator takes one number of crops only.
    assert [shape[0] for shape in plan["profile"]["image"]] == [8, 8, 8]


def test_batches_are_those_asked_for(build: Build) -> None:
    plan = build(max_batch=32, usual_batch=4)
    assert plan["profile"]["image"] == [[count, 3, 224, 224] for count in (1, 4, 32)]
    assert plan["device"] == "GPU"


def test_timing_cache_goes_on_from_build_to_build_and_starts_anew_where_it_does_not_fit(
    tensorrt_machine: Any, build: Build
) -> None:
    first = build()["cache"]
    assert build(cache=first)["cache"] == b"timed timed "
    tensorrt_machine.accepts_cache = False
    assert build(cache=first)["cache"] == b"timed "


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_batch": 2, "usual_batch": 3}, "batch: found 3 usual and 2 at most"),
        ({"usual_batch": 0}, "batch: found 0"),
        ({"dla_core": 2}, "dla core: found 2"),
    ],
)
def test_options_that_cannot_be_are_usage_errors(build: Build, options: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        build(**options)


def test_model_that_the_parser_refuses_is_told_in_one_line(tensorrt_machine: Any, build: Build) -> None:
    tensorrt_machine.parse_error = "Invalid Node - bias_DequantizeLinear\ninput has type Int32"
    with pytest.raises(ModelFileError, match="bias_DequantizeLinear input has type Int32") as caught:
        build()
    assert tensorrt_machine.version in str(caught.value) and "\n" not in str(caught.value)


def test_failed_builds_give_the_library_s_first_error(tensorrt_machine: Any, build: Build) -> None:
    tensorrt_machine.builds = False
    with pytest.raises(UnavailableError, match="Could not find any implementation for node conv"):
        build()
    tensorrt_machine.builder_starts = False
    with pytest.raises(UnavailableError, match="CUDA initialization failure"):
        build()


def test_version_8_gets_the_flags_that_stand_for_strong_types_there(
    tensorrt_machine: Any, build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tensorrt

    from tinydf_export import tensorrt_builder

    double = sys.modules["tensorrt_double"]
    old = double.make_tensorrt(double.Machine("8.6.1"))
    monkeypatch.setattr(tensorrt_builder, "tensorrt", old)
    assert old.__version__ != tensorrt.__version__
    plan = build("int8")
    assert plan["network_flags"] == 1 << int(old.NetworkDefinitionCreationFlag.EXPLICIT_BATCH)
    assert plan["flags"] == ["FP16", "INT8"]
    assert build("fp32")["flags"] == []
