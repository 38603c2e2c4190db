"""What is released says what is in it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from tinydf_runtime.cli.doctor import main as doctor
from tinydf_runtime.doctor.licences import NOT_STATED, used_packages
from tinydf_runtime.errors import OutputError
from tinydf_runtime.models.shipped import write_record


def load_script() -> ModuleType:
    spec = spec_from_file_location("release", Path(__file__).resolve().parent.parent / "scripts" / "release.py")
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


release = load_script()
bill_of_materials, build = release.bill_of_materials, release.build


def test_the_bill_of_materials_lists_the_base_and_is_the_same_each_time(tmp_path: Path) -> None:
    wheel = tmp_path / "tinydf-1-py3-none-any.whl"
    wheel.write_bytes(b"wheel")
    packages = used_packages(frozenset())
    first, again = (bill_of_materials(packages, [wheel]) for _ in range(2))
    assert first == again and json.dumps(first) == json.dumps(again)
    names = {component["name"] for component in first["components"]}
    assert {"numpy", "onnxruntime", "opencv-python-headless", "click", "rich"} <= names and "torch" not in names
    (reference,) = first["metadata"]["component"]["externalReferences"]
    assert len(reference["hashes"][0]["content"]) == 64
    refs = {first["metadata"]["component"]["bom-ref"], *(component["bom-ref"] for component in first["components"])}
    assert all({entry["ref"], *entry["dependsOn"]} <= refs for entry in first["dependencies"])
    video = next(component for component in first["components"] if component["name"] == "opencv-python-headless")
    assert (
        any(inside["name"].startswith("libavcodec") for inside in video.get("components", ()))
        or sys.platform != "linux"
    )


def test_the_bill_of_materials_follows_its_schema() -> None:
    validation = pytest.importorskip("cyclonedx.validation.json", reason="cyclonedx-python-lib is not installed")
    schema = pytest.importorskip("cyclonedx.schema")
    text = json.dumps(bill_of_materials(used_packages(), []))
    assert validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text) is None


def test_every_test_that_the_security_page_names_is_there() -> None:
    root = Path(__file__).resolve().parent.parent
    named = re.findall(r"`(tests/[\w/.]+|scripts/[\w/.]+)`", (root / "SECURITY.md").read_text(encoding="utf-8"))
    assert len(named) >= 8 and all((root / name).exists() for name in named)


def test_extras_count_where_they_are_asked_for() -> None:
    base, every = ({package.name for package in used_packages(extras)} for extras in (frozenset[str](), None))
    assert base < every and {"torch", "openvino"} & every


def test_licences_are_listed_for_people_and_programs() -> None:
    result = CliRunner().invoke(doctor, ["--licences"])
    assert result.exit_code == 0 and "numpy" in result.stdout and "BSD" in result.stdout
    values = json.loads(CliRunner().invoke(doctor, ["--licences", "--json"]).stdout)
    assert values["schema"] == "tinydf.licences/1" and values["packages"][0]["name"] == "tinydf"
    assert values["packages"][0]["licence"] == "Apache-2.0"
    stated = [package for package in values["packages"] if package["licence"] != NOT_STATED]
    assert len(stated) > 0.9 * len(values["packages"])


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="sha256sum is not installed")
def test_hashes_are_checked_with_the_usual_tool(tmp_path: Path) -> None:
    for name in ("a.whl", "a.cdx.json"):
        (tmp_path / name).write_text(name)
    write_record(tmp_path)
    check = ["sha256sum", "--check", "--quiet", "SHA256SUMS"]
    assert subprocess.run(check, cwd=tmp_path, check=False).returncode == 0
    (tmp_path / "a.whl").write_text("another")
    assert subprocess.run(check, cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_a_release_goes_into_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "old.whl").touch()
    with pytest.raises(OutputError, match="not empty"):
        build(tmp_path)
