"""The report as text, JSON, Markdown, LaTeX and pandas."""

from __future__ import annotations

import json
import math
from dataclasses import fields, replace

import pytest
import torch

from ganeval.auditing import AuditReport
from ganeval.collapse import CollapseReport, collapse_test
from ganeval.comparison import ComparisonReport
from ganeval.evaluate import Scored
from ganeval.markup import Bold, latex_table, markdown_table
from ganeval.memorisation import MemorisationReport
from ganeval.registry import METRICS
from ganeval.report import ClassScores, ExtractorInfo, ScoreReport, SetInfo
from ganeval.report.tables import frames, latex, markdown, number, text
from ganeval.settings import Settings
from ganeval.types import Estimate, Features


def report(source: str = "folder/a", extractor: str = "inception", *, verified: bool = True) -> ScoreReport:
    estimates = {
        "fid": Estimate(3.1512, 0.021, None, 5000, 5000, {"no_interval": "biased upwards"}),
        "kid": Estimate(0.00123, 0.00011, (0.00101, 0.00145), 5000, 5000),
        "one_nn_accuracy": Estimate(float("nan"), None, None, 5000, 5000),
    }
    return ScoreReport(
        samples=SetInfo(source, 5000, "ab" * 32),
        reference=SetInfo("mnist:test", 10000, "cd" * 32),
        extractor=ExtractorInfo(extractor, f"{extractor}/fp32", 2048, None, verified, "fp32", "the default"),
        metrics={name: Scored(METRICS[name], e, {"seed": 0, "k": 3}, 0.1) for name, e in estimates.items()},
        skipped={"mode_score": "the extractor has no class logits"},
        warnings=["n is small"],
        seed=0,
        environment={"ganeval": "0.1.0"},
        seconds={"decode": 0.1, "extract": 0.2, "metrics": 0.3},
        treatments={"samples": {"grey repeated to RGB": 5000}, "reference": {}},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("value", "error", "shown"),
    [(3.1512, 0.021, "3.151"), (1234.5, 30.0, "1234"), (0.00123, 0.00011, "0.00123"), (25.6789, None, "25.68"),
     (0.0, None, "0"), (-0.5, None, "-0.5000"), (-0.004, 0.5, "0.00"),
     (1.5e-9, None, "1.5e-09"), (float("inf"), None, "inf")],
)  # fmt: skip
def test_a_number_has_the_digits_it_deserves(value: float, error: float | None, shown: str) -> None:
    assert number(value, error) == shown


@pytest.mark.parametrize(
    ("extractor", "verified", "title"),
    [("inception", True, "FID"), ("inception-clean", True, "FID"), ("inception", False, "FD"),
     ("spatial-inception", True, "FD"), ("classifier:mnist", True, "FD")],
)  # fmt: skip
def test_people_read_fid_only_for_verified_inception(extractor: str, verified: bool, title: str) -> None:
    shown = report(extractor=extractor, verified=verified)
    assert shown.title(METRICS["fid"]) == title
    assert "fid" in shown.to_dict()["metrics"]


def test_text_fits_80_columns_and_says_what_was_left_out() -> None:
    long = "/a/very/long/path/" + "x" * 30
    for shown in (text([report(long)]), text([report(long), report("b")]), text([report(str(i)) for i in range(30)])):
        assert max(map(len, shown.splitlines())) <= 80
    assert "mode_score: the extractor has no class logits" in text([report()]).replace("\n           ", " ")
    assert "5,000 grey repeated to RGB" in text([report()])


def test_json_has_the_contract_and_no_nan() -> None:
    document = json.loads(report().to_json(), parse_constant=lambda name: pytest.fail(f"{name} in JSON"))
    assert document["schema"] == "ganeval.score/1"
    assert document["samples"] == {"source": "folder/a", "n": 5000, "sha256": "ab" * 32, "drawn": None}
    assert document["metrics"]["kid"]["interval"] == [0.00101, 0.00145]
    assert document["metrics"]["fid"]["interval"] is None
    assert document["metrics"]["one_nn_accuracy"]["value"] is None
    assert {"value", "std_error", "interval", "level", "better", "options", "seconds"} <= set(
        document["metrics"]["kid"]
    )
    assert document["skipped"] == {"mode_score": "the extractor has no class logits"}


