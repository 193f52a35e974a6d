"""The collapse verdict: its parts against closed forms, its error rates on real digits and MNIST."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.stats import fisher_exact, hypergeom, kstest

import ganeval
from ganeval import Features, GanevalError, collapse_test
from ganeval.collapse import Mode, count_modes
from ganeval.collapse.modes import find_missing, power, share_tests
from ganeval.collapse.similarity import bandwidths, find_twins, rescaled, similarity_test, total_variance
from ganeval.collapse.words import _duplicates
from ganeval.report.verdicts import in_short
from tests.benchmarks import calibrate_collapse
from tests.benchmarks.calibrate_collapse import draw


def gaussian(n: int, dim: int = 8, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, dim))).float()


def features(pooled: torch.Tensor, **fields: object) -> Features:
    return replace(Features(pooled, None, "test/v1"), **fields)


def blobs(n: int, seed: int, classes: int = 5) -> Features:
    """Five well separated clouds, with logits that tell them apart."""
    random = np.random.default_rng(seed)
    labels = torch.from_numpy(random.integers(classes, size=n))
    centres = 10 * torch.eye(classes, 8)
    pooled = centres[labels] + torch.from_numpy(random.standard_normal((n, 8))).float()
    return Features(pooled, pooled[:, :classes], "test/v1", labels, tuple("abcde"))


# The tests of shares


def test_a_share_is_tested_as_fisher_does() -> None:
    """One class of two: no Holm factor where the other's test is the complement's and larger."""
    fake, real = np.array([3, 97]), np.array([15, 85])
    adjusted, _ = share_tests(fake, real, 0.05)
    assert adjusted[0] == pytest.approx(2 * fisher_exact([[3, 97], [15, 85]], "less").pvalue)


def test_holm_multiplies_by_the_tests_that_are_left() -> None:
    fake, real = np.array([2, 5, 60, 33]), np.array([25, 25, 25, 25])
    raw = [fisher_exact([[f, 100 - f], [25, 75]], "less").pvalue for f in fake]
    adjusted, _ = share_tests(fake, real, 0.05)
    assert adjusted[:2] == pytest.approx([4 * raw[0], 3 * raw[1]])
    assert adjusted[2:] == pytest.approx([1, 1])


def test_a_class_too_small_to_be_found_costs_the_others_nothing() -> None:
    fake, real = np.array([5, 95] + [0] * 50), np.array([20, 80] + [1] * 50)
    adjusted, tested = share_tests(fake, real, 0.05)
    assert tested.tolist() == [True, True] + [False] * 50
    assert adjusted[0] == pytest.approx(2 * fisher_exact([[5, 95], [20, 130]], "less").pvalue)
    assert np.isnan(adjusted[2:]).all()


def test_the_family_error_of_the_share_tests_holds() -> None:
    random = np.random.default_rng(0)
    shares = np.array([0.4, 0.2, 0.1, 0.1, 0.1, 0.05, 0.03, 0.02])
    false = 0
    for _ in range(2000):
        adjusted, _ = share_tests(random.multinomial(200, shares), random.multinomial(400, shares), 0.05)
        false += bool((adjusted <= 0.05).any())
    assert false / 2000 <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 2000)


def test_a_class_is_missing_only_under_half_of_its_share() -> None:
    """At 60% with a million images the test is sure, and the effect is no collapse."""
    names = ["a", "b", "c", "d"]
    fake, real = np.array([60_000, 5_000, 45_000, 890_000]), np.array([100_000, 100_000, 100_000, 700_000])
    modes = find_missing(fake, real, names, 0.025)
    assert [mode.kind for mode in modes] == [None, "dropped", "starved", None]
    assert modes[0].p_value < 1e-9
    assert modes[1].ratio == pytest.approx(0.05)


def test_a_class_that_may_be_among_unrealistic_fakes_is_hidden() -> None:
    """Its share of 40% unrealistic fakes: 0.6 * 0.3 + 0.4 is over a half, 0.6 * 0.1 + 0.4 is not."""
    fake, real = np.array([300, 90, 9610]), np.array([1000, 1000, 8000])
    kinds = [mode.kind for mode in find_missing(fake, real, ["a", "b", "c"], 0.025, unreadable=0.4)]
    assert kinds == ["hidden", "dropped", None]


def test_the_stated_power_is_what_happens() -> None:
    random = np.random.default_rng(0)
    shares = np.array([0.1] * 10)
    starved = shares.copy()
    starved[0] *= 0.25
    starved[1:] *= (1 - starved[0]) / 0.9
    found = 0
    for _ in range(1000):
        modes = find_missing(random.multinomial(250, starved), np.full(10, 50), list("abcdefghij"), 0.025)
        found += modes[0].kind is not None
    stated = power(0.25, 0.1, 250, 500, 10, 0.025)
    # Holm does no worse than the Bonferroni bound that is stated.
    assert stated - 3 * math.sqrt(stated * (1 - stated) / 1000) <= found / 1000 <= stated + 0.1


# The count of modes


@pytest.mark.parametrize("existing", [100, 500, 900])
def test_the_thresholded_count_is_right_where_the_judge_errs(existing: int) -> None:
    """Stacked MNIST: 26,000 images of three digits each, a judge that misreads 1% of the digits, uniformly."""
    random = np.random.default_rng(existing)
    modes = random.choice(1000, existing, replace=False)
    digits = np.stack(np.unravel_index(random.choice(modes, 26_000), (10, 10, 10)))
    wrong = random.random(digits.shape) < 0.01
    digits = np.where(wrong, (digits + random.integers(1, 10, digits.shape)) % 10, digits)
    count = count_modes(np.ravel_multi_index(tuple(digits), (10, 10, 10)), 1000)
    assert count.reached == pytest.approx(existing, rel=0.02)
    # A class one digit away from a mode gets a ninth of that digit's misread images.
    every = np.stack(np.unravel_index(np.arange(1000), (10, 10, 10)))
    beside = ((every[:, :, None] != every[:, None, modes]).sum(0) == 1).sum(1)
    none = np.delete(np.exp(-beside * 26_000 / existing * 0.01 / 9), modes)
    assert count.plain == pytest.approx(1000 - none.sum(), rel=0.03)
    assert count.plain > count.hit >= count.reached


def test_a_mode_counts_from_a_tenth_of_the_fair_share() -> None:
    """Ten modes of 1000 and some below: 10 x 100 hits are a tenth of 10,000; 11 x 90 are not."""
    assigned = np.repeat(np.arange(13), [1000] * 9 + [600, 95, 40, 2])
    count = count_modes(assigned, 20)
    assert (count.plain, count.hit, count.reached) == (13, 12, 11)
    assert count_modes(np.repeat(np.arange(13), [1000] * 9 + [600, 80, 40, 2]), 20).reached == 10


def test_a_perfect_generator_has_the_kl_of_the_floor() -> None:
    count = count_modes(np.random.default_rng(0).integers(1000, size=26_000), 1000)
    assert (count.plain, count.reached) == (1000, 1000)
    assert count.kl == pytest.approx(count.kl_floor, rel=0.1)
    assert count.kl_floor == pytest.approx(0.0192, abs=1e-4)
    assert count_modes(np.zeros(50, int), 1000).kl == pytest.approx(math.log(1000))


@pytest.mark.parametrize("assigned", [np.array([0, 10]), np.array([-1, 0]), np.array([0.5]), np.zeros((2, 2), int)])
def test_what_is_no_assignment_is_refused(assigned: np.ndarray) -> None:
    with pytest.raises(GanevalError):
        count_modes(assigned, 10)


# The test of similarity


def test_the_permutations_are_those_of_the_definition() -> None:
    """T = mean within the ones minus mean within the zeros, pair by pair."""
    from ganeval.collapse.similarity import _differences

    kernel = gaussian(7, 7).double()
    kernel = kernel + kernel.T
    labels = torch.tensor([[1, 1, 1, 0, 0, 0, 0], [0, 1, 0, 1, 0, 0, 1]]).double()
    for row, t in zip(labels, _differences(kernel, labels), strict=True):
        ones, zeros = (
            np.mean([float(kernel[i, j]) for i, j in combinations(np.flatnonzero(row == value), 2)]) for value in (1, 0)
        )
        assert float(t) == pytest.approx(ones - zeros)


def test_the_p_value_is_uniform_where_both_sets_are_alike() -> None:
    p = []
    for seed in range(150):
        x = gaussian(260, 4, seed)
        random = np.random.default_rng(seed)
        p.append(similarity_test(x[:80], x[80:160], x[160:], random).p_value)
    assert kstest(p, "uniform").pvalue > 0.01


def test_the_vendi_score_is_that_of_the_eigenvalues() -> None:
    """1 / sum l^2 of K / n, up to the diagonal, which the unbiased mean leaves out."""
    x, y = gaussian(300, 3), gaussian(300, 3, 1)
    found = similarity_test(x, y, gaussian(300, 3, 2), np.random.default_rng(0))
    d = torch.cdist(y.double(), y.double()).square()
    values = torch.linalg.eigvalsh(torch.exp(-d / (2 * found.sigma**2)) / 300)
    n = 300
    biased = 1 / (1 / n + (1 - 1 / n) / found.vendi_real)
    assert 1 / float(values.square().sum()) == pytest.approx(biased)


def test_bandwidths_are_quantiles_of_distances() -> None:
    line = torch.arange(101.0)[:, None] ** 2
    eps, sigma = bandwidths((line - line.T).double().square())
    gaps = np.sort(np.minimum(np.diff(line.ravel(), prepend=-1e9), np.diff(line.ravel(), append=1e9)))
    assert eps == pytest.approx(np.quantile(gaps, 0.02))
    every = [abs(a**2 - b**2) for a, b in combinations(range(101), 2)]
    assert sigma == pytest.approx(np.median(every) / 2, rel=1e-3)


@pytest.mark.parametrize(("factor", "expected"), [(0.8, 1.0), (1.1, 1.0), (0.1, 0.04), (2.0, 3.24)])
def test_contrast_is_taken_out_within_limits(factor: float, expected: float) -> None:
    x = gaussian(400, 5).double()
    scaled, scale = rescaled(factor * x, total_variance(x))
    assert total_variance(scaled) == pytest.approx(expected * total_variance(x))
    assert scale == pytest.approx(max(0.9, min(2, 1 / factor)))


def test_twins_are_counted_and_give_the_support() -> None:
    x = gaussian(40)
    support, nearest = find_twins(torch.cat([x, x[:3], x[:1]]), None, 5)
    # Row 0 is there three times: three pairs; rows 1 and 2 twice.
    assert support.pairs == 5
    assert support.with_twin == pytest.approx(7 / 44)
    assert support.estimate == pytest.approx(44 * 43 / 2 / 5)
    assert {pair[:2] for pair in nearest} == {(0, 40), (0, 43), (40, 43), (1, 41), (2, 42)}


def test_the_birthday_estimate_finds_the_support() -> None:
    rows = np.random.default_rng(0).integers(500, size=1000)
    support, _ = find_twins(gaussian(500)[rows], None, 1)
    assert support.estimate == pytest.approx(500, rel=0.15)


# The verdict


def test_alike_sets_are_none_and_the_report_is_json() -> None:
    report = collapse_test(blobs(300, 0), blobs(500, 1))
    assert (report.verdict, report.kinds, report.missing) == ("none", (), ())
    block = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert list(block)[:5] == ["verdict", "kinds", "p_value", "minimum_detectable", "evidence"]
    assert block["minimum_detectable"]["power"]["dropped"] == pytest.approx(1, abs=1e-6)
    assert "times in 10" in block["minimum_detectable"]["text"]


def test_a_missing_class_is_named_and_shown() -> None:
    fake, real = blobs(300, 0), blobs(500, 1)
    report = collapse_test(fake[torch.nonzero(fake.labels != 2).ravel()], real)
    assert (report.verdict, report.kinds[0], report.classes_from) == ("collapsed", "dropped", "logits")
    (mode,) = report.missing
    assert (mode.name, mode.n_fake, mode.ratio) == ("c", 0, pytest.approx(0, abs=1e-6))
    assert mode.examples
    assert set(real.labels[list(mode.examples)].tolist()) == {2}
    assert report.to_dict()["evidence"][0]["name"] == "c"


def test_missing_classes_are_named_in_one_order_a_line_each() -> None:
    fake, real = blobs(300, 0), blobs(500, 1)
    report = collapse_test(fake[torch.nonzero(fake.labels < 3).ravel()], real)
    assert [mode.name for mode in report.missing] == ["d", "e"]
    assert [reason.split()[1] for reason in report.reasons[:2]] == ["d:", "e:"]
    assert in_short(report) == [f"collapsed: {report.reasons[0]}", *report.reasons[1:]]
    uneven = tuple(Mode(name, 1, 9, ratio, 0.0, "starved") for name, ratio in (("x", 0.3), ("y", 0.104), ("z", 0.103)))
    assert [mode.name for mode in replace(report, modes=uneven).missing] == ["y", "z", "x"], "0.10 is printed of both"


def test_where_nothing_is_found_the_score_says_what_could_have_been() -> None:
    report = collapse_test(blobs(300, 0), blobs(500, 1))
    assert in_short(report) == [f"none: {report.reasons[0]}", f"could see: {report.minimum_detectable['text']}"]


def test_the_minimum_detectable_is_what_its_words_say() -> None:
    report = collapse_test(blobs(300, 0), blobs(500, 1))
    least, power = report.minimum_detectable, report.minimum_detectable["power"]
    shown = [f"{10 * power[name]:.0f}" for name in ("dropped", "quarter", "half")]
    assert "missing {} times in 10, at a quarter of its share {}, at half {};".format(*shown) in least["text"]
    assert power["dropped"] > power["quarter"] > power["half"]
    # None of the k images of a class is fake, with a probability of level / 5.
    smallest = next(k for k in range(1, 100) if hypergeom.pmf(0, 800, k, 300) <= 0.025 / 5) / 500
    assert least["smallest_class"] == pytest.approx(smallest)
    assert f"classes under {smallest:.1%} could be lost unseen" in least["text"]
    # Copies of S images are twins at a rate of 1 / S, 0.84 of its standard errors above what counts.
    limit = max(report.similarity.detectable_rate, 0.2 / 299)
    above = 1 / least["support"] - limit
    error = math.sqrt((1 / least["support"] + report.similarity.duplicates_real) / (300 * 299 / 2))
    assert above / error == pytest.approx(0.84, abs=0.05)
    assert f"{least['support']:,} images or fewer" in least["text"]


@pytest.mark.parametrize("how", ["labels", "reference labels", "labelled neighbours", "k-means"])
def test_classes_come_from_labels_neighbours_or_clusters(how: str) -> None:
    fake, real = blobs(300, 0), blobs(500, 1)
    fake = fake[torch.nonzero(fake.labels != 2).ravel()]
    labels = {"labels": (fake.labels, real.labels), "reference labels": real.labels}.get(how)
    known = real.labels if how == "labelled neighbours" else None
    report = collapse_test(replace(fake, logits=None), replace(real, logits=None, labels=known), labels=labels)
    assert report.classes_from == ("labelled neighbours" if how == "reference labels" else how)
    assert report.verdict == "collapsed"
    missing = {label for mode in report.missing for label in real.labels[list(mode.examples)].tolist()}
    assert missing == {2}


def test_the_fakes_own_labels_do_not_count() -> None:
    """A conditional generator's folders say what was asked for."""
    fake, real = blobs(300, 0), blobs(500, 1)
    stuck = replace(fake, pooled=real.pooled[real.labels == 0].repeat(4, 1)[:300], logits=None)
    assert "dropped" in collapse_test(stuck, replace(real, logits=None)).kinds


