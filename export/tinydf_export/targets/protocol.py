"""Protocol of an export target: what its file offers and ``runner.run`` calls."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

from onnx import ModelProto

from tinydf_export.job import ExportJob
from tinydf_export.parity.report import Scorer
from tinydf_runtime.models.spec import ModelSpec


class Trial(Scorer, Protocol):
    """A model opened to be compared with its checkpoint."""

    @property
    def name(self) -> str:
        """The library that computes."""


class Draft(Protocol):
    """A network in a target's format, in memory: everything but the parity report in its metadata."""

    def open(self, spec: ModelSpec, folder: Path) -> Trial:
        """Opens it as the target's engine computes it, or an interpreter where the engine is missing.

        Args:
            spec: Metadata without the parity report.
            folder: Empty, for engines that only open files; kept until it has been compared.
        """

    def publish(self, spec: ModelSpec, out: Path) -> int:
        """Writes it, whole or not at all, and returns the size of all its files in bytes.

        Args:
            spec: Metadata with the parity report.
            out: File or folder to write.

        Raises:
            OutputError: It cannot be written.
        """


class TargetModule(Protocol):
    """A file of ``targets``. Its functions are called in this order."""

    def quantise(self, job: ExportJob) -> ModelProto:
        """Returns the job's graph in its precision, as the target's engines take it; the job's graph stays as it is."""

    def write(self, graph: ModelProto, job: ExportJob) -> Draft:
        """Converts the graph into the target's format.

        Args:
            graph: What ``quantise`` returned.
            job: Golden crops, and the options of the request.
        """
