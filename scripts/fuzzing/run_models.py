"""Hostile model files -> the commands that open them, one process a file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

from fuzzing.case import Probe, Written
from fuzzing.judge import complaint, item_complaint, read_report
from fuzzing.process import call
from fuzzing.result import Result
from tinydf_runtime.engines import first_use

LIMIT_S = first_use.LIMIT_S + 30
"""Wall clock for a model file: what the runtime allows a first run on a busy machine, and half a minute to say so. On
an idle one the limit of computing, ``first_use.CPU_S``, comes long before."""
PHOTO, CLASSIFIER = "_photo.png", "_classifier.onnx"


def run_models(cases: Sequence[Written], scratch: Path) -> Iterator[Result]:
    """Yields what became of each file.

    Args:
        cases: Of one corpus.
        scratch: Folder for the reports.
    """
    for case in cases:
        report = scratch / "report.json"
        report.unlink(missing_ok=True)
        ended = call(partial(_ACTIONS[case.probe], case, report), LIMIT_S)
        yield Result(
            case, complaint(ended, case.codes) or _misjudged(ended.code, report, case), ended.cpu_s, ended.peak_mb
        )


def _misjudged(code: int | None, report: Path, case: Written) -> str | None:
    """Returns what is wrong with the report that a command wrote, or that it wrote one at all."""
    try:
        values = read_report(report)
    except ValueError as error:
        return str(error)
    if values is None:
        return None
    if code not in (0, 5) and any(item["verdict"] != "error" for item in values["inputs"]):
        return f"exit {code}, and still a verdict in the report"
    return next(filter(None, (item_complaint(item, case) for item in values["inputs"])), None)


def _run(option: str, case: Written, report: Path) -> None:
    from tinydf_runtime.cli.run import main

    photo = next(parent / PHOTO for parent in case.path.parents if (parent / PHOTO).exists())
    settings = ["--quiet", "--json", str(report)]
    # Core ML chooses their number itself; the small classifier is opened in less time than the shipped one.
    threads = [] if case.path.suffix == ".mlpackage" else ["--threads", "1"]
    classifier = ["--engine", str(photo.with_name(CLASSIFIER))] if option == "--detector" else []
    main([str(photo), option, str(case.path), *settings, *threads, *classifier])


def _verify(case: Written, report: Path) -> None:
    from tinydf_export.cli.verify import main

    main([str(case.path)])


def _plan(case: Written, report: Path) -> None:
    from fuzzing.traced_tensorrt import install

    install()
    _run("--engine", case, report)


def _checkpoint(case: Written, report: Path) -> None:
    from fuzzing.training_files import score_checkpoint

    score_checkpoint([str(case.path)])


def _detector_checkpoint(case: Written, report: Path) -> None:
    from fuzzing.training_files import load_detector_checkpoint

    load_detector_checkpoint([str(case.path)])


def _table(case: Written, report: Path) -> None:
    from fuzzing.training_files import read_calibration

    read_calibration([str(case.path)])


_ACTIONS: dict[Probe, Callable[[Written, Path], None]] = {
    "classifier": partial(_run, "--engine"),
    "detector": partial(_run, "--detector"),
    "verify": _verify,
    "plan": _plan,
    "checkpoint": _checkpoint,
    "detector_checkpoint": _detector_checkpoint,
    "table": _table,
}
