"""compare: influences against reweighting and leaving out, the test against closed forms, error rates, the command."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from scipy.optimize import linear_sum_assignment
from scipy.stats import kstest, norm
from torch import Tensor

import ganeval
from ganeval import Features, GanevalError
from ganeval.cli import cli
from ganeval.comparison import FAMILIES, INFLUENCES, NEIGHBOURS
from ganeval.comparison import influence as closed
from ganeval.comparison.differences import difference, nearer
from ganeval.comparison.influence import Influence
from ganeval.comparison.neighbours import neighbours
from ganeval.comparison.transport import potentials
from ganeval.metrics import fid, sliced_wasserstein
from ganeval.reference import write_statistics
from ganeval.registry import METRICS
from tests.benchmarks.calibrate_compare import draw


def rows(n: int, seed: int, dim: int = 4, scale: float = 1.0, shift: float = 0.0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, dim)) * scale + shift)


def features(pooled: Tensor, **fields: object) -> Features:
    pooled = pooled.float()
    return replace(Features(pooled, 2 * pooled[:, :3], "test/v1"), **fields)


def left_out(metric: Callable[[Tensor, Tensor], float], x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
    """(N - 1)(T - T without image i), by computing the metric anew."""
    whole = metric(x, y)
    fake = [(len(x) - 1) * (whole - metric(torch.cat([x[:i], x[i + 1 :]]), y)) for i in range(len(x))]
    real = [(len(y) - 1) * (whole - metric(x, torch.cat([y[:i], y[i + 1 :]]))) for i in range(len(y))]
    return torch.tensor(fake, dtype=torch.float64), torch.tensor(real, dtype=torch.float64)


def centred(values: Tensor) -> Tensor:
    return values.double() - values.double().mean()


# The influences


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("name", sorted(NEIGHBOURS))
def test_the_neighbours_influences_are_the_jackknifes(name: str, k: int) -> None:
    x, y = rows(40, 0), rows(30, 1, scale=1.3, shift=0.3)
    options = METRICS[name].options({"k": k})
    found = neighbours(x, y, {name: options})[name]
    fake, real = left_out(lambda a, b: METRICS[name].fn(a, b, **options).value, x, y)
    assert found.value == pytest.approx(METRICS[name].fn(x, y, **options).value, abs=1e-12)
    assert found.real is not None
    torch.testing.assert_close(centred(found.fake), centred(fake), atol=1e-9, rtol=0)
    torch.testing.assert_close(centred(found.real), centred(real), atol=1e-9, rtol=0)


@pytest.mark.parametrize("form", ["paper", "che"])
def test_the_mode_scores_influences_are_the_jackknifes(form: str) -> None:
    x, y = rows(40, 0), rows(30, 1, scale=1.3)
    found = closed.mode_score(x, y, form=form)
    fake, real = left_out(lambda a, b: METRICS["mode_score"].fn(a, b, form=form).value, x, y)
    assert found.real is not None
    error = math.sqrt(float(fake.var()) / 40 + float(real.var()) / 30)
    assert METRICS["mode_score"].fn(x, y, form=form).std_error == pytest.approx(error, rel=0.05)
    torch.testing.assert_close(centred(found.fake), centred(fake), atol=1e-9, rtol=0)
    torch.testing.assert_close(centred(found.real), centred(real), atol=1e-9, rtol=0)


def test_the_inception_scores_influences_have_the_splits_variance() -> None:
    """The variance of a mean of independent splits is the mean of their jackknife variances, over the splits."""
    x = rows(45, 0)
    parts = [x[:15], x[15:30], x[30:]]
    variances = []
    for part in parts:
        found, _ = left_out(lambda a, _: METRICS["inception_score"].fn(a, splits=1).value, part, part[:2])
        variances.append(float(centred(found).square().sum()) / 15**2)
    found = closed.inception_score(x, splits=3, shuffle=False, seed=0)
    assert found.value == pytest.approx(METRICS["inception_score"].fn(x, splits=3, shuffle=False).value)
    shuffled = closed.inception_score(x, splits=3, shuffle=True, seed=4)
    assert shuffled.value == pytest.approx(METRICS["inception_score"].fn(x, splits=3, seed=4).value)
    assert float(found.fake.square().mean()) / 45 == pytest.approx(sum(variances) / 9)


@pytest.mark.parametrize("side", ["fake", "real"])
def test_the_frechet_influences_are_the_slopes_of_the_distance(side: str) -> None:
    """An image at c from the mean moves the mean along c and the covariance along c c': finite differences of both."""
    x, y = rows(60, 0), rows(50, 1, scale=1.3, shift=0.4)
    data, other = (x, y) if side == "fake" else (y, x)
    root, centre = torch.linalg.cholesky(torch.cov(other.T)).T, other.mean(0)
    from_mean, cov = data - data.mean(0), torch.cov(data.T)

    def distance(c: Tensor, step: float) -> float:
        mean, moved = data.mean(0) + step * c, cov + step * torch.outer(c, c)
        roots = torch.linalg.eigvalsh(root @ moved @ root.T).sqrt().sum()
        return float((mean - centre).square().sum() + moved.trace() + root.square().sum() - 2 * roots)

    slopes = torch.tensor([(distance(c, 1e-5) - distance(c, -1e-5)) / 2e-5 for c in from_mean], dtype=torch.float64)
    found = closed.frechet(x, y, {"fid": {}})["fid"]
    influences = found.fake if side == "fake" else found.real
    assert influences is not None
    assert found.value == pytest.approx(distance(from_mean[0], 0))
    torch.testing.assert_close(centred(influences), centred(slopes), rtol=1e-6, atol=1e-6)


