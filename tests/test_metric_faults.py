"""What goes wrong around metrics: autocast, orders, odd arrays and options, small n, states of other extractors."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch

import ganeval
from ganeval.errors import GanevalError
from ganeval.images import open_images
from ganeval.metrics import (
    authenticity,
    fid,
    fid_debiased,
    inception_score,
    kid,
    mifid,
    mmd,
    ndb,
    precision,
    vendi,
)
from ganeval.numerics.moments import moments
from ganeval.registry import METRICS
from ganeval.types import Features, Moments

G = torch.Generator().manual_seed(5)
X, Y = (torch.randn(300, 24, generator=G) + 0.3 for _ in range(2))


@pytest.mark.parametrize("metric", [fid, kid, mmd, precision, mifid, vendi, authenticity])
def test_autocast_around_a_metric_moves_no_digit(metric: Callable) -> None:
    arguments = (X,) if metric is vendi else (X, Y)
    plain = metric(*arguments).value
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert metric(*arguments).value == plain


def test_autocast_around_an_extractor_moves_no_digit() -> None:
    images = torch.randint(0, 256, (12, 3, 8, 8), generator=G, dtype=torch.uint8)
    plain = ganeval.extract(images, "classifier:digits", cache=False).pooled
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(ganeval.extract(images, "classifier:digits", cache=False).pooled, plain)


def test_the_inception_score_does_not_hang_on_the_order_of_classes() -> None:
    logits = 8 * torch.eye(10).repeat_interleave(40, 0)
    assert inception_score(logits).value == pytest.approx(inception_score(logits, splits=1).value, rel=0.15)


def test_compare_takes_sorted_features_as_score_does() -> None:
    images = open_images("digits:test")
    rows = torch.argsort(images.labels, stable=True).tolist()
    by_class = images.subset(rows)
    a, b = (ganeval.extract(by_class.subset(range(i, 590, 2)), "classifier:digits", cache=False) for i in (0, 1))
    real = ganeval.extract("digits:train", "classifier:digits", cache=False)
    one = ganeval.compare(a, b, real, metrics=["inception_score"], paired=True)["inception_score"].a
    assert one == pytest.approx(inception_score(a.logits).value, rel=1e-9)
    assert one > 3


def features(rows: torch.Tensor) -> Features:
    return Features(rows, None, "x")


@pytest.mark.parametrize(
    ("metrics", "words"),
    [
        (["emd:max_n=1"], "max_n=1"),
        (["sliced_wasserstein:projections=0"], "projections=0"),
        (["cmmd:sigma=0"], "sigma=0"),
    ],
)
def test_compare_refuses_the_options_that_score_refuses(metrics: list[str], words: str) -> None:
    for run in (ganeval.compare, lambda a, b, real, **options: ganeval.score(a, real, **options)):
        with pytest.raises(GanevalError, match=words):
            run(features(X[:150]), features(X[150:]), features(Y), metrics=metrics)


def test_compare_refuses_what_is_no_number_and_takes_both_precisions() -> None:
    broken = X[:150].clone()
    broken[3, 4] = math.nan
    with pytest.raises(GanevalError, match="NaN or infinity in 1 of 150"):
        ganeval.compare(features(broken), features(X[150:]), features(Y), metrics=["precision"])
    found = ganeval.compare(features(X[:150].double()), features(X[150:].double()), features(Y), metrics=["kid"])
    assert math.isfinite(found["kid"].a)


@pytest.mark.parametrize("n", [2, 3, 10, 49])
def test_few_images_have_no_interval(n: int) -> None:
    for found in (kid(X[:n], Y[:n]), mmd(X[:n], Y[:n], unbiased=True)):
        assert found.interval is None
        assert found.details["no_interval"] == f"{n} images, where 50 are needed"


@pytest.mark.parametrize(
    ("metric", "options"),
    [
        ("precision", {"k": 2.5}),
        ("precision", {"k": True}),
        ("kid", {"subsets": None}),
        ("kid", {"coef": math.nan}),
        ("precision", {"strict": 1}),
    ],
)
def test_options_of_another_type(metric: str, options: dict[str, object]) -> None:
    with pytest.raises(GanevalError, match=f"of {metric} must be"):
        METRICS[metric].options(options)


def test_an_int_is_a_float_and_none_may_become_a_number() -> None:
    assert METRICS["vendi"].options({"order": 2}) == {"order": 2}
    assert METRICS["precision"].options({"k": np.int64(4)})["k"] == 4
    assert METRICS["kid"].options({"gamma": 0.5})["gamma"] == 0.5


def test_a_level_that_is_no_probability() -> None:
    with pytest.raises(GanevalError, match="alpha=5"):
        ndb(X, Y, alpha=5)


def test_a_high_order_does_not_vanish() -> None:
    assert vendi(X, order=400).value == pytest.approx(vendi(X, order=math.inf).value, rel=0.02)


def test_equal_sets() -> None:
    for n in (10, 40, 100, 300):
        assert 0 <= fid(X[:n].double(), X[:n].double()).value < 1e-9
    for n in (30, 50, 100, 200):
        assert mifid(X[:n], X[:n]).value == math.inf


@pytest.mark.parametrize("odd", [lambda a: np.flip(np.flip(a, 0).copy(), 0), lambda a: a.astype(">f4")])
def test_odd_layouts_are_read(odd: Callable) -> None:
    rows = X.numpy()
    assert fid(odd(rows), Y).value == fid(X, Y).value


@pytest.mark.parametrize("nonsense", [None, "features", [["a"]]])
def test_what_is_no_array(nonsense: object) -> None:
    with pytest.raises(GanevalError, match="fake must be features"):
        fid(nonsense, Y)


def test_statistics_of_few_images_carry_their_own_bias() -> None:
    x, y = (torch.randn(400, 8, generator=G) for _ in range(2))
    known = fid_debiased(x, moments(y))
    assert "400 images add" in str(known.details["warning"])
    unknown = fid_debiased(x, Moments(y.double().mean(0), y.double().T.cov(), n=None))
    assert "do not say how many they are" in str(unknown.details["warning"])
    assert "warning" not in fid_debiased(x, moments(torch.randn(200_000, 8, generator=G))).details


def test_unequal_n_and_the_nearest_neighbour() -> None:
    report = ganeval.score(features(X), features(Y[:100]), metrics=["one_nn_accuracy"])
    assert any("--n 100 makes both" in warning for warning in report.warnings)


def test_an_emd_of_some_images_says_so_in_the_report() -> None:
    report = ganeval.score(features(X), features(Y), metrics=["emd:max_n=50"])
    assert any("EMD: a random 50 of" in warning for warning in report.warnings)


def test_a_report_prints_its_table_and_says_why_a_metric_is_not_there() -> None:
    report = ganeval.score(features(X), features(Y))
    assert str(report) == report.to_text()
    with pytest.raises(KeyError, match="no class logits"):
        report["inception_score"]


# -- streams


def test_an_empty_batch_adds_nothing() -> None:
    stream = ganeval.Stream("classifier:digits")
    images = torch.randint(0, 256, (40, 3, 8, 8), generator=G, dtype=torch.uint8)
    for batch in (images[:0], images, images[:0]):
        stream.update(batch, real=True)
        stream.update(batch.flip(0), real=False)
    assert stream.compute()["fid"].n_fake == 40


def test_streams_of_other_extractors_are_not_put_together() -> None:
    images = torch.randint(0, 256, (8, 3, 8, 8), generator=G, dtype=torch.uint8)
    one, other = ganeval.Stream("classifier:digits"), ganeval.Stream("classifier:mnist")
    for stream in (one, other):
        stream.update(images, real=True)
    for act in (lambda: one.merge(other), lambda: one.load_state_dict(other.state_dict())):
        with pytest.raises(GanevalError, match="this stream takes"):
            act()
    with pytest.raises(GanevalError, match="no state of a Stream"):
        one.load_state_dict({"foo": torch.zeros(1)})
    made_by = one.fingerprint.replace("/fp32", "/bf16")
    with pytest.raises(GanevalError, match="made by"):
        ganeval.Stream("classifier:digits", reference=Moments(torch.zeros(32), torch.eye(32), 10, made_by))


def test_widths_that_differ() -> None:
    stream = ganeval.Stream(None, reference=moments(X))
    with pytest.raises(GanevalError, match="5 features"):
        stream.update(X[:, :5], real=False)
    narrow = ganeval.Stream(None)
    narrow.update(X[:, :5], real=False)
    with pytest.raises(GanevalError, match="5 columns"):
        stream.merge(narrow)
