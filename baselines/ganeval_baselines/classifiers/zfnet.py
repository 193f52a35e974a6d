"""ZFNet for small images."""

from torch import nn

from ganeval_baselines.classifiers.alexnet import normalise
from ganeval_baselines.classifiers.base import Classifier, he_initialise
from ganeval_baselines.classifiers.layers import convs, dense


class ZFNetSmall(Classifier):
    """ZFNet (Zeiler and Fergus, 2014, arXiv:1311.2901) for 28x28 to 36x36: AlexNet with finer first filters.

    conv 32@3x3 - pool - LRN - conv 64@5x5 - pool - LRN - conv 128@3x3 - conv 128@3x3 - conv 64@3x3 - pool -
    FC 256 - FC 256 - FC classes. Rectifiers; max pooling 3x3 by 2 with a margin of 1, before the normalisation;
    dropout 0.5 in the hidden layers.
    Differs from the paper: no authoritative form for such images exists; a third of the width or less, a first
    filter of 3x3 by 1 for 7x7 by 2, local response normalisation for contrast normalisation, He's initial weights,
    Adam.
    """

    def build_trunk(self) -> nn.Sequential:
        maps = -(-self.shape[-1] // 8)
        return nn.Sequential(
            *convs(3, self.shape[0], 32), nn.MaxPool2d(3, 2, 1), normalise(),
            *convs(5, 32, 64), nn.MaxPool2d(3, 2, 1), normalise(),
            *convs(3, 64, 128, 128, 64), nn.MaxPool2d(3, 2, 1),
            *dense(64 * maps * maps, 256, 256, dropout=0.5),
        ).apply(he_initialise)  # fmt: skip
