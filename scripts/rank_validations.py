"""Networks whose figures on real deepfakes are known -> how far each validation ranks them as real deepfakes do.

python scripts/rank_validations.py --data faces --networks networks.json --out docs/validation.md

``networks.json`` names, for each network, its file (a TinyDF checkpoint, weights of the RGB branch alone, or an ONNX
export), its crop margin, its AUC on real deepfakes where that is known, and ``"branch": "rgb"`` to judge by that alone:
[{"name": "first", "file": "first.safetensors", "margin": 0.05, "real_auc": 0.810}, ...].
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file

from tinydf.checkpoint import load_checkpoint
from tinydf.data.photos import read_photos
from tinydf.data.validation_set import VERSION, ClipPairs, validation_set
from tinydf.forgery import TinyDF
from tinydf.forgery.model import RGBBranch
from tinydf.metrics import Estimate, auc, auc_with_interval
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import write_atomically
from validation_scores import Logits, Scorer, network_scorer, score_pairs

INTRO = """# Does the validation rank networks as real deepfakes do?

Candidates are chosen by `tinydf/data/validation_set.py`: photos of validation people, each forged in five ways and
coded as moving video. This page, written by `scripts/rank_validations.py`, holds it against networks whose AUC on real
deepfakes (FaceForensics++ c23, all methods) is known. A cell is the AUC of single crops with its 95 % bootstrap
interval; the last column is Pearson's correlation with the known figures. Few networks have one, so that the order
counts more than the coefficient. The other columns are this project's own networks.

"""
Sets = Mapping[float, Mapping[str, ClipPairs]]
"""Margin of the crop -> name of a forgery type -> its pairs."""


@click.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of photos of real faces.")
@click.option("--networks", type=click.Path(path_type=Path), required=True, help="JSON as above.")
@click.option("--count", default=200, show_default=True, help="Photos of validation people.")
@click.option("--out", type=click.Path(path_type=Path), help="Page to write.")
def main(data: Path, networks: Path, count: int, out: Path | None) -> None:
    """Scores every network on the validation set and prints a table."""
    photos = read_photos(data, "val")
    rows = json.loads(networks.read_text(encoding="utf-8"))
    scorers = [open_scorer(Path(row["file"]), row.get("branch")) for row in rows]
    margins = sorted({float(row["margin"]) for row in rows})
    sets = {margin: validation_set(photos, count, CropConfig(margin=margin)) for margin in margins}
    scores: dict[str, list[tuple[Logits, Logits]]] = {}
    for name in sets[margins[0]]:
        scores[name] = _score(name, sets, rows, scorers)
        found = zip(rows, scores[name], strict=True)
        click.echo(f"{name}: " + ", ".join(f"{row['name']} {auc(*one):.3f}" for row, one in found))
    page = _page(rows, scores, count)
    click.echo(page)
    if out is not None:
        write_atomically(out, (INTRO + page).encode())


def open_scorer(path: Path, branch: str | None = None) -> Scorer:
    """Returns what scores crops by a network.

    Args:
        path: Checkpoint, weights of the RGB branch alone, or ONNX export.
        branch: ``rgb`` for that branch of a checkpoint alone.
    """
    if path.suffix == ".onnx":
        from tinydf_runtime.engines.quiet_onnxruntime import onnxruntime  # Only some networks are exports.

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])

        def score(images: torch.Tensor) -> Logits:
            probability = session.run(["fake_probability"], {"image": images.contiguous().numpy()})
            clipped = np.clip(np.asarray(probability[0], np.float64), 1e-7, 1 - 1e-7)
            return np.log(clipped / (1 - clipped))

        return score
    state = load_file(path)
    if any(name.startswith("residual.") for name in state):
        both = load_checkpoint(path).build()
        return network_scorer(RGBBranch(both).eval() if branch == "rgb" else both)
    whole = TinyDF()
    whole.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
    return network_scorer(RGBBranch(whole).eval())


def _score(name: str, sets: Sets, rows: list[dict[str, Any]], scorers: list[Scorer]) -> list[tuple[Logits, Logits]]:
    """Returns each network's logits on one type of forgery, cut at the network's own margin."""
    found: dict[int, tuple[Logits, Logits]] = {}
    for margin, types in sets.items():
        # The same series of random numbers: the same pairs but for the crop's margin.
        places = [place for place, row in enumerate(rows) if float(row["margin"]) == margin]
        found |= zip(places, score_pairs(types[name], [scorers[place] for place in places]), strict=True)
    return [found[place] for place in range(len(rows))]


def _page(rows: list[dict[str, Any]], scores: dict[str, list[tuple[Logits, Logits]]], count: int) -> str:
    names = " | ".join(row["name"] for row in rows)
    lines = [
        f"| validation, version {VERSION}, {count} photos | {names} | Pearson r |",
        "| --- |" + " --- |" * (len(rows) + 1),
        "| **real deepfakes** | " + " | ".join(_known(row) for row in rows) + " | |",
    ]
    known = np.array([row.get("real_auc", np.nan) for row in rows], np.float64)
    values = {name: [auc_with_interval(*one) for one in found] for name, found in scores.items()}
    for name, figures in values.items():
        lines.append(_line(name, figures, known))
    mean = np.mean([[one.value for one in figures] for figures in values.values()], axis=0)
    agreement = _agreement(mean, known)
    lines.append("| mean of the types | " + " | ".join(f"{value:.3f}" for value in mean) + f" | {agreement} |")
    return "\n".join(lines) + "\n"


def _line(name: str, figures: list[Estimate], known: NDArray[np.float64]) -> str:
    cells = " | ".join(f"{one.value:.3f} [{one.low:.3f}, {one.high:.3f}]" for one in figures)
    agreement = _agreement(np.array([one.value for one in figures]), known)
    return f"| {name} | {cells} | {agreement} |"


def _known(row: dict[str, Any]) -> str:
    return f"**{row['real_auc']:.3f}**" if "real_auc" in row else "not known"


def _agreement(found: NDArray[np.float64], known: NDArray[np.float64]) -> str:
    both = np.isfinite(known)
    return f"{np.corrcoef(found[both], known[both])[0, 1]:.2f}" if both.sum() > 2 else ""


if __name__ == "__main__":
    main()
