from __future__ import annotations

import pytest

from tinydf_runtime.engines.engine import check_choice
from tinydf_runtime.errors import UsageError

TARGETS = ("onnx", "openvino", "coreml", "tensorrt", "web")


@pytest.mark.parametrize(
    ("found", "names", "meant"),
    [
        ("tensort", TARGETS, "tensorrt"),
        ("OpenVino", TARGETS, "openvino"),
        ("trt", TARGETS, "tensorrt"),
        ("cuda:0", ("cpu", "cuda"), "cuda"),
        # The nearest spelling would be cpu.
        ("gpu", ("cpu", "cuda"), "cuda"),
        ("ane", ("all", "cpu", "gpu", "npu"), "npu"),
    ],
)
def test_the_nearest_name_is_offered(found: str, names: tuple[str, ...], meant: str) -> None:
    with pytest.raises(UsageError, match=rf"found {found}, expected one of .*\. Did you mean {meant}\?$"):
        check_choice("device", found, names)


def test_what_resembles_nothing_gets_the_list_alone() -> None:
    with pytest.raises(UsageError, match=r"expected one of onnx, openvino, coreml, tensorrt, web\.$"):
        check_choice("target", "zzz", TARGETS)
    with pytest.raises(UsageError, match=r"device: found tpu, expected cuda: it is a plan\.$"):
        check_choice("device", "tpu", ("cuda",), ": it is a plan")


def test_names_that_are_there_pass() -> None:
    check_choice("target", "web", TARGETS)
