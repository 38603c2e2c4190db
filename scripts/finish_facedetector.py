"""For maintainers: a trained face detector -> the shipped checkpoint, ONNX file and card, whose figures it measures.

python scripts/finish_facedetector.py --run runs/detector --data faces --scenes scenes --teacher yunet_n_640_640.onnx

A script, not a command: it replaces files of this repository. ``tinydf-train-detector`` leaves a checkpoint for your
own use.
"""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
import skimage
import torch
from numpy.typing import NDArray

from tinydf.facedetector.config import DetectorConfig
from tinydf.facedetector.evaluate import (
    Detect,
    Found,
    Interval,
    Scene,
    composed_scenes,
    faceless_pictures,
    match_scene,
    photo_scenes,
    summarise,
    video_scenes,
)
from tinydf.facedetector.metrics import ImageMatch
from tinydf.facedetector.photos import Photo, read_photos
from tinydf.facedetector.scenes import read_scenes
from tinydf.facedetector.teacher import Teacher
from tinydf.facedetector.weights import SHIPPED, DetectorCheckpoint, load_detector
from tinydf_export.facedetector import export_detector
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.io.files import sha256_of, write_atomically
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR
from tinydf_runtime.types import Image

# What scikit-image ships inside its package, without those that show people (astronaut, camera, lfw_subset).
FACELESS = (
    *("brick", "cell", "checkerboard", "chelsea", "clock", "coffee", "coins", "colorwheel", "grass", "gravel", "horse"),
    *("hubble_deep_field", "immunohistochemistry", "logo", "microaneurysms", "moon", "page", "retina", "rocket"),
    *("shepp_logan_phantom", "text"),
)
LOWEST_SCORE = 0.05
TEACHER_THRESHOLD = 0.6
TEMPLATE = Path(__file__).with_name("facedetector_card.md.in")
COMPOSED = 200
DRAWN = 200
FRAMES = 500


def ours(path: Path) -> Detect:
    # The scenes have the size at which they are to be searched: nothing is shrunk.
    detector = FaceDetector(path, threads=1, long_side_px=4096)

    def detect(image: Image) -> Found:
        faces = detector.detect(image, LOWEST_SCORE)
        boxes = np.array([face.box_xyxy for face in faces], np.float64).reshape(-1, 4)
        points = np.array([face.landmarks for face in faces], np.float64).reshape(-1, 5, 2)
        return Found(boxes, np.array([face.score for face in faces], np.float64), points)

    return detect


def peer(path: Path) -> Detect:
    teacher = Teacher(path, LOWEST_SCORE)

    def detect(image: Image) -> Found:
        rows = teacher.detect(image).astype(np.float64)
        boxes = np.concatenate((rows[:, :2], rows[:, :2] + rows[:, 2:4]), 1)
        return Found(boxes, rows[:, 14], rows[:, 4:14].reshape(-1, 5, 2))

    return detect


def scikit_image_pictures(long_side_px: int) -> list[Image]:
    pictures = []
    for name in FACELESS:
        raw: NDArray[Any] = np.asarray(getattr(skimage.data, name)())
        # Black and white pictures are bool there, drawn ones float in 0..1.
        image: Image = raw if raw.dtype == np.uint8 else (raw * 255.0).astype(np.uint8)
        image = np.repeat(image[..., None], 3, 2) if image.ndim == 2 else image[..., 2::-1]
        scale = min(1.0, long_side_px / max(image.shape[:2]))
        size = (round(image.shape[1] * scale), round(image.shape[0] * scale))
        pictures.append(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA).astype(np.uint8))
    return pictures


def without_faces(picture: Image) -> Scene:
    return Scene(picture, np.zeros((0, 4)), np.zeros((0, 5, 2)), np.zeros((0, 4)))


def milliseconds(detect: Callable[[Image], object], width: int, height: int) -> float:
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    times = []
    for _ in range(60):
        began = time.perf_counter()
        detect(image)
        times.append(time.perf_counter() - began)
    # Of many runs the quickest quarter: the rest says what else the machine did.
    return float(np.percentile(times, 25) * 1000)


def written(interval: Interval, percent: bool) -> str:
    if np.isnan(interval.value):
        return "-"
    scale, digits = (100, 1) if percent else (1, 3)
    value, low, high = (f"{figure * scale:.{digits}f}" for figure in interval)
    return f"{value} ({low}-{high})"


