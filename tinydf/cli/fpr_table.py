"""``tinydf-fpr-table``: scores of synthetic clips -> a network's operating point and how high real people score."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.errors import ExitCode, UsageError, needs
from tinydf_runtime.models.shipped import DEFAULT_MODEL


@click.command(
    "tinydf-fpr-table",
    cls=OneLineCommand,
    epilog="Example: tinydf-fpr-table SCORES.npz --model mine.onnx --store mine.safetensors",
)
@click.argument("scores", type=click.Path(path_type=Path, exists=True))
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Model that scored them.")
@click.option(
    "--split", type=click.Choice(["train", "val", "test"]), default="val", show_default=True, help="People to measure."
)
@click.option("--store", type=click.Path(path_type=Path), help="Checkpoint to write it to, whose weights scored them.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(scores: Path, model: Path, split: str, store: Path | None, json_path: Path | None, quiet: bool) -> int:
    """Measures temperature, threshold and the table of tinydf-run --fpr on SCORES.npz of tinydf-score-clips.

    They are printed as JSON. With --store, every later export of that checkpoint carries them.

    Exit status: 0 done, 2 wrong usage, 4 package missing, 5 SCORES could not be read, 6 model file damaged, 7 output
    could not be written.
    """
    with needs("train"):
        from tinydf.evaluation.real_people import MEASURED, measured_spec, store_measured
        from tinydf.evaluation.scored_clips import read_clips
    from tinydf_runtime.engines.loading import open_engine

    clips = [clip for clip in read_clips(scores) if clip.split == split]
    if not clips:
        raise UsageError(f"{scores}: no clip of split {split}. Score some, or name another --split.")
    spec = measured_spec(clips, open_engine(model, threads=1).spec)
    text = json.dumps({name: asdict(spec)[name] for name in MEASURED}) + "\n"
    write_figures(text, json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        click.echo(text, nl=False)
    if store is not None:
        store_measured(spec, store)
    return ExitCode.DONE


if __name__ == "__main__":
    main()
