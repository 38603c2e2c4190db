"""``tinydf-score-clips``: photos of real people -> synthetic clips of them, and the runtime's scores as .npz."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.errors import ExitCode, UsageError, needs
from tinydf_runtime.machine import core_count
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
@click.option("--workers", type=click.IntRange(1), help="Processes; default: one a core.")
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
    workers: int | None,
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

        from tinydf.evaluation.score_clips import Counts, ScoredClip, Source, count_people, score_people, write_scores
    from tinydf_runtime.engines.loading import open_engine
    from tinydf_runtime.io.files import sha256_of

    if out.suffix != ".npz":
        raise UsageError(f"{out}: expected a name that ends in .npz.")
    cv2.setNumThreads(1)
    hashes = open_engine(model, threads=1).spec.checkpoint_sha256, sha256_of(detector)
    scored: dict[tuple[int, int], list[ScoredClip]] = {}

    def write() -> list[ScoredClip]:
        # In the order of the people, whatever the order in which processes finish.
        clips = [clip for key in sorted(scored) for clip in scored[key]]
        write_scores(out, clips, *hashes)
        return clips

    for number, split in enumerate(splits):
        source = Source(faces, split, Counts(real, forged, longer), model, detector)
        people = count_people(source)
        with ProgressBar(f"clips of split {split}", total=people, unit="people", quiet=quiet) as progress:
            for done, (place, clips) in enumerate(score_people(source, workers or core_count()), 1):
                scored[number, place] = clips
                progress.advance(done)
                if done % WRITE_EVERY == 0:
                    write()
    clips = write()
    if not quiet:
        click.echo(f"{out}: {len(clips)} clips and pictures, {sum(len(clip.rows) for clip in clips):,} faces")
    return ExitCode.DONE


if __name__ == "__main__":
    main()