def test_few_different_images_are_duplicates_and_the_pairs_are_shown() -> None:
    pool = blobs(60, 0)
    rows = torch.from_numpy(np.random.default_rng(0).integers(60, size=300))
    report = collapse_test(pool[rows], blobs(500, 1))
    assert report.verdict == "collapsed"
    assert "duplicated" in report.kinds
    assert report.support.estimate == pytest.approx(60, rel=0.2)
    assert all(rows[i] == rows[j] and i != j and d == 0 for i, j, d in report.duplicates)
    excess = report.similarity.duplicates_fake - report.similarity.duplicates_real
    assert f"as if there were only {1 / excess:.0f} different fakes" in " ".join(report.reasons)
    usual = replace(report.similarity, duplicates_fake=0.03, duplicates_real=0.01)
    assert "only 50 different fakes" in _duplicates(usual), "beyond those that real images have"


def test_one_image_over_and_over_is_collapse_however_bad() -> None:
    report = collapse_test(features(torch.full((200, 8), 50.0)), features(gaussian(400)))
    assert (report.verdict, report.kinds) == ("collapsed", ("duplicated",))
    assert report.fidelity.low


def test_garbage_is_undetermined() -> None:
    report = collapse_test(features(50 + gaussian(300)), features(gaussian(600, seed=1)))
    assert (report.verdict, report.kinds) == ("undetermined", ())
    assert report.fidelity.low
    assert "too unrealistic" in report.reasons[0]


