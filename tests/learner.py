"""A Lightning module with one weight, for the tests of what is hung on a training."""

from __future__ import annotations

import torch
from lightning.pytorch import LightningModule
from torch import nn


class Learner(LightningModule):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(1, 1)

    def training_step(self, batch: torch.Tensor, _: int) -> torch.Tensor:
        return self.layer(batch).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)
