"""Training states (``.pt``), spoilt: pickles that run code, other values, archives."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import torch

from fuzzing.case import REFUSED, Case
from fuzzing.checkpoints import metadata

_DEEP = 100_000


def cases(seed: int) -> Iterator[Case]:
    """Yields them."""
    for word, make in _STATES.items():
        yield Case(f"state_{word}.pt", "training state", make, "checkpoint", REFUSED)


class _Runs:
    """Runs a command when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return print, ("code out of a file has run",)


def _torch_file(values: Any) -> bytes:
    target = io.BytesIO()
    torch.save(values, target)
    return target.getvalue()


def _archive(entries: dict[str, bytes]) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as out:
        for name, content in entries.items():
            out.writestr(name, content)
    return target.getvalue()


_STATES: dict[str, Callable[[], bytes]] = {
    "empty": bytes,
    "runs": lambda: _torch_file({"ema": _Runs(), "config": "{}", "spec": "{}"}),
    "runs_bare": lambda: pickle.dumps(_Runs()),
    "list": lambda: _torch_file([1, 2]),
    "tensor": lambda: _torch_file(torch.zeros(3)),
    "no_config": lambda: _torch_file({"ema": {}}),
    "config_list": lambda: _torch_file({"ema": {}, "config": "[]", "spec": "{}"}),
    "config_deep": lambda: _torch_file({"ema": {}, "config": "[" * _DEEP, "spec": "{}"}),
    "spec_number": lambda: _torch_file({"ema": {}, "config": "{}", "spec": 5}),
    "ema_number": lambda: _torch_file({"ema": 5, "config": "{}", "spec": metadata(False)["tinydf"]}),
    "ema_values": lambda: _torch_file({"ema": {"a": 5}, "config": "{}", "spec": metadata(False)["tinydf"]}),
    "zip_bomb": lambda: _archive({"archive/data.pkl": bytes(200 << 20), "archive/version": b"3\n"}),
    "zip_path": lambda: _archive({"../../a": b"x", "archive/data.pkl": pickle.dumps(1)}),
    "deep": lambda: b"\x80\x02" + b"(" * 500_000 + b".",
}
