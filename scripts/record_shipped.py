"""Seals the shipped networks, records the hashes of all shipped files and what the networks say about known faces.

python scripts/record_shipped.py

To be run whenever a file in ``tinydf_runtime/models/weights`` or ``tinydf/weights`` was replaced. It changes nothing
where nothing was.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
from skimage.data import astronaut

from tinydf.checkpoint import DEFAULT_PATH
from tinydf_runtime import Analyzer, VideoReader
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.models.seal import BLANK_SEAL, SEAL_KEY, check_seal, seal
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL, RECORD_NAME, write_record
from tinydf_runtime.types import Image

ROOT = Path(__file__).resolve().parents[1]
CLIP = ROOT / "examples" / "clip.mp4"
FRAMES = (50, 250)
"""Frames of the example video that are looked at: before the forgery starts, and within it."""
GOLDEN = ROOT / "tests" / "shipped" / "golden.json"
FOLDERS = (DEFAULT_MODEL.parent, DEFAULT_PATH.parent)


@click.command(epilog="Example: python scripts/record_shipped.py")
def main() -> None:
    """Seals and records the shipped files."""
    for network in (DEFAULT_MODEL, DEFAULT_DETECTOR):
        if not check_seal(network):
            write_atomically(network, sealed(network.read_bytes()))
            click.echo(f"{network}: sealed")
    for folder in FOLDERS:
        write_record(folder)
        click.echo(f"{folder / RECORD_NAME}: written")
    write_atomically(GOLDEN, (json.dumps(measure(), indent=1) + "\n").encode())
    click.echo(f"{GOLDEN}: written")


def sealed(content: bytes) -> bytes:
    """Returns an ONNX file that has no seal with one."""
    model = onnx.load_from_string(content)
    onnx.helper.set_model_props(model, {item.key: item.value for item in model.metadata_props} | {SEAL_KEY: BLANK_SEAL})
    return seal(model.SerializeToString(deterministic=True))


def measure() -> dict[str, list[dict[str, Any]]]:
    """Returns what the embedded networks say about each picture: for each face its box, score and fake probability."""
    found = {}
    with Analyzer(threads=1) as analyzer:
        for name, picture in pictures().items():
            faces = analyzer.detect_faces(picture)
            scores = analyzer.score_faces(picture, faces)
            found[name] = [
                {
                    "box_xyxy": [round(side, 2) for side in face.box_xyxy],
                    "detection_score": round(face.score, 4),
                    "fake_probability": round(float(probability), 4),
                }
                for face, probability in zip(faces, scores.fake_probability, strict=True)
            ]
    return found


def pictures() -> dict[str, Image]:
    """Returns a photo and frames of the example video: H x W x 3, BGR, uint8."""
    photo: Image = np.ascontiguousarray(astronaut()[..., ::-1])  # type: ignore[no-untyped-call]
    with VideoReader(str(CLIP)) as frames:
        shown = {f"clip.mp4, frame {frame.index}": frame.image.copy() for frame in frames if frame.index in FRAMES}
    return {"astronaut": photo, **shown}


if __name__ == "__main__":
    main()
