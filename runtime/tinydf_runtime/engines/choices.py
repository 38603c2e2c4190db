"""Names to choose from: the check of a given one, and the one that was probably meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches

from tinydf_runtime.errors import UsageError

_ALSO_CALLED = {"gpu": "cuda", "ane": "npu", "trt": "tensorrt"}
"""What others call it -> the name here. The nearest spelling of gpu would be cpu."""


def check_choice(what: str, found: str, names: Collection[str], reason: str = "") -> None:
    """Accepts a name that is there.

    Args:
        what: Is chosen, for the message.
        found: The given name.
        names: Those there are.
        reason: Why there are no others.

    Raises:
        UsageError: It is not; the message lists the names and the nearest of them.
    """
    if found in names:
        return
    expected = f"one of {', '.join(names)}" if len(names) > 1 else ", ".join(names)
    raise UsageError(f"{what}: found {found}, expected {expected}{reason}.{_meant(found.lower(), names)}")


def _meant(found: str, names: Collection[str]) -> str:
    other = _ALSO_CALLED.get(found)
    near = [other] if other in names else get_close_matches(found, names, n=1)
    return f" Did you mean {near[0]}?" if near else ""
