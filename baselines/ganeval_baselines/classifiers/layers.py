"""Runs of layers that several small-image networks are made of."""

from __future__ import annotations

from itertools import pairwise

from torch import nn


def convs(kernel: int, *channels: int) -> list[nn.Module]:
    """Convolutions of stride 1 that keep the size, each with a rectifier: from channels[0] to channels[-1]."""
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise(channels):
        layers += [nn.Conv2d(n_in, n_out, kernel, padding=kernel // 2), nn.ReLU()]
    return layers


def dense(*features: int, dropout: float) -> list[nn.Module]:
    """Flattens, then full connections with a rectifier and dropout each."""
    layers: list[nn.Module] = [nn.Flatten()]
    for n_in, n_out in pairwise(features):
        layers += [nn.Linear(n_in, n_out), nn.ReLU(), nn.Dropout(dropout)]
    return layers
