"""Records become tables: what is refused, what shares a table, and what each column says of planted records."""

from __future__ import annotations

import csv
import io
import json
import math
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from ganeval.cli import cli
from ganeval.errors import GanevalError
from ganeval.leaderboard import anchors, build, check, write
from ganeval.leaderboard.cells import number
from tests.planted_records import (
    BUDGET,
    COLLAPSED,
    EVALUATION,
    by_error,
    failed,
    metric,
    models,
    png,
    put,
    record,
    sanity,
)  # fmt: skip

GOOD, BAD = [1.0, 1.1, 1.2, 1.3, 1.4], [9.0, 9.1, 9.2, 9.3, 9.4]


def rows(root: Path, data: str = "ring8") -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(build(root)[f"{data}.csv"].decode())))


def row(root: Path, model: str) -> dict[str, str]:
    return next(row for row in rows(root) if row["model"] == model)


def test_two_clear_models_are_ranked_and_equal_ones_tie(tmp_path: Path) -> None:
    put(tmp_path / "a", *models(wgan_gp=BAD, nsgan=GOOD))
    assert [(r["model"], r["rank_low"], r["rank_high"]) for r in rows(tmp_path / "a")] == [
        ("nsgan", "1", "1"), ("wgan_gp", "2", "2"),
    ]  # fmt: skip
    put(tmp_path / "b", *models(wgan_gp=GOOD, nsgan=GOOD))
    assert {(r["rank_low"], r["rank_high"]) for r in rows(tmp_path / "b")} == {("1", "2")}


def test_rows_that_tie_stand_in_the_order_of_their_medians_and_the_board_says_so(tmp_path: Path) -> None:
    put(tmp_path, *models(gan=[1.0, 5.0, 9.0], wgan=[4.0, 4.0, 4.5], nsgan=[2.0, 6.0, 6.5]))
    assert [(r["model"], r["rank_low"], r["median"]) for r in rows(tmp_path)] == [
        ("wgan", "1", "4"), ("gan", "1", "5"), ("nsgan", "1", "6"),
    ]  # fmt: skip
    files = build(tmp_path)
    for name in ("ring8.md", "index.html"):
        assert "in the order of their ranks, and where these are the same, of their medians" in files[name].decode()


def test_columns_hold_the_statistics_of_the_seeds(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=[1.0, 2.0, 3.0, 4.0, 10.0]), sanity("real", 0.5))
    found = row(tmp_path, "nsgan")
    # mean 4, sum of squares 50, sd sqrt(50 / 4), t(4) = 2.77645: half width 2.77645 sqrt(12.5 / 5) = 4.38994.
    expected = {"mean": 4, "sd": 3.53553, "median": 3, "interval_low": -0.389945, "interval_high": 8.38994,
                "evaluation_sd": 0.05, "excess": 3.5, "train_seconds": 31.2, "seeds": 5, "failures": 0}  # fmt: skip
    assert {key: float(found[key]) for key in expected} == pytest.approx(expected, rel=1e-5)


def test_failures_are_counted_shown_and_kept_out_of_the_mean(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD), *models(gan=GOOD[:2]), *(failed("gan", s) for s in (2, 3, 4)))
    found = row(tmp_path, "gan")
    assert (found["failures"], found["seeds"], found["median"]) == ("3", "5", "inf")
    assert float(found["mean"]) == pytest.approx(1.05)
    assert [r["model"] for r in rows(tmp_path)] == ["nsgan", "gan"]
    markdown = build(tmp_path)["ring8.md"].decode()
    line = next(line for line in markdown.splitlines() if line.startswith("| GAN"))
    assert "| 3/5 |" in line
    assert "| failed |" in line
    assert "**" not in line, "a mean over the survivors is no best value"
    assert "loss is NaN at step 812" in build(tmp_path)["index.html"].decode()


