"""Metrics as subclasses of torchmetrics.Metric, for MetricCollection, Lightning and DDP.

Each has `update(images, real=...)`, `compute`, `reset` and state as torchmetrics has them; the numbers are those of
`ganeval.metrics`. images: uint8 (B, 3, H, W); or, with extractor=None, features (B, D). `reset` keeps what is known of
the real images unless reset_real_features=True, so that a reference is read once. Metrics of the same extractor hold
one network, and compute the features of a batch that all of them are given once.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganeval.distributed import gather
from ganeval.errors import GanevalError
from ganeval.integrations._shared import shared_extractor
from ganeval.metrics import inception_score, kid, one_nn_accuracy
from ganeval.metrics.frechet import distance
from ganeval.metrics.neighbours import neighbours
from ganeval.numerics.inputs import batch_rows, with_float64
from ganeval.numerics.moments import Running
from ganeval.registry import METRICS
from ganeval.types import ExtractorLike

try:
    from torchmetrics import Metric
    from torchmetrics.utilities import dim_zero_cat
    from torchmetrics.utilities.distributed import gather_all_tensors
except ImportError:
    raise GanevalError("ganeval.integrations.torchmetrics needs its package: pip install torchmetrics") from None


class _OnFeatures(Metric):
    """What all of them share: the extractor, and real states that survive `reset`."""

    is_differentiable = False
    full_state_update = True

    def __init__(
        self,
        extractor: ExtractorLike | None = "inception",
        *,
        weights: str | Path | None = None,
        reset_real_features: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self._extractor = None if extractor is None else shared_extractor(extractor, weights)
        self.reset_real_features = reset_real_features

    def _apply(self, fn: Callable[[Tensor], Tensor], *args: Any, **kwargs: Any) -> _OnFeatures:
        # Beside a device without float64 the states stay on the CPU; images are taken to it all the same.
        device = fn(torch.empty(0, device=self.device)).device
        super()._apply(fn if with_float64(device) == device else Tensor.cpu, *args, **kwargs)
        self._device = device
        return self

    @property
    def _place(self) -> torch.device:
        """Where states are."""
        return with_float64(self.device)

    def reset(self) -> None:
        kept = {} if self.reset_real_features else {k: getattr(self, k) for k in self._defaults if k.startswith("real")}
        kept = {name: list(state) if isinstance(state, list) else state for name, state in kept.items()}
        super().reset()
        for name, state in kept.items():
            setattr(self, name, state)

    def _sync_dist(self, dist_sync_fn: Any = gather_all_tensors, process_group: Any = None) -> None:
        # Of a rank without rows of one side torchmetrics would gather an empty vector, which fits no other's matrix.
        lists = {name: state for name, state in self.metric_state.items() if isinstance(state, list)}
        for name, state in lists.items():
            own = (state[0].shape[1], state[0].dtype) if state else None
            found = [known for known in gather(own, process_group or self.process_group) if known]
            if not state and found:
                width, dtype = found[0]
                setattr(self, name, [torch.empty(0, width, dtype=dtype, device=self._place)])
        super()._sync_dist(dist_sync_fn, process_group)

    def _features(self, images: Tensor) -> tuple[Tensor, Tensor | None]:
        return batch_rows(*((images, None) if self._extractor is None else self._extractor(images, self.device)))

    def _width(self, dim: int | None) -> int:
        """Of the features: asked of the extractor, or given where there is none."""
        if self._extractor is not None:
            return self._extractor(torch.full((1, 3, 32, 32), 128, dtype=torch.uint8), self.device)[0].shape[1]
        if dim is None:
            raise GanevalError("with extractor=None say how wide the features are: FID(None, dim=2048)")
        return dim


class FID(_OnFeatures):
    """Fréchet Inception Distance, as `ganeval.metrics.fid`; state of O(D^2), exact under DDP.

    dim: the width of the features, needed only with extractor=None.
    """

    higher_is_better = False

    def __init__(self, extractor: ExtractorLike | None = "inception", *, dim: int | None = None, **kwargs: Any):
        super().__init__(extractor, **kwargs)
        self._dim = width = self._width(dim)
        for side in ("fake", "real"):
            # Not to be summed over ranks: a scatter is about its own mean. `_running` puts them together.
            self.add_state(f"{side}_n", torch.zeros((), dtype=torch.int64), dist_reduce_fx=None)
            self.add_state(f"{side}_mean", torch.zeros(width, dtype=torch.float64), dist_reduce_fx=None)
            self.add_state(f"{side}_scatter", torch.zeros(width, width, dtype=torch.float64), dist_reduce_fx=None)

    def update(self, images: Tensor, real: bool) -> None:
        """Adds a batch of real or generated images; an empty one adds nothing."""
        if len(images) == 0:
            return
        rows, _ = self._features(images)
        side = "real" if real else "fake"
        if rows.shape[1] != len(getattr(self, f"{side}_mean")):
            raise GanevalError(f"the batch has {rows.shape[1]} features, and this FID takes {self._dim}")
        total = reduce(add, [*self._running(side), Running.of(rows.to(self._place).double())])
        setattr(self, f"{side}_n", torch.tensor(total.n, device=self._place))
        setattr(self, f"{side}_mean", total.mean)
        setattr(self, f"{side}_scatter", total.scatter)

    def compute(self) -> Tensor:
        """The distance, float64 (). Raises GanevalError where a side has under two images."""
        sides = [self._running(side) for side in ("fake", "real")]
        if any(sum(part.n for part in parts) < 2 for parts in sides):
            raise GanevalError("FID needs two images or more of each side; update(images, real=True) and real=False")
        fake, real = (reduce(add, parts).moments() for parts in sides)
        return torch.tensor(distance(fake, real), dtype=torch.float64)

    def _running(self, side: str) -> list[Running]:
        """One for each rank that has images; of this rank alone outside of `compute`."""
        n, mean, scatter = (getattr(self, f"{side}_{name}") for name in ("n", "mean", "scatter"))
        if n.ndim == 0:
            n, mean, scatter = n[None], mean[None], scatter[None]
        return [Running(int(k), m, s) for k, m, s in zip(n, mean, scatter, strict=True) if k > 0]


class _OnRows(_OnFeatures):
    """Metrics that need every image's features."""

    real: list[Tensor]
    fake: list[Tensor]

    def __init__(self, extractor: ExtractorLike | None = "inception", **kwargs: Any):
        super().__init__(extractor, **kwargs)
        self.add_state("real", [], dist_reduce_fx="cat")
        self.add_state("fake", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool) -> None:
        """Adds a batch of real or generated images; an empty one adds nothing."""
        if len(images) == 0:
            return
        rows, _ = self._features(images)
        (self.real if real else self.fake).append(rows.to(self._place))

    def _sides(self) -> tuple[Tensor, Tensor]:
        if not len(self.fake) or not len(self.real):
            raise GanevalError(f"{type(self).__name__} needs images of each side; update(images, real=True) and False")
        return dim_zero_cat(self.fake), dim_zero_cat(self.real)


