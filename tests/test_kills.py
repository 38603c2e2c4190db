"""The long commands, killed at their writes: what is there is whole, and the next run ends as if nothing had been."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from tinydf_runtime.io.files import clear_leftovers
from tinydf_runtime.types import Image

pytest.importorskip("torch")

from tinydf.checkpoint import load_checkpoint
from tinydf.data.drawn_faces import write_drawn_faces

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="no fork on this system")
KILL_POINTS = Path(__file__).with_name("kill_points.py")
Job = dict[str, Any]


def run(jobs: list[Job]) -> list[tuple[int, int | None]]:
    """Runs jobs of ``kill_points.py``; returns code and number of writes of each."""
    command = [sys.executable, str(KILL_POINTS), json.dumps(jobs)]
    done = subprocess.run(command, capture_output=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [(code, writes) for code, writes in json.loads(done.stdout)]


def kill_and_go_on(job: Callable[[Path], Job], tmp_path: Path, points: int, resume: Callable[[Path, Job], Job]) -> Path:
    """Kills a command at several of its writes, each in a folder of its own, and runs it again there.

    Returns:
        The folder of a run that was left alone.
    """
    folders = [tmp_path / name for name in ("whole", *(f"killed{number}" for number in range(points)))]
    for folder in folders:
        folder.mkdir()
    ((code, writes),) = run([job(folders[0]) | {"kill_at": 0, "signal": 9}])
    assert code == 0 and writes is not None
    places = [1 + round(share * (writes - 1)) for share in np.linspace(0.5, 1, points)]
    signals = [signal.SIGKILL, signal.SIGTERM]
    kills = [
        job(folder) | {"kill_at": place, "signal": int(signals[number % 2])}
        for number, (folder, place) in enumerate(zip(folders[1:], places, strict=True))
    ]
    for (code, _), killed in zip(run(kills), kills, strict=True):
        # A signal that comes with the last write may find the work done.
        assert code == -9 if killed["signal"] == 9 else code in (130, 0), (killed, code)
    again = [resume(folder, job(folder)) | {"kill_at": 0, "signal": 9} for folder in folders[1:]]
    assert [code for code, _ in run(again)] == [0] * points
    for folder in folders[1:]:
        names = [sorted(path.relative_to(at).as_posix() for path in at.rglob("*")) for at in (folder, folders[0])]
        assert names[0] == names[1], "a temporary file stayed, or a file is missing"
    return folders[0]


def unchanged(folder: Path, job: Job) -> Job:
    return job


def test_prepare(astronaut: Image, tmp_path: Path) -> None:
    root = tmp_path / "set"
    for name in ("real/a.mp4", "fake/b.mp4"):
        (root / name).parent.mkdir(parents=True)
        writer = cv2.VideoWriter(str(root / name), cv2.VideoWriter.fourcc(*"mp4v"), 25.0, (256, 256))
        for step in range(16):
            writer.write(np.ascontiguousarray(astronaut[10:266, 60 + 2 * step : 316 + 2 * step]))
        writer.release()

    def job(folder: Path) -> Job:
        fixed = ["--layout", "folders", "--workers", "1", "--faces-per-video", "1", "--quiet"]
        return {
            "command": "tinydf.cli.prepare:main",
            "args": [str(root), "--out", str(folder / "out"), *fixed],
            "below": str(tmp_path),
        }

    (tmp_path / "runs").mkdir()
    whole = kill_and_go_on(job, tmp_path / "runs", 3, unchanged)
    tables = {(folder / "out" / "faces.parquet").read_bytes() for folder in whole.parent.iterdir()}
    assert len(tables) == 1


def test_train(tmp_path: Path) -> None:
    write_drawn_faces(tmp_path / "faces", 8)
    short = ["--steps", "2", "--batch-pairs", "4", "--patch-px", "64", "--validate-every", "1", "--device", "cpu"]

    run_folder = tmp_path / "run"
    words = ["--data", str(tmp_path / "faces"), "--out", str(run_folder), *short]
    arguments = [*words, "--part", "residual", "--workers", "0", "--quiet"]
    job = {
        "command": "tinydf.cli.train:main",
        "args": arguments,
        "setup": "import tinydf.train; tinydf.train.STATISTICS_BATCHES = 2",
        "preload": ["tinydf.train", "matplotlib.figure"],
        "below": str(run_folder),
        "signal": 9,
    }
    # In the history of the second step, when the state of the first is there.
    killed = job | {"kill_at": 20}
    resumed = job | {"kill_at": 0, "args": [*arguments, "--resume"]}
    assert [code for code, _ in run([killed, resumed])] == [-9, 0]
    assert not [path for path in run_folder.iterdir() if path.name.startswith(".")]
    assert load_checkpoint(run_folder / "tinydf.safetensors").build() is not None


def test_calibrate(tmp_path: Path) -> None:
    write_drawn_faces(tmp_path / "faces", 24)
    tests = Path(__file__).with_name("export") / "cli" / "test_calibrate.py"
    setup = (
        "import runpy, tinydf.checkpoint\n"
        "from tinydf_export.inputs import calibrate\n"
        f"small = runpy.run_path({str(tests)!r})\n"
        "tinydf.checkpoint.load_checkpoint = lambda path: small['CHECKPOINT']\n"
        "calibrate.build_float_graph = lambda checkpoint: small['small_graph']()\n"
    )

    out = tmp_path / "out"
    out.mkdir()
    few = ["--samples", "6", "--pairs", "6", "--max-auc-drop", "0.5"]
    arguments = ["any.safetensors", "--data", str(tmp_path / "faces"), "--out", str(out / "table.json"), *few]
    killed = {
        "command": "tinydf_export.cli.calibrate:main",
        "args": [*arguments, "--quiet"],
        "setup": setup,
        "below": str(out),
        # When the table is about to get its name.
        "kill_at": 3,
        "signal": 9,
    }
    assert run([killed])[0][0] == -9
    (left,) = out.iterdir()
    assert left.name.endswith(".tmp")
    clear_leftovers(out)
    assert list(out.iterdir()) == []


WRITE = """
import os, sys
from pathlib import Path
from tinydf_export.targets.web import write_folder

files = {name: name.encode() * 1000 for name in "abc"}
for at in range(1, 10):
    child = os.fork()
    if not child:
        seen = 0

        def watch(event, values):
            global seen
            # To kill is an event, too.
            if event in ("os.mkdir", "os.rename"):
                seen += 1
                if seen == at:
                    os.kill(os.getpid(), 9)

        sys.addaudithook(watch)
        write_folder(files, Path(sys.argv[1], str(at), "page"))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_folder_that_is_exported_is_whole_or_not_there(tmp_path: Path) -> None:
    for at in range(1, 10):
        (tmp_path / str(at)).mkdir()
    done = subprocess.run([sys.executable, "-c", WRITE, str(tmp_path)], capture_output=True, text=True, timeout=300)
    codes = [int(line) for line in done.stdout.split()]
    assert set(codes) == {-9, 0} and codes[:4] == [-9] * 4, done.stderr
    left = 0
    for at, code in enumerate(codes, 1):
        folder = tmp_path / str(at)
        left += len([path for path in folder.iterdir() if path.name != "page"])
        assert (folder / "page").exists() == (code == 0)
        clear_leftovers(folder)
        assert {path.name for path in folder.iterdir()} <= {"page"}
        if code == 0:
            assert sorted(path.name for path in (folder / "page").iterdir()) == ["a", "b", "c"]
    assert left >= 3, "nothing was left to clear away"
