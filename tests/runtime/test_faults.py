"""Full disks, no permission, kills, changing files: each is one line and a code, and never half a file."""

from __future__ import annotations

import csv
import ctypes
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.cli.run import is_partly_read
from tinydf_runtime.engines.engine import score_in_halves
from tinydf_runtime.engines.first_use import is_remembered
from tinydf_runtime.errors import OutOfMemoryError, OutputError
from tinydf_runtime.io.files import clear_leftovers, temporary_file, write_atomically
from tinydf_runtime.trust.record import entries
from tinydf_runtime.types import Scores
from tinydf_runtime.watch import Limits

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="faults are made by Linux's own means")
KILL_POINTS = Path(__file__).parents[1] / "kill_points.py"
RUN = "import sys; from tinydf_runtime.cli.run import main; main(prog_name='tinydf-run')"
LEFTOVER = ".0123456789abcdef.tmp"


@pytest.fixture
def clip(write_video: Callable[..., Path], draw_squares: Callable[..., Any]) -> Path:
    return write_video([draw_squares((60, 60, 160, 160))] * 15)


@pytest.fixture
def networks(tiny_classifier: Path, tiny_detector: Path) -> list[str]:
    return ["--engine", str(tiny_classifier), "--detector", str(tiny_detector), "--no-sandbox", "--threads", "1"]


def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, text=True, timeout=120, check=False, **options)


