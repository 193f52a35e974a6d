"""The adversarial losses, on logits (B,) of real and fake samples, and the terms that several models share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import softplus


@dataclass(frozen=True)
class Pair:
    """What the discriminator minimises, (real, fake) -> scalar, and what the generator minimises, (fake) -> scalar."""

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor], Tensor]


def cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    """-E log s(real) - E log(1 - s(fake)), s the sigmoid (Goodfellow et al., 2014, eq. 1)."""
    return softplus(-real).mean() + softplus(fake).mean()


# E log(1 - s(fake)) itself, which vanishes where the discriminator is sure.
MINIMAX = Pair(cross_entropy, lambda fake: -softplus(fake).mean())

# -E log s(fake) (Goodfellow et al., 2014, section 3). Many libraries call this one "gan".
NON_SATURATING = Pair(cross_entropy, lambda fake: softplus(-fake).mean())

# On the raw outputs, with targets a, b, c = 0, 1, 1 (Mao et al., 2017, eq. 9).
LEAST_SQUARES = Pair(
    lambda real, fake: 0.5 * ((real - 1).square().mean() + fake.square().mean()),
    lambda fake: 0.5 * (fake - 1).square().mean(),
)

# The critic's estimate of the Wasserstein distance, negated (Arjovsky et al., 2017, eq. 2).
WASSERSTEIN = Pair(lambda real, fake: fake.mean() - real.mean(), lambda fake: -fake.mean())


def slope(critic: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The norm of the critic's gradient at each sample of x (B, ...): (B,), differentiable in the critic's weights."""
    x = x.detach().requires_grad_(True)
    (gradient,) = torch.autograd.grad(critic(x).sum(), x, create_graph=True)
    return gradient.flatten(1).norm(dim=1)


def pull_away(features: Tensor) -> Tensor:
    """The mean squared cosine between different rows of (B, D) (Zhao et al., 2017, arXiv:1609.03126, eq. 5)."""
    unit = features / features.norm(dim=1, keepdim=True)
    n = len(unit)
    return ((unit @ unit.T).square().sum() - n) / (n * (n - 1))


def matching(features: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """The mean squared gap between the mean features of two batches (Salimans et al., 2016, section 3.1)."""
    return (features(real).mean(0) - features(fake).mean(0)).square().mean()
