"""Reports -> counters and timings in Prometheus' text format (extra ``metrics``)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tinydf_runtime.errors import UnavailableError, needs
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.results import InputReport

LOOPBACK = "127.0.0.1"
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """Counters of one process. They begin at 0 with it, as Prometheus expects."""

    def __init__(self) -> None:
        """Makes them.

        Raises:
            MissingExtraError: prometheus-client is not installed.
        """
        with needs("metrics"):
            import prometheus_client as prometheus
        self._prometheus = prometheus
        self._registry = prometheus.CollectorRegistry()
        self._inputs = prometheus.Counter(
            "tinydf_inputs", "Inputs judged.", ["kind", "status", "verdict"], registry=self._registry
        )
        self._frames = prometheus.Counter("tinydf_frames_decoded", "Frames decoded.", registry=self._registry)
        self._scored = prometheus.Counter("tinydf_frames_scored", "Frames searched for faces.", registry=self._registry)
        self._faces = prometheus.Counter("tinydf_faces_scored", "Faces scored.", registry=self._registry)
        self._seconds = prometheus.Histogram(
            "tinydf_input_seconds",
            "Wall clock spent on an input, in all and by step.",
            ["step"],
            buckets=_SECONDS,
            registry=self._registry,
        )
        self._drift = prometheus.Gauge(
            "tinydf_drift_psi",
            "Stability index against the first people.",
            ["what"],
            registry=self._registry,
        )

    def note(self, item: InputReport) -> None:
        """Counts an input."""
        self._inputs.labels(item.kind, item.status, item.verdict).inc()
        self._frames.inc(item.frames_decoded)
        self._scored.inc(item.frames_scored)
        self._faces.inc(sum(len(track.scores) for track in item.tracks))
        for step in ("total", "decode", "detect", "classify"):
            self._seconds.labels(step).observe(getattr(item.timing, f"{step}_s"))

    def note_drift(self, drift: dict[str, float]) -> None:
        """Sets the drift index of each feature."""
        for what, value in drift.items():
            self._drift.labels(what).set(value)

    def text(self) -> bytes:
        """Returns all metrics in Prometheus' text format."""
        return bytes(self._prometheus.generate_latest(self._registry))

    def write(self, path: Path) -> None:
        """Writes them to a file, whole or not at all, as node_exporter's textfile collector wants it.

        Raises:
            OutputError: It cannot be written.
        """
        write_atomically(path, self.text())

    def serve(self, port: int) -> Callable[[], None]:
        """Serves them on loopback alone, in a thread, until the returned function is called.

        Raises:
            UnavailableError: The port is taken, or not allowed.
        """
        try:
            server, thread = self._prometheus.start_http_server(port, LOOPBACK, self._registry)
        except (OSError, OverflowError) as error:
            raise UnavailableError(f"--metrics: port {port} cannot be opened ({error}). Choose another.") from error

        def close() -> None:
            server.shutdown()
            server.server_close()
            thread.join()

        return close
