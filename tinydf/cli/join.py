"""``tinydf-join``: checkpoints of the RGB branch and of the noise branch -> one checkpoint."""

from __future__ import annotations

import json
from pathlib import Path

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import STANDARD_OUTPUT, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UsageError, needs


@click.command(
    "tinydf-join",
    cls=OneLineCommand,
    epilog="Example: tinydf-join --rgb RUN1/tinydf.safetensors --noise RUN2/tinydf.safetensors --data FACES --out "
    "joined.safetensors",
)
@click.option(
    "--rgb",
    "--deep",
    "rgb",
    type=click.Path(path_type=Path),
    required=True,
    help="Checkpoint whose RGB branch is taken, with its temperature and threshold.",
)
@click.option(
    "--noise",
    "--residual",
    "noise",
    type=click.Path(path_type=Path),
    required=True,
    help="Checkpoint whose noise branch is taken.",
)
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="Folder of real faces; those of split val are used."
)
@click.option("--count", type=click.IntRange(2), default=200, show_default=True, help="Photos at most.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Checkpoint to write.")
@json_option
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(rgb: Path, noise: Path, data: Path, count: int, out: Path, json_path: Path | None, quiet: bool) -> int:
    """Joins two branches that were trained apart and prints what each is worth.

    Their logits are added, each times a factor fitted on half of the photos, which are forged in five ways and coded as
    video; the figures come from the other half.

    Exit status: 0 done, 2 wrong usage, 5 a photo or checkpoint could not be read, 6 a checkpoint is damaged, 7 output
    could not be written, 130 interrupted.
    """
    with needs("train"):
        import cv2

        from tinydf.checkpoint import save_checkpoint
        from tinydf.data.photos import read_photos
        from tinydf.data.validation_set import TYPES
        from tinydf.join import join_branches
    cv2.setNumThreads(1)
    photos = read_photos(data, "val")
    if not photos:
        raise UsageError(f"{data}: no photo with a face in split val, on which branches are joined.")
    with ProgressBar("join", total=len(TYPES) * min(count, len(photos)), unit="pairs", quiet=quiet) as progress:
        joined = join_branches(rgb, noise, photos, count, progress.advance)
    save_checkpoint(joined.checkpoint, out)
    record = {"schema": "tinydf.join/1", "checkpoint": str(out), **joined.checkpoint.config}
    write_figures(json.dumps(record, indent=2) + "\n", json_path)
    if not quiet and json_path != STANDARD_OUTPUT:
        for line in joined.figures:
            click.echo(line)
    return ExitCode.DONE


if __name__ == "__main__":
    main()
