"""Can the fakes be judged at all? Precision and the classifier's confidence, against handfuls of real images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.numerics.pairwise import squared_distances

HANDFUL = 10
"""Real images whose realistic share is what fakes are asked for."""
FLOOR = 0.01
"""Share of real images, and of handfuls, that may be worse: the confidence and the floor are these quantiles."""
LEAST_REALISTIC = 2 / 3
"""Of the real share, under which the floor never lies."""
NEIGHBOUR, WIDEST = 3, 0.9
"""The neighbour that a real image's ball reaches to, and the quantile that the widest balls are cut to."""


@dataclass(frozen=True)
class Fidelity:
    """The share of images that can be judged, of the fakes and of real ones, and the floor.

    realistic_*: within the real manifold, and classified with the confidence that all but 1% of real images have.
    precision: within the real manifold alone. unsure: the share under that confidence, None without logits.
    far, unclear: the share of fakes in excess of what real images have that lie far from real images, and that the
    classifier is less sure of (`excess`; where it tells the classes, `shift.unclear`); unclear is 0 without logits.
    """

    realistic_fake: float
    realistic_real: float
    floor: float
    precision: float
    unsure: float | None
    far: float
    unclear: float

    @property
    def low(self) -> bool:
        return self.realistic_fake < self.floor

    @property
    def unreadable(self) -> float:
        """The share of fakes, beyond what real images have, whose class says nothing."""
        unreal = max(0.0, 1 - self.realistic_fake / self.realistic_real) if self.realistic_real else 0.0
        return max(unreal, self.far)


@dataclass(frozen=True)
class Confidence:
    """The largest class probability of each fake (N,), real image (M,) and held-out one (H,)."""

    fake: Tensor
    real: Tensor
    held_out: Tensor


def excess(fake: Tensor, real: Tensor, weights: Tensor | None = None) -> float:
    """The least share of the fakes (N,) that must be raised so that they are nowhere below the real values (M,).

    Smirnov's one-sided statistic, sup F_fake - F_real, less its median where both come from one distribution,
    (ln 2 / 2 (1 / N + 1 / M))^(1/2) by his limit; at least 0.
    weights: of the real values (M,), equal ones if None. M is then Kish's effective number, (sum w)^2 / sum w^2.
    """
    values = torch.cat([fake, real]).sort().values
    w = torch.ones_like(real) if weights is None else weights
    above = _distribution(fake, torch.ones_like(fake), values) - _distribution(real, w, values)
    median = math.sqrt(math.log(2) / 2 * (1 / len(fake) + float(w.square().sum() / w.sum() ** 2)))
    return max(0.0, float(above.max()) - median)


def _distribution(rows: Tensor, weights: Tensor, at: Tensor) -> Tensor:
    """The weighted share of the rows (N,) that are at most each of `at`."""
    ordered, order = rows.sort()
    summed = torch.cat([weights.new_zeros(1), weights[order].cumsum(0)])
    return summed[torch.searchsorted(ordered, at, right=True)] / summed[-1]


def judge(
    fake: Tensor, real: Tensor, held_out: Tensor, confidence: Confidence | None, random: np.random.Generator
) -> Fidelity:
    """Precision of the fakes (N, D) and of real images (M, D) against held-out ones, and the floor.

    An image is realistic if it lies within the distance from some held-out image to its third neighbour (precision,
    Kynkäänniemi et al., 2019, arXiv:1904.06991) and the classifier is as sure of it as of all but 1% of the held-out
    images. Differs from the paper: the widest tenth of the radii are cut to the 90% quantile, for all of a heap of
    noise often lies in the ball of one outlier.

    The floor is the 1% quantile of the realistic share of HANDFUL real images drawn with replacement. A handful, not N:
    at large N, a floor for N images would call every generator but a perfect one unrealistic. Nor is the floor under
    two thirds of the real share: handfuls vary much where real images are often outside the manifold themselves. The
    rates of wrong verdicts that come of these numbers are in docs/calibration.md.
    """
    radii = squared_distances(held_out, held_out).fill_diagonal_(torch.inf).kthvalue(NEIGHBOUR, dim=1).values
    radii = radii.clamp(max=radii.quantile(WIDEST))
    to_fake, to_real = (squared_distances(rows, held_out) for rows in (fake, real))
    near, near_real = ((distances <= radii).any(1) for distances in (to_fake, to_real))
    good, good_real, unsure, unclear = near, near_real, None, 0.0
    if confidence:
        limit = confidence.held_out.quantile(FLOOR)
        good, good_real = near & (confidence.fake >= limit), near_real & (confidence.real >= limit)
        unsure = float((confidence.fake < limit).double().mean())
        unclear = excess(confidence.fake, confidence.real)
    share = float(good_real.double().mean())
    drawn = random.choice(good_real.double().numpy(), (10_000, HANDFUL)).mean(1)
    return Fidelity(
        float(good.double().mean()),
        share,
        max(float(np.quantile(drawn, FLOOR)), LEAST_REALISTIC * share),
        float(near.double().mean()),
        unsure,
        excess(-to_fake.amin(1), -to_real.amin(1)),
        unclear,
    )