def test_a_model_whose_every_seed_failed_is_shown_last(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD), *(failed("gan", s) for s in range(5)))
    assert [(r["model"], r["rank_low"], r["mean"]) for r in rows(tmp_path)] == [
        ("nsgan", "1", "1.2"), ("gan", "2", ""),
    ]  # fmt: skip
    put(tmp_path / "alone", failed("gan", 0))
    assert row(tmp_path / "alone", "gan")["failures"] == "1"


def changed(**evaluation: Any) -> dict[str, Any]:
    return {"evaluation": EVALUATION | evaluation}


OTHER_PROTOCOLS = {
    "fingerprint": changed(fingerprint="points/v2"),
    "n_fake": changed(n_fake=5000),
    "n_real": changed(n_real=5000),
    "reference": changed(reference="ring8:train"),
    "checkpoint": changed(checkpoint="best on validation"),
    "budget": {"budget": BUDGET | {"examples": 6_400_000}},
    "network": {"network": "mlp_wide"},
    "data": {"data_sha256": "f" * 64},
    "options": {"metrics": {"fid": metric(1.0, "FD (points)", options={"k": 3})}},
    "kind": by_error(1.0),
}


@pytest.mark.parametrize("change", OTHER_PROTOCOLS.values(), ids=OTHER_PROTOCOLS)
def test_other_protocols_never_share_a_table(tmp_path: Path, change: dict[str, Any]) -> None:
    others = [record("wgan", seed, samples_sha256=f"w{seed}", **change) for seed in range(5)]
    put(tmp_path, *models(nsgan=BAD, lsgan=BAD), *others)
    found = {r["model"]: r["group"] for r in rows(tmp_path)}
    assert found["nsgan"] == found["lsgan"] != found["wgan"]
    assert row(tmp_path, "wgan")["rank_high"] == "1"
    headings = [line for line in build(tmp_path)["ring8.md"].decode().splitlines() if line.startswith("## ")]
    assert len(set(headings)) == 2, "each heading says what tells its table from the other"


def test_the_seed_among_the_options_or_in_the_configuration_splits_nothing(tmp_path: Path) -> None:
    for seed in range(3):
        measured = {"fid": metric(1.0 + seed, "FD (points)", options={"seed": seed, "k": 3})}
        put(tmp_path, record("nsgan", seed, metrics=measured, config_sha256=f"{seed}" * 64))
    assert [r["seeds"] for r in rows(tmp_path)] == ["3"]


def test_seeds_of_another_configuration_are_another_row(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD), record("nsgan", 5, 7.0, config={"lr": 0.1, "seed": 5}))
    assert sorted(r["seeds"] for r in rows(tmp_path)) == ["1", "5"]
    assert len({r["model"] for r in rows(tmp_path)}) == 2


def test_a_failed_run_stands_with_its_protocol_though_it_has_no_metrics(tmp_path: Path) -> None:
    k5 = {"metrics": {"fid": metric(2.0, "FD (points)", options={"k": 5})}}
    put(tmp_path, *models(nsgan=GOOD), *(record("gan", s, **k5, samples_sha256=f"g{s}") for s in range(4)))
    put(tmp_path, failed("gan", 4))
    assert {(r["model"], r["seeds"], r["failures"]) for r in rows(tmp_path)} == {("nsgan", "5", "0"), ("gan", "5", "1")}


def test_sanity_rows_join_every_table_measured_alike_and_are_not_ranked(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD), record("wgan", 0, network="mlp_wide"))
    put(tmp_path, sanity("real", 0.25, evaluation=EVALUATION | {"checkpoint": "none"}))
    put(tmp_path, sanity("mean_image", 80.0), sanity("memoriser", 0.1, evaluation=EVALUATION | {"n_fake": 9}))
    found = {(r["model"], r["group"]): r for r in rows(tmp_path)}
    assert {group for model, group in found if model == "real"} == {"1", "2"}
    assert {group for model, group in found if model == "memoriser"} == {"3"}, "no record is dropped"
    assert found["mean_image", "1"]["rank_low"] == ""
    assert found["nsgan", "1"]["rank_high"] == "1"
    assert float(found["nsgan", "1"]["excess"]) == pytest.approx(1.2 - 0.25)


