"""A board as CSV, Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from ganeval.leaderboard.anchors import COLUMNS, Anchor
from ganeval.leaderboard.boards import Board, Group, Row
from ganeval.leaderboard.cells import Cell, grid, headings, tuned
from ganeval.leaderboard.ranking import median
from ganeval.markup import Bold, latex_table, markdown_table

NARROW = ("model", "ranks", "mean", "failed", "collapsed", "metric")
METRICS = 2
"""The kinds of columns that a printed page has room for, and how many of the metrics beside the ranking one."""

LEGEND = (
    "Rows stand in the order of their ranks, and where these are the same, of their medians; `docs/records.md` says "
    "what the columns are."
)


def markdown(board: Board, anchors: Sequence[Anchor]) -> bytes:
    """The board for people who read it in the repository."""
    parts = [f"# {board.data}", f"Made by `ganeval leaderboard` from the records in `records/{board.data}`.", LEGEND]
    for group, (heading, line) in zip(board.groups, headings(board), strict=True):
        table = grid(group)
        body = [[_shown(cell) for cell in row] for row in table.ranked]
        body += [[f"*{row[0].text}*", *(_shown(cell) for cell in row[1:])] for row in table.sanity]
        parts += [f"## {heading}", line]
        parts += [markdown_table([column.header for column in table.columns], body), group.note]
    if anchors:
        parts += ["## Published numbers", "Other protocols than ours: not ranked with the tables above."]
        parts.append(markdown_table(list(COLUMNS.values()), [anchor.cells() for anchor in anchors], "---"))
    return ("\n\n".join(parts) + "\n").encode()


def _shown(cell: Cell) -> str:
    return Bold(cell.text) if cell.best else cell.text


def latex(board: Board) -> bytes:
    """Tables for the booktabs package, as wide as a page: the first METRICS metrics, the best of a column in bold.

    Protocol and notes are comments above each.
    """
    parts = []
    for group, (heading, line) in zip(board.groups, headings(board), strict=True):
        table = grid(group)
        more = [c for c, column in enumerate(table.columns) if column.kind == "metric"][METRICS:]
        kept = [c for c, column in enumerate(table.columns) if column.kind in NARROW and c not in more]
        bodies = [[[_shown(row[c]) for c in kept] for row in rows] for rows in (table.ranked, table.sanity)]
        lines = [f"% {board.data}: {heading}", f"% {line}", f"% {group.note}"]
        parts.append("\n".join([*lines, latex_table([table.columns[c].header for c in kept], *bodies)]))
    return ("\n\n".join(parts) + "\n").encode()


def table_csv(board: Board) -> bytes:
    """A line a model with its protocol, numbers to six digits; a median of inf is a failed seed."""
    lines = [_line(n, group, row) for n, group in enumerate(board.groups, 1) for row in [*group.rows, *group.sanity]]
    columns = dict.fromkeys(key for line in lines for key in line)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(columns), lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerows({key: _precise(value) for key, value in line.items()} for line in lines)
    return file.getvalue().encode()


def _line(n: int, group: Group, row: Row) -> Mapping[str, Any]:
    measured = json.loads(group.protocol.evaluation)
    found, verdicts = row.summary(group.primary), row.judged()
    low, high = dict(zip((r.name for r in group.rows), group.ranks, strict=True)).get(row.name, ("", ""))
    keys = ("extractor", "fingerprint", "n_fake", "n_real", "reference", "checkpoint")
    line = {
        "group": n, "kind": row.runs[0]["kind"], "network": group.protocol.network,
        "examples": group.protocol.examples, **{key: measured[key] for key in keys},
        "model": row.name, "title": row.title, "rank_low": low, "rank_high": high,
        "seeds": len(row.runs), "failures": row.failures,
        "collapsed": verdicts.count("collapsed") if verdicts else None, "judged": len(verdicts),
        "primary": group.primary, "mean": found and found.mean, "sd": found and found.sd,
        "median": median(row.seeds(group.primary)),
        "interval_low": found and found.interval and found.interval[0],
        "interval_high": found and found.interval and found.interval[1],
        "evaluation_sd": row.evaluation_sd(group.primary),
        "excess": found.mean - group.floor if found and group.floor is not None else None,
        "train_seconds": row.seconds(), "tuned": tuned(row),
    }  # fmt: skip
    for name in group.metrics:
        other = row.summary(name) if name != group.primary else None
        line |= {name: other.mean, f"{name}_sd": other.sd} if other else {}
    return line


def _precise(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
