"""Copying of the training set: authenticity and the C_T statistic.

Both need the very images that the generator was trained on; `ct` needs held-out real images too.
"""

from __future__ import annotations

import math

import numpy as np
import scipy  # its stats, which take a second to import, come where they are asked for
import torch
from scipy.linalg import eigh
from scipy.special import ndtr
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.fp32 import true_fp32
from ganeval.numerics.inputs import Array, pair
from ganeval.numerics.intervals import binomial
from ganeval.numerics.kmeans import kmeans
from ganeval.numerics.moments import moments
from ganeval.numerics.nearest import nearest
from ganeval.types import Estimate

FEW = 20
"""A cell counts in C_T if more fakes than this lie in it."""


@true_fp32()
def authenticity(fake: Array, train: Array) -> Estimate:
    """The share of fakes that are no noisy copies of a training image (Alaa et al., 2022, arXiv:2102.08921); higher.

    A fake g (N, D) whose nearest training image is t (of M, D) is authentic if another training image is nearer to t
    than g is: min_{s != t} |t - s| < |t - g|. Range 0 to 1. Honest fakes are not all authentic: images drawn from the
    training set's own distribution score 0.4 to 0.9, more the more features there are (docs/metrics.md), so compare
    with held-out real images in the place of the fakes.
    Falls with copies, but also with fakes that lie between the training images, as blurred or averaged ones do.

    A copy of a training image that is in the training set twice has 0 < 0: not authentic. Other implementations give
    percent, or percent less 50. std_error: binomial over the fakes; interval: Wilson's; the training set as given.
    Raises GanevalError for unequal D, under 2 images, NaN or infinity.
    """
    x, t = pair(fake, train, names=("fake", "train"))
    distances, rows = nearest(x, t, 1)
    return authentic(distances[:, 0], rows[:, 0], t)


def authentic(distances: Tensor, rows: Tensor, train: Tensor) -> Estimate:
    """`authenticity` of fakes whose distances (N,) to their nearest training images, and those rows (N,), are known."""
    copied, which = rows.unique(return_inverse=True)
    to_next, _ = nearest(train[copied], train, 1, leave_out=copied)
    n = len(rows)
    share = int((to_next[:, 0][which] < distances).sum()) / n
    std_error, interval = binomial(share, n)
    return Estimate(share, std_error, interval, n, None, {"n_train": len(train)})


@true_fp32()
def ct(
    fake: Array, train: Array, test: Array, *, cells: int = 3, components: int = 64, seed: int = 0
) -> Estimate:  # fmt: skip
    """C_T of the data-copying test (Meehan et al., 2020, arXiv:2004.05675): a z-score, best at 0.

    Far below 0: the fakes (N, D) are nearer to the training images (M, D) than the held-out test images (K, D) are,
    so they copy. Far above 0: they are further away, so they underfit. k-means parts the training images into cells;
    in cell c let U be the number of pairs (fake, test image) in which the fake is further from its nearest training
    image of the cell, ties for half, and n_c, k_c the numbers of fakes and test images:

    z_c = (U - (n_c k_c / 2 - 0.5)) / sqrt(n_c k_c (n_c + k_c + 1) / 12),   C_T = sum_c k_c z_c / sum_c k_c

    over the cells with test images and more than FEW fakes; `details` has them, and the share of test images in them.
    Where D > components, all are projected on the training set's first principal components, as in the paper's work
    with Inception features; 3 cells as in dgm-eval. Ties do not shrink the denominator, as in the paper.

    The cells depend on k-means, so the number does on the seed and, somewhat, on the machine's arithmetic. One part
    of copies among honest fakes hardly moves it, and it falls for fakes that lie in dense places, as collapsed or
    smoothed ones do: below 0 is not copying by itself. Grows with sqrt(N): compare only at equal N and K.
    No standard error; `details` has the p-value that it is so low by chance, from normal z_c, independent over cells.
    Raises GanevalError for unequal D, under 2 images, NaN or infinity, cells < 1, fewer training images than cells, or
    where no cell counts.
    """
    x, t = pair(fake, train, names=("fake", "train"))
    y, _ = pair(test, train, names=("test", "train"))
    if not 1 <= cells <= len(t) or components < 1:
        raise GanevalError(
            f"ct needs 1 to {len(t)} cells, for there are {len(t)} training images, and 1 component or more; "
            f"got cells={cells}, components={components}"
        )
    x, t, y = _projected(components, x, t, y.to(x.device, x.dtype))
    in_fake, in_train, in_test = _cells(cells, seed, x, t, y)
    counted = []
    for cell in range(cells):
        a, b = x[in_fake == cell], y[in_test == cell]
        if len(b) and len(a) > FEW:
            inside = t[in_train == cell]
            z = rank_z(*(nearest(rows, inside, 1)[0][:, 0].cpu().numpy() for rows in (a, b)))
            counted.append({"z": z, "n_fake": len(a), "n_test": len(b), "n_train": len(inside)})
    if not counted:
        raise GanevalError(f"ct needs more than {FEW} fakes in one of its {cells} cells; give more images")
    weights = np.array([cell["n_test"] for cell in counted]) / sum(cell["n_test"] for cell in counted)
    value = float(weights @ [cell["z"] for cell in counted])
    details = {
        "cells": counted, "share_of_test": sum(cell["n_test"] for cell in counted) / len(y), "n_train": len(t),
        "p_value": float(ndtr(value / math.sqrt(weights @ weights))),
        "no_interval": "a test statistic: its value under copying depends on N and K",
    }  # fmt: skip
    return Estimate(value, None, None, len(x), len(y), details)


def rank_z(fake: np.ndarray, test: np.ndarray) -> float:
    """Mann-Whitney's U of distances (n,) against (k,) as a z-score: below 0 where the fakes' are the smaller ones."""
    n, k = len(fake), len(test)
    u = scipy.stats.rankdata(np.concatenate([fake, test]))[:n].sum() - n * (n + 1) / 2
    return float((u - (n * k / 2 - 0.5)) / math.sqrt(n * k * (n + k + 1) / 12))


def _projected(components: int, x: Tensor, t: Tensor, y: Tensor) -> tuple[Tensor, ...]:
    """All three on the first principal components of the training rows t, where they have more columns."""
    width = t.shape[1]
    if width <= components:
        return x, t, y
    data = moments(t)
    _, vectors = eigh(data.cov.cpu().numpy(), subset_by_index=[width - components, width - 1])
    axes = torch.from_numpy(vectors).to(t.device)
    return tuple(torch.cat([(b.double() - data.mean) @ axes for b in rows.split(1024)]) for rows in (x, t, y))


def _cells(cells: int, seed: int, x: Tensor, t: Tensor, y: Tensor) -> list[Tensor]:
    """The cell of each row of x, t and y, by k-means on t."""
    arrays = [rows.cpu().double().numpy() for rows in (x, t, y)]
    means = kmeans(arrays[1], cells, n_init=10, seed=seed)
    return [torch.from_numpy(means.predict(rows)).to(x.device) for rows in arrays]