def test_the_frechet_second_order_is_that_of_gaussians() -> None:
    """Of N(0, I) each pair of features has 1/4 E_ab^2, E_ab of variance 1 / N, twice that for a = b, in both sides."""
    x, y = (rows(size, size, 4) for size in (60, 50))
    x, y = ((z - z.mean(0)) @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(z.T))).T for z in (x, y))
    found = closed.frechet(x, y, {"fid": {}, "fid_debiased": {"seed": 0}})
    pairs = [(1 if a == b else 2, 2 if a == b else 1) for a in range(4) for b in range(a, 4)]
    # The variance of E^2 is twice the square of that of E; the share of M^-2 is the real side's alone.
    variance = sum(2 * (times / 4 * twice) ** 2 for times, twice in pairs)
    assert found["fid"].second == pytest.approx(variance * ((1 / 60 + 1 / 50) ** 2 - 1 / 50**2))
    assert (found["fid"].kept, found["fid_debiased"].kept) == (1.0, 1.5)


def test_the_mmds_second_order_is_the_centred_kernels() -> None:
    """2 / N(N - 1) of the mean square within the fakes and 4 / NM of that across, of doubly centred kernels."""
    x, y = rows(40, 0), rows(30, 1, shift=0.5)
    found = closed.kernels(x, y, {"cmmd": {"sigma": 1.0}, "kid": METRICS["kid"].options({})})
    a, b = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    for name, kernel, scale in (
        ("cmmd", lambda u, v: torch.exp(-torch.cdist(u, v).square() / 2), 1000),
        ("kid", lambda u, v: (u @ v.T / 4 + 1) ** 3, 1),
    ):
        within, across = (kernel(a, a), kernel(a, b)) if name == "cmmd" else (kernel(x, x), kernel(x, y))
        off = ~torch.eye(40, dtype=torch.bool)
        means = (within * off).sum(1) / 39
        square_in = within[off].square().mean() - 2 * means.square().mean() + means.mean() ** 2
        square_across = (across - across.mean(0) - across.mean(1, keepdim=True) + across.mean()).square().mean()
        variance = 2 * float(square_in) / (40 * 39) + 4 * float(square_across) / (40 * 30)
        assert found[name].second == pytest.approx(scale**2 * variance), name


