"""Numbers that the reference implementations give on features drawn with a fixed seed, and closed forms.

The drawing is RandomState(1234).randn(500, 64) for the real features, then the same * 0.9 + 0.1 for the fake ones.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.stats import t

from ganeval import metrics
from ganeval.metrics.bins import differs
from ganeval.numerics import kmeans as clustering

_random = np.random.RandomState(1234)
REAL = _random.randn(500, 64)
FAKE = _random.randn(500, 64) * 0.9 + 0.1
LOGITS = np.random.RandomState(7).randn(1000, 1008) * 3
REAL_LOGITS = np.random.RandomState(8).randn(1000, 1008) * 3 + np.linspace(0, 2, 1008)


def test_the_features_are_those_of_the_goldens() -> None:
    assert REAL.sum() == pytest.approx(154.1370296991, abs=1e-9)
    assert FAKE.sum() == pytest.approx(3101.1930498676, abs=1e-9)


GOLDENS = [
    ("fid", {}, 4.9479204124944),
    ("mifid", {"eps": 0.999}, 8.203769066802623),
    ("kid", {"subset_size": 100, "seed": 2020}, 0.02549848338503356),
    ("mmd", {}, 0.07246594045915963),
    ("cmmd", {}, 0.13703915118812304),
    ("emd", {}, 8.671652085112505),
    ("emd", {"squared": True}, 75.62480043678057),
    ("one_nn_accuracy", {}, 0.522),
    ("one_nn_accuracy_real", {}, 0.208),
    ("one_nn_accuracy_fake", {}, 0.836),
    ("one_nn_accuracy", {"k": 3}, 0.535),
    ("one_nn_accuracy_real", {"k": 3}, 0.124),
    ("one_nn_accuracy_fake", {"k": 3}, 0.946),
    ("precision", {"k": 5, "strict": True}, 0.954),
    ("recall", {"k": 5, "strict": True}, 0.388),
    ("density", {}, 3.2376),
    ("coverage", {}, 1.0),
    ("precision", {}, 0.892),
    ("recall", {}, 0.284),
    ("density", {"k": 3}, 3.3606666667),
    ("coverage", {"k": 3}, 0.982),
]


@pytest.mark.parametrize(("name", "options", "value"), GOLDENS)
def test_golden(name: str, options: dict, value: float) -> None:
    assert float(getattr(metrics, name)(FAKE, REAL, **options)) == pytest.approx(value, rel=1e-10)


def test_kid_details() -> None:
    estimate = metrics.kid(FAKE, REAL, subset_size=100, seed=2020)
    assert estimate.details["subset_std"] == pytest.approx(0.014005261514462505, rel=1e-10)
    assert estimate.details["full_unbiased"] == pytest.approx(0.02539841791604891, rel=1e-10)


@pytest.mark.parametrize(
    ("order", "value"),
    [(1.0, 60.0305938), (2.0, 56.66715325872933), (math.inf, 32.15388550846987), (0.5, 61.942196726221745)],
)
def test_vendi(order: float, value: float) -> None:
    assert float(metrics.vendi(FAKE, order=order)) == pytest.approx(value, rel=1e-8)


def test_vendi_of_k_distinct_directions_is_k_at_every_order() -> None:
    x = torch.eye(7).repeat(3, 1)
    for order in (0.0, 0.5, 1.0, 2.0, math.inf):
        assert float(metrics.vendi(x, order=order)) == pytest.approx(7)


def test_inception_score_of_the_reference() -> None:
    ten = metrics.inception_score(LOGITS, shuffle=False)
    assert float(ten) == pytest.approx(22.062988777988757, rel=1e-12)
    assert ten.details["split_std"] == pytest.approx(0.8173612996474031, rel=1e-10)
    assert ten.std_error == pytest.approx(0.8173612996474031 / math.sqrt(9))
    assert ten.interval[1] - ten.value == pytest.approx(t.ppf(0.975, 9) * ten.std_error)
    assert float(metrics.inception_score(LOGITS, splits=1)) == pytest.approx(31.935786830659325, rel=1e-12)


def test_inception_score_of_certain_and_balanced_classes_is_their_number() -> None:
    logits = 1000 * torch.eye(10).repeat(100, 1)
    assert float(metrics.inception_score(logits, shuffle=False)) == pytest.approx(10)
    assert float(metrics.inception_score(torch.zeros(100, 10))) == pytest.approx(1)


def test_mode_score_in_both_forms() -> None:
    assert float(metrics.mode_score(LOGITS, REAL_LOGITS)) == pytest.approx(24.616966543652474, rel=1e-10)
    assert float(metrics.mode_score(REAL_LOGITS, LOGITS)) == pytest.approx(23.11152155596905, rel=1e-10)
    assert float(metrics.mode_score(LOGITS, REAL_LOGITS, form="che")) == pytest.approx(32.18736893090262, rel=1e-10)


def test_mode_score_is_not_the_inception_score() -> None:
    """The often-quoted form, with p* in both terms, is identically the Inception Score."""
    log_p = torch.from_numpy(LOGITS).log_softmax(1)
    star = torch.from_numpy(REAL_LOGITS).softmax(1).mean(0)
    marginal = log_p.exp().mean(0)
    quoted = ((log_p.exp() * (log_p - star.log())).sum(1).mean() - (marginal * (marginal / star).log()).sum()).exp()
    score = float(metrics.inception_score(LOGITS, splits=1))
    assert float(quoted) == pytest.approx(score, rel=1e-12)
    assert abs(float(metrics.mode_score(LOGITS, REAL_LOGITS)) - score) > 1
    assert float(metrics.mode_score(LOGITS, LOGITS)) == pytest.approx(score, rel=1e-12)


def test_one_nn_counts() -> None:
    details = metrics.one_nn_accuracy(FAKE, REAL).details
    assert (details["true_real"], details["false_real"]) == (104, 82)


def test_two_proportions() -> None:
    p, q = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.5, 0.3, 0.2, 0.0])
    assert differs(p, 1000, q, 500, 0.05).tolist() == [True, False, False, True]


def test_k_means_finds_as_near_centres_by_a_sketch_of_many_features_as_by_all(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.RandomState(0)
    spread = (np.arange(600) + 10) ** -0.3
    rows = (2 * random.randn(30, 600)[random.randint(0, 30, 1500)] + random.randn(1500, 600)) * spread
    near = [clustering.kmeans(rows, 30, n_init=1, seed=seed).inertia_ for seed in range(6)]
    monkeypatch.setattr(clustering, "SKETCHED", 600)
    exactly = [clustering.kmeans(rows, 30, n_init=1, seed=seed).inertia_ for seed in range(6)]
    assert near != exactly
    # From 4 directions they are found 44% further.
    assert np.mean(near) < 1.05 * np.mean(exactly)


def test_ndb_of_two_bins_by_hand() -> None:
    """Half of the real images are in either bin, all of the fakes in one."""
    real = np.repeat([[0.0], [100.0]], 60, 0) + np.random.RandomState(0).randn(120, 1)
    estimate = metrics.ndb(real[:50], real, bins=2)
    assert (estimate.value, estimate.details["different_bins"]) == (1.0, 2)
    divergence = (math.log(1 / 0.75) + 0.5 * math.log(0.5 / 0.75) + 0.5 * math.log(0.5 / 0.25)) / 2
    assert estimate.details["js_divergence"] == pytest.approx(divergence)
    few = metrics.ndb(real[:50], real)
    assert few.details["bins"] == 12, "a tenth of 120"
    assert few.details["note"] == "12 bins instead of 100: the reference has only 120 images"


def test_cmmd_is_a_thousand_gaussian_mmds_of_rows_of_length_one() -> None:
    x, y = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (FAKE, REAL))
    found, unbiased = metrics.cmmd(FAKE, REAL), metrics.mmd(x, y, bandwidth="fixed", sigma=10, unbiased=True)
    assert found.value == pytest.approx(1000 * metrics.mmd(x, y, bandwidth="fixed", sigma=10).value ** 2)
    assert found.details["unbiased"] == pytest.approx(1000 * unbiased.value)
    assert found.details["unbiased_std_error"] == pytest.approx(1000 * unbiased.std_error)


def test_the_bandwidth_of_mmd_is_that_of_its_rule() -> None:
    """The mean squared distance within the real set, each image with itself too; the median of all pooled pairs."""
    x, y = FAKE[:90], REAL[:120]
    both = np.concatenate([x, y])
    within = ((y[:, None] - y) ** 2).sum(2).mean()
    median = np.median(np.sqrt(((both[:, None] - both) ** 2).sum(2)[np.triu_indices(210, 1)]))
    for rule, bandwidth in (("gan-metrics", math.sqrt(within)), ("median", median), ("fixed", 1.0)):
        found = metrics.mmd(x, y, bandwidth=rule, sigma=2.0)
        assert found.details["bandwidth"] == pytest.approx(2 * bandwidth, rel=1e-3), rule
        fixed = metrics.mmd(x, y, bandwidth="fixed", sigma=2 * bandwidth)
        assert found.value == pytest.approx(fixed.value, rel=1e-2), rule


def test_sliced_wasserstein_of_a_shift() -> None:
    """W_2 along u of a shift s is |<s, u>|, whose mean square over the sphere is |s|^2 / D."""
    x = torch.randn(300, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    shift = torch.full((16,), 2.0, dtype=torch.float64)
    value = metrics.sliced_wasserstein(x + shift, x, projections=4000)
    assert float(value) == pytest.approx(2.0, abs=5 * value.details["monte_carlo_error"])
    assert value.details["monte_carlo_error"] < 0.03


def test_sliced_wasserstein_of_unequal_n() -> None:
    """A set and the same set with every row twice are one distribution; 2 against 3 points by hand."""
    x = torch.randn(50, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    y = x * 1.3
    once = metrics.sliced_wasserstein(x, y)
    assert float(metrics.sliced_wasserstein(x.repeat(2, 1), y)) == pytest.approx(float(once), rel=1e-12)
    # In one dimension: quantiles 0, 1 against 0, 1, 2; differences 0, 1 for a sixth, 0 for a sixth, 1 for a third.
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[0.0], [1.0], [2.0]])
    assert float(metrics.sliced_wasserstein(a, b)) == pytest.approx(math.sqrt(1 / 6 + 1 / 3))


def test_precision_and_recall_when_all_fakes_are_one_real_image() -> None:
    fake = np.repeat(REAL[:1], 200, 0)
    real = REAL[:200]
    five = {"k": 5, "strict": True}
    assert float(metrics.precision(fake, real, **five)) == 1
    assert float(metrics.recall(fake, real, **five)) == 0
    assert float(metrics.recall(fake, real, k=5)) == 1 / 200


def test_one_nn_of_copies_is_zero_and_of_far_sets_is_one() -> None:
    assert float(metrics.one_nn_accuracy(REAL, REAL)) == 0
    assert float(metrics.one_nn_accuracy(REAL + 1000, REAL)) == 1


def test_emd_subsamples_and_says_so() -> None:
    estimate = metrics.emd(FAKE, REAL[:400], max_n=100)
    assert "100 of 500" in estimate.details["subsampled"]
    assert "100 of 500 samples against 100 of 400" in estimate.details["warning"]
    assert (estimate.n_fake, estimate.n_real) == (100, 100), "what was used"
    assert "warning" not in metrics.emd(FAKE, REAL).details
    assert float(metrics.emd(FAKE, REAL, max_n=100)) != float(metrics.emd(FAKE, REAL, max_n=100, seed=1))
