"""Missing modes by a classifier that errs: shares by maximum likelihood, and the tests of them."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from scipy.stats import fisher_exact
from torch import Tensor

from ganeval import Features, collapse_test
from ganeval.collapse.fidelity import excess
from ganeval.collapse.modes import find_missing
from ganeval.collapse.shift import LOSSES, Shift, estimated_ratios, label_shift, unclear
from tests.benchmarks.calibrate_collapse import draw

EQUAL = np.full(6, 1 / 6)
WITHOUT_0 = np.array([0, 0.2, 0.2, 0.2, 0.2, 0.2])
HARD, EASY = 1.5, 5.0
"""The distance of the classes' means from 0: the best classifier is right on 63% of images, or on all but 1 in 1000."""


def probabilities(n: int, shares: np.ndarray, strength: float, seed: int, temperature: float = 1.0) -> Tensor:
    """p(y | x) of n images with normal features about a mean a class, by Bayes' rule where the temperature is 1."""
    random = np.random.default_rng(seed)
    labels = random.choice(len(shares), n, p=shares)
    x = strength * np.eye(len(shares))[labels] + random.standard_normal((n, len(shares)))
    return torch.from_numpy(strength * x / temperature).softmax(1)


def one_hot(counts: list[int]) -> Tensor:
    return torch.eye(len(counts)).double()[torch.repeat_interleave(torch.tensor(counts))]


def counted(p: Tensor) -> np.ndarray:
    return np.bincount(p.argmax(1), minlength=p.shape[1]) / len(p)


def test_the_ratios_have_the_largest_likelihood() -> None:
    fake, real = probabilities(300, np.array([0.1, 0.3, 0.6]), HARD, 0), probabilities(900, np.full(3, 1 / 3), HARD, 1)
    density = (fake / real.mean(0)).numpy()
    found = minimize(
        lambda w: -np.log(density @ w).mean(), real.mean(0), bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda w: w.sum() - 1},
    )  # fmt: skip
    assert estimated_ratios(fake, real) * real.mean(0) == pytest.approx(found.x, abs=2e-3)


def test_of_certain_classes_the_ratios_are_those_of_the_counts() -> None:
    """A class that only fakes have counts among all, and its ratio is infinite; one that nobody has likewise."""
    fake, real = one_hot([10, 40, 30, 20, 0]), one_hot([50, 50, 100, 0, 0])
    assert estimated_ratios(fake, real).tolist() == pytest.approx([0.4, 1.6, 0.6, math.inf, math.inf])


@pytest.mark.parametrize("temperature", [0.3, 1.0, 3.0])
def test_real_images_have_the_real_shares_however_wrong_the_classifier(temperature: float) -> None:
    real = probabilities(500, EQUAL, HARD, 0, temperature)
    assert estimated_ratios(real, real) == pytest.approx(np.ones(6), abs=1e-6)


def test_a_class_that_is_gone_is_seen_to_be_where_counts_show_a_third_of_it() -> None:
    fake, real = probabilities(4000, WITHOUT_0, HARD, 0), probabilities(4000, EQUAL, HARD, 1)
    assert counted(fake)[0] > 0.33 * counted(real)[0]
    ratios = estimated_ratios(fake, real)
    assert ratios[0] < 0.05
    assert ratios[1:] == pytest.approx(np.full(5, 1.2), abs=0.1)


def test_of_certain_classes_the_test_lies_between_fishers_and_bonferronis() -> None:
    fake, real = one_hot([22, 37, 41]), one_hot([68, 66, 66])
    p = label_shift(fake, real, np.random.default_rng(0), 0.05).p_values[0]
    alone = fisher_exact([[22, 78], [68, 132]], "less").pvalue
    error = math.sqrt(3 * alone / 1000)
    assert alone - 2 * error <= p <= 3 * alone + 2 * error


@pytest.mark.parametrize("temperature", [0.2, 1.0])
def test_the_family_error_holds_whatever_the_classifier_says(temperature: float) -> None:
    false = 0
    for seed in range(150):
        p = probabilities(300, np.array([0.4, 0.2, 0.2, 0.1, 0.1]), HARD, seed, temperature)
        false += bool((label_shift(p[:100], p[100:], np.random.default_rng(seed), 0.05).p_values <= 0.05).any())
    assert 0.01 <= false / 150 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 150)


def test_a_rare_class_is_not_tested_and_hides_no_other() -> None:
    shares = np.array([0.2, 0.2, 0.2, 0.2, 0.196, 0.004])
    fake = probabilities(250, np.array([0, 0.25, 0.25, 0.25, 0.246, 0.004]), EASY, 0)
    real = probabilities(500, shares, EASY, 1)
    shift = label_shift(fake, real, np.random.default_rng(0), 0.025)
    assert np.isnan(shift.p_values).tolist() == [False] * 5 + [True]
    assert shift.p_values[0] <= 0.001
    assert shift.power["dropped"][5] == 0
    assert shift.masses == pytest.approx((fake.mean(0) / real.mean(0)).numpy())
    # The one class that is left out is all that is left out.
    assert shift.ratios[:5] == pytest.approx(estimated_ratios(fake, real)[:5].numpy())


