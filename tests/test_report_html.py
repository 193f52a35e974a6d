"""The report as one HTML file, and the picture of a collapse: every image is the one that the verdict names."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from sklearn.decomposition import PCA

from ganeval import score
from ganeval.cli import cli
from ganeval.collapse import Mode
from ganeval.errors import GanevalError
from ganeval.features import extract
from ganeval.images import open_images
from ganeval.report import ScoreReport, figures
from ganeval.report.contact import SIDE, _bands, collapse_picture
from ganeval.report.gallery import project
from ganeval.report.headlines import headlines
from ganeval.report.html import page
from ganeval.report.pictures import LARGEST, encoded, reduced, thumbnails
from ganeval.scoring import score_each
from ganeval.settings import Settings
from ganeval.types import Estimate
from tests.browser import Page, asked, browser, console, width_on_a_telephone

HOSTILE = "<script>alert('x')<b>& 数字"
KEPT = range(5)
COPIES = 60


def save(root: Path, name: str, data: str, keep: range, copies: int = 0) -> Path:
    """Digits as PNGs in class folders; file names are hostile, and the first `copies` of the digits stand twice."""
    images = open_images(data)
    assert images.labels is not None
    kept = [i for i, label in enumerate(images.labels.tolist()) if label in keep]
    for i in [*kept[:300], *kept[:copies]]:
        folder = root / name / f"{int(images.labels[i])} {HOSTILE}"
        folder.mkdir(parents=True, exist_ok=True)
        pixels = Image.fromarray(images[i].pixels.permute(1, 2, 0).numpy())
        pixels.save(folder / f"{len(list(folder.iterdir())):03d} {HOSTILE}.png")
    return root / name


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folders `half` (the digits 0 to 4, 60 of them twice), `whole` and `real`, of 8x8 digits."""
    root = tmp_path_factory.mktemp("digits")
    save(root, "half", "digits:train", KEPT, COPIES)
    save(root, "whole", "digits:train", range(10))
    save(root, "real", "digits:test", range(10))
    return root


@pytest.fixture(scope="module")
def reports(root: Path) -> list[ScoreReport]:
    settings = Settings(extractor="classifier:digits", cache=False, gallery=True)
    return score_each([root / "half", root / "whole"], root / "real", settings)


@pytest.fixture(scope="module")
def one(reports: list[ScoreReport]) -> str:
    return reports[0].to_html()


@pytest.fixture(scope="module")
def both(reports: list[ScoreReport]) -> str:
    return page(reports, "ganeval score half whole --ref real --html <page>.html")


def pictures(markup: str, what: str = "") -> list[tuple[str, np.ndarray]]:
    """The file that each picture says it shows, and its pixels (H, W, 3)."""
    found = [a for tag, a in Page(markup).tags if tag == "img" and a["alt"].startswith(what)]
    return [
        (a["title"], np.array(Image.open(io.BytesIO(base64.b64decode(a["src"].partition("base64,")[2])))))
        for a in found
    ]


def test_the_markup_is_well_formed_and_every_link_within_has_an_end(one: str, both: str) -> None:
    for markup in (one, both):
        found = Page(markup)
        assert found.open == []
        ids = [attributes["id"] for _, attributes in found.tags if "id" in attributes]
        assert len(ids) == len(set(ids))
        targets = {a["href"][1:] for tag, a in found.tags if tag == "a"}
        targets |= {a["aria-labelledby"] for _, a in found.tags if "aria-labelledby" in a}
        assert targets <= set(ids)


def test_tables_figures_and_pictures_name_themselves(one: str, both: str) -> None:
    for markup in (one, both):
        tags = Page(markup).tags
        assert [tag for tag, _ in tags].count("caption") == [tag for tag, _ in tags].count("table")
        assert all(a.get("scope") in ("col", "row") for tag, a in tags if tag == "th")
        assert all(a.get("alt") and a.get("title") for tag, a in tags if tag == "img")
        assert all(a.get("aria-hidden") == "true" or a.get("aria-label") for tag, a in tags if tag == "svg")
        levels = [int(tag[1]) for tag, _ in tags if re.fullmatch("h[1-6]", tag)]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(b - a <= 1 for a, b in pairwise(levels)), "no level of heading is skipped"


