"""The ledger's results -> one Parquet file, a row a file."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any, BinaryIO

from tinydf_runtime.errors import needs
from tinydf_runtime.io.files import write_atomically
from tinydf_runtime.render.words import printable
from tinydf_runtime.scan.ledger import from_cell

_TEXT = "string"
_TYPES = {
    "path": _TEXT,
    "sha256": _TEXT,
    "state": _TEXT,
    "exit_code": "int32",
    "verdict": _TEXT,
    "fake_probability": "double",
    "interval_low": "double",
    "interval_high": "double",
    "fake_threshold": "double",
    "reasons": _TEXT,
    "message": _TEXT,
    "kind": _TEXT,
    "status": _TEXT,
    "width": "int32",
    "height": "int32",
    "fps": "double",
    "duration_s": "double",
    "frames_scored": "int32",
    "people_judged": "int32",
    "size_bytes": "int64",
    "total_s": "double",
    "failures": "int32",
    "times_scored": "int32",
    "worker": _TEXT,
    "page": _TEXT,
    "finished_utc": _TEXT,
}
"""Columns of the view ``results`` and their types, which cannot be inferred where a column is empty."""
_ROWS_AT_ONCE = 50_000


def check_parquet() -> None:
    """Makes sure, before the work, that Parquet can be written.

    Raises:
        MissingExtraError: pyarrow is not installed.
    """
    with needs("scan"):
        import pyarrow.parquet  # noqa: F401


def write_parquet(database: sqlite3.Connection, path: Path) -> None:
    """Writes the view ``results``, whole or not at all, in bounded memory.

    Names that are not valid Unicode are escaped.

    Raises:
        OutputError: The file cannot be written.
        MissingExtraError: pyarrow is not installed.
    """
    with needs("scan"):
        import pyarrow as pa
        from pyarrow import parquet

    schema = pa.schema([(name, pa.type_for_alias(kind)) for name, kind in _TYPES.items()])
    facts = dict(database.execute("SELECT name, value FROM facts"))
    schema = schema.with_metadata({f"tinydf.{name}": value for name, value in facts.items()})
    rows = database.execute(f"SELECT {', '.join(_TYPES)} FROM results")

    def write(file: BinaryIO) -> None:
        with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
            while part := rows.fetchmany(_ROWS_AT_ONCE):
                writer.write_batch(pa.RecordBatch.from_pylist([_plain(row) for row in part], schema=schema))

    write_atomically(path, write)


def _plain(row: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(_TYPES, (printable(from_cell(row[0])), *row[1:]), strict=True))
