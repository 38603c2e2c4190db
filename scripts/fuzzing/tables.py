"""Calibration tables of other types, ranges and sizes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import tinydf
from fuzzing.case import REFUSED, Case, rng_of

_NAN, _INF = float("nan"), float("inf")
_ROW = "node_conv2d"
_BAD: dict[str, tuple[Any, ...]] = {
    "schema": (None, 5, "tinydf.calibration/9", []),
    "checkpoint_sha256": (None, 5, "zz", []),
    "graph_sha256": (None, 5, "zz", []),
    "crop_sha256": (None, 5, "zz", []),
    "sample_sha256": (None, 5, "zz", []),
    "samples": (None, "256", -1, 0.5, _NAN, True, []),
    "method": (None, 5, "unknown", []),
    "ranges": (
        None, 5, [], {"a": None}, {"a": [1]}, {"a": [1, 2, 3]}, {"a": [2, 1]}, {"a": [_NAN, 1]}, {"a": [-_INF, _INF]},
        {"a": [0, 1e39]}, {"a": ["0", "1"]}, {"a": {"0": 1, "1": 2}}, {"a\nb\x1b[0m": [0, 1]}, {"a": [True, True]},
    ),
    "float_layers": (None, 5, [None], [5], {"a": 1}, "conv"),
    "channel_scales": (
        None, 5, [], {_ROW: None}, {_ROW: [_NAN]}, {_ROW: [_INF]}, {_ROW: [0]}, {_ROW: [-1]}, {_ROW: ["1"]},
    ),
    "bias_shifts": (None, 5, [], {_ROW: None}, {_ROW: [_NAN]}, {_ROW: [_INF]}, {_ROW: ["1"]}, {_ROW: 5}),
    "measured": (5, [], "x"),
    "unknown": (1,),
}  # fmt: skip
_TEXTS: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "null": lambda: b"null",
    "list": lambda: b"[]",
    "number": lambda: b"5",
    "deep": lambda: b"[" * 100_000,
    "deep_objects": lambda: b'{"a":' * 100_000,
    "bytes": lambda: b"\xff\xfe\0\0",
    "digits": lambda: b'{"samples": ' + b"9" * 200_000 + b"}",
    "no_json": lambda: b"<xml/>",
    "long": lambda: b" " * (80 << 20),
}


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    yield _case("whole", "whole", partial(changed, {}), (0,))
    for name, values in _BAD.items():
        for number, value in enumerate(values):
            yield _case(f"{name}_{number}", "field", partial(changed, {name: value}))
        if name != "unknown":
            needed = name in ("schema", "ranges", "method", "checkpoint_sha256", "graph_sha256", "crop_sha256")
            yield _case(f"{name}_missing", "missing field", partial(_without, name), REFUSED if needed else (0, 6))
    for word, make in _TEXTS.items():
        yield _case(f"text_{word}", "text", make)
    for number in range(8):
        name = f"cut_{number}"
        yield _case(name, "cut off", partial(_cut, seed, name))
    for word, target in {"zero": "/dev/zero", "folder": "/", "missing": "no.json"}.items():
        yield Case(f"table_link/{word}.json", "links", bytes, "table", REFUSED, link=target)


def _case(word: str, group: str, make: Callable[[], bytes], codes: tuple[int, ...] = REFUSED) -> Case:
    return Case(f"table_{word}.json", f"table {group}", make, "table", codes)


@cache
def _shipped() -> str:
    return (Path(tinydf.__file__).parent / "weights" / "tinydf.calibration.json").read_text()


def changed(change: dict[str, Any]) -> bytes:
    """Returns the shipped table with entries changed."""
    return json.dumps(json.loads(_shipped()) | change).encode()


def _without(name: str) -> bytes:
    values = json.loads(_shipped())
    del values[name]
    return json.dumps(values).encode()


def _cut(seed: int, name: str) -> bytes:
    return _shipped()[: rng_of(seed, name).randrange(1, len(_shipped()))].encode()
