"""Checkpoints of either network, spoilt."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from safetensors.torch import load, save

from fuzzing.case import REFUSED, Case, rng_of
from tinydf.checkpoint import DEFAULT_PATH
from tinydf.facedetector.weights import SHIPPED as DETECTOR_PATH

_DEEP = 100_000


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for detector in (False, True):
        yield _case("whole", "whole", partial(whole, detector), detector, (0,))
        for number in range(8):
            name = f"{'detector' if detector else 'classifier'}_flipped_{number}"
            spoilt = partial(_flipped, seed, name, detector)
            # A weight may become any finite number.
            yield _case(f"flipped_{number}", "bits", spoilt, detector, (0, 6))
            yield _case(f"cut_{number}", "cut off", partial(_cut, seed, f"{name}_cut", detector), detector)
        for word, change in _TENSORS.items():
            yield _case(f"tensor_{word}", "tensors", partial(_changed, detector, change), detector)
        for word, text in _HEADERS.items():
            yield _case(f"header_{word}", "header", partial(_with_header, detector, text), detector)
        for word, make in _RAW.items():
            yield _case(f"raw_{word}", "no checkpoint", make, detector)
    for name, values in _CONFIG.items():
        for number, value in enumerate(values):
            yield _case(f"config_{name}_{number}", "config", partial(_with_config, {name: value}), False)


def _case(word: str, group: str, make: Callable[[], bytes], detector: bool, codes: tuple[int, ...] = REFUSED) -> Case:
    kind = "detector" if detector else "classifier"
    return Case(
        f"{kind}_{word}.safetensors",
        f"{kind} {group}",
        make,
        "detector_checkpoint" if detector else "checkpoint",
        codes,
    )


@cache
def whole(detector: bool) -> bytes:
    """Returns a shipped checkpoint."""
    return (DETECTOR_PATH if detector else DEFAULT_PATH).read_bytes()


def metadata(detector: bool) -> dict[str, str]:
    """Returns the texts in the header of a shipped checkpoint."""
    content = whole(detector)
    header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
    return dict(header["__metadata__"])


def _changed(detector: bool, change: Callable[[dict[str, torch.Tensor]], None]) -> bytes:
    tensors = load(whole(detector))
    change(tensors)
    return save(tensors, metadata(detector))


def _with_config(change: dict[str, Any]) -> bytes:
    texts = metadata(False)
    texts["training"] = json.dumps(json.loads(texts["training"]) | change)
    return save(load(whole(False)), texts)


def _with_header(detector: bool, text: str | None) -> bytes:
    texts = metadata(detector)
    key = "tinydf.facedetector" if detector else "tinydf"
    if text is None:
        del texts[key]
    else:
        texts[key] = text
    return save(load(whole(detector)), texts)


def _first(tensors: dict[str, torch.Tensor]) -> str:
    return next(name for name in sorted(tensors) if tensors[name].ndim > 1 and tensors[name].is_floating_point())


def _fill(value: float, all_of_them: bool) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        for name in [one for one in tensors if tensors[one].is_floating_point()] if all_of_them else [_first(tensors)]:
            tensors[name] = tensors[name].clone()
            tensors[name].view(-1)[:: 1 if all_of_them else 10**9] = value

    return change


def _replace(make: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[dict[str, torch.Tensor]], None]:
    def change(tensors: dict[str, torch.Tensor]) -> None:
        tensors[_first(tensors)] = make(tensors[_first(tensors)]).contiguous()

    return change


_TENSORS: dict[str, Callable[[dict[str, torch.Tensor]], None]] = {
    "nan": _fill(np.nan, False),
    "inf": _fill(np.inf, False),
    "all_nan": _fill(np.nan, True),
    "all_inf": _fill(-np.inf, True),
    "variance": lambda tensors: tensors.update(
        {name: -torch.ones_like(one) for name, one in tensors.items() if name.endswith("running_var")}
    ),
    "whole_numbers": _replace(lambda one: one.to(torch.int32)),
    "bytes": _replace(lambda one: one.to(torch.uint8)),
    "flags": _replace(lambda one: one > 0),
    "complex": _replace(lambda one: one.to(torch.complex64)),
    "flat": _replace(lambda one: one.reshape(-1)),
    "empty": _replace(lambda one: one[:0]),
    "missing": lambda tensors: tensors.__delitem__(_first(tensors)),
    "more": lambda tensors: tensors.update(unknown=torch.zeros(3)),
    "none": lambda tensors: tensors.clear(),
}

_HEADERS: dict[str, str | None] = {
    "missing": None,
    "empty": "",
    "null": "null",
    "list": "[]",
    "number": "5",
    "deep": "[" * _DEEP,
    "no_json": "<xml/>",
    "half": '{"schema":',
    "schema": '{"schema": "other/1"}',
    "bare": '{"schema": "tinydf.facedetector/1"}',
}

_CONFIG: dict[str, tuple[Any, ...]] = {
    "width": (None, "1", -1, 0, float("nan"), 1e9, [], 1 << 62),
    "network": (None, 5, [], "unknown", {}),
}

_RAW: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "zeros": partial(bytes, 9000),
    "text": lambda: b"a line of text\n" * 200,
    "long_header": lambda: struct.pack("<Q", 1 << 62) + b"{}",
    "deep_header": lambda: struct.pack("<Q", _DEEP) + b"[" * _DEEP,
    "offsets": lambda: _raw({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
    "overlap": lambda: _raw({name: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for name in "ab"}),
    "dtype": lambda: _raw({"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}}),
}


def _raw(header: dict[str, Any]) -> bytes:
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + bytes(4)


def _flipped(seed: int, name: str, detector: bool) -> bytes:
    rng = rng_of(seed, name)
    content = bytearray(whole(detector))
    last = len(content) if rng.random() < 0.5 else 20_000
    for _ in range(rng.choice([1, 5])):
        content[rng.randrange(last)] ^= 1 << rng.randrange(8)
    return bytes(content)


def _cut(seed: int, name: str, detector: bool) -> bytes:
    return whole(detector)[: rng_of(seed, name).randrange(1, len(whole(detector)))]