def test_nothing_is_loaded_from_elsewhere_and_nothing_runs(both: str) -> None:
    found = Page(both)
    loading = [(tag, a[key]) for tag, a in found.tags for key in ("src", "srcset", "data", "action") if key in a]
    loading += [(tag, a["href"]) for tag, a in found.tags if tag != "a" and "href" in a]
    assert loading
    assert all(value.startswith("data:") for _, value in loading)
    assert "url(" not in both
    assert "@import" not in both
    assert not any(tag == "script" or any(key.startswith("on") for key in a) for tag, a in found.tags)
    policy = next(a["content"] for tag, a in found.tags if tag == "meta" and "http-equiv" in a)
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_names_are_text_and_never_markup(one: str, both: str) -> None:
    for markup in (one, both):
        assert "<script" not in markup
        assert "<b>& " not in markup
        assert "&lt;script&gt;alert" in markup
        assert "数字" in markup
    assert "&lt;page&gt;.html" in both


def test_the_numbers_are_those_of_the_document(reports: list[ScoreReport], both: str) -> None:
    shown = re.findall(r'<tr data-metric="(\w+)">.*?data-value="([^"]+)">', both)
    documents = [json.loads(report.to_json())["metrics"] for report in reports]
    assert [(name, float(value)) for name, value in shown] == [
        (name, line["value"]) for metrics in documents for name, line in metrics.items()
    ]
    assert "gallery" not in json.loads(reports[0].to_json())


def test_every_picture_is_the_file_that_it_names(root: Path, both: str) -> None:
    found = pictures(both)
    assert len(found) > 4 * 64
    for name, pixels in found:
        assert np.array_equal(pixels, np.array(Image.open(name).convert("RGB"))), name
    assert all(Path(name).is_relative_to(root / "real") for name, _ in pictures(both, "reference"))
    assert not any(Path(name).is_relative_to(root / "real") for name, _ in pictures(both, "samples"))


def test_missing_modes_are_shown_by_their_own_real_images(root: Path, one: str, reports: list[ScoreReport]) -> None:
    collapse = reports[0].collapse
    assert collapse is not None
    assert {mode.name[0] for mode in collapse.missing} >= set("56789")
    for mode in collapse.missing:
        escaped = f"a real image of {mode.name}"
        shown = [Path(name) for name, _ in pictures(one, escaped)]
        assert len(shown) == 8
        # The classes are the classifier's, which reads some digits otherwise than their label.
        assert sum(path.parent == root / "real" / mode.name for path in shown) >= 6, mode.name


def test_the_nearest_pairs_are_the_planted_copies(one: str) -> None:
    near = pictures(one, "one of a near pair")
    assert len(near) == 16
    for (a, left), (b, right) in zip(near[::2], near[1::2], strict=True):
        assert a != b
        assert np.array_equal(left, right)
    assert "All these 8 are copies" in one


def test_copies_stand_beside_the_training_images_that_they_copy(root: Path) -> None:
    """`whole` against itself as the training set, with held-out images as the reference."""
    settings = Settings(extractor="classifier:digits", cache=False, gallery=True)
    (report,) = score_each([root / "whole"], root / "real", settings, root / "whole")
    assert headlines(report)[2].answer == "It copies"
    assert headlines(report)[2].alarm
    markup = report.to_html()
    fakes, originals = pictures(markup, "a sample near"), pictures(markup, "the training image")
    assert len(fakes) == len(originals) == 8
    for (fake, pixels), (original, theirs) in zip(fakes, originals, strict=True):
        assert fake == original, "the nearest training image of a file is that file"
        assert np.array_equal(pixels, theirs)
    assert markup.count("too close") == 8
    (other,) = score_each([root / "half"], root / "real", settings, root / "whole")
    fakes, originals = (pictures(other.to_html(), what) for what in ("a sample near", "the training image"))
    assert len(fakes) == len(originals) == 8
    for (fake, pixels), (original, theirs) in zip(fakes, originals, strict=True):
        assert Path(fake).is_relative_to(root / "half")
        assert Path(original).is_relative_to(root / "whole")
        assert np.array_equal(pixels, theirs), "both hold the first digits 0 to 4 of digits:train"
    (unseen,) = score_each([root / "whole"], None, settings, root / "whole")
    assert headlines(unseen)[2].answer == "Not judged"
    assert "not trained on" in headlines(unseen)[2].because[0]


