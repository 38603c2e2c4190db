"""Narrow trained detector -> the start of a wider one that finds the same.

After "Net2Net: Accelerating Learning via Knowledge Transfer" (Chen, Goodfellow and Shlens, 2016), but new channels are
random in place of copies, so that they need not part first; the old ones do not listen to them until they have learnt
to.
"""

import torch

from tinydf.facedetector.model import FaceDetectorNet
from tinydf_runtime.errors import UsageError


@torch.no_grad()
def start_from(narrow: FaceDetectorNet, wide: FaceDetectorNet) -> None:
    """Fills the first channels of each layer of ``wide`` with those of ``narrow``; outputs are equal afterwards.

    Args:
        narrow: Trained.
        wide: New, at least as wide.

    Raises:
        UsageError: A layer of ``narrow`` is wider.
    """
    if any(wide.widths[name] < width for name, width in narrow.widths.items()):
        raise UsageError(
            f"the network to start from has {narrow.widths}, a new one {wide.widths}. Start from one that is no wider."
        )
    old = narrow.state_dict()
    for name, new in wide.state_dict().items():
        trained = old[name]
        if new.ndim == 4:
            new[: len(trained), trained.shape[1] :] = 0
        new[tuple(slice(size) for size in trained.shape)] = trained.to(new.device)
