"""A user's program over every public name passes mypy --strict, and the types that it gets are the documented ones."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import tinydf_runtime

pytest.importorskip("mypy", reason="mypy is not installed")

PROGRAM = '''
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinydf_runtime import (
    Analyzer, CropConfig, Detector, Engine, Face, FaceDetector, Frame, Image, Limits, ModelFileError, FrameResult,
    TinyDFError, VideoReader, __version__, annotate_image, annotate_video, crop_face, open_engine, read_image,
    write_csv, write_html, write_json,
)


@dataclass(frozen=True)
class MyDetector:
    """A user's own."""

    name: str = "mine"
    sha256: str = ""

    def detect(self, image: Image) -> list[Face]:
        return [Face((0.0, 0.0, 9.0, 9.0), ((4.0, 4.0),) * 5, 1.0)]


def pictures() -> Iterator[Image]:
    yield np.zeros((10, 10, 3), np.uint8)


def on_progress(done_s: float, total_s: float | None) -> None:
    print(done_s, total_s)


def use(mine: Detector, engine: Engine, limits: Limits) -> None:
    with Analyzer(engine, detector=mine, device="cpu", threads=2, sample_fps=None) as analyzer:
        report = analyzer.analyze(Path("clip.mp4"))
        item = analyzer.analyze_input("clip.mp4", on_progress, limits)
        own = analyzer.analyze_frames(pictures(), fps=25, limits=limits)
        timed = analyzer.analyze_frames([Frame(0, 0.0, picture) for picture in pictures()])
        many = analyzer.report(analyzer.analyze_many(["a.mp4", 0, Path("b.mp4")]))
        for moment in analyzer.stream(0, limits):
            seen: FrameResult = moment
            for face in seen.faces:
                reveal_type(face.verdict.label)
        faces = analyzer.detect_faces(next(pictures()))
        scores = analyzer.score_faces(next(pictures()), np.array([[0, 0, 9, 9]]))
        spec = analyzer.spec
    track = item.tracks[0]
    probability = track.fake_probability
    box = track.scores[0].box_xyxy
    with VideoReader("clip.mp4") as reader:
        frames = [frame.image for frame in reader]
    write_json(report, Path("report.json"))
    write_html(report, Path("report.html"))
    write_csv(many, Path("report.csv"))
    annotate_image(item, Path("out.png"))
    annotate_video(own, Path("out.mp4"))
    crop = crop_face(read_image(Path("face.png")), box, CropConfig())
    reveal_type(report)
    reveal_type(item.verdict)
    reveal_type(faces)
    reveal_type(scores.fake_probability)
    reveal_type(probability)
    reveal_type(box)
    reveal_type(frames)
    reveal_type(crop)
    reveal_type(spec.threshold)
    reveal_type(timed)
    reveal_type(__version__)


try:
    use(MyDetector(), open_engine(Path("model.onnx")), Limits(max_seconds=10, stop=threading.Event()))
    use(FaceDetector(), open_engine(Path("model.onnx")), Limits())
except ModelFileError as error:
    reveal_type(error)
except TinyDFError:
    pass
'''

ARRAY = "numpy.ndarray[tuple[Any, ...], numpy.dtype[numpy.{}]]"
BYTES = ARRAY.format("unsignedinteger[numpy._typing._nbit_base._8Bit]")
TYPES = [
    "Literal['real'] | Literal['fake'] | Literal['inconclusive']",
    "tinydf_runtime.results.Report",
    "Literal['real'] | Literal['fake'] | Literal['inconclusive'] | Literal['no_face'] | Literal['error']",
    "list[tinydf_runtime.types.Face]",
    ARRAY.format("floating[numpy._typing._nbit_base._32Bit]"),
    "float | None",
    "tuple[float, float, float, float]",
    f"list[{BYTES}]",
    BYTES,
    "float",
    "tinydf_runtime.results.InputReport",
    "str",
    "tinydf_runtime.errors.ModelFileError",
]

MISUSE = """
from tinydf_runtime import Analyzer, Limits

with Analyzer() as analyzer:
    analyzer.analyze(1.5)
    analyzer.analyze_frames("clip.mp4")
    analyzer.detect_faces([[0, 0, 0]])
    analyzer.analyze("clip.mp4").inputs[0].verdict = "real"
    analyzer.analyze("clip.mp4").inputs[0].verdct
Analyzer(detector=object())
Limits(stop=True)
"""


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What mypy says about both programs, by file."""
    folder = tmp_path_factory.mktemp("user")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "misuse.py").write_text(MISUSE)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", "program.py", "misuse.py"],
        cwd=folder,
        env={**os.environ, "MYPYPATH": str(Path(tinydf_runtime.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return {
        name: [line for line in done.stdout.splitlines() if line.startswith(name)] for name in ("program", "misuse")
    }


def test_a_users_program_is_typed_throughout(checked: dict[str, list[str]]) -> None:
    revealed = [re.sub(r".*Revealed type is \"(.*)\"$", r"\1", line) for line in checked["program"]]
    # Older versions of NumPy and mypy write the same types in other words.
    assert [plain(text) for text in revealed] == [plain(text) for text in TYPES]


def test_misuse_is_found_before_the_program_runs(checked: dict[str, list[str]]) -> None:
    lines = [int(line.split(":")[1]) for line in checked["misuse"] if " error: " in line]
    assert sorted(set(lines)) == [5, 6, 7, 8, 9, 10, 11]


def plain(text: str) -> str:
    """Leaves the names of classes and what they hold."""
    text = text.replace("builtins.", "").replace("Union[", "").replace("typing.", "")
    return re.sub(r"\[tuple\[.*?\], ", "[shape, ", text).replace("None]", "None")
