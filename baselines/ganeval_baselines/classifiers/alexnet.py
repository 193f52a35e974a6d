"""AlexNet for small images."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier, he_initialise
from ganeval_baselines.classifiers.layers import convs, dense


class AlexNetSmall(Classifier):
    """AlexNet (Krizhevsky et al., 2012, NeurIPS) for 28x28 to 36x36: five convolutions and two hidden layers.

    conv 32@5x5 - LRN - pool - conv 64@5x5 - LRN - pool - conv 96@3x3 - conv 96@3x3 - conv 64@3x3 - pool -
    FC 256 - FC 256 - FC classes. Rectifiers; overlapping max pooling 3x3 by 2; local response normalisation (LRN)
    with the paper's n = 5, k = 2, alpha = 1e-4, beta = 0.75; dropout 0.5 in the hidden layers.
    Differs from the paper: no authoritative form for such images exists; a third of the width or less, a first
    filter of 5x5 by 1 for 11x11 by 4, no groups, He's initial weights, Adam.
    """

    def build_trunk(self) -> nn.Sequential:
        maps = ((self.shape[-1] - 1) // 2 - 1) // 2
        maps = (maps - 1) // 2
        return nn.Sequential(
            *convs(5, self.shape[0], 32), normalise(), nn.MaxPool2d(3, 2),
            *convs(5, 32, 64), normalise(), nn.MaxPool2d(3, 2),
            *convs(3, 64, 96, 96, 64), nn.MaxPool2d(3, 2),
            *dense(64 * maps * maps, 256, 256, dropout=0.5),
        ).apply(he_initialise)  # fmt: skip


def normalise() -> nn.LocalResponseNorm:
    """Section 3.3 of the paper; torch divides alpha by n, the paper does not."""
    return nn.LocalResponseNorm(5, alpha=5 * 1e-4, beta=0.75, k=2.0)
