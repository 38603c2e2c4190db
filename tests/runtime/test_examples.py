"""The examples run as they stand, over drawn networks."""

from __future__ import annotations

import ast
import asyncio
import json
import os
import re
import resource
import runpy
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf_runtime import Analyzer, Limits
from tinydf_runtime.verdict.summary import summarize_unreadable

EXAMPLES = Path(__file__).parents[2] / "examples"
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="clip.mp4"\r\n\r\n',
    b"some text that is no video\r\n--b--\r\n",
    b"\r\n--b--\r\n",
)


@pytest.fixture(autouse=True)
def drawn_networks(monkeypatch: pytest.MonkeyPatch, tiny_classifier: Path, tiny_detector: Path) -> None:
    monkeypatch.setattr("tinydf_runtime.analyzer.DEFAULT_MODEL", tiny_classifier)
    monkeypatch.setattr("tinydf_runtime.analyzer.DEFAULT_DETECTOR", tiny_detector)


@pytest.fixture
def clip(write_video: Callable[..., Path]) -> Path:
    image = np.full((240, 320, 3), 90, np.uint8)
    # More colours than a palette holds; green, which the classifier reads, stays as it is.
    image[..., 0] = np.arange(320) // 5 + 60
    image[..., 2] = np.arange(240)[:, None] // 4 + 60
    image[60:160, 100:200] = (0, 10, 255)
    return write_video([image] * 50)


def test_a_video_is_judged_in_ten_lines(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["judge_video.py", str(clip)])
    runpy.run_path(str(EXAMPLES / "judge_video.py"))
    assert f"{clip} real" in capsys.readouterr().out


def test_a_camera_is_watched_live(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    stream = Analyzer.stream
    monkeypatch.setattr(Analyzer, "stream", lambda self, source, **limits: stream(self, clip, **limits))
    runpy.run_path(str(EXAMPLES / "watch_camera.py"))
    assert len(capsys.readouterr().out.splitlines()) == 10


class Service:
    """Calls the web service as a server would, without one."""

    def __init__(self) -> None:
        pytest.importorskip("fastapi", reason="FastAPI is not installed")
        self.module = runpy.run_path(str(EXAMPLES / "serve.py"))

    def post(self, body: list[bytes], content_type: str = "video/mp4") -> tuple[int, Any]:
        return asyncio.run(self.post_among_others(body, content_type))

    async def post_among_others(self, body: list[bytes], content_type: str = "video/mp4") -> tuple[int, Any]:
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "path": "/judge",
            "query_string": b"",
            "headers": [(b"content-type", content_type.encode())],
        }
        parts = iter(body)
        answer: dict[str, Any] = {"body": b""}

        async def receive() -> dict[str, Any]:
            part = next(parts, None)
            return {"type": "http.request", "body": part or b"", "more_body": part is not None}

        async def send(message: dict[str, Any]) -> None:
            answer["status"] = message.get("status", answer.get("status"))
            answer["body"] += message.get("body", b"")

        await self.module["app"](scope, receive, send)
        return answer["status"], json.loads(answer["body"])


@pytest.fixture
def service() -> Iterator[Service]:
    opened = Service()
    yield opened
    opened.module["analyzer"].close()


def test_the_web_service_judges_what_is_sent(service: Service, clip: Path) -> None:
    content = clip.read_bytes()
    status, report = service.post([content[start : start + 5000] for start in range(0, len(content), 5000)])
    assert (status, report["inputs"][0]["verdict"], report["inputs"][0]["path"]) == (200, "real", "upload")


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (FORM[:2], "multipart/form-data; boundary=b", 415),
        ([b"no form"], "multipart/form-data; boundary=b", 400),
        ([b"no form"], "multipart/form-data", 400),
        ([b"some text"], "text/plain", 415),
        ([b"#EXTM3U\n", b"http://127.0.0.1/secret\n"], "video/mp4", 415),
        ([b"short"], "video/mp4", 415),
        ([], "video/mp4", 415),
        ([b"\x00\x00", b"\x00\x18ftypisom", b"nothing that plays"], "video/mp4", 422),
    ],
)
def test_the_web_service_refuses_what_is_no_video(
    service: Service, body: list[bytes], content_type: str, status: int
) -> None:
    found, answer = service.post(body, content_type)
    assert found == status
    assert "/" not in answer["detail"], "a path of the server is told to its user"


