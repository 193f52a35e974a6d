"""The page's figures as inline SVG: seeds and intervals, quality against diversity, the metric over training.

Numbers are written with one decimal of a viewBox unit, so the same records give the same bytes. Colours and type
come from the page's style sheet by class.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape

from ganeval.leaderboard.boards import Group, Row
from ganeval.leaderboard.records import Record

WIDTH = 480
LOG_FROM = 8.0
"""An axis is logarithmic where its largest value is this many times its smallest."""

FAR = 3.0
"""A sanity row this many times worse than the worst seed is left out of the figure, which it would flatten."""

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """Maps values from [low, high] to positions from `start` to `stop`."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def at(self, value: float) -> float:
        low, high, value = (math.log10(x) if self.log else x for x in (self.low, self.high, value))
        return self.start + (value - low) / (high - low) * (self.stop - self.start)

    def ticks(self) -> list[float]:
        """Round values within the axis: 1, 2 or 5 times a power of ten."""
        if self.log:
            powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 200 else (1,)
            return [t for p in powers for s in steps if self.low <= (t := s * 10.0**p) <= self.high]
        rough = (self.high - self.low) / 5
        power = 10.0 ** math.floor(math.log10(rough))
        step = next(s * power for s in (1, 2, 5, 10) if s * power >= rough * 0.999)
        return [i * step for i in range(math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9) + 1)]


def axis(values: Iterable[float], start: float, stop: float, *, log: bool | None = None) -> Axis:
    """An axis that holds all values with a margin; logarithmic where they are positive and far apart."""
    low, high = min(values := list(values)), max(values)
    if log is None:
        log = low > 0 and high / low >= LOG_FROM
    if log:
        margin = (high / low) ** 0.05 if high > low else 1.5
        return Axis(low / margin, high * margin, start, stop, log=True)
    margin = 0.05 * (high - low) or 0.05 * abs(high) or 1.0
    return Axis(low - margin, high + margin, start, stop)


def forest(group: Group) -> str:
    """A line a model: every finished seed as a dot, the mean as a bar, its 95% interval as a line; the floor dashed."""
    found = [value for row in group.rows for value in row.values(group.primary)]
    if not found:
        return ""
    reach = FAR * max(found)
    near = [row for row in group.sanity if max(row.values(group.primary), default=math.inf) <= reach]
    rows = [*group.rows, *near]
    across = axis([value for row in rows for value in row.values(group.primary)], 150, WIDTH - 14)
    height = 24 * len(rows) + 44
    title = group.metrics[group.primary]["title"]
    body = _ticks_below(across, 6, height - 36, title)
    if group.floor is not None:
        x = across.at(group.floor)
        body += f'<line class="floor" x1="{x:.1f}" x2="{x:.1f}" y1="6" y2="{height - 36}"/>'
    for i, row in enumerate(rows):
        kind = "seed" if i < len(group.rows) else "seed sanity"
        body += _line_of_seeds(row, group.primary, kind, across, 20 + 24 * i)
    return _svg(height, f"{title} of every seed, with mean and 95% interval, by model", body)


