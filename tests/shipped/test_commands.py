"""Every command line of README, docs and model cards: run where that takes no device, data or hours, else parsed."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import click
import cv2
import pytest

from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL
from tinydf_runtime.types import Image

ROOT = Path(__file__).resolve().parents[2]
CARDS = tuple(network.with_suffix(".md") for network in (DEFAULT_MODEL, DEFAULT_DETECTOR))
DOCUMENTS = (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")), *CARDS)
OTHERS = {
    "python3",
    "bash",
    "ruff",
    "mypy",
    "pre-commit",
    "jq",
    "sqlite3",
    "torchrun",
    ".",
    "sudo",
    "apt",
    "apt-get",
    "git",
    "cd",
}
"""Programs that are not ours."""
MODELS = ("tinydf.onnx", "tinydf-int8.onnx", "mine.onnx", "A.onnx", "fp16.onnx", "int8.onnx")
"""Names that the documents give to ONNX files."""
Runner = Callable[[list[str], Path], "subprocess.CompletedProcess[str]"]


class Line(NamedTuple):
    """A command of a document; one between single backquotes may leave arguments out."""

    document: str
    words: tuple[str, ...]
    whole: bool

    def __str__(self) -> str:
        return f"{self.document}: {shlex.join(self.words)}"


def documented() -> list[Line]:
    lines = []
    for document in DOCUMENTS:
        text = document.read_text(encoding="utf-8")
        for block in re.findall(r"^```(?:bash|sh|console|shell)\n(.*?)^```", text, re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                lines += [Line(document.name, words, True) for words in commands(line)]
        prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
        for code in re.findall(r"(?<!`)`([^`]+)`(?!`)", prose):
            if re.match(r"(tinydf-|python scripts/)\S+ ", code):
                lines += [Line(document.name, words, False) for words in commands(" ".join(code.split()))]
    return list(dict.fromkeys(lines))


def commands(line: str) -> list[tuple[str, ...]]:
    """Splits a shell's line into its commands, each without the folder that its program is in."""
    found: list[list[str]] = [[]]
    for word in shlex.split(line, comments=True):
        if word in ("|", "&&", ";"):
            found.append([])
        else:
            found[-1].append(word)
    return [(words[0].removeprefix(".venv/bin/"), *words[1:]) for words in found if words]


LINES = documented()
OURS = [line for line in LINES if line.words[0].startswith("tinydf-") or line.words[:2][-1].startswith("scripts/")]


def is_run(line: Line) -> bool:
    """Whether a command needs nothing that is not here: no device, no data set and no hours."""
    program, *arguments = line.words
    if not line.whole or any("://" in word or word.isdecimal() for word in arguments[:1]):
        return False
    if program == "tinydf-verify":
        return arguments[0].endswith(".onnx")
    if program == "tinydf-export":
        return "--from-onnx" in arguments
    return program in ("tinydf-run", "tinydf-doctor", "tinydf-build-plan") or arguments[:1] == [
        "scripts/check_tensorrt.py"
    ]