def test_collapse_and_modes_have_columns(tmp_path: Path) -> None:
    for seed in range(5):
        measured = {"fid": metric(1.0, "FD (points)"), "modes": metric(8 - seed % 2, "Modes", "higher")}
        verdict = COLLAPSED if seed < 2 else {"verdict": "undetermined" if seed == 2 else "none", "kinds": []}
        put(tmp_path, record("nsgan", seed, metrics=measured, collapse=verdict))
    found = row(tmp_path, "nsgan")
    assert (found["collapsed"], found["judged"], float(found["modes"])) == ("2", "5", pytest.approx(7.6))
    assert "| 2/5, 1 undetermined |" in build(tmp_path)["ring8.md"].decode()


def test_a_metric_that_some_seeds_lack_says_so(tmp_path: Path) -> None:
    put(tmp_path, record("gan", 0, metrics={"fid": metric(1.0, "FD"), "kid": metric(0.5, "KID")}), record("gan", 1))
    assert "| 0.500 (1/2) |" in build(tmp_path)["ring8.md"].decode()


def test_the_best_of_a_column_is_bold_in_its_direction(tmp_path: Path) -> None:
    def measured(fid: float, recall: float, nn: float) -> dict[str, Any]:
        return {"fid": metric(fid, "FD"), "recall": metric(recall, "Recall", "higher"),
                "one_nn_accuracy": metric(nn, "1-NN", "half")}  # fmt: skip

    put(tmp_path, record("gan", 0, metrics=measured(1.0, 0.2, 0.7)), record("wgan", 0, metrics=measured(2.0, 0.9, 0.4)))
    latex = build(tmp_path)["ring8.tex"].decode()
    gan, wgan = (next(line for line in latex.splitlines() if line.startswith(name)) for name in ("GAN", "WGAN"))
    assert r"\textbf{1.00}" in gan
    assert r"\textbf{0.900}" in wgan
    assert r"\textbf{0.400}" in wgan
    assert (gan.count("textbf"), wgan.count("textbf")) == (1, 2)


def test_latex_is_booktabs_with_as_many_cells_as_columns(tmp_path: Path) -> None:
    put(tmp_path, record("gan", 0, title="50% & more_of $x$"), sanity("real", 0.1))
    lines = build(tmp_path)["ring8.tex"].decode().splitlines()
    columns = next(line for line in lines if "begin{tabular}" in line).removeprefix(r"\begin{tabular}{").rstrip("}")
    body = [line.replace(r"\&", "") for line in lines if line.endswith(r"\\")]
    assert {line.count("&") + 1 for line in body} == {len(columns)}
    assert any(line.startswith(r"50\% ") for line in body)
    assert [line for line in lines if "rule" in line] == [r"\toprule", r"\midrule", r"\midrule", r"\bottomrule"]


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [(3.1512, 0.21, "3.15"), (1234.5, 30.0, "1234"), (25.678, None, "25.7"), (0.0, None, "0"), (8.0, None, "8.00"),
     (math.inf, None, "failed"), (-0.5, None, "-0.500"), (1.5e-9, None, "1.5e-09")],
)  # fmt: skip
def test_numbers_have_the_digits_they_deserve(value: float, error: float | None, shown: str) -> None:
    assert number(value, error) == shown


def everything() -> list[dict[str, Any]]:
    runs = [*models(nsgan=GOOD, wgan_gp=BAD), failed("gan", 0), sanity("real", 0.5), record("gan", 1, data="grid25")]
    return [*runs, record("lenet", 0, data="mnist", **by_error(0.9))]


def shuffled(document: Any, order: random.Random) -> Any:
    """The same JSON document with its keys in another order."""
    if not isinstance(document, dict):
        return document
    return {key: shuffled(document[key], order) for key in order.sample(sorted(document), len(document))}