def test_rows_lead_to_their_images_past_bad_files_draws_and_the_cache(root: Path, tmp_path: Path) -> None:
    real = root / "real"
    for i, path in enumerate(sorted(real.rglob("*.png"))):
        target = tmp_path / "set" / path.parent.name / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"no image" if i % 7 == 2 else path.read_bytes())
    settings = Settings(extractor="pixels:8", metrics={}, n=200, skip_bad=True, gallery=True)
    for _ in range(2):  # made, then from the cache
        (report,) = score_each([tmp_path / "set"], None, settings)
        assert report.samples.n is not None
        assert 150 < report.samples.n < 200
        found = pictures(report.to_html(), "samples")
        assert len(found) == 64
        for name, pixels in found:
            assert np.array_equal(pixels, np.array(Image.open(name).convert("RGB")))
    images = open_images(tmp_path / "set")
    features = extract(images, "pixels:8", skip_bad=True)[torch.tensor([5, 0, 9])]
    assert features.survey is not None
    tiles = thumbnails(images, features.survey, [0, 2])
    for row, tile in tiles.items():
        assert torch.allclose(tile.pixels.float().flatten(), features.pooled[row] * 255, atol=0.6)


def test_large_pictures_are_reduced_and_small_ones_kept() -> None:
    random = np.random.default_rng(0)
    large = torch.from_numpy(random.integers(0, 256, (3, 300, 150), dtype=np.uint8))
    assert reduced(large).shape == (3, LARGEST, LARGEST // 2)
    flat = torch.full((3, 200, 100), 77, dtype=torch.uint8)
    assert torch.equal(reduced(flat), torch.full((3, 96, 48), 77, dtype=torch.uint8))
    small = large[:, :64, :10]
    assert reduced(small) is small
    images = open_images(torch.stack([large]))
    features = extract(images, "pixels:2")
    assert features.survey is not None
    content, kind = encoded(thumbnails(images, features.survey, [0])[0])
    assert kind == "image/jpeg"
    assert Image.open(io.BytesIO(content)).size == (LARGEST // 2, LARGEST)


def test_a_page_of_photographs_stays_small() -> None:
    """Noise is the worst that a compressor can meet."""
    noise = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (200, 3, 128, 128), dtype=np.uint8))
    report = score(noise[:100], noise[100:], extractor="pixels:4", gallery=True, cache=False)
    markup = report.to_html()
    assert len(pictures(markup)) >= 128
    assert len(markup) < 3_000_000


def test_without_pictures_the_page_says_why(reports: list[ScoreReport], root: Path) -> None:
    bare = replace(reports[0], gallery=None).to_html()
    assert "made without pictures" in bare
    assert "gallery=True" in bare
    assert not pictures(bare)
    assert "Share of each of" in bare, "the histogram needs no pictures"
    features = [extract(root / name, "classifier:digits", cache=False) for name in ("half", "real")]
    given = score(features[0], features[1], gallery=True)
    assert "given as features" in given.to_html()
    assert not pictures(given.to_html())
    assert "Collapsed" in given.to_html()


def test_without_a_reference_there_are_samples_and_no_claims(root: Path) -> None:
    report = score(root / "half", extractor="classifier:digits", gallery=True, cache=False)
    markup = report.to_html()
    assert len(pictures(markup, "samples")) == 64
    assert not pictures(markup, "reference")
    assert "no reference" in markup
    assert "principal axis" not in markup
    assert "against" not in re.findall(r"<h1>(.*?)</h1>", markup)[0]


def test_no_copies_are_said_once(both: str) -> None:
    assert "None of these is a copy of another.</p>" in both
    assert "% of 360 samples have a copy." in both
    assert ">0% of" not in both


def test_several_sets_have_an_index_and_one_axis_for_each_metric(both: str) -> None:
    rows = re.findall(r'<tr><th scope="row"><a href="#(set-\d)">(.*?)</a></th>(.*?)</tr>', both)
    assert [(target, name) for target, name, _ in rows] == [("set-1", "half"), ("set-2", "whole")]
    assert [re.findall(r"<td[^>]*>(.*?)</td>", cells)[1] for *_, cells in rows] == ["collapsed", "none"]
    ends = re.findall(r'data-metric="fid_debiased".*?<svg.*?>([^<>]+)</text><text.*?>([^<>]+)</text></svg>', both)
    assert len(ends) == 2
    assert ends[0] == ends[1]


