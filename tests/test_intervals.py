"""Intervals hold what they are for as often as they say; docs/calibration.md has the same at larger counts."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ganeval import metrics
from ganeval.metrics.neighbours import neighbours
from ganeval.numerics.halves import design_effect, halvings
from ganeval.numerics.intervals import student
from ganeval.numerics.mmd import Error
from ganeval.types import Estimate
from tests.benchmarks.coverage import ALL_NEIGHBOURS, draw


def misses(estimates: list[Estimate], truth: float | None = None) -> float:
    """The share of intervals that do not hold the truth, which is the mean of all values where it is not given."""
    truth = float(np.mean([e.value for e in estimates])) if truth is None else truth
    return 1 - float(np.mean([low <= truth <= high for low, high in (e.interval for e in estimates)]))


def test_errors_of_neighbours_are_their_scatter_and_intervals_hold() -> None:
    """As independent decisions the one_nn shares would have three quarters of their error, density half."""
    draws = [neighbours(*draw("equal", 32, 120, seed), ALL_NEIGHBOURS) for seed in range(300)]
    for name in ALL_NEIGHBOURS:
        estimates = [d[name] for d in draws]
        scatter = np.std([e.value for e in estimates], ddof=1)
        errors = [e.std_error or 0.0 for e in estimates]  # none where all images are covered
        assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(scatter, rel=0.15), name
        if name != "coverage":
            # A rate of 3% to 7%, and three standard errors of 300 draws.
            assert 0.01 < misses(estimates) < 0.10, name


@pytest.mark.parametrize("name", ALL_NEIGHBOURS)
def test_the_design_effect_is_that_of_the_metric_on_halves(name: str) -> None:
    x, y = draw("shifted", 3, 26, 0)
    metric = getattr(metrics, name)
    halves = zip(*(side.T for side in halvings(26, 26, x.device)), strict=True)
    apart, plain = [], []
    for a, b in halves:
        first, second = metric(x[a], y[b]).value, metric(x[~a], y[~b]).value
        apart.append((first - second) ** 2 / 4)
        plain.append((first + second) / 2 * (1 - (first + second) / 2))
    effect = metric(x, y).details["design_effect"]
    if name == "density":
        # Its terms are no shares, so that the plain variance is not known from the means.
        assert effect > 0
    else:
        n = 52 if name == "one_nn_accuracy" else 26
        assert effect == pytest.approx(np.mean(apart) / (np.mean(plain) / n), rel=1e-9)


def test_terms_that_hang_on_no_other_image_have_a_design_effect_of_one() -> None:
    halves, _ = halvings(400, 400, torch.device("cpu"))
    random = torch.Generator().manual_seed(0)
    effects = [
        design_effect(torch.rand(400, 1, generator=random).expand(halves.shape) < 0.3, halves) for _ in range(400)
    ]
    assert np.mean(effects) == pytest.approx(1, abs=0.06)


def test_copies_and_what_rounding_hides_are_told_apart() -> None:
    x, y = np.random.RandomState(0).randn(2, 200, 16).astype(np.float32)
    copied = metrics.recall(np.repeat(x[:50], 4, 0), y).details
    assert copied["no_interval"] == "100% of the samples have 3 copies or more, and fewer in the halves"
    # A collapsed set far from the real one: distinct, but in float32 products say nothing of how near they are.
    tight = x * 0.01 + 1e3
    hidden, told = metrics.recall(tight, y), metrics.recall(tight.astype(np.float64), y)
    assert hidden.details["no_interval"].startswith("rounding hides how near 100% of the samples are to each other")
    assert "rounding" not in told.details["no_interval"]
    assert hidden.value == told.value == 0


def test_where_neighbours_have_no_interval_they_say_why() -> None:
    few, flat, (_, real) = draw("equal", 32, 60, 0), draw("equal", 4, 150, 0), draw("equal", 16, 150, 0)
    assert "60 images, where 100" in metrics.one_nn_accuracy(*few).details["no_interval"]
    assert "4 features" in metrics.precision(*flat).details["no_interval"]
    assert metrics.density(*flat).interval is not None
    certain = metrics.coverage(real + 1e-6, real)
    assert "all images but 0" in certain.details["no_interval"]
    assert certain.std_error is None, "0 would say that the value is certain"
    for estimate in (metrics.one_nn_accuracy(*few), metrics.precision(*flat)):
        assert estimate.interval is None


@pytest.mark.parametrize(("population", "dim"), [("equal", 2), ("shifted", 4), ("scaled", 4)])
def test_intervals_of_kernel_distances_hold(population: str, dim: int) -> None:
    """value +- 1.96 of its own error held 100% for equal populations and 89% near them."""
    sets = [draw(population, dim, 150, seed) for seed in range(400)]
    for estimates in ([metrics.mmd(x, y, unbiased=True) for x, y in sets],
                      [metrics.kid(x, y, subsets=5, subset_size=150) for x, y in sets]):  # fmt: skip
        truth = 0.0 if population == "equal" else float(np.mean([e.value for e in estimates]))
        assert 0.01 < misses([e for e in estimates if e.interval], truth) < 0.10


@pytest.mark.parametrize("value", [-0.5, 0.0, 0.3, 2.0, 40.0])
def test_the_score_interval_ends_where_the_value_is_a_quantile_away(value: float) -> None:
    error = Error(first=0.4, second=0.1, bias=0.5, freedom=50, value=value)
    assert error.slope > 0
    for end in error.interval(value):
        assert abs(value - end) == pytest.approx(student(50) * math.sqrt(0.1 + error.slope * max(end, 0)))
    assert replace(error, freedom=10).interval(value) is None


def test_a_few_huge_images_leave_kid_without_an_interval() -> None:
    x, y = draw("equal", 4, 200, 0)
    x[:2] *= 30
    estimate = metrics.kid(x, y)
    assert estimate.interval is None
    assert "few images" in estimate.details["no_interval"]


def test_intervals_of_classifier_scores_hold() -> None:
    """40 classes and 30 images a split: the delta method's error of the Inception Score is an eighth too small."""
    sets = [draw("logits", 40, 300, seed) for seed in range(300)]
    scores = [metrics.inception_score(x) for x, _ in sets]
    assert np.std([e.value for e in scores]) == pytest.approx(np.mean([e.std_error for e in scores]), rel=0.12)
    assert 0.01 < misses(scores) < 0.10
    larger = (draw("logits", 40, 400, seed) for seed in range(300))
    assert 0.01 < misses([metrics.mode_score(x, y) for x, y in larger]) < 0.10
    assert "300 images for 100 classes" in metrics.mode_score(*draw("logits", 100, 300, 0)).details["no_interval"]
    assert metrics.inception_score(sets[0][0], splits=1).interval is None