def test_the_files_are_a_function_of_the_records_alone(tmp_path: Path) -> None:
    options = {"metrics": {"fid": metric(2.0, "FD", options={"k": 3, "biased": False})}}
    tuned = [record("wgan", s, config={"lr": 0.1, "batch": 64}, samples_sha256=f"w{s}", **options) for s in range(4)]
    runs = [*everything(), *tuned]
    built = []
    for place in ("one", "an/other"):
        random.Random(place).shuffle(runs)
        for run in runs:
            put(tmp_path / place, shuffled(run, random.Random(place + run["model"] + str(run["seed"]))))
        (tmp_path / place / "records/ring8/nsgan.png").write_bytes(png())
        built.append(build(tmp_path / place))
    assert built[0] == built[1]
    assert build(tmp_path / "one") == built[0]
    assert not any(str(tmp_path).encode() in content for content in built[0].values())


@pytest.mark.parametrize("hash_seed", ["1", "2"])
def test_another_process_builds_the_same_bytes(tmp_path: Path, hash_seed: str) -> None:
    put(tmp_path, *everything())
    program = "import sys, ganeval.leaderboard as b; b.write(sys.argv[1], b.build(sys.argv[1]))"
    program += "; assert 'torch' not in sys.modules"
    environment = {"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path), "LC_ALL": "C", "TZ": "Asia/Tokyo"}
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, env=environment)
    assert check(tmp_path, build(tmp_path)) == []


def test_check_names_what_differs(tmp_path: Path) -> None:
    put(tmp_path, *everything())
    files = build(tmp_path)
    write(tmp_path, files)
    assert check(tmp_path, files) == []
    (tmp_path / "grid25.md").write_bytes(files["grid25.md"].replace(b"# grid25", b"# GRID25", 1))
    (tmp_path / "mnist.tex").unlink()
    (tmp_path / "gone.csv").write_text("")
    assert check(tmp_path, files) == [
        f"{tmp_path / 'grid25.md'}: differs from the records at line 1",
        f"{tmp_path / 'mnist.tex'}: missing",
        f"{tmp_path / 'gone.csv'}: no records of gone are there; remove the file",
    ]


def test_names_choose_the_tables_and_the_page_holds_all(tmp_path: Path) -> None:
    put(tmp_path, *everything())
    files = build(tmp_path, ["mnist"])
    assert set(files) == {"mnist.csv", "mnist.md", "mnist.tex", "index.html"}
    assert files["index.html"] == build(tmp_path)["index.html"]
    with pytest.raises(GanevalError, match="unknown leaderboard 'mnits'; did you mean 'mnist'"):
        build(tmp_path, ["mnits"])


def spoiled(**changes: Any) -> str:
    return json.dumps(record() | changes)


def without(key: str) -> str:
    return json.dumps({k: v for k, v in record().items() if k != key})