RUN = [line for line in OURS if is_run(line)]
PARSED = [line for line in OURS if not is_run(line)]


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds of the example video: how long a video is makes no difference to a command."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    whole = cv2.VideoCapture(str(ROOT / "examples" / "clip.mp4"))
    pictures = [whole.read()[1] for _ in range(50)]
    height, width = pictures[0].shape[:2]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (width, height))
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.fixture
def desk(tmp_path: Path, clip: Path, astronaut: Image) -> Path:
    """A folder with what the documents name: videos, photos, models and folders of faces."""
    for name in ("interview.mp4", "clips/one.mp4", "examples/clip.mp4", "clip.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(clip, tmp_path / name)
    for folder in ("photos", "PHOTOS", "FaceForensics++", "faces/mine", "faces/ff++", "faces/celeb-df", "FACES"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(tmp_path / "photos" / "one.png"), astronaut)
    for name in MODELS:
        shutil.copy(DEFAULT_MODEL, tmp_path / name)
    for name in (
        "tinydf.xml",
        "tinydf.plan",
        "mine.safetensors",
        "B.safetensors",
        "mine.calibration.json",
        "scores.npz",
        "SCORES.npz",
        "LAST.onnx",
    ):
        (tmp_path / name).touch()
    for run in ("first", "mine"):
        (tmp_path / "runs" / run).mkdir(parents=True)
        (tmp_path / "runs" / run / "tinydf.safetensors").touch()
    (tmp_path / "docs").mkdir()
    return tmp_path


def test_the_documents_show_every_command(scripts: dict[str, tuple[str, str]]) -> None:
    assert {line.words[0] for line in OURS} >= scripts.keys()
    assert len(RUN) >= 10 and len(PARSED) >= 20


def test_every_other_program_is_known() -> None:
    unknown = [str(line) for line in LINES if line not in OURS and line.words[0] not in {*OTHERS, "pip", "python"}]
    assert not unknown


@pytest.mark.parametrize("line", [line for line in LINES if line.words[0] == "pip"], ids=str)
def test_installs_name_extras_and_files_that_are_there(line: Line) -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    extras = re.search(r"^\[project\.optional-dependencies\]$(.*?)^\[", project, re.M | re.S)
    assert extras is not None
    known = set(re.findall(r"^(\w+) = \[", extras[1], re.M))
    for word in line.words:
        named = re.search(r"\[(.+)\]$", word)
        assert named is None or known.issuperset(named[1].split(",")), word
    for option, value in zip(line.words, line.words[1:], strict=False):
        assert option not in ("-c", "-r") or (ROOT / value).is_file(), value


@pytest.mark.parametrize("line", RUN, ids=str)
def test_a_command_that_needs_no_device_runs(line: Line, desk: Path, run: Runner) -> None:
    done = run(list(line.words), desk)
    on_device = any(word == "tensorrt" or word.endswith((".plan", "check_tensorrt.py")) for word in line.words)
    # Without TensorRT or a GPU, what is asked for is right and cannot be done here.
    assert done.returncode in ((0, 4) if on_device else (0,)), done.stderr[-2000:]
    for option in ("--report", "--html", "--json", "--csv", "--annotate"):
        if option in line.words:
            assert (desk / line.words[line.words.index(option) + 1]).stat().st_size > 0


@pytest.mark.parametrize("line", PARSED, ids=str)
def test_a_command_that_needs_more_is_understood(
    line: Line, desk: Path, scripts: dict[str, tuple[str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(desk)
    monkeypatch.syspath_prepend(ROOT / "scripts")  # scripts import each other
    arguments = list(line.words[2:] if line.words[0] == "python" else line.words[1:])
    command = click_command(line, scripts)
    try:
        context = command.make_context(line.words[0], arguments)
    except click.MissingParameter:
        assert not line.whole
        return
    except click.BadOptionUsage:
        # Prose names an option without its value: `tinydf-run --json`.
        assert not line.whole and line.words[-1].startswith("--")
        return
    assert not context.args


@pytest.mark.parametrize(
    "line", [line for line in PARSED if line.words[0] in ("tinydf-export", "tinydf-verify")], ids=str
)
def test_options_of_an_export_fit_each_other(line: Line, desk: Path, run: Runner) -> None:
    if line.words[1].startswith("--"):
        pytest.skip("the shipped checkpoint is exported by test_exports.py")
    # The files are empty: a command that is right fails at these, and at nothing before.
    assert run(list(line.words), desk).returncode in (4, 5, 6)


def click_command(line: Line, scripts: dict[str, tuple[str, str]]) -> click.Command:
    """Returns the command behind a line; those that need PyTorch are started by a function of their own."""
    if line.words[0] == "python":
        # Its folder is on the path: see the test.
        found = import_module(Path(line.words[1]).stem).main
    else:
        home, name = scripts[line.words[0]]
        found = getattr(import_module(home), name)
        if not isinstance(found, click.Command):
            pytest.importorskip("torch")
            found = import_module(f"tinydf.cli.{name}").main
    assert isinstance(found, click.Command)
    return found