def test_scenes(photos: list[Photo], world: list[Photo]) -> dict[str, tuple[float, list[Scene]]]:
    """Returns by title the smallest face that counts, in pixels, and the pictures."""
    scenes: dict[str, tuple[float, list[Scene]]] = {
        "frames like video at 320, faces from 48 px": (48, list(video_scenes(world, photos, FRAMES, True, 21))),
        "frames like video at 640, faces from 20 px": (20, list(video_scenes(world, photos, FRAMES, False, 21))),
        "scenes at 320, faces from 48 px": (48, list(photo_scenes(world, 320))),
        "scenes at 640, faces from 20 px": (20, list(photo_scenes(world, 640))),
        "photos at 320, faces from 48 px": (48, list(photo_scenes(photos, 320))),
        "photos at 640, faces from 20 px": (20, list(photo_scenes(photos, 640))),
        "composed at 640, faces from 20 px": (20, list(composed_scenes(photos, COMPOSED, 640, 11))),
        "composed at 320, faces from 20 px": (20, list(composed_scenes(photos, COMPOSED, 320, 12))),
        "composed at 320, faces from 10 px": (10, list(composed_scenes(photos, COMPOSED, 320, 12))),
    }
    for side in (640, 320):
        drawn = faceless_pictures(photos, DRAWN, side, side)
        scenes[f"scikit-image without faces at {side}"] = (0, [without_faces(p) for p in scikit_image_pictures(side)])
        scenes[f"drawn and cut without faces at {side}"] = (0, [without_faces(p) for p in drawn])
    return scenes


