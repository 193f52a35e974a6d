"""What one image does to a metric: the influences from which the variance of a difference is made.

A metric T of N fakes and M real images is, to first order, its limit plus the mean of the fakes' influences plus the
mean of the real images'. They are found in closed form (infinitesimal jackknife), or as (N - 1)(T - T without image i)
(jackknife); either way their variance over N, plus the real images' over M, is T's. It errs to the large side: noise in
the influences adds to it, and the jackknife's is never too small on average (Efron and Stein, 1981, Ann. Stat. 9:586).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.metrics.class_scores import parts, softmax
from ganeval.metrics.diversity import vendi as vendi_score
from ganeval.metrics.frechet import ROWS_PER_DIMENSION, debiased, fitted
from ganeval.metrics.kernel import cmmd_kernel, gaussian, kid_kernel, squared_bandwidth
from ganeval.numerics.first_order import linearise
from ganeval.numerics.fitted import HALVINGS
from ganeval.numerics.mmd import Kernel, Sums, Tally
from ganeval.numerics.pairwise import Centred, one_pass
from ganeval.types import Moments

GROUPS = 25


@dataclass(frozen=True)
class Influence:
    """A metric's value, the influence of each fake (n,) and of each real image (m,), or of some drawn at random.

    images: how many fakes in all, where the influences are those of n groups of them.

    real: None where the metric has no reference, or an exact one. Neither need be centred.
    second: the variance of second order in which the fakes take part. Estimated influences count it twice; in truth it
    is there `kept` times: once in the metric itself, more where random halves enter.
    noise: where it is known, what the other side's sampling adds to the variance of the fakes' influences over n, and
    of the real images' over m.
    root: the metric is the square root of what value, influences and second describe.
    """

    value: float
    n: int
    fake: Tensor
    m: int = 0
    real: Tensor | None = None
    second: float = 0.0
    kept: float = 1.0
    noise: tuple[float, float] = (0.0, 0.0)
    root: bool = False
    images: int | None = None


def frechet(
    fake: Tensor, real: Tensor | Moments, wanted: Mapping[str, Mapping[str, Any]]
) -> dict[str, Influence]:  # fmt: skip
    """Of fid and fid_debiased, {name: its options}, by the delta method; needs more images than features.

    Both have the same first order; the halves of a set, which the second takes, add to the second order.
    """
    fewest = min(len(fake), len(real) if isinstance(real, Tensor) else len(fake))
    if "fid_debiased" in wanted and fewest < ROWS_PER_DIMENSION * fake.shape[1]:
        raise GanevalError(f"needs {ROWS_PER_DIMENSION} images for each of the {fake.shape[1]} features")
    x, y = fitted(fake, real, wanted)
    linear = linearise(x, y)
    if linear is None:
        raise GanevalError(f"needs more images in each set than the {fake.shape[1]} features, and covariances of full "
                           "rank")  # fmt: skip
    rate = 1 / linear.n**2 + 2 / (linear.n * linear.m)
    second = rate * linear.second_order()[1]
    m = 0 if linear.real is None else int(linear.m)
    plain = Influence(linear.distance, int(linear.n), linear.fake, m, linear.real, second)
    found = {"fid": plain} if "fid" in wanted else {}
    if "fid_debiased" in wanted:
        estimate = debiased(x, y, linear.distance, linear)
        found["fid_debiased"] = replace(plain, value=estimate.value, kept=1 + 1 / HALVINGS)
    return found


def kernels(fake: Tensor, real: Tensor, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Influence]:
    """Of kid, mmd and cmmd, {name: its options}, from one pass over all pairs.

    kid is the unbiased estimate from all pairs: the published subsets would only add their noise. The bandwidth of
    mmd, which the reference sets, is as given.
    """
    sides = Centred.both(fake, real)
    tallies = {name: Tally(*sides, _kernel(name, *sides, options)) for name, options in wanted.items()}
    one_pass(*sides, list(tallies.values()))
    found = {}
    for name, tally in tallies.items():
        biased = name == "cmmd" or not wanted[name].get("unbiased", True)
        found[name] = _mmd(tally.sums(), 1000 if name == "cmmd" else 1, biased=biased, root=name == "mmd" and biased)
    return found


def _kernel(name: str, x: Centred, y: Centred, options: Mapping[str, Any]) -> Kernel:
    if name == "kid":
        return kid_kernel(x, y, options["degree"], options["gamma"], options["coef"])
    if name == "cmmd":
        return cmmd_kernel(x, y, options["sigma"])
    if options["bandwidth"] == "median":
        raise GanevalError("bandwidth=median depends on the fakes, so the two kernels differ")
    return gaussian(squared_bandwidth(x.rows, y.rows, options["bandwidth"], options["sigma"]))


def _mmd(sums: Sums, scale: float, *, biased: bool, root: bool) -> Influence:
    x, y = sums.influences()
    value = max(0.0, sums.biased()) if biased else sums.unbiased()
    second = scale**2 * sums.second_order()[0]
    return Influence(scale * value, len(x), scale * x, len(y), scale * y, second, root=root)


def inception_score(logits: Tensor, *, splits: int, shuffle: bool, seed: int) -> Influence:
    """Jackknife within each split, exact."""
    n = len(logits)
    if 1 <= splits <= n < 2 * splits:
        raise GanevalError(f"splits={splits} of {n} images leave fewer than 2 in a split")
    scores, influences = [], torch.empty(n, dtype=torch.float64, device=logits.device)
    for part in parts(n, splits, shuffle, seed):
        p, negentropy = softmax(logits[part])
        score = (negentropy.mean() - _negentropy(p.mean(0))).exp()
        without = (_means_without(negentropy) - _negentropy(_means_without(p))).exp()
        scores.append(float(score))
        # Weighted so that the variance over all images, over n, is that of the mean over the splits.
        change = (len(p) - 1) * (score - without)
        influences[part] = (change - change.mean()) * n / (len(p) * splits)
    return Influence(sum(scores) / splits, n, influences)


def mode_score(fake: Tensor, real: Tensor, *, form: str) -> Influence:
    """Jackknife, exact."""
    if form not in ("paper", "che"):
        raise GanevalError(f"form={form!r} of mode_score; give 'paper' or 'che'")
    (p, negentropy), q = softmax(fake), real.double().softmax(1)

    def score(negentropy: Tensor, p: Tensor, q: Tensor) -> Tensor:
        if form == "paper":
            return (negentropy - 2 * _negentropy(p) + torch.xlogy(p, q).sum(-1)).exp()
        return (negentropy - torch.xlogy(p, q).sum(-1) - _negentropy(q) + torch.xlogy(q, p).sum(-1)).exp()

    value = score(negentropy.mean(), p.mean(0), q.mean(0))
    without_fake = score(_means_without(negentropy), _means_without(p), q.mean(0))
    without_real = score(negentropy.mean(), p.mean(0), _means_without(q))
    by_fake, by_real = (len(p) - 1) * (value - without_fake), (len(q) - 1) * (value - without_real)
    return Influence(float(value), len(p), by_fake, len(q), by_real)


def _negentropy(p: Tensor) -> Tensor:
    return torch.xlogy(p, p).sum(-1)


def _means_without(rows: Tensor) -> Tensor:
    """The mean of all rows but one, for each one; of probabilities, which rounding must not make negative, too."""
    means = (rows.sum(0) - rows) / (len(rows) - 1)
    return means.clamp(min=0) if rows.ndim > 1 else means


def vendi(fake: Tensor, *, order: float) -> Influence:
    """Jackknife over GROUPS groups of images: slopes of the eigenvalues gave standard errors a little too small."""
    if len(fake) < 2 * GROUPS:
        raise GanevalError(f"needs {2 * GROUPS} images, for {GROUPS} groups to be left out in turn")
    group = torch.arange(len(fake), device=fake.device) % GROUPS
    value = vendi_score(fake, order=order).value
    without = [vendi_score(fake[group != i], order=order).value for i in range(GROUPS)]
    change = (GROUPS - 1) * (value - torch.tensor(without, dtype=torch.float64))
    return Influence(value, GROUPS, change, images=len(fake))
