from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from tinydf.facedetector.mine import mistakes, mistakes_kept, with_mistakes
from tinydf.facedetector.model import FaceDetectorNet
from tinydf.facedetector.photos import Photo
from tinydf.facedetector.weights import load_detector


def fires_everywhere() -> FaceDetectorNet:
    """A network that takes every cell for a face of 64 px."""
    network = FaceDetectorNet()
    with torch.no_grad():
        for stride, head in zip((8, 16, 32), network.heads, strict=True):
            parts = [part for part in head.modules() if isinstance(part, nn.Conv2d)]
            for part in parts[-2:]:
                assert part.bias is not None
                part.weight.zero_()
                part.bias.zero_()
            last = parts[-1].bias
            assert last is not None
            last[:2] = 5.0
            last[4:6] = float(np.log(64 / stride))
    return network


def test_what_lies_on_faces_and_doubts_is_no_mistake(scenes: list[Photo]) -> None:
    found = mistakes(fires_everywhere(), scenes)
    for scene in scenes:
        boxes = np.array(found[scene.name])
        known = np.concatenate((scene.faces[:, :4], scene.doubtful))
        assert len(boxes) > 5
        for x, y, width, height in known.tolist():
            low = np.maximum(boxes[:, :2], (x, y))
            high = np.minimum(boxes[:, :2] + boxes[:, 2:], (x + width, y + height))
            shared = (high - low).clip(0).prod(1)
            assert (shared / (boxes[:, 2:].prod(1) + width * height - shared) < 0.31).all()


def test_the_shipped_detector_mistakes_no_known_face(scenes: list[Photo]) -> None:
    found = mistakes(load_detector().network, scenes[:1])
    x, y, width, height = scenes[0].faces[0, :4].tolist()
    middle = (x + width / 2, y + height / 2)
    assert not [b for b in found.get(scenes[0].name, []) if np.hypot(b[0] + b[2] / 2 - middle[0], b[1] - y) < 20]


def test_mistakes_are_kept_and_added(scenes: list[Photo], tmp_path: Path) -> None:
    kept = tmp_path / "mistakes.json"
    first = mistakes_kept(fires_everywhere(), scenes, kept)
    # The file answers, not another network.
    assert mistakes_kept(load_detector().network, scenes, kept) == first
    added = with_mistakes(scenes, {scenes[1].name: first[scenes[1].name]})
    assert len(added[0].mistaken) == 0
    assert len(added[1].mistaken) == 1 + len(first[scenes[1].name])
