"""Measures what looking at fewer frames a second costs: agreement with the verdict over every frame.

Run: python scripts/choose_sample_fps.py FACES --clips 10 (needs the extras "train" and "video"). FACES is a folder of
photos as tinydf-train reads it. A clip is a photo under a moving camera, in changing light, through H.264; it is real,
forged, or forged from some moment on. Writes docs/sample_fps.md.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import click
import cv2
import numpy as np
from numpy.random import Generator

from tinydf.data.forgery_types.table import Mixture
from tinydf.data.photometry import add_noise, as_image
from tinydf.data.photos import Photo, read_photos
from tinydf_runtime.analyzer import Analyzer
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.io.image import read_image
from tinydf_runtime.results import InputReport
from tinydf_runtime.types import Face, Image, longer_side

RATES = (1.0, 2.0, 3.0, 5.0, 8.0, 10.0, None)
"""Frames a second that are tried; None for every frame, with which the others are compared."""
FPS, SECONDS = 30, 6
WIDTH, HEIGHT = 640, 480
KINDS = ("real", "forged", "forged later")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rate said about one clip."""

    kind: str
    rate: float | None
    verdict: str
    probability: float
    spans: tuple[tuple[float, float], ...]
    work_s: float


@click.command()
@click.argument("faces", type=click.Path(path_type=Path, exists=True))
@click.option("--clips", default=10, show_default=True, help="Clips of each kind.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("docs/sample_fps.md"), show_default=True)
@click.option("--verbose", is_flag=True, help="Print what each rate says about each clip.")
def main(faces: Path, clips: int, out: Path, verbose: bool) -> None:
    photos = [photo for photo in read_photos(faces, "val") if not photo.grey]
    chosen = np.random.default_rng(0).permutation(len(photos))[:clips]
    forge = Mixture(photos)
    findings: list[Finding] = []
    analyzers = {rate: Analyzer(sample_fps=rate, threads=1) for rate in RATES}
    with tempfile.TemporaryDirectory() as folder:
        for seed, index in enumerate(chosen):
            for kind in KINDS:
                path = Path(folder) / "clip.mp4"
                write_clip(path, photos[index], forge, kind, seed)
                for rate, analyzer in analyzers.items():
                    findings.append(finding_of(kind, rate, analyzer.analyze_input(path)))
                if verbose:
                    tried = findings[-len(RATES) :]
                    click.echo(f"{kind}: " + ", ".join(f"{one.verdict} {one.probability:.2f}" for one in tried))
            click.echo(f"{seed + 1} of {clips}")
    write_atomically(out, page_of(findings, clips).encode())
    click.echo(out.read_text())


def write_clip(path: Path, photo: Photo, forge: Mixture, kind: str, seed: int) -> None:
    """Writes one clip. Clips of one seed move, are lit and are encoded alike, whatever their kind."""
    rng, movement = np.random.default_rng((seed, 0)), np.random.default_rng((seed, 1))
    face_px, crf, noise = rng.uniform(80, 220), int(rng.integers(18, 32)), rng.uniform(0, 3)
    from_s = {"real": float(SECONDS), "forged": 0.0, "forged later": float(rng.uniform(1.5, 3.5))}[kind]
    picture, face = read_image(photo.path), photo.faces[0]
    forged, _ = forge(picture, photo.geometry(), rng)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for view in move_camera(picture, forged, from_s, face, face_px, noise, movement):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view, format="bgr24")))
        container.mux(stream.encode(None))


def move_camera(
    picture: Image, forged: Image, from_s: float, face: Face, face_px: float, noise: float, rng: Generator
) -> Iterator[Image]:
    """Yields views of a photo, later of its forged twin: the camera sways, turns and zooms, the light changes."""
    left, top, right, bottom = face.box_xyxy
    centre = ((left + right) / 2, (top + bottom) / 2)
    speed, start = rng.uniform(0.1, 0.6, 5), rng.uniform(0, 2 * np.pi, 5)
    for number in range(FPS * SECONDS):
        zoom_by, tilt, x, y, light = np.sin(2 * np.pi * speed * number / FPS + start)
        zoom = face_px / longer_side(face.box_xyxy) * (1 + 0.12 * zoom_by)
        matrix = cv2.getRotationMatrix2D(centre, 5 * tilt, zoom)
        matrix[:, 2] += (WIDTH / 2 - centre[0] + 40 * x, HEIGHT / 2 - centre[1] + 20 * y)
        shown = forged if number / FPS >= from_s else picture
        view = cv2.warpAffine(shown, matrix, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        yield add_noise(as_image(np.clip(view * (1 + 0.15 * light), 0, 255)), noise, rng)


def finding_of(kind: str, rate: float | None, item: InputReport) -> Finding:
    """Returns what is compared."""
    spans = tuple((segment.start_s, segment.end_s) for segment in item.segments)
    probability = float("nan") if item.fake_probability is None else item.fake_probability
    return Finding(kind, rate, item.verdict, probability, spans, item.timing.detect_s + item.timing.classify_s)


def page_of(findings: list[Finding], clips: int) -> str:
    """Returns the table with what it was measured on."""
    every = [finding for finding in findings if finding.rate is None]
    lines = [
        "# Frames a second",
        "",
        f"{len(every)} clips of {SECONDS} s at {FPS} frames a second, made from photos and coded as H.264: {clips} "
        f"real, {clips} fake, {clips} fake from some moment on. `scripts/choose_sample_fps.py` makes and judges them. "
        "Each row is",
        "compared with `--sample-fps all`, segments by how much of their time overlaps.",
        "",
        "| frames a second | same verdict | opposite verdict | right | wrong | inconclusive | mean difference of "
        "probability | same segments | work |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    every_work_s = sum(finding.work_s for finding in every)
    for rate in RATES:
        some = [finding for finding in findings if finding.rate == rate]
        pairs = list(zip(some, every, strict=True))
        same = sum(a.verdict == b.verdict for a, b in pairs) / len(pairs)
        opposite = sum({a.verdict, b.verdict} == {"real", "fake"} for a, b in pairs) / len(pairs)
        right = sum(a.verdict == ("real" if a.kind == "real" else "fake") for a in some) / len(some)
        wrong = sum(a.verdict == ("fake" if a.kind == "real" else "real") for a in some) / len(some)
        apart = np.array([abs(a.probability - b.probability) for a, b in pairs])
        shared = np.mean([shared_seconds(a.spans, b.spans) for a, b in pairs if a.spans or b.spans])
        work = sum(finding.work_s for finding in some) / every_work_s
        name = "all" if rate is None else f"{rate:g}"
        lines.append(
            f"| {name} | {same:.0%} | {opposite:.0%} | {right:.0%} | {wrong:.0%} | {1 - right - wrong:.0%} "
            f"| {np.nanmean(apart):.3f} | {shared:.0%} | {work:.0%} |"
        )
    return "\n".join([*lines, ""])


def shared_seconds(one: tuple[tuple[float, float], ...], other: tuple[tuple[float, float], ...]) -> float:
    """Returns the time in both sets of spans over the time in either, to a hundredth of a second."""
    marks = np.zeros((2, 100 * SECONDS), bool)
    for row, spans in zip(marks, (one, other), strict=True):
        for start_s, end_s in spans:
            row[round(100 * start_s) : round(100 * end_s) + 1] = True
    either = int((marks[0] | marks[1]).sum())
    return float((marks[0] & marks[1]).sum() / either) if either else 1.0


if __name__ == "__main__":
    main()
