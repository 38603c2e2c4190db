"""What most deepfake detectors do with a video, for ``bench_run.py`` to time: python usual_pipeline.py CLIP [YUNET].

OpenCV decodes every frame; five a second go to a face detector at 640 pixels, each face to a network as large as
EfficientNet-B4 (Tan and Le, ICML 2019) at 256 pixels in PyTorch. Its weights are random: they take as long as others.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.types import Image

Box = tuple[int, int, int, int]

SIDE_PX = 256
SAMPLE_FPS = 5.0
STAGES = (
    (1, 24, 2, 3, 1),
    (6, 32, 4, 3, 2),
    (6, 56, 4, 5, 2),
    (6, 112, 6, 3, 2),
    (6, 160, 6, 5, 1),
    (6, 272, 8, 5, 2),
    (6, 448, 2, 3, 1),
)
"""Expansion, channels, layers, kernel and stride of EfficientNet-B4's stages."""


class Block(nn.Module):
    """A mobile inverted bottleneck with squeeze and excitation."""

    def __init__(self, c_in: int, c_out: int, expansion: int, kernel: int, stride: int) -> None:
        super().__init__()
        c = c_in * expansion
        expand = [nn.Conv2d(c_in, c, 1, bias=False), nn.BatchNorm2d(c), nn.SiLU()] if expansion > 1 else []
        spread = nn.Conv2d(c, c, kernel, stride, kernel // 2, groups=c, bias=False)
        self.wide = nn.Sequential(*expand, spread, nn.BatchNorm2d(c), nn.SiLU())
        squeezed = max(1, c_in // 4)
        self.gate = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Conv2d(c, squeezed, 1), nn.SiLU(), nn.Conv2d(squeezed, c, 1), nn.Sigmoid()
        )
        self.narrow = nn.Sequential(nn.Conv2d(c, c_out, 1, bias=False), nn.BatchNorm2d(c_out))
        self.skips = stride == 1 and c_in == c_out

    def forward(self, x: Tensor) -> Tensor:
        """Returns what the block makes of N x C x H x W."""
        wide = self.wide(x)
        narrow: Tensor = self.narrow(wide * self.gate(wide))
        return x + narrow if self.skips else narrow


def build_network() -> nn.Module:
    """Returns a network with EfficientNet-B4's layers and two outputs."""
    layers: list[nn.Module] = [nn.Conv2d(3, 48, 3, 2, 1, bias=False), nn.BatchNorm2d(48), nn.SiLU()]
    channels = 48
    for expansion, c_out, count, kernel, stride in STAGES:
        for number in range(count):
            layers.append(Block(channels, c_out, expansion, kernel, stride if number == 0 else 1))
            channels = c_out
    layers += [nn.Conv2d(channels, 1792, 1, bias=False), nn.BatchNorm2d(1792), nn.SiLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(1792, 2)).eval()


def main(clip: str, yunet: str | None) -> None:
    network, boxes_of = build_network(), find_with_yunet(yunet) if yunet else find_with_own()
    capture = cv2.VideoCapture(clip)
    step = max(1, round(capture.get(cv2.CAP_PROP_FPS) / SAMPLE_FPS))
    index = 0
    scores = []
    with torch.inference_mode():
        while (read := capture.read())[0]:
            if index % step == 0:
                image = np.asarray(read[1], np.uint8)
                for left, top, right, bottom in boxes_of(image):
                    crop = cv2.resize(image[max(top, 0) : bottom, max(left, 0) : right], (SIDE_PX, SIDE_PX))
                    pixels = torch.from_numpy(np.ascontiguousarray(crop[..., ::-1])).permute(2, 0, 1)[None].float()
                    scores.append(float(network(pixels / 127.5 - 1).softmax(1)[0, 1]))
            index += 1
    print(f"{index} frames, {len(scores)} faces, mean {np.mean(scores) if scores else float('nan'):.3f}")


def find_with_yunet(path: str) -> Callable[[Image], list[Box]]:
    """Returns what finds faces with OpenCV's own YuNet class, the long side shrunk to 640 pixels."""
    finder = cv2.FaceDetectorYN.create(path, "", (640, 640), 0.6)

    def boxes_of(image: Image) -> list[Box]:
        scale = min(1.0, 640 / max(image.shape[:2]))
        small = cv2.resize(image, None, fx=scale, fy=scale)
        finder.setInputSize((small.shape[1], small.shape[0]))
        found = finder.detect(small)[1]
        rows = np.empty((0, 4)) if found is None else found[:, :4] / scale
        return [(int(x), int(y), int(x + width), int(y + height)) for x, y, width, height in rows]

    return boxes_of


def find_with_own() -> Callable[[Image], list[Box]]:
    """Returns what finds faces with TinyDF's detector at 640 pixels."""
    detector = FaceDetector(long_side_px=640)

    def boxes_of(image: Image) -> list[Box]:
        return [
            (int(left), int(top), int(right), int(bottom))
            for left, top, right, bottom in (face.box_xyxy for face in detector.detect(image))
        ]

    return boxes_of


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2] if len(sys.argv) > 2 else None)