def test_without_a_reference_copies_are_suspect_and_nothing_is_ruled_out() -> None:
    assert collapse_test(features(gaussian(300)), None).verdict == "undetermined"
    copies = collapse_test(features(gaussian(60)[torch.arange(300) % 60]), None)
    assert (copies.verdict, copies.kinds, copies.p_value) == ("suspected", ("duplicated",), None)
    assert copies.support.estimate == pytest.approx(60, rel=0.25)
    json.dumps(copies.to_dict(), allow_nan=False)


def test_the_order_of_images_does_not_matter_and_the_seed_decides() -> None:
    fake, real = blobs(300, 0), blobs(500, 1)
    report = collapse_test(fake, real, seed=3)
    assert collapse_test(fake, real, seed=3) == report
    turned = collapse_test(fake[torch.arange(299, -1, -1)], real[torch.arange(499, -1, -1)], seed=3)
    assert turned.p_value == pytest.approx(report.p_value)
    assert turned.similarity.vendi_fake == pytest.approx(report.similarity.vendi_fake)
    assert {frozenset((299 - i, 299 - j)) for i, j, _ in turned.duplicates} == {
        frozenset((i, j)) for i, j, _ in report.duplicates
    }
    assert collapse_test(fake, real, seed=4).similarity != report.similarity


