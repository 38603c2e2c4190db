"""Options for continuous operation (log, metrics, drift) and the service that they start."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from tinydf_runtime.results import InputReport

if TYPE_CHECKING:
    from tinydf_runtime.service.drift import DriftWatch
    from tinydf_runtime.service.event_log import EventLog
    from tinydf_runtime.service.metrics import Metrics

Command = TypeVar("Command", bound=Callable[..., object])


def service_options(command: Command) -> Command:
    """Adds ``--log-json``, ``--metrics`` and ``--drift``, whose values go to ``ServiceOptions``."""
    file = click.Path(path_type=Path)
    for option in (
        click.option("--drift", type=file, metavar="FILE", help="Monitor scores for drift across runs."),
        click.option("--metrics", metavar="FILE|PORT", help="Write metrics for Prometheus, or serve them on loopback."),
        click.option("--log-json", type=file, metavar="FILE", help="Log as lines of JSON; - is stderr."),
    ):
        command = option(command)
    return command


@dataclass(frozen=True, slots=True)
class ServiceOptions:
    """What to write beside the report.

    Attributes:
        log: File for lines of JSON, ``-`` for stderr.
        metrics: File, or number of a port on loopback.
        drift: File that carries what was seen from run to run.
    """

    log: Path | None = None
    metrics: str | None = None
    drift: Path | None = None

    @property
    def files(self) -> list[Path]:
        """The files that will be written whole."""
        named = [self.drift, None if self.metrics is None or self.metrics.isdecimal() else Path(self.metrics)]
        return [path for path in (*named, self.log) if path is not None and str(path) != "-"]


class Service:
    """Receives each report when it is done. Without options it does and loads nothing."""

    def __init__(self, options: ServiceOptions, warn: Callable[[str], None]) -> None:
        """Opens what the options ask for.

        Args:
            options: What to keep.
            warn: Called with a line for people where something has drifted.

        Raises:
            MissingExtraError: prometheus-client is not installed.
            OutputError: The log cannot be written.
            UnavailableError: The port cannot be opened.
            UsageError: The drift record is damaged.
        """
        self._options, self._warn = options, warn
        self._log: EventLog | None = None
        self._metrics: Metrics | None = None
        self._drift: DriftWatch | None = None
        self._closing = ExitStack()
        self._inputs = self._errors = 0
        if options.drift is not None:
            from tinydf_runtime.service.drift import DriftWatch

            self._drift = DriftWatch(options.drift)
        if options.metrics is not None:
            from tinydf_runtime.service.metrics import Metrics

            self._metrics = Metrics()
            if options.metrics.isdecimal():
                self._closing.callback(self._metrics.serve(int(options.metrics)))
        if options.log is not None:
            from tinydf_runtime import __version__
            from tinydf_runtime.service.event_log import EventLog

            self._log = self._closing.enter_context(EventLog(options.log))
            self._log.write("start", version=__version__)

    def __enter__(self) -> Service:
        """Returns itself."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Writes what is kept, and closes all.

        Raises:
            OutputError: Something cannot be written.
        """
        with self._closing:
            if self._drift is not None:
                self._drift.save()
                if shifted := self._drift.shifted():
                    told = ", ".join(f"{name} (PSI {value:.2f})" for name, value in shifted.items())
                    self._warn(f"what is judged has changed since this record began: {told}. Check on labelled clips.")
                    if self._log is not None:
                        self._log.write("drift", "warning", psi=shifted)
            if self._log is not None:
                self._log.write("end", inputs=self._inputs, errors=self._errors)

    def note(self, item: InputReport) -> None:
        """Takes the report on one input.

        Raises:
            OutputError: A file cannot be written.
        """
        self._inputs, self._errors = self._inputs + 1, self._errors + (item.verdict == "error")
        if self._log is not None:
            self._log.note(item)
        if self._drift is not None:
            self._drift.note(item)
        if self._metrics is not None:
            self._metrics.note(item)
            if self._drift is not None:
                self._metrics.note_drift(self._drift.indices())
            if self._options.metrics is not None and not self._options.metrics.isdecimal():
                self._metrics.write(Path(self._options.metrics))
