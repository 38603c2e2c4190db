"""tinydf-doctor: what works here, and the line that installs the rest."""

from __future__ import annotations

import json
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli import doctor as doctor_cli
from tinydf_runtime.doctor import codecs as codecs_here
from tinydf_runtime.doctor import examination as doctor
from tinydf_runtime.doctor.examination import examine
from tinydf_runtime.engines.golden import replay_golden
from tinydf_runtime.errors import ModelFileError


def run(*arguments: str) -> Result:
    return CliRunner().invoke(doctor_cli.main, list(arguments))


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name in names else find_spec(name)

    for module in (doctor, codecs_here):
        monkeypatch.setattr(module, "find_spec", find)


def test_this_installation_works_and_every_line_is_plain_ascii() -> None:
    result = run()
    assert result.exit_code == 0
    assert result.stdout.isascii()
    for word in ("Networks", "golden crops", "ONNX Runtime", "cpu", "H.264", "JPEG", "The base works"):
        assert word in result.stdout
    assert result.stderr == ""


def test_json_holds_what_is_printed(tmp_path: Path) -> None:
    assert run("--json", str(tmp_path / "found.json"), "--quiet").stdout == ""
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["schema"] == "tinydf.doctor/1" and found["works"]
    assert [engine["name"] for engine in found["engines"]] == ["onnxruntime", "openvino", "tensorrt", "coremltools"]
    assert "cpu" in found["engines"][0]["devices"]
    assert all(network["works"] for network in found["networks"])
    reads = {codec["name"]: codec["reads"] for codec in (*found["videos"], *found["pictures"])}
    assert "opencv" in reads["H.264"] and "opencv" in reads["VP9"] and "opencv" in reads["PNG"]
    assert json.loads(run("--json", "-").stdout)["schema"] == found["schema"]


def test_what_is_not_installed_is_named_with_the_line_that_installs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "openvino", "av", "pi_heif")
    found = examine()
    assert found.works
    assert found.pyav is None
    assert found.missing["openvino engine"] == "pip install -c constraints.txt '.[openvino]'"
    assert found.missing["HEIC photos"] == "pip install -c constraints.txt '.[heic]'"
    assert "pip install -c constraints.txt '.[video]'" in found.missing.values()
    assert "pip install -c constraints.txt '.[openvino]'" in run().stdout


def test_a_library_that_does_not_start_is_shown_and_the_rest_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> tuple[str, ...]:
        raise OSError("libsomething.so.1: cannot open shared object file\nmore")

    monkeypatch.setattr(doctor, "onnxruntime_devices", fail)
    state = examine().engines[0]
    assert state.problem == "libsomething.so.1: cannot open shared object file"
    assert "broken" in run().stdout


def test_a_network_that_computes_something_else_breaks_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "replay_golden", lambda engine, source: replay_golden(engine, source) + 0.5)
    result = run()
    assert result.exit_code == 4
    assert "The base is broken" in result.stdout

    def damaged(*arguments: object, **options: object) -> None:
        raise ModelFileError("tinydf.onnx: damaged.")

    monkeypatch.setattr(doctor, "load_engine", damaged)
    assert "tinydf.onnx: damaged." in run().stdout
    assert run("--quiet").exit_code == 4


def test_help_shows_an_example_and_the_exit_codes() -> None:
    text = run("--help").stdout
    assert "Example: tinydf-doctor" in text and "4 the base is broken" in text
