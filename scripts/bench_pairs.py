"""Measures how many training crops a second are made, on a device in batches and on one CPU thread one by one.

Run: python scripts/bench_pairs.py --data FACES --device cuda (needs the extra "train"). Both take turns, so that what
else the machine does meets both alike; figures are medians over the turns.
"""

from __future__ import annotations

import platform
import statistics
import tempfile
import time
from pathlib import Path

import click
import cv2
import torch

from tinydf.data.dataset import PairSeries, collate
from tinydf.data.drawn_faces import write_drawn_faces
from tinydf.data.families.table import Mixture
from tinydf.data.ondevice.pairs import DevicePairs
from tinydf.data.ondevice.store import pack_faces
from tinydf.data.photos import Photo, read_photos

CROP_PX = 224
DRAWN_FACES = 64
WARM_UP_TURNS = 2


@click.command()
@click.option("--data", type=click.Path(path_type=Path), help="Folder of faces; default: drawn ones.")
@click.option("--device", default="cpu", show_default=True, help="Torch's name, such as cuda.")
@click.option(
    "--batch-pairs", type=click.IntRange(1), default=128, show_default=True, help="Pairs a turn on the device."
)
@click.option("--cpu-pairs", type=click.IntRange(1), default=8, show_default=True, help="Pairs a turn on the CPU.")
@click.option("--turns", type=click.IntRange(1), default=20, show_default=True)
@click.option("--seed", default=0, show_default=True)
def main(data: Path | None, device: str, batch_pairs: int, cpu_pairs: int, turns: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        if data is None:
            data = Path(folder)
            write_drawn_faces(data, DRAWN_FACES)
        _measure(read_photos(data, "train"), torch.device(device), batch_pairs, cpu_pairs, turns, seed)


def _measure(photos: list[Photo], place: torch.device, batch_pairs: int, cpu_pairs: int, turns: int, seed: int) -> None:
    cv2.setNumThreads(1)
    began = time.perf_counter()
    store = pack_faces(photos, place)
    click.echo(
        f"{len(photos)} photos packed in {time.perf_counter() - began:.1f} s, {store.windows.nbytes / 1e9:.2f} GB"
    )
    batches = iter(
        DevicePairs(
            store,
            steps=turns + WARM_UP_TURNS,
            batch_pairs=batch_pairs,
            patch_px=CROP_PX,
            seed=seed,
            pairs_at_once=batch_pairs,
        )
    )
    series = PairSeries(photos, CROP_PX, turns * cpu_pairs, seed, forge=Mixture(photos))
    for _ in range(WARM_UP_TURNS):
        int(next(batches)[0].sum())
    on_device, on_cpu = [], []
    for turn in range(turns):
        began = time.perf_counter()
        # What a number is made of has to be finished before the number is here, on any device.
        int(next(batches)[0].sum())
        on_device.append(2 * batch_pairs / (time.perf_counter() - began))
        began = time.perf_counter()
        collate([series[turn * cpu_pairs + number] for number in range(cpu_pairs)])
        on_cpu.append(2 * cpu_pairs / (time.perf_counter() - began))
    _report(f"{_name(place)}, batches of {batch_pairs} pairs", on_device)
    _report(f"{_name(torch.device('cpu'))}, one thread, pair by pair", on_cpu)


def _name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{platform.machine()} {device.type}, {torch.get_num_threads()} threads"


def _report(name: str, rates: list[float]) -> None:
    low, middle, high = min(rates), statistics.median(rates), max(rates)
    click.echo(
        f"{name}: {middle:,.0f} crops/s of {CROP_PX} px (from {low:,.0f} to {high:,.0f}), {2000 / middle:.2f} ms a pair"
    )


if __name__ == "__main__":
    main()
