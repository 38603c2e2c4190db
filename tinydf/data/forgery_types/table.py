"""The table of forgery types, and the mixture that training draws from."""

from __future__ import annotations

from collections.abc import Collection, Sequence

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

SHARES = {
    "self-blend": 0.3,
    "cross-identity": 0.16,
    "decoder": 0.16,
    "mesh-swap": 0.18,
    "mesh-reenact": 0.1,
    "region-blend": 0.04,
    "face-warp": 0.02,
    "colour-grain": 0.01,
    "upsampling": 0.03,
}
"""How often training draws each type."""
NEED_MESH = ("mesh-swap", "mesh-reenact")
"""Types drawn for faces with a mesh only. Asked for by name, they lay the mean face over faces without one."""


def forgers_by_type(donors: Sequence[Photo]) -> dict[str, Forger]:
    """Returns the forger of every type, by the type's name.

    Args:
        donors: Photos whose faces may be put onto others.
    """
    posed = PosedDonors(donors)
    return {
        "self-blend": self_blend,
        "cross-identity": CrossIdentity(donors),
        "decoder": imitate_decoder,
        "mesh-swap": MeshSwap(posed),
        "mesh-reenact": MeshReenact(posed),
        "region-blend": region_blend,
        "face-warp": face_warp,
        "colour-grain": mismatch_colour_and_grain,
        "upsampling": leave_upsampling_trace,
    }


def shares_without(names: Collection[str]) -> dict[str, float]:
    """Returns how often each type is drawn when some are left out; the shares add up to 1.

    Raises:
        UsageError: A name is not in the table, or no type is left.
    """
    unknown = sorted(set(names) - set(SHARES))
    if unknown:
        raise UsageError(f"{', '.join(unknown)}: no such forgery type. Expected {', '.join(SHARES)}.")
    kept = {name: share for name, share in SHARES.items() if name not in names}
    if not kept:
        raise UsageError("every forgery type is left out: nothing remains to train on.")
    return {name: share / sum(kept.values()) for name, share in kept.items()}


class Mixture:
    """A forger that draws one of the types for each forgery, by ``SHARES``."""

    def __init__(self, donors: Sequence[Photo], without: Collection[str] = ()) -> None:
        """Prepares the forgers.

        Args:
            donors: Photos whose faces may be put onto others.
            without: Types to leave out, to see how the others prepare for them.

        Raises:
            UsageError: A name is not in the table, or no type is left.
        """
        shares = shares_without(without)
        forgers = forgers_by_type(donors)
        self._forgers = [forgers[name] for name in shares]
        self._shares = np.array(list(shares.values()))
        without_mesh = np.array([0 if name in NEED_MESH else share for name, share in shares.items()])
        # Where only they are trained on, they take every face.
        self._shares_without_mesh = without_mesh / without_mesh.sum() if without_mesh.any() else self._shares

    def __call__(
        self, image: Image, geometry: FaceGeometry, rng: Generator, coarseness: float = 0.0
    ) -> tuple[Image, Mask]:
        """Forges as ``blending.Forger`` says."""
        shares = self._shares_without_mesh if geometry.mesh is None else self._shares
        return self._forgers[rng.choice(len(self._forgers), p=shares)](image, geometry, rng, coarseness)