def test_the_mmds_influences_are_the_slopes_of_the_reweighted_v_statistic() -> None:
    x, y = rows(40, 0), rows(30, 1, shift=0.5)
    options = METRICS["cmmd"].options({"sigma": 1.0})
    found = closed.kernels(x, y, {"cmmd": options})["cmmd"]
    assert found.real is not None
    a, b = x / x.norm(dim=1, keepdim=True), y / y.norm(dim=1, keepdim=True)
    kernel = torch.exp(-torch.cdist(torch.cat([a, b]), torch.cat([a, b])).square() / 2)
    signed = torch.cat([torch.full((40,), 1 / 40), torch.full((30,), -1 / 30)]).double()
    slopes = 2000 * kernel @ signed
    assert found.value == pytest.approx(1000 * float(signed @ kernel @ signed))
    torch.testing.assert_close(centred(found.fake), centred(slopes[:40]), rtol=0.1, atol=0.05 * float(slopes.std()))
    torch.testing.assert_close(centred(found.real), -centred(slopes[40:]), rtol=0.1, atol=0.05 * float(slopes.std()))


def test_vendis_influences_are_the_jackknifes_over_groups() -> None:
    """25 groups of 2: the variance is (g - 1) / g sum (T without b - mean)^2."""
    x = rows(50, 0)
    found = closed.vendi(x, order=2.0)
    without = [METRICS["vendi"].fn(x[torch.arange(50) % 25 != i], order=2.0).value for i in range(25)]
    assert found.images == 50
    assert float(found.fake.var()) / found.n == pytest.approx(24 / 25 * 25 * np.var(without))


def test_the_potentials_are_dual_feasible_and_reach_the_cost() -> None:
    cost = torch.cdist(rows(60, 0), rows(60, 1, shift=0.5)).numpy()
    f, g = potentials(cost)
    best = cost[linear_sum_assignment(cost)].mean()
    assert (f[:, None] + g <= cost + 1e-9).all()
    assert f.mean() + g.mean() == pytest.approx(best)


@pytest.mark.parametrize(("n", "m"), [(40, 40), (40, 30), (30, 40)])
def test_the_sliced_potentials_are_dual_feasible_along_a_line(n: int, m: int) -> None:
    """In one dimension: f(x) + g(y) <= |x - y|^2 up to one constant, and equal on average to the distance."""
    x, y = rows(n, 0, 1), rows(m, 1, 1, shift=0.5)
    found = INFLUENCES["sliced_wasserstein"](x, y, projections=1, seed=0)
    assert found.real is not None
    assert found.root
    assert found.value == pytest.approx(sliced_wasserstein(x, y, projections=1).value ** 2)
    reach = (found.fake[:, None] + found.real - torch.cdist(x, y).square()).max()
    gap = found.value - float(found.fake.mean() + found.real.mean()) + float(reach)
    assert abs(gap) < 0.05 * float(found.fake.std() + found.real.std())


@pytest.mark.parametrize("name", sorted({*INFLUENCES, *FAMILIES} - {"kid"}))
def test_the_compared_value_is_the_metrics(name: str) -> None:
    """kid alone is another: the unbiased one from all pairs."""
    m = 60 if METRICS[name].better == "half" else 80
    a, b, real = (features(rows(n, seed)) for n, seed in ((60, 0), (60, 1), (m, 2)))
    report = ganeval.compare(a, b, real, metrics=[name])
    metric = METRICS[name]
    given = [getattr(a, metric.on), *([getattr(real, metric.on)] if metric.reference else [])]
    assert report[name].a == pytest.approx(metric.fn(*given, **metric.options({})).value, rel=1e-6, abs=1e-9)


