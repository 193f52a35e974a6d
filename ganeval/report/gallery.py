"""What a report shows besides numbers: pictures by row, and both feature sets in a plane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor

from ganeval.collapse import CollapseReport
from ganeval.memorisation import MemorisationReport
from ganeval.report.pictures import Tile, thumbnails
from ganeval.sides import Side
from ganeval.types import Features

SHOWN = 64
POINTS = 1000
ROUNDING = 1e-10
"""A second axis with less than this part of the first one's variance is rounding."""


@dataclass(frozen=True)
class Plane:
    """Features of both sets, (N, 2) and (M, 2), on the first two principal axes of the real ones.

    share: the part of the real images' variance that lies in the plane.
    """

    fake: Tensor
    real: Tensor
    share: float


@dataclass(frozen=True)
class Gallery:
    """Thumbnails by row of the features; empty where a set was given as features or statistics.

    fake_grid, real_grid: the rows drawn at random to show what each set looks like.
    """

    fake: Mapping[int, Tile] = field(default_factory=dict)
    real: Mapping[int, Tile] = field(default_factory=dict)
    train: Mapping[int, Tile] = field(default_factory=dict)
    fake_grid: tuple[int, ...] = ()
    real_grid: tuple[int, ...] = ()
    plane: Plane | None = None


def collect(
    fake: Side, real: Side | None, train: Side | None, collapse: CollapseReport | None,
    memorisation: MemorisationReport | None, seed: int,
) -> Gallery:  # fmt: skip
    """The pictures that the verdicts name, a random SHOWN of each set, and the plane."""
    near = [row for i, j, _ in collapse.duplicates for row in (i, j)] if collapse else []
    missing = [row for mode in collapse.too_few for row in mode.examples] if collapse else []
    copies = memorisation.pairs if memorisation else ()
    fake_grid, real_grid = _draw(fake, seed), _draw(real, seed)
    reference = real.data if real and isinstance(real.data, Features) else None
    return Gallery(
        _tiles(fake, [*fake_grid, *near, *(pair.fake for pair in copies)]),
        _tiles(real, [*real_grid, *missing]),
        _tiles(train, [pair.train for pair in copies]),
        fake_grid,
        real_grid,
        None if reference is None else project(fake.features.pooled, reference.pooled, seed),
    )


def _draw(side: Side | None, seed: int) -> tuple[int, ...]:
    if side is None or side.images is None:
        return ()
    n = len(side.features)
    return tuple(np.random.default_rng(seed).permutation(n)[:SHOWN].tolist())


def _tiles(side: Side | None, rows: Iterable[int]) -> dict[int, Tile]:
    if side is None or side.images is None or side.features.survey is None:
        return {}
    return thumbnails(side.images, side.features.survey, dict.fromkeys(rows))


def project(fake: Tensor, real: Tensor, seed: int) -> Plane | None:
    """Features (N, D) and (M, D) in the plane of the real ones' largest variance, a random POINTS of each.

    The axes are the first two principal components of the real images shown, by the eigenvectors of their covariance,
    or of their inner products where they are fewer than the dimensions. None where there is no plane: under three real
    images, one dimension, no variance, NaN.
    """
    random = np.random.default_rng(seed)
    x, y = (rows[random.permutation(len(rows))[:POINTS]].cpu().double().numpy() for rows in (fake, real))
    size = min(y.shape)
    if size < 2 or not (np.isfinite(x).all() and np.isfinite(y).all()):
        return None
    centred = y - y.mean(0)
    products = centred.T @ centred if size == y.shape[1] else centred @ centred.T
    variances, vectors = eigh(products, subset_by_index=[size - 2, size - 1])
    if not variances[0] > ROUNDING * variances[1]:
        return None
    axes = vectors if size == y.shape[1] else centred.T @ vectors / np.sqrt(variances)
    # The largest first; the decomposition leaves the signs open.
    axes = axes[:, ::-1] * np.sign(axes[np.abs(axes).argmax(0), [0, 1]])[::-1]
    share = float(variances.sum() / np.trace(products))
    return Plane(torch.from_numpy((x - y.mean(0)) @ axes), torch.from_numpy(centred @ axes), share)
