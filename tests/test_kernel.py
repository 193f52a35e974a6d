"""The intervals of the kernel distances hold the truth as often as they say."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganeval.metrics import cmmd, kid, mmd
from ganeval.numerics import pairwise

DRAWS = 300
SLACK = 3 * math.sqrt(DRAWS * 0.05 * 0.95)


def gaussian_mmd(shift: float, dim: int, bandwidth: float) -> float:
    """The squared MMD of N(0, I) and N(shift e, I) with exp(-|x - y|^2 / (2 b^2)), in closed form."""
    spread = bandwidth**2 + 2
    return 2 * (bandwidth**2 / spread) ** (dim / 2) * (1 - math.exp(-(shift**2) / (2 * spread)))


def test_the_closed_form_is_found() -> None:
    x, y = np.random.RandomState(0).randn(2, 3000, 3)
    x[:, 0] += 1
    estimate = mmd(x, y, bandwidth="fixed", sigma=2, unbiased=True)
    truth = gaussian_mmd(1, 3, 2)
    assert estimate.value == pytest.approx(truth, abs=4 * estimate.std_error)
    assert estimate.std_error < 0.1 * truth


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_a_bandwidth_far_below_the_distances_leaves_each_image_alone(dtype: str) -> None:
    x, y = np.random.RandomState(0).randn(2, 50, 8).astype(dtype)
    alone = math.sqrt(2 / 50)  # of the kernel's matrices the diagonals are left
    assert mmd(x, y, bandwidth="fixed", sigma=1e-9).value == pytest.approx(alone, rel=1e-12)
    # The reference sets the bandwidth, and the fakes have left it behind, as those of a diverged generator.
    spread, far = mmd(x, y).value, mmd(x * 1e9, y).value
    assert 0 < spread < alone < far < 1


@pytest.mark.parametrize(
    ("dtype", "length", "distance"), [("f4", 1, 1), ("f4", 0.01, 1e3), ("f4", 1e-10, 1), ("f8", 1e-10, 1e4)]
)
def test_cmmd_of_rows_much_shorter_than_their_distance_from_the_others(
    dtype: str, length: float, distance: float
) -> None:
    """About the mean of the real rows the fakes' directions are beyond the digits."""
    x, y = np.random.RandomState(0).randn(2, 60, 8)
    x, y = (x * length).astype(dtype), (y + distance).astype(dtype)
    u, v = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (x.astype("f8"), y.astype("f8")))
    within = sum(np.exp((rows @ rows.T - 1) / 100).mean() for rows in (u, v))
    assert cmmd(x, y).value == pytest.approx(1000 * (within - 2 * np.exp((u @ v.T - 1) / 100).mean()), rel=1e-5)


@pytest.mark.parametrize("shift", [0.0, 0.2, 1.0])
def test_the_interval_of_mmd_covers(shift: float) -> None:
    """At equal distributions, where the first order vanishes, near them, and apart."""
    covered = 0
    for seed in range(DRAWS):
        x, y = np.random.RandomState(seed).randn(2, 150, 4)
        x[:, 0] += shift
        low, high = mmd(x, y, bandwidth="fixed", sigma=2, unbiased=True).interval
        covered += low <= gaussian_mmd(shift, 4, 2) <= high
    assert 0.93 * DRAWS - SLACK <= covered <= 0.98 * DRAWS + SLACK


def test_the_error_of_mmd_knows_that_real_images_move_the_bandwidth() -> None:
    """At 1.5 times the scale the bandwidth's own scatter adds an eighth to the error."""
    found = []
    for seed in range(200):
        x, y = np.random.RandomState(seed).randn(2, 150, 8)
        estimate = mmd(1.5 * x, y, unbiased=True)
        found.append((estimate.value, estimate.std_error))
    values, errors = np.array(found).T
    assert math.sqrt(np.mean(errors**2)) == pytest.approx(values.std(ddof=1), rel=0.1)


