"""On a device that is not the CPU, with float64 and without, as Apple's is: the same numbers, and nothing mixed.

`tests.card` stands in for it, so that this is seen where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

import ganeval
from ganeval.extractors import load_extractor
from ganeval.extractors.inception import RESIZES
from ganeval.integrations import torchmetrics
from ganeval.metrics import fid
from ganeval.numerics import inputs
from ganeval.numerics.moments import moments
from ganeval.registry import METRICS
from ganeval.types import Estimate
from tests.card import CARD, OnCard, card

Card = Callable[[], AbstractContextManager[torch.device]]


@pytest.fixture(params=[True, False], ids=["float64", "no float64"])
def a_card(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Card:
    if not request.param:
        monkeypatch.setattr(inputs, "NO_FLOAT64", (CARD.type,))
    return partial(card, float64=request.param)


def images(seed: int, n: int = 250) -> Tensor:
    """Four kinds of noisy 8x8 images."""
    kinds = np.random.RandomState(0).randint(256, size=(4, 3, 8, 8))
    random = np.random.RandomState(seed)
    noisy = kinds[random.randint(4, size=n)] + random.randint(-40, 40, size=(n, 3, 8, 8))
    return torch.from_numpy(noisy.clip(0, 255).astype(np.uint8))


FAKE, REAL, TRAIN = images(1), images(2), images(3, 220)


@pytest.fixture(scope="module")
def features() -> list[ganeval.Features]:
    """Of the fakes, the real images and the training images, by the classifier of digits, with labels."""
    found = (ganeval.extract(rows, "classifier:digits", cache=False) for rows in (FAKE, REAL, TRAIN))
    return [replace(some, labels=torch.arange(len(some)) % 3, class_names=tuple("abc")) for some in found]


def there(features: list[ganeval.Features]) -> Iterator[ganeval.Features]:
    for some in features:
        assert some.logits is not None
        yield replace(some, pooled=some.pooled.to(CARD), logits=some.logits.to(CARD))


def same(found: Estimate, expected: Estimate) -> bool:
    ours, theirs = ([x.value, x.std_error or 0, *(x.interval or ())] for x in (found, expected))
    return ours == pytest.approx(theirs, rel=1e-6, abs=1e-9)


def test_the_card_refuses_what_a_card_refuses() -> None:
    with card(float64=False) as device:
        x = torch.ones(3, 2).to(device)
        for mixed in (lambda: x + torch.ones(2), lambda: torch.ones(3, 2).add_(x), lambda: torch.ones(2) @ x.T,
                      lambda: torch.ones(3)[x[:, 0].long()], lambda: x.index_select(0, torch.tensor([0]))):  # fmt: skip
            with pytest.raises(RuntimeError, match="on the card and others on the CPU"):
                mixed()
        with pytest.raises(TypeError, match="no float64"):
            x.double()
        assert isinstance(2 * x[torch.tensor([0, 1])] + torch.tensor(1), OnCard)
        assert type((x @ torch.ones(2, device=device)).cpu()) is Tensor
    with pytest.raises(AssertionError, match="outside"):
        x.sum()


@pytest.mark.parametrize("copies", [1, 50], ids=["distinct", "copies"])
@pytest.mark.parametrize("name", METRICS)
def test_each_metric(name: str, copies: int, a_card: Card) -> None:
    """The fakes lie there, which decides; copies have ties and empty directions, which are settled apart."""
    metric = METRICS[name]
    random = torch.Generator().manual_seed(0)
    fake, real, train = (
        (torch.randn(n // copies, 16, generator=random) + 9).repeat(copies, 1) for n in (300, 260, 280)
    )
    others = [*([train] if metric.train == "needed" else []), *([real] if metric.reference else [])]
    here = metric.fn(fake, *others)
    with a_card() as device:
        for place in (device, "cpu"):
            assert same(metric.fn(fake.to(device), *(rows.to(place) for rows in others)), here)


def test_statistics_of_the_cpu(a_card: Card) -> None:
    fake, real = (torch.randn(300, 16, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1))
    with a_card() as device:
        assert fid(fake.to(device), moments(real)).value == pytest.approx(fid(fake, real).value)


def test_a_score_of_images(a_card: Card) -> None:
    score = partial(ganeval.score, FAKE, REAL, extractor="classifier:digits", train=TRAIN, mirror=True, cache=False)
    here = score(metrics=list(METRICS), collapse=True, device="cpu")
    with a_card() as device:
        found = score(metrics=list(METRICS), collapse=True, device=str(device))
    assert found.skipped == here.skipped == {}
    assert found.collapse == here.collapse
    assert found.memorisation
    assert here.memorisation
    assert found.memorisation.p_value == here.memorisation.p_value
    assert [name for name in METRICS if not same(found[name], here[name])] == []


def test_a_score_of_features_that_lie_there(a_card: Card, features: list[ganeval.Features]) -> None:
    fake, real, _ = features
    here = ganeval.score(fake, real, device="cpu", by_class=True)
    with a_card() as device:
        for where in (str(device), "cpu"):
            found = ganeval.score(*there([fake, real]), device=where, by_class=True)
            assert [name for name in here.metrics if not same(found[name], here[name])] == []
            assert found.by_class.keys() == here.by_class.keys() == set("abc")
            for name, scores in here.by_class.items():
                assert same(found.by_class[name].metrics["kid"].estimate, scores.metrics["kid"].estimate)


def test_the_verdicts(a_card: Card, features: list[ganeval.Features]) -> None:
    fake, real, train = features
    here = ganeval.collapse_test(fake, real), ganeval.memorisation_test(fake, real, train)
    watch = ganeval.CollapseMonitor(real)(fake, step=1)
    with a_card() as device:
        x, y, t = there(features)
        assert ganeval.collapse_test(x, y) == here[0]
        found = ganeval.memorisation_test(x, y, t)
        assert (found.verdict, found.p_value, found.copies) == (here[1].verdict, here[1].p_value, here[1].copies)
        assert ganeval.CollapseMonitor(y, device=str(device))(x, step=1) == watch


def test_a_comparison(a_card: Card, features: list[ganeval.Features]) -> None:
    here = ganeval.compare(*features, device="cpu")
    with a_card() as device:
        found = ganeval.compare(*there(features), device=str(device))
    for name, line in here.metrics.items():
        ours, theirs = found.metrics[name].difference, line.difference
        for of in ("a", "b", "std_error", "p_value"):
            assert getattr(ours, of) == pytest.approx(getattr(theirs, of), rel=1e-5, abs=1e-9), (name, of)


@pytest.mark.parametrize("extractor", ["classifier:digits", None])
def test_streams(extractor: str | None, a_card: Card) -> None:
    def streamed(device: str) -> dict[str, ganeval.Estimate]:
        parts = [ganeval.Stream(extractor, device=device) for _ in range(2)]
        for part, rows, real in ((0, FAKE, False), (1, FAKE[50:], False), (0, REAL, True)):
            batch = rows if extractor else rows.flatten(1)[:, :9].float()
            parts[part].update(batch.to(torch.device(device)), real=real)
        parts[0].merge(parts[1])
        return parts[0].compute()

    here = streamed("cpu")
    with a_card() as device:
        found = streamed(str(device))
    assert {name: line.value for name, line in found.items()} == pytest.approx(
        {name: line.value for name, line in here.items()}, rel=1e-6
    )


@pytest.mark.parametrize("name", ["FID", "KID", "PRDC", "OneNNAccuracy", "InceptionScore"])
def test_torchmetrics(name: str, a_card: Card) -> None:
    def computed(device: torch.device) -> list[float]:
        metric = getattr(torchmetrics, name)(load_extractor("classifier:digits")).to(device)
        for rows, real in ((FAKE, False), (REAL[:100], True), (REAL[100:], True)):
            metric.update(rows.to(device), real=real)
        assert metric.device == device
        metric.compute()
        metric.to(device)  # with what it has computed
        found = metric.compute()
        return [float(value) for value in (found.values() if isinstance(found, dict) else [found])]

    here = computed(torch.device("cpu"))
    with a_card() as device:
        assert computed(device) == pytest.approx(here, rel=1e-6)


@pytest.mark.parametrize("variant", RESIZES)
def test_resizes_of_inception(variant: str, a_card: Card) -> None:
    resize = RESIZES[variant][2]
    with a_card() as device:
        assert torch.allclose(resize(FAKE[:3].to(device)).cpu(), resize(FAKE[:3]), atol=1e-6)
