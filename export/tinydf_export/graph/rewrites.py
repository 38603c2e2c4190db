"""Trained network -> an equal network for inference: batch norms folded, linear layers and fixed filters merged.

Every rewrite is exact but for the rounding of float32. It is computed in float64, rounded once, and its sums do not
depend on their order, so that the same checkpoint gives the same bits on every processor.

A channel shuffle between two grouped convolutions stays: no grouped convolution can absorb it, which is why the network
has it. So does the batch norm in front of the noise branch: the convolution behind it pads with zeros, which mean the
average energy.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from itertools import pairwise
from math import fsum
from operator import mul

import torch
from torch import Tensor, nn
from torch.nn import functional

from tinydf.forgery import TinyDF
from tinydf.forgery.aggregation import PyramidAtrousAggregation
from tinydf.forgery.noise import CELL_PX, COLOUR_STD, SCALES, SMALLEST_ENERGY, NoiseBranch

REWRITE_VERSION = 1
"""Part of a calibration table's key. Raise it with every change after which a tensor of the same name holds something
else: ranges that were measured before are then wrong."""


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A network ready for tracing.

    Attributes:
        network: Same inputs and outputs as ``TinyDF``.
        scales: Name of a convolution's weight -> what each of its output channels was multiplied by. Trained weight
            times scale is the network's weight, bit for bit.
    """

    network: TinyDF
    scales: dict[str, Tensor]


def rewrite(network: TinyDF) -> Rewritten:
    """Applies every rewrite to a copy in evaluation mode.

    Args:
        network: The trained network; it stays as it is.
    """
    with torch.no_grad():
        copied = copy.deepcopy(network).eval()
        scales = _fold_batch_norms(copied)
        copied.add_module("aggregation", MergedAggregation(copied.aggregation))
        if isinstance(copied.residual, NoiseBranch):
            copied.add_module("residual", MergedNoiseBranch(copied.residual))
        _fold_input_scale(copied)
        return Rewritten(copied, scales)


class MergedAggregation(nn.Module):
    """PAA with the branch of the global mean folded into one small matrix.

    The branch of the global mean has no activation, so its convolution and its share of the merging one are a single
    small matrix. It acts on one value a channel instead of a whole map of equal ones.
    """

    def __init__(self, trained: PyramidAtrousAggregation) -> None:
        """Takes PAA with its batch norms folded away."""
        super().__init__()
        channels = trained.global_mean.in_channels
        mean_share, rest = torch.tensor_split(trained.merge.weight, [channels], dim=1)
        assert trained.global_mean.bias is not None and trained.merge.bias is not None
        merging, weight = mean_share[:, :, 0, 0], trained.global_mean.weight[:, :, 0, 0]
        shift = exact_product(merging, trained.global_mean.bias[:, None])[:, 0] + trained.merge.bias.double()
        self.global_mean = nn.Conv2d(channels, channels, 1)
        self.global_mean.weight = nn.Parameter(exact_product(merging, weight).to(weight.dtype)[:, :, None, None])
        self.global_mean.bias = nn.Parameter(shift.to(weight.dtype))
        self.merge = nn.Conv2d(rest.shape[1], channels, 1, bias=False)
        self.merge.weight = nn.Parameter(rest.clone())
        self.point, self.atrous = trained.point, trained.atrous
        self.act, self.reduce = trained.act, trained.reduce

    def forward(self, shallow: Tensor) -> Tensor:
        """N x 16 x H x W -> N x C x H/16 x W/16."""
        mean = self.global_mean(functional.adaptive_avg_pool2d(shallow, 1))
        windows = [self.point(shallow), *(branch(shallow) for branch in self.atrous)]
        reduced: Tensor = self.reduce(self.act(self.merge(torch.cat(windows, 1)) + mean + shallow))
        return reduced


def exact_product(left: Tensor, right: Tensor) -> Tensor:
    """Returns the product of two float32 matrices, N x K and K x M, in float64, each value rounded once.

    Products of float32 are exact in float64, and ``fsum`` rounds a sum of them once, whatever their order. A library's
    product differs in the last bit between processors.
    """
    rows, columns = left.double().tolist(), right.T.double().tolist()
    return torch.tensor([[fsum(map(mul, row, column)) for column in columns] for row in rows], dtype=torch.float64)


