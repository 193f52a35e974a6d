"""Facts that hold for every metric in the registry; a new row gets these tests for free."""

from __future__ import annotations

import inspect
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from ganeval.errors import GanevalError
from ganeval.numerics.inputs import matrix
from ganeval.registry import METRICS, Metric
from ganeval.types import Estimate

_random = np.random.RandomState(0)
FAKE = _random.randn(150, 12) * 0.9 + 0.2
REAL = _random.randn(150, 12)
TRAIN = np.random.RandomState(1).randn(150, 12)
SEEDED = {name for name, metric in METRICS.items() if "seed" in inspect.signature(metric.fn).parameters}
DRAWS_ROWS = SEEDED - {"sliced_wasserstein", "emd"} | {"inception_score", "ndb", "ct"}
"""Metrics that divide the rows among subsets: score() orders rows by content, so there their order is fixed."""

# The value of (x, x), where it has one.
IDEAL = {
    "fid": 0, "mmd": 0, "cmmd": 0, "emd": 0, "sliced_wasserstein": 0, "one_nn_accuracy": 0, "one_nn_accuracy_real": 0,
    "one_nn_accuracy_fake": 0, "precision": 1, "recall": 1, "coverage": 1, "ndb": 0,
}  # fmt: skip
every_metric = pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)


def compute(metric: Metric, fake, real, **options) -> Estimate:
    """The metric of these sets, with TRAIN as the training set where it needs one."""
    train = [TRAIN] if metric.train == "needed" else []
    return metric.fn(fake, *train, *([real] if metric.reference else []), **options)


@every_metric
def test_the_estimate_is_sane(metric: Metric) -> None:
    estimate = compute(metric, FAKE, REAL)
    assert isinstance(estimate, Estimate)
    assert float(estimate) == estimate.value
    assert type(estimate.value) is float
    assert estimate.n_fake == 150
    assert estimate.n_real == (150 if metric.reference else None)
    json.dumps(estimate.details, allow_nan=False)
    if estimate.interval:
        assert estimate.std_error >= 0
        assert estimate.interval[0] <= estimate.value <= estimate.interval[1]
    else:
        assert len(estimate.details["no_interval"]) > 10


@every_metric
def test_the_order_of_rows_does_not_matter(metric: Metric) -> None:
    if metric.name in DRAWS_ROWS:
        pytest.skip("divides the rows among subsets; score() gives them an order of their own")
    value = compute(metric, FAKE, REAL).value
    shuffled = compute(metric, _random.permutation(FAKE), _random.permutation(REAL)).value
    assert shuffled == pytest.approx(value, rel=1e-9, abs=1e-12)


@every_metric
def test_the_same_seed_gives_the_same_bits(metric: Metric) -> None:
    options = {"seed": 3} if metric.name in SEEDED else {}
    assert compute(metric, FAKE, REAL, **options) == compute(metric, FAKE, REAL, **options)


@pytest.mark.parametrize("name", sorted(SEEDED - {"emd", "ndb", "kid", "ct"}))
def test_another_seed_gives_another_draw(name: str) -> None:
    metric = METRICS[name]
    assert compute(metric, FAKE, REAL, seed=1).value != compute(metric, FAKE, REAL, seed=2).value


@pytest.mark.parametrize("name", IDEAL)
def test_a_set_against_itself(name: str) -> None:
    # sqrt of a rounding error in double precision is about 1e-8
    assert compute(METRICS[name], REAL, REAL).value == pytest.approx(IDEAL[name], abs=1e-6)


@every_metric
def test_dtypes_and_layouts_agree(metric: Metric) -> None:
    value = compute(metric, FAKE, REAL).value
    kinds = {
        "tensor": (torch.from_numpy(FAKE), torch.from_numpy(REAL)),
        "transposed": (torch.from_numpy(FAKE.T.copy()).T, torch.from_numpy(REAL.T.copy()).T),
        "gradient": (torch.from_numpy(FAKE).requires_grad_(), torch.from_numpy(REAL).requires_grad_()),
        "mixed": (FAKE, torch.from_numpy(REAL)),
    }
    for kind, (fake, real) in kinds.items():
        assert compute(metric, fake, real).value == pytest.approx(value, rel=1e-9, abs=1e-12), kind
    single = compute(metric, FAKE.astype(np.float32), REAL.astype(np.float32)).value
    assert single == pytest.approx(value, rel=2e-3 if metric.name == "kid" else 1e-5, abs=1e-5)