SPOILED = {
    "truncated": (json.dumps(record())[:400], "not a JSON document"),
    "empty": ("", "not a JSON document"),
    "NaN": (json.dumps(record(fid=math.nan)), "NaN is no JSON number"),
    "infinite": (json.dumps(record(fid=math.inf)), "Infinity is no JSON number"),
    "too large": (json.dumps(record(fid=12345.0)).replace("12345.0", "1e999"), "beyond float64"),
    "not UTF-8": (b"\xff\xfe{", "not a JSON document"),
    "a list": ("[]", "schema is 'list'"),
    "another schema": (spoiled(schema="ganeval.record/9"), "schema is 'ganeval.record/9'"),
    "no seed": (without("seed"), "seed is missing"),
    "no metrics": (without("metrics"), "metrics is missing"),
    "seed is text": (spoiled(seed="0"), 'seed is "0", expected int'),
    "seed is true": (spoiled(seed=True), "seed is true, expected int"),
    "metric is a number": (spoiled(metrics={"fid": 3.0}), "metrics.fid is 3.0, expected an object"),
    "value is null": (spoiled(metrics={"fid": metric(1, "FD") | {"value": None}}), "metrics.fid.value is null"),
    "no primary": (spoiled(metrics={"kid": metric(1, "KID")}), "metrics.fid, better 'lower', is missing"),
    "no budget": (spoiled(budget=None), "budget.examples is missing"),
    "no fingerprint": (spoiled(evaluation={"n_fake": 1}), "evaluation.n_real is missing"),
    "unknown status": (spoiled(status="fine"), "status is 'fine', expected one of ok, diverged, failed"),
    "curve": (spoiled(curve=[{"step": 1}]), r"curve\[0\].examples is missing"),
    "collapse": (spoiled(collapse={"kinds": []}), "collapse.verdict is missing"),
    "training time is text": (spoiled(seconds={"train": "fast"}), 'seconds.train is "fast", expected int or float'),
    "training time is null": (spoiled(seconds={"train": None}), "seconds.train is null"),
    "evaluation sd is text": (spoiled(metrics={"fid": metric(1, "FD", evaluation_sd="x")}), "fid.evaluation_sd is"),
    "a whole number too large": (spoiled(metrics={"fid": metric(10**400, "FD")}), "beyond float64"),
    "squares too large": (spoiled(metrics={"fid": metric(1e308, "FD")}), r"metrics.fid.value is 1e\+308, expected at"),
    "curve too large": (
        spoiled(curve=[{"step": 1, "examples": 1, "metrics": {"fid": -1e300}}]),
        r"curve\[0\].metrics.fid is -1e\+300",
    ),
    "kinds are numbers": (
        spoiled(collapse={"verdict": "none", "kinds": [1, 2]}),
        r"collapse.kinds.0 is 1, expected str",
    ),
    "half a letter": (spoiled(title="\ud800"), "surrogates not allowed"),
    "another model": (spoiled(model="wgan"), "the content is that of ring8/wgan-seed0.json"),
    "another data set": (spoiled(data="grid25"), "the content is that of grid25/wgan_gp-seed0.json"),
}


@pytest.mark.parametrize(("content", "says"), SPOILED.values(), ids=SPOILED)
def test_a_bad_record_is_refused_by_name_in_one_line(tmp_path: Path, content: str | bytes, says: str) -> None:
    put(tmp_path, *models(nsgan=GOOD))
    path = tmp_path / "records/ring8/wgan_gp-seed0.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(GanevalError, match=says) as caught:
        build(tmp_path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_same_run_twice_is_refused(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD))
    shutil.copy(tmp_path / "records/ring8/nsgan-seed0.json", tmp_path / "records/ring8/nsgan-seed00.json")
    with pytest.raises(GanevalError, match=r"seed00\.json: the content is that of ring8/nsgan-seed0\.json"):
        build(tmp_path)
    (tmp_path / "records/ring8/nsgan-seed00.json").unlink()
    put(tmp_path, record("nsgan", 9, GOOD[0], samples_sha256="nsgan0"))
    with pytest.raises(GanevalError, match=r"nsgan-seed9\.json: the same samples as ring8/nsgan-seed0\.json"):
        build(tmp_path)


def test_a_metric_whose_direction_depends_on_the_record_is_refused(tmp_path: Path) -> None:
    put(tmp_path, record("gan", 0, metrics={"fid": metric(1, "FD"), "kid": metric(1, "KID")}))
    put(tmp_path, record("gan", 1, metrics={"fid": metric(1, "FD"), "kid": metric(1, "KID", "higher")}))
    with pytest.raises(GanevalError, match=r"gan-seed1\.json: kid is better higher"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("content", "says"), [(b"GIF89a", "not a PNG file"), (png() + bytes(100_000), "show fewer samples")]
)
def test_a_bad_thumbnail_grid_is_refused(tmp_path: Path, content: bytes, says: str) -> None:
    put(tmp_path, record("gan", 0))
    (tmp_path / "records/ring8/gan.png").write_bytes(content)
    with pytest.raises(GanevalError, match=rf"gan\.png.*{says}"):
        build(tmp_path)


