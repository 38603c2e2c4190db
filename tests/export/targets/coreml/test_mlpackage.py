from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("coremltools")

from tinydf_export.targets.coreml.mil_file import read_mlpackage
from tinydf_export.targets.coreml.mil_interpreter import run_program
from tinydf_export.targets.coreml.mlpackage import Package, convert_program, describe, write_package
from tinydf_runtime.engines.coreml_package import DESCRIPTION, MANIFEST, WEIGHTS, coremltools, read_description
from tinydf_runtime.errors import ModelFileError, OutputError, QualityError

SIDE_PX = 6
mb = coremltools.converters.mil.Builder


def make_package(scale: float = 2.0) -> Package:
    """The picture times a weight that is large enough for the weight file, then quantised and back."""
    weight = np.full((1, 3, SIDE_PX, SIDE_PX), scale, np.float32)

    @mb.program(  # type: ignore[untyped-decorator]
        input_specs=[mb.TensorSpec(shape=(1, 3, SIDE_PX, SIDE_PX))], opset_version=coremltools.target.iOS17
    )
    def program(image: Any) -> Any:
        scaled = mb.mul(x=image, y=weight, name="scaled")
        stored = mb.quantize(input=scaled, scale=np.float32(1.5), zero_point=np.int8(-8), output_dtype="int8")
        return mb.dequantize(input=stored, scale=np.float32(1.5), zero_point=np.int8(-8), name="y")

    return convert_program(program, SIDE_PX, coremltools.target.iOS17)


@pytest.fixture(scope="module")
def package() -> Package:
    return describe(make_package(), {"tinydf": "words"})


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_two_conversions_give_the_same_bytes(package: Package, tmp_path: Path) -> None:
    size = write_package(package, tmp_path / "a.mlpackage")
    write_package(describe(make_package(), {"tinydf": "words"}), tmp_path / "b.mlpackage")
    files = files_of(tmp_path / "a.mlpackage")
    assert files == files_of(tmp_path / "b.mlpackage")
    assert sum(map(len, files.values())) == size
    assert set(files) == {str(MANIFEST), str(DESCRIPTION), str(WEIGHTS)}


def test_manifest_leads_to_both_parts(package: Package, tmp_path: Path) -> None:
    write_package(package, tmp_path / "a.mlpackage")
    manifest = json.loads((tmp_path / "a.mlpackage" / MANIFEST).read_text())
    entries = manifest["itemInfoEntries"]
    assert len(entries) == 2
    assert entries[manifest["rootModelIdentifier"]]["name"] == DESCRIPTION.name
    assert all((tmp_path / "a.mlpackage" / "Data" / entry["path"]).exists() for entry in entries.values())


def test_apples_library_finds_the_parts_too(package: Package, tmp_path: Path) -> None:
    write_package(package, tmp_path / "a.mlpackage")
    spec = coremltools.utils.load_spec(str(tmp_path / "a.mlpackage"))
    assert dict(spec.description.metadata.userDefined) == {"tinydf": "words"}
    assert spec == read_description(tmp_path / "a.mlpackage")


def test_a_package_takes_the_place_of_another_whole(package: Package, tmp_path: Path) -> None:
    out = tmp_path / "a.mlpackage"
    write_package(describe(make_package(3.0), {}), out)
    (out / "stray").write_text("left by another program")
    write_package(package, out)
    assert str(WEIGHTS) in files_of(out)
    assert not (out / "stray").exists()
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_full_disk_leaves_the_old_package_and_nothing_else(
    package: Package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a.mlpackage"
    write_package(describe(make_package(3.0), {}), out)
    before = files_of(out)

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OutputError, match="No space left"):
        write_package(package, out)
    assert files_of(out) == before
    assert [path.name for path in tmp_path.iterdir()] == [out.name]