@every_metric
def test_fake_and_real_are_not_exchanged(metric: Metric) -> None:
    symmetric = {"fid", "fid_debiased", "kid", "cmmd", "emd", "sliced_wasserstein", "one_nn_accuracy"}
    if not metric.reference or metric.name in symmetric:
        pytest.skip("symmetric, or without a reference")
    # Wide against narrow, so that each asymmetric metric tells the two apart.
    wide, narrow = REAL * 2, FAKE * 0.7
    if metric.name == "mifid":
        wide, narrow = np.concatenate([wide, narrow[:30]]), narrow
    options = {"eps": 0.9} if metric.name == "mifid" else {}
    there, back = compute(metric, wide, narrow, **options), compute(metric, narrow, wide, **options)
    assert there.value != pytest.approx(back.value, rel=1e-3)


@every_metric
@pytest.mark.parametrize("broken", ["nan", "inf", "beyond", "one row", "rank", "columns"])
def test_bad_features_are_refused_in_one_line(metric: Metric, broken: str) -> None:
    bad, message = FAKE.copy(), "NaN or infinity in 1 of 150 rows"
    if broken == "nan":
        bad[3, 4] = np.nan
    elif broken == "inf":
        bad[3, 4] = np.inf
    elif broken == "beyond":
        bad[3, 4], message = 1e200, r"numbers beyond 3\.4e\+38 in 1 of 150 rows"
    elif broken == "one row":
        bad, message = bad[:1], "at least|1 to 1|only 1"
    elif broken == "rank":
        bad, message = bad[0], r"shape \(N, D\), got \(12,\)"
    else:
        if not metric.reference:
            pytest.skip("one set alone")
        bad, message = bad[:, :5], "5 columns and (real|train) has 12"
    with pytest.raises(GanevalError, match=message) as caught:
        compute(metric, bad, REAL)
    assert "\n" not in str(caught.value)


def test_finite_features_whose_sum_overflows_are_not_refused() -> None:
    huge = torch.full((4, 3), 3e38)
    assert torch.equal(matrix(huge, "fake"), huge)


def test_tables_and_lists_are_taken_as_matrices() -> None:
    frozen = FAKE.copy()
    frozen.flags.writeable = False
    swapped = FAKE.astype(FAKE.dtype.newbyteorder())
    for rows in (pd.DataFrame(FAKE), FAKE.tolist(), np.ascontiguousarray(FAKE[::-1])[::-1], frozen, swapped):
        assert torch.equal(matrix(rows, "fake"), torch.from_numpy(FAKE))
    for rows in ("fake", None, pd.DataFrame({"a": ["x", "y"]}), [[1.0], [1.0, 2.0]], iter([1.0])):
        with pytest.raises(GanevalError, match=r"fake must be features of shape \(N, D\), got "):
            matrix(rows, "fake")


@every_metric
def test_the_row_is_complete_and_the_docstring_tells_what_it_must(metric: Metric) -> None:
    assert metric.title
    assert metric.better in ("lower", "higher", "half", "zero")
    assert metric.paper
    text = metric.fn.__doc__
    assert text
    assert len(text) > 100


@every_metric
def test_the_manual_has_a_section(metric: Metric) -> None:
    manual = (Path(__file__).parents[1] / "docs/metrics.md").read_text()
    assert f"`{metric.name}`" in manual


@every_metric
def test_a_family_agrees_with_its_members(metric: Metric) -> None:
    if metric.family is None:
        pytest.skip("no family")
    from ganeval.registry import resolve

    together = {name: m.options({}) for name, m in METRICS.items() if m.family == metric.family}
    family = resolve(metric.family)(torch.from_numpy(FAKE), torch.from_numpy(REAL), together)
    assert family[metric.name] == compute(metric, FAKE, REAL)
