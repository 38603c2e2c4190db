"""Batch normalisation over all processes: several processes learn what one would."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm


def synchronise_norms(network: nn.Module, device: torch.device) -> nn.Module:
    """Returns the network with batch statistics that are taken over all processes.

    Args:
        network: Changed in place; its state keeps its names.
        device: Where it runs. torch's own layer works on GPUs only; on CPUs ours does the same.
    """
    if device.type != "cpu":
        converted: nn.Module = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        return converted
    for module in network.modules():
        if isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
            # The layer stays the object that the network refers to; only what it computes changes.
            module.__class__ = _OverProcesses  # type: ignore[assignment]
    return network


class _OverProcesses(_BatchNorm):
    """Batch normalisation with the statistics of all processes' batches, which must be of one size."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return functional.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        dims = [0, *range(2, x.ndim)]
        wide = x.float()
        count = wide.numel() // wide.shape[1] * torch.distributed.get_world_size()
        own = torch.stack((wide.sum(dims), (wide * wide).sum(dims)))
        sums: Tensor = _SumOverProcesses.apply(own)  # type: ignore[no-untyped-call]
        mean = sums[0] / count
        variance = (sums[1] / count - mean * mean).clamp(min=0)
        self._remember(mean.detach(), variance.detach(), count)
        shape = [1, -1, *[1] * (x.ndim - 2)]
        scale = self.weight * (variance + self.eps).rsqrt()
        normed: Tensor = (wide * scale.view(shape) + (self.bias - mean * scale).view(shape)).to(x.dtype)
        return normed

    def _check_input_dim(self, x: Tensor) -> None:
        """Takes any number of spatial axes."""

    @torch.no_grad()
    def _remember(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None and self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        # No momentum means a plain mean over all batches, as in torch's own layer.
        weight = 1 / float(self.num_batches_tracked) if self.momentum is None else self.momentum
        self.running_mean.lerp_(mean, weight)
        self.running_var.lerp_(variance * count / max(1, count - 1), weight)


class _SumOverProcesses(torch.autograd.Function):
    """A sum over processes; each one's share of the sum gets the sum of all gradients."""

    @staticmethod
    def forward(ctx: Any, own: Tensor) -> Tensor:
        total = own.clone()
        torch.distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        total = gradient.contiguous().clone()
        torch.distributed.all_reduce(total)
        return total
