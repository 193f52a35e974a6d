"""The page: self-contained, the same for everybody, and working in a real browser with and without JavaScript."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from ganeval.leaderboard import build
from ganeval.pages.axes import axis, tick_text
from tests.browser import Page, asked, browser, contrast, dump, width_on_a_telephone
from tests.planted_records import COLLAPSED, failed, metric, png, put, record, sanity

MODELS = {"nsgan": 1.0, "wgan_gp": 4.0, "lsgan": 2.5}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three models of five seeds, one of them with failures, sanity rows, thumbnails."""
    for model, base in MODELS.items():
        for seed in range(5):
            measured = {
                "fid": metric(base + 0.1 * seed, "FD (points)"),
                "modes": metric(8 - (seed + int(base)) % 3, "Modes", "higher"),
                "high_quality": metric(0.9 - 0.1 * base, "High quality", "higher"),
            }
            put(tmp_path, record(model, seed, metrics=measured, collapse=COLLAPSED if seed == 1 else None))
    put(tmp_path, failed("lsgan", 5, reason="<script>alert('x')</script> & NaN"), sanity("real", 0.5))
    (tmp_path / "records/ring8/nsgan.png").write_bytes(png())
    return tmp_path


def text(root: Path) -> str:
    return build(root)["index.html"].decode()


def test_the_markup_is_well_formed_and_every_link_within_has_an_end(root: Path) -> None:
    page = Page(text(root))
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = {a["href"][1:] for tag, a in page.tags if tag == "a" and a["href"].startswith("#")}
    targets |= {a["aria-labelledby"] for _, a in page.tags if "aria-labelledby" in a}
    assert targets <= set(ids)


def test_nothing_is_loaded_from_elsewhere(root: Path) -> None:
    page = Page(text(root))
    loading = [(tag, a[key]) for tag, a in page.tags for key in ("src", "srcset", "data", "action") if key in a]
    loading += [(tag, a["href"]) for tag, a in page.tags if tag != "a" and "href" in a]
    assert loading
    assert all(value.startswith("data:") for _, value in loading), loading
    assert "url(" not in text(root)
    assert "@import" not in text(root)
    policy = next(a["content"] for tag, a in page.tags if tag == "meta" and "http-equiv" in a)
    assert "default-src 'none'" in policy


def test_tables_and_figures_name_themselves(root: Path) -> None:
    page = Page(text(root))
    tags = [tag for tag, _ in page.tags]
    assert tags.count("caption") == tags.count("table")
    assert all(a.get("scope") in ("col", "row") for tag, a in page.tags if tag == "th")
    assert all(a.get("aria-label") and a.get("role") == "img" for tag, a in page.tags if tag == "svg")
    assert all(a.get("alt") for tag, a in page.tags if tag == "img")
    assert tags.count("svg") == 2 + 3, "seeds, quality against diversity, and a curve for each of three models"
    assert tags.count("h1") == 1


def test_what_a_record_says_is_text_and_never_markup(root: Path) -> None:
    assert "<script>alert" not in text(root)
    assert "&lt;script&gt;alert" in text(root)
    put(root, record("gan", 0, title="<i>GAN</i> & Co"))
    assert "<i>" not in text(root)
    assert "&lt;i&gt;GAN&lt;/i&gt; &amp; Co</text>" in text(root)


def test_a_minus_is_one_on_the_page_and_stays_a_hyphen_for_programs(tmp_path: Path) -> None:
    put(tmp_path, *(record("gan", seed, fid) for seed, fid in enumerate((0.5, 9.0))), sanity("real", 8.0))
    files = {name: content.decode() for name, content in build(tmp_path).items()}
    # Mean 4.75, sd 6.01, t(1) = 12.71: the interval begins at 4.75 - 12.71 sd / sqrt(2) = -49; the excess is -3.25.
    assert ">[−49.3, 58.8]<" in files["index.html"]
    assert ">−3.2<" in files["index.html"]
    assert 'data-value="-3.25"' in files["index.html"]
    assert "| [-49.3, 58.8] |" in files["ring8.md"]
    assert "−" not in files["ring8.csv"] + files["ring8.md"] + files["ring8.tex"]


def test_runs_stand_in_the_order_of_their_seeds(tmp_path: Path) -> None:
    put(tmp_path, *(record("gan", seed) for seed in (10, 2, 0, 9)))
    assert re.findall(r'<tr><th scope="row">(\d+)</th>', text(tmp_path)) == ["0", "2", "9", "10"]


