"""Core ML packages that must not be loaded, on any machine."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

from tinydf_runtime.engines.coreml_package import DESCRIPTION, MANIFEST, WEIGHTS, coremltools
from tinydf_runtime.engines.loading import open_engine
from tinydf_runtime.errors import ExitCode, ModelFileError
from tinydf_runtime.trust.coreml_file import check_coreml
from tinydf_runtime.trust.reading import MOST_BYTES

MIL_pb2 = coremltools.proto.MIL_pb2
WEIGHTS_NAME = "@model_path/weights/weight.bin"
OFFSET = 64


class Package:
    """A model of one program, whose weights lie in its description and in its weight file."""

    def __init__(self) -> None:
        self.model = coremltools.proto.Model_pb2.Model(specificationVersion=7)
        function = self.model.mlProgram.functions["main"]
        function.opset = "CoreML6"
        self.block = function.block_specializations["CoreML6"]
        self.line = self.add("const").attributes["val"]
        self.line.type.tensorType.dataType = MIL_pb2.FLOAT32
        self.line.immediateValue.tensor.floats.values.extend([0.5, -1.0])
        argument = self.add("mul").inputs["y"].arguments.add().value
        argument.type.tensorType.dataType = MIL_pb2.FLOAT16
        argument.immediateValue.tensor.bytes.values = np.float16(2).tobytes()
        self.argument = argument
        self.blob = self.add("const").attributes["val"]
        self.blob.type.tensorType.dataType = MIL_pb2.FLOAT16
        self.blob.blobFileValue.fileName, self.blob.blobFileValue.offset = WEIGHTS_NAME, OFFSET
        self.weights = self.weights_of(np.arange(3, dtype=np.float16))
        self.manifest: Any = {"rootModelIdentifier": "a"}
        self.manifest["itemInfoEntries"] = {"a": {"path": "com.apple.CoreML/model.mlmodel"}}

    def add(self, kind: str) -> Any:
        return self.block.operations.add(type=kind)

    def weights_of(self, values: np.ndarray, code: int = 1, size: int | None = None) -> bytes:
        head = struct.pack("<IIQQ", 0xDEADBEEF, code, values.nbytes if size is None else size, OFFSET + 64)
        return bytes(OFFSET) + head.ljust(64, b"\0") + values.tobytes()

    def write(self, path: Path) -> Path:
        for name, content in (
            (DESCRIPTION, self.model.SerializeToString()),
            (WEIGHTS, self.weights),
            (MANIFEST, json.dumps(self.manifest).encode()),
        ):
            (path / name).parent.mkdir(parents=True, exist_ok=True)
            (path / name).write_bytes(content)
        return path


def not_finite_line(package: Package) -> None:
    package.line.immediateValue.tensor.floats.values[1] = float("nan")


def not_finite_double(package: Package) -> None:
    package.line.immediateValue.tensor.doubles.values.append(float("inf"))


def not_finite_argument(package: Package) -> None:
    package.argument.immediateValue.tensor.bytes.values = np.float16(np.inf).tobytes()


def not_finite_blob(package: Package) -> None:
    package.weights = package.weights_of(np.array([0, np.nan, 1], np.float16))


def whole_numbers_that_are_none(package: Package) -> None:
    package.weights = package.weights_of(np.array([0, np.nan], np.float16), code=4)


def other_floats(package: Package) -> None:
    package.blob.type.tensorType.dataType = MIL_pb2.BFLOAT16


def half_a_weight(package: Package) -> None:
    package.weights = package.weights_of(np.zeros(3, np.float16), size=5)


def beyond_the_file(package: Package) -> None:
    package.weights = package.weights_of(np.zeros(3, np.float16), size=1 << 40)


def place_beyond_the_file(package: Package) -> None:
    package.blob.blobFileValue.offset = 1 << 60


def no_array_there(package: Package) -> None:
    package.weights = bytes(1000)


def another_file(package: Package) -> None:
    package.blob.blobFileValue.fileName = "@model_path/../../../secret"


def a_loop(package: Package) -> None:
    package.add("while_loop")


def a_program_within(package: Package) -> None:
    package.add("add").blocks.add()


def chance(package: Package) -> None:
    package.add("random_uniform")


def too_many_operations(package: Package) -> None:
    for _ in range(20_001):
        package.add("add")


def a_table(package: Package) -> None:
    package.line.immediateValue.dictionary.values.add()


def two_functions(package: Package) -> None:
    package.model.mlProgram.functions["other"].opset = "CoreML6"


def another_kind(package: Package) -> None:
    package.model.neuralNetwork.layers.add()


def custom_code(package: Package) -> None:
    package.model.customModel.className = "Mine"


def one_that_learns(package: Package) -> None:
    package.model.isUpdatable = True


def another_model(package: Package) -> None:
    package.manifest["itemInfoEntries"]["a"]["path"] = "com.apple.CoreML/other.mlmodel"


def no_root(package: Package) -> None:
    package.manifest = []


def test_a_plain_package_is_accepted(tmp_path: Path) -> None:
    package = Package()
    check_coreml(package.model, package.write(tmp_path / "plain.mlpackage"))


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (not_finite_line, "no finite number"),
        (not_finite_double, "no finite number"),
        (not_finite_argument, "no finite number"),
        (not_finite_blob, "no finite number"),
        (whole_numbers_that_are_none, "one type in its program and of another"),
        (other_floats, "another format than float16"),
        (half_a_weight, "half a weight"),
        (beyond_the_file, "weights beyond"),
        (place_beyond_the_file, "weights beyond"),
        (no_array_there, "no such ones"),
        (another_file, "keeps weights in"),
        (a_loop, "while_loop"),
        (a_program_within, "'add'"),
        (chance, "draws lots"),
        (too_many_operations, "20,000 operations"),
        (a_table, "list or table"),
        (two_functions, "main alone"),
        (another_kind, "is neuralNetwork"),
        (custom_code, "is customModel"),
        (one_that_learns, "an updatable model"),
        (another_model, "names the model"),
        (no_root, "names no model"),
    ],
)
def test_what_no_classifier_is_is_refused_before_core_ml_sees_it(
    tmp_path: Path, spoil: Callable[[Package], None], words: str
) -> None:
    package = Package()
    spoil(package)
    with pytest.raises(ModelFileError, match=words) as caught:
        open_engine(package.write(tmp_path / "spoilt.mlpackage"))
    assert caught.value.exit_code == ExitCode.UNTRUSTED
    assert "spoilt.mlpackage" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("name", [DESCRIPTION, WEIGHTS])
def test_a_file_of_a_package_that_is_too_large_or_endless_is_refused(tmp_path: Path, name: Path) -> None:
    path = Package().write(tmp_path / "large.mlpackage")
    with (path / name).open("r+b") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(ModelFileError, match="expected at most"):
        open_engine(path)
    (path / name).unlink()
    (path / name).symlink_to("/dev/zero")
    with pytest.raises(ModelFileError, match="no regular file"):
        open_engine(path)
