"""The plan builder on doubles of TensorRT 8.6, 10 and 11: flags of each version, and clear ends of failed builds."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tinydf_export.targets.tensorrt.options import PlanOptions
from tinydf_runtime.errors import ModelFileError, UnavailableError, UsageError

Build = Callable[..., dict[str, Any]]


@pytest.fixture
def build(tensorrt_machine: Any, tiny_classifier: Path) -> Build:
    """Builds a plan and returns what it holds."""
    from tinydf_export.targets.tensorrt.builder import build_plan

    def run(precision: Any = "int8", cache: bytes = b"", **options: Any) -> dict[str, Any]:
        plan, timing_cache = build_plan(tiny_classifier.read_bytes(), precision, PlanOptions(**options), cache)
        return {**json.loads(plan), "cache": timing_cache}

    return run


def test_version_10_is_asked_for_strong_types_and_11_has_them_anyway(tensorrt_machine: Any, build: Build) -> None:
    from tensorrt import NetworkDefinitionCreationFlag as Flag

    asked = {"8": "EXPLICIT_BATCH", "10": "STRONGLY_TYPED", "11": None}[tensorrt_machine.version.split(".")[0]]
    assert build()["network_flags"] == (0 if asked is None else 1 << int(Flag[asked]))


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_no_flag_changes_the_types_of_a_model(tensorrt_machine: Any, build: Build, precision: str) -> None:
    # Neither FP16 and INT8, which 11 has no more, nor TF32, which is on where nobody clears it.
    allowed = {"fp16": ["FP16"], "int8": ["FP16", "INT8"]} if tensorrt_machine.version.startswith("8.") else {}
    # Version 8 knows no strong types: there these flags let the model's own types be.
    assert build(precision)["flags"] == allowed.get(precision, [])


def test_flags_follow_the_options(build: Build) -> None:
    plan = build("fp32", version_compatible=True, dla_core=1, max_batch=8)
    assert plan["flags"] == ["GPU_FALLBACK", "VERSION_COMPATIBLE"]
    assert (plan["device"], plan["dla_core"]) == ("DLA", 1)
    # An accelerator takes one number of crops only.
    assert [shape[0] for shape in plan["profile"]["image"]] == [8, 8, 8]


def test_batches_are_those_asked_for(build: Build) -> None:
    plan = build(max_batch=32)
    assert plan["profile"]["image"] == [[count, 3, 224, 224] for count in (1, 1, 32)]
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
        ({"max_batch": 0}, "batch: found 0"),
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


def test_a_call_that_a_version_does_not_take_fails_here_as_it_would_on_the_device(tensorrt_machine: Any) -> None:
    import tensorrt

    class Log(tensorrt.ILogger):  # type: ignore[misc]
        pass

    builder = tensorrt.Builder(Log())
    config = builder.create_builder_config()
    flag = tensorrt.BuilderFlag.TF32
    calls: tuple[Callable[[], object], ...] = (
        lambda: tensorrt.Builder(),
        lambda: tensorrt.Builder(config),
        lambda: builder.create_network(flag),
        lambda: builder.create_network(flag=1),
        lambda: config.set_flag(int(flag)),
        lambda: config.set_timing_cache(config.create_timing_cache(b"")),
        lambda: config.create_timing_cache("text"),
        lambda: builder.create_optimization_profile().set_shape("image", 1, 2, 3),
    )
    for call in calls:
        with pytest.raises(AssertionError, match="which this version has"):
            call()
    config.set_flag(flag=flag)


def test_the_log_takes_what_each_version_tells_it(tensorrt_machine: Any) -> None:
    import tensorrt

    from tinydf_runtime.engines.tensorrt_engine import TensorRTLog

    recorded = sys.modules["tensorrt_double"].NAMES[tensorrt_machine.version]["ILogger"]["calls"]["log"]
    names = [part.split(":")[0] for part in recorded[0].removeprefix("(").split(")")[0].split(", ")]
    assert [*inspect.signature(TensorRTLog.log).parameters][1:] == names
    log = TensorRTLog()
    log.log(tensorrt.ILogger.Severity.ERROR, "no kernel")
    assert log.reason() == "no kernel"