def test_the_headlines_are_the_verdicts_in_words(reports: list[ScoreReport]) -> None:
    half, whole = (headlines(report) for report in reports)
    assert [line.alarm for line in half] == [False, True, False, False]
    assert (half[2].answer, half[2].because) == ("Not judged", ["no training set was given: name it with --train"])
    assert half[1].answer.startswith("Collapsed: dropped")
    assert whole[1].answer == "None found"
    assert any("would be seen missing" in reason for reason in whole[1].because)
    estimate = reports[0]["fid_debiased"]
    assert half[0].answer.startswith("FD, debiased ")
    assert float(half[0].answer.split()[-1]) == pytest.approx(estimate.value, abs=estimate.std_error)
    assert half[0].because[0].endswith("; 0 where both sets come from one distribution")
    plain = replace(reports[0], metrics={"fid": reports[0].metrics["fid"]})
    assert headlines(plain)[0].because == ["no interval"], "it is biased: above 0 for one distribution"
    trusted = replace(reports[0], warnings=[])
    assert headlines(trusted)[3].answer == "No warnings"
    assert headlines(replace(trusted, collapse=None, skipped={"collapse": "too few"}))[1].because == ["too few"]


@pytest.mark.parametrize(("m", "dim"), [(700, 6), (40, 90)], ids=["more images", "more dimensions"])
def test_the_plane_is_that_of_the_principal_components(m: int, dim: int) -> None:
    random = np.random.default_rng(0)
    real = torch.from_numpy(random.normal(size=(m, dim)) * [9, 5, *[1] * (dim - 2)] + 3)
    fake = torch.from_numpy(random.normal(size=(1500, dim)))
    found = project(fake, real, seed=0)
    assert found is not None
    assert (found.fake.shape, found.real.shape) == ((1000, 2), (m, 2))
    expected = PCA(2).fit(real.numpy())
    assert found.share == pytest.approx(expected.explained_variance_ratio_.sum())
    # In some order of the rows, and up to the axes' signs.
    for ours, theirs in zip(found.real.T, expected.transform(real.numpy()).T, strict=True):
        assert np.allclose(np.sort(np.abs(ours.numpy())), np.sort(np.abs(theirs)))
    # The fakes go through the very same map: their centre, some three from the real one on each axis.
    assert np.allclose(found.fake.mean(0).abs(), np.abs(expected.transform(fake.numpy()).mean(0)), atol=0.15)


def test_without_two_directions_there_is_no_plane() -> None:
    random = np.random.default_rng(0)
    fake, real = (torch.from_numpy(random.normal(size=(50, 4))) for _ in range(2))
    assert project(fake, real, 0) is not None
    assert project(fake, real[:2], 0) is None
    assert project(fake, real * 0, 0) is None
    assert project(fake, real * torch.tensor([1, 0, 0, 0]), 0) is None
    assert project(fake[:, :1], real[:, :1], 0) is None
    assert project(fake * torch.nan, real, 0) is None


def test_a_number_that_is_none_and_statistics_as_reference(root: Path, tmp_path: Path) -> None:
    features = extract(root / "real", "pixels:4", cache=False).pooled.double().numpy()
    np.savez(tmp_path / "stats.npz", mu=features.mean(0), sigma=np.cov(features.T))
    settings = Settings(extractor="pixels:4", cache=False, gallery=True)
    (report,) = score_each([root / "half"], tmp_path / "stats.npz", settings)
    markup = report.to_html()
    assert "moments alone" in markup
    assert "unknown n of reference images" in markup
    assert len(pictures(markup)) == 64
    infinite = replace(report.metrics["fid"], estimate=Estimate(float("inf"), None, (1.0, float("nan"))))
    markup = page([replace(report, metrics={"fid": infinite}), report])
    assert ">inf</td>" in markup
    assert "nan" not in "".join(re.findall("<svg.*?</svg>", markup, re.S))


def widths(svg: str, kind: str) -> list[float]:
    return [float(w) for w in re.findall(rf'<rect class="{kind}"[^>]* width="([\d.]+)"', svg)]


def test_bars_are_shares_and_the_missing_class_stands_out() -> None:
    modes = [Mode("a", 30, 50, 1.2, 1.0), Mode("<b>", 0, 50, 0.0, 0.001, "dropped"), Mode("c", 70, 100, 1.4, 1.0)]
    svg, drawn = figures.histogram(modes)
    assert drawn == 3
    fake, real = widths(svg, "fake"), widths(svg, "real")
    assert fake[1] == 0
    assert fake[0] / fake[2] == pytest.approx(30 / 70, abs=0.01)
    assert real == pytest.approx([real[2] / 2, real[2] / 2, real[2]], abs=0.2)
    assert fake[2] / real[2] == pytest.approx(0.7 / 0.5, abs=0.01)
    assert re.findall(r'class="missing"[^>]*>([^<]*)<', svg) == ["&lt;b&gt;"]
    many = [Mode(f"m{i}", 10, 10, 1.0, 1.0) for i in range(99)] + [Mode("far", 0, 500, 0.0, 0.0, "dropped")]
    svg, drawn = figures.histogram(many)
    assert drawn == figures.CLASSES
    assert ">far</text>" in svg
    assert figures.histogram([]) == ("", 0)