def test_the_web_service_stops_an_upload_that_is_too_large(service: Service) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        while True:
            taken += 1 << 20
            yield b"\x1a\x45\xdf\xa3".ljust(1 << 20)

    service.module["judge"].__globals__["MAXIMUM_BYTES"] = 3 << 20
    status, _ = service.post(endless())  # type: ignore[arg-type]
    assert (status, taken) == (413, 4 << 20)


def test_the_web_service_stops_a_form_that_has_no_end(service: Service) -> None:
    taken = 0

    def endless() -> Iterator[bytes]:
        nonlocal taken
        yield FORM[0]
        while True:
            taken += 1 << 20
            yield b"\x1a\x45\xdf\xa3".ljust(1 << 20)

    service.module["judge"].__globals__["MAXIMUM_BYTES"] = 3 << 20
    status, _ = service.post(endless(), "multipart/form-data; boundary=b")  # type: ignore[arg-type]
    assert (status, taken) == (413, 3 << 20)


def test_the_web_service_ends_an_upload_that_is_too_slow(service: Service) -> None:
    service.module["judge"].__globals__["UPLOAD_S"] = 0.0
    assert service.post([b"\x1a\x45\xdf\xa3".ljust(100)])[0] == 408


def test_the_web_service_takes_a_form_and_gives_its_name_to_no_file(
    service: Service, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(Analyzer, "analyze_input", _noting(Analyzer.analyze_input, opened))
    name = "../../../tmp/evil/clip.mp4"
    head = f'--b\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n\r\n'.encode()
    body = [head, clip.read_bytes(), b"\r\n--b--\r\n"]
    status, report = service.post(body, "multipart/form-data; boundary=b")
    assert (status, report["inputs"][0]["verdict"], report["inputs"][0]["path"]) == (200, "real", "upload")
    assert "evil" not in json.dumps(report) and [Path(path).name for path in opened] == ["upload"]
    assert not Path(opened[0]).exists()


def test_the_web_service_refuses_too_many_pixels(service: Service, write_video: Callable[..., Path]) -> None:
    service.module["judge"].__globals__["LIMITS"] = Limits(max_pixels=10_000)
    status, answer = service.post([write_video([np.zeros((120, 160, 3), np.uint8)] * 3).read_bytes()])
    assert status == 422 and "too large" in answer["detail"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
@pytest.mark.parametrize("lacking", ["open files", "room on the disk", "time"])
def test_a_web_service_that_is_overloaded_says_so_and_nothing_against_the_file(
    service: Service, clip: Path, monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    content = clip.read_bytes()
    form = [FORM[0], content.ljust(2 << 20), FORM[2]]
    assert service.post([content])[0] == 200
    names, usual = service.module["judge"].__globals__, resource.getrlimit(resource.RLIMIT_NOFILE)

    def take_what_is_left() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), usual[1]))  # noqa: PTH208

    with monkeypatch.context() as patch:
        if lacking == "open files":
            patch.setitem(names, "save", _then(names["save"], take_what_is_left))
        elif lacking == "room on the disk":
            patch.setattr("tempfile.tempdir", str(clip.parent / "none"))
            assert service.post(form, "multipart/form-data; boundary=b")[0] == 503
        else:
            late = summarize_unreadable("upload", None, "video", "no picture in the time given", 60.0, "timeout")
            patch.setattr(Analyzer, "analyze_input", lambda self, source, limits: late)
        status, answer = service.post([content])
    resource.setrlimit(resource.RLIMIT_NOFILE, usual)
    assert (status, "Try again" in answer["detail"]) == (503, True)
    assert service.post([content])[0] == 200