@pytest.mark.parametrize(("strength", "loss"), [(HARD, "dropped"), (EASY, "quarter"), (EASY, "half")])
def test_the_stated_power_is_what_happens(strength: float, loss: str) -> None:
    """By a normal approximation that errs on the low side."""
    shares = np.append(LOSSES[loss] / 6, np.full(5, (1 - LOSSES[loss] / 6) / 5))
    stated, found = [], 0
    for seed in range(60):
        random, real = np.random.default_rng(seed), probabilities(300, EQUAL, strength, 1000 + seed)
        shift = label_shift(probabilities(150, shares, strength, seed), real, random, 0.025)
        found += bool(shift.p_values[0] <= 0.025 and shift.ratios[0] < 0.5)
        stated.append(label_shift(probabilities(150, EQUAL, strength, 5000 + seed), real, random, 0.025).power[loss][0])
    assert np.mean(stated) - 0.1 <= found / 60 <= np.mean(stated) + 0.2


def test_unlike_other_classes_noise_makes_a_classifier_less_sure() -> None:
    """Of half of the classes alone it is as sure as it is of those."""
    real = probabilities(4000, EQUAL, HARD, 1)
    half = probabilities(2000, np.array([0, 0, 0, 1, 1, 1]) / 3, HARD, 0)
    assert unclear(half, real, estimated_ratios(half, real)) < 0.02
    noisy = probabilities(2000, EQUAL, HARD, 0, temperature=1.5)
    assert unclear(noisy, real, estimated_ratios(noisy, real)) > 0.1


def test_the_excess_is_over_the_weighted_distribution() -> None:
    """Of 0.1 to 0.4 with weights 1, 1, 1, 5 three eighths are at most 0.3, and of the fakes three quarters."""
    fake, real = torch.tensor([0.1, 0.2, 0.3, 0.4]).repeat(1000), torch.tensor([0.1, 0.2, 0.3, 0.4]).repeat(1000)
    weights = torch.tensor([1.0, 1, 1, 5]).repeat(1000)
    median = math.sqrt(math.log(2) / 2 * (1 / 4000 + 28 / 64 / 1000))
    assert excess(fake, real, weights) == pytest.approx(0.75 - 0.375 - median, abs=1e-5)


def test_the_report_names_a_class_that_counts_would_not_miss_and_says_what_it_could_see() -> None:
    fake, real = probabilities(1000, WITHOUT_0, HARD, 0), probabilities(2000, EQUAL, HARD, 1)
    sets = [replace(Features(p.log().float(), p.log().float(), "test/v1")) for p in (fake, real)]
    report = collapse_test(*sets)
    assert [(mode.name, mode.kind) for mode in report.missing] == [("class 0", "dropped")]
    assert "an estimated 0.0" in report.reasons[0]
    certain = collapse_test(sets[0], sets[1], labels=(fake.argmax(1), real.argmax(1)))
    assert report.minimum_detectable["power"]["quarter"] < certain.minimum_detectable["power"]["quarter"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "least", "most"),
    [("no 3", 0.85, 1), ("no 2", 0.85, 1), *((kind, 0, 0.05 + 2 * math.sqrt(0.05 * 0.95 / 40))
     for kind in ("nothing", "noise 0.05", "salt 3%", "blur 0.6"))],
)  # fmt: skip
def test_a_lost_class_of_cifar_is_found_and_bad_images_are_not_called_collapsed(
    kind: str, least: float, most: float, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 40 draws. The hardest classes: 96% of sets without cats (3) are found, and 85% would fail one run in 300."""
    monkeypatch.setenv("GANEVAL_DATA", str(data_root))
    verdicts = [draw("cifar10", "classifier:cifar10", kind, seed).verdict for seed in range(40)]
    assert least <= verdicts.count("collapsed") / 40 <= most


def test_a_class_that_the_classifier_never_thinks_of_is_not_hidden_among_unclear_images() -> None:
    """Seven times its share of the unclear fakes would hide it; its probabilities are near 0 all the same."""
    ratios, p = np.array([0.0, 1.2, 1.2]), np.array([0.001, 1.0, 1.0])
    none = {name: np.zeros(3) for name in LOSSES}
    counts = np.array([0, 120, 80]), np.array([80, 120, 100])
    for mass, kind in ((0.1, "dropped"), (0.3, "hidden")):
        shift = Shift(ratios, np.array([mass, 1.2, 1.2]), p, 0.15, none)
        assert find_missing(*counts, ["a", "b", "c"], 0.025, unclear=0.15, shift=shift)[0].kind == kind
