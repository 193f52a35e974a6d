"""The page's figures as inline SVG: seeds and intervals, quality against diversity, the metric over training.

Numbers are written with one decimal of a viewBox unit, so the same records give the same bytes. Colours and type
come from the page's style sheet by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ganeval.leaderboard.boards import Group, Row
from ganeval.leaderboard.records import Record
from ganeval.pages.axes import Axis, axis
from ganeval.pages.svg import WIDTH, svg, text, ticks_below, ticks_left

CURVE_WIDTH = 340
FAR = 3.0
"""A sanity row this many times worse than the worst seed is left out of the figure, which it would flatten."""

LETTER = 7.2
"""A generous width of one letter of a label."""

REACHES = (8, 20, 40, 70)
DROPS = (0, -12, 12, -24, 24, -36, 36, -50, 50, -64, 64)
"""How far from its dot a label may stand, the nearest first."""


def forest(group: Group) -> str:
    """A line a model: every finished seed as a dot, the mean as a bar, its 95% interval as a line; the floor dashed."""
    found = [value for row in group.rows for value in row.values(group.primary)]
    if not found:
        return ""
    reach = FAR * max(found)
    near = [row for row in group.sanity if max(row.values(group.primary), default=math.inf) <= reach]
    rows = [*group.rows, *near]
    values = [value for row in rows for value in row.values(group.primary)]
    ends = [end for row in group.rows if (s := row.summary(group.primary)) and s.interval for end in s.interval]
    # An interval may reach below zero, where a logarithmic axis can't follow; it is cut at the end of the axis.
    log = axis(values, 0, 1).log
    across = axis([*values, *(end for end in ends if end >= min(values) / 2 or not log)], 150, WIDTH - 14, log=log)
    height = 24 * len(rows) + 44
    title = group.metrics[group.primary]["title"]
    body = ticks_below(across, 6, height - 36, title)
    if group.floor is not None and across.low <= group.floor <= across.high:
        x = across.at(group.floor)
        body += f'<line class="floor" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{height - 36}"/>'
    for i, row in enumerate(rows):
        kind = "seed" if i < len(group.rows) else "seed sanity"
        body += _line_of_seeds(row, group.primary, kind, across, 20 + 24 * i)
    return svg(height, f"{title} of every seed, with mean and 95% interval, by model", body)


def _line_of_seeds(row: Row, primary: str, kind: str, across: Axis, y: float) -> str:
    body = text(142, y + 4, row.title, "end")
    found = row.summary(primary)
    if found and found.interval:
        low, high = (min(max(x, across.low), across.high) for x in found.interval)
        body += f'<line class="interval" x1="{across.at(low):.1f}" x2="{across.at(high):.1f}" y1="{y}" y2="{y}"/>'
    body += "".join(f'<circle class="{kind}" cx="{across.at(x):.1f}" cy="{y}" r="3"/>' for x in row.values(primary))
    if found and found.n > 1:
        x = across.at(found.mean)
        body += f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6}" y2="{y + 6}"/>'
    if row.failures:
        body += text(WIDTH - 4, y + 4, f"{row.failures} failed", "end", "failed")
    return body


def scatter(group: Group) -> str:
    """Quality against diversity, a dot a model at the means over its seeds; empty where a metric is absent."""
    wanted = [("modes", "high_quality"), ("recall", group.primary), ("coverage", group.primary)]
    names = next((pair for pair in wanted if all(name in group.metrics for name in pair)), None)
    if names is None:
        return ""
    means = [(row, [row.summary(name) for name in names]) for row in group.rows]
    points = [(row.title, x.mean, y.mean) for row, (x, y) in means if x and y]
    if len(points) < 2:
        return ""
    height = 330
    across = axis([x for _, x, _ in points], 58, WIDTH - 20)
    up = axis([y for _, _, y in points], height - 50, 14)
    titles = [group.metrics[name]["title"] for name in names]
    body = ticks_below(across, 14, height - 50, titles[0]) + ticks_left(up, 58, WIDTH - 20, titles[1])
    dots = [(label, across.at(x), up.at(y)) for label, x, y in points]
    body += "".join(f'<circle class="seed" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for _, x, y in dots)
    return svg(height, f"{titles[1]} against {titles[0]}, the means of each model", body + _labels(dots))


def _labels(dots: Sequence[tuple[str, float, float]]) -> str:
    """Each label at the nearest place round its dot that no dot and no earlier label takes."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for _, x, y in dots]
    body = ""
    for label, x, y in sorted(dots, key=lambda dot: (dot[2], dot[1], dot[0])):
        width = LETTER * len(label)
        places = [(x + side * reach, y + 4 + drop, side) for reach in REACHES for drop in DROPS for side in (1, -1)]
        boxes = {place: _box(*place, width) for place in places}
        place = next((p for p in places if _free(boxes[p], taken)), places[0])
        at, base, side = place
        taken.append(boxes[place])
        if place not in places[:2]:
            ends = f'x1="{x:.1f}" y1="{y:.1f}" x2="{at - side:.1f}" y2="{base - 4:.1f}"'
            body += f'<line class="leader" {ends}/>'
        body += text(at, base, label, "start" if side > 0 else "end")
    return body


Box = tuple[float, float, float, float]


def _box(at: float, base: float, side: int, width: float) -> Box:
    """Left, top, right and bottom of a text that goes to the right (side 1) or the left (-1) of `at`."""
    return min(at, at + side * width), base - 10, max(at, at + side * width), base + 3


def _free(box: Box, taken: Iterable[Box]) -> bool:
    inside = box[0] > 60 and box[2] < WIDTH - 2 and box[1] > 2 and box[3] < 280
    return inside and all(box[0] > b[2] or box[2] < b[0] or box[1] > b[3] or box[3] < b[1] for b in taken)


def curves(runs: Sequence[Record], metric: str, title: str) -> str:
    """The metric over training examples, a line a seed; empty where no run has two points."""
    lines = [
        [(float(p["examples"]), float(p["metrics"][metric])) for p in run["curve"] if metric in p["metrics"]]
        for run in runs
    ]
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        return ""
    height, right = 210, CURVE_WIDTH - 12
    across = axis([x for line in lines for x, _ in line], 52, right, log=False)
    up = axis([y for line in lines for _, y in line], height - 44, 8)
    body = ticks_below(across, 8, height - 44, "training examples") + ticks_left(up, 52, right, title)
    for line in lines:
        points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
        body += f'<polyline class="curve" points="{points}"/>'
    return svg(height, f"{title} over training, a line a seed", body, CURVE_WIDTH)
