"""The face forgery detector TinyDF: training core (torch).

``tinydf.Analyzer`` is ``tinydf_runtime.Analyzer``: it judges videos, images and streams, and needs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tinydf_runtime import Analyzer

__all__ = ["Analyzer"]


def __getattr__(name: str) -> object:
    """Fetches ``Analyzer`` from the runtime at its first use."""
    if name != "Analyzer":
        raise AttributeError(f"module 'tinydf' has no attribute '{name}'")
    from tinydf_runtime import Analyzer

    globals()[name] = Analyzer
    return Analyzer


def __dir__() -> list[str]:
    """Lists the public names, fetched or not."""
    return sorted({*globals(), *__all__})
