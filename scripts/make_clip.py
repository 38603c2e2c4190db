"""Makes examples/clip.mp4: a real face that a camera moves over, forged from the middle on.

Run: python scripts/make_clip.py (needs the extra "train"). The photo is scikit-image's astronaut, a public-domain
portrait by NASA; the forgery is one self-blend of it, the same in all frames of the second half.
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import click
import cv2
import numpy as np
from skimage.data import astronaut

from tinydf.data.forgery_types.self_blend import self_blend
from tinydf.data.geometry import FaceGeometry
from tinydf.data.photometry import add_noise, as_image
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.types import Image

FPS = 25
DURATION_S = 12
WIDTH, HEIGHT = 640, 480
CRF = 25
OUT = Path(__file__).parent.parent / "examples" / "clip.mp4"


@click.command()
@click.option("--seed", default=3, show_default=True, help="Which forgery.")
@click.option("--detector", type=click.Path(path_type=Path), help="Face detector; default: the embedded one.")
@click.option("--out", type=click.Path(path_type=Path), default=OUT)
def main(seed: int, detector: Path | None, out: Path) -> None:
    photo = as_image(astronaut()[:, :, ::-1])  # type: ignore[no-untyped-call]
    face = FaceDetector(detector).detect(photo)[0]
    forged, _ = self_blend(photo, FaceGeometry(np.array(face.landmarks)), np.random.default_rng(seed), coarseness=0.5)
    centre = np.array(face.landmarks).mean(axis=0)
    rng = np.random.default_rng(0)
    with av.open(str(out), "w") as container:
        stream = container.add_stream("libx264", rate=FPS, options={"crf": str(CRF), "preset": "slow"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.time_base = Fraction(1, FPS)
        for index in range(FPS * DURATION_S):
            time_s = index / FPS
            source = forged if time_s >= DURATION_S / 2 else photo
            picture = add_noise(move_camera(source, centre, time_s), 1.5, rng)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        container.mux(stream.encode(None))
    click.echo(f"{out}: {out.stat().st_size / 1e6:.2f} MB")


def move_camera(photo: Image, centre: np.ndarray[tuple[int], np.dtype[np.float64]], time_s: float) -> Image:
    """Shows the face from a camera that sways, turns and zooms, in light that changes: periods that never meet."""
    zoom = 2.1 + 0.2 * np.sin(2 * np.pi * time_s / 7.3)
    tilt_deg = 3 * np.sin(2 * np.pi * time_s / 5.1)
    sway = np.array((26 * np.sin(2 * np.pi * time_s / 4.3), 14 * np.sin(2 * np.pi * time_s / 3.1)))
    matrix = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), tilt_deg, zoom)
    matrix[:, 2] += np.array((WIDTH / 2, HEIGHT * 0.42)) - centre + sway
    view = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT_101)
    gain = 1 + 0.12 * np.sin(2 * np.pi * time_s / 6.1)
    return as_image(np.clip(view * gain, 0, 255))


if __name__ == "__main__":
    main()
