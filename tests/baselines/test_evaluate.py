"""What the records of the baselines say: modes, sanity rows, sample sets."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from ganeval_baselines import data, evaluate, plan, sanity, train
from ganeval_baselines.judges import BySamples
from ganeval_baselines.sanity import TITLES, sanity_samples


@pytest.fixture(scope="module")
def digits() -> data.Images:
    loaded = data.load("digits")
    assert isinstance(loaded, data.Images)
    return loaded


def test_modes_and_high_quality_of_planted_points() -> None:
    ring = data.ring8()
    points = torch.cat([
        ring.centres[:3].repeat_interleave(10, 0),  # three modes, ten points each
        ring.centres[3:4] + torch.tensor([[0.0299, 0.0]]),  # a fourth, just within three spreads
        ring.centres[4:5] + torch.tensor([[0.0, 0.0301]]),  # and a fifth, just beyond
        torch.zeros(8, 2),
    ])  # fmt: skip
    rows = evaluate.mixture_modes(points, ring)
    assert rows["modes"]["value"] == 4
    assert rows["high_quality"]["value"] == pytest.approx(31 / 40)
    assert rows["high_quality"]["std_error"] == pytest.approx(math.sqrt(31 / 40 * 9 / 40 / 40))
    p = [10 / 31] * 3 + [1 / 31]
    assert rows["mode_kl"]["value"] == pytest.approx(sum(q * math.log(8 * q) for q in p))


def test_a_perfect_generator_of_the_ring_has_all_modes_and_three_sigma_quality() -> None:
    ring = data.ring8()
    rows = evaluate.mixture_modes(ring.draw(2500, data.rng(1)), ring)
    assert rows["modes"]["value"] == 8
    # Of a plane Gaussian, exp(-9 / 2) lies beyond three standard deviations.
    assert rows["high_quality"]["value"] == pytest.approx(1 - math.exp(-4.5), abs=0.006)
    assert rows["mode_kl"]["value"] < 0.0034


def test_stacked_modes_are_counted_by_the_judge_s_digits(monkeypatch: pytest.MonkeyPatch, digits: data.Images) -> None:
    """The judge is replaced by one that reads the digit off the pixels."""
    stacked = replace(digits, name="stacked", stacked=3)
    assert (stacked.classes, stacked.shape) == (1000, (3, 8, 8))
    codes = torch.tensor([[1, 2, 3]] * 5 + [[4, 5, 6]] * 3 + [[7, 8, 9]] * 2)

    def read(images: torch.Tensor, *_: object, **__: object) -> object:
        return type("F", (), {"logits": torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 10).float()})

    monkeypatch.setattr("ganeval.extract", read)
    images = codes.to(torch.uint8)[:, :, None, None].expand(-1, -1, 8, 8)
    rows = evaluate.stacked_modes(images, stacked)
    assert (rows["modes"]["value"], rows["modes_plain"]["value"]) == (2, 3)
    p = [0.5, 0.3, 0.2]
    assert rows["mode_kl"]["value"] == pytest.approx(sum(q * math.log(1000 * q) for q in p))


def test_stacked_batches_put_three_digits_in_three_channels_with_their_number_as_label(digits: data.Images) -> None:
    stacked = replace(digits, name="stacked", stacked=3)
    batch = stacked.batch(0, 5, 16)
    levels = data.to_uint8(batch.real)
    assert digits.labels is not None
    assert batch.labels is not None
    for image, label in zip(levels, batch.labels.tolist(), strict=True):
        for channel, digit in zip(image, f"{label:03d}", strict=True):
            same = (digits.pixels[:, 0] == channel).flatten(1).all(1)
            assert int(digit) in digits.labels[same].tolist()


def test_sample_sets_depend_on_the_seed_alone_and_leave_the_random_state(digits: data.Images) -> None:
    run = plan.plan("cgan", digits, 0, 64)
    model = train.build(run, torch.device("cpu")).model
    torch.manual_seed(5)
    before = torch.random.get_rng_state()
    a = evaluate.draw(model, digits, 70, 0, 1)
    torch.rand(3)
    b = evaluate.draw(model, digits, 70, 0, 1)
    assert torch.equal(a.content, b.content)
    assert a.content.dtype == torch.uint8
    assert a.sha256 == b.sha256 != evaluate.draw(model, digits, 70, 0, 2).sha256
    assert a.labels is not None
    torch.random.set_rng_state(before)
    evaluate.draw(model, digits, 70, 0, 1)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert model.training


def test_only_conditional_models_have_a_label_accuracy(digits: data.Images) -> None:
    for name, labelled in (("nsgan", False), ("cgan", True), ("acgan", True)):
        model = train.build(plan.plan(name, digits, 0, 64), torch.device("cpu")).model
        assert (evaluate.draw(model, digits, 4, 0).labels is not None) == labelled


@pytest.mark.parametrize(("extractor", "there"), [("classifier:digits", True), ("classifier:mnist", False)])
def test_labels_are_told_by_the_data_s_own_classifier_alone(digits: data.Images, extractor: str, there: bool) -> None:
    """Another network's class 3 is another class."""
    model = train.build(plan.plan("cgan", digits, 0, 64), torch.device("cpu")).model
    reference = evaluate.reference_of(digits, extractor)
    rows = evaluate.rows_of(evaluate.draw(model, digits, 60, 0), reference, 0, ("precision",))
    assert ("label_accuracy" in rows) == there


