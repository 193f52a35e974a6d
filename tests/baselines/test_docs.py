"""The suite's map names every model, and every file that it points to is there."""

from __future__ import annotations

import re
from pathlib import Path

from ganeval.registry import BASELINES, load_plugins

ROOT = Path(__file__).parents[2]


def test_every_model_is_in_the_table_with_its_file_and_paper() -> None:
    load_plugins()
    page = (ROOT / "baselines/README.md").read_text()
    for row in BASELINES.values():
        if isinstance(row.target, str) and row.target.startswith("ganeval_baselines"):
            file = row.target.partition(":")[0].replace(".", "/") + ".py"
            assert f"[`{row.name}`]({file})" in page, row.name
            assert row.paper.removeprefix("arXiv:") in page


def test_the_links_lead_somewhere() -> None:
    page = (ROOT / "baselines/README.md").read_text()
    for target in re.findall(r"\]\((?!http)([^)#]+)", page):
        assert (ROOT / "baselines" / target).exists(), target


def test_every_model_says_how_it_differs_from_its_paper() -> None:
    load_plugins()
    for row in BASELINES.values():
        if row.kind == "gan" and isinstance(row.target, str):
            assert "iffers from the paper" in (row.fn.__doc__ or ""), row.name