def _then(work: Callable[..., Any], after: Callable[[], None]) -> Callable[..., Any]:
    """Returns what does the one and then the other."""

    async def both(*arguments: Any) -> None:
        await work(*arguments)
        after()

    return both


def test_the_web_service_answers_two_hundred_at_once(service: Service, draw_squares: Callable[..., Any]) -> None:
    picture = cv2.imencode(".png", draw_squares((20, 20, 60, 60), width=80, height=80))[1].tobytes()
    body = [FORM[0], picture, FORM[2]]

    async def send_all() -> list[tuple[int, Any]]:
        return await asyncio.gather(
            *(service.post_among_others(body, "multipart/form-data; boundary=b") for _ in range(200))
        )

    answers = asyncio.run(send_all())
    assert {status for status, _ in answers} == {200}
    assert len({json.dumps(report["inputs"][0]["tracks"]) for _, report in answers}) == 1
    gate = service.module["Gate"]
    assert (gate.inside, gate.held) == (0, 0)


def test_the_web_service_describes_its_form_and_its_answer(service: Service) -> None:
    description = service.module["app"].openapi()
    asked = description["paths"]["/judge"]["post"]
    form = asked["requestBody"]["content"]["multipart/form-data"]["schema"]["$ref"].rpartition("/")[2]
    file = json.dumps(description["components"]["schemas"][form]["properties"]["file"])
    assert "binary" in file or "octet-stream" in file
    assert set(asked["requestBody"]["content"]) == {"multipart/form-data", "video/*", "image/*"}
    answer = asked["responses"]["200"]["content"]["application/json"]["schema"]
    assert answer == {"$ref": "#/components/schemas/report"}
    for reference in re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(description)):
        assert reference in description["components"]["schemas"]
    assert "fake_probability" in description["components"]["schemas"]["input"]["properties"]


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_web_service_answers_curl(clip: Path, tiny_classifier: Path, tiny_detector: Path) -> None:
    pytest.importorskip("uvicorn", reason="uvicorn is not installed")
    program = (
        "import sys, socket, pathlib, uvicorn, tinydf_runtime.analyzer as p\n"
        "p.DEFAULT_MODEL, p.DEFAULT_DETECTOR = map(pathlib.Path, sys.argv[1:3])\n"
        "sys.path.insert(0, sys.argv[3])\n"
        "import serve\n"
        "listener = socket.create_server(('127.0.0.1', 0))\n"
        "print(listener.getsockname()[1], flush=True)\n"
        "uvicorn.Server(uvicorn.Config(serve.app, log_level='error')).run([listener])\n"
    )
    command = [sys.executable, "-c", program, str(tiny_classifier), str(tiny_detector), str(EXAMPLES)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            url = f"http://127.0.0.1:{int(server.stdout.readline())}/judge"
            for how in (["-F", f"file=@{clip}"], ["--data-binary", f"@{clip}", "-H", "Content-Type: video/mp4"]):
                done = subprocess.run(["curl", "-sS", "-m", "60", *how, url], capture_output=True, check=True)
                assert json.loads(done.stdout)["inputs"][0]["verdict"] == "real"
        finally:
            server.terminate()
            server.wait(30)


def _noting(function: Callable[..., Any], opened: list[str]) -> Callable[..., Any]:
    """A method that notes what it is called with."""

    def call(self: Analyzer, source: Any, **options: Any) -> Any:
        opened.append(str(source))
        return function(self, source, **options)

    return call


def test_the_web_service_takes_no_more_work_than_it_has_places_for(
    service: Service, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, content = threading.Event(), [clip.read_bytes()]
    analyze_input = Analyzer.analyze_input

    def wait_and_analyze(*arguments: Any, **options: Any) -> Any:
        go_on.wait(10)
        return analyze_input(*arguments, **options)

    monkeypatch.setattr(Analyzer, "analyze_input", wait_and_analyze)

    async def send_three() -> list[int]:
        places = service.module["AT_ONCE"]
        # No queue: what finds no place is told so.
        service.module["judge"].__globals__["MOST_INSIDE"] = places
        working = [asyncio.create_task(service.post_among_others(content)) for _ in range(places)]
        while not service.module["free"].locked():
            await asyncio.sleep(0.01)
        refused = await service.post_among_others(content)
        go_on.set()
        return [refused[0], *[(await task)[0] for task in working]]

    assert asyncio.run(send_three()) == [503, 200, 200]


def test_a_folder_is_watched(clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    look = runpy.run_path(str(EXAMPLES / "watch_folder.py"))["look"]
    folder = tmp_path / "folder"
    folder.mkdir()
    content = clip.read_bytes()
    (folder / "copying.mp4").write_bytes(content[: len(content) // 2])
    (folder / "bad.mp4").write_bytes(b"no video")
    (folder / "notes.txt").write_text("no video either")
    (folder / "sub.mp4").mkdir()

    def verdicts() -> dict[str, str]:
        return {p.name: json.loads(p.read_text())["inputs"][0]["verdict"] for p in sorted(folder.glob("*.json"))}

    with Analyzer() as analyzer:
        done: dict[Path, tuple[int, int]] = {}
        seen = look(folder, analyzer, {}, done)
        assert verdicts() == {}, "what has just come may still be being copied"
        (folder / "copying.mp4").write_bytes(content)
        seen = look(folder, analyzer, seen, done)
        assert verdicts() == {"bad.mp4.json": "error"}
        seen = look(folder, analyzer, seen, done)
        assert verdicts() == {"bad.mp4.json": "error", "copying.mp4.json": "real"}
        capsys.readouterr()
        look(folder, analyzer, look(folder, analyzer, seen, done), {})
        assert capsys.readouterr().out == "", "what is judged is not judged again, even after a restart"
        (folder / "bad.mp4").write_bytes(content)
        # A file may be changed within the resolution of the clock.
        os.utime(folder / "bad.mp4", (time.time() + 5,) * 2)
        seen = look(folder, analyzer, look(folder, analyzer, seen, done), done)
        assert verdicts() == {"bad.mp4.json": "real", "copying.mp4.json": "real"}
    assert (folder / "copying.mp4").read_bytes() == content
    for name in ("bad.mp4", "copying.mp4"):
        page = (folder / f"{name}.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>") and name in page and "Looks real" in page


def test_a_folder_that_cannot_be_written_to_does_not_end_the_watch(
    clip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    look = runpy.run_path(str(EXAMPLES / "watch_folder.py"))["look"]
    (tmp_path / "clip.mp4.json").mkdir()
    with Analyzer() as analyzer:
        done: dict[Path, tuple[int, int]] = {}
        look(tmp_path, analyzer, look(tmp_path, analyzer, {}, done), done)
    assert clip in done
    assert "clip.mp4.json" in capsys.readouterr().err


def test_the_notebook_runs_from_top_to_bottom(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(clip.parent)
    shown: list[Any] = []
    display = ModuleType("IPython.display")
    display.Image = lambda data: data  # type: ignore[attr-defined]
    display.display = shown.append  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "IPython", ModuleType("IPython"))
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    names: dict[str, Any] = {}
    for cell in notebook_cells():
        show_as_a_notebook_does("".join(cell["source"]), names, shown)
    assert "person 1: real" in capsys.readouterr().out
    page, picture = shown
    assert page.startswith("<iframe srcdoc=") and "Looks real" in page and clip.name in page
    assert picture.startswith(b"\x89PNG")
    assert names["own"].tracks == names["found"].tracks


def show_as_a_notebook_does(source: str, names: dict[str, Any], shown: list[Any]) -> None:
    """Runs a cell; an expression at its end is shown as HTML where it has such a form."""
    *body, last = ast.parse(source).body
    if not isinstance(last, ast.Expr):
        exec(source, names)
        return
    exec(compile(ast.Module(body, []), "cell", "exec"), names)
    value = eval(compile(ast.Expression(last.value), "cell", "eval"), names)
    if hasattr(value, "_repr_html_"):
        shown.append(value._repr_html_())


def test_the_notebook_is_well_formed_and_holds_no_output() -> None:
    notebook = json.loads((EXAMPLES / "judge_video.ipynb").read_text(encoding="utf-8"))
    assert (notebook["nbformat"], notebook["nbformat_minor"]) == (4, 5)
    assert len({cell["id"] for cell in notebook["cells"]}) == len(notebook["cells"])
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in notebook_cells())


def notebook_cells() -> list[dict[str, Any]]:
    """The cells with code."""
    notebook = json.loads((EXAMPLES / "judge_video.ipynb").read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


@pytest.fixture
def screen() -> Iterator[dict[str, str]]:
    """The environment of a program that opens windows: on an invisible screen where the machine has none."""
    pytest.importorskip("tkinter", reason="Python has no Tk here")
    environment = dict(os.environ)
    if environment.get("DISPLAY") or sys.platform in ("win32", "darwin"):
        yield environment
        return
    if shutil.which("Xvfb") is None:
        pytest.skip("neither a screen nor Xvfb is here")
    reading, writing = os.pipe()
    # It ends by itself with its last window, so that none is left when the tests are killed.
    command = ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1280x1024x24", "-nolisten", "tcp", "-terminate"]
    with subprocess.Popen(
        command, pass_fds=[writing], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as server:
        os.close(writing)
        with os.fdopen(reading) as number:
            environment["DISPLAY"] = f":{number.readline().strip()}"
        try:
            yield environment
        finally:
            server.kill()


WINDOW_USER = """
import runpy, sys, threading, time, tkinter
from pathlib import Path
import tinydf_runtime.analyzer as pipeline

example, model, detector, source, awaited = sys.argv[1:]
pipeline.DEFAULT_MODEL, pipeline.DEFAULT_DETECTOR = Path(model), Path(detector)
stream = pipeline.Analyzer.stream

def play_like_a_camera(self, source, limits):
    while not limits.stop.is_set():
        for moment in stream(self, source, limits=limits):
            limits.stop.wait(0.02)
            yield moment

pipeline.Analyzer.stream = play_like_a_camera
root = tkinter.Tk()
runpy.run_path(example)["show"](root, source)
picture, line = root.nametowidget("picture"), root.nametowidget("line")
deadline = time.monotonic() + 20
while awaited not in line.cget("text") and time.monotonic() < deadline:
    root.update()
    time.sleep(0.01)
print(line.cget("text"), picture.winfo_reqwidth() // 10, picture.winfo_reqheight() // 10)
root.tk.call(root.protocol("WM_DELETE_WINDOW"))
print("threads left:", threading.active_count() - 1)
"""


@pytest.fixture
def look_at_window(
    screen: dict[str, str], tiny_classifier: Path, tiny_detector: Path
) -> Callable[[Path, str], list[str]]:
    """Opens the window on a source, waits for words in its line, closes it, and returns what was there."""

    def look(source: Path, awaited: str) -> list[str]:
        arguments = [str(EXAMPLES / "window.py"), str(tiny_classifier), str(tiny_detector), str(source), awaited]
        done = subprocess.run(
            [sys.executable, "-c", WINDOW_USER, *arguments],
            env=screen,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    return look


def test_a_window_shows_faces_until_it_is_closed(look_at_window: Callable[[Path, str], list[str]], clip: Path) -> None:
    line, threads = look_at_window(clip, "person 1: real")
    assert line.startswith("person 1: real") and line.endswith(" 96 72")
    assert threads == "threads left: 0"


def test_a_window_says_why_there_is_no_picture(
    look_at_window: Callable[[Path, str], list[str]], tmp_path: Path
) -> None:
    line, threads = look_at_window(tmp_path / "none.mp4", "none.mp4")
    assert "none.mp4" in line
    assert threads == "threads left: 0"