def test_kid_is_compared_by_its_unbiased_estimate_from_all_pairs() -> None:
    a, b, real = (features(rows(60, seed)) for seed in range(3))
    report = ganeval.compare(a, b, real, metrics=["kid"])
    for value, side in ((report["kid"].a, a), (report["kid"].b, b)):
        x, y = (rows.pooled.double() for rows in (side, real))
        xx, yy, xy = (((u @ v.T) / 4 + 1) ** 3 for u, v in ((x, x), (y, y), (x, y)))
        within = sum(float(k.sum() - k.diagonal().sum()) / (60 * 59) for k in (xx, yy))
        assert value == pytest.approx(within - 2 * float(xy.mean()), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(("n", "m"), [(250, 1000), (1000, 250)])
def test_one_nn_accuracy_is_best_at_a_half_whatever_the_numbers_of_images(n: int, m: int) -> None:
    """Of 5 times as many real images as fakes, perfect fakes have a real neighbour in 5 of 6 cases."""
    a, b, real = (rows(size, seed, 8) for size, seed in ((n, 0), (n, 1), (m, 2)))
    b[:, :4] += 1.3
    names = ["one_nn_accuracy", "one_nn_accuracy_real", "one_nn_accuracy_fake", "precision"]
    report = ganeval.compare(features(a), features(b), features(real), metrics=names)
    assert [report.metrics[name].better for name in names[:3]] == ["A"] * 3
    assert report["one_nn_accuracy_fake"].a == pytest.approx(0.5, abs=0.07)
    assert (report["one_nn_accuracy"].n_a, report["precision"].n_a) == (250, n)
    assert any("so taken of a random 250 of each" in text for text in report.warnings)


def test_a_set_in_another_order_is_the_same_set() -> None:
    a, real = rows(60, 0), rows(80, 2)
    with pytest.raises(GanevalError, match="the same images"):
        ganeval.compare(features(a), features(a.flip(0)), features(real), metrics=["kid"])


# The test


def test_the_difference_of_two_means_is_tested_as_by_hand() -> None:
    """Paired with the reference: mean(x) - mean(r) in both, so that r drops out."""
    x, y, r = rows(100, 0, 1)[:, 0], rows(80, 1, 1)[:, 0] + 0.3, 50 * rows(60, 2, 1)[:, 0]
    a = Influence(float(x.mean() - r.mean()), 100, x, 60, -r)
    b = Influence(float(y.mean() - r.mean()), 80, y, 60, -r)
    found = difference(a, b, "lower", paired=False)
    error = math.sqrt(float(x.var()) / 100 + float(y.var()) / 80)
    assert found.value == pytest.approx(float(x.mean() - y.mean()))
    assert found.std_error == pytest.approx(error)
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.value) / error))
    assert found.interval == pytest.approx((found.value - 1.959964 * error, found.value + 1.959964 * error))


def test_noise_and_second_order_are_taken_off_but_not_below_what_is_there() -> None:
    """Each side's own noise from its own term, and the second order (2 - kept) times, down to kept times it."""
    x, y, r, s = (rows(size, seed, 1)[:, 0] for seed, size in enumerate((100, 80, 60, 60)))
    fakes, shared = (
        float(x.var()) / 100 - 0.001 + float(y.var()) / 80 - 0.002,
        float((r - s).var()) / 60 - 0.003 - 0.004,
    )

    def error(second: tuple[float, float], kept: float) -> float:
        a = Influence(1.0, 100, x, 60, r, second=second[0], kept=kept, noise=(0.001, 0.003))
        b = Influence(0.5, 80, y, 60, s, second=second[1], kept=kept, noise=(0.002, 0.004))
        return difference(a, b, "lower", paired=False).std_error

    assert error((0.0, 0.0), 1.0) == pytest.approx(math.sqrt(fakes + shared))
    assert error((0.004, 0.003), 1.0) == pytest.approx(math.sqrt(fakes + shared - 0.007))
    assert error((0.004, 0.003), 1.5) == pytest.approx(math.sqrt(fakes + shared - 0.5 * 0.007))
    assert error((1.0, 2.0), 1.5) == pytest.approx(math.sqrt(1.5 * 3))


