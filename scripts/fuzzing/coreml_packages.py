"""Core ML's packages, spoilt. Off a Mac a whole one ends with exit status 4: nothing here computes it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fuzzing.case import REFUSED, Case
from fuzzing.networks import facts
from fuzzing.openvino_pairs import WRONG_FACTS, flipped


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    yield _package("whole", partial(description, {}), (4,))
    for word, change in WRONG_FACTS:
        yield _package(f"facts_{word}", partial(description, change))
    for number in range(10):
        name = f"coremlflipped_{number}"
        yield _package(f"flipped_{number}", partial(flipped, seed, name, partial(description, {})), (4, 6))
    for word, content in {"empty": b"", "zeros": bytes(5000), "ones": b"\xff" * 5000}.items():
        yield _package(word, partial(bytes, content))
    yield _package("deep", _deep)


def _package(word: str, make: Callable[[], bytes], codes: tuple[int, ...] = REFUSED) -> Case:
    package = f"coreml_{word}/model.mlpackage"
    name = f"{package}/Data/com.apple.CoreML/model.mlmodel"
    return Case(name, "Core ML", make, "classifier", codes, {"weights/weight.bin": lambda: bytes(64)}, opened=package)


def _deep() -> bytes:
    content = b""
    for _ in range(5000):
        # Model.pipeline (202) holds models.
        content = (
            b"\xd2\x0c" + bytes([len(content) & 127 | 128, len(content) >> 7 & 127 | 128, len(content) >> 14]) + content
        )
    return content


def description(change: dict[str, Any]) -> bytes:
    """Returns a Core ML model without a program, which says this about itself."""
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    model = Model_pb2.Model(specificationVersion=7)
    picture = model.description.input.add(name="image").type.imageType
    picture.width, picture.height, picture.colorSpace = 224, 224, FeatureTypes_pb2.ImageFeatureType.RGB
    model.description.output.add(name="fake_probability").type.multiArrayType.shape.extend([1])
    model.description.output.add(name="forgery_map").type.multiArrayType.shape.extend([1, 14, 14])
    model.description.metadata.userDefined["tinydf"] = json.dumps(facts() | change)
    return bytes(model.SerializeToString(deterministic=True))
