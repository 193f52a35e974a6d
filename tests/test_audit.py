"""The audit: what each experiment is made of, the words for planted curves, and the command."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner, Result
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

import ganeval
from ganeval.auditing import images as altering
from ganeval.auditing import verdicts
from ganeval.auditing.experiments import EXPERIMENTS, REAL, Draw, Level, Selection, sizes
from ganeval.auditing.verdicts import Curve, gap, judge, reliable_n
from ganeval.cli import cli
from ganeval.errors import GanevalError
from ganeval.images import open_images

N = 40


@pytest.fixture
def draw() -> Draw:
    """A pool of 400 rows in 5 clusters, row modulo 5, where the smallest row of S_g in each is nearest the centre."""
    rows = np.random.RandomState(1).permutation(400)
    pool = np.arange(400)
    return Draw(
        real=rows[:N], held=rows[N : 2 * N], spare=rows[2 * N :], train=("train", np.arange(1000, 1000 + N)),
        generated=np.arange(2000, 2000 + N), clusters=pool % 5, to_centre=pool / 400, seed=3,
    )  # fmt: skip


def levels(name: str, draw: Draw, line: str = "score") -> list[Level]:
    return [level for level in EXPERIMENTS[name].levels(draw) if level.line == line]


def rows(selection: Selection) -> list[tuple[str, int]]:
    return [(bank, int(row)) for bank, part in selection for row in part]


HALVES = [name for name, experiment in EXPERIMENTS.items() if experiment.kind in ("defect", "harmless")]


@pytest.mark.parametrize("name", HALVES)
def test_strength_0_is_untouched_and_every_level_has_n_images_against_s_r(name: str, draw: Draw) -> None:
    found = levels(name, draw)
    assert found[0].strength == 0
    assert sorted(rows(found[0].fake)) == sorted((REAL, row) for row in draw.held)
    for level in found:
        assert rows(level.real) == [(REAL, row) for row in draw.real]
        assert len(rows(level.fake)) == N
        assert not set(rows(level.fake)) & set(rows(level.real))
    assert [level.strength for level in found] == sorted({level.strength for level in found})


@pytest.mark.parametrize(
    ("name", "bank"), [("mixing", "generated"), ("overfit", "train"), ("shift", "shift"), ("rotation", "rotation")]
)
def test_the_share_of_other_images_is_the_strength(name: str, bank: str, draw: Draw) -> None:
    for line in ("validation", "train") if name == "overfit" else ("score",):
        for level in levels(name, draw, line):
            fake = rows(level.fake)
            assert sum(found == bank for found, _ in fake) == round(level.strength * N)
            assert len(set(fake)) == N
            if line == "train":
                assert rows(level.real) == [("train", row) for row in draw.train[1]]


def test_altered_images_take_the_place_of_themselves(draw: Draw) -> None:
    for name in ("shift", "rotation", "noise", "blur", "jpeg"):
        for level in levels(name, draw):
            assert [row for _, row in rows(level.fake)] == draw.held.tolist()


def test_dropped_clusters_are_gone_and_others_fill_their_places(draw: Draw) -> None:
    for level in levels("dropping", draw):
        fake = [row for _, row in rows(level.fake)]
        gone = set(range(5)) - {row % 5 for row in fake}
        assert len(gone) == round(level.strength * 5)
        # S_g's own images of the clusters that stay, and new ones: none twice while the pool lasts.
        assert {row for row in draw.held.tolist() if row % 5 not in gone} <= set(fake)
        assert level.strength > 0.7 or len(set(fake)) == N


def test_where_the_pool_runs_out_dropping_repeats_images_of_s_g_alone(draw: Draw) -> None:
    last = levels("dropping", replace(draw, spare=draw.spare[:0]))[-1]
    fake = [row for _, row in rows(last.fake)]
    assert len(fake) == N
    assert set(fake) <= set(draw.held.tolist())
    assert len({row % 5 for row in fake}) == 1


def test_collapsed_clusters_show_the_image_nearest_to_their_centre(draw: Draw) -> None:
    for level in levels("collapse", draw):
        fake = np.array([row for _, row in rows(level.fake)])
        changed = fake != draw.held
        collapsed = [c for c in range(5) if len(set(fake[draw.held % 5 == c])) == 1]
        assert len(collapsed) == round(level.strength * 5)
        assert not changed[~np.isin(draw.held % 5, collapsed)].any()
        for c in collapsed:
            assert set(fake[draw.held % 5 == c]) == {draw.held[draw.held % 5 == c].min()}


def test_spoilt_clusters_stay_spoilt_as_the_strength_grows(draw: Draw) -> None:
    left = [{row % 5 for _, row in rows(level.fake)} for level in levels("dropping", draw)]
    assert all(more > fewer for more, fewer in pairwise(left))


def test_sample_sizes_double_up_to_n_and_half_the_mixture_is_generated(draw: Draw) -> None:
    assert sizes(100) == [16, 32, 64, 100]
    assert sizes(64) == [16, 32, 64]
    assert sizes(50) == [16, 32, 50]
    for line, share in (("real", 0.0), ("mixture", 0.5)):
        for level, n in zip(levels("size", draw, line), sizes(N), strict=True):
            fake = rows(level.fake)
            assert (level.strength, len(fake), len(rows(level.real))) == (n, n, n)
            assert sum(bank == "generated" for bank, _ in fake) == share * n


def planted(means: list[float], spread: float = 0.02, repeats: int = 10) -> Curve:
    random = np.random.RandomState(0)
    return Curve(tuple(float(i) for i in range(len(means))), np.array(means)[:, None] + spread * random.standard_normal(
        (len(means), repeats)))  # fmt: skip


RISING, FLAT = [0.5, 0.6, 0.7, 0.9], [0.5, 0.5, 0.5, 0.5]


@pytest.mark.parametrize(
    ("means", "better", "word"),
    [
        (RISING, "lower", "sees"), (RISING, "higher", "inverted"), (RISING, "half", "sees"),
        (FLAT, "lower", "blind"), (FLAT, "higher", "blind"), (FLAT, "half", "blind"),
        ([0.9, 0.7, 0.6, 0.5], "lower", "inverted"), ([0.9, 0.7, 0.6, 0.5], "higher", "sees"),
        # 1-NN accuracy: away from 0.5 on either side is worse, towards it better.
        ([0.5, 0.4, 0.3, 0.1], "half", "sees"), ([1.0, 0.9, 0.7, 0.5], "half", "inverted"),
        ([0.3, 0.4, 0.6, 0.7], "half", "blind"),
        # Up and down again is not seen; nothing until the greatest strength is.
        ([0.5, 0.9, 0.7, 0.5], "lower", "blind"),
        ([0.5, 0.5, 0.5, 0.9], "lower", "sees"),
        # Worse at the greatest strength alone, and better the more there is before: no direction.
        ([0.5, 0.4, 0.3, 0.2, 0.1, 0.6], "lower", "blind"),
    ],
)  # fmt: skip
def test_planted_curves_get_their_words(means: list[float], better: verdicts.Better, word: str) -> None:
    assert judge(planted(means).badness(better)).word == word


def test_a_change_within_the_null_spread_is_not_seen() -> None:
    assert judge(planted([0.5, 0.52, 0.54, 0.56], spread=0.1)).word == "blind"
    assert judge(planted([0.5, 0.52, 0.54, 0.56], spread=0.001)).word == "sees"


def test_noise_alone_is_almost_never_seen() -> None:
    random = np.random.RandomState(0)
    curves = [Curve((0, 1, 2, 3, 4), random.standard_normal((5, 10))) for _ in range(400)]
    assert sum(judge(curve).word != "blind" for curve in curves) <= 1


def test_harmless_changes_react_in_either_direction_or_are_robust() -> None:
    assert judge(planted(RISING), harmless=True).word == "reacts"
    assert judge(planted(RISING[::-1]), harmless=True).word == "reacts"
    assert judge(planted(FLAT), harmless=True).word == "robust"


def test_seen_from_is_where_it_is_seen_ever_after() -> None:
    assert judge(planted([0.5, 0.9, 0.5, 0.7, 0.9])).seen_from == 3
    assert judge(planted([0.5, 0.7, 0.8, 0.9])).seen_from == 1
    assert judge(planted(FLAT)).seen_from is None


def test_the_statistics_are_scikit_learns_and_scipys() -> None:
    random = np.random.RandomState(0)
    a, b = random.randint(0, 8, 12).astype(float), random.randint(0, 8, 9).astype(float)
    truth = np.r_[np.ones(12), np.zeros(9)]
    assert verdicts.auc(a, b) == pytest.approx(roc_auc_score(truth, np.r_[a, b]))
    curve = Curve((0.0, 0.25, 0.5, 1.0), random.randint(0, 5, (4, 6)).astype(float))
    expected = np.mean([spearmanr(curve.strengths, column).statistic for column in curve.values.T])
    assert verdicts.trend(curve) == pytest.approx(expected)
    assert verdicts.trend(Curve((0.0, 1.0), np.ones((2, 3)))) == 0


def test_the_gap_grows_where_the_fakes_near_the_training_set() -> None:
    flat = planted(FLAT)
    falling = planted([0.5, 0.35, 0.2, 0.0])
    # 1-NN accuracy against the training set falls to 0; as a distance from 0.5 this would look like a worse fit.
    assert judge(gap(flat, falling, "half")).word == "sees"
    assert judge(gap(flat, falling, "lower")).word == "sees"
    assert judge(gap(flat, planted(RISING), "higher")).word == "sees"
    assert judge(gap(flat, planted(RISING), "lower")).word == "inverted"
    assert judge(gap(flat, flat, "higher")).word == "blind"
    assert (gap(flat, flat, "higher").values == 0).all()


def test_the_reliable_n_holds_at_every_larger_n() -> None:
    real = planted(FLAT)
    by_n = replace(real, strengths=(16.0, 32.0, 64.0, 100.0))

    def mixture(means: list[float]) -> Curve:
        return replace(planted(means), strengths=by_n.strengths)

    assert reliable_n(by_n, mixture([0.9, 0.5, 0.9, 0.9])) == 64
    assert reliable_n(by_n, mixture([0.9, 0.9, 0.9, 0.9])) == 16
    assert reliable_n(by_n, mixture([0.9, 0.9, 0.9, 0.5])) is None
    lacking = mixture([0.9, 0.9, 0.9, 0.9])
    lacking.values[0] = np.nan  # the metric needs more than 16 images
    assert reliable_n(by_n, lacking) == 32


def test_a_metric_that_failed_at_a_level_gets_no_word() -> None:
    curve = planted(RISING)
    curve.values[2, 1] = np.nan
    assert judge(curve).word == "-"


RANDOM = np.random.RandomState(0)
PHOTO = torch.from_numpy(RANDOM.randint(0, 256, (3, 16, 20)).astype(np.uint8))


def test_a_shift_moves_by_a_pixel_and_repeats_the_edge() -> None:
    moves = set()
    for seed in range(60):
        moved = altering.shift(PHOTO, 1, np.random.RandomState(seed))
        assert moved.shape == PHOTO.shape
        found = [
            (down, right)
            for down in (-1, 0, 1)
            for right in (-1, 0, 1)
            if torch.equal(moved[:, 1:-1, 1:-1], PHOTO[:, 1 - down : 15 - down, 1 - right : 19 - right])
        ]
        moves.update(found)
        assert len(found) == 1
    assert moves == {(a, b) for a in (-1, 0, 1) for b in (-1, 0, 1)} - {(0, 0)}


def test_a_rotation_keeps_the_size_and_a_plain_image() -> None:
    plain = torch.full((3, 12, 20), 200, dtype=torch.uint8)
    assert torch.equal(altering.rotation(plain, 1, np.random.RandomState(0)), plain)
    # A column of light through the centre leans by the angle: at most tan 15 degrees times half the height.
    image = torch.zeros(3, 41, 41, dtype=torch.uint8)
    image[:, :, 20] = 255
    leans = []
    for seed in range(20):
        top = altering.rotation(image, 1, np.random.RandomState(seed))[0, 0].double()
        leans.append(float((top * torch.arange(41)).sum() / top.sum()) - 20)
    assert 2 < max(map(abs, leans)) <= 20 * np.tan(np.radians(15)) + 0.5
    assert min(leans) < 0 < max(leans)


def test_noise_has_its_sd_and_leaves_grey_images_grey() -> None:
    grey = torch.full((3, 200, 200), 128, dtype=torch.uint8)
    noisy = altering.noise(grey, 0.1, np.random.RandomState(0))
    assert float(noisy.double().std()) == pytest.approx(25.5, rel=0.02)
    assert torch.equal(noisy[0], noisy[1])
    colours = altering.noise(PHOTO // 2 + 60, 0.05, np.random.RandomState(0)).double() - (PHOTO // 2 + 60)
    assert not torch.equal(colours[0], colours[1])


def test_blur_spreads_a_point_by_its_sigma() -> None:
    image = torch.zeros(3, 64, 64, dtype=torch.uint8)
    image[:, 32, :] = 255
    line = altering.blur(image, 2.5 / 64, np.random.RandomState(0))[0, :, 10].double()
    at = torch.arange(64) - 32
    assert float((line * at**2).sum() / line.sum()) == pytest.approx(2.5**2, rel=0.05)


def test_jpeg_harms_more_at_lower_quality() -> None:
    harm = [
        float((altering.jpeg(PHOTO, strength, np.random.RandomState(0)).double() - PHOTO).abs().mean())
        for strength in (5, 50, 90)
    ]
    assert 0 < harm[0] < harm[1] < harm[2]


def test_an_altered_set_is_the_same_at_every_reading_and_differs_by_seed_and_bank() -> None:
    photos = open_images(RANDOM.randint(0, 256, (6, 9, 9, 3)).astype(np.uint8))
    once, again = altering.altered(photos, "noise:0.1", 0), altering.altered(photos, "noise:0.1", 0)
    assert all(torch.equal(once[i].pixels, again[5 - (5 - i)].pixels) for i in reversed(range(6)))
    assert once.content_key() == again.content_key()
    others = [altering.altered(photos, *how) for how in (("noise:0.1", 1), ("noise:0.2", 0), ("shift", 0))]
    assert len({photos.content_key(), once.content_key(), *(other.content_key() for other in others)}) == 5
    assert not torch.equal(once[0].pixels, others[0][0].pixels)
    # Each image has random numbers of its own.
    assert not torch.equal(once[0].pixels.int() - photos[0].pixels, once[1].pixels.int() - photos[1].pixels)


def test_the_gaussian_has_the_mean_and_the_covariance_of_the_images() -> None:
    random = np.random.RandomState(0)
    values = 120 + 12 * random.standard_normal((300, 12)) @ (np.eye(12) + 0.3 * random.standard_normal((12, 12)))
    photos = np.rint(values).clip(0, 255).astype(np.uint8)
    made = altering.gaussian(open_images(photos.reshape(300, 2, 2, 3)), 20000, 0)
    x = photos.reshape(300, 2, 2, 3).transpose(0, 3, 1, 2).reshape(300, 12).astype(float)
    y = np.stack([made[i].pixels.flatten().numpy() for i in range(len(made))]).astype(float)
    assert np.allclose(y.mean(0), x.mean(0), atol=0.6)
    scale = np.sqrt(np.outer(np.diag(np.cov(x.T)), np.diag(np.cov(x.T))))
    assert (abs(np.cov(y.T) - np.cov(x.T)) / scale).max() < 0.06


SMALL = {"n": 100, "repeats": 4, "metrics": ["fid", "inception_score"]}


def test_an_audit_of_digits_by_python() -> None:
    report = ganeval.audit("digits:test", **SMALL)
    assert report.verdicts["mixing"]["fid"].word == "sees"
    # The Inception Score has no reference: whatever it is scored against, it is the same number.
    lines = report.curves["overfit"]["inception_score"]
    assert (lines["validation"].values == lines["train"].values).all()
    assert report.verdicts["overfit"]["inception_score"].word == "blind"
    # All of the training images against themselves: nothing is nearer.
    assert report.curves["overfit"]["fid"]["train"].values[-1] == pytest.approx(0, abs=1e-6)
    # The level without a defect is one and the same in every experiment.
    nulls = [report.curves[name]["fid"]["score"].values[0] for name in HALVES]
    assert all((null == nulls[0]).all() for null in nulls)
    assert len(set(nulls[0])) == 4
    frame = report.to_frame()
    assert len(frame) == 2 * 4 * (8 * 5 + 5 * 2 + 4 * 2)
    assert set(frame.columns) == {"experiment", "metric", "line", "strength", "repeat", "value"}
    again = ganeval.audit("digits:test", **SMALL, cache=False)
    assert again.to_frame().equals(frame)
    other = ganeval.audit("digits:test", **SMALL, seed=1, experiments=["mixing"])
    assert list(other.curves) == ["mixing"]
    assert not np.array_equal(other.curves["mixing"]["fid"]["score"].values, nulls[0])


def test_the_order_of_the_images_changes_no_number() -> None:
    digits = open_images("digits:test")
    pixels = np.stack([digits[i].pixels.numpy().transpose(1, 2, 0) for i in range(len(digits))])
    options = {"n": 50, "repeats": 4, "metrics": ["fid"], "experiments": ["dropping"], "extractor": "pixels:4"}
    a, b = (ganeval.audit(array, **options).to_frame() for array in (pixels, pixels[::-1].copy()))
    assert a.equals(b)


def test_given_samples_and_training_images_are_used() -> None:
    random = np.random.RandomState(0)
    black = np.zeros((60, 8, 8, 3), np.uint8)
    report = ganeval.audit(
        "digits:test", train="digits:train", samples=black + random.randint(0, 9, black.shape).astype(np.uint8),
        n=50, repeats=4, metrics=["fid"], experiments=["mixing", "overfit"], extractor="pixels:4",
    )  # fmt: skip
    assert {bank: info.source for bank, info in report.sets.items()} == {
        "real": "digits:test", "train": "digits:train", "generated": "array",
    }  # fmt: skip
    assert report.verdicts["mixing"]["fid"].seen_from == 0.25
    assert report.verdicts["overfit"]["fid"].word == "sees"


def test_what_reads_the_training_set_sees_copies_and_is_scored_once() -> None:
    report = ganeval.audit(
        "digits:test", train="digits:train", n=150, repeats=4, metrics=["authenticity", "ct"],
        experiments=["mixing", "overfit"],
    )  # fmt: skip
    for name in ("authenticity", "ct"):
        assert report.verdicts["overfit"][name].word == "sees"
        assert np.isnan(report.curves["overfit"][name]["train"].values).all()
    # Every fake is a training image: none is authentic, and C_T is far below 0.
    assert (report.curves["overfit"]["authenticity"]["validation"].values[-1] == 0).all()
    assert (report.curves["overfit"]["ct"]["validation"].values[-1] < -3).all()


def run(*arguments: object, code: int = 0) -> Result:
    done = CliRunner().invoke(cli, ["audit", *map(str, arguments)], prog_name="ganeval")
    assert done.exit_code == code, done.stderr + done.stdout + str(done.exception)
    return done


def test_the_command_prints_the_table_and_writes_the_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for experiment in EXPERIMENTS.values():
        monkeypatch.setattr(experiment.levels, "__doc__", None)  # as under python -OO
    base = ["--ref", "digits:test", "--n", 50, "--repeats", 4, "--metric", "fid", "--metric", "one-nn-accuracy"]
    done = run(*base, "-o", tmp_path / "audit")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for word in ("FD", "1-NN accuracy", "mixing", "overfit", "reliable n", "sees", "digits:test"):
        assert word in done.stdout
    assert "wrote" in done.stderr
    assert "wrote" not in done.stdout
    document = json.loads((tmp_path / "audit" / "audit.json").read_text(), parse_constant=pytest.fail)
    assert document["schema"] == "ganeval.audit/1"
    assert set(document["curves"]) == set(EXPERIMENTS)
    page = (tmp_path / "audit" / "audit.md").read_text()
    for name, experiment in EXPERIMENTS.items():
        assert f"\n\n{experiment.said}\n\n" in page
        assert experiment.said.endswith(".")
        picture = tmp_path / "audit" / f"{name}.svg"
        assert f"({name}.svg)" in page
        assert ElementTree.parse(picture).getroot().tag == "{http://www.w3.org/2000/svg}svg"
        assert picture.stat().st_size < 100_000


def test_the_help_names_every_experiment() -> None:
    help_text = " ".join(run("--help").stdout.split())
    assert ", ".join(EXPERIMENTS) in help_text


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources that an audit refuses: few images, one image many times, two sizes, statistics."""
    from PIL import Image

    root = tmp_path_factory.mktemp("sources")
    random = np.random.RandomState(0)
    np.save(root / "few.npy", random.randint(0, 256, (149, 6, 6, 3)).astype(np.uint8))
    np.save(root / "one.npy", np.full((300, 6, 6, 3), 77, np.uint8))
    np.savez(root / "statistics.npz", mu=np.zeros(48), sigma=np.eye(48))
    (root / "sizes").mkdir()
    for i in range(160):
        pixels = random.randint(0, 256, (6 + i % 2, 6, 3)).astype(np.uint8)
        Image.fromarray(pixels).save(root / "sizes" / f"{i}.png")
    return root


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--ref", "{}/few.npy"], ["too few images", "3 disjoint sets", "n = 50", "has 149"]),
        (["--ref", "{}/one.npy"], ["1 distinct image", "clusters"]),
        (["--ref", "{}/statistics.npz"], ["statistics", "give the images"]),
        (["--ref", "{}/sizes"], ["several sizes", "--samples"]),
        (["--ref", "digits:test", "--n", "200"], ["--n 200", "50 to 199"]),
        (["--ref", "digits:test", "--n", "20"], ["--n 20", "50 to 199"]),
        (["--ref", "digits:test", "--train", "digits:test"], ["597 of the 597", "held-out"]),
        (["--ref", "digits:test", "--train", "digits:train", "--samples", "{}/few.npy", "--n", "150"], ["50 to 149"]),
        (["--ref", "digits:test", "--experiment", "droping"], ["unknown experiment 'droping'", "'dropping'"]),
        (["--ref", "digits:test", "--repeats", "3"], ["--repeats 3", "4 or more"]),
        (["--ref", "digits:test", "--metric", "fidd"], ["unknown metric", "'fid'"]),
        (["--ref", "digits:test", "--metric", "mode_score", "--experiment", "blur"], ["no class logits"]),
    ],
    ids=lambda value: " ".join(map(str, value))[-40:],
)
def test_bad_input_is_one_line(sources: Path, arguments: list[str], words: list[str]) -> None:
    done = run(*(word.format(sources) for word in arguments), "--extractor", "pixels:4", code=2)
    assert done.stdout == ""
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1
    assert all(word in lines[0] for word in words), lines[0]


def test_features_alone_can_not_be_audited() -> None:
    features = ganeval.extract("digits:test", "pixels:4")
    with pytest.raises(GanevalError, match="give the images"):
        ganeval.audit(features)  # type: ignore[arg-type]


def test_shared_training_images_are_warned_of() -> None:
    digits = open_images("digits:test")
    pixels = np.stack([digits[i].pixels.numpy().transpose(1, 2, 0) for i in range(len(digits))])
    report = ganeval.audit(
        pixels[:300], train=pixels[290:], n=50, repeats=4, metrics=["fid"], experiments=["overfit"],
        extractor="pixels:4",
    )  # fmt: skip
    assert any("10 images are in the reference and in the training set" in warning for warning in report.warnings)