def test_an_interval_is_drawn_where_it_lies() -> None:
    estimate = Estimate(2.0, 0.5, (1.0, 3.0))
    across = figures.span([estimate, Estimate(8.0, 1.0, (6.0, 10.0))], share=False)
    assert across.low == 0
    assert across.high == pytest.approx(10.8)
    svg = figures.interval(estimate, across, 0.0)
    line = re.search(r'class="interval" x1="([\d.]+)" x2="([\d.]+)"', svg)
    assert line
    assert float(line[1]) == pytest.approx(across.at(1.0), abs=0.06)
    assert float(line[2]) == pytest.approx(across.at(3.0), abs=0.06)
    assert f'class="ideal" x1="{across.at(0.0):.1f}"' in svg
    below = figures.span([Estimate(0.1, 0.2, (-0.3, 0.5))], share=False)
    assert below.low < -0.3
    assert (figures.span([estimate], share=True).low, figures.span([estimate], share=True).high) == (0, 1)


def test_the_picture_of_a_collapse_holds_the_real_images(reports: list[ScoreReport]) -> None:
    report = reports[0]
    assert report.gallery is not None
    assert report.collapse is not None
    sheet = np.array(Image.open(io.BytesIO(collapse_picture(reports))))
    times = SIDE // 8
    for mode in report.collapse.missing:
        first = report.gallery.real[mode.examples[0]].pixels.permute(1, 2, 0).numpy()
        wanted = first.repeat(times, 0).repeat(times, 1)
        column = sheet[:, 28 : 28 + SIDE]
        assert any(np.array_equal(column[y : y + SIDE], wanted) for y in range(len(sheet) - SIDE)), mode.name
    with pytest.raises(GanevalError, match="not features"):
        collapse_picture([replace(report, gallery=None)])


def test_the_picture_says_what_the_page_says_of_a_mode(reports: list[ScoreReport]) -> None:
    report = reports[0]
    assert report.collapse is not None
    hidden = replace(report.collapse, modes=(Mode("9", 1, 50, 0.1, 0.01, "hidden"),))
    labels = [band.label for band in _bands(replace(report, collapse=hidden))]
    assert any(label.startswith("9, perhaps among the unrealistic samples: 1 of the samples") for label in labels)


def run(*arguments: object, code: int = 0) -> tuple[str, str]:
    done = CliRunner().invoke(cli, list(map(str, arguments)), prog_name="ganeval")
    assert done.exit_code == code, done.stderr
    return done.stdout, done.stderr


def test_the_command_line_writes_both(root: Path, tmp_path: Path) -> None:
    sets = [root / "half", "--ref", root / "real", "--extractor", "classifier:digits"]
    plain, _ = run("score", *sets, "-q")
    stdout, stderr = run("score", *sets, "-q", "--html", tmp_path / "page.html")
    assert stdout == plain
    assert f"wrote {tmp_path / 'page.html'}" in stderr
    markup = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert len(pictures(markup, "samples")) == 64
    run("collapse", *sets, "--picture", tmp_path / "evidence.png")
    with Image.open(tmp_path / "evidence.png") as evidence:
        assert evidence.format == "PNG"
    assert "ends in .png" in run("collapse", *sets, "--picture", tmp_path / "evidence.jpg", code=2)[1]
    (tmp_path / "file").touch()
    assert "could not write" in run("score", *sets, "-q", "--html", tmp_path / "file" / "page.html", code=2)[1]


@browser
def test_the_browser_has_nothing_to_complain_of(both: str, tmp_path: Path) -> None:
    assert console(both, tmp_path) == []
    planted = both.replace("<main>", '<main><img alt="" src="http://127.0.0.1:9/planted.png">')
    assert console(planted, tmp_path), "the page's own policy speaks up in the console"
    assert asked(both, tmp_path) == set()


@browser
def test_a_telephone_scrolls_tables_and_never_the_page(one: str, both: str, tmp_path: Path) -> None:
    assert width_on_a_telephone(one, tmp_path) == 400
    assert width_on_a_telephone(both, tmp_path) == 400