def test_a_metric_that_is_a_root_is_tested_as_its_square() -> None:
    """sqrt(a) - sqrt(b) is (a - b) / (sqrt(a) + sqrt(b)), and so is the error."""
    x, y = rows(100, 0, 1)[:, 0], rows(80, 1, 1)[:, 0]
    plain, root = (
        difference(Influence(4.0, 100, x, root=root), Influence(2.25, 80, y, root=root), "lower", paired=False)
        for root in (False, True)
    )
    assert (root.a, root.b, root.p_value) == (2.0, 1.5, plain.p_value)
    assert root.std_error == pytest.approx(plain.std_error / 3.5)
    equal = difference(Influence(0.0, 100, x, root=True), Influence(0.0, 80, y, root=True), "lower", paired=False)
    assert (equal.value, equal.std_error) == (0.0, 0.0)


def test_a_difference_without_error_is_sure() -> None:
    constant = torch.zeros(100)
    for b, p_value in ((1.0, 1.0), (2.0, 0.0)):
        found = difference(Influence(1.0, 100, constant), Influence(b, 100, constant), "lower", paired=False)
        assert (found.std_error, found.p_value) == (0.0, p_value)


def test_pairs_drop_what_they_share() -> None:
    x, both = rows(100, 0, 1)[:, 0], 10 * rows(100, 1, 1)[:, 0]
    a, b = Influence(float((x + both).mean()), 100, x + both), Influence(float(both.mean()), 100, both)
    assert difference(a, b, "lower", paired=True).std_error == pytest.approx(float(x.std()) / 10)
    assert difference(a, b, "lower", paired=False).std_error > 1
    # The reference's images are no pairs: what each does to A and not to B stays.
    r = rows(60, 2, 1)[:, 0]
    a, b = replace(a, m=60, real=3 * r), replace(b, m=60, real=r)
    error = math.sqrt(float(x.var()) / 100 + 4 * float(r.var()) / 60)
    assert difference(a, b, "lower", paired=True).std_error == pytest.approx(error)


def test_a_metric_best_at_half_has_two_ways_to_be_equal() -> None:
    """0.3 and 0.7 are equally far from 0.5; 0.3 and 0.3 are equal; 0.3 and 0.55 are neither."""
    around = torch.tensor([-1.0, 1.0] * 50) / 2

    def p_value(a: float, b: float) -> float:
        return difference(Influence(a, 100, around), Influence(b, 100, around), "half", paired=False).p_value

    assert p_value(0.3, 0.7) == pytest.approx(1)
    assert p_value(0.3, 0.3) == 1
    assert p_value(0.3, 0.55) == pytest.approx(2 * norm.sf(0.15 / math.sqrt(2 * float(around.var()) / 100)))
    # Of a + b the reference's influences add up, where those of a - b drop out.
    r, q = rows(60, 2, 1)[:, 0], float(around.var()) / 100
    a, b = Influence(0.3, 100, around, 60, r), Influence(0.45, 100, around, 60, r)
    apart, together = 0.15 / math.sqrt(2 * q), 0.25 / math.sqrt(2 * q + 4 * float(r.var()) / 60)
    assert difference(a, b, "half", paired=False).p_value == pytest.approx(2 * norm.sf(min(apart, together)))
    assert apart > together
    assert nearer(0.3, 0.55, "half") == "B"
    assert (nearer(1, 2, "lower"), nearer(1, 2, "higher"), nearer(-1, 2, "zero")) == ("A", "B", "A")
    assert nearer(0.25, 0.75, "half") == nearer(-1, 1, "zero") == ""


def test_the_error_of_a_difference_is_the_scatter_over_draws() -> None:
    """Metrics near their limit law, at unequal quality, so that the shared reference matters."""
    names = ["fid", "kid", "mode_score", "precision", "recall", "density", "vendi"]
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in names}
    for seed in range(100):
        a, b = features(rows(200, 3 * seed, shift=0.5)), features(rows(200, 3 * seed + 1, scale=1.2))
        report = ganeval.compare(a, b, features(rows(150, 3 * seed + 2)), metrics=names)
        for name in names:
            found[name].append((report[name].value, report[name].std_error))
    for name, draws in found.items():
        values, errors = np.array(draws).T
        # The scatter of 100 draws is known to 7%; the errors may be a little too large, not too small.
        assert 0.85 < math.sqrt((errors**2).mean()) / values.std(ddof=1) < 1.35, name