def assert_one_line(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    assert done.returncode == code, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("tinydf-run: ") and all(word in line for word in words), line


@pytest.mark.parametrize("what", [["--json", "-"], ["--json-lines"], []])
def test_a_full_standard_output_is_exit_code_7(clip: Path, networks: list[str], what: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        assert_one_line(run(clip, *networks, *what, stdout=full), 7, "standard output", "No space left")


def test_a_reader_that_has_gone_is_exit_code_7(clip: Path, networks: list[str]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    assert_one_line(run(clip, *networks, "--json", "-", stdout=writing), 7, "standard output")
    os.close(writing)


def test_without_a_standard_output_it_is_exit_code_7(clip: Path, networks: list[str]) -> None:
    closed = run(clip, *networks, "--json", "-", stdout=None, preexec_fn=lambda: os.close(1))
    assert_one_line(closed, 7, "standard output", "Bad file descriptor")


def test_a_full_disk_leaves_no_file_and_is_exit_code_7(clip: Path, networks: list[str], tmp_path: Path) -> None:
    def fill() -> None:
        # What is written beyond counts as no space left.
        resource.setrlimit(resource.RLIMIT_FSIZE, (500, 500))

    out = tmp_path / "out"
    out.mkdir()
    for option, name in (("--json", "a.json"), ("--report", "a.html"), ("--annotate", "a.mp4")):
        done = run(clip, *networks, "--quiet", option, out / name, preexec_fn=fill)
        assert_one_line(done, 7, name, "File too large")
    assert list(out.iterdir()) == []


def test_without_permission_it_is_exit_code_7_before_the_work(clip: Path, networks: list[str], tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o555)
    if os.geteuid() == 0 and ctypes.CDLL(None, use_errno=True).prctl(23, 1) != 1:
        pytest.skip("no capability to give up, which makes the superuser an ordinary one")

    def become_ordinary() -> None:
        # PR_CAPBSET_DROP of CAP_DAC_OVERRIDE: after exec even root needs permission.
        ctypes.CDLL(None).prctl(24, 1)

    done = run(clip, *networks, "--json", closed / "a.json", preexec_fn=become_ordinary)
    assert_one_line(done, 7, "closed", "Permission denied")
    assert done.stdout == ""


def test_a_file_system_that_cannot_be_written_is_exit_code_7(clip: Path, networks: list[str]) -> None:
    assert_one_line(run(clip, *networks, "--json", "/proc/a.json"), 7, "/proc")


def kill(jobs: list[dict[str, Any]]) -> list[tuple[int, int | None]]:
    """Runs jobs of ``kill_points.py`` and returns how each ended."""
    done = subprocess.run([sys.executable, str(KILL_POINTS), json.dumps(jobs)], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr.decode()
    return [(code, seen) for code, seen in json.loads(done.stdout)]


def test_a_run_killed_at_any_write_leaves_whole_files_and_the_next_clears_up(
    clip: Path, networks: list[str], tmp_path: Path
) -> None:
    names = ("a.json", "a.csv", "a.html", "a.mp4")

    def job(at: int, number: int) -> dict[str, Any]:
        out = tmp_path / f"out{at}-{number}"
        out.mkdir(exist_ok=True)
        outputs = zip(("--json", "--csv", "--report", "--annotate"), (str(out / name) for name in names), strict=True)
        arguments = [str(clip), *networks, "--quiet", *(word for pair in outputs for word in pair)]
        preload = [
            "tinydf_runtime.render.annotate",
            "tinydf_runtime.render.html.page",
            "tinydf_runtime.networks",
            "av",
        ]
        return {
            "command": "tinydf_runtime.cli.run:main",
            "args": arguments,
            "kill_at": at,
            "below": str(tmp_path),
            "signal": number,
            "preload": preload[: 4 if _has("av") else 3],
        }

    ((code, writes),) = kill([job(0, 9)])
    assert code == 0 and writes is not None and writes >= 12
    points = [(at, number) for at in range(1, writes + 1, 3) for number in (signal.SIGKILL,)]
    points += [(writes // 2, signal.SIGTERM), (writes - 1, signal.SIGTERM)]
    ends = kill([job(*point) for point in points])
    left = 0
    for (at, number), (code, _) in zip(points, ends, strict=True):
        out = tmp_path / f"out{at}-{number}"
        assert code == (-9 if number == 9 else 130), (at, number, code)
        left += len([path for path in out.iterdir() if path.name not in names])
        assert number == 9 or all(path.name in names for path in out.iterdir())
        if (out / "a.json").exists():
            assert json.loads((out / "a.json").read_text())["inputs"][0]["frames_scored"] == 3
        if (out / "a.csv").exists():
            assert len(list(csv.reader((out / "a.csv").read_text().splitlines()))) == 4
        if (out / "a.mp4").exists():
            assert cv2.VideoCapture(str(out / "a.mp4")).read()[0]
    assert left > 2, "nothing was left for the next run to clear away"
    again = kill([{**job(at, 9), "kill_at": 0} for at, number in points if number == 9])
    assert {code for code, _ in again} == {0}
    for at, number in points:
        if number == 9:
            assert sorted(path.name for path in (tmp_path / f"out{at}-9").iterdir()) == sorted(names)


def test_leftovers_go_and_what_is_in_use_or_another_s_stays(tmp_path: Path) -> None:
    for name in (LEFTOVER, f"{LEFTOVER}.mp4", ".mine.tmp", "0123456789abcdef.tmp"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / ".fedcba9876543210.tmp").mkdir()
    (tmp_path / ".fedcba9876543210.tmp" / "file").touch()
    (tmp_path / ".aaaaaaaaaaaaaaaa.tmp").symlink_to(tmp_path / ".mine.tmp")
    program = f"import pathlib; from tinydf_runtime.io.files import *; clear_leftovers(pathlib.Path({str(tmp_path)!r}))"
    with temporary_file(tmp_path / "report.json", ".mp4") as used:
        subprocess.run([sys.executable, "-c", program], check=True)
        names = {path.name for path in tmp_path.iterdir()}
        assert names == {".mine.tmp", "0123456789abcdef.tmp", ".aaaaaaaaaaaaaaaa.tmp", used.name}
    assert not used.exists()


def test_clearing_up_never_fails(tmp_path: Path) -> None:
    clear_leftovers(tmp_path / "missing")
    clear_leftovers(Path("/proc"))


def test_many_writers_of_one_file_leave_one_whole_file(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from tinydf_runtime.io.files import write_atomically\n"
        "for _ in range(40): write_atomically(pathlib.Path(sys.argv[1]), sys.argv[2].encode() * 100_000)"
    )
    out = tmp_path / "out.json"
    writers = [subprocess.Popen([sys.executable, "-c", program, str(out), word]) for word in "ab"]
    while any(writer.poll() is None for writer in writers):
        if out.exists():
            content = out.read_bytes()
            assert content in (b"a" * 100_000, b"b" * 100_000)
        time.sleep(0.01)
    assert [writer.returncode for writer in writers] == [0, 0]
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]


def test_two_processes_with_one_cache_and_one_trust_record_lose_nothing_and_never_see_half(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = (
        "import os, sys\n"
        "from tinydf_runtime.engines.first_use import is_remembered, remember\n"
        "from tinydf_runtime.trust.record import entries, trust_engine\n"
        "os.umask(0o002)\n"
        "for number in range(30):\n"
        "    remember('first-use', facts := {'both': str(number)})\n"
        "    assert is_remembered('first-use', facts)\n"
        "    trust_engine(b'both %d' % number, 'm.plan', 'confirmed', host_code=False)\n"
        "    trust_engine(sys.argv[1].encode() + b' %d' % number, 'm.plan', 'confirmed', host_code=False)\n"
        "    assert len(list(entries())) > number\n"
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    users = [subprocess.Popen([sys.executable, "-c", program, word]) for word in "ab"]
    assert [user.wait(120) for user in users] == [0, 0]
    assert len(list(entries())) == 90
    assert all(is_remembered("first-use", {"both": str(number)}) for number in range(30))
    assert len(list((tmp_path / "cache" / "tinydf" / "first-use").iterdir())) == 30


def test_threads_of_one_process_write_into_one_folder(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda number: write_atomically(tmp_path / f"{number % 5}", b"x" * 1000), range(80)))
    assert sorted(path.name for path in tmp_path.iterdir()) == list("01234")
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "none" / "x", b"x")


def test_where_memory_is_short_a_batch_is_scored_in_halves() -> None:
    sizes: list[int] = []

    def score(crops: np.ndarray) -> Scores:
        sizes.append(len(crops))
        if len(crops) > 2:
            raise RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : std::bad_alloc")
        return Scores(crops[:, 0, 0, 0].astype(np.float32) / np.float32(255), np.zeros((len(crops), 2, 2), np.float32))

    crops = np.arange(7, dtype=np.uint8)[:, None, None, None].repeat(3, axis=3)
    found = score_in_halves(score, crops)
    assert np.allclose(found.fake_probability, np.arange(7) / 255) and found.forgery_map.shape == (7, 2, 2)
    assert sizes[0] == 7 and max(sizes[2:]) <= 4

    def fail(crops: np.ndarray) -> Scores:
        raise MemoryError

    with pytest.raises(OutOfMemoryError, match=r"^out of memory: [^\n]*$"):
        score_in_halves(fail, crops)

    def break_down(crops: np.ndarray) -> Scores:
        raise RuntimeError("another error")

    with pytest.raises(RuntimeError, match="another"):
        score_in_halves(break_down, crops)


@pytest.mark.parametrize("sandbox", [True, False])
def test_a_file_that_goes_or_shrinks_while_it_is_read_costs_its_own_result(
    write_video: Callable[..., Path], tiny_classifier: Path, tiny_detector: Path, sandbox: bool
) -> None:
    paths = [write_video([np.full((240, 320, 3), n % 250, np.uint8) for n in range(60)], f"{i}.avi") for i in "ab"]
    analyzer = Analyzer(tiny_classifier, detector=tiny_detector, threads=1, sample_fps=None, sandbox=sandbox)
    for path, fault in ((paths[0], Path.unlink), (paths[1], lambda path: os.truncate(path, 1000))):
        once = threading.Event()

        def strike(done_s: float, of_s: float | None, path: Path = path, fault: Any = fault, once: Any = once) -> None:
            if not once.is_set():
                once.set()
                fault(path)

        item = analyzer.analyze_input(path, strike)
        assert once.is_set() and item.verdict in ("no_face", "error", "inconclusive")
        assert item.message is None or "\n" not in item.message


@pytest.mark.parametrize("fault", ["grows", "is replaced"])
def test_a_file_that_grows_or_is_replaced_while_it_is_read_gets_no_hash_and_is_not_real(
    write_video: Callable[..., Path], tiny_classifier: Path, tiny_detector: Path, fault: str
) -> None:
    image = np.full((240, 320, 3), 90, np.uint8)
    # More colours than a palette holds; green, which the classifier reads, stays as it is.
    image[..., 0] = np.arange(320) // 5 + 60
    image[..., 2] = np.arange(240)[:, None] // 4 + 60
    image[60:160, 100:200] = (0, 10, 255)
    clip = write_video([image] * 50)
    analyzer = Analyzer(tiny_classifier, detector=tiny_detector, threads=1)
    still = analyzer.analyze_input(clip)
    assert (still.verdict, "file_changed" in still.reasons) == ("real", False) and still.sha256

    def strike(done_s: float, of_s: float | None) -> None:
        if fault == "grows":
            with clip.open("ab") as file:
                file.write(b"more")
        else:
            write_atomically(clip, b"another file")

    item = analyzer.analyze_input(clip, strike)
    assert (item.verdict, item.sha256) == ("inconclusive", None) and "file_changed" in item.reasons
    assert is_partly_read(item)


def test_a_wall_clock_that_jumps_changes_no_duration_and_ends_nothing_early(
    clip: Path, tiny_classifier: Path, tiny_detector: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps = itertools.cycle([0.0, 4e9, -1e6, 1e9])
    monkeypatch.setattr(time, "time", lambda: next(jumps))
    monkeypatch.setattr(time, "time_ns", lambda: int(next(jumps) * 1e9))
    began_s = time.monotonic()
    with ProgressBar("clip", quiet=True) as progress:
        analyzer = Analyzer(tiny_classifier, detector=tiny_detector, threads=1)
        item = analyzer.analyze_input(clip, progress.advance, Limits(max_seconds=300))
    assert item.status == "ok" and item.frames_scored > 0
    assert 0 <= item.timing.total_s <= time.monotonic() - began_s + 1e-3


def _has(module: str) -> bool:
    from importlib.util import find_spec

    return find_spec(module) is not None


def test_no_command_writes_onto_what_it_reads(tmp_path: Path) -> None:
    import click
    from click.testing import CliRunner

    from tinydf_runtime.cli.command import OneLineCommand
    from tinydf_runtime.cli.options import json_option

    @click.command("probe", cls=OneLineCommand)
    @click.argument("models", nargs=-1, type=click.Path(path_type=Path))
    @click.option("--out", type=click.Path(path_type=Path))
    @json_option
    def probe(models: tuple[Path, ...], out: Path | None, json_path: Path | None) -> int:
        return 0

    for name in ("m.xml", "m.bin", "m.plan", "m.plan.json", "free.json"):
        (tmp_path / name).write_text(name)
    os.link(tmp_path / "m.xml", tmp_path / "hard.xml")
    models = [str(tmp_path / "m.xml"), str(tmp_path / "m.plan")]
    for name in ("m.xml", "m.bin", "m.plan", "m.plan.json", "hard.xml"):
        for option in ("--out", "--json"):
            result = CliRunner().invoke(probe, [*models, option, str(tmp_path / name)])
            assert (result.exit_code, result.stderr.count("\n")) == (2, 1) and "is an input too" in result.stderr
    assert CliRunner().invoke(probe, [*models, "--out", str(tmp_path / "free.json"), "--json"]).exit_code == 0
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL, "a program that calls a command keeps its handlers"
