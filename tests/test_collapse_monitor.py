"""Looks at a generator during training: how alpha is spent, what raises the alarm, what a checkpoint keeps."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganeval
from ganeval import CollapseMonitor, CollapseReport, Features, GanevalError, collapse_test
from ganeval.collapse.similarity import permutations
from ganeval.images import open_images
from tests.benchmarks import calibrate_collapse
from tests.test_collapse import blobs, gaussian

REAL = blobs(500, 1)
HEALTHY = blobs(200, 0)
COLLAPSED = HEALTHY[torch.nonzero(HEALTHY.labels != 2).ravel()]


def test_each_look_is_judged_at_its_share_of_alpha() -> None:
    monitor = CollapseMonitor(REAL, looks=4, alpha=0.04)
    report = monitor(HEALTHY, step=7)
    assert report == collapse_test(HEALTHY, REAL, alpha=0.01)
    assert monitor.history[0].alpha == 0.01
    assert (monitor.history[0].step, monitor.history[0].verdict, monitor.alarmed) == (7, "none", False)


def test_a_collapse_raises_the_alarm_and_calls_the_hook() -> None:
    told: list[CollapseReport] = []
    monitor = CollapseMonitor(REAL, looks=3, on_collapse=told.append)
    monitor(HEALTHY)
    report = monitor(COLLAPSED)
    monitor(HEALTHY)
    assert told == [report]
    assert [look.alarm for look in monitor.history] == [False, True, False]
    assert monitor.history[1].missing == ("c",)
    assert monitor.alarmed


def test_the_last_look_may_have_the_whole_of_alpha() -> None:
    monitor = CollapseMonitor(REAL, looks=2, spend="last")
    assert monitor(COLLAPSED).verdict == "collapsed"
    assert not monitor.alarmed
    assert monitor(COLLAPSED).alpha == 0.05
    assert [look.alarm for look in monitor.history] == [False, True]


def test_a_look_too_many_is_refused_and_a_failed_one_spends_nothing() -> None:
    monitor = CollapseMonitor(REAL, looks=1)
    with pytest.raises(GanevalError, match="10 fakes"):
        monitor(HEALTHY[torch.arange(10)])
    monitor(HEALTHY)
    with pytest.raises(GanevalError, match="all 1 looks are spent"):
        monitor(HEALTHY)
    assert len(monitor.history) == 1


def test_a_training_that_goes_on_does_not_spend_alpha_twice() -> None:
    first = CollapseMonitor(REAL, looks=3)
    first(HEALTHY, step=1)
    first(COLLAPSED, step=2)
    kept = json.loads(json.dumps(first.state_dict(), allow_nan=False))
    second = CollapseMonitor(REAL, looks=3)
    second.load_state_dict(kept)
    assert second.history == first.history
    assert second.alarmed
    second(HEALTHY)
    with pytest.raises(GanevalError, match="spent"):
        second(HEALTHY)
    for other in (CollapseMonitor(REAL, looks=4), CollapseMonitor(blobs(400, 1), looks=3)):
        with pytest.raises(GanevalError, match=r"looks=3|n_real=500"):
            other.load_state_dict(kept)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"looks": 0}, "plan 1 to 500"),
        ({"looks": 501}, "plan 1 to 500"),
        ({"spend": "first"}, "'each' or 'last'"),
        ({"looks": 2.5}, "looks=2.5; give a whole number"),
        ({"looks": "3"}, "looks='3'; give a whole number"),
        ({"seed": -1}, "seed=-1; give a whole number"),
        ({"seed": None}, "seed=None; give a whole number"),
    ],
)
def test_a_plan_that_can_not_be_kept_is_refused(options: dict, message: str) -> None:
    with pytest.raises(GanevalError, match=message):
        CollapseMonitor(REAL, **options)


@pytest.mark.parametrize(
    "change",
    [
        {"history": None},
        {"history": [{"step": 1}]},
        {"history": ["look"]},
        {"history": [{"kinds": [], "missing": [], "more": 1}]},
        {"history": [{"kinds": 1, "missing": []}]},
        {"history": 4},
        [],
        None,
    ],
)
def test_a_state_that_is_none_is_refused(change: Any) -> None:
    monitor = CollapseMonitor(REAL, looks=3)
    monitor(HEALTHY)
    before = list(monitor.history)
    with pytest.raises(GanevalError, match="give what state_dict returned") as caught:
        monitor.load_state_dict({**monitor.state_dict(), **change} if isinstance(change, dict) else change)
    assert "\n" not in str(caught.value)
    kept = monitor.state_dict()
    with pytest.raises(GanevalError, match="4 looks of 3"):
        monitor.load_state_dict({**kept, "history": 4 * kept["history"]})
    assert monitor.history == before


def test_images_become_features_by_the_references_own_extractor() -> None:
    digits = open_images("digits:train")
    images = torch.stack([digits[i].pixels for i in range(250)])
    monitor = CollapseMonitor("digits:test", looks=5)
    assert monitor.real.fingerprint.startswith("classifier-digits")
    assert monitor(images).verdict == "none"
    assert monitor(ganeval.extract(images, "classifier:digits")).verdict == "none"
    with pytest.raises(GanevalError, match="extractor="):
        CollapseMonitor(monitor.real)(images)


@pytest.mark.parametrize("level", [0.025, 0.0025, 0.0007, 5e-5])
def test_so_many_permutations_that_the_level_can_be_reached(level: float) -> None:
    assert 2 <= (permutations(level) + 1) * level <= max(2.1, 1000 * level)


def test_copies_are_seen_at_a_hundredth_of_alpha() -> None:
    """999 permutations never give a p-value under 0.001, and each test has 0.00025."""
    support = gaussian(30)[torch.from_numpy(np.random.default_rng(0).integers(30, size=120))]
    real = gaussian(240, seed=1)
    report = CollapseMonitor(Features(real, None, "test/v1"), looks=100)(Features(support, None, "test/v1"))
    assert "duplicated" in report.kinds
    assert report.similarity.p_value < 0.00025


@pytest.mark.parametrize("kind", sorted(calibrate_collapse.LOOKS))
def test_ten_looks_at_real_digits_seldom_raise_an_alarm(kind: str) -> None:
    """The full counts, on MNIST, are in docs/calibration.md. 110 images: digits has no more for ten looks."""
    alarms = [calibrate_collapse.watch("digits", "classifier:digits", kind, seed, 110).alarmed for seed in range(5)]
    assert np.mean(alarms) <= 0.05 + 2 * math.sqrt(0.05 * 0.95 / 5)


def test_the_documented_loop_stops_at_the_collapse() -> None:
    page = Path(__file__).parents[1] / "docs" / "collapse.md"
    (code,) = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)

    class Generator:
        """Samples of the training set, after 500 steps ten of them over and over."""

        steps, digits = 0, open_images("digits:train")

        def sample(self, n: int) -> torch.Tensor:
            rows = np.random.default_rng(self.steps).permutation(len(self.digits))[:n]
            if self.steps > 500:
                rows = rows[np.arange(n) % 10]
            return torch.stack([self.digits[int(i)].pixels for i in rows])

    generator = Generator()

    def train_one_step(model: Generator) -> None:
        model.steps += 1

    names = {"generator": generator, "train_one_step": train_one_step}
    exec(code, names)
    assert generator.steps == 600
    assert [look.verdict for look in names["monitor"].history] == ["none"] * 5 + ["collapsed"]