def test_several_reports_are_one_table_with_a_row_each() -> None:
    two = [report("folder/a"), report("folder/b")]
    assert list(frames(two)["samples"]) == ["folder/a", "folder/b"]
    assert list(frames(two)["fid"]) == [3.1512, 3.1512]
    assert [line.split("|")[1].strip() for line in markdown(two).splitlines()] == ["samples", "---", "a", "b"]
    assert text(two).count("\na ") == text(two).count("\nb ") == 1


def test_same_names_in_different_folders_are_told_apart() -> None:
    assert "one/a" in text([report("one/a"), report("two/a")])


def test_one_report_is_a_row_a_metric() -> None:
    table = report().to_frame()
    assert list(table["metric"]) == ["fid", "kid", "one_nn_accuracy"]
    assert table.loc[1, "low"] == 0.00101
    assert report()["fid"].value == 3.1512


def test_a_table_of_several_sets_says_what_is_best_and_where_errors_are() -> None:
    shown = text([report("a"), report("b")])
    (best,) = (line for line in shown.splitlines() if line.startswith("best is"))
    assert best.split() == ["best", "is", "low", "low", "0.5"]
    assert "--format csv" in shown
    assert "ganeval compare" in shown


def test_the_frame_of_several_sets_has_the_verdicts_that_the_table_has() -> None:
    found = collapse_test(Features(torch.zeros(60, 4), None, "x"), None)
    classes = {"x": ClassScores(50, 50, report().metrics, {})}
    judged = replace(report("b"), collapse=found, by_class=classes)
    table = frames([report("a"), judged])
    assert found.verdict == "suspected"
    assert table["collapse"].fillna("").tolist() == ["", "suspected", ""], "a verdict is of a set, not of its classes"
    assert table["class"].tolist() == ["", "", "x"]
    assert "memorised" not in table
    assert "suspected" in markdown([report("a"), judged])


def test_the_mean_of_classes_has_the_digits_of_its_error() -> None:
    """Of 3.1512 +- 0.021 and 9.1 +- 1.2 it is 6.1256 +- 0.6001."""
    whole = report()
    other = {"fid": Scored(METRICS["fid"], Estimate(9.1, 1.2, None, 50, 50), {}, 0.1)}
    classes = {"x": ClassScores(50, 50, whole.metrics, {}), "y": ClassScores(50, 50, other, {})}
    (last,) = (line for line in text([replace(whole, by_class=classes)]).splitlines() if line.startswith("mean"))
    assert last.split() == ["mean", "6.13", "0.00123", "nan"]


@pytest.mark.parametrize(
    "kind", [AuditReport, CollapseReport, ComparisonReport, MemorisationReport, ScoreReport, Settings]
)
def test_what_has_many_fields_is_made_by_their_names(kind: type) -> None:
    assert all(field.kw_only for field in fields(kind))


def test_an_infinite_option_is_text_in_json() -> None:
    vendi = Scored(METRICS["vendi"], Estimate(2.0, None, None, 50, None), {"order": math.inf}, 0.1)
    document = json.loads(replace(report(), metrics={"vendi": vendi}).to_json())
    assert document["metrics"]["vendi"]["options"] == {"order": "inf"}


def test_latex_escapes_and_uses_booktabs() -> None:
    shown = latex([report("50%_a"), report("b")])
    assert r"50\%\_a" in shown
    assert shown.count(r"\\") == 3
    columns = shown.splitlines()[2].count("&")
    assert shown.startswith(r"\begin{tabular}{l" + "r" * columns + "}\n" + r"\toprule")


def test_marks_of_markdown_and_latex_are_escaped() -> None:
    assert markdown_table(["a|b", "c"], [["1", Bold("x|y")]]).splitlines() == [
        r"| a\|b | c |", "| --- | ---: |", r"| 1 | **x\|y** |",
    ]  # fmt: skip
    assert latex_table(["a", "b_c"], [["1–2", Bold("3 ± 4")]], [], [["~", "5%"]]).splitlines() == [
        r"\begin{tabular}{lr}", r"\toprule", r"a & b\_c \\", r"\midrule", r"1--2 & \textbf{3 $\pm$ 4} \\",
        r"\midrule", r"\textasciitilde{} & 5\% \\", r"\bottomrule", r"\end{tabular}",
    ]  # fmt: skip