def test_equal_sets_differ_no_more_often_than_alpha() -> None:
    found, p_values = 0, []
    for seed in range(16):
        report = draw("digits", "nothing", seed, 150, 200)
        found += any(line.better for line in report.metrics.values())
        p_values.append(report["kid"].p_value)
    assert found <= 3  # of 16 at 5%: more has probability 0.01
    assert kstest(p_values, "uniform").pvalue > 0.001


def test_a_worse_set_is_found_worse() -> None:
    for seed in range(3):
        report = draw("digits", "A shift 1 pixel", seed, 250, 500)
        assert {"fid", "kid", "precision"} <= {name for name, line in report.metrics.items() if line.better == "B"}
        assert not any(line.better == "A" for name, line in report.metrics.items() if name != "vendi")


# Input


def three(n: int = 60, m: int = 60) -> tuple[Features, Features, Features]:
    return features(rows(n, 0, shift=1.0)), features(rows(m, 1)), features(rows(100, 2))


def test_unequal_n_subsamples_what_depends_on_n_and_says_so() -> None:
    a, b, real = three(60, 90)
    report = ganeval.compare(a, b, real, metrics=["fid", "kid"])
    assert (report["fid"].n_b, report["kid"].n_b) == (60, 90)
    assert any("unequal n: 60 in A and 90 in B; FD depend" in text.replace("  ", " ") for text in report.warnings)
    again = ganeval.compare(a, b, real, metrics=["fid", "kid"])
    assert again["fid"] == report["fid"]
    assert ganeval.compare(a, b, real, metrics=["fid"], seed=1)["fid"] != report["fid"]


def test_the_same_set_twice_is_said_to_be() -> None:
    a, _, real = three()
    with pytest.raises(GanevalError, match="every difference is exactly 0"):
        ganeval.compare(a, a, real)


def test_too_few_images_is_an_error_with_the_number_needed() -> None:
    _, b, real = three()
    with pytest.raises(GanevalError, match="49, 60, 100 images are too few to compare; 50"):
        ganeval.compare(features(rows(49, 0)), b, real)


def test_pairs_need_equal_n() -> None:
    a, b, real = three(60, 61)
    with pytest.raises(GanevalError, match="as many images in A as in B, got 60 and 61"):
        ganeval.compare(a, b, real, paired=True)


def test_pairs_are_more_exact_where_their_images_are_alike() -> None:
    a, _, real = three(200)
    b = features(a.pooled + 0.1 * rows(200, 9).float())
    apart, together = (ganeval.compare(a, b, real, metrics=["fid"], paired=paired)["fid"] for paired in (False, True))
    assert together.value == apart.value
    assert together.std_error < apart.std_error / 2


def test_statistics_as_the_reference_serve_the_metrics_of_moments(tmp_path: Path) -> None:
    a, b, real = three()
    write_statistics(tmp_path / "real.npz", [real.pooled], fingerprint="test/v1")
    report = ganeval.compare(a, b, str(tmp_path / "real.npz"))
    assert set(report.metrics) == {"fid", "fid_debiased", "inception_score", "vendi"}
    assert "moments alone" in report.skipped["kid"]
    whole = ganeval.compare(a, b, real, metrics=["fid"])
    assert report["fid"].a == pytest.approx(fid(a.pooled, real.pooled).value)
    assert report["fid"].value == pytest.approx(whole["fid"].value)


def test_statistics_that_keep_features_serve_metrics_of_rows_as_these_do(tmp_path: Path) -> None:
    """1-NN accuracy of 60 fakes takes 60 of the real images, and says so."""
    a, b, _ = three()
    real = features(rows(200, 7).float())
    write_statistics(tmp_path / "real.npz", [real.pooled], "test/v1", keep=200)
    asked = ["one_nn_accuracy", "kid"]
    file, whole = (ganeval.compare(a, b, ref, metrics=asked) for ref in (str(tmp_path / "real.npz"), real))
    for name in asked:
        assert file[name] == whole[name]
    assert any("1-NN accuracy: best at 0.5 only" in warning for warning in file.warnings)


