"""The adversarial losses and shared terms against values worked with numpy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from ganeval_baselines import losses
from ganeval_baselines.losses import LEAST_SQUARES, MINIMAX, NON_SATURATING, WASSERSTEIN, Pair
from torch import Tensor, nn

from tests.baselines.conftest import numbers

R, F = numbers([0.3, -1.2, 2.0]), numbers([-0.4, 0.9, 1.7, -2.2])


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


# The discriminator's and the generator's loss, as the papers write them, and their slopes in the logits.
WORKED = {
    "minimax": (
        MINIMAX,
        -np.log(sigmoid(R)).mean() - np.log(1 - sigmoid(F)).mean(),
        (sigmoid(R) - 1) / 3,
        sigmoid(F) / 4,
        np.log(1 - sigmoid(F)).mean(),
        -sigmoid(F) / 4,
    ),
    "non-saturating": (
        NON_SATURATING,
        -np.log(sigmoid(R)).mean() - np.log(1 - sigmoid(F)).mean(),
        (sigmoid(R) - 1) / 3,
        sigmoid(F) / 4,
        -np.log(sigmoid(F)).mean(),
        (sigmoid(F) - 1) / 4,
    ),
    "least squares": (
        LEAST_SQUARES,
        0.5 * ((R - 1) ** 2).mean() + 0.5 * (F**2).mean(),
        (R - 1) / 3,
        F / 4,
        0.5 * ((F - 1) ** 2).mean(),
        (F - 1) / 4,
    ),
    "wasserstein": (
        WASSERSTEIN,
        F.mean() - R.mean(),
        np.full(3, -1 / 3),
        np.full(4, 1 / 4),
        -F.mean(),
        np.full(4, -1 / 4),
    ),
}


@pytest.mark.parametrize("name", WORKED)
def test_a_pair_is_the_paper_s(name: str) -> None:
    pair, d_loss, d_real, d_fake, g_loss, g_fake = WORKED[name]
    real, fake = torch.tensor(R, requires_grad=True), torch.tensor(F, requires_grad=True)
    loss = pair.discriminator(real, fake)
    slopes = torch.autograd.grad(loss, [real, fake])
    assert loss.item() == pytest.approx(d_loss, rel=1e-12)
    np.testing.assert_allclose(slopes[0], d_real, rtol=1e-12)
    np.testing.assert_allclose(slopes[1], d_fake, rtol=1e-12)
    loss = pair.generator(fake)
    assert loss.item() == pytest.approx(g_loss, rel=1e-12)
    np.testing.assert_allclose(torch.autograd.grad(loss, fake)[0], g_fake, rtol=1e-12)


def generator_slope(pair: Pair, logit: float) -> float:
    fake = torch.tensor([logit], requires_grad=True)
    return float(torch.autograd.grad(pair.generator(fake), fake)[0])


def test_minimax_vanishes_before_a_sure_discriminator_and_the_other_does_not() -> None:
    assert generator_slope(MINIMAX, -20.0) == pytest.approx(-math.exp(-20), rel=1e-5)
    assert generator_slope(NON_SATURATING, -20.0) == pytest.approx(-1, rel=1e-6)


def test_both_move_the_logit_the_same_way_at_even_odds() -> None:
    assert generator_slope(MINIMAX, 0.0) == generator_slope(NON_SATURATING, 0.0) == -0.5


def test_the_losses_are_finite_where_a_sigmoid_is_not() -> None:
    far = torch.tensor([200.0, -200.0])
    for pair in (MINIMAX, NON_SATURATING):
        assert math.isfinite(pair.discriminator(far, far))
        assert math.isfinite(pair.generator(far))


def test_slope_is_of_each_sample() -> None:
    # D(x) = a |x|^2 / 2 has the gradient a x.
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0], [6.0, 8.0]])
    norms = losses.slope(lambda x: 2.0 * x.square().sum(1) / 2, x)
    assert norms.tolist() == pytest.approx([10, 2, 20])
    # The norm over the whole batch would be one number.
    assert math.sqrt(504) not in norms.tolist()


def test_slope_is_over_all_of_an_image() -> None:
    x = torch.arange(2 * 1 * 2 * 3, dtype=torch.float32).view(2, 1, 2, 3)
    norms = losses.slope(lambda x: x.square().flatten(1).sum(1) / 2, x)
    assert norms.tolist() == pytest.approx([math.sqrt(55), math.sqrt(6**2 + 7**2 + 8**2 + 9**2 + 10**2 + 11**2)])


def test_slope_can_be_differentiated_in_the_critic_s_weights() -> None:
    a = torch.tensor(2.0, requires_grad=True)
    x = torch.tensor([[3.0, 4.0], [0.0, 1.0]])
    penalty = (losses.slope(lambda x: a * x.square().sum(1) / 2, x) - 1).square().mean()
    # mean (a n_i - 1)^2 has the slope mean 2 n_i (a n_i - 1), n = 5, 1.
    assert float(torch.autograd.grad(penalty, a)[0]) == pytest.approx((2 * 5 * 9 + 2 * 1 * 1) / 2)


def test_slope_leaves_the_samples_alone() -> None:
    x = torch.ones(2, 3, requires_grad=True)
    (losses.slope(nn.Linear(3, 1), x)).sum().backward()
    assert x.grad is None


def by_pairs(rows: Tensor) -> float:
    n, total = len(rows), 0.0
    for i in range(n):
        for j in range(n):
            if i != j:
                a, b = rows[i].numpy(), rows[j].numpy()
                total += (a @ b / math.sqrt(a @ a) / math.sqrt(b @ b)) ** 2
    return total / (n * (n - 1))


def test_pull_away_is_the_squared_cosine_of_different_rows() -> None:
    rows = torch.randn(5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert float(losses.pull_away(rows)) == pytest.approx(by_pairs(rows), rel=1e-12)


@pytest.mark.parametrize(
    ("rows", "value"),
    [
        # Orthogonal rows: the diagonal would make it 1/2. Opposite ones: the cosine, unsquared, would make it -1.
        ([[2.0, 0.0], [0.0, 3.0]], 0.0),
        ([[1.0, 0.0], [-5.0, 0.0]], 1.0),
        ([[1.0, 0.0], [1.0, math.sqrt(3)]], 0.25),
    ],
)
def test_pull_away_by_hand(rows: list[list[float]], value: float) -> None:
    assert float(losses.pull_away(torch.tensor(rows, dtype=torch.float64))) == pytest.approx(value, abs=1e-12)
