"""The command, on a FaceForensics++ tree with real videos."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import tinydf.data.prepare
from tinydf.cli.prepare import main
from tinydf.data.manifest import read_table

Tool = Callable[..., Result]
REAL, FAKE = "original_sequences/youtube/c40/videos", "manipulated_sequences/FaceSwap/c40/videos"


@pytest.fixture
def root(tmp_path: Path, face_video: Path) -> Path:
    root = tmp_path / "ff"
    for name in (f"{REAL}/000.mp4", f"{REAL}/001.mp4", f"{FAKE}/000_001.mp4", f"{FAKE}/001_000.mp4"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(face_video, root / name)
    for split, pairs in {"train": [["000", "001"]], "val": [], "test": []}.items():
        (root / f"{split}.json").write_text(json.dumps(pairs))
    return root


@pytest.fixture
def tool(root: Path, tmp_path: Path) -> Tool:
    def run(*arguments: str, out: Path = tmp_path / "out", layout: str = "ff++") -> Result:
        fixed = [str(root), "--out", str(out), "--layout", layout, "--workers", "1", "--faces-per-video", "2"]
        return CliRunner().invoke(main, [*fixed, *arguments])

    return run


def one_line(result: Result) -> str:
    assert "Traceback" not in result.output
    (line,) = result.stderr.splitlines()
    assert line.startswith("tinydf-prepare: ")
    return line


def test_a_whole_set_ends_with_its_table_and_nothing_on_stderr(tool: Tool, tmp_path: Path) -> None:
    result = tool()
    assert (result.exit_code, result.stderr) == (0, "")
    assert "8 faces of 4 videos" in result.stdout
    rows = list(read_table(tmp_path / "out"))
    assert {(row.source, row.method, row.compression, row.split) for row in rows} == {
        ("ff++", "real", "c40", "train"),
        ("ff++", "FaceSwap", "c40", "train"),
    }


def test_json_counts_by_split_method_and_compression(tool: Tool) -> None:
    values = json.loads(tool("--json").stdout)
    assert values["schema"] == "tinydf.prepare/1" and values["faces"] == 8
    assert {"split": "train", "method": "FaceSwap", "compression": "c40", "videos": 2, "faces": 4} in values["groups"]


def test_missing_and_unreadable_videos_are_named_and_end_with_5(tool: Tool, root: Path, tmp_path: Path) -> None:
    (root / REAL / "001.mp4").unlink()
    (root / FAKE / "001_000.mp4").write_bytes(b"no video")
    result = tool("--json", str(tmp_path / "counts.json"))
    assert result.exit_code == 5
    missing, failed = result.stderr.splitlines()
    assert "1 files that the set's lists name are not there" in missing and f"{REAL}/001.mp4" in missing
    assert failed.startswith("tinydf-prepare: 2 without faces or incomplete")
    values = json.loads((tmp_path / "counts.json").read_text())
    assert (values["failed"], values["missing"], values["faces"]) == (2, 1, 4)
    lines = (tmp_path / "out" / "failures.csv").read_text().splitlines()
    assert len(lines) == 3 and any("named in a list" in line for line in lines)


def test_a_limit_takes_one_video_of_each_method(tool: Tool) -> None:
    assert "4 faces of 2 videos" in tool("--limit", "1").stdout


def test_a_leak_is_refused_with_one_line_even_in_a_trial(tool: Tool, root: Path, tmp_path: Path) -> None:
    shutil.copy(root / REAL / "000.mp4", root / REAL / "002.mp4")
    shutil.copy(root / REAL / "000.mp4", root / FAKE / "000_002.mp4")
    (root / "test.json").write_text(json.dumps([["002", "002"]]))
    result = tool("--limit", "1", "--quiet")
    assert result.exit_code == 5 and not (tmp_path / "out").exists()
    line = one_line(result)
    assert "identity 002 is in" in line and "train (FaceSwap 000_002)" in line and "test (real 002)" in line


def test_quiet_prints_nothing(tool: Tool) -> None:
    assert tool("--quiet").output == ""


def test_an_output_that_cannot_be_made_ends_with_7(tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    result = tool(out=tmp_path / "file" / "out")
    assert result.exit_code == 7 and "cannot be made" in one_line(result)


def test_a_set_of_another_layout_ends_with_5_and_says_what_is_expected(tool: Tool) -> None:
    result = tool(layout="celeb-df-v2")
    assert result.exit_code == 5 and "Celeb-real/id0_0000.mp4" in one_line(result)


def test_a_missing_source_ends_with_5(tmp_path: Path) -> None:
    arguments = [str(tmp_path / "nowhere"), "--out", str(tmp_path / "out"), "--layout", "photos"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 5 and "is no folder" in one_line(result)


def test_an_unknown_layout_ends_with_2(tool: Tool) -> None:
    result = tool(layout="mine")
    assert result.exit_code == 2 and "wilddeepfake" in one_line(result)


def test_ctrl_c_ends_with_130_and_a_table_of_what_is_done(
    tool: Tool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[int] = []
    whole = tinydf.data.prepare.prepare_clip

    def interrupted(*arguments: object, **options: object) -> int:
        if done:
            raise KeyboardInterrupt
        done.append(1)
        return whole(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(tinydf.data.prepare, "prepare_clip", interrupted)
    result = tool()
    # Click ends the line on which a terminal shows ^C.
    assert (result.exit_code, result.stderr) == (130, "\ntinydf-prepare: interrupted.\n")
    assert len(list(read_table(tmp_path / "out"))) == 2
    assert not (tmp_path / "out" / "windows" / "FaceSwap").exists()
