"""runtime/web: what the page cuts and finds is what the Python runtime cuts and finds; it asks no other host."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from tinydf_runtime.faces.crop import CropConfig, crop_face, crop_square_xyxy
from tinydf_runtime.faces.detector import FaceDetector, _fit, search_turned
from tinydf_runtime.types import BoxXYXY, Face, Image, Landmarks

WEB = Path(__file__).resolve().parents[2] / "runtime" / "web"
BOXES: list[BoxXYXY] = [
    (179.0, 68.0, 270.0, 181.0),
    (-20.0, -30.5, 60.0, 40.0),
    (300.0, 100.0, 420.5, 520.0),
    (10.5, 10.0, 310.0, 260.0),
]
TILTS_DEG = (0, -35, 180, 15, 70)


class SeesOnly(FaceDetector):
    """Knows a face in one turn of a picture and in no other."""

    def __init__(self, turn: int, picture: Image, face: Face) -> None:
        self.certain_score = 0.9
        self.shown, self.face = cv2.rotate(picture, turn), face

    def detect(self, image: Image, least_score: float | None = None) -> list[Face]:
        return [self.face] if np.array_equal(image, self.shown) else []


def run_node(code: str, tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    script = tmp_path / "script.mjs"
    script.write_text(code, encoding="utf-8")
    return subprocess.run([node, str(script), *arguments], capture_output=True, text=True, check=True, timeout=120)


def write_picture(image: Image, path: Path) -> None:
    rgba = np.dstack([image[..., ::-1], np.full(image.shape[:2], 255, np.uint8)])
    path.write_bytes(np.ascontiguousarray(rgba).tobytes())


def test_the_page_cuts_faces_as_the_runtime_does(
    astronaut: Image, tmp_path: Path, tilted_points: Callable[[BoxXYXY, float], Landmarks]
) -> None:
    config = CropConfig()
    height, width = astronaut.shape[:2]
    faces = [(box, tilted_points(box, tilt_deg)) for box in BOXES for tilt_deg in TILTS_DEG]
    write_picture(astronaut, tmp_path / "picture")
    code = f"""
        import {{readFileSync, writeFileSync}} from "node:fs";
        import {{cutFace, squareAround, fitForDetector}} from {json.dumps((WEB / "face.js").as_uri())};
        const folder = process.argv[2];
        const picture = {{data: readFileSync(folder + "/picture"), width: {width}, height: {height}}};
        const faces = {json.dumps([[box, np.ravel(points).tolist()] for box, points in faces])};
        const squares = faces.map(([box, landmarks], row) => {{
            const config = {{side_px: {config.side_px}, margin: {config.margin}}};
            writeFileSync(folder + "/face" + row, cutFace(picture, box, config, landmarks));
            return squareAround(box, config.margin);
        }});
        const fitted = fitForDetector(picture, 320);
        writeFileSync(folder + "/fitted", fitted.data);
        console.log(JSON.stringify({{squares, size: [fitted.height, fitted.width]}}));
    """
    told = json.loads(run_node(code, tmp_path, str(tmp_path)).stdout)
    for row, (box, landmarks) in enumerate(faces):
        assert tuple(told["squares"][row]) == crop_square_xyxy(box, config.margin)
        expected = crop_face(astronaut[..., ::-1].copy(), box, config, landmarks).transpose(2, 0, 1)
        found = np.frombuffer((tmp_path / f"face{row}").read_bytes(), np.uint8).reshape(expected.shape)
        difference = np.abs(found.astype(int) - expected)
        assert difference.max() <= 1 and (difference > 0).mean() < 0.01, (box, landmarks)
    canvas, _ = _fit(astronaut, 320)
    assert tuple(told["size"]) == canvas.shape[:2]
    fitted = np.frombuffer((tmp_path / "fitted").read_bytes(), np.uint8).reshape(canvas.shape)
    assert np.abs(fitted.astype(int) - canvas).max() <= 1


def test_the_page_keeps_the_best_of_overlapping_boxes(tmp_path: Path) -> None:
    code = f"""
        import {{chooseFaces, shareOfUnion}} from {json.dumps((WEB / "face.js").as_uri())};
        const boxes = [0, 0, 10, 10, 1, 0, 11, 10, 30, 30, 40, 40, 5, 5, 5, 9, 90, 0, 99, 9, 50, 50, 60, 60];
        const points = new Array(60).fill(0).map((_, at) => at);
        const faces = chooseFaces([0.6, 0.9, 0.7, 0.8, 0.9, 0.1], boxes, points, {{scaleX: 0.5, scaleY: 1}},
            {{width: 150, height: 100}}, {{score_threshold: 0.5, nms_iou: 0.45}});
        console.log(JSON.stringify({{faces, half: shareOfUnion([0, 0, 2, 2], [0, 0, 2, 1])}}));
    """
    told = json.loads(run_node(code, tmp_path).stdout)
    assert told["half"] == 0.5
    assert [face["box"] for face in told["faces"]] == [[2, 0, 22, 10], [60, 30, 80, 40]]
    assert told["faces"][1]["landmarks"] == [40, 21, 44, 23, 48, 25, 52, 27, 56, 29]


def test_the_page_turns_pictures_and_faces_as_the_runtime_does(astronaut: Image, tmp_path: Path) -> None:
    picture = astronaut[:60, :90]
    box, points = (20.0, 10.0, 50.0, 45.5), [25.0, 20.0, 40.0, 21.0, 33.0, 30.0, 26.0, 38.0, 41.0, 39.0]
    write_picture(picture, tmp_path / "picture")
    code = f"""
        import {{readFileSync, writeFileSync}} from "node:fs";
        import {{turned, turnedBack}} from {json.dumps((WEB / "face.js").as_uri())};
        const folder = process.argv[2];
        const picture = {{data: new Uint8Array(readFileSync(folder + "/picture")), width: 90, height: 60}};
        console.log(JSON.stringify([1, 2, 3].map((quarters) => {{
            const after = turned(picture, quarters);
            writeFileSync(folder + "/turned" + quarters, after.data);
            const face = {{box: {list(box)}, landmarks: {points}, score: 0.9}};
            return [after.width, after.height, turnedBack(face, picture, quarters)];
        }})));
    """
    told = json.loads(run_node(code, tmp_path, str(tmp_path)).stdout)
    turns = (cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE)
    for quarters, (turn, (width, height, face)) in enumerate(zip(turns, told, strict=True), start=1):
        pixels = np.frombuffer((tmp_path / f"turned{quarters}").read_bytes(), np.uint8).reshape(height, width, 4)
        assert (pixels[..., 2::-1] == cv2.rotate(picture, turn)).all()
        seen = Face(box, tuple(zip(points[::2], points[1::2], strict=True)), 0.9)
        (expected,) = search_turned(SeesOnly(turn, picture, seen), picture)
        assert (tuple(face["box"]), face["score"]) == (expected.box_xyxy, 0.9)
        assert face["landmarks"] == np.ravel(expected.landmarks).tolist()


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.parametrize("name", ["app.js", "face.js"])
def test_scripts_parse(name: str) -> None:
    done = subprocess.run(["node", "--check", str(WEB / name)], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_page_asks_no_other_host_and_all_its_files_are_there() -> None:
    page = (WEB / "index.html").read_text(encoding="utf-8")
    for path in (WEB / name for name in ("index.html", "style.css", "app.js", "face.js")):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"https?://|//[a-z0-9-]+\\.[a-z]", text), path.name
    for name in re.findall(r'(?:href|src)="([^":]+)"', page):
        assert (WEB / name).is_file(), name
    identities = set(re.findall(r'id="([a-z]+)"', page))
    script = (WEB / "app.js").read_text(encoding="utf-8")
    assert {"view", "video", "status", "verdicts"} | set(re.findall(r'byId\("([a-z]+)"\)', script)) <= identities
