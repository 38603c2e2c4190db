"""``tinydf-evaluate``: models and prepared faces -> figures with intervals, plots and a page."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.console import Console

from tinydf_runtime.cli.command import OneLineCommand
from tinydf_runtime.cli.options import device_option, json_option, write_figures
from tinydf_runtime.cli.progress import ProgressBar
from tinydf_runtime.engines.engine import ENGINES
from tinydf_runtime.errors import ExitCode, OutputError, UsageError, needs
from tinydf_runtime.faces.crop import CropConfig
from tinydf_runtime.io.files import write_atomically

if TYPE_CHECKING:
    from tinydf.data.manifest import Split
    from tinydf.evaluation.result import Evaluation, Settings
    from tinydf.evaluation.scoring import Scorer

FAILURES_SHOWN = 20


class _SeveralFolders(OneLineCommand):
    """A command whose ``--data`` takes several folders: all arguments up to the next option or file."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Names the option before each of its folders."""
        repeated: list[str] = []
        inside = False
        for place, word in enumerate(args):
            more = inside and not word.startswith("-") and args[place - 1] != "--data" and not Path(word).is_file()
            inside = word == "--data" or (inside and not word.startswith("-") and not Path(word).is_file())
            repeated += ["--data", word] if more else [word]
        return super().parse_args(ctx, repeated)


@click.command(
    "tinydf-evaluate",
    cls=_SeveralFolders,
    epilog="Example: tinydf-evaluate mine.onnx --data faces/ff++ faces/celeb-df --html report.html",
)
@click.version_option(package_name="tinydf")
@click.argument("models", nargs=-1, type=click.Path(path_type=Path), metavar="MODEL...")
@click.option(
    "--scorer",
    "functions",
    multiple=True,
    metavar="FILE.py:FUNCTION",
    help="Also measure a detector of your own: a function of crops, N x 224 x 224 x 3 RGB uint8, that returns N fake "
    "probabilities.",
)
@click.option(
    "--data",
    "folders",
    multiple=True,
    required=True,
    type=click.Path(path_type=Path),
    metavar="FACES...",
    help="Folders with faces.parquet or faces.csv, or of photos of real people.",
)
@click.option("--split", type=click.Choice(["train", "val", "test"]), default="test", show_default=True)
@click.option(
    "--limit", type=click.IntRange(1), metavar="N", help="Use only N videos or photos, evenly over the table."
)
@click.option("--robustness", is_flag=True, help="Measure under 45 perturbations too; takes 46 times as long.")
@click.option(
    "--fpr",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="P",
    help="Fit temperature and threshold on split val, so that this share of real videos counts as fake.",
)
@click.option(
    "--fit",
    type=click.Path(path_type=Path),
    metavar="OUT",
    help="Checkpoint to write them to, with the weights of MODEL, which may be the same file.",
)
@click.option(
    "--real-clips",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Also keep figures and shares of verdicts on sets of real deepfakes in this file, by checkpoint.",
)
@json_option
@click.option("--html", type=click.Path(path_type=Path), metavar="FILE", help="One page with tables and plots.")
@click.option("--seed", default=0, show_default=True, help="Seed of synthetic forgeries, perturbations and intervals.")
@device_option
@click.option("--threads", type=click.IntRange(1), help="Threads on the CPU.")
@click.option("--workers", type=click.IntRange(0), default=0, show_default=True, help="Processes that read and crop.")
@click.option("--quiet", is_flag=True, help="Print only errors.")
def main(
    models: tuple[Path, ...],
    functions: tuple[str, ...],
    folders: tuple[Path, ...],
    split: Split,
    limit: int | None,
    robustness: bool,
    fpr: float | None,
    fit: Path | None,
    real_clips: Path | None,
    json_path: Path | None,
    html: Path | None,
    seed: int,
    device: str,
    threads: int | None,
    workers: int,
    quiet: bool,
) -> int:
    """Measures each MODEL, a checkpoint or an exported model, and each --scorer on each folder of prepared faces.

    A folder of real photos alone is measured on synthetic forgeries made of them, and every figure says so.

    Exit status: 0 done, 2 wrong usage, 5 a picture could not be read (the rest is measured), 6 model file damaged,
    7 output could not be written, 130 interrupted (what was done is written).
    """
    with needs("train"):
        from tinydf.evaluation.evaluate import evaluate
        from tinydf.evaluation.faces import open_faces
        from tinydf.evaluation.function_scorer import open_function
        from tinydf.evaluation.perturbations import LADDER
        from tinydf.evaluation.real_clips import read_real_clips, real_clips_of, write_real_clips
        from tinydf.evaluation.result import Settings
        from tinydf.evaluation.scoring import open_scorer
        from tinydf.evaluation.tables import show_evaluation, show_matrix
    if not models and not functions:
        raise UsageError("nothing to measure: give a MODEL, or a function as --scorer FILE.py:FUNCTION.")
    if (fpr is None) != (fit is None):
        raise UsageError("--fpr P and --fit OUT go together: what is fitted is stored in a checkpoint.")
    if fit is not None and (len(models) != 1 or models[0].suffix != ".safetensors"):
        raise UsageError("--fit: expected one MODEL that ends in .safetensors, whose weights are kept.")
    _check_outputs([path for path in (real_clips, json_path, html) if path is not None and str(path) != "-"], fit)
    console = Console(quiet=quiet or str(json_path) == "-")
    scorers: list[Scorer] = [open_scorer(path, device, threads) for path in models]
    # If the models use different crops, a function gets the first one's.
    crop_config = scorers[0].spec.crop if scorers else CropConfig()
    scorers += [open_function(address, crop_config) for address in functions]
    if fpr is not None and fit is not None:
        _fit(scorers[0], folders, fpr, fit, limit, seed, workers, quiet)
        scorers[0] = open_scorer(fit, device, threads)
    known = {} if real_clips is None else read_real_clips(real_clips)
    done: list[Evaluation] = []
    ladder = LADDER if robustness else ()
    interrupted = False
    try:
        with ExitStack() as stack:
            tables = [(folder, _table_of(folder, split, limit, quiet, stack)) for folder in folders]
            for scorer in scorers:
                for folder, table in tables:
                    faces = replace(open_faces(table, split, scorer.spec.crop, limit, seed), folder=folder)
                    with ProgressBar(f"{scorer.path.name} on {folder.name}", unit="pictures", quiet=quiet) as progress:
                        done.append(evaluate(scorer, faces, ladder, seed, workers, progress.advance))
                    show_evaluation(done[-1], console)
                if real_clips is not None:
                    known[_checkpoint_of(scorer)] = real_clips_of(done[-len(folders) :], seed)
                    write_real_clips(known, real_clips)
    except KeyboardInterrupt:
        interrupted = True
    if len(done) > 1:
        show_matrix(done, console)
    _write(done, Settings(seed, limit, fpr), json_path, html)
    if interrupted:
        click.echo("tinydf-evaluate: interrupted; what was done is written.", err=True)
        return ExitCode.INTERRUPTED
    return _list_failures(done)