@pytest.mark.parametrize("subsets_only", [False, True])
@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_the_interval_of_kid_covers(scale: float, subsets_only: bool) -> None:
    """The truth of the cubic kernel on N(0, s^2 I), from moments: E (1 + u)^3 = 1 + 3 E u^2, with u = x.y / D."""
    dim = 32

    def kernel(a: float, b: float) -> float:
        return 1 + 3 * a**2 * b**2 / dim

    truth = kernel(scale, scale) + kernel(1, 1) - 2 * kernel(scale, 1)
    covered = 0
    for seed in range(DRAWS):
        x, y = np.random.RandomState(seed).randn(2, 500, dim)
        low, high = kid(x * scale, y, subsets=20, subset_size=50, seed=seed, subsets_only=subsets_only).interval
        covered += low <= truth <= high
    assert 0.93 * DRAWS - SLACK <= covered <= 0.98 * DRAWS + SLACK


@pytest.mark.parametrize("n", [1000, 400])
@pytest.mark.parametrize("scale", [1.0, 1.2])
def test_the_subsets_alone_tell_kid_and_its_error(n: int, scale: float) -> None:
    """From fewer pairs: of sets of unequal sizes, too."""
    longer = []
    for seed in range(20):
        random = np.random.RandomState(seed)
        x, y = random.randn(n, 32) * scale, random.randn(1000, 32)
        whole, part = (kid(x, y, subsets=40, subset_size=100, subsets_only=only) for only in (False, True))
        assert part.value == pytest.approx(whole.value, rel=1e-9, abs=1e-12)
        assert part.details["subset_std"] == pytest.approx(whole.details["subset_std"], rel=1e-9)
        assert "full_unbiased" not in part.details
        longer.append(part.std_error / whole.std_error)
    assert 0.95 < np.mean(longer) < (1.05 if n == 1000 else 1.4)  # as if both sets were as small as the smaller


def test_kid_of_the_subsets_alone_says_what_it_can_not_tell() -> None:
    x, y = np.random.RandomState(0).randn(2, 400, 8)
    assert kid(x, y, subsets=5, subset_size=50, subsets_only=True).interval is None
    assert kid(x, y, subsets=1, subset_size=50, subsets_only=True).std_error is None
    assert kid(x, y, subsets_only=True) == kid(x, y)  # where all pairs are fewer they are taken


def test_the_subsets_average_to_the_full_estimate() -> None:
    x, y = np.random.RandomState(0).randn(2, 400, 8)
    estimate = kid(x * 1.2, y, subsets=2000, subset_size=40)
    error = estimate.details["subset_std"] / math.sqrt(2000)
    assert estimate.value == pytest.approx(estimate.details["full_unbiased"], abs=4 * error)
    assert estimate.std_error == pytest.approx(math.hypot(error, estimate.details["full_unbiased_std_error"]), rel=1e-3)


@pytest.mark.parametrize("n", [60, 400])
def test_the_error_and_the_interval_hold_the_noise_of_few_small_subsets(n: int) -> None:
    """Also where the subsets take all images of the smaller set."""
    x, y = np.random.RandomState(0).randn(n, 8) * 1.2, np.random.RandomState(1).randn(400, 8)
    estimate = kid(x, y, subsets=10, subset_size=60)
    noise = estimate.details["subset_std"] / math.sqrt(9)
    assert estimate.std_error == pytest.approx(math.hypot(noise, estimate.details["full_unbiased_std_error"]))
    low, high = kid(x, y, subsets=10, subset_size=5).interval
    assert high - low > 2 * 1.96 * kid(x, y, subsets=10, subset_size=5).details["subset_std"] / math.sqrt(9)


def test_sums_over_many_blocks_are_those_over_one(monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = np.random.RandomState(0).randn(150, 4) * 1.1, np.random.RandomState(1).randn(130, 4)

    def found() -> list[float]:
        estimates = kid(x, y, subsets=20, subset_size=50), mmd(x, y, unbiased=True)
        return [number for e in estimates for number in (e.value, e.std_error, *e.interval)]

    whole = found()
    monkeypatch.setattr(pairwise, "BLOCK", 32)
    assert found() == pytest.approx(whole, rel=1e-9)
