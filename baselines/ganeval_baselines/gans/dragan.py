"""DRAGAN: the gradient penalty around the real images."""

import torch
from torch import Tensor

from ganeval_baselines import losses
from ganeval_baselines.base import GAN, Terms, points
from ganeval_baselines.data import Batch
from ganeval_baselines.gans.wgan_gp import PenaltyRecipe


class DRAGAN(GAN):
    """Deep regret analytic GAN (Kodali et al., 2017, arXiv:1705.07215, Algorithm 1).

    The non-saturating loss and lambda (||grad D(x + d)|| - 1)^2, d = a 0.5 std(x) U[0, 1] with a ~ U[0, 1] for each
    sample: the noise of the authors' notebook. The gradient is of the logit.
    Differs from the paper: the suite's networks; lambda is 0.1 on 2-D mixtures.
    """

    recipe = PenaltyRecipe(learning_rate=1e-4)
    on_points = points(penalty_weight=0.1)
    norm = False
    settings: PenaltyRecipe

    def penalty(self, batch: Batch, fake: Tensor) -> Terms:
        real = batch.real
        mix = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
        around = real + mix * 0.5 * real.std() * torch.rand_like(real)
        excess = losses.slope(lambda x: self.scores(x, batch.labels), around) - 1
        return {"penalty": self.settings.penalty_weight * excess.square().mean()}
