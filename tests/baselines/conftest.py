"""Small data and networks that can be worked by hand, and the models of the registry on them."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from ganeval_baselines import data as datasets
from ganeval_baselines.base import GAN
from ganeval_baselines.checkpoint import State
from ganeval_baselines.data import Batch, Images, Mixture
from ganeval_baselines.plan import Run, plan
from ganeval_baselines.train import build
from torch import Tensor, nn

from ganeval.registry import BASELINES, Baseline, get_baseline, load_plugins

CPU = torch.device("cpu")

load_plugins()
MODELS = [name for name, row in BASELINES.items() if row.kind == "gan"]
ON_POINTS = [name for name in MODELS if BASELINES[name].points]

SOON = {"wgan": {"warm_up": "2", "critic_steps": "2"}, "wgan_gp": {"critic_steps": "2"}}
"""Settings under which every player of a model moves within a few steps."""


@pytest.fixture
def float64() -> Iterator[None]:
    """Networks and latents in double precision, for finite differences."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@cache
def data_of(name: str) -> Mixture | Images:
    """A data set, read once a process."""
    return datasets.load(name)


def run_of(model: str, data: str = "ring8", steps: int = 6, seed: int = 0, **changes: Any) -> Run:
    """A run of a few steps in small batches, under which every player moves."""
    changes = {"batch_size": "16", **SOON.get(model, {}), **{key: str(value) for key, value in changes.items()}}
    return plan(model, data_of(data), seed, steps * int(changes["batch_size"]), changes)


def state_of(model: str, data: str = "ring8", **changes: Any) -> State:
    return build(run_of(model, data, **changes), CPU)


def home_of(model: str) -> str:
    """Where a model is tested that need be tested on one data set only."""
    return "ring8" if row_of(model).points else "digits"


def row_of(model: str) -> Baseline:
    return get_baseline(model)


class Points(nn.Module):
    """A generator that puts out fixed points (N, 2): its gradient is the loss's slope at each."""

    def __init__(self, points: list[list[float]]) -> None:
        super().__init__()
        self.points = nn.Parameter(torch.tensor(points))

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.points[: len(latents)]


class Plane(nn.Module):
    """D(x) = w x + b, (B, 2) to (B,), or (B, outputs) where w is (outputs, 2); its trunk leaves x as it is."""

    def __init__(self, w: Any, b: Any = 0.0) -> None:
        super().__init__()
        self.w, self.b = nn.Parameter(torch.tensor(w)), nn.Parameter(torch.tensor(b))
        self.trunk = nn.Identity()

    def head(self, features: Tensor) -> Tensor:
        logits = features @ self.w.t() + self.b
        return logits[:, None] if logits.ndim == 1 else logits

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.head(x).squeeze(1)


REAL = [[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]]
FAKE = [[1.0, 1.0], [-2.0, 0.5], [0.25, -0.5]]
W, B = [0.6, -0.8], 0.3


@dataclass(frozen=True)
class Toy:
    """A GAN whose players are Points and Plane, and the batch that it sees."""

    model: GAN
    batch: Batch

    def slopes(self, player: str) -> tuple[float, Tensor]:
        """The player's loss, and its gradient in that player's only tensor that matters: the points, or w."""
        weight = self.model.discriminator.w if player == "discriminator" else self.model.generator.points
        loss = torch.stack(list(self.model.loss(player, self.batch).values())).sum()
        (gradient,) = torch.autograd.grad(loss, weight)
        return float(loss.detach()), gradient


def toy(name: str, w: Any = W, b: Any = B, labels: list[int] | None = None, **changes: Any) -> Toy:
    """The registered model on ring8, its networks replaced by ones that can be worked by hand."""
    kind = row_of(name).fn
    model = kind(data_of("ring8"), settings(kind, **{**kind.on_points, **changes}))
    model.generator, model.discriminator = Points(FAKE), Plane(w, b)
    return Toy(model, Batch(torch.tensor(REAL), None if labels is None else torch.tensor(labels)))


def settings(kind: Any, **changes: Any) -> Any:
    """A model's recipe with changes that its command line would parse."""
    return dataclasses.replace(kind.recipe, **changes)


def numbers(rows: Any) -> np.ndarray:
    return np.asarray(rows, dtype=np.float64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where a run goes."""
    return tmp_path / "run"
