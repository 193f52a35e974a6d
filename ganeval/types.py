"""What flows through the house: images become Features, Features become Estimates, Estimates a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from ganeval.errors import GanevalError

LEVEL = 0.95
"""The confidence level of every interval that ganeval prints."""


@dataclass(frozen=True)
class Survey:
    """What was met while a set of images was read; the source of the report's warnings.

    `digests` holds the sha256 of each image's decoded pixels, (N, 32) uint8, in the order of the features;
    `indices`, int64 (N,), which image of the set each row of the features is.
    decode_seconds: the time spent waiting for images; 0 where the features came from the cache.
    """

    digests: np.ndarray
    indices: np.ndarray
    sizes: Counter[str] = field(default_factory=Counter)
    formats: Counter[str] = field(default_factory=Counter)
    treatments: Counter[str] = field(default_factory=Counter)
    skipped: tuple[str, ...] = ()
    decode_seconds: float = 0.0


@dataclass(frozen=True)
class Features:
    """One row per image from one extractor.

    pooled: float32 (N, D). logits: float32 (N, C), or None where the network has no classes.
    fingerprint: network, weights, resize and precision; numbers of different fingerprints are never compared.
    labels: int64 (N,) indices into class_names, or None. survey: what the images looked like, where known.
    """

    pooled: Tensor
    logits: Tensor | None
    fingerprint: str
    labels: Tensor | None = None
    class_names: tuple[str, ...] = ()
    survey: Survey | None = None

    def __post_init__(self) -> None:
        for name, shape, ndim in (("pooled", "(N, D)", 2), ("logits", "(N, C)", 2), ("labels", "(N,)", 1)):
            rows = getattr(self, name)
            if rows is None and name != "pooled":
                continue
            if not (isinstance(rows, Tensor) and rows.ndim == ndim and len(rows) == len(self.pooled)):
                got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
                of = "" if name == "pooled" else f" for {len(self.pooled)} rows"
                raise GanevalError(f"Features want {name} as a tensor {shape}{of}, got {got}")

    def __len__(self) -> int:
        return len(self.pooled)

    def __getitem__(self, which: Tensor | slice | Sequence[int]) -> Features:
        """The features of some rows: numbers in any order, a slice or a mask; the survey's counts stay whole.

        Raises IndexError for rows that are not there, TypeError for what names no list of rows, such as one number.
        """
        chosen = np.arange(len(self))[which.cpu().numpy() if isinstance(which, Tensor) else which]
        if chosen.ndim != 1:
            raise TypeError(f"features[{which!r}] is no list of rows; give a slice, numbers or a mask")
        rows = torch.from_numpy(chosen.copy())
        survey = self.survey
        if survey:
            kept = rows.cpu().numpy()
            survey = replace(survey, digests=survey.digests[kept], indices=survey.indices[kept])
        return replace(
            self,
            pooled=self.pooled[rows],
            logits=None if self.logits is None else self.logits[rows],
            labels=None if self.labels is None else self.labels[rows],
            survey=survey,
        )


def check_features(**sides: Any) -> None:
    """Raises GanevalError for what is neither Features nor None."""
    for name, given in sides.items():
        if not isinstance(given, Features | None):
            raise GanevalError(f"{name} is a {type(given).__name__}; give Features: of images ganeval.extract(images), "
                               "of rows that you have ganeval.Features(rows, None, 'mine')")  # fmt: skip


@dataclass(frozen=True)
class Moments:
    """Mean (D,) and unbiased covariance (D, D) of features, float64; what a statistics file holds.

    n, fingerprint and the extractor's name are None where the file does not say (pytorch-fid writes none of them).
    features: the rows themselves, in place, where the file keeps them; metrics that moments are enough for never read
    them.
    """

    mean: Tensor
    cov: Tensor
    n: int | None = None
    fingerprint: str | None = None
    extractor: str | None = None
    features: Features | None = None

    def to(self, device: torch.device) -> Moments:
        """The same, in float64, on that device."""
        return replace(self, mean=self.mean.to(device).double(), cov=self.cov.to(device).double())


@dataclass(frozen=True)
class Estimate:
    """A metric's value with its uncertainty.

    std_error and interval (at LEVEL) are None where no valid formula is known; `details` then says why.
    details: further numbers and the conventions used, JSON-able.
    """

    value: float
    std_error: float | None = None
    interval: tuple[float, float] | None = None
    n_fake: int | None = None
    n_real: int | None = None
    details: dict[str, Any] = field(default_factory=dict)

    def __float__(self) -> float:
        return self.value

    def __format__(self, spec: str) -> str:
        return format(self.value, spec) if spec else str(self)


class Extractor(Protocol):
    """A network that turns images into features. It owns its resize.

    fingerprint names network, weights, resize and version, e.g. "inception-2015-12-05/6726825d/tf1-bilinear299/v1".
    verified: the weights are the published ones, checked by sha256 (or the network has none).
    """

    name: str
    fingerprint: str
    verified: bool
    weights_sha256: str | None

    def resize(self, images: Tensor) -> Tensor:
        """Maps uint8 RGB (B, 3, H, W) to the network's float32 input (B, ...), on the same device."""
        ...

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        """Maps what `resize` returned to pooled features (B, D) and logits (B, C) or None."""
        ...

    def to(self, device: Any) -> Extractor:
        """Moves the network to a torch device."""
        ...


ExtractorLike = str | Extractor | Callable[[Tensor], Any]
"""A registered name, an Extractor, or a function or nn.Module, uint8 (B, 3, H, W) -> (B, D) or ((B, D), (B, C))."""
