"""VGG for small images."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier, he_initialise
from ganeval_baselines.classifiers.layers import convs, dense


class VGGSmall(Classifier):
    """VGG (Simonyan and Zisserman, 2015, arXiv:1409.1556) for 28x28 to 36x36: pairs of 3x3 convolutions, eight layers.

    conv 32, 32 - pool - conv 64, 64 - pool - conv 128, 128 - pool - FC 256 - classes. Rectifiers, max pooling 2x2,
    dropout 0.5 in the hidden layer.
    Differs from the paper: no authoritative form for such images exists; half the width, three stages for five,
    one hidden layer for two, He's initial weights, Adam.
    """

    def build_trunk(self) -> nn.Sequential:
        maps = self.shape[-1] // 8
        return nn.Sequential(
            *convs(3, self.shape[0], 32, 32), nn.MaxPool2d(2),
            *convs(3, 32, 64, 64), nn.MaxPool2d(2),
            *convs(3, 64, 128, 128), nn.MaxPool2d(2),
            *dense(128 * maps * maps, 256, dropout=0.5),
        ).apply(he_initialise)  # fmt: skip
