"""``tinydf-score-clips``: photos of real people -> synthetic clips of them, and the runtime's scores as .npz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UsageError, needs
from tinydf_runtime.models.shipped import DEFAULT_DETECTOR, DEFAULT_MODEL

if TYPE_CHECKING:
    from tinydf.data.manifest import Split

WRITE_EVERY = 10
"""People between two saves of the scores."""


@click.command(
    "tinydf-score-clips",
    cls=OneLineCommand,
    epilog="Example: tinydf-score-clips FACES SCORES.npz --model mine.onnx",
)
@click.argument("faces", type=click.Path(path_type=Path, exists=True))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), default=DEFAULT_MODEL, help="Exported classifier.")
@click.option("--detector", type=click.Path(path_type=Path), default=DEFAULT_DETECTOR, help="Face detector.")
@click.option(
    "--split",
    "splits",
    multiple=True,
    type=click.Choice(["train", "val", "test"]),
    default=("val", "test"),
    show_default=True,
)
@click.option("--real", type=click.IntRange(1), default=400, show_default=True, help="People of each split.")
@click.option(
    "--forged", type=click.IntRange(0), default=120, show_default=True, help="How many of them are also shown forged."
)
@click.option(
    "--long",
    "longer",
    type=click.IntRange(0),
    default=25,
    show_default=True,
    help="How many of them are also shown for 16 s.",
)
@click.option("--quiet", is_flag=True, help="Print only errors.")
@click.version_option(package_name="tinydf")
def main(
    faces: Path,
    out: Path,
    model: Path,
    detector: Path,
    splits: tuple[Split, ...],
    real: int,
    forged: int,
    longer: int,
    quiet: bool,
) -> int:
    """Scores synthetic clips of the people in FACES, a folder as tinydf-train reads it, and writes OUT.npz.

    A clip is a photo under a moving camera, coded as video. tinydf-fpr-table reads OUT.npz. Every few people OUT.npz
    is written, so that a run that is stopped leaves what it has.

    Exit status: 0 done, 2 wrong usage, 4 package missing, 5 a photo could not be read, 6 model file damaged, 7 output
    could not be written, 130 interrupted.
    """
    with needs("train"):
        import cv2

        from tinydf.data.photos import read_photos
        from tinydf.evaluation.score_clips import ClipScores, Counts, one_photo_each, score_people
    from tinydf_runtime.engines.loading import open_engine
    from tinydf_runtime.faces.detector import FaceDetector

    if out.suffix != ".npz":
        raise UsageError(f"{out}: expected a name that ends in .npz.")
    cv2.setNumThreads(1)
    engine, finder = open_engine(model, threads=1), FaceDetector(detector, threads=1)
    scores = ClipScores(engine.spec.checkpoint_sha256, finder.sha256)
    for split in splits:
        people = one_photo_each(read_photos(faces, split), real)
        if not people:
            raise UsageError(f"{faces}: no colour photo with a face in split {split}.")
        with ProgressBar(f"clips of split {split}", total=len(people), unit="people", quiet=quiet) as progress:

            def advance(done: int, progress: ProgressBar = progress) -> None:
                progress.advance(done)
                if done % WRITE_EVERY == 0:
                    scores.write(out)

            score_people(scores, split, people, Counts(real, forged, longer), engine, finder, advance)
    scores.write(out)
    if not quiet:
        click.echo(f"{out}: {len(scores.clips)} clips and pictures, {len(scores.rows):,} faces")
    return ExitCode.DONE


if __name__ == "__main__":
    main()
