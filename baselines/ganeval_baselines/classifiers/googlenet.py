"""GoogLeNet for small images."""

import torch
from torch import Tensor, nn

from ganeval_baselines.classifiers.base import Classifier, he_initialise
from ganeval_baselines.classifiers.layers import convs


class GoogLeNetSmall(Classifier):
    """GoogLeNet (Szegedy et al., 2015, arXiv:1409.4842) for 28x28 to 36x36: four inception modules.

    conv 32@3x3 - pool - inception 64, 96 - pool - inception 128, 128 - global average - dropout 0.4 - classes.
    An inception module of n maps: n/4 of 1x1, n/2 of 3x3 after n/4 of 1x1, n/8 of 5x5 after n/16 of 1x1, n/8 of 1x1
    after a 3x3 max pool, side by side. Rectifiers; max pooling 3x3 by 2.
    Differs from the paper: no authoritative form for such images exists; an eighth of the width, four modules for
    nine, no auxiliary classifiers, no LRN, He's initial weights, Adam.
    """

    def build_trunk(self) -> nn.Sequential:
        return nn.Sequential(
            *convs(3, self.shape[0], 32), nn.MaxPool2d(3, 2, 1),
            Inception(32, 64), Inception(64, 96), nn.MaxPool2d(3, 2, 1),
            Inception(96, 128), Inception(128, 128), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(0.4),
        ).apply(he_initialise)  # fmt: skip


class Inception(nn.Module):
    """Maps (B, n_in, H, W) to (B, n, H, W) by four paths side by side (figure 2b of the paper)."""

    def __init__(self, n_in: int, n: int) -> None:
        super().__init__()
        self.paths = nn.ModuleList([
            nn.Sequential(*convs(1, n_in, n // 4)),
            nn.Sequential(*convs(1, n_in, n // 4), *convs(3, n // 4, n // 2)),
            nn.Sequential(*convs(1, n_in, n // 16), *convs(5, n // 16, n // 8)),
            nn.Sequential(nn.MaxPool2d(3, 1, 1), *convs(1, n_in, n // 8)),
        ])  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([path(x) for path in self.paths], 1)
