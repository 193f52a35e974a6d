"""All boards as one HTML file that needs no network and no JavaScript."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from ganeval.errors import GanevalError
from ganeval.leaderboard import charts
from ganeval.leaderboard.anchors import COLUMNS, Anchor
from ganeval.leaderboard.boards import Board, Row
from ganeval.leaderboard.cells import grid, headings, number, tuned
from ganeval.leaderboard.records import FOLDER, LARGEST_PNG, Record
from ganeval.pages import data_uri, environment

PNG = b"\x89PNG\r\n\x1a\n"


def page(root: Path, boards: Sequence[Board], anchors: Mapping[str, Sequence[Anchor]]) -> bytes:
    """index.html. Raises GanevalError naming a thumbnail grid that is no PNG or not below 100 kB."""
    shown = [
        {
            "data": board.data,
            "groups": [_group(root, board, n, *said) for n, said in enumerate(headings(board))],
            "anchors": [anchor.cells() for anchor in anchors.get(board.data, ())],
        }
        for board in boards
    ]
    template = environment(Path(__file__).parent / "templates").get_template("index.html.jinja")
    return template.render(boards=shown, anchor_columns=list(COLUMNS.values())).encode()


def _group(root: Path, board: Board, n: int, heading: str, line: str) -> dict[str, Any]:
    group = board.groups[n]
    return {
        "heading": heading, "line": line, "id": f"{board.data}-{n + 1}", "table": grid(group), "note": group.note,
        "ids": [_id(board, n, row) for row in [*group.rows, *group.sanity]],
        "forest": Markup(charts.forest(group)), "scatter": Markup(charts.scatter(group)),
        "models": [_model(root, board, n, row) for row in [*group.rows, *group.sanity]],
    }  # fmt: skip


def _id(board: Board, n: int, row: Row) -> str:
    return f"{board.data}-{n + 1}-{row.name}"


def _model(root: Path, board: Board, n: int, row: Row) -> dict[str, Any]:
    """What the page says of one model below the tables."""
    first, group = row.runs[0], board.groups[n]
    title = group.metrics.get(group.primary, {}).get("title", group.primary)
    return {
        "id": _id(board, n, row), "title": row.title, "name": row.name, "paper": first["paper"],
        "link": _link(first["paper"] or ""), "command": first["command"],
        "image": _image(root / FOLDER / board.data / f"{first['model']}.png"),
        "curve": Markup(charts.curves(row.runs, group.primary, title)),
        "runs": [_run(run, group.primary) for run in row.runs], "metric": title,
        "provenance": _provenance(row),
        "config": sorted((k, _text(v)) for k, v in first["config"].items() if k != "seed"),
    }  # fmt: skip


def _run(run: Record, primary: str) -> dict[str, Any]:
    value, collapse = run.value(primary), run["collapse"]
    return {
        "seed": run["seed"],
        "value": "–" if value is None else number(value),
        "status": run["status"] if run.finished else f"{run['status']}: {run['reason'] or 'no reason given'}",
        "collapse": ", ".join([collapse["verdict"], *collapse["kinds"]]) if collapse else "–",
    }


def _provenance(row: Row) -> list[tuple[str, str]]:
    """Where the runs came from; what differs between seeds is given with all its values."""
    runs = row.runs
    budgets = [{} if run["budget"] is None else run["budget"] for run in runs]
    lines = [
        *((f"budget: {key.replace('_', ' ')}", _all(b.get(key) for b in budgets)) for key in _keys(budgets)),
        ("tuning trials", tuned(row)),
        ("configuration sha256", _all(run["config_sha256"] for run in runs)),
        *((f"code: {key}", _all(r["code"].get(key) for r in runs)) for key in _keys(r["code"] for r in runs)),
        *(
            (f"package: {key}", _all(r["packages"].get(key) for r in runs))
            for key in _keys(r["packages"] for r in runs)
        ),
        ("device", _all(run["device"] for run in runs)),
        ("threads", _all(run["threads"] for run in runs)),
        ("data sha256", _all(run["data_sha256"] for run in runs)),
    ]
    return [(key, value) for key, value in lines if value]


def _keys(documents: Iterable[Mapping[str, Any]]) -> list[str]:
    return sorted({key for document in documents for key in document})


def _all(values: Iterable[Any]) -> str:
    return ", ".join(sorted({_text(value) for value in values if value is not None}))


def _text(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _link(paper: str) -> str:
    return f"https://arxiv.org/abs/{m[1]}" if (m := re.fullmatch(r"arXiv:(\d{4}\.\d{4,5})", paper)) else ""


def _image(path: Path) -> str:
    """A thumbnail grid as a data: URI; an empty text where there is none."""
    if not path.exists():
        return ""
    content = path.read_bytes()
    if not content.startswith(PNG):
        raise GanevalError(f"{path}: not a PNG file; write the sample grid again")
    if len(content) >= LARGEST_PNG:
        raise GanevalError(f"{path}: {len(content):,} bytes, allowed are {LARGEST_PNG:,}; show fewer samples")
    return data_uri(content)
