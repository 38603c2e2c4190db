"""Trains for so many minutes on a machine that only small files reach, such as one with a borrowed GPU.

    tinydf-make-pairs --data FACES --out PAIRS --pairs 20000
    python scripts/train_on_gpu.py pack --data FACES --pairs PAIRS --out PARTS          # files of 60 MiB at most
    python scripts/train_on_gpu.py train --parts PARTS --out RUN --minutes 8 -- --init lite1 --part deep

``pack`` keeps every pixel. ``train`` unpacks, times a few steps, and runs ``tinydf-train`` for as many as there is time
for; what follows ``--`` goes to it. A run that is late is stopped as by Ctrl-C, and best.safetensors is there.
"""

from __future__ import annotations

import io
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
import cv2
import numpy as np
from numpy.typing import NDArray

from tinydf.data.face_mesh import MESH_NAME
from tinydf.data.photos import find_table, read_photos
from tinydf.data.series import validation_photos
from tinydf.data.shards import PLAN_NAME, pair_dtype, read_plan, shard_path
from tinydf.history import read_history
from tinydf.train import BEST_NAME
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import write_atomically

PART_BYTES = 60 * 2**20
TRIAL_STEPS = 40
VALIDATIONS = 8
"""Of the whole run."""
RESERVE_S = 60.0
"""For what comes before and after the steps: validation pairs, fresh batch statistics, files."""
FIELDS = ("real", "forged", "mask")


@click.group()
def main() -> None:
    """Packs pairs into small files, and trains on them elsewhere."""


@main.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="What the pairs were made of.")
@click.option("--pairs", type=click.Path(path_type=Path), required=True, help="What tinydf-make-pairs wrote.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder for the parts.")
def pack(data: Path, pairs: Path, out: Path) -> None:
    """Writes the pairs, and the photos to validate on, as parts."""
    plan, _ = read_plan(pairs)
    missing = [path.name for path in map(partial(shard_path, pairs), range(plan.shards)) if not path.exists()]
    if missing:
        raise click.ClickException(f"{pairs}: {missing[0]} is not there yet. Let tinydf-make-pairs end first.")
    out.mkdir(parents=True, exist_ok=True)
    entries, size, parts = list[tuple[str, bytes]](), 0, 0
    for name, content in _entries(data, pairs):
        if entries and size + len(content) > PART_BYTES:
            parts, entries, size = _write_part(out, parts, entries), [], 0
        entries.append((name, content))
        size += len(content) + 2 * len(name) + 200
    click.echo(f"{out}: {_write_part(out, parts, entries)} parts")


@main.command(context_settings={"ignore_unknown_options": True})
@click.option("--parts", type=click.Path(path_type=Path), required=True, help="Folder of the parts.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder of the run.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=8.0, show_default=True, help="In all.")
@click.option("--batch-pairs", type=click.IntRange(2), default=256, show_default=True)
@click.option("--device", default="cuda", show_default=True)
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
def train(parts: Path, out: Path, minutes: float, batch_pairs: int, device: str, options: tuple[str, ...]) -> None:
    """Unpacks the parts and trains on them."""
    deadline = time.monotonic() + 60 * minutes
    unpacked = out / "unpacked"
    for part in sorted(parts.glob("part-*.zip")):
        _unpack(part, unpacked)
    fixed = ["--data", str(unpacked / "faces"), "--pairs", str(unpacked / "pairs"), "--device", device, *options]
    fixed += ["--batch-pairs", str(batch_pairs)]
    code = _tinydf_train(fixed, out / "trial", TRIAL_STEPS, TRIAL_STEPS // 2, deadline)
    rows = read_history(out / "trial")
    if len(rows) < 2:
        raise click.ClickException(f"{out / 'trial'}: the trial was not done in time, or failed (exit code {code}).")
    seconds = (rows[1].hours - rows[0].hours) * 3600 / (rows[1].step - rows[0].step)
    steps = max(1, int((deadline - time.monotonic() - RESERVE_S) / seconds))
    click.echo(f"{seconds:.3f} s a step of {batch_pairs} pairs, validation included: {steps} steps")
    code = _tinydf_train(fixed, out, steps, max(1, steps // VALIDATIONS), deadline)
    if not (out / BEST_NAME).is_file():
        raise click.ClickException(f"{out}: no validation was reached (exit code {code}).")
    shutil.rmtree(unpacked)


def _entries(data: Path, pairs: Path) -> Iterator[tuple[str, bytes]]:
    """Yields the files of all parts: the photos that validation needs with their table, then the shards."""
    table = find_table(data)
    yield f"faces/{table.name}", table.read_bytes()
    chosen = validation_photos(read_photos(data, "val"))
    for photo in chosen:
        yield f"faces/{photo.path.relative_to(data).as_posix()}", photo.path.read_bytes()
    if (data / MESH_NAME).is_file():
        yield f"faces/{MESH_NAME}", _meshes_of(data, [photo.path.relative_to(data).as_posix() for photo in chosen])
    yield f"pairs/{PLAN_NAME}", (pairs / PLAN_NAME).read_bytes()
    for shard in range(read_plan(pairs)[0].shards):
        path = shard_path(pairs, shard)
        yield f"pairs/{path.name}", _encode(np.load(path))


def _meshes_of(data: Path, files: list[str]) -> bytes:
    content = io.BytesIO()
    with np.load(data / MESH_NAME) as stored:
        kept = np.isin(stored["name"], files)
        np.savez_compressed(content, name=stored["name"][kept], points=stored["points"][kept])
    return content.getvalue()


def _encode(rows: NDArray[Any]) -> bytes:
    """Returns a shard as three pictures, lossless; what was forged is stored as the difference to what is real."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as pictures:
        for name in FIELDS:
            values = rows[name] - rows["real"] if name == "forged" else rows[name]
            pictures.writestr(f"{name}.png", cv2.imencode(".png", values.reshape(-1, *values.shape[2:]))[1].tobytes())
    return content.getvalue()


def _decode(content: bytes) -> NDArray[Any]:
    dtype = pair_dtype(CropConfig().side_px)
    with zipfile.ZipFile(io.BytesIO(content)) as pictures:
        values = [_picture(pictures.read(f"{name}.png")) for name in FIELDS]
    rows = np.empty(len(values[0]) // CropConfig().side_px, dtype)
    for name, picture in zip(FIELDS, values, strict=True):
        rows[name] = picture.reshape(rows[name].shape)
    rows["forged"] += rows["real"]
    return rows


def _picture(content: bytes) -> NDArray[Any]:
    picture = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert picture is not None, "pack wrote it"
    return np.asarray(picture)


def _write_part(out: Path, number: int, entries: list[tuple[str, bytes]]) -> int:
    """Writes a part and returns how many there are."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as part:
        for name, value in entries:
            part.writestr(name, value)
    write_atomically(out / f"part-{number:03d}.zip", content.getvalue())
    return number + 1


def _unpack(part: Path, folder: Path) -> None:
    with zipfile.ZipFile(part) as entries:
        for name in entries.namelist():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == ".npy":
                np.save(path, _decode(entries.read(name)))
            else:
                path.write_bytes(entries.read(name))


def _tinydf_train(options: list[str], out: Path, steps: int, validate_every: int, deadline: float) -> int:
    """Runs ``tinydf-train``, stops it at the deadline as Ctrl-C would, and returns its exit code."""
    command = [sys.executable, "-m", "tinydf.cli.train", "--out", str(out), *options, "--steps", str(steps)]
    process = subprocess.Popen([*command, "--validate-every", str(validate_every)])
    try:
        return process.wait(max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        return process.wait()


if __name__ == "__main__":
    main()