def test_large_sets_are_subsampled_and_the_report_says_so() -> None:
    report = collapse_test(features(gaussian(2500, 4)), features(gaussian(3000, 4, 1)))
    assert report.n_compared == (1000, 1000, 1000)
    assert "1000 of 2500 fakes" in report.notes[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fake": features(gaussian(49))}, "49 fakes"),
        ({"real": features(gaussian(99))}, "99 real"),
        ({"real": replace(features(gaussian(300)), fingerprint="other/v1")}, "one extractor"),
        ({"fake": features(gaussian(300) * torch.nan)}, "NaN"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": 5e-5}, "from 0.0001"),
        (
            {
                "fake": replace(features(gaussian(300)), logits=torch.ones(300, 5)),
                "real": replace(features(gaussian(300)), logits=torch.full((300, 5), torch.nan)),
            },
            "real has NaN",
        ),
        (
            {
                "fake": replace(features(gaussian(300)), logits=torch.ones(300, 5)),
                "real": replace(features(gaussian(300)), logits=torch.ones(300, 4)),
            },
            "5 columns and real has 4",
        ),
        ({"real": features(torch.ones(300, 8))}, "most pairs of real images"),
        ({"labels": (torch.arange(300) % 3, 3 + torch.arange(300) % 3)}, r"\(0 to 2\) is among the .* \(3 to 5\)"),
        ({"labels": (torch.zeros(300, dtype=torch.int64),)}, "got 1 of them"),
        ({"labels": [0] * 300}, "a list"),
        ({"labels": np.array(["cat"] * 300)}, "300 integers"),
        ({"labels": (torch.zeros(3, dtype=torch.int64), torch.zeros(300, dtype=torch.int64))}, "labels of fake"),
        ({"labels": torch.zeros(300)}, "labels of real"),
        ({"labels": torch.full((300,), -1)}, "labels of real"),
    ],
)
def test_bad_input_is_refused(change: dict, message: str) -> None:
    given = {"fake": features(gaussian(300)), "real": features(gaussian(300, seed=1)), **change}
    with pytest.raises(GanevalError, match=message):
        collapse_test(given.pop("fake"), given.pop("real"), **given)