@click.command()
@click.option("--run", required=True, type=click.Path(path_type=Path), help="Folder that tinydf-train-detector wrote.")
@click.option("--data", required=True, type=click.Path(path_type=Path), help="Folder with faces.csv; its test split.")
@click.option("--scenes", "world", required=True, type=click.Path(path_type=Path), help="Folder with scenes.csv.")
@click.option("--before", type=click.Path(path_type=Path), help="ONNX file of an older detector, to compare with.")
@click.option("--teacher", type=click.Path(path_type=Path), help="YuNet file to measure on the same pictures.")
@click.option("--split", default="test", show_default=True, help="Split of the photos.")
@click.option("--limit", default=0, help="Use only so many photos; 0: all.")
@click.option("--ship/--no-ship", default=True, help="Write the shipped files; else only print the figures.")
def main(
    run: Path, data: Path, world: Path, before: Path | None, teacher: Path | None, split: str, limit: int, ship: bool
) -> None:
    """Exports, measures and describes a trained face detector."""
    cv2.setNumThreads(1)
    weights = run / "facedetector.safetensors"
    exported = run / "facedetector.onnx"
    checkpoint = load_detector(weights)
    export_detector(checkpoint, exported)
    photos = read_photos(data, split)
    photos = photos[:: max(1, len(photos) // limit)] if limit else photos
    scenes = test_scenes(photos, read_scenes(world, split))
    detectors = {"TinyDF": (ours(exported), float(checkpoint.facts["score_threshold"]))}
    if before is not None:
        detectors[f"before ({sha256_of(before)[:8]})"] = (ours(before), FaceDetector(before).score_threshold)
    if teacher is not None:
        detectors["YuNet-n (its labeller)"] = (peer(teacher), TEACHER_THRESHOLD)
    figures: dict[str, dict[str, dict[str, Interval]]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for title, (least_px, some) in scenes.items():
        matches: dict[str, list[ImageMatch]] = {name: [] for name in detectors}
        for scene in some:
            for name, (detect, _) in detectors.items():
                matches[name].append(match_scene(detect, scene, least_px))
        figures[title] = {name: summarise(matches[name], detectors[name][1]) for name in detectors}
        sizes[title] = (len(some), sum(one.wanted for one in matches["TinyDF"]))
        click.echo(f"{title}: {sizes[title][0]} pictures, {sizes[title][1]} faces")
        for name, row in figures[title].items():
            click.echo(f"  {name}: " + ", ".join(f"{key} {written(row[key], False)}" for key in row))
    detect = detectors["TinyDF"][0]
    speed = {side: milliseconds(detect, side, side * 9 // 16) for side in (320, 640)}
    click.echo(json.dumps({"ms": speed, "bytes": exported.stat().st_size}))
    if ship:
        write_atomically(SHIPPED, weights.read_bytes())
        write_atomically(DEFAULT_DETECTOR, exported.read_bytes())
        otherwise = planned_otherwise(run / "log.jsonl", checkpoint.facts["training"])
        card = describe(checkpoint, terms_of(world), figures, sizes, speed, exported, otherwise)
        write_atomically(DEFAULT_DETECTOR.with_suffix(".md"), card.encode())
        click.echo(f"{DEFAULT_DETECTOR}: written; now run scripts/record_shipped.py")


def terms_of(world: Path) -> str:
    """Returns the sources of the training scenes with their terms, one a line."""
    with (world / "scenes.csv").open(newline="", encoding="utf-8") as table:
        sources = {row["source"]: row["terms"].strip('"') for row in csv.DictReader(table) if row["split"] == "train"}
    return "\n".join(f"- {source}: {terms}" for source, terms in sorted(sources.items()))


def describe(
    checkpoint: DetectorCheckpoint,
    scene_terms: str,
    figures: dict[str, dict[str, dict[str, Interval]]],
    sizes: dict[str, tuple[int, int]],
    speed: dict[int, float],
    exported: Path,
    otherwise: list[tuple[int, float]],
) -> str:
    facts = checkpoint.facts
    training, validation = facts["training"], facts["validation"]
    rows = [
        f"| {title} | {sizes[title][0]} / {sizes[title][1]} | {name} | {written(row['recall'], True)} "
        f"| {written(row['false_boxes'], False)} | {written(row['median_iou'], False)} "
        f"| {written(row['median_landmark_error'], True)} |"
        for title, by_name in figures.items()
        for name, row in by_name.items()
    ]
    settings = (
        *("steps", "batch_size", "grow_at", "bind_levels_at"),
        *("average_from", "decay_share", "learning_rate", "warmup_steps", "mine_every"),
        *("validate_every", "validation_pictures", "seed", "precision"),
    )
    chosen = " ".join(f"--{name.replace('_', '-')} {training[name]}" for name in settings)
    looked = " --teacher yunet_n_640_640.onnx" if facts["data"].get("second_look") else ""
    init = facts["data"].get("init")
    started = f" --init START  # SHA-256 {init}" if init else ""
    command = f"tinydf-train-detector --data FACES --scenes SCENES --out RUN {chosen}{looked}{started}"
    return TEMPLATE.read_text(encoding="utf-8").format(
        name=facts["name"],
        parameters=f"{sum(one.numel() for one in checkpoint.network.parameters()):,}",
        kilobytes=round(exported.stat().st_size / 1000),
        checkpoint_sha256=sha256_of(SHIPPED),
        threshold=facts["score_threshold"],
        nms=facts["nms_iou"],
        photos=f"{facts['data'].get('photos', 0):,}",
        scenes=f"{facts['data'].get('scenes', 0):,}",
        scene_terms=scene_terms,
        quantiles=json.dumps(facts["scores"], sort_keys=True),
        command=command,
        history=_history(otherwise),
        step=training["step"],
        minutes=round(training["seconds"] / 60),
        seed=training["seed"],
        torch_version=training["torch"],
        recipe=json.dumps(training, sort_keys=True),
        validation=json.dumps(validation, sort_keys=True),
        rows="\n".join(rows),
        ms_320=f"{speed[320]:.1f}",
        ms_640=f"{speed[640]:.1f}",
        torch_now=torch.__version__,
    )


def planned_otherwise(log: Path, training: dict[str, Any]) -> list[tuple[int, float]]:
    """Returns the steps of a run's log whose learning rate is not what its last settings plan, with that rate."""
    names = {field.name for field in fields(DetectorConfig)}
    config = DetectorConfig(**{name: value for name, value in training.items() if name in names})
    entries = [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]
    return [
        (entry["step"], entry["learning_rate"])
        for entry in entries
        if not math.isclose(entry["learning_rate"], config.learning_rate_at(entry["step"] - 1))
    ]


def _history(otherwise: list[tuple[int, float]]) -> str:
    if not otherwise:
        return ""
    step, rate = otherwise[-1]
    return (
        f"The command is the last of several: up to step {step:,} the run followed another plan (its rate there was\n"
        f"{rate:.2g}); then it was resumed with the settings given here.\n\n"
    )


if __name__ == "__main__":
    main()