def test_the_spread_over_sampling_seeds_is_kept_apart(digits: data.Images, tmp_path: Path) -> None:
    reference = evaluate.reference_of(digits)
    model = train.build(plan.plan("nsgan", digits, 0, 64), torch.device("cpu")).model
    rows = BySamples(reference).verdict(model, 0, tmp_path)["metrics"]
    assert np.load(tmp_path / "samples.npz")["arr_0"].shape == (597, 8, 8, 1)
    sets = [evaluate.draw(model, digits, 597, 0, k, 2**33) for k in range(evaluate.SAMPLING_SEEDS)]
    values = torch.tensor(
        [evaluate.rows_of(s, reference, 0, ("fid",))["fid"]["value"] for s in sets], dtype=torch.float64
    )
    assert rows["fid"]["value"] == pytest.approx(float(values[0]))
    assert rows["fid"]["evaluation_sd"] == pytest.approx(float(values.std()))


def test_the_sanity_rows_stand_in_their_known_order(digits: data.Images) -> None:
    """Real is best, the mean image the worst; each defect moves the number that should see it."""
    reference = evaluate.reference_of(digits)
    rows = {name: evaluate.rows_of(sanity_samples(name, digits, 597, 0), reference, 0) for name in TITLES}
    fid = {name: row["fid"]["value"] for name, row in rows.items()}
    assert fid["real"] == min(fid.values())
    assert fid["mean_image"] == max(fid.values())
    assert rows["mean_image"]["vendi"]["value"] == pytest.approx(1, rel=1e-4)
    assert rows["planted_collapse"]["recall"]["value"] < 0.6 * rows["real"]["recall"]["value"]
    copies = sanity_samples("memoriser", digits, 50, 0).content
    assert all((digits.pixels == copy).flatten(1).all(1).any() for copy in copies)


def test_the_verdict_sees_the_planted_collapse_and_not_the_real_images(digits: data.Images) -> None:
    reference = evaluate.reference_of(digits)
    planted = evaluate.collapse_of(sanity_samples("planted_collapse", digits, 597, 0), reference, 0)
    honest = evaluate.collapse_of(sanity_samples("real", digits, 597, 0), reference, 0)
    assert planted is not None
    assert honest is not None
    assert planted["verdict"] == "collapsed"
    assert set("56789") <= set(planted["missing"])
    assert honest["verdict"] == "none"


def test_the_gaussian_row_has_the_pool_s_covariance(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sanity, "POOL", 4000)
    ring = data.ring8()
    points = sanity_samples("pca_gaussian", ring, 20_000, 0).content.double()
    # Unit circle: each coordinate has variance 1/2.
    assert torch.allclose(points.T.cov(), 0.5 * torch.eye(2, dtype=torch.float64), atol=0.02)