def test_one_class_alone_is_judged_by_clusters_and_labels_of_one_class_are_noted() -> None:
    fake, real = (x[torch.nonzero(x.labels == 0).ravel()] for x in (blobs(1500, 0), blobs(2500, 1)))
    assert collapse_test(fake, real).classes_from == "k-means"
    report = collapse_test(fake, real, labels=real.labels)
    assert report.verdict == "none"
    assert "of one class" in report.notes[0]
    assert "one class" in report.minimum_detectable["text"]
    assert "times in 10, at" not in report.minimum_detectable["text"]


def test_a_label_of_no_real_image_is_noted() -> None:
    fake, real = blobs(300, 0), blobs(500, 1)
    report = collapse_test(fake, real, labels=(fake.labels + 1, real.labels))
    assert report.notes == (f"{int((fake.labels == 4).sum())} fakes have a label that no real image has, "
                            "such as class 5",)  # fmt: skip


@pytest.mark.parametrize("short", [1.0, 0.9])
def test_too_few_images_for_any_power_say_how_many_it_takes(short: float) -> None:
    """The stated counts find the loss of a median class; a tenth fewer do not."""

    def labels(n: int) -> torch.Tensor:
        return torch.arange(n) % 50

    first = collapse_test(features(gaussian(100)), features(gaussian(500, seed=1)), labels=(labels(100), labels(500)))
    assert first.minimum_detectable["power"]["dropped"] == 0
    stated = [int(word.replace(",", "")) for word in first.notes[0].split() if word.replace(",", "").isdigit()]
    n, m = (math.ceil(short * count / 50) * 50 for count in stated)
    asked = labels(n)
    asked[asked == 7] = 8
    report = collapse_test(features(gaussian(n)), features(gaussian(m, seed=1)), labels=(asked, labels(m)))
    assert [mode.name for mode in report.missing] == (["class 7"] if short == 1 else [])


