"""Damaged media -> tinydf-run, in batches; a batch that fails is run file by file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from fuzzing.case import Written
from fuzzing.judge import ITEM_S, complaint, item_complaint, read_report
from fuzzing.process import Ended, call
from fuzzing.result import Result

BATCH = 24
_MOST_S = 20


def run_media(cases: Sequence[Written], scratch: Path, options: Sequence[str] = ()) -> Iterator[Result]:
    """Yields what became of each file.

    Args:
        cases: Of one corpus.
        scratch: Folder for the reports.
        options: Further ones for ``tinydf-run``.
    """
    for start in range(0, len(cases), BATCH):
        batch = cases[start : start + BATCH]
        ended, found = _judge(batch, scratch, options)
        if None in found or complaint(ended, (0, 5)):
            for case in batch:
                one, (words,) = _judge([case], scratch, options)
                words = complaint(one, (0, 5)) or ("not in the report" if words is None else words)
                yield Result(case, words or None, one.cpu_s, one.peak_mb)
            continue
        for case, words in zip(batch, found, strict=True):
            yield Result(case, words or None, ended.cpu_s / len(batch), ended.peak_mb)


def _judge(batch: Sequence[Written], scratch: Path, options: Sequence[str]) -> tuple[Ended, list[str | None]]:
    """Returns how the command ended, and of each file what is wrong: nothing (""), or None where nothing is known."""
    report = scratch / "report.json"
    report.unlink(missing_ok=True)
    ended = call(partial(_command, batch, scratch, report, options), ITEM_S * len(batch) + 60)
    try:
        values = read_report(report)
    except ValueError as error:
        return ended, [str(error)] * len(batch)
    items = {} if values is None else {item["path"]: item for item in values["inputs"]}
    if values is not None:
        odd = any(item["status"] in ("unreadable", "truncated", "timeout") for item in items.values())
        if ended.code in (0, 5) and odd != (ended.code == 5):
            return ended, [f"exit {ended.code} does not fit the report"] * len(batch)
    return ended, [
        (item_complaint(items[str(case.path)], case) or "") if str(case.path) in items else None for case in batch
    ]


def _command(batch: Sequence[Written], scratch: Path, report: Path, options: Sequence[str]) -> None:
    from tinydf_runtime.cli.run import main

    outputs = ["--json", str(report), "--csv", str(scratch / "scores.csv"), "--report", str(scratch / "page.html")]
    settings = ["--quiet", "--sample-fps", "10", "--threads", "1", "--max-seconds", str(_MOST_S)]
    main([*(str(case.path) for case in batch), *outputs, *settings, *options])
