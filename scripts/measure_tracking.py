"""Composes clips of several people from photos, and measures whether each person keeps one track, and only one.

Run: python scripts/measure_tracking.py FACES (FACES as tinydf-train reads it). People move, cross, hide, leave and
come back, and shots alternate; who is where in each frame is known, for it was drawn there. IDF1 is the share of
sightings that the best assignment of tracks to people explains (Ristani et al., ECCV 2016 workshops).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from tinydf.data.photometry import add_noise, as_image
from tinydf.data.photos import Photo, read_photos
from tinydf_runtime.faces.detector import FaceDetector
from tinydf_runtime.faces.matching import match_pairs, overlap_iou
from tinydf_runtime.faces.tracker import FaceTracker
from tinydf_runtime.io.image import read_image
from tinydf_runtime.types import Frame, Image

FPS = 5
WIDTH, HEIGHT = 640, 360


@dataclass(frozen=True, slots=True)
class Place:
    """Where one person is drawn in one frame: centre and width of the face in pixels."""

    person: int
    x: float
    y: float
    face_px: float


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame to draw: which background, and who is where, the nearest last."""

    background: int
    places: tuple[Place, ...]


Scene = Callable[[Generator], list[Shot]]


def cross(rng: Generator) -> list[Shot]:
    """Two people walk past each other, one in front."""
    y, size, speed = rng.uniform(150, 200), rng.uniform(60, 100), rng.uniform(80, 220)
    times = np.arange(0, 520 / speed, 1 / FPS)
    return [Shot(0, (Place(0, 60 + speed * t, y, size), Place(1, 580 - speed * t, y + 15, size * 1.1))) for t in times]


def swap_sides(rng: Generator) -> list[Shot]:
    """Two people swap sides again and again, quickly."""
    period, size = rng.uniform(2, 4), rng.uniform(50, 80)
    shots = []
    for t in np.arange(0, 10, 1 / FPS):
        turn = np.cos(2 * np.pi * t / period)
        shots.append(Shot(0, (Place(0, 320 - 150 * turn, 170, size), Place(1, 320 + 150 * turn, 185, size))))
    return shots


def hide(rng: Generator) -> list[Shot]:
    """A person stands behind another for several seconds, and comes out again."""
    away, size = rng.uniform(1.5, 5), rng.uniform(60, 90)
    shots = []
    for t in np.arange(0, 6 + away, 1 / FPS):
        out = np.clip(max(1.5 - t, t - 1.5 - away), 0, 1)
        shots.append(Shot(0, (Place(0, 300 + 180 * out, 185, size), Place(1, 300 + 5 * np.sin(t), 180, size * 1.3))))
    return shots


def leave(rng: Generator) -> list[Shot]:
    """One leaves; another comes in where the first left, and goes; the first comes back there."""
    size, speed = rng.uniform(60, 100), 200
    shots = []
    for t in np.arange(0, 15, 1 / FPS):
        first = 320 + speed * min(max(t - 2, 0), max(12 - t, 0))
        second = 320 + speed * max(6.5 - t, t - 8.5, 0)
        places = [Place(i, x, 180, size) for i, x in ((0, first), (1, second)) if x < WIDTH + size]
        shots.append(Shot(0, tuple(places)))
    return shots


def interview(rng: Generator) -> list[Shot]:
    """Close-ups of two people alternate."""
    shots = []
    for turn in range(6):
        person = turn % 2
        x, y, size = rng.normal((280 if person else 360, 170, 120), (12, 8, 8)).tolist()
        shots += [
            Shot(person, (Place(person, x + 12 * np.sin(i / 3), y, size),)) for i in range(int(rng.integers(7, 16)))
        ]
    return shots


def one_chair(rng: Generator) -> list[Shot]:
    """Three people are interviewed one after the other in the same chair, and the first once more."""
    shots = []
    for person in (0, 1, 2, 0):
        x, y, size = rng.normal((330, 170, 110), (12, 8, 8)).tolist()
        shots += [Shot(0, (Place(person, x + 12 * np.sin(i / 3), y, size),)) for i in range(10)]
        shots += [Shot(1, ())] * 5
    return shots