def test_collapse_test_is_public() -> None:
    assert {"collapse_test", "CollapseReport", "CollapseMonitor"} <= set(ganeval.__all__)


def test_a_class_hidden_among_unrealistic_fakes_is_undetermined() -> None:
    """Few of class c among the good fakes, and a quarter of all fakes are far from any real image."""
    fake, real = blobs(400, 0), blobs(800, 1)
    few = torch.cat([torch.nonzero(fake.labels != 2).ravel(), torch.nonzero(fake.labels == 2).ravel()[:28]])
    fake = fake[few]
    assert collapse_test(fake, real).kinds == ("starved",)
    broken = fake.pooled.clone()
    broken[fake.labels == 4] += 20
    report = collapse_test(replace(fake, pooled=broken), real)
    assert (report.verdict, report.kinds) == ("undetermined", ())
    assert "may be among the unrealistic" in report.reasons[0]
    assert ([mode.name for mode in report.too_few], report.missing) == (["c"], ()), "evidence, but not missing"
    assert [mode["kind"] for mode in report.to_dict()["evidence"]] == ["hidden"]


def test_a_small_loss_of_diversity_is_none_however_sure() -> None:
    """40 of 1000 fakes are near-copies of others."""
    x, y = gaussian(1000, 3), gaussian(4000, 3, 1)
    x[:40] = x[40:80] + 1e-3
    report = collapse_test(features(x), features(y), labels=(torch.arange(1000) % 2, torch.arange(4000) % 2))
    assert report.similarity.p_value < 0.025
    assert report.verdict == "none"
    assert "too little" in report.reasons[0]