def test_features_of_two_extractors_are_refused() -> None:
    a, b, real = three()
    with pytest.raises(GanevalError, match="one extractor"):
        ganeval.compare(a, replace(b, fingerprint="other/v1"), real)


def test_a_metric_without_influences_is_left_out_or_refused_by_name() -> None:
    a, b, real = three()
    assert "influence" in ganeval.compare(a, b, real).skipped["ndb"]
    with pytest.raises(GanevalError, match="ndb can't be compared"):
        ganeval.compare(a, b, real, metrics=["ndb"])
    with pytest.raises(GanevalError, match="fid can't be compared: needs more images"):
        ganeval.compare(*(features(rows(60, seed, 80)) for seed in range(3)), metrics=["fid"])


def test_options_that_have_no_influences_are_refused() -> None:
    a, b, real = three()
    with pytest.raises(GanevalError, match="bandwidth=median depends on the fakes"):
        ganeval.compare(a, b, real, metrics=["mmd:bandwidth=median"])
    with pytest.raises(GanevalError, match="splits=40 of 60 images leave fewer than 2 in a split"):
        ganeval.compare(a, b, real, metrics=["inception_score:splits=40"])


def test_the_minimum_detectable_is_found_8_times_in_10() -> None:
    """At the level that Holm's correction leaves the smallest of 2 p-values."""
    report = ganeval.compare(*three(), metrics=["fid", "kid"], alpha=0.1)
    for name, line in json.loads(report.to_json())["metrics"].items():
        needed = norm.isf(0.1 / 2 / 2) * report[name].std_error
        chance = norm.sf(needed, line["minimum_detectable"], report[name].std_error)
        assert chance == pytest.approx(0.8), name


def test_an_infinite_option_is_text_in_json() -> None:
    report = ganeval.compare(*three(), metrics={"vendi": {"order": math.inf}})
    assert json.loads(report.to_json())["metrics"]["vendi"]["options"]["order"] == "inf"


def test_the_sentence_names_who_is_better_on_what() -> None:
    a, b, real = three()
    report = ganeval.compare(a, b, real, metrics=["fid", "kid", "emd"])
    assert report.sentence == "B is better on FD, KID and EMD"
    other = ganeval.compare(features(rows(60, 5)), b, real, metrics=["fid", "kid"])
    assert other.sentence == "no difference was found on any of the 2 metrics at this n"
    lines = report.metrics
    some = replace(report, metrics={**lines, "emd": replace(lines["emd"], better="")})
    assert some.sentence == "B is better on FD and KID; on the other metric no difference was found at this n"
    both = {"fid": replace(lines["fid"], title="FD, of pixels"), "kid": replace(lines["kid"], better="A")}
    assert replace(report, metrics=both).sentence == "A is better on KID; B is better on FD (of pixels)"


def test_every_form_tells_the_adjusted_p_value_from_the_plain_one() -> None:
    report = ganeval.compare(*three(), metrics=["kid"])
    line = report.metrics["kid"]
    line = replace(line, difference=replace(line.difference, p_value=0.02), p_holm=0.07)
    report = replace(report, metrics={"kid": line})
    assert report.to_frame()[["p_value", "p_holm"]].to_numpy().tolist() == [[0.02, 0.07]]
    assert "| 0.020 | 0.070 |" in report.to_markdown()
    assert "0.070" in report.to_text()
    assert "0.020" not in report.to_text()


# The command


def folder(path: Path, images: np.ndarray) -> str:
    from PIL import Image

    path.mkdir()
    for i, image in enumerate(images):
        Image.fromarray(image).save(path / f"{i:03}.png")
    return str(path)


