"""Metrics at the limits of their numbers: features far from 0, huge, tiny or repeated, few images, odd options."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

import ganeval
from ganeval import metrics
from ganeval.errors import GanevalError
from ganeval.features import Features

G = torch.Generator().manual_seed(5)


@pytest.fixture(autouse=True)
def rounded_products(monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of float32 as of many features, whose rounding must not show."""
    monkeypatch.setattr("ganeval.numerics.moments.FLOAT64", 0)


def test_features_far_from_zero_lose_no_neighbours_and_no_copies() -> None:
    """In float32, where a product of rows has no digit left for what they differ by."""
    x, y = (torch.randn(1500, 16, generator=G) + 3000 for _ in range(2))
    assert metrics.ndb(x, y).value == pytest.approx(metrics.ndb(x.double(), y.double()).value, abs=0.05)
    copied = metrics.mifid(y[:200].clone(), y)
    assert math.isinf(copied.value)
    near = metrics.mifid(x[:200], y).details["nearest_cosine_distance"]
    assert near == pytest.approx(metrics.mifid(x[:200].double(), y.double()).details["nearest_cosine_distance"])


@pytest.mark.parametrize("scale", [1e36, 1e18, 1e-25, 1e-40])
def test_huge_and_tiny_features_are_measured_as_others(scale: float) -> None:
    x, y = torch.randn(300, 8, generator=G), torch.randn(300, 8, generator=G) + 0.5
    scaled = [(rows.double() * scale).float() for rows in (x, y)]
    assert metrics.fid(*scaled).value / scale**2 == pytest.approx(metrics.fid(x, y).value, rel=1e-5)
    assert metrics.vendi(scaled[0]).value == pytest.approx(metrics.vendi(x).value, rel=1e-4)
    assert metrics.mifid(*scaled).value / scale**2 == pytest.approx(metrics.mifid(x, y).value, rel=1e-5)
    for share in (metrics.ndb, metrics.one_nn_accuracy, metrics.precision, metrics.coverage):
        assert share(*scaled).value == share(x, y).value, share


def test_features_too_large_for_a_kernel_are_refused() -> None:
    x, y = (torch.randn(100, 4, generator=G) * 1e13 for _ in range(2))
    for run in (
        metrics.kid,
        lambda a, b: ganeval.compare(*(Features(z, None, "x") for z in (a, b, y)), metrics=["kid"]),
    ):
        with pytest.raises(GanevalError, match=r"kid overflows with degree=3, .* of up to \d\.\de\+13 in length"):
            run(x, y + 1e12)
    assert math.isfinite(metrics.kid(x, y, gamma=1e-26).std_error)


def test_vendi_is_smooth_at_order_one() -> None:
    x = torch.randn(500, 64, generator=G)
    exact = metrics.vendi(x.double(), order=1).value
    for order in (1 + 1e-5, 1 - 1e-5, 1 + 1e-7, 1 + 1e-12):
        assert metrics.vendi(x, order=order).value == pytest.approx(exact, rel=1e-4)


def test_a_class_that_no_image_has_adds_nothing() -> None:
    """Masked logits: 0 / 0 was NaN, and so was the error."""
    few = [torch.randn(300, 5, generator=G) for _ in range(2)]
    masked = [torch.cat([logits, torch.full((300, 3), -1e4)], 1) for logits in few]
    for form in ("paper", "che"):
        plain, found = (metrics.mode_score(*pair, form=form) for pair in (few, masked))
        assert (found.value, found.std_error) == pytest.approx((plain.value, plain.std_error))
    other = torch.cat([few[1], torch.randn(300, 3, generator=G)], 1)
    alone = metrics.mode_score(other, masked[1])
    assert (alone.value, alone.std_error, alone.interval) == (0.0, None, None)
    assert "probability 0" in alone.details["no_interval"]


def test_what_has_no_variance_has_no_interval() -> None:
    for n in (60, 300, 1000):  # sums of one constant are rounded alike again and again, the more the longer they are
        for same in (row.expand(n, -1) for row in torch.randn(20, 1, 8, generator=G)):
            few = same[: n * 9 // 10]
            for rows in (same, same.double()):
                for estimate in (metrics.kid(rows, few, subsets=12),
                                 metrics.mmd(rows, few + 1, bandwidth="fixed", unbiased=True)):  # fmt: skip
                    assert estimate.interval is None
                    assert "vary too little" in estimate.details["no_interval"]
    metrics.cmmd(torch.rand(200, 1, generator=G), torch.rand(200, 1, generator=G))  # all the same once scaled
    assert metrics.inception_score(torch.randn(10, 5, generator=G)).interval is None
    with pytest.raises(GanevalError, match="the images are all alike"):
        metrics.mmd(torch.randn(100, 1, generator=G), torch.full((100, 1), 0.1).double())


def test_intervals_want_enough_of_what_they_rest_on() -> None:
    x, y = (torch.randn(400, 4, generator=G) for _ in range(2))
    few = metrics.kid(x, y, subsets=1, subset_size=50)
    assert (few.std_error, few.interval) == (None, None)
    assert "1 subset(s), where 10" in few.details["no_interval"]
    assert metrics.kid(x, y, subsets=1, subset_size=400).interval is not None, "all images: no noise of a subset"
    assert "20 images for 1 features, where 50" in metrics.fid_debiased(x[:20, :1], y[:, :1]).details["no_interval"]
    x, y = (torch.randn(400, 8, generator=G) for _ in range(2))
    repeated = x[:40][torch.randint(0, 40, (400,), generator=G)]
    assert "of the samples have 3 copies" in metrics.recall(repeated, y, k=3).details["no_interval"]
    assert metrics.precision(repeated, y).interval is not None, "its balls are about the real images"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("kid", {"degree": 2.5}), ("kid", {"degree": 0}), ("kid", {"degree": 10**9}), ("kid", {"gamma": math.nan}),
        ("kid", {"gamma": 0}), ("kid", {"coef": math.inf}), ("kid", {"subsets": 10**11}),
        ("mmd", {"sigma": math.inf}), ("mmd", {"sigma": 1e-170}), ("cmmd", {"sigma": 1e-170}), ("mifid", {"eps": 0}),
        ("mifid", {"eps": math.nan}), ("sliced_wasserstein", {"projections": 10**11}),
    ],
)  # fmt: skip
def test_options_that_make_no_metric_are_refused(name: str, options: dict[str, Any]) -> None:
    x, y = (torch.randn(100, 4, generator=G) for _ in range(2))
    with pytest.raises(GanevalError, match=next(iter(options))):
        getattr(metrics, name)(x, y, **options)


def test_images_without_features_have_no_cosines() -> None:
    x = torch.randn(60, 4, generator=G)
    dark = x.clone()
    dark[7] = 0
    for metric in (metrics.mifid, metrics.cmmd):
        for pair in ((x, dark), (dark, x)):
            with pytest.raises(GanevalError, match="only zeros as features"):
                metric(*pair)
    with pytest.raises(GanevalError, match=r"1 image\(s\) have only zeros as features"):
        metrics.vendi(dark)
    with pytest.raises(GanevalError, match="order=-1"):
        metrics.vendi(x, order=-1)


def test_features_without_columns_are_none() -> None:
    with pytest.raises(GanevalError, match=r"shape \(N, D\), got \(50, 0\)"):
        metrics.fid(torch.zeros(50, 0), torch.zeros(50, 0))
    with pytest.raises(GanevalError, match="must be a number, got nan"):
        ganeval.score(torch.zeros(60, 3, 8, 8), torch.zeros(60, 3, 8, 8), metrics=["kid:coef=nan"])
