"""What became of each case, and the figures over all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
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

    @property
    def name(self) -> str:
        """Name of the file and its folder."""
        return f"{self.case.path.parent.name}/{self.case.path.name}"


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
        "failures": [{"file": result.name, "what": result.complaint} for result in failed],
    }


def line(found: dict[str, Any]) -> str:
    """Returns the counts of one kind as a line of text."""
    return (
        f"{found['kind']}: {found['files']} files, {found['as_promised']} as promised, {found['failed']} failed; "
        f"{found['cpu_s']:.0f} s of one core, main process at most {found['peak_mb']} MB"
    )