def test_text_has_contrast_in_light_and_dark(root: Path) -> None:
    schemes = [
        dict(re.findall(r"--(\w+): (#\w{6})", block)) for block in re.findall(r":root \{(.*?)\}", text(root), re.S)
    ]
    assert len(schemes) == 2
    for colours in schemes:
        for ink in ("ink", "faint", "accent", "alarm"):
            for paper in ("paper", "wash"):
                assert contrast(colours[ink], colours[paper]) >= 4.5, (ink, paper)


@pytest.mark.parametrize(
    ("values", "log", "ticks"),
    [([0, 10], False, [0, 2, 4, 6, 8, 10]), ([1, 1000], True, [1, 10, 100, 1000]),
     ([1, 9], True, [1, 2, 5, 10]), ([0.5, 3], False, [0.5, 1, 1.5, 2, 2.5, 3]),
     ([-5, 500], False, [0, 100, 200, 300, 400, 500])],
)  # fmt: skip
def test_axes_have_round_ticks_and_keep_their_values_inside(values: list[float], log: bool, ticks: list[float]) -> None:
    found = axis(values, 100, 400)
    assert found.log == log
    assert found.ticks() == pytest.approx(ticks)
    assert all(100 < found.at(value) < 400 for value in values)
    assert found.at(values[0]) < found.at(values[1])


def test_one_value_alone_has_an_axis() -> None:
    for value in (0.0, 3.0, -2.0):
        assert axis([value], 0, 1).at(value) == pytest.approx(0.5)


def test_ticks_are_short() -> None:
    assert [tick_text(x) for x in (0, 0.1 + 0.2, 5000, 20_000, 1_500_000, -0.0, -5, -3e6)] == [
        "0",
        "0.3",
        "5000",
        "20k",
        "1.5M",
        "0",
        "−5",
        "−3M",
    ]


def first_column(markup: str) -> list[str]:
    body = re.search(r'<tbody class="ranked">(.*?)</tbody>', markup, re.S)
    assert body
    return re.findall(r'<th scope="row"><a [^>]*>(.*?)</a>', body[1])


CLICK = """<script>
const headers = [...document.querySelectorAll("table.board thead th")];
const modes = headers.find((th) => th.textContent === "Modes");
modes.querySelector("button").click();
const rows = () => [...document.querySelectorAll("tbody.ranked tr")].map((tr) => tr.cells[0].textContent).join(" ");
const up = rows();
modes.querySelector("button").click();
const state = headers.map((th) => th.getAttribute("aria-sort")).join(" ");
const input = document.querySelector(".filter input");
input.value = " wgan";
input.dispatchEvent(new Event("input"));
const visible = [...document.querySelectorAll("tr[data-model]")].filter((tr) => tr.offsetParent);
const shown = visible.map((tr) => tr.cells[0].textContent);
const wide = document.documentElement.scrollWidth;
document.title = JSON.stringify({up, down: rows(), state: state.trim(), shown, wide});
</script></body>"""


@browser
def test_headers_sort_and_the_box_filters(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "clicked.html"
    page.write_text(text(root).replace("</body>", CLICK))
    title = re.search(r"<title>(.*?)</title>", dump(page, tmp_path, "--window-size=1280,900"))
    assert title
    found = json.loads(title[1].replace("&quot;", '"'))
    # Mean modes: nsgan 7, 6, 8, 7, 6: 6.8; wgan_gp the same; lsgan 6, 8, 7, 6, 8: 7.
    assert found["up"] == "NSGAN WGAN-GP LSGAN"
    assert found["down"] == "LSGAN NSGAN WGAN-GP"
    assert found["state"] == "descending"
    assert found["shown"] == ["WGAN-GP"]
    assert found["wide"] <= 1280


@browser
def test_the_page_asks_the_network_for_nothing_and_could_not(root: Path, tmp_path: Path) -> None:
    planted = text(root).replace("<main>", '<main><img alt="" src="http://127.0.0.1:9/planted.png">')
    assert asked(text(root), tmp_path) == set()
    assert asked(planted, tmp_path) == set(), "the page's own policy forbids it"
    policy = r"<meta http-equiv=.Content-Security-Policy.*?>"
    assert asked(re.sub(policy, "", planted), tmp_path) == {"http://127.0.0.1:9/planted.png"}, "the log tells"


@browser
def test_the_page_is_whole_without_javascript(root: Path, tmp_path: Path) -> None:
    page = tmp_path / "silent.html"
    page.write_text(re.sub(r"<script>.*?</script>", "", text(root), flags=re.S))
    markup = dump(page, tmp_path)
    assert first_column(markup) == ["NSGAN", "LSGAN", "WGAN-GP"]
    assert "1/6" in markup
    assert '<label class="filter" hidden' in markup, "no box that does nothing"


@browser
def test_a_telephone_scrolls_tables_and_never_the_page(root: Path, tmp_path: Path) -> None:
    assert width_on_a_telephone(text(root), tmp_path) == 400
