"""What became of each case, and the figures over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from fuzzing.case import Written


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one case.

    Attributes:
        case: The case.
        complaint: What was not as promised, None where all was.
        cpu_s: Computing time.
        peak_mb: Memory of the main process at its most.
    """

    case: Written
    complaint: str | None
    cpu_s: float
    peak_mb: float


def figures(kind: str, results: Sequence[Result]) -> dict[str, Any]:
    """Returns the counts of one kind, and every case that failed, as plain JSON values."""
    failed = [result for result in results if result.complaint]
    return {
        "kind": kind,
        "files": len(results),
        "as_promised": len(results) - len(failed),
        "failed": len(failed),
        "cpu_s": round(sum(result.cpu_s for result in results), 1),
        "peak_mb": round(max((result.peak_mb for result in results), default=0)),
        "failed_by_group": dict(Counter(result.case.group for result in failed)),
        "failures": [
            {"file": f"{result.case.path.parent.name}/{result.case.path.name}", "what": result.complaint}
            for result in failed
        ],
    }


def lines(found: Iterable[dict[str, Any]]) -> str:
    """Returns the counts as text, a line a kind, and below it what failed."""
    text = ""
    for one in found:
        text += (
            f"{one['kind']}: {one['files']} files, {one['as_promised']} as promised, {one['failed']} failed; "
            f"{one['cpu_s']:.0f} s of one core, main process at most {one['peak_mb']} MB\n"
        )
        text += "".join(f"  {failure['file']}: {failure['what']}\n" for failure in one["failures"])
    return text
