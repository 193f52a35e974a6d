"""Can the fakes be judged at all? Precision and the classifier's confidence, against handfuls of real images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.metrics._pairwise import squared_distances

HANDFUL = 10
FLOOR = 0.01
LEAST_REALISTIC = 2 / 3
NEIGHBOUR, WIDEST = 3, 0.9


@dataclass(frozen=True)
class Fidelity:
    """The share of images that can be judged, of the fakes and of real ones, and the floor.

    realistic_*: within the real manifold, and classified with the confidence that all but 1% of real images have.
    precision: within the real manifold alone. unsure: the share under that confidence, None without logits.
    """

    realistic_fake: float
    realistic_real: float
    floor: float
    precision: float
    unsure: float | None

    @property
    def low(self) -> bool:
        return self.realistic_fake < self.floor

    @property
    def unreadable(self) -> float:
        """The share of fakes, beyond what real images have, whose class says nothing."""
        return max(0.0, 1 - self.realistic_fake / self.realistic_real) if self.realistic_real else 0.0


def judge(
    fake: Tensor, real: Tensor, held_out: Tensor, sure_fake: Tensor | None, sure_real: Tensor | None,
    random: np.random.Generator,
) -> Fidelity:  # fmt: skip
    """Precision of the fakes (N, D) and of real images (M, D) against held-out ones, and the floor.

    An image is realistic if it lies within the distance from some held-out image to its third neighbour (precision,
    Kynkäänniemi et al., 2019, arXiv:1904.06991) and the classifier is sure of it (bool (N,), (M,)). Differs from the
    paper: the widest tenth of the radii are cut to the 90% quantile, for all of a heap of noise often lies in the ball
    of one outlier. The floor is the
    1% quantile of the realistic share of HANDFUL real images drawn with replacement. A handful, not N: at large N,
    a floor for N images would call every generator but a perfect one unrealistic. Nor is the floor under two thirds of
    the real share: handfuls vary much where real images are often outside the manifold themselves.
    """
    radii = squared_distances(held_out, held_out).fill_diagonal_(torch.inf).kthvalue(NEIGHBOUR, dim=1).values
    radii = radii.clamp(max=radii.quantile(WIDEST))
    near, near_real = ((squared_distances(rows, held_out) <= radii).any(1) for rows in (fake, real))
    good, good_real = near, near_real
    if sure_fake is not None and sure_real is not None:
        good, good_real = near & sure_fake, near_real & sure_real
    share = float(good_real.double().mean())
    drawn = random.choice(good_real.double().numpy(), (10_000, HANDFUL)).mean(1)
    return Fidelity(
        float(good.double().mean()),
        share,
        max(float(np.quantile(drawn, FLOOR)), LEAST_REALISTIC * share),
        float(near.double().mean()),
        None if sure_fake is None else float((~sure_fake).double().mean()),
    )
