"""Inception made quick, with the same numbers to rounding: fewer operations, and those nearer to the processor's limit.

Batch normalisation goes into the convolutions, the ReLU is applied within them, weights are put in the order in which
they are read once, and the pooling branches take their mean after the convolution, of a tenth of the channels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, conv2d
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.models.inception import BasicConv2d, Inception3

CPU_BATCH = 16


class Folded(nn.Module):
    """Convolution, batch normalisation and ReLU in one: scale and shift go, in float64, into the weights and a bias.

    Weights are kept ready for each device and precision in which they were used, and so must not change.
    averaged: a mean over 3 x 3 neighbours, without the padding, comes before the ReLU. The block that was folded took
    it before the convolution; both are linear, the mean's weights sum to 1 and so leave the bias as it is, and after
    the convolution there are fewer channels.
    """

    def __init__(self, block: BasicConv2d, *, averaged: bool = False) -> None:
        super().__init__()
        self.averaged = averaged
        self.ready: dict[tuple[torch.device, torch.dtype], tuple[Tensor, Tensor]] = {}
        conv = fuse_conv_bn_eval(block.conv.double(), block.bn.double()).float()
        self.weight = nn.Parameter(conv.weight.detach().contiguous(memory_format=torch.channels_last))
        self.bias = conv.bias
        self.stride, self.padding = conv.stride, conv.padding

    def forward(self, x: Tensor) -> Tensor:
        key = x.device, x.dtype
        if key not in self.ready:
            self.ready[key] = self._prepared(x)
        weight, bias = self.ready[key]
        if x.device.type == "cpu" and (onednn := _onednn()):
            after = "none" if self.averaged else "relu"
            y = onednn[0](x, weight, bias, self.padding, self.stride, [1, 1], 1, after, [], "")
        else:
            y = conv2d(x, weight, bias, self.stride, self.padding)
            after = "none"
        if self.averaged:
            y = avg_pool2d(y, 3, stride=1, padding=1, count_include_pad=False)
        return y.relu_() if after == "none" else y

    def __getstate__(self) -> dict[str, Any]:
        """For copies and pickles, which oneDNN's order of the weights does not go into."""
        return {**self.__dict__, "ready": {}}

    def _prepared(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weights and bias in the precision of x; the weights on a CPU in the order in which oneDNN reads them."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        if x.device.type == "cpu" and (onednn := _onednn()):
            weight = onednn[1](weight, self.padding, self.stride, [1, 1], 1, [CPU_BATCH, *x.shape[1:]])
        return weight, bias


@cache
def _onednn() -> tuple[Callable[..., Tensor], Callable[..., Tensor]] | None:
    """oneDNN's convolution, which applies the ReLU while its result is in cache, and what puts weights in its order.

    torch.compile uses the same two; None where torch has no such.
    """
    ops, names = torch.ops.mkldnn, ("_convolution_pointwise", "_reorder_convolution_weight")
    if not torch.backends.mkldnn.is_available() or not all(hasattr(ops, name) for name in names):
        return None
    return ops._convolution_pointwise, ops._reorder_convolution_weight


class FoldedA(FIDInceptionA):
    """As its parent, but that the convolution of the pooling branch is a `Folded` that averages."""

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), self.branch5x5_2(self.branch5x5_1(x)), double, self.branch_pool(x)], 1)


class FoldedC(FIDInceptionC):
    """Likewise."""

    def forward(self, x: Tensor) -> Tensor:
        single = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), single, double, self.branch_pool(x)], 1)


class FoldedE(FIDInceptionE_1):
    """Likewise."""

    def forward(self, x: Tensor) -> Tensor:
        single, double = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        wide = [self.branch3x3_2a(single), self.branch3x3_2b(single)]
        wide += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([self.branch1x1(x), *wide, self.branch_pool(x)], 1)


AVERAGING = {FIDInceptionA: FoldedA, FIDInceptionC: FoldedC, FIDInceptionE_1: FoldedE}
"""Blocks whose pooling branch takes a mean; the last block of all takes a maximum."""


def fold(net: Inception3) -> None:
    """Replaces each convolution with its normalisation by one `Folded`."""
    for name, block in list(net.named_modules()):
        if isinstance(block, BasicConv2d):
            parent, _, own = name.rpartition(".")
            averaged = own == "branch_pool" and type(net.get_submodule(parent)) in AVERAGING
            net.set_submodule(name, Folded(block, averaged=averaged))
    for block in net.modules():
        if type(block) in AVERAGING:
            block.__class__ = AVERAGING[type(block)]  # the same parts, put together another way