def test_quantized_values_are_rounded_and_held_in_range(package: Package, tmp_path: Path) -> None:
    write_package(package, tmp_path / "a.mlpackage")
    image = np.zeros((2, 3, SIDE_PX, SIDE_PX), np.float32)
    image[0, 0, 0, :4] = 1, 2, 100, 255
    found = run_program(read_mlpackage(tmp_path / "a.mlpackage"), {"image": image}, "a")["y"]
    # Twice the value in steps of 1.5, at most 127 + 8 of them.
    np.testing.assert_array_equal(found[0, 0, 0, :4], [1.5, 4.5, 199.5, 202.5])
    assert not found[1].any()


def change(path: Path, **changes: str) -> None:
    """Writes other words into a program: kind of operation, or type of what ``scaled`` makes."""
    model = read_description(path)
    function = model.mlProgram.functions["main"]
    for operation in function.block_specializations[function.opset].operations:
        if operation.outputs[0].name == "scaled":
            operation.type = changes.get("kind", operation.type)
            if "shape" in changes:
                operation.outputs[0].type.tensorType.dimensions[1].constant.size = int(changes["shape"])
            if "dtype" in changes:
                operation.outputs[0].type.tensorType.dataType = int(changes["dtype"])
            if "parameter" in changes:
                operation.inputs[changes["parameter"]].CopyFrom(operation.inputs["y"])
    (path / DESCRIPTION).write_bytes(model.SerializeToString())


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"kind": "erf"}, "operation erf of scaled is not known"),
        ({"shape": "4"}, "mul scaled cannot be run: its shape"),
        ({"dtype": "10"}, "mixes fp16 and fp32"),
        ({"parameter": "beta"}, "unexpected keyword argument 'beta'"),
    ],
)
def test_interpreter_refuses_what_it_does_not_know(
    package: Package, tmp_path: Path, changes: dict[str, str], complaint: str
) -> None:
    path = tmp_path / "a.mlpackage"
    write_package(package, path)
    change(path, **changes)
    image = np.zeros((1, 3, SIDE_PX, SIDE_PX), np.float32)
    with pytest.raises(ModelFileError, match=complaint):
        run_program(read_mlpackage(path), {"image": image}, path.name)


def test_value_that_float16_cannot_hold_is_an_error_though_a_clip_hides_it(tmp_path: Path) -> None:
    @mb.program(  # type: ignore[untyped-decorator]
        input_specs=[mb.TensorSpec(shape=(1, 3, SIDE_PX, SIDE_PX))], opset_version=coremltools.target.iOS17
    )
    def program(image: Any) -> Any:
        half = mb.cast(x=image, dtype="fp16")
        large = mb.mul(x=half, y=np.float16(300), name="large")
        return mb.cast(x=mb.relu6(x=large), dtype="fp32", name="y")

    path = tmp_path / "a.mlpackage"
    write_package(convert_program(program, SIDE_PX, coremltools.target.iOS17), path)
    image = np.full((1, 3, SIDE_PX, SIDE_PX), 200, np.float32)
    assert run_program(read_mlpackage(path), {"image": image}, "a")["y"].max() == 6
    with pytest.raises(QualityError, match="mul large"):
        run_program(read_mlpackage(path), {"image": image + 55}, "a")


def test_damaged_packages_are_refused(package: Package, tmp_path: Path) -> None:
    path = tmp_path / "a.mlpackage"
    with pytest.raises(ModelFileError):
        read_mlpackage(path)
    write_package(package, path)
    whole = (path / WEIGHTS).read_bytes()
    (path / WEIGHTS).write_bytes(whole[:-64])
    with pytest.raises(ModelFileError, match=r"weight\.bin"):
        read_mlpackage(path)
    (path / WEIGHTS).unlink()
    with pytest.raises(ModelFileError, match="whole folder"):
        read_mlpackage(path)
    (path / WEIGHTS).write_bytes(whole)
    (path / DESCRIPTION).write_bytes((path / DESCRIPTION).read_bytes()[:-9])
    with pytest.raises(ModelFileError):
        read_mlpackage(path)