def _table_of(folder: Path, split: Split, limit: int | None, quiet: bool, stack: ExitStack) -> Path:
    """Returns a folder with a table: this one, or for plain photos one that goes with ``stack``."""
    from tinydf.evaluation.plain_photos import as_table

    with ProgressBar(f"faces of {folder.name}", unit="photos", quiet=quiet) as progress:
        table, without = stack.enter_context(as_table(folder, split, limit, progress.advance))
    if without and not quiet:
        click.echo(f"tinydf-evaluate: {folder}: {without} photos show no face, or cannot be read.", err=True)
    return table


def _checkpoint_of(scorer: Scorer) -> str:
    """Returns the hash of the checkpoint that a model is, or was exported from."""
    from tinydf.evaluation.scoring import CHECKPOINTS

    return scorer.sha256 if scorer.path.suffix in CHECKPOINTS else scorer.spec.checkpoint_sha256


def _fit(
    scorer: Scorer,
    folders: Sequence[Path],
    fpr: float,
    out: Path,
    limit: int | None,
    seed: int,
    workers: int,
    quiet: bool,
) -> None:
    """Fits the operating point on split val of all folders and stores it."""
    from tinydf.evaluation.faces import open_faces
    from tinydf.evaluation.operating_point import fit_operating_point, store_operating_point
    from tinydf.evaluation.perturbations import UNCHANGED
    from tinydf.evaluation.scores import score_faces

    sets = [open_faces(folder, "val", scorer.spec.crop, limit, seed) for folder in folders]
    parts = []
    for face_set in sets:
        with ProgressBar(f"fitting on {face_set.folder.name}, split val", unit="pictures", quiet=quiet) as progress:
            parts.append(score_faces(face_set, scorer, (UNCHANGED,), workers, progress.advance)[0])
    point = fit_operating_point(parts, scorer.spec, fpr)
    store_operating_point(point, scorer.path, out, sets)
    if not quiet:
        click.echo(
            f"{out}: temperature {point.temperature:g}, threshold {point.threshold:g}, which {point.found_fpr:.1%} of "
            f"{point.real_videos} real videos of split val reach",
            err=True,
        )


def _check_outputs(reports: Sequence[Path], checkpoint: Path | None) -> None:
    """Checks the outputs before the work."""
    from tinydf.evaluation.scoring import CHECKPOINTS

    for path in reports:
        # "--json MODEL" takes the model for the file to write.
        if path.suffix.lower() in (*CHECKPOINTS, *ENGINES):
            raise UsageError(f"{path}: is the name of a model. Name the report's file, or give --json as last option.")
    for path in (*reports, *([checkpoint] if checkpoint else [])):
        if not path.resolve().parent.is_dir():
            raise OutputError(f"{path}: there is no folder {path.parent}. Make it first.")


def _write(done: Sequence[Evaluation], settings: Settings, json_path: Path | None, html: Path | None) -> None:
    if not done:
        return
    from tinydf.evaluation.page import render_page
    from tinydf.evaluation.result import to_json

    write_figures(to_json(done, settings), json_path)
    if html is not None:
        write_atomically(html, render_page(done, settings).encode())


def _list_failures(done: Sequence[Evaluation]) -> int:
    reasons = list(dict.fromkeys(failure.reason for one in done for failure in one.failures))
    for reason in reasons[:FAILURES_SHOWN]:
        click.echo(f"tinydf-evaluate: {reason}", err=True)
    if len(reasons) > FAILURES_SHOWN:
        click.echo(f"tinydf-evaluate: and {len(reasons) - FAILURES_SHOWN} more; --json lists all.", err=True)
    return ExitCode.INPUT if reasons else ExitCode.DONE


if __name__ == "__main__":
    main()
