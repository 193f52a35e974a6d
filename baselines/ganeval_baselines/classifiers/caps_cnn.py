"""The convolutional baselines of the CapsNet paper."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier
from ganeval_baselines.classifiers.layers import convs, dense


class CapsCNN(Classifier):
    """The baselines that Sabour et al. (2017, arXiv:1710.09829) compare CapsNet with: two networks, by the images.

    MNIST (28x28 and 32x32; 35.4 M parameters at 28x28): conv 256, 256, 128@5x5 by 1, FC 328, FC 192, dropout 0.5,
    FC 10. MultiMNIST (36x36; 24.56 M): conv 512@9x9, 256@5x5, each with max pooling 2x2, FC 1024, FC 10, sigmoids.
    The paper's counts of parameters hold where the convolutions keep the size, which its text does not say.
    Differs from the paper: the learning rate falls linearly.
    """

    def build_trunk(self) -> nn.Sequential:
        channels, side = self.shape[0], self.shape[-1]
        if side == 36:
            return nn.Sequential(
                *convs(9, channels, 512), nn.MaxPool2d(2), *convs(5, 512, 256), nn.MaxPool2d(2),
                *dense(256 * 9 * 9, 1024, dropout=0.0),
            )  # fmt: skip
        return nn.Sequential(
            *convs(5, channels, 256, 256, 128), nn.Flatten(),
            nn.Linear(128 * side * side, 328), nn.ReLU(), *dense(328, 192, dropout=0.5),
        )  # fmt: skip
