"""Missing modes by a classifier's probabilities: label shift, which takes the classifier's errors into account."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

from ganeval.collapse.fidelity import excess
from ganeval.collapse.similarity import permutations, permuted_labels

STARVED = 0.5
DROPPED = 0.1
"""A class is missing where its share of the fakes is under this part of its share of the real images."""
LOSSES = {"dropped": 0.0, "quarter": 0.25, "half": 0.5}
STEPS, CHANGE = 200, 1e-4
BLOCK = 200
"""So many classes, or permutations, at a time."""


@dataclass(frozen=True)
class Shift:
    """Each class's share of the fakes over its share of the real images (K,), and its adjusted p-value.

    NaN for classes that could not be found missing. masses: the ratios of the mean probabilities as they are (K,),
    which a classifier's errors keep from 0 where a class is missing. unclear: the share of fakes in excess of what real
    images of the same classes have that the classifier is less sure of. power: for each of LOSSES the chance that it is
    found (K,).
    """

    ratios: np.ndarray
    masses: np.ndarray
    p_values: np.ndarray
    unclear: float
    power: dict[str, np.ndarray]


def label_shift(fake: Tensor, real: Tensor, random: np.random.Generator, level: float) -> Shift:
    """Permutation tests that a class has too few fakes, and the ratios of the shares.

    fake, real: p(y | x), (N, K) and (M, K). A class's statistic t is the mean of `log_ratios` over the fakes less that
    over the real images, in standard errors: the most powerful one, if the probabilities are right and the other
    classes keep their proportions (Neyman and Pearson). The largest t - e / 2 over the classes is what each is held
    against (max-T; Westfall and Young, 1993), e being what is expected of t if the class is dropped. Held against the
    largest t instead, classes that the classifier knows badly would hide behind those that it knows well; and half of
    e is about STARVED, so that large sets lose nothing. Classes of which e is under the normal quantile at `level` are
    left out. All of this but t depends on the pooled images alone, and labels are exchangeable if both sets come from
    one distribution, so the error rate holds at any N and M and with any classifier: wrong probabilities cost power.

    The ratios and `unclear` take the classes that are left out as one.
    level: what the p-values will be held against; it sets the number of permutations.
    """
    n, m = len(fake), len(real)
    pooled = torch.cat([fake, real])
    parts = [_moments(log_ratios(p, p.mean(0)), 1.0, n, m) for p in pooled.split(BLOCK, 1)]
    error, expected = (torch.cat(columns) for columns in zip(*parts, strict=True))
    tested = expected >= -ndtri(level)
    ratios, p_values = torch.full_like(expected, torch.nan), torch.full_like(expected, torch.nan)
    if not tested.any():
        none = ratios.numpy()
        return Shift(none, none, p_values.numpy(), 0.0, {name: np.zeros(len(none)) for name in LOSSES})
    some = pooled[:, tested]
    scores = log_ratios(some, some.mean(0)) / error[tested]
    scores -= scores.mean(0)
    labels = permuted_labels(n, n + m, permutations(level), random)
    # The mean of the fakes less that of the others, for scores whose sum is 0.
    t = torch.cat([part.to(scores.dtype) @ scores for part in labels.split(BLOCK)]) * (1 / n + 1 / m)
    beyond = t - expected[tested] / 2
    largest = beyond.amax(1)
    p_values[tested] = (largest[:, None] >= beyond[0]).double().mean(0)
    a, b = (torch.cat([p[:, tested], p[:, ~tested].sum(1, keepdim=True)], 1) for p in (fake, real))
    found = estimated_ratios(a, b)
    ratios[tested] = found[:-1]
    limit = float(largest[1:].quantile(1 - level))
    power = {
        name: torch.cat([found_at(p, ratio, n, limit) for p in real.split(BLOCK, 1)]).where(tested, 0.0).numpy()
        for name, ratio in LOSSES.items()
    }
    masses = (fake.mean(0) / real.mean(0)).numpy()
    return Shift(ratios.numpy(), masses, p_values.numpy(), unclear(a, b, found), power)


def thinned(p: Tensor, pi: Tensor, ratio: float) -> Tensor:
    """The density of images of which a class has only `ratio` of its share pi, over that of all: r p + s (1 - p).

    p: (N, K), one result a class; s = (1 - r pi) / (1 - pi) is what the others, in proportion, then have of theirs.
    """
    others = torch.where(pi < 1, (1 - ratio * pi) / (1 - pi), 1.0)
    return ratio * p + others * (1 - p)


def log_ratios(p: Tensor, pi: Tensor) -> Tensor:
    """log of the density with classes at DROPPED of their share over that of all images, (N, K)."""
    return thinned(p, pi, DROPPED).log()


def _moments(scores: Tensor, weights: Tensor | float, n: int, m: int) -> tuple[Tensor, Tensor]:
    """The standard error (K,) of the mean of n scores less that of m others, and e, what a dropped class has.

    scores, weights: (N, K); the mean of the weights is 1. Reweighting the images by exp(scores) gives the fakes DROPPED
    of the pooled share; as they are part of the pooled images, the real share is (n + m) / (m + DROPPED n) of it.
    """
    mean = (weights * scores).mean(0)
    variance = (weights * (scores - mean).square()).mean(0)
    error = (variance * (1 / n + 1 / m)).sqrt()
    gap = ((weights * scores.exp() * scores).mean(0) - mean) * (n + m) / (m + DROPPED * n)
    return error, torch.where(error > 0, gap / error, 0.0)


def found_at(real: Tensor, ratio: float, n: int, limit: float) -> Tensor:
    """The chance (K,) that a class at `ratio` of its share is found, by a normal approximation to its statistic.

    Moments are those of the real images (M, K), reweighted by `thinned` for the fakes. limit: what t - e / 2 must
    reach. The estimated ratio must be under STARVED besides, which is taken for a t above what STARVED gives.
    """
    m, pi = len(real), real.mean(0)
    fake, border = thinned(real, pi, ratio), thinned(real, pi, STARVED)
    weights = (m + n * fake) / (n + m)
    scores = log_ratios(real, (weights * real).mean(0))
    error, expected = _moments(scores, weights, n, m)
    mean, mean_real = (fake * scores).mean(0), scores.mean(0)
    spread = ((fake * (scores - mean).square()).mean(0) / n + scores.var(0, correction=0) / m).sqrt()
    needed = torch.maximum((limit + expected / 2) * error, (border * scores).mean(0) - mean_real)
    return torch.where(spread > 0, torch.special.ndtr((mean - mean_real - needed) / spread), 0.0)


def estimated_ratios(fake: Tensor, real: Tensor) -> Tensor:
    """Each class's share of the fakes over its share of the real images (K,), by maximum likelihood.

    fake, real: p(y | x), (N, K) and (M, K). Under label shift, where a class looks alike in both sets, fakes of shares
    w have the density real(x) sum_y w_y / pi_y p(y | x), with pi the real shares, the mean of p(y | x). EM finds the w
    of the largest likelihood (Saerens, Latinne and Decaestecker, 2002), which is concave; of the real images themselves
    it is pi, however wrong the probabilities. One-hot ones give the ratio of the counts.
    EM ends after STEPS, or when the shares change by less than CHANGE in sum. A class without real images has inf.
    """
    w = pi = real.mean(0)
    densities = torch.where(pi > 0, fake / pi, 0.0)
    for _ in range(STEPS):
        mixture = densities @ w
        before, w = w, w * (torch.where(mixture > 0, 1 / mixture, 0.0) @ densities) / len(fake)
        if (w - before).abs().sum() < CHANGE:
            break
    return torch.where(pi > 0, w / pi, math.inf)


def unclear(fake: Tensor, real: Tensor, ratios: Tensor) -> float:
    """The share of the fakes that the classifier is less sure of than of real images of the same classes (`excess`).

    The real images are reweighted to the ratios (K,), and the probabilities of both, (N, K) and (M, K), are what they
    become at those: p(y | x) r_y, normalised. It is near 0 whatever classes are missing, but not under noise or blur.
    """
    present = torch.where(ratios.isfinite(), ratios, 0.0)
    a, b = fake * present, real * present
    sure, sure_real = (torch.where(p.sum(1) > 0, p.amax(1) / p.sum(1), 0.0) for p in (a, b))
    return excess(sure, sure_real, weights=b.sum(1))
