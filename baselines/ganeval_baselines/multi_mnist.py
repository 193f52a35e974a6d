"""MultiMNIST: two overlapping digits of different classes in one image, drawn as they are needed."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.functional import pad

from ganeval.images import Source
from ganeval_baselines.data import Batch, Images, load, pixels_of, rng, rows, to_uint8
from ganeval_baselines.shifts import window

REACH = 4
"""Pixels that each digit moves at most, down and across: 28x28 becomes 36x36."""


@dataclass(frozen=True)
class Pairs:
    """Digits (N, 1, S, S) uint8 with labels (N,), and what two of them make."""

    digits: Tensor
    labels: Tensor

    @cached_property
    def by_class(self) -> tuple[Tensor, Tensor, Tensor]:
        """The rows in the order of their classes, and of each class the count and where it starts."""
        counts = self.labels.bincount()
        return self.labels.argsort(stable=True), counts, counts.cumsum(0) - counts

    def partners(self, first: Tensor, random: torch.Generator) -> Tensor:
        """For each row of `first` (B,) a row drawn uniformly from those of all other classes: (B,)."""
        order, counts, starts = self.by_class
        own = self.labels[first]
        draws = torch.rand(len(first), generator=random, dtype=torch.float64)
        place = (draws * (len(order) - counts[own])).long()
        return order[place + counts[own] * (place >= starts[own])]

    def draw(self, first: Tensor, random: torch.Generator) -> Batch:
        """Images (B, 1, S + 8, S + 8) in [-1, 1] of the digits `first` (B,), each with a partner; labels (B, 2)."""
        both = torch.stack([first, self.partners(first, random)])
        left, right = (self._placed(chosen, random) for chosen in both)
        return Batch(torch.maximum(left, right).float() / 127.5 - 1, self.labels[both].T.contiguous())

    def _placed(self, chosen: Tensor, random: torch.Generator) -> Tensor:
        top, left = torch.randint(2 * REACH + 1, (2, len(chosen)), generator=random)
        digits = self.digits[chosen]
        return window(pad(digits, [2 * REACH] * 4), top, left, digits.shape[-1] + 2 * REACH)


@dataclass(frozen=True)
class MultiMNIST(Images):
    """MultiMNIST (Sabour et al., 2017, section 6), from MNIST's train split; `labels` and `pixels` are its digits'.

    Each digit of an epoch is laid over one of another class, both moved by up to 4 pixels on 36x36.
    Differs from the paper: pairs are drawn on the fly, not 1000 fixed ones for each digit (60 million); digits merge
    by their maximum, which the paper does not say; the test pairs are 10,000, one for each test digit, always the same.
    """

    @property
    def shape(self) -> tuple[int, ...]:
        side = self.pixels.shape[-1] + 2 * REACH
        return (1, side, side)

    @cached_property
    def pairs(self) -> Pairs:
        return _pairs(self.pixels, self.labels)

    def batch(self, seed: int, step: int, size: int) -> Batch:
        return self.pairs.draw(rows(seed, step, size, len(self.pixels)), rng(seed, step))

    def test_pairs(self) -> Batch:
        """The fixed test set, the same whatever a run's seed."""
        pairs = _pairs(pixels_of(self.held_out)[:, :1], self.held_out.labels)
        return pairs.draw(torch.arange(len(pairs.digits)), rng(0, 2**36))

    def reference(self) -> Source:
        """The test pairs, (10,000, 1, 36, 36)."""
        return to_uint8(self.test_pairs().real).expand(-1, 3, -1, -1)


def _pairs(digits: Tensor, labels: Tensor | None) -> Pairs:
    if labels is None:
        raise ValueError("MultiMNIST needs the digits' labels")
    return Pairs(digits, labels)


def multi_mnist(data_root: Path | None, download: bool = False) -> MultiMNIST:
    """MultiMNIST from torchvision's MNIST files, which `download` fetches first.

    Raises UnobtainableError where these are not here.
    """
    base = load("mnist", data_root=data_root, download=download)
    if not isinstance(base, Images):
        raise ValueError("mnist is no set of images")
    return MultiMNIST(
        "multi_mnist", base.pixels, base.labels, base.class_names, base.sha256, base.held_out,
        labels_per_image=2, arguments="multi_mnist",
    )  # fmt: skip
