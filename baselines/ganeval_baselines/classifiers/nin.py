"""Network in Network for small images."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier, he_initialise
from ganeval_baselines.classifiers.layers import convs


class NINSmall(Classifier):
    """Network in Network (Lin et al., 2014, arXiv:1312.4400) at a third of its width, for 28x28 to 36x36.

    conv 64@5x5 - 48@1x1 - 32@1x1 - max pool 3x3 by 2 - dropout 0.5 - conv 64@5x5 - 64@1x1 - 64@1x1 -
    average pool 3x3 by 2 - dropout 0.5 - conv 64@3x3 - 64@1x1 - global average - classes.
    Differs from the paper: the average goes before the last 1x1 convolution, which is the same but for the rectifier
    that the paper's code has after it, so that the 64 averages are the features; He's initial weights, Adam.
    """

    def build_trunk(self) -> nn.Sequential:
        return nn.Sequential(
            *convs(5, self.shape[0], 64), *convs(1, 64, 48, 32), nn.MaxPool2d(3, 2, 1), nn.Dropout(0.5),
            *convs(5, 32, 64), *convs(1, 64, 64, 64), nn.AvgPool2d(3, 2, 1), nn.Dropout(0.5),
            *convs(3, 64, 64), *convs(1, 64, 64), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        ).apply(he_initialise)  # fmt: skip
