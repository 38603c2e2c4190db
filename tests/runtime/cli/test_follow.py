"""tinydf-run on streams: JSON lines, Ctrl-C, passwords, exit codes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import jsonschema
import numpy as np
import pytest
from click.testing import CliRunner, Result

from tinydf_runtime.cli.run import main
from tinydf_runtime.models.spec import ModelSpec
from tinydf_runtime.render.report import FRAME_RESULT_SCHEMA_FILE, SCHEMA_FILE
from tinydf_runtime.types import Image

Serve = Callable[..., Any]
Tool = Callable[..., Result]
PATIENCE_S = "30"


def face(number: int) -> Image:
    """What the drawn detector takes for a face and the drawn classifier for a forged one."""
    image = np.full((240, 320, 3), 90, np.uint8)
    # More colours than a palette holds; green, which the classifier reads, stays as it is.
    image[..., 0] = np.arange(320) // 5 + 60
    image[..., 2] = np.arange(240)[:, None] // 4 + 60
    image[60:160, 100:200] = (0, 110, 255)
    return image


@pytest.fixture
def networks(make_classifier: Callable[..., Path], tiny_detector: Path) -> list[str]:
    engine = make_classifier(ModelSpec("tiny-green", threshold=0.2))
    return ["--engine", str(engine), "--detector", str(tiny_detector), "--threads", "1"]


@pytest.fixture
def tool(networks: list[str]) -> Tool:
    return lambda *arguments: CliRunner().invoke(main, [*map(str, arguments), *networks])


def read_report(text: str) -> Any:
    values = json.loads(text)
    jsonschema.validate(values, json.loads(SCHEMA_FILE.read_text()))
    return values


def test_json_lines_are_moments_and_the_report_comes_last(tool: Tool, serve: Serve, tmp_path: Path) -> None:
    server = serve("RtspServer", face, frames=90)
    arguments = ["--json-lines", "--reconnect-seconds", 0, "--max-seconds", PATIENCE_S, "--json", tmp_path / "r.json"]
    result = tool(server.url("bob:secret@"), *arguments)
    assert result.exit_code == 5
    *lines, last = result.stdout.splitlines()
    schema = json.loads(FRAME_RESULT_SCHEMA_FILE.read_text())
    for line in lines:
        jsonschema.validate(json.loads(line), schema)
    times = [json.loads(line)["time_s"] for line in lines]
    assert len(times) > 5 and times == sorted(times)
    (item,) = read_report(last)["inputs"]
    assert (item["kind"], item["status"], len(item["gaps"])) == ("stream", "truncated", 1)
    assert read_report((tmp_path / "r.json").read_text())["inputs"] == [item]
    assert "secret" not in result.output and "secret" not in (tmp_path / "r.json").read_text()


def test_a_stream_is_told_in_lines_with_its_verdict_at_the_end(tool: Tool, serve: Serve) -> None:
    server = serve("MjpegServer", face)
    result = tool(server.url("bob:secret@"), "--max-seconds", 3, "--max-latency-ms", 5000)
    assert result.exit_code == 0, result.output
    assert "person 1" in result.stdout and "FAKE" in result.stdout
    assert "secret" not in result.output and result.stderr == ""


def test_a_stream_that_is_not_there_is_one_line_without_its_password(tool: Tool, serve: Serve, tmp_path: Path) -> None:
    server = serve("RtspServer", face)
    server.close()
    result = tool(server.url("bob:secret@"), "--json", tmp_path / "r.json")
    assert result.exit_code == 5
    (line,) = result.stderr.splitlines()
    assert line.startswith("tinydf-run: rtsp://***@127.0.0.1:")
    assert read_report((tmp_path / "r.json").read_text())["inputs"][0]["verdict"] == "error"
    assert "secret" not in result.output and "secret" not in (tmp_path / "r.json").read_text()


@pytest.mark.parametrize("hangs", [False, True])
def test_ctrl_c_ends_a_stream_with_its_report(tool: Tool, serve: Serve, tmp_path: Path, hangs: bool) -> None:
    server = serve("MjpegServer", face)
    interrupt_when(lambda: server.sent > 60, server.stall if hangs else None)
    result = tool(server.url(), "--json", tmp_path / "r.json", "--max-seconds", PATIENCE_S)
    assert result.exit_code == 130
    assert "Traceback" not in result.output and "interrupted" in result.stderr
    (item,) = read_report((tmp_path / "r.json").read_text())["inputs"]
    assert (item["status"], item["verdict"]) == ("ok", "fake")


def interrupt_when(ready: Callable[[], bool], before: Callable[[], None] | None) -> None:
    """Calls the handler of Ctrl-C from a thread: beside every engine that other tests load, a real signal ends this."""

    def watch() -> None:
        while not ready():
            time.sleep(0.05)
        if before is not None:
            before()
            time.sleep(0.5)
        handler = signal.getsignal(signal.SIGINT)
        assert callable(handler)
        handler(signal.SIGINT, None)

    threading.Thread(target=watch, daemon=True).start()


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGINT to one process")
def test_a_real_ctrl_c_ends_the_process_while_the_server_says_nothing(
    serve: Serve, networks: list[str], tmp_path: Path
) -> None:
    server = serve("RtspServer", face)
    server.stall()
    command = [sys.executable, "-c", "from tinydf_runtime.cli.run import main; main()", server.url("bob:secret@")]
    with subprocess.Popen(
        [*command, "--json", str(tmp_path / "r.json"), *networks], stderr=subprocess.PIPE, text=True
    ) as process:
        while not server.connections:
            time.sleep(0.05)
        time.sleep(0.3)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
    # FFmpeg itself would wait for ten seconds, and a thread left behind could take the process down.
    assert time.monotonic() - started < 8
    assert process.returncode == 130
    assert "Traceback" not in said and "secret" not in said and "interrupted" in said
    assert read_report((tmp_path / "r.json").read_text())["inputs"][0]["status"] == "unreadable"


def test_a_reader_of_lines_that_leaves_ends_the_run(serve: Serve, networks: list[str]) -> None:
    server = serve("MjpegServer", face)
    command = [sys.executable, "-c", "from tinydf_runtime.cli.run import main; main()", server.url(), "--json-lines"]
    with subprocess.Popen([*command, *networks], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stderr is not None
        assert json.loads(process.stdout.readline())["schema"] == "tinydf.moment/1"
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 7
    assert said.splitlines() == ["tinydf-run: standard output: was closed by its reader."]


def test_a_window_is_for_streams_and_needs_a_screen(tool: Tool, serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tool("clip.mp4", "--show").exit_code == 2

    def refuse(*_: object) -> None:
        raise cv2.error("The function is not implemented")

    monkeypatch.setattr(cv2, "namedWindow", refuse, raising=False)
    result = tool(serve("MjpegServer", face).url(), "--show", "--max-seconds", 5)
    assert result.exit_code == 4
    assert "pip install opencv-python" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [["--json-lines", "--json", "-"], ["--max-latency-ms", "0"], ["--reconnect-seconds", "-1"]],
)
def test_wrong_usage_of_stream_options_is_exit_code_2(tool: Tool, arguments: list[str]) -> None:
    assert tool("0", *arguments).exit_code == 2
