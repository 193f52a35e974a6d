"""A callback that scores a generator's samples while Lightning trains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

import ganeval
from ganeval.collapse import CollapseReport
from ganeval.collapse.monitor import CollapseMonitor
from ganeval.errors import GanevalError
from ganeval.extractors import as_extractor
from ganeval.fp32 import evaluating
from ganeval.types import ExtractorLike, Features

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

    looks: how many verdicts there will be, over which alpha is then spent, as `ganeval.CollapseMonitor` does: to stop
    a training by "ganeval/collapsed" say how many, for without it each verdict has its own chance of a false alarm.
    After so many, no more verdicts are given. They are kept in the trainer's checkpoints.
    """

    def __init__(
        self, sample: Callable[[Any, int], Tensor], reference: Any, *, n: int = 1000, every_n_epochs: int = 1,
        metrics: Sequence[str] = ("fid", "kid", "precision", "recall"), extractor: ExtractorLike = "inception",
        device: str = "auto", seed: int = 0, looks: int | None = None,
    ):  # fmt: skip
        self.sample, self.reference, self.n, self.every = sample, reference, n, every_n_epochs
        self.metrics, self.extractor, self.device, self.seed = tuple(metrics), extractor, device, seed
        self.looks = looks
        self.monitor: CollapseMonitor | None = None
        self._looked: dict[str, Any] = {}

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Samples, scores and logs."""
        if (trainer.current_epoch + 1) % self.every:
            return
        found = self._score(pl_module, trainer.global_step) if trainer.is_global_zero else {}
        for name, value in trainer.strategy.broadcast(found).items():
            pl_module.log(f"ganeval/{name}", value)

    def state_dict(self) -> dict[str, Any]:
        """The verdicts so far."""
        return self.monitor.state_dict() if self.monitor else self._looked

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Taken up at the next verdict."""
        self._looked = state_dict

    def _score(self, module: LightningModule, step: int) -> dict[str, float]:
        self.extractor = as_extractor(self.extractor)  # a name's network is loaded once
        if not isinstance(self.reference, Features):
            self.reference = ganeval.extract(self.reference, self.extractor, device=self.device)
        with torch.no_grad(), evaluating(module):
            images = self.sample(module, self.n)
        fake = ganeval.extract(images, self.extractor, device=self.device, cache=False)
        report = ganeval.score(
            fake,
            self.reference,
            metrics=self.metrics,
            collapse=self.looks is None,
            cache=False,
            device=self.device,
            seed=self.seed,
        )
        found = {name: scored.estimate.value for name, scored in report.metrics.items()}
        verdict = report.collapse if self.looks is None else self._look(fake, step)
        return found if verdict is None else {**found, "collapsed": float(verdict.verdict == "collapsed")}

    def _look(self, fake: Features, step: int) -> CollapseReport | None:
        if self.monitor is None:
            self.monitor = CollapseMonitor(self.reference, looks=self.looks or 1, seed=self.seed, device=self.device)
            if self._looked:
                self.monitor.load_state_dict(self._looked)
        return self.monitor(fake, step=step) if len(self.monitor.history) < self.monitor.looks else None
