"""The cells of a group's table, shared by Markdown, LaTeX and the page, and its protocol in words."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from ganeval.columns import rounded
from ganeval.leaderboard.boards import Board, Group, Row
from ganeval.leaderboard.ranking import Summary, median
from ganeval.registry import Better, badness

ALWAYS = ("kind", "network", "budget")
"""What every heading says."""

KINDS = {"gan": "GANs", "classifier": "classifiers", "sanity": "sanity rows alone"}


@dataclass(frozen=True)
class Cell:
    """What is shown, the number it sorts by (None: it comes last), and whether it is its column's best."""

    text: str
    value: float | None = None
    best: bool = False


@dataclass(frozen=True)
class Column:
    """A column: its kind, header, the cell of a row, and which way its numbers are better (None where neither is)."""

    kind: str
    header: str
    cell: Callable[[Row], Cell]
    better: Better | None = None


@dataclass(frozen=True)
class Grid:
    """A group's table: a list of cells for each ranked row, and for each sanity row."""

    columns: Sequence[Column]
    ranked: list[list[Cell]]
    sanity: list[list[Cell]]


def number(value: float, error: float | None = None) -> str:
    """`value` to two digits of its spread `error`, or to three digits in all."""
    return rounded(value, error, 3) if math.isfinite(value) else "failed"


def grid(group: Group) -> Grid:
    """The cells of a group; the best mean of a column is marked among the models without failures."""
    columns = list(_columns(group))
    ranked = [[column.cell(row) for column in columns] for row in group.rows]
    whole = [i for i, row in enumerate(group.rows) if not row.failures]
    for c, column in enumerate(columns):
        if column.better is None:
            continue
        bad = {i: badness(v, column.better) for i in whole if (v := ranked[i][c].value) is not None}
        for i in bad if len(bad) > 1 else ():
            if bad[i] == min(bad.values()):
                ranked[i][c] = replace(ranked[i][c], best=True)
    return Grid(columns, ranked, [[column.cell(row) for column in columns] for row in group.sanity])


def _columns(group: Group) -> Iterator[Column]:
    primary, ranks = group.primary, dict(zip((row.name for row in group.rows), group.ranks, strict=True))
    title = group.metrics.get(primary, {}).get("title", primary)
    yield Column("model", "Model", lambda row: Cell(_label(row)))
    yield Column("ranks", "Ranks", lambda row: _ranks(ranks.get(row.name)))
    yield Column("mean", f"{title}, mean ± sd", lambda row: _mean_sd(row.summary(primary)), "lower")
    yield Column("interval", "95% interval", lambda row: _interval(row.summary(primary)))
    yield Column("median", "Median", lambda row: _median(row.seeds(primary), row.summary(primary)))
    yield Column("failed", "Failed", lambda row: Cell(f"{row.failures}/{len(row.runs)}", row.failures))
    if any(run["collapse"] for run in group.records):
        yield Column("collapsed", "Collapsed", _collapsed)
    for name, facts in group.metrics.items():
        if name != primary:
            yield Column("metric", facts["title"], partial(_mean, metric=name), facts["better"])
    if (floor := group.floor) is not None:
        yield Column("excess", "Excess over real", lambda row: _excess(row.summary(primary), floor))
    yield Column("noise", "Evaluation sd", lambda row: _plain(row.evaluation_sd(primary)))
    yield Column("seeds", "Seeds", lambda row: Cell(str(len(row.runs)), len(row.runs)))
    yield Column("seconds", "Train s", lambda row: _plain(row.seconds()))
    yield Column("tuned", "Tuned", lambda row: Cell(tuned(row), max(run["tuned"] for run in row.runs)))


def _label(row: Row) -> str:
    """The title, with the model's name where several configurations of one model stand in the table."""
    return f"{row.title} ({row.name})" if "@" in row.name else row.title


def _ranks(ranks: tuple[int, int] | None) -> Cell:
    if ranks is None:
        return Cell("–")
    low, high = ranks
    return Cell(str(low) if low == high else f"{low}–{high}", low + high / 1000)


def _plain(value: float | None) -> Cell:
    return Cell("–") if value is None else Cell(number(value), value)


def _median(seeds: Sequence[float], found: Summary | None) -> Cell:
    middle = median(seeds)
    return Cell(number(middle, found.sd if found else None), middle if math.isfinite(middle) else None)


def _mean_sd(found: Summary | None) -> Cell:
    if found is None:
        return Cell("–")
    sd = "" if found.sd is None else f" ± {number(found.sd, found.sd)}"
    return Cell(number(found.mean, found.sd) + sd, found.mean)


def _interval(found: Summary | None) -> Cell:
    if found is None or found.interval is None:
        return Cell("–")
    low, high = (number(bound, found.sd) for bound in found.interval)
    return Cell(f"[{low}, {high}]", found.interval[1] - found.interval[0])


def _excess(found: Summary | None, floor: float) -> Cell:
    return Cell("–") if found is None else Cell(number(found.mean - floor, found.sd), found.mean - floor)


def _mean(row: Row, metric: str) -> Cell:
    """The mean over the finished runs; how many have the metric is said where not all do."""
    values, finished = row.values(metric), len(row.runs) - row.failures
    if not values:
        return Cell("–")
    mean = math.fsum(values) / len(values)
    return Cell(number(mean) + ("" if len(values) == finished else f" ({len(values)}/{finished})"), mean)


def _collapsed(row: Row) -> Cell:
    """Collapsed runs of those judged; what else the test said follows in words."""
    verdicts = row.judged()
    if not verdicts:
        return Cell("–")
    words = [f"{n} {v}" for v in ("suspected", "undetermined") if (n := verdicts.count(v))]
    n = verdicts.count("collapsed")
    return Cell(", ".join([f"{n}/{len(verdicts)}", *words]), n)


def tuned(row: Row) -> str:
    return ", ".join(str(n) for n in sorted({run["tuned"] for run in row.runs}))


def facts(group: Group) -> dict[str, str]:
    """The protocol in words: what the rows of this group share, and rows of other groups need not."""
    protocol, measured = group.protocol, json.loads(group.protocol.evaluation)
    n_fake, n_real = measured["n_fake"], measured["n_real"]
    against = f"{n_real:,} of {measured['reference']}"
    return {
        "kind": KINDS[protocol.kind],
        "network": f"network {protocol.network}" if protocol.network else "",
        "budget": "" if protocol.examples is None else f"{protocol.examples:,} training examples",
        "extractor": f"extractor {measured['extractor']}" if measured["extractor"] else "",
        "fingerprint": f"fingerprint {measured['fingerprint']}" if measured["fingerprint"] else "",
        "n": against if n_fake is None else f"{n_fake:,} generated against {against}",
        "checkpoint": f"{measured['checkpoint']} checkpoint",
        "data": f"data {measured['data_sha256'][:12]}",
        "options": "" if protocol.options == "{}" else f"options {protocol.options}",
    }


def headings(board: Board) -> list[tuple[str, str]]:
    """(heading, line below it) of each group: the heading holds what tells it from the board's other groups."""
    described = [facts(group) for group in board.groups]
    found = []
    for own in described:
        alike = [other for other in described if all(other[k] == own[k] for k in ALWAYS)]
        said = [k for k in own if k in ALWAYS or any(own[k] != other[k] for other in alike)]
        heading = ", ".join(own[k] for k in said if own[k])
        found.append((_sentence(heading), _sentence("; ".join(own[k] for k in own if k not in said and own[k])) + "."))
    return found


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]