def closer(rng: Generator) -> list[Shot]:
    """A picture of two, then a close-up of each, then of two again."""
    both = [Shot(0, (Place(0, 200, 180, 70), Place(1, 440, 190, 70)))] * 8
    alone = [[Shot(1 + i, (Place(i, 300 + 40 * i + 10 * np.sin(t / 3), 170, 130),)) for t in range(10)] for i in (0, 1)]
    return [*both, *alone[0], *alone[1], *both, *alone[0]]


def crowd(rng: Generator) -> list[Shot]:
    """Eight small faces wander."""
    speed, start = rng.uniform(0.03, 0.12, (8, 2)), rng.uniform(0, 6.28, (8, 2))
    size = np.sort(rng.uniform(24, 44, 8))
    shots = []
    for t in np.arange(0, 10, 1 / FPS):
        xy = (np.sin(2 * np.pi * speed * t + start) + 1) * np.array([270.0, 120.0]) + np.array([50.0, 60.0])
        shots.append(Shot(0, tuple(Place(i, xy[i, 0], xy[i, 1], size[i]) for i in range(8))))
    return shots


def rush(rng: Generator) -> list[Shot]:
    """One runs to and fro past another who stands."""
    size, speed = rng.uniform(50, 80), rng.uniform(300, 500)
    shots = []
    for t in np.arange(0, 8, 1 / FPS):
        x = 60 + abs((speed * t + 520) % 1040 - 520)
        shots.append(Shot(0, (Place(0, 320, 150, size), Place(1, x, 190, size * 1.1))))
    return shots


SCENES: dict[str, Scene] = {
    scene.__name__: scene for scene in (cross, swap_sides, hide, leave, interview, one_chair, closer, crowd, rush)
}


def draw(shots: list[Shot], cast: list[tuple[Image, tuple[float, float, float]]], rng: Generator) -> Iterator[Image]:
    """Yields the frames: each person's photo, softly cut out, over a blurred other photo."""
    backgrounds = [
        cv2.GaussianBlur(cv2.resize(cast[-1 - i][0], (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR), (0, 0), 9)
        for i in range(3)
    ]
    pace = rng.uniform(0.1, 0.5, (len(cast), 2))
    for index, shot in enumerate(shots):
        image = backgrounds[shot.background].astype(np.float32)
        for place in shot.places:
            photo, (cx, cy, width) = cast[place.person]
            sway, light = np.sin(2 * np.pi * pace[place.person] * index / FPS)
            zoom = place.face_px / width
            matrix = cv2.getRotationMatrix2D((cx, cy), 6 * sway, zoom)
            matrix[:, 2] += np.array([place.x - cx, place.y - cy])
            view = cv2.warpAffine(photo, matrix, (WIDTH, HEIGHT), flags=cv2.INTER_AREA)
            mask = cv2.warpAffine(cut_out(photo, cx, cy, width), matrix, (WIDTH, HEIGHT), flags=cv2.INTER_LINEAR)
            lit = view * np.float32(1 + 0.1 * float(light))
            image += mask[..., None] * (lit - image)
        yield add_noise(as_image(image.clip(0, 255)), 2.0, rng)


def cut_out(photo: Image, x: float, y: float, width: float) -> NDArray[np.float32]:
    """Returns a soft mask, H x W, 0..1, of a head and its shoulders."""
    mask = np.zeros(photo.shape[:2], np.float32)
    cv2.ellipse(mask, (round(x), round(y)), (round(0.75 * width), round(1.0 * width)), 0, 0, 360, 1.0, -1)
    cv2.ellipse(mask, (round(x), round(y + 1.9 * width)), (round(1.3 * width), round(1.1 * width)), 0, 0, 360, 1.0, -1)
    mask[:2], mask[:, :2], mask[:, -2:] = 0, 0, 0
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 0.05 * width), np.float32)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tracker made of one clip.

    Attributes:
        explained, sightings, found: Of IDF1: 2 x explained / (sightings + found).
        switches: Times that a person's track changed.
        mixed: Tracks that took in two sightings or more of a second person.
        tracks, people: How many there are.
    """

    explained: int
    sightings: int
    found: int
    switches: int
    mixed: int
    tracks: int
    people: int


def follow(shots: list[Shot], frames: Iterator[Image], detector: FaceDetector, weak: float | None) -> Outcome:
    """Returns what the runtime's tracker makes of a clip."""
    tracker = FaceTracker() if weak is None else FaceTracker(strong_score=detector.score_threshold)
    pairs: Counter[tuple[int, int]] = Counter()
    last: dict[int, int] = {}
    found = sightings = switches = 0
    for index, (shot, image) in enumerate(zip(shots, frames, strict=True)):
        tracked = tracker.update(Frame(index, index / FPS, image), detector.detect(image, weak))
        visible = seen_places(shot)
        sightings += len(visible)
        found += len(tracked)
        if not tracked or not visible:
            continue
        boxes = np.array([face.box_xyxy for _, face in tracked], np.float64)
        half = np.array([[-0.5, -0.65, 0.5, 0.65]])
        truth = np.array([np.tile((p.x, p.y), 2) + half[0] * p.face_px for p in visible])
        overlap = overlap_iou(truth, boxes)
        for row, column in match_pairs(np.where(overlap > 0.3, overlap, 0)):
            person, track = visible[row].person, tracked[column][0]
            pairs[person, track] += 1
            switches += last.get(person, track) != track
            last[person] = track
    people, tracks = sorted({p for p, _ in pairs}), sorted({t for _, t in pairs})
    gain = np.array([[float(pairs[p, t]) for t in tracks] for p in people]).reshape(len(people), len(tracks))
    explained = sum(int(gain[row, column]) for row, column in match_pairs(gain))
    holders: dict[int, int] = defaultdict(int)
    for (_, track), count in pairs.items():
        holders[track] += count >= 2
    return Outcome(
        explained,
        sightings,
        found,
        switches,
        sum(count > 1 for count in holders.values()),
        len(tracks),
        len(people),
    )


