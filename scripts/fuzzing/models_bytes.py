"""Model files spoilt as files: bits, weights, their end, and other things under this name."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from onnx import TensorProto, numpy_helper

from fuzzing import bases
from fuzzing.case import REFUSED, Case, Probe, rng_of
from fuzzing.networks import sealed, shipped, unsealed

_OPEN = (0, 3, 6)
"""A change that may leave the scores as they were."""


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for number in range(40):
        classifier = number % 4 != 0
        probe: Probe = "detector" if not classifier else "verify" if number % 8 == 1 else "classifier"
        name = f"flipped_{number}.onnx"
        yield Case(name, "bits under the seal", partial(_flipped, seed, name, classifier, True), probe, REFUSED)
        name = f"flipped_unsealed_{number}.onnx"
        yield Case(name, "bits without a seal", partial(_flipped, seed, name, classifier, False), probe, _OPEN)
    for number in range(12):
        name = f"cut_{number}.onnx"
        yield Case(
            name,
            "cut off",
            partial(_cut, seed, name, bool(number % 3)),
            "classifier" if number % 3 else "detector",
            REFUSED,
        )
    for word, value in {"nan": np.nan, "inf": np.inf, "minus_inf": -np.inf, "huge": 3e38}.items():
        for number in range(4):
            make = partial(_with_weight, value, number, number % 2 == 0)
            codes = REFUSED if word != "huge" else _OPEN
            yield Case(
                f"weight_{word}_{number}.onnx", "weights", make, "classifier" if number % 2 == 0 else "detector", codes
            )
    yield Case("weights_all_nan.onnx", "weights", partial(_all_weights, np.nan), "detector", REFUSED)
    for word, build in _NO_MODEL.items():
        for probe in ("classifier", "detector"):
            yield Case(f"{probe}_{word}.onnx", "no model", build, probe, REFUSED)
    for probe in ("classifier", "detector"):
        for word, target in {"zero": "/dev/zero", "self": "self.onnx", "folder": "/proc", "missing": "no.onnx"}.items():
            name = f"{probe}_link/{word}.onnx"
            yield Case(name, "links", bytes, probe, REFUSED, link=target)


def _flipped(seed: int, name: str, classifier: bool, with_seal: bool) -> bytes:
    rng = rng_of(seed, name)
    model = shipped(classifier)
    content = bytearray(model.SerializeToString() if with_seal else unsealed(model))
    for _ in range(rng.choice([1, 3, 40])):
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    return bytes(content)


def _cut(seed: int, name: str, classifier: bool) -> bytes:
    content = unsealed(shipped(classifier))
    return content[: rng_of(seed, name).randrange(1, len(content))]


def _with_weight(value: float, number: int, classifier: bool) -> bytes:
    """Returns a shipped network with one weight of another value."""
    model = shipped(classifier)
    floats = [one for one in model.graph.initializer if one.data_type == TensorProto.FLOAT and len(one.dims) > 0]
    chosen = floats[len(floats) * (number + 1) // 6]
    values = numpy_helper.to_array(chosen).copy()
    values.flat[values.size // 2] = value
    chosen.CopyFrom(numpy_helper.from_array(values, chosen.name))
    return sealed(model)


def _all_weights(value: float) -> bytes:
    model = shipped(classifier=False)
    for one in model.graph.initializer:
        if one.data_type == TensorProto.FLOAT:
            one.CopyFrom(numpy_helper.from_array(np.full(tuple(one.dims), value, np.float32), one.name))
    return sealed(model)


_NO_MODEL: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "byte": lambda: b"\x08",
    "zeros": lambda: bytes(100_000),
    "ones": lambda: b"\xff" * 100_000,
    "text": lambda: b"a line of text\n" * 1000,
    "program": lambda: b"\x7fELF" + bytes(4000),
    "photo": lambda: bases.picture("photo.png"),
    "clip": lambda: bases.video("h264.mp4"),
    "archive": lambda: b"PK\x03\x04" + bytes(400),
    "tensor": lambda: numpy_helper.from_array(np.zeros(9, np.float32)).SerializeToString(),
}
