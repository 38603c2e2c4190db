"""What an OpenVINO pair must not hold, read as text; OpenVINO need not be installed."""

from __future__ import annotations

import numpy as np
import pytest

from tinydf_runtime.errors import ModelFileError
from tinydf_runtime.trust.openvino_file import check_openvino

LAYER = '<layer id="{id}" name="a" type="{type}" version="{version}">{data}</layer>'
WEIGHTS = np.array([1, 2, np.nan, 3], np.float32).tobytes()


def layer(kind: str = "Relu", version: str = "opset1", data: str = "", number: int = 0) -> str:
    return LAYER.format(id=number, type=kind, version=version, data=data)


def constant(offset: object, size: object, kind: str = "f32") -> str:
    return layer("Const", data=f'<data element_type="{kind}" shape="2" offset="{offset}" size="{size}"/>')


def net(*layers: str, before: str = "") -> bytes:
    return f'<?xml version="1.0"?>{before}<net name="a" version="11"><layers>{"".join(layers)}</layers></net>'.encode()


def test_finite_weights_and_own_operators_are_accepted() -> None:
    check_openvino(net(layer(), constant(0, 8), constant(8, 8, "i64"), constant(12, 4)), WEIGHTS, "a.xml with a.bin")


@pytest.mark.parametrize(
    "graph",
    [
        b"",
        b"<net>",
        b"\xff\xfe\x00",
        net(),
        net(layer("Loop")),
        net(layer("TensorIterator")),
        net(layer("If")),
        net(layer("RandomUniform")),
        net(layer("Evil", "extension")),
        net(layer("Relu", "")),
        net(layer("Relu", "opset1; rm")),
        net(constant(0, 16)),
        net(constant(8, 4)),
        net(constant(0, 17)),
        net(constant(-4, 4)),
        net(constant(2**70, 4)),
        net(constant("a", 4)),
        net(constant("0_0", 4)),
        net(constant(8, 5)),
        net(constant(8, 4).replace("Const", "Constant")),
        net(constant(0, 8, "FP32")),
        net(constant(0, 8, "bf16")),
        net(layer("ReadValue", "opset6")),
        net(*[layer(number=number) for number in range(20_001)]),
        net(layer(), before='<!DOCTYPE a [<!ENTITY b "c">]>'),
        b"<a>" * 100_000,
    ],
    ids=range(26),
)
def test_what_no_network_of_ours_has_is_refused(graph: bytes) -> None:
    with pytest.raises(ModelFileError) as caught:
        check_openvino(graph, WEIGHTS, "a.xml with a.bin")
    assert "\n" not in str(caught.value) and str(caught.value).startswith("a.xml with a.bin: ")
