"""Fusion groups, noisiest first -> the fewest that must stay in float to keep the bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tinydf_calibration.fusion_groups import FusionGroup
from tinydf_calibration.sensitivity import GroupSensitivity

Accepts = Callable[[tuple[str, ...]], bool]
MOST_RELEASED = 8
"""Most layers that are tried in 8 bit again; each try costs one measurement."""


def order_by_noise(measured: Sequence[GroupSensitivity]) -> tuple[GroupSensitivity, ...]:
    """Returns the fusion groups by how much they disturb the verdict, most first."""
    return tuple(sorted(measured, key=lambda one: (one.signal_to_noise_db, one.name)))


def find_float_groups(noisiest_first: Sequence[GroupSensitivity | FusionGroup], accepts: Accepts) -> tuple[str, ...]:
    """Returns the names of the groups that stay in float: none if the bounds allow it, all if nothing less will do.

    The noise of layers adds up, so the more of the noisiest stay in float the better: the smallest number is found by
    doubling it and then halving the gap. Those of the found ones that can go back to 8 bit one by one then do.

    Args:
        noisiest_first: All groups.
        accepts: Whether the network keeps to the bounds when the groups of these names stay in float. Costs a
            measurement.
    """
    names = [one.name for one in noisiest_first]
    if accepts(()):
        return ()
    enough = 1
    while enough < len(names) and not accepts(tuple(names[:enough])):
        enough *= 2
    too_few, enough = enough // 2, min(enough, len(names))
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        if accepts(tuple(names[:middle])):
            enough = middle
        else:
            too_few = middle
    kept = names[:enough]
    for name in names[enough - 2 :: -1][:MOST_RELEASED] if enough > 1 else []:
        fewer = [one for one in kept if one != name]
        if accepts(tuple(fewer)):
            kept = fewer
    return tuple(kept)