def _line_of_seeds(row: Row, primary: str, kind: str, across: Axis, y: float) -> str:
    body = _text(142, y + 4, row.title, "end")
    found = row.summary(primary)
    if found and found.interval:
        low, high = (min(max(x, across.low), across.high) for x in found.interval)
        body += f'<line class="interval" x1="{across.at(low):.1f}" x2="{across.at(high):.1f}" y1="{y}" y2="{y}"/>'
    body += "".join(f'<circle class="{kind}" cx="{across.at(x):.1f}" cy="{y}" r="3"/>' for x in row.values(primary))
    if found:
        x = across.at(found.mean)
        body += f'<line class="mean" x1="{x:.1f}" x2="{x:.1f}" y1="{y - 6}" y2="{y + 6}"/>'
    if row.failures:
        body += _text(WIDTH - 4, y + 4, f"{row.failures} failed", "end", "failed")
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
    body = _ticks_below(across, 14, height - 50, titles[0]) + _ticks_left(up, 58, WIDTH - 20, titles[1])
    dots = [(label, across.at(x), up.at(y)) for label, x, y in points]
    body += "".join(f'<circle class="seed" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for _, x, y in dots)
    return _svg(height, f"{titles[1]} against {titles[0]}, the means of each model", body + _labels(dots))


def _labels(dots: Sequence[tuple[str, float, float]]) -> str:
    """Each label at the nearest place round its dot that no dot and no earlier label takes."""
    taken = [(x - 5, y - 5, x + 5, y + 5) for _, x, y in dots]
    body = ""
    for label, x, y in sorted(dots, key=lambda dot: (dot[2], dot[1], dot[0])):
        width = 6.2 * len(label)
        places = [
            (x + side * (8 + reach) - (width if side < 0 else 0), y + 4 + drop)
            for reach in (0, 12, 30, 60)
            for drop in (0, -12, 12, -24, 24, -36, 36, -50, 50, -64, 64)
            for side in (1, -1)
        ]
        left, base = next((p for p in places if _free(p, width, taken)), places[0])
        taken.append((left, base - 10, left + width, base + 2))
        if abs(base - y - 4) > 1 or left > x + 9:
            end = left if left > x else left + width
            body += f'<line class="leader" x1="{x:.1f}" y1="{y:.1f}" x2="{end:.1f}" y2="{base - 4:.1f}"/>'
        body += _text(left, base, label, "start")
    return body


def _free(place: Point, width: float, taken: Iterable[tuple[float, float, float, float]]) -> bool:
    left, base = place
    inside = left > 58 and left + width < WIDTH - 2 and 10 < base < 276
    return inside and all(left > b[2] or left + width < b[0] or base - 10 > b[3] or base + 2 < b[1] for b in taken)


def curves(runs: Sequence[Record], metric: str, title: str) -> str:
    """The metric over training examples, a line a seed; empty where no run has two points."""
    lines = [
        [(float(p["examples"]), float(p["metrics"][metric])) for p in run["curve"] if metric in p["metrics"]]
        for run in runs
    ]
    lines = [line for line in lines if len(line) > 1]
    if not lines:
        return ""
    height = 220
    across = axis([x for line in lines for x, _ in line], 58, WIDTH - 20, log=False)
    up = axis([y for line in lines for _, y in line], height - 50, 14)
    body = _ticks_below(across, 14, height - 50, "training examples") + _ticks_left(up, 58, WIDTH - 20, title)
    for line in lines:
        points = " ".join(f"{across.at(x):.1f},{up.at(y):.1f}" for x, y in line)
        body += f'<polyline class="curve" points="{points}"/>'
    return _svg(height, f"{title} over training, a line a seed", body)


def _svg(height: float, label: str, body: str) -> str:
    return f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'


def _text(x: float, y: float, text: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _ticks_below(across: Axis, top: float, bottom: float, title: str) -> str:
    body = ""
    for tick in across.ticks():
        x = across.at(tick)
        body += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        body += _text(x, bottom + 15, _tick(tick), "middle", "tick")
    return body + _text((across.start + across.stop) / 2, bottom + 32, _titled(title, across), "middle", "axis")


def _ticks_left(up: Axis, left: float, right: float, title: str) -> str:
    body = ""
    for tick in up.ticks():
        y = up.at(tick)
        body += f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        body += _text(left - 6, y + 4, _tick(tick), "end", "tick")
    middle = (up.start + up.stop) / 2
    turn = f'transform="rotate(-90 14 {middle:.1f})"'
    text = escape(_titled(title, up))
    return body + f'<text class="axis" x="14" y="{middle:.1f}" text-anchor="middle" {turn}>{text}</text>'


def _titled(title: str, along: Axis) -> str:
    return f"{title} (log scale)" if along.log else title


def _tick(value: float) -> str:
    """1200000 as 1.2M, 0.1 as 0.1."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if abs(value) >= 10 * size or (abs(value) >= size and letter == "M"):
            return f"{value / size:.6g}{letter}"
    return f"{value:.6g}" if value else "0"
