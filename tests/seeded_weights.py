"""Inception weights drawn with a seed, in a file of the published format: the real ones are a download."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from ganeval.extractors.inception import network


def save_seeded_inception(path: Path) -> Path:
    """A checkpoint whose activations keep their scale from layer to layer, so that features differ by image."""
    random = torch.Generator().manual_seed(0)
    net = network()
    for module in net.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, generator=random)
        elif isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1, generator=random)
            module.running_var.uniform_(0.5, 1.5, generator=random)
    nn.init.normal_(net.fc.weight, std=0.05, generator=random)
    torch.save(net.state_dict(), path)
    return path
