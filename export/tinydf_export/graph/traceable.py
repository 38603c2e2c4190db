"""Network -> module to trace: uint8 crops in, fake probability and forgery map out."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Traceable(nn.Module):
    """The network with conversion from uint8, temperature and sigmoids inside."""

    def __init__(self, network: nn.Module, temperature: float = 1.0) -> None:
        """Wraps a network.

        Args:
            network: N x 3 x H x W float RGB in 0..255 -> logits N and N x h x w, as ``TinyDF``.
            temperature: Divides the verdict's logit.
        """
        super().__init__()
        self.network = network
        self.temperature = temperature

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Scores crops.

        Args:
            image: N x 3 x S x S, RGB, uint8.

        Returns:
            fake_probability, N, and forgery_map, N x h x w, both float32 in 0..1.
        """
        logit, map_logit = self.network(image.float())
        if self.temperature != 1.0:
            logit = logit / self.temperature
        return torch.sigmoid(logit), torch.sigmoid(map_logit)
