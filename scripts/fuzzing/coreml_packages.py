"""Core ML's packages, spoilt. Off a Mac a whole one ends with exit status 4: nothing here computes it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from fuzzing.case import REFUSED, Case
from fuzzing.networks import facts
from fuzzing.openvino_pairs import WRONG_FACTS, flipped

MODEL = "com.apple.CoreML/model.mlmodel"


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    yield _package("whole", partial(description, {}), (4,))
    for word, change in WRONG_FACTS:
        yield _package(f"facts_{word}", partial(description, change))
    for number in range(10):
        name = f"coremlflipped_{number}"
        yield _package(f"flipped_{number}", partial(flipped, seed, name, partial(description, {})), (4, 6))
    for word, spoil in PROGRAMS.items():
        yield _package(word, partial(description, {}, spoil))
    yield _package("manifest_names_another", partial(description, {}), model="com.apple.CoreML/other.mlmodel")
    for word, content in {"empty": b"", "zeros": bytes(5000), "ones": b"\xff" * 5000}.items():
        yield _package(word, partial(bytes, content))
    yield _package("deep", _deep)


def _package(
    word: str,
    make: Callable[[], bytes],
    codes: tuple[int, ...] = REFUSED,
    model: str = "com.apple.CoreML/model.mlmodel",
) -> Case:
    manifest = json.dumps({"rootModelIdentifier": "a", "itemInfoEntries": {"a": {"path": model}}}).encode()
    beside = {"weights/weight.bin": lambda: bytes(200), "../../Manifest.json": lambda: manifest}
    package = f"coreml_{word}/model.mlpackage"
    name = f"{package}/Data/com.apple.CoreML/model.mlmodel"
    return Case(name, "Core ML", make, "classifier", codes, beside, opened=package)


def _deep() -> bytes:
    content = b""
    for _ in range(5000):
        # Model.pipeline (202) holds models.
        content = (
            b"\xd2\x0c" + bytes([len(content) & 127 | 128, len(content) >> 7 & 127 | 128, len(content) >> 14]) + content
        )
    return content


def _nan(block: Any) -> None:
    block.operations[0].attributes["val"].immediateValue.tensor.floats.values.append(math.nan)


def _infinity(block: Any) -> None:
    block.operations[0].attributes["val"].immediateValue.tensor.floats.values.append(math.inf)


def _loop(block: Any) -> None:
    block.operations.add(type="while_loop").blocks.add()


def _chance(block: Any) -> None:
    block.operations.add(type="random_normal")


def _many(block: Any) -> None:
    for _ in range(20_001):
        block.operations.add(type="add")


def _elsewhere(block: Any) -> None:
    block.operations[0].attributes["val"].blobFileValue.fileName = "@model_path/../../../../etc/passwd"


def _beyond(block: Any) -> None:
    place = block.operations[0].attributes["val"].blobFileValue
    place.fileName, place.offset = "@model_path/weights/weight.bin", 1 << 60


PROGRAMS = {
    "nan": _nan,
    "infinity": _infinity,
    "loop": _loop,
    "chance": _chance,
    "many": _many,
    "elsewhere": _elsewhere,
    "beyond": _beyond,
}
"""What is done to the program of one constant."""


def description(change: dict[str, Any], spoil: Callable[[Any], None] | None = None) -> bytes:
    """Returns a Core ML model with a program of one constant, which says this about itself."""
    from coremltools.proto import FeatureTypes_pb2, Model_pb2

    model = Model_pb2.Model(specificationVersion=7)
    picture = model.description.input.add(name="image").type.imageType
    picture.width, picture.height, picture.colorSpace = 224, 224, FeatureTypes_pb2.ImageFeatureType.RGB
    model.description.output.add(name="fake_probability").type.multiArrayType.shape.extend([1])
    model.description.output.add(name="forgery_map").type.multiArrayType.shape.extend([1, 14, 14])
    model.description.metadata.userDefined["tinydf"] = json.dumps(facts() | change)
    block = model.mlProgram.functions["main"].block_specializations["CoreML6"]
    constant = block.operations.add(type="const").attributes["val"]
    constant.type.tensorType.dataType = 11
    constant.immediateValue.tensor.floats.values.append(0.5)
    if spoil is not None:
        spoil(block)
    return bytes(model.SerializeToString(deterministic=True))