def _fold_batch_norms(network: nn.Module) -> dict[str, Tensor]:
    """Multiplies each batch norm into the convolution that is registered right before it, and takes it out."""
    scales = {}
    for path, module in list(network.named_modules()):
        for (conv_name, conv), (norm_name, norm) in pairwise(list(module.named_children())):
            if not (isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)):
                continue
            assert norm.running_mean is not None and norm.running_var is not None
            dtype = conv.weight.dtype
            scale = (norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)).to(dtype)
            shift = norm.bias.double() - norm.running_mean.double() * scale.double()
            bias = shift if conv.bias is None else conv.bias.double() * scale.double() + shift
            conv.weight.mul_(scale[:, None, None, None])
            conv.bias = nn.Parameter(bias.to(dtype))
            setattr(module, norm_name, nn.Identity())
            scales[f"{path}.{conv_name}.weight".lstrip(".")] = scale
    return scales


def _fold_input_scale(network: TinyDF) -> None:
    """Divides the stem's weights by the image's standard deviation instead of the image.

    The mean stays a subtraction: the stem pads with zeros, and a zero means the mean.
    """
    network.backbone.conv_stem.weight.div_(network.image_std)
    network.image_std = torch.tensor(1.0)


_BLOCK = 16
"""Channels that engines compute at once; a block that is not full makes them copy the map."""


class MergedNoiseBranch(NoiseBranch):
    """The noise branch with its fixed filters written so that engines compute them twice as fast.

    - Colours and filters are both linear, so they are one convolution. All filters ignore what is constant, and with
      it the offset of the colours.
    - The mean of |r| over a cell is twice the mean of its positive part less the mean of r. The positive part is an
      activation, which engines apply while they convolve; the mean of r is linear, and computed for each cell alone.
    """

    def __init__(self, trained: NoiseBranch) -> None:
        """Takes over the trained branch's layers; the branch itself stays as it is."""
        nn.Module.__init__(self)
        for name, layer in trained.named_children():
            self.add_module(name, layer)
        bank = trained.filters.view(len(trained.colour), -1, *trained.filters.shape[2:])
        filters = (trained.colour[:, None, :, 0, 0, None, None] * bank[:, :, None]).flatten(0, 1)
        assert filters.sum((1, 2, 3)).abs().max() < 1e-6, "a residual filter sees what is constant"
        count = len(filters)
        full = -(-count // _BLOCK) * _BLOCK
        self.merged = nn.Parameter(torch.cat((filters, filters.new_zeros(full - count, *filters.shape[1:]))))
        self.doubling = nn.Parameter(2 * torch.eye(count, full, dtype=filters.dtype)[:, :, None, None])
        self.less_means = nn.ParameterList([-_spread(filters, CELL_PX // scale) for scale in SCALES])
        self.smallest = nn.Parameter(filters.new_full((count,), SMALLEST_ENERGY))
        self.tint = nn.Parameter(trained.colour / COLOUR_STD)

    def features(self, image: Tensor) -> Tensor:
        """Returns each cell's colour and log energies, as ``NoiseBranch.features``."""
        logs = []
        scaled, reached = image, 1
        for scale, less_mean in zip(SCALES, self.less_means, strict=True):
            scaled, reached = _shrink(scaled, scale // reached), scale
            cell = CELL_PX // scale
            padded = functional.pad(scaled, (1, 1, 1, 1), mode="replicate")
            positive = functional.avg_pool2d(functional.conv2d(padded, self.merged).relu(), cell)
            rest = functional.conv2d(padded, less_mean, self.smallest, stride=cell)
            logs.append((functional.conv2d(positive, self.doubling) + rest).log())
        colour = functional.conv2d(_shrink(scaled, CELL_PX // reached) - 128, self.tint)
        return torch.cat((colour, *logs), 1)


def _shrink(image: Tensor, factor: int) -> Tensor:
    return functional.avg_pool2d(image, factor) if factor > 1 else image


def _spread(filters: Tensor, cell: int) -> Tensor:
    """Returns filters that give at once the mean of what ``filters`` give over a cell x cell field."""
    count, colours, height, width = filters.shape
    spread = filters.new_zeros(count, colours, cell + height - 1, cell + width - 1, dtype=torch.float64)
    for y in range(cell):
        for x in range(cell):
            spread[:, :, y : y + height, x : x + width] += filters / cell**2
    return spread.to(filters.dtype)
