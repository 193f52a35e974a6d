"""CapsNet: capsules with dynamic routing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from ganeval.errors import GanevalError
from ganeval_baselines.base import Terms
from ganeval_baselines.classifiers.base import Classifier, ClassifierRecipe, multi_hot

POSE, CLASS_POSE = 8, 16
"""Dimensions of a primary capsule and of a class's."""


@dataclass(frozen=True)
class CapsNetRecipe(ClassifierRecipe):
    """channels: of the first convolution. capsules: types of primary capsules. routing: iterations.

    reconstruction: weight of the squared error summed over the pixels; 0 leaves the decoder out.
    weighting: "paper" is the margin loss of eq. 4; "authors" divides it by twice the classes, as the code that the
    authors released does (half of it, and its mean over the classes for their sum), and so reconstructs 20 times more.
    """

    batch_size: int = 128
    channels: int = 256
    capsules: int = 32
    routing: int = 3
    reconstruction: float = 0.0005
    weighting: Literal["paper", "authors"] = "paper"


class CapsNet(Classifier):
    """CapsNet (Sabour, Frosst and Hinton, 2017, arXiv:1710.09829): routing by agreement, 8.2 M parameters on MNIST.

    conv 256@9x9, rectifier - primary capsules: 32 types of 8 dimensions, conv 9x9 by 2 - a capsule of 16 dimensions
    for each class, routed in 3 iterations - the length of each is its probability. A decoder of 512, 1024 and as many
    outputs as pixels, the last through a sigmoid, reconstructs the image from the true class's capsule.
    The features are the classes' capsules (B, 16 classes), the logits log(length / (1 - length)).
    Differs from the paper: the rate falls linearly; MultiMNIST's decoder sees both true capsules at once and
    reconstructs the merged image, where the paper's reconstructs each digit from its own.
    """

    recipe: ClassVar[CapsNetRecipe] = CapsNetRecipe()
    settings: CapsNetRecipe

    def build(self) -> None:
        settings = self.settings
        if settings.routing < 1:
            raise GanevalError(f"routing is {settings.routing} iterations; give 1 or more")
        (channels, side, _), classes = self.shape, self.classes
        grid = (side - 16) // 2
        self.stem = nn.Conv2d(channels, settings.channels, 9)
        self.primary = nn.Conv2d(settings.channels, settings.capsules * POSE, 9, stride=2)
        shape = (settings.capsules * grid * grid, POSE, classes, CLASS_POSE)
        self.transform = nn.Parameter(0.1 * torch.randn(shape))
        pixels = channels * side * side
        self.decoder = nn.Sequential(
            nn.Linear(classes * CLASS_POSE, 512), nn.ReLU(), nn.Linear(512, 1024), nn.ReLU(),
            nn.Linear(1024, pixels), nn.Sigmoid(),
        ) if settings.reconstruction else None  # fmt: skip

    def features(self, x: Tensor) -> Tensor:
        maps = self.primary(relu(self.stem((x + 1) / 2)))
        primary = squash(maps.unflatten(1, (-1, POSE)).permute(0, 1, 3, 4, 2).flatten(1, 3))
        votes = torch.einsum("bip,ipjd->bjid", primary, self.transform)
        return route(votes, self.settings.routing).flatten(1)

    def lengths(self, features: Tensor) -> Tensor:
        """The classes' probabilities (B, classes)."""
        return features.unflatten(1, (self.classes, CLASS_POSE)).norm(dim=2)

    def classify(self, features: Tensor) -> Tensor:
        return self.lengths(features).logit()

    def terms(self, x: Tensor, labels: Tensor) -> Terms:
        features, true = self.features(x), multi_hot(labels, self.classes)
        margin = margin_loss(self.lengths(features), true)
        if self.settings.weighting == "authors":
            margin = margin / (2 * self.classes)
        if self.decoder is None:
            return {"margin": margin}
        shown = self.decoder(features * true.repeat_interleave(CLASS_POSE, 1))
        squared = (shown - (x.flatten(1) + 1) / 2).square().sum(1).mean()
        return {"margin": margin, "reconstruction": self.settings.reconstruction * squared}


class CapsNetSmall(CapsNet):
    """CapsNet with 64 channels and 8 types of primary capsules: 2.1 M parameters on MNIST, in batches for a CPU."""

    recipe = CapsNetRecipe(batch_size=64, channels=64, capsules=8)


def squash(s: Tensor) -> Tensor:
    """|s|^2 / (1 + |s|^2) s / |s| along the last dimension, 0 where s is (eq. 1): lengths in [0, 1)."""
    length = s.norm(dim=-1, keepdim=True)
    return s * length / (1 + length.square())


def route(votes: Tensor, iterations: int) -> Tensor:
    """Dynamic routing (Procedure 1): votes (B, J, I, D) for J capsules from I of the layer before, to (B, J, D).

    Each of the I divides itself among the J, by a softmax over J. The gradient goes through every iteration. The
    last update of the routing logits, which nothing reads, is left out.
    """
    logits = votes.new_zeros(votes.shape[:3])
    outputs = _agreed(logits, votes)
    for _ in range(iterations - 1):
        logits = logits + (votes @ outputs.unsqueeze(3)).squeeze(3)
        outputs = _agreed(logits, votes)
    return outputs


def _agreed(logits: Tensor, votes: Tensor) -> Tensor:
    return squash((logits.softmax(1).unsqueeze(2) @ votes).squeeze(2))


def margin_loss(lengths: Tensor, true: Tensor) -> Tensor:
    """max(0, 0.9 - |v|)^2 for true classes, 0.5 max(0, |v| - 0.1)^2 for others, summed over classes (eq. 4).

    lengths and true (0 or 1) are (B, classes); the mean over the batch is returned.
    """
    present, absent = relu(0.9 - lengths).square(), relu(lengths - 0.1).square()
    return (true * present + 0.5 * (1 - true) * absent).sum(1).mean()
