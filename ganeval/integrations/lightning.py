"""A callback that scores a generator's samples while Lightning trains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import ganeval
from ganeval.errors import GanevalError
from ganeval.types import Features

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ImportError:
    raise GanevalError("ganeval.integrations.lightning needs its package: pip install 'ganeval[lightning]'") from None


class ScoreSamples(Callback):
    """Logs the metrics of n fresh samples, and the verdict on collapse, after every k-th training epoch.

    sample: (module, n) -> uint8 images (n, 3, H, W). reference: as in `ganeval.score`, read once; its images, not
    statistics. metrics: names; logged as "ganeval/fid", ..., and "ganeval/collapsed", 1 where the verdict is so.
    The samples are made and scored on rank 0 and the numbers are logged on all, so that a ModelCheckpoint may watch
    them. The module is in evaluation mode while it samples, and no gradients are kept.
    """

    def __init__(
        self, sample: Callable[[Any, int], Tensor], reference: Any, *, n: int = 1000, every_n_epochs: int = 1,
        metrics: Sequence[str] = ("fid", "kid", "precision", "recall"), extractor: str = "inception",
        device: str = "auto", seed: int = 0,
    ):  # fmt: skip
        self.sample, self.reference, self.n, self.every = sample, reference, n, every_n_epochs
        self.metrics, self.extractor, self.device, self.seed = tuple(metrics), extractor, device, seed

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Samples, scores and logs."""
        if (trainer.current_epoch + 1) % self.every:
            return
        found = self._score(pl_module) if trainer.is_global_zero else {}
        for name, value in trainer.strategy.broadcast(found).items():
            pl_module.log(f"ganeval/{name}", value)

    def _score(self, module: LightningModule) -> dict[str, float]:
        if not isinstance(self.reference, Features):
            self.reference = ganeval.extract(self.reference, self.extractor, device=self.device)
        # One by one, for a module that is trained may hold others that are not.
        modes = {part: part.training for part in module.modules()}
        module.eval()
        try:
            with torch.no_grad():
                images = self.sample(module, self.n)
        finally:
            for part, training in modes.items():
                part.training = training
        report = ganeval.score(
            images, self.reference, extractor=self.extractor, metrics=self.metrics, collapse=True, cache=False,
            device=self.device, seed=self.seed,
        )  # fmt: skip
        found = {name: scored.estimate.value for name, scored in report.metrics.items()}
        return {**found, "collapsed": float(report.collapse is not None and report.collapse.verdict == "collapsed")}