def seen_places(shot: Shot) -> list[Place]:
    """Returns who can be seen: inside the picture, and not hidden behind somebody nearer."""
    seen = []
    for i, place in enumerate(shot.places):
        nearer = shot.places[i + 1 :]
        hidden = any(np.hypot(place.x - p.x, (place.y - p.y) / 1.3) < 0.75 * p.face_px for p in nearer)
        if not hidden and 0.3 * place.face_px < place.x < WIDTH - 0.3 * place.face_px:
            seen.append(place)
    return seen


def cast_of(photos: list[Photo], rng: Generator) -> list[tuple[Image, tuple[float, float, float]]]:
    """Returns eight people: photo, and centre and width of the face."""
    chosen: dict[str, Photo] = {}
    source = photos[int(rng.integers(len(photos)))].source
    alike = [photo for photo in photos if photo.source == source]
    while len(chosen) < 8:
        photo = alike[int(rng.integers(len(alike)))]
        chosen.setdefault(photo.identities[0], photo)
    cast = []
    for photo in chosen.values():
        left, top, right, bottom = photo.faces[0].box_xyxy
        cast.append((read_image(photo.path), ((left + right) / 2, (top + bottom) / 2, right - left)))
    return cast


@click.command()
@click.argument("faces", type=click.Path(path_type=Path, exists=True))
@click.option("--clips", default=8, show_default=True, help="Clips of each kind.")
@click.option("--weak", type=float, help="Detection score from which a face may continue a track.")
@click.option("--scene", "names", multiple=True, type=click.Choice(list(SCENES)), help="Only these kinds of clips.")
@click.option("--split", default="val", show_default=True)
def main(faces: Path, clips: int, weak: float | None, names: tuple[str, ...], split: str) -> None:
    detector = FaceDetector(threads=1)
    sources = {"lfw", "london", "congress", "usportrait"}
    photos = [p for p in read_photos(faces, split) if p.source in sources and not p.grey]  # type: ignore[arg-type]
    click.echo(f"{'clips':12} IDF1   switches  mixed  tracks/people")
    total = np.zeros(7, int)
    for name in names or SCENES:
        scene = SCENES[name]
        outcomes = []
        for seed in range(clips):
            rng = np.random.default_rng((seed, 7))
            cast, shots = cast_of(photos, rng), scene(rng)
            result = follow(shots, draw(shots, cast, rng), detector, weak)
            outcomes.append([getattr(result, field) for field in Outcome.__slots__])
        summed = np.array(outcomes).sum(axis=0)
        total += summed
        click.echo(line(name, summed))
    click.echo(line("all", total))


def line(name: str, summed: NDArray[np.int64]) -> str:
    """Returns one row of the table."""
    explained, sightings, found, switches, mixed, tracks, people = summed.tolist()
    return f"{name:12} {2 * explained / (sightings + found):.3f} {switches:8} {mixed:8}  {tracks}/{people}"


if __name__ == "__main__":
    main()
