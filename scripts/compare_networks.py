"""TinyDF and networks of others, trained by one recipe on the very same pairs -> a page that compares them.

tinydf-make-pairs --data faces --out pairs --pairs 6400
python scripts/compare_networks.py --data faces --pairs pairs --runs runs --out docs/networks.md

Each network trains for one pass over the pairs; stopped, the script goes on where it was. Accuracy is the validation
set's (``tinydf/data/validation_set.py``), from which no network here is chosen.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import click
from torch import nn

from measure_exports import cpu_name
from measure_resolutions import measure_types, multiply_adds
from tinydf.checkpoint import load_checkpoint, load_default
from tinydf.data.photos import read_photos
from tinydf.data.shards import PairPlan, read_plan
from tinydf.data.validation_set import VERSION, validation_set
from tinydf.forgery.model import RGBBranch
from tinydf.metrics import Estimate
from tinydf_runtime.io.files import write_atomically

BATCH_PAIRS = 16
SIDE_PX = 224
NETWORKS = {
    "TinyDF, RGB branch": ("tinydf", "lite1", "rgb"),
    "TinyDF as published, head pooled": ("faithful", "lite1", "whole"),
    "EfficientNet-Lite0": ("efficientnet-lite0", "lite0", "whole"),
    "Meso4": ("meso4", "none", "whole"),
}
"""Name on the page -> ``--network``, ``--init`` and ``--part`` of ``tinydf-train``."""
RECIPE = (
    *("--batch-pairs", str(BATCH_PAIRS), "--image-px", "160", "--small-share", "0.5", "--learning-rate", "0.001"),
    *("--warmup-share", "0.03", "--ema-decay", "0.99", "--validate-every", "1000", "--precision", "bf16-mixed"),
)
INTRO = """# Networks compared

Each network was trained by one recipe on the same {pairs} pairs, which `tinydf-make-pairs` made of photos of {photos}
real faces: {steps} steps of {batch} pairs, half of them at 160 px, half at 224 px. TinyDF, also as published, starts
from ImageNet weights of EfficientNet-Lite1, EfficientNet-Lite0 from its own; there are none for Meso4.
`scripts/compare_networks.py` scored version {version} of the validation set with them ({count} photos of validation
people, five synthetic forgeries each, coded as video), and wrote this page on {cpu}. AUC is of single crops: the mean
of the five types, and all crops together with their 95 % bootstrap interval.

| network | M parameters | GMAC | mean AUC of the types | AUC of all crops |
| --- | --- | --- | --- | --- |
"""
AFTER = """
So short a training tells which network learns faster, not where each would end. The last rows are the shipped network,
which saw many times as many pairs.
"""
Rows = dict[str, nn.Module]


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos of real faces.")
@click.option("--pairs", type=click.Path(path_type=Path), required=True, help="Folder of pairs made of them.")
@click.option("--runs", type=click.Path(path_type=Path), required=True, help="Folder for a run of each network.")
@click.option("--count", default=200, show_default=True, help="Photos of validation people.")
@click.option("--out", type=click.Path(path_type=Path), help="Page to write.")
def main(data: Path, pairs: Path, runs: Path, count: int, out: Path | None) -> None:
    """Trains what is not trained yet, then prints and writes the table."""
    plan, _ = read_plan(pairs)
    for kind in NETWORKS.values():
        train(kind, data, pairs, plan.pairs // BATCH_PAIRS, runs / kind[0])
    networks = trained(runs) | shipped()
    types = validation_set(read_photos(data, "val"), count)
    page = describe(plan, count, networks, measure_types(types.values(), networks))
    click.echo(page)
    if out is not None:
        write_atomically(out, page.encode())


def train(kind: tuple[str, str, str], data: Path, pairs: Path, steps: int, out: Path, *more: str) -> None:
    """Trains a network, or goes on with its run; one that is done stays.

    Args:
        kind: Of ``NETWORKS``.
        data: Folder of photos.
        pairs: Folder of pairs.
        steps: Of ``BATCH_PAIRS`` pairs.
        out: Folder of the run.
        more: Options of ``tinydf-train`` beside the recipe.
    """
    if (out / "tinydf.safetensors").exists():
        return
    network, init, part = kind
    command = [sys.executable, "-m", "tinydf.cli.train", "--data", data, "--pairs", pairs, "--out", out]
    command += ["--network", network, "--init", init, "--part", part, "--steps", str(steps), *RECIPE, *more]
    resume = ["--resume"] if (out / "state.pt").exists() else []
    subprocess.run([*map(str, command), *resume], check=True)


def trained(runs: Path) -> Rows:
    """Returns the networks of the runs by their names."""
    found: Rows = {}
    for name, (network, _, part) in NETWORKS.items():
        checkpoint = load_checkpoint(runs / network / "tinydf.safetensors")
        found[name] = RGBBranch(checkpoint.build()).eval() if part == "rgb" else checkpoint.build_network()
    return found


def shipped() -> Rows:
    """Returns the shipped network, by its RGB branch alone and whole."""
    whole = load_default().build()
    return {"TinyDF as shipped, RGB branch": RGBBranch(whole).eval(), "TinyDF as shipped, both branches": whole}


def describe(plan: PairPlan, count: int, networks: Rows, figures: dict[str, tuple[float, Estimate]]) -> str:
    """Returns the page."""
    page = INTRO.format(
        pairs=f"{plan.pairs:,}",
        photos=f"{plan.photos:,}",
        steps=plan.pairs // BATCH_PAIRS,
        batch=BATCH_PAIRS,
        version=VERSION,
        count=count,
        cpu=cpu_name(),
    )
    for name, (mean, whole) in figures.items():
        parameters = sum(value.numel() for value in networks[name].parameters()) / 1e6
        page += (
            f"| {name} | {parameters:.2f} | {multiply_adds(networks[name], SIDE_PX) / 1e9:.3f} "
            f"| {mean:.3f} | {whole.value:.3f} [{whole.low:.3f}, {whole.high:.3f}] |\n"
        )
    return page + AFTER


if __name__ == "__main__":
    main()
