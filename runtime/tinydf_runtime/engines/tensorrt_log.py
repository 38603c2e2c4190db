"""What TensorRT says, kept instead of printed: the library's errors carry no text of their own."""

from __future__ import annotations

import tensorrt


class TensorRTLog(tensorrt.ILogger):  # type: ignore[misc]  # TensorRT has no types of its own
    """Keeps errors for the exception that follows them; warnings and notes go nowhere."""

    def __init__(self) -> None:
        """Starts with nothing said."""
        super().__init__()
        self.errors: list[str] = []

    def log(self, severity: tensorrt.ILogger.Severity, msg: str) -> None:
        """Takes one message from the library, from any of its threads."""
        if severity in (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR):
            self.errors.append(msg)

    def reason(self) -> str:
        """Returns the first error as one line: what follows it is about the way out of the library."""
        if not self.errors:
            return "TensorRT gave no reason"
        return " ".join(self.errors[0].split())[:300]
