"""The Fréchet distance against closed forms, on singular covariances, and without its bias."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from ganeval.errors import GanevalError
from ganeval.metrics import fid, fid_debiased, kid
from ganeval.metrics.frechet import ROWS_PER_DIMENSION, distance, nearest_cosines
from ganeval.numerics import fitted
from ganeval.numerics.first_order import Linear
from ganeval.numerics.fitted import Fitted, congruent
from ganeval.numerics.moments import COLUMNS, moments, scatter
from ganeval.types import Moments
from tests.benchmarks.coverage_fid import Population, one


@pytest.fixture(autouse=True)
def rounded_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of float32 as of many features, whose rounding must not show."""
    monkeypatch.setattr("ganeval.numerics.moments.FLOAT64", 0)


def whitened(n: int, d: int, seed: int) -> np.ndarray:
    """Rows whose mean is 0 and whose covariance is the identity, exactly."""
    x = np.random.RandomState(seed).randn(n, d)
    x -= x.mean(0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T


@pytest.mark.parametrize("n", [10, 300])
def test_equal_covariances_leave_the_shift(n: int) -> None:
    x = np.random.RandomState(0).randn(n, 40)
    shift = np.linspace(0, 1, 40)
    assert float(fid(x + shift, x)) == pytest.approx(shift @ shift, rel=1e-9)


def test_commuting_covariances() -> None:
    a, b = np.linspace(0.5, 2, 20), np.linspace(3, 1, 20)
    value = fid(whitened(400, 20, 0) * a, whitened(300, 20, 1) * b)
    assert float(value) == pytest.approx(((a - b) ** 2).sum(), rel=1e-10)


def test_fewer_images_than_features_against_high_precision() -> None:
    """The trace term of rank-deficient covariances from 60-digit arithmetic."""
    from mpmath import mp, mpf

    x, y = np.random.RandomState(0).randn(6, 30), np.random.RandomState(1).randn(5, 30) * 1.5
    with mp.workdps(60):

        def centred(rows: np.ndarray):
            exact = mp.matrix([[mpf(float(v)) for v in row] for row in rows])
            for j in range(rows.shape[1]):
                mean = mp.fsum(exact[:, j]) / len(rows)
                for i in range(len(rows)):
                    exact[i, j] -= mean
            return exact / mp.sqrt(len(rows) - 1)

        a, b = centred(x), centred(y)
        cross = a * b.T
        nuclear = mp.fsum(mp.sqrt(abs(v)) for v in mp.eigsy(cross * cross.T, eigvals_only=True))
        squares = mp.fsum(v**2 for v in a) + mp.fsum(v**2 for v in b)
        truth = float(squares - 2 * nuclear) + float(((x.mean(0) - y.mean(0)) ** 2).sum())
    assert float(fid(x, y)) == pytest.approx(truth, rel=1e-12)


def test_the_svd_and_the_covariance_ways_agree() -> None:
    x, y = np.random.RandomState(0).randn(50, 49), np.random.RandomState(1).randn(50, 49) * 1.2
    whole = fid(x, y)
    assert whole.std_error is not None
    as_moments = moments(torch.from_numpy(y))
    assert float(fid(x, as_moments)) == pytest.approx(float(whole), rel=1e-10)
    wide = np.concatenate([x, np.zeros((50, 5))], 1), np.concatenate([y, np.zeros((50, 5))], 1)
    assert float(fid(*wide)) == pytest.approx(float(whole), rel=1e-9)


def test_dead_features_add_nothing() -> None:
    x, y = np.random.RandomState(0).randn(300, 10), np.random.RandomState(1).randn(300, 10) * 1.2
    dead = np.full((300, 3), 0.7)
    alive, with_dead = fid(x, y), fid(np.hstack([x, dead]), np.hstack([y, dead]))
    assert float(with_dead) == pytest.approx(float(alive), rel=1e-10)
    assert with_dead.std_error == pytest.approx(alive.std_error, rel=1e-8)
    assert fid_debiased(np.hstack([x, dead]), np.hstack([y, dead])).interval is not None
    # A feature that is dead in one set only, at another value, counts in full.
    assert float(fid(np.hstack([x, dead]), np.hstack([y, dead + 2]))) == pytest.approx(float(alive) + 12, rel=1e-9)


def test_turning_and_moving_both_sets_changes_nothing() -> None:
    x, y = np.random.RandomState(0).randn(200, 15) * 1.3, np.random.RandomState(1).randn(150, 15)
    turn = np.linalg.qr(np.random.RandomState(2).randn(15, 15))[0]
    value = fid(x, y)
    moved = fid(x @ turn + 100, y @ turn + 100)
    assert float(moved) == pytest.approx(float(value), rel=1e-9)
    assert moved.std_error == pytest.approx(value.std_error, rel=1e-6)


def test_float32_features_give_the_standard_error_of_float64() -> None:
    """Also of sets 1e-4 of a standard deviation apart, where the terms of an influence cancel."""
    x, noise = torch.from_numpy(np.random.RandomState(0).randn(2, 1000, 64)).float()
    for y in (noise * 1.2, x + 1e-4 * noise):
        single, double = fid(x, y), fid(x.double(), y.double())
        assert single.std_error == pytest.approx(double.std_error, rel=2e-3)


def test_symmetric_products_are_whole_where_columns_come_in_blocks() -> None:
    rows = np.random.RandomState(0).randn(700, 2 * COLUMNS + 37)
    cov = np.cov(rows, rowvar=False)
    ours = moments(torch.from_numpy(rows)).cov
    np.testing.assert_allclose(ours, cov, atol=1e-12)
    np.testing.assert_allclose(scatter(torch.from_numpy(rows)), rows.T @ rows, atol=1e-10)
    lower = np.linalg.cholesky(cov)
    other = np.cov(np.random.RandomState(1).randn(*rows.shape), rowvar=False)
    ours = congruent(torch.from_numpy(lower), torch.from_numpy(other))
    np.testing.assert_allclose(ours.tril(), np.tril(lower.T @ other @ lower), atol=1e-12)


def test_large_means_lose_no_digits() -> None:
    """In float32 and far from 0, a covariance from E xx' - mm' would be noise."""
    x, y = np.random.RandomState(0).randn(500, 8), np.random.RandomState(1).randn(500, 8) * 1.1
    far = fid((x + 1000).astype(np.float32), (y + 1000).astype(np.float32))
    assert float(far) == pytest.approx(float(fid(x, y)), rel=1e-3)


def test_the_standard_error_is_the_scatter() -> None:
    """Over 300 draws at small D / N, where the noise in the influence is small."""
    draws = [np.random.RandomState(i).randn(2, 1000, 4) for i in range(300)]
    estimates = [fid(a * 1.3 + 0.5, b) for a, b in draws]
    scatter = np.std([e.value for e in estimates], ddof=1)
    assert np.sqrt(np.mean([e.std_error**2 for e in estimates])) == pytest.approx(scatter, rel=0.15)


def test_moments_stand_for_the_reference() -> None:
    x, y = np.random.RandomState(0).randn(300, 10) * 1.2, np.random.RandomState(1).randn(400, 10)
    exact = moments(torch.from_numpy(y))
    assert float(fid(x, exact)) == pytest.approx(float(fid(x, y)), rel=1e-10)
    assert fid(x, exact).std_error < fid(x, y).std_error
    assert fid(x, Moments(exact.mean, exact.cov)).n_real is None
    assert "exact" in fid_debiased(x, exact).details["reference"]
    with pytest.raises(GanevalError, match="12 columns and the statistics have 10"):
        fid(np.zeros((5, 12)), exact)


def test_the_bias_is_found_and_removed() -> None:
    """Two samples of N(0, I) in 64 dimensions: plain FID tends to 0 like 1 / N only."""
    x, y = np.random.RandomState(0).randn(2, 1000, 64)
    plain, debiased = fid(x, y), fid_debiased(x, y)
    assert float(plain) > 2
    assert debiased.details["plain"] == float(plain)
    assert abs(float(debiased)) < 3 * debiased.std_error
    assert debiased.std_error < 0.3
    assert abs(float(kid(x, y))) < 3 * kid(x, y).std_error


@pytest.mark.parametrize("n", [5, 40, ROWS_PER_DIMENSION * 32 - 1])
def test_too_few_images_give_no_interval_and_say_why(n: int) -> None:
    x, y = np.random.RandomState(0).randn(2, n, 32)
    estimate = fid_debiased(x, y)
    assert estimate.interval is None
    assert estimate.std_error is None
    assert f"{n} images for 32 features" in estimate.details["no_interval"]
    assert math.isfinite(estimate.value)


@pytest.mark.parametrize(("n", "tails"), [(500, "t8"), (2000, "t8"), (500, "gauss")])
def test_the_interval_covers_the_truth(n: int, tails: str) -> None:
    """At 32 dimensions; the counts are within three binomial standard errors of 93% to 97%."""
    population, draws = Population(32, 1.0), 300
    truth = population.distance()
    results = [one(population, n, n, tails, seed + 10_000) for seed in range(draws)]
    given = [result["interval"] for result in results if result["interval"]]
    covered = sum(low <= truth <= high for low, high in given)
    slack = 3 * math.sqrt(draws * 0.05 * 0.95)
    assert len(given) > 0.95 * draws
    assert 0.93 * len(given) - slack <= covered <= 0.97 * len(given) + slack
    plain = sum(abs(result["plain"] - truth) < 1.96 * result["plain_se"] for result in results)
    assert plain < 0.3 * draws


@pytest.mark.parametrize("m", [0, 2000])
def test_unequal_sizes_leave_no_bias_of_second_order(m: int) -> None:
    """Without their correction the values lie one and two standard errors of a draw too low, at 5 images a feature.

    m = 0: the reference's moments are exact, as a statistics file's are taken.
    """
    population, draws = Population(128, 0.0), 40
    results = [one(population, 640, m, "gauss", seed) for seed in range(draws)]
    values = np.array([result["value"] for result in results])
    assert abs(values.mean()) < 3 * values.std(ddof=1) / math.sqrt(draws)
    assert sum(low <= 0 <= high for low, high in (result["interval"] for result in results)) >= 0.85 * draws


def test_the_bias_of_second_order_is_that_of_a_random_matrix() -> None:
    """Of N(0, I): the mean root of the Marchenko-Pastur law is 1 - c / 8 - c^2 / 64 - ..., c = D / N."""
    d, n = 50, 200
    linear = Linear(0.0, torch.zeros(n), None, n, math.inf, torch.ones(d, dtype=torch.float64))
    assert linear.higher_bias() == pytest.approx(2 * d * (d / n) ** 2 / 64, rel=1e-12)


def test_the_terms_of_second_order_are_those_of_gaussian_errors() -> None:
    """Q = sum_ab c_ab E_ab^2, E symmetric: the mean and the variance of Q, pair by pair."""
    roots = torch.tensor([0.5, 1.0, 3.0], dtype=torch.float64)
    mean, variance = 0.0, 0.0
    for i, a in enumerate(roots.tolist()):
        for j, b in enumerate(roots.tolist()[: i + 1]):
            c, error = (2 if i != j else 1) / (2 * a * b * (a + b)), a**2 * b**2 * (1 if i != j else 2)
            mean, variance = mean + c * error, variance + c**2 * 2 * error**2
    linear = Linear(0.0, torch.zeros(200), torch.zeros(400), 200, 400, roots)
    assert linear.second_order() == pytest.approx((mean, variance))
    exact = Linear(0.0, torch.zeros(200), None, 200, math.inf, roots)
    assert linear.higher_bias() == pytest.approx(exact.higher_bias() * (1 - 200 / 400) ** 2)


def test_heavy_tails_in_many_dimensions_give_no_interval_and_say_why() -> None:
    """There the bias of second order is several standard errors: an interval would cover 26 times in 100."""
    population = Population(256, 1.0)
    for seed in range(3):
        fake, real = population.draw(1250, 1250, "t6", torch.Generator().manual_seed(seed))
        estimate = fid_debiased(fake, real)
        assert estimate.interval is None
        assert "tails" in estimate.details["no_interval"]
        fake, real = population.draw(1250, 1250, "gauss", torch.Generator().manual_seed(seed))
        assert fid_debiased(fake, real).interval is not None


def test_the_population_of_the_coverage_study_has_its_distance() -> None:
    population = Population(6, 1.0)
    fake, real = population.draw(400_000, 400_000, "gauss", torch.Generator().manual_seed(0))
    assert float(fid(fake, real)) == pytest.approx(population.distance(), abs=0.01)


@pytest.mark.parametrize(("distinct", "seed"), [(20, 0), (100, 0), *((128, seed) for seed in range(4))])
def test_a_collapsed_generators_repeated_images_are_measured_to_the_digit(distinct: int, seed: int) -> None:
    """The rounding of float32 products would be variance in the directions that they leave empty; of a single one
    it may be of either sign, so that Cholesky's factor may exist."""
    random = np.random.RandomState(seed)
    fake = random.randn(distinct, 128)[random.randint(0, distinct, 1500)].astype(np.float32)
    real = random.randn(1500, 128).astype(np.float32)
    for x, y in ((fake, real), (real, fake)):
        assert fid(x, y).value == pytest.approx(fid(x.astype(float), y.astype(float)).value, rel=1e-7)


def test_repeated_images_that_leave_only_the_halves_singular_are_measured_to_the_digit() -> None:
    random = np.random.RandomState(0)
    fake = random.randn(140, 128)[random.randint(0, 140, 600)].astype(np.float32)
    real = random.randn(700, 128).astype(np.float32)
    for x, y in ((fake, real), (real, fake)):
        assert fid(x, y).std_error is not None  # together they are not singular
        double = fid_debiased(x.astype(float), y.astype(float))
        assert fid_debiased(x, y).value == pytest.approx(double.value, rel=1e-6)


@pytest.mark.parametrize("n", [400, 401, 402, 403])
def test_halves_are_made_of_quarters_and_so_are_their_moments(n: int) -> None:
    rows = torch.from_numpy(np.random.RandomState(0).randn(n, 30) + np.arange(30))
    whole = Fitted.in_quarters(rows, np.random.RandomState(1))
    sets = [whole]
    for halving in whole.halvings():
        assert sorted(half.n or 0 for half in halving) == [n // 2, n - n // 2]
        assert sorted(torch.cat([half.rows for half in halving if half.rows is not None])[:, 0]) == sorted(rows[:, 0])
        sets += halving
    # Half of the rows of either half of one halving are in each half of the other.
    shared = len({*sets[1].which.tolist()} & {*sets[3].which.tolist()})
    assert shared == n // 4
    for part in sets:
        direct = moments(part.rows)
        np.testing.assert_allclose(part.moments.mean, direct.mean, rtol=1e-12)
        np.testing.assert_allclose(part.moments.cov, direct.cov, atol=1e-12)


@pytest.mark.parametrize("singular", [(), (0,), (1,), (0, 1)])
def test_singular_covariances_of_many_features_are_no_special_case(
    singular: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond SVD_LIMIT the eigenvalues of L' S L take the place of singular values; L is whichever factor there is."""
    sides = [np.random.RandomState(i).randn(90, 24) * (1 + 0.1 * i) for i in range(2)]
    for side in singular:
        sides[side][:, 20:] = sides[side][:, :4]
    expected = fid(*sides).value
    monkeypatch.setattr(fitted, "SVD_LIMIT", 8)
    assert distance(*map(torch.from_numpy, sides)) == pytest.approx(expected, rel=1e-7)


def test_one_feature_of_equal_sets_has_no_influences() -> None:
    x = np.array([1.0] * 32 + [-1.0] * 32 + [0.0])[:, None]
    estimate = fid_debiased(x, x)
    assert estimate.value == pytest.approx(0, abs=0.1)
    assert math.isfinite(estimate.std_error)


def test_the_error_does_not_hang_on_the_order_of_the_images() -> None:
    """Of many images some show the variance; at equal steps they would be of one class where classes take turns."""
    random = np.random.RandomState(0)
    fake, real = 0.3 * random.randn(8192, 8), 0.5 * random.randn(6000, 8)
    fake[:, 0] += 3 * (np.arange(8192) % 2)
    shuffled = fake[random.permutation(8192)]
    errors = [fid_debiased(rows, real).std_error for rows in (fake, shuffled)]
    assert errors[0] == pytest.approx(errors[1], rel=0.05)


@pytest.mark.parametrize(("dtype", "length"), [(torch.float32, 1e-6), (torch.float64, 1e-14)])
def test_the_nearest_cosines_of_rows_much_shorter_than_the_others(dtype: torch.dtype, length: float) -> None:
    x, y = torch.randn(2, 60, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x, y = (x * length).to(dtype), (y + 1).to(dtype)
    cosines = torch.nn.functional.cosine_similarity(x.double()[:, None], y.double()[None], dim=2, eps=0)
    assert torch.allclose(nearest_cosines(x, y), cosines.abs().amax(1), rtol=1e-12)