class KID(_OnRows):
    """Kernel Inception Distance, as `ganeval.metrics.kid` with its options subsets, subset_size and seed."""

    higher_is_better = False

    def __init__(
        self, extractor: ExtractorLike | None = "inception", *, subsets: int = 100, subset_size: int = 1000,
        seed: int = 0, **kwargs: Any,
    ):  # fmt: skip
        super().__init__(extractor, **kwargs)
        self.subsets, self.subset_size, self.seed = subsets, subset_size, seed

    def compute(self) -> Tensor:
        """The mean over the subsets, float64 ()."""
        fake, real = self._sides()
        found = kid(fake, real, subsets=self.subsets, subset_size=self.subset_size, seed=self.seed, subsets_only=True)
        return torch.tensor(found.value, dtype=torch.float64)


class OneNNAccuracy(_OnRows):
    """Leave-one-out k-NN accuracy, as `ganeval.metrics.one_nn_accuracy`; best is 0.5."""

    def __init__(self, extractor: ExtractorLike | None = "inception", *, k: int = 1, **kwargs: Any):
        super().__init__(extractor, **kwargs)
        self.k = k

    def compute(self) -> Tensor:
        """The accuracy, float64 ()."""
        return torch.tensor(one_nn_accuracy(*self._sides(), k=self.k).value, dtype=torch.float64)


class PRDC(_OnRows):
    """Precision, recall, density and coverage, as `ganeval.metrics`, from one pass over the distances.

    k: of all four, with open balls, as prdc; None takes each metric's own default.
    """

    higher_is_better = True

    def __init__(self, extractor: ExtractorLike | None = "inception", *, k: int | None = None, **kwargs: Any):
        super().__init__(extractor, **kwargs)
        given = {} if k is None else {"k": k, "strict": True}
        self.options = {name: METRICS[name].options(given) for name in ("precision", "recall", "density", "coverage")}

    def compute(self) -> dict[str, Tensor]:
        """{name: value}, float64 ()."""
        found = neighbours(*self._sides(), self.options)
        return {name: torch.tensor(estimate.value, dtype=torch.float64) for name, estimate in found.items()}


class InceptionScore(_OnFeatures):
    """Inception Score, as `ganeval.metrics.inception_score`, of the generated images; with extractor=None of logits.

    Real images are passed over, so that it may stand in a collection with metrics that need them.
    """

    higher_is_better = True
    logits: list[Tensor]

    def __init__(
        self, extractor: ExtractorLike | None = "inception", *, splits: int = 10, seed: int = 0, **kwargs: Any
    ):  # fmt: skip
        super().__init__(extractor, **kwargs)
        self.splits, self.seed = splits, seed
        self.add_state("logits", [], dist_reduce_fx="cat")

    def update(self, images: Tensor, real: bool = False) -> None:
        """Adds a batch of generated images; real ones add nothing."""
        if real or len(images) == 0:
            return
        pooled, logits = self._features(images)
        found = pooled if self._extractor is None else logits
        if found is None:
            raise GanevalError("the extractor has no class logits, which the Inception Score needs")
        self.logits.append(found.to(self._place))

    def compute(self) -> Tensor:
        """The mean over the parts, float64 ()."""
        if not len(self.logits):
            raise GanevalError("InceptionScore needs images; call update(images) first")
        found = inception_score(dim_zero_cat(self.logits), splits=self.splits, seed=self.seed)
        return torch.tensor(found.value, dtype=torch.float64)