def test_noise_in_the_ball_of_one_outlier_is_not_realistic() -> None:
    y = gaussian(1000)
    y[:20] *= 30
    heap = 0.7 * y[0] + 0.1 * gaussian(300, seed=1)
    for seed in range(3):
        assert collapse_test(features(heap), features(y), seed=seed).fidelity.low


def test_outliers_do_not_make_the_others_look_alike() -> None:
    x = gaussian(600)
    x[:60] *= 10
    assert collapse_test(features(x), features(gaussian(1200, seed=1))).verdict == "none"


def test_low_diversity_alone_is_suspected() -> None:
    """Blur is that as well: 8x8 digits in pixels, where no classifier vouches for them."""
    report = draw("digits", "pixels:8", "blur 0.6", 0)
    assert (report.verdict, report.kinds) == ("suspected", ("low_diversity",))
    assert "blur" in report.reasons[-1]


# Error rates on real images; the full counts are in docs/calibration.md


def rate(kind: str, draws: int, verdicts: tuple[str, ...] = ("collapsed", "suspected"), name: str = "digits") -> float:
    reports = [draw(name, f"classifier:{name}", kind, seed) for seed in range(draws)]
    return float(np.mean([report.verdict in verdicts for report in reports]))


def test_real_digits_are_seldom_called_collapsed() -> None:
    assert rate("nothing", 40) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 40)


@pytest.mark.parametrize("kind", ["no 3", "support 50", "shrunk by half"])
def test_planted_collapses_of_digits_are_found(kind: str) -> None:
    assert rate(kind, 12) >= 0.95


def test_low_diversity_of_cifar_is_found_and_real_images_are_not_called_collapsed(
    data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """Missing classes and bad images are in test_collapse_shift.py."""
    monkeypatch.setenv("GANEVAL_DATA", str(data_root))
    assert rate("nothing", 20, name="cifar10") <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 20)
    for kind in ("support 50", "shrunk by half"):
        assert rate(kind, 5, name="cifar10") == 1


def test_power_grows_with_what_is_missing() -> None:
    powers = [rate(kind, 8) for kind in ("3 at 0.5", "3 at 0.25", "3 at 0.1", "no 3")]
    assert powers == sorted(powers)
    assert powers[-1] > powers[0]


@pytest.mark.parametrize("kind", sorted(calibrate_collapse.BAD))
def test_bad_digits_are_not_called_collapsed(kind: str) -> None:
    """Changed before extraction. At most one in 6: a rate of a half would show 89 times in 100."""
    assert rate(kind, 6) <= 1 / 6


def test_blurred_digits_and_noise_are_undetermined() -> None:
    assert rate("blur 1.0", 4, ("undetermined",)) == 1
    assert rate("pure noise", 4, ("undetermined",)) == 1


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*calibrate_collapse.PLANTED, *calibrate_collapse.BAD])
def test_error_rates_on_mnist(kind: str, data_root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANEVAL_DATA", str(data_root))
    found = rate(kind, 40, name="mnist")
    if kind in ("no 3", "3 at 0.1", "support 50", "support 200", "shrunk by half"):
        assert found >= 0.95
    elif kind == "nothing" or kind in calibrate_collapse.BAD:
        assert found <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 40)


def test_noisy_points_of_few_modes_are_not_copies_of_each_other() -> None:
    """In the plane all points of a mode are closer than 2% of the median distance: that is how real ones lie, too."""
    random = torch.Generator().manual_seed(0)

    def ring(n: int, spread: float) -> Features:
        angles = torch.randint(8, (n,), generator=random) * (math.pi / 4)
        points = torch.stack([angles.cos(), angles.sin()], 1) + spread * torch.randn(n, 2, generator=random)
        return Features(points, None, "plane")

    real = ring(1000, 0.01)
    assert collapse_test(ring(500, 0.04), real).verdict == "undetermined"
    assert collapse_test(ring(500, 0.01), real).verdict == "none"
    copies = ring(500, 0.01)
    copies = replace(copies, pooled=copies.pooled[torch.randint(20, (500,), generator=random)])
    assert collapse_test(copies, real).verdict == "collapsed"