@pytest.fixture
def sets(tmp_path: Path) -> list[str]:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (3, 55, 8, 8, 3), dtype=np.uint8)
    pixels[0] //= 2
    return [folder(tmp_path / name, images) for name, images in zip("abr", pixels, strict=True)]


def test_the_command_prints_the_table_and_the_sentence(sets: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(Path(sets[0]).parent)
    a, b, real = (Path(folder).name for folder in sets)
    run = CliRunner().invoke(cli, ["compare", a, b, "--ref", real, "--extractor", "pixels:4"])
    assert run.exit_code == 0, run.output
    assert max(map(len, run.stdout.splitlines())) <= 80
    assert "B is better on" in " ".join(run.stdout.split())
    assert "features   48 from pixels:4" in run.stdout


def test_the_command_writes_json_csv_and_markdown(sets: list[str], tmp_path: Path) -> None:
    a, b, real = sets
    given = ["compare", a, b, "--ref", real, "--extractor", "pixels:4", "--metric", "kid", "--metric", "density"]
    document = json.loads(CliRunner().invoke(cli, [*given, "--format", "json"]).stdout)
    assert document["schema"] == "ganeval.compare/1"
    line = document["metrics"]["kid"]
    assert line["better"] == "B"
    assert line["difference"] == pytest.approx(line["a"] - line["b"])
    assert line["p_value"] <= line["p_holm"] <= 2 * line["p_value"]
    assert CliRunner().invoke(cli, [*given, "-o", str(tmp_path / "x.csv")]).exit_code == 0
    assert (tmp_path / "x.csv").read_text().startswith("metric,a,b,difference,std_error,low,high,p_value,p_holm")
    assert CliRunner().invoke(cli, [*given, "--format", "md"]).stdout.startswith("| metric | best is | A | B |")


def test_a_title_with_marks_breaks_no_table() -> None:
    found = ganeval.compare(*(features(rows(60, seed)) for seed in range(3)), metrics=["kid"])
    marked = replace(found, metrics={"kid": replace(found.metrics["kid"], title="p(a|b) ± 1_0")})
    assert r"| p(a\|b) ± 1_0 | low |" in marked.to_markdown()
    assert r"p(a|b) $\pm$ 1\_0 & low &" in marked.to_latex()


def test_the_command_pairs_by_file_name(sets: list[str]) -> None:
    """b with the brightness of a: paired by name the error is smaller than apart."""
    a, b, real = sets
    from PIL import Image

    for path in sorted(Path(a).iterdir()):
        pixels = np.asarray(Image.open(path)).copy()
        pixels[0, 0] = 255
        Image.fromarray(pixels).save(Path(b) / path.name)
    errors = []
    for flag in ([], ["--paired"]):
        given = ["compare", a, b, "--ref", real, "--extractor", "pixels:4", "--metric", "kid", "--format", "json"]
        run = CliRunner().invoke(cli, [*given, *flag])
        errors.append(json.loads(run.stdout)["metrics"]["kid"]["std_error"])
    assert errors[1] < errors[0] / 2


def test_what_makes_a_comparison_doubtful_is_said(sets: list[str]) -> None:
    a, b, real = sets
    options = {"extractor": "pixels:4", "metrics": ["kid"]}
    assert "A is the reference itself: its numbers are those of copies" in ganeval.compare(a, b, a, **options).warnings
    (Path(b) / "054.png").rename(Path(b) / "zzz.png")
    (warning,) = (text for text in ganeval.compare(a, b, real, paired=True, **options).warnings if "names" in text)
    assert warning == "1 of 55 pairs have two names, such as 054.png and zzz.png"
    with pytest.raises(GanevalError, match="a skipped image shifts all pairs after it"):
        ganeval.compare(a, b, real, paired=True, skip_bad=True, **options)


def test_the_command_refuses_the_same_folder_twice(sets: list[str]) -> None:
    a, _, real = sets
    run = CliRunner().invoke(cli, ["compare", a, a, "--ref", real, "--extractor", "pixels:4"])
    assert run.exit_code == 2
    assert "A and B are the same images" in run.stderr