def test_no_records_at_all_says_where_they_belong(tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match="ganeval bench"):
        build(tmp_path)
    (tmp_path / "records").mkdir()
    with pytest.raises(GanevalError, match="no records"):
        build(tmp_path)


def test_published_numbers_stand_apart_and_change_no_rank(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD))
    before = build(tmp_path)
    anchor = {"data": "ring8", "model": "GAN", "metric": "Modes", "value": 6.3, "spread": 0.5,
              "spread_is": "standard error over 10 runs", "n": "2,500", "extractor": None, "selection": "final",
              "protocol": "that of the paper", "source": "PacGAN, table 1"}  # fmt: skip
    path = tmp_path / anchors.FILE
    path.write_text(json.dumps({"schema": anchors.SCHEMA, "rows": [anchor]}))
    after = build(tmp_path)
    assert after["ring8.csv"] == before["ring8.csv"]
    assert after["ring8.tex"] == before["ring8.tex"]
    assert "| GAN | Modes | 6.3 | 0.5 | standard error over 10 runs |" in after["ring8.md"].decode()
    path.write_text(json.dumps({"schema": anchors.SCHEMA, "rows": [{"model": "GAN"}]}))
    with pytest.raises(GanevalError, match=r"anchors\.json: row 0 must have the keys"):
        build(tmp_path)


@pytest.mark.parametrize(
    ("rows", "says"),
    [(5, "rows is 5, expected list"), ([5], "row 0 must have the keys"), ({"value": "x"}, 'value is "x", expected int'),
     ({"value": 10**400}, "beyond float64"), ({"spread": True}, "spread is true"), ({"data": ["a"]}, "data is"),
     ({"source": "\ud800"}, "surrogates not allowed")],
)  # fmt: skip
def test_bad_anchors_are_refused_in_one_line(tmp_path: Path, rows: Any, says: str) -> None:
    put(tmp_path, record("nsgan"))
    if isinstance(rows, dict):
        rows = [dict.fromkeys(anchors.KEYS, "a") | {"value": 1, "spread": None} | rows]
    path = tmp_path / anchors.FILE
    path.write_text(json.dumps({"schema": anchors.SCHEMA, "rows": rows}))
    with pytest.raises(GanevalError, match=re.escape(says)) as caught:
        build(tmp_path)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


def test_the_anchors_of_this_repository_are_whole() -> None:
    published = anchors.load(Path(__file__).parents[1] / "leaderboards")
    found = {(a.data, a.model, a.metric, a.source): a.value for a in published}
    assert found["mnist", "WGAN-GP", "FID", "Lucic et al. 2018, arXiv:1711.10337"] == 20.3
    assert found["ring8", "PacGAN2", "Modes", "PacGAN, tables 1-3"] == 7.9
    assert all(a.source and a.protocol and a.selection and a.n for a in published)
    assert all((a.spread is None) == (a.spread_is is None) for a in published)


def test_the_command_writes_checks_and_refuses(tmp_path: Path) -> None:
    put(tmp_path, *models(nsgan=GOOD))
    run = CliRunner().invoke
    assert run(cli, ["leaderboard", "--root", str(tmp_path), "--check"]).exit_code == 1
    assert not (tmp_path / "index.html").exists()
    assert run(cli, ["leaderboard", "ring8", "--root", str(tmp_path)]).exit_code == 0
    assert run(cli, ["leaderboard", "--root", str(tmp_path), "--check"]).exit_code == 0
    put(tmp_path, record("nsgan", 5, 1.5))
    stale = run(cli, ["leaderboard", "--root", str(tmp_path), "--check"])
    assert stale.exit_code == 1
    assert "ring8.csv: differs from the records at line 2" in stale.stderr
    assert run(cli, ["leaderboard", "ring9", "--root", str(tmp_path)]).exit_code == 2
