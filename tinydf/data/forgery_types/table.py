"""The table of forgery types, a row each, and the mixture that training draws from.

Photos of donors -> forgers, each of which makes a forged image and its mask of a real one; see ``blending.Forger``.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.random import Generator

from tinydf.data.forgery_types.blending import Forger
from tinydf.data.forgery_types.colour_grain import mismatch_colour_and_grain
from tinydf.data.forgery_types.cross_identity import CrossIdentity
from tinydf.data.forgery_types.decoder_imitation import imitate_decoder
from tinydf.data.forgery_types.face_warp import face_warp
from tinydf.data.forgery_types.mesh_reenact import MeshReenact
from tinydf.data.forgery_types.mesh_swap import MeshSwap
from tinydf.data.forgery_types.region_blend import region_blend
from tinydf.data.forgery_types.self_blend import self_blend
from tinydf.data.forgery_types.upsampling_trace import leave_upsampling_trace
from tinydf.data.geometry import FaceGeometry
from tinydf.data.masks import Mask
from tinydf.data.mesh_donors import PosedDonors
from tinydf.data.photos import Photo
from tinydf_runtime.errors import UsageError
from tinydf_runtime.types import Image


class Donors:
    """Photos whose faces may be put onto others."""

    def __init__(self, photos: Sequence[Photo]) -> None:
        self.photos = photos

    @cached_property
    def posed(self) -> PosedDonors:
        """The photos with their head poses, measured once for all types that ask."""
        return PosedDonors(self.photos)


@dataclass(frozen=True, slots=True)
class ForgeryType:
    """One row of the table.

    Attributes:
        share: How often training draws it, relative to the others.
        make: Donors -> its forger.
        needs_mesh: Drawn for faces with a mesh only. Asked for by name, it lays the mean face over faces without one.
    """

    share: float
    make: Callable[[Donors], Forger]
    needs_mesh: bool = False


TYPES: dict[str, ForgeryType] = {
    "self-blend": ForgeryType(0.22, lambda _: self_blend),
    "cross-identity": ForgeryType(0.16, lambda donors: CrossIdentity(donors.photos)),
    "decoder": ForgeryType(0.16, lambda _: imitate_decoder),
    "mesh-swap": ForgeryType(0.18, lambda donors: MeshSwap(donors.posed), needs_mesh=True),
    "mesh-reenact": ForgeryType(0.18, lambda donors: MeshReenact(donors.posed), needs_mesh=True),
    "region-blend": ForgeryType(0.04, lambda _: region_blend),
    "face-warp": ForgeryType(0.02, lambda _: face_warp),
    "colour-grain": ForgeryType(0.01, lambda _: mismatch_colour_and_grain),
    "upsampling": ForgeryType(0.03, lambda _: leave_upsampling_trace),
}
"""Name -> forgery type. The shares need not add up to 1."""


def forgers_by_type(photos: Sequence[Photo]) -> dict[str, Forger]:
    """Returns the forger of every type, by the type's name.

    Args:
        photos: Whose faces may be put onto others.
    """
    donors = Donors(photos)
    return {name: row.make(donors) for name, row in TYPES.items()}


def shares_without(names: Collection[str]) -> dict[str, float]:
    """Returns how often each type is drawn when some are left out; the shares add up to 1.

    Raises:
        UsageError: A name is not in the table, or no type is left.
    """
    unknown = sorted(set(names) - set(TYPES))
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: no such forgery type. Expected {', '.join(TYPES)}.")
    kept = {name: row.share for name, row in TYPES.items() if name not in names}
    if not kept:
        raise UsageError("every forgery type is left out: nothing remains to train on.")
    return {name: share / sum(kept.values()) for name, share in kept.items()}


class Mixture:
    """A forger that draws one of the types for each forgery, as often as the table says."""

    def __init__(self, donors: Sequence[Photo], without: Collection[str] = ()) -> None:
        """Prepares the forgers.

        Args:
            donors: Photos whose faces may be put onto others.
            without: Types to leave out, to measure generalisation to them.

        Raises:
            UsageError: A name is not in the table, or no type is left.
        """
        shares = shares_without(without)
        forgers = forgers_by_type(donors)
        self._forgers = [forgers[name] for name in shares]
        self._shares = np.array(list(shares.values()))
        without_mesh = np.array([0 if TYPES[name].needs_mesh else share for name, share in shares.items()])
        # Where only they are trained on, they take every face.
        self._shares_without_mesh = without_mesh / without_mesh.sum() if without_mesh.any() else self._shares

    def __call__(
        self, image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
    ) -> tuple[Image, Mask]:
        """Forges with a type drawn by its share; arguments and results as ``blending.Forger``."""
        shares = self._shares_without_mesh if geometry.mesh is None else self._shares
        return self._forgers[rng.choice(len(self._forgers), p=shares)](image, geometry, rng, coarseness)
