"""A small convolutional network for a CPU."""

from torch import nn

from ganeval_baselines.classifiers.base import Classifier


class CNN(Classifier):
    """The suite's own convolutional baseline, small enough for minutes on one core.

    conv 32@5x5 - pool - conv 64@5x5 - pool - FC 128 - FC classes. Batch normalisation and a rectifier after each
    layer but the last, max pooling 2x2.
    """

    def build_trunk(self) -> nn.Sequential:
        maps = (self.shape[-1] - 12) // 4
        return nn.Sequential(
            nn.Conv2d(self.shape[0], 32, 5, bias=False), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 5, bias=False), nn.BatchNorm2d(64), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
            nn.Linear(64 * maps * maps, 128, bias=False), nn.BatchNorm1d(128), nn.ReLU(),
        )  # fmt: skip
