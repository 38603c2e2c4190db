"""The shipped network at several resolutions, whole and by its RGB branch alone -> a page of accuracy against time.

python scripts/measure_resolutions.py --data faces --out docs/resolutions.md

Accuracy is the validation set's (``tinydf/data/validation_set.py``), cut at each resolution from the same clips; times
are those of single crops in ONNX Runtime, float32, one thread, taken in turns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from statistics import median

import click
import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from measure_exports import cpu_name, time_in_turns
from tinydf.checkpoint import Checkpoint, load_default
from tinydf.data.photos import read_photos
from tinydf.data.validation_set import VERSION, ClipPairs, validation_set
from tinydf.forgery.model import RGBBranch
from tinydf.metrics import Estimate, auc, auc_with_interval
from tinydf_export.graph.float_graph import Traceable, trace
from tinydf_export.graph.rewrites import rewrite
from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime
from tinydf_runtime.io.files import write_atomically
from validation_scores import Logits, network_scorer, score_pairs

SIDES_PX = (128, 160, 192, 224)
INTRO = """# Resolution against accuracy

The shipped network was trained at 224 px. `scripts/measure_resolutions.py` scored version {version} of the validation
set ({count} photos of validation people, five synthetic forgeries each, coded as video) with the same weights at other
resolutions, and wrote this page. AUC is of single crops: the mean of the five types, and all crops together with their
95 % bootstrap interval. Times are medians (minima) of single crops in ONNX Runtime {runtime}, float32, one thread, in
turns, on {cpu}.

| branches | side, px | GMAC | mean AUC of the types | AUC of all crops | ms |
| --- | --- | --- | --- | --- | --- |
"""
Networks = Mapping[str, nn.Module]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos of real faces.")
@click.option("--count", default=200, show_default=True, help="Photos of validation people.")
@click.option("--turns", default=60, show_default=True, help="Turns of each network.")
@click.option("--out", type=click.Path(path_type=Path), help="Page to write.")
def main(data: Path, count: int, turns: int, out: Path | None) -> None:
    """Prints and writes the table."""
    checkpoint = load_default()
    network = checkpoint.build()
    networks = {"both": network, "RGB": RGBBranch(network).eval()}
    photos = read_photos(data, "val")
    rows: dict[tuple[str, int], tuple[float, Estimate]] = {}
    for side in SIDES_PX:
        types = validation_set(photos, count, replace(checkpoint.spec.crop, side_px=side))
        for branch, figures in measure_types(types.values(), networks).items():
            rows[branch, side] = figures
            click.echo(f"{branch} {side} px: mean {figures[0]:.3f}, all {figures[1].value:.3f}")
    calls = {f"{branch} {side}": _call(checkpoint, branch, side) for branch, side in rows}
    times = time_in_turns(calls, turns)
    page = INTRO.format(version=VERSION, count=count, runtime=version("onnxruntime"), cpu=cpu_name())
    for (branch, side), (mean, whole) in rows.items():
        spent = times[f"{branch} {side}"]
        page += (
            f"| {branch} | {side} | {multiply_adds(networks[branch], side) / 1e9:.3f} | {mean:.3f} "
            f"| {whole.value:.3f} [{whole.low:.3f}, {whole.high:.3f}] | {median(spent):.1f} ({min(spent):.1f}) |\n"
        )
    click.echo(page)
    if out is not None:
        write_atomically(out, page.encode())


def measure_types(types: Iterable[ClipPairs], networks: Networks) -> dict[str, tuple[float, Estimate]]:
    """Returns each network's mean AUC over the types, and its AUC over all their crops."""
    scorers = [network_scorer(network) for network in networks.values()]
    by_type = [score_pairs(pairs, scorers) for pairs in types]
    return {name: _figures(found) for name, found in zip(networks, zip(*by_type, strict=True), strict=True)}


def _figures(found: Sequence[tuple[Logits, Logits]]) -> tuple[float, Estimate]:
    real, fake = (np.concatenate(side) for side in zip(*found, strict=True))
    return float(np.mean([auc(*one) for one in found])), auc_with_interval(real, fake)


def multiply_adds(network: nn.Module, side: int) -> float:
    """Returns the multiply-adds of one crop of ``side`` x ``side`` pixels, RGB."""
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(torch.zeros(1, 3, side, side))
    return float(counter.get_total_flops()) / 2


def _call(checkpoint: Checkpoint, branch: str, side: int) -> Callable[[], object]:
    """Returns what scores one crop in ONNX Runtime."""
    session = _session(checkpoint, branch, side)
    image = np.zeros((1, 3, side, side), np.uint8)
    return lambda: session.run(None, {"image": image})


def _session(checkpoint: Checkpoint, branch: str, side: int) -> onnxruntime.InferenceSession:
    network = rewrite(checkpoint.build()).network
    chosen = RGBBranch(network) if branch == "RGB" else network
    spec = replace(checkpoint.spec, crop=replace(checkpoint.spec.crop, side_px=side))
    graph = trace(Traceable(chosen, spec.temperature), spec)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=["CPUExecutionProvider"])


if __name__ == "__main__":
    main()
