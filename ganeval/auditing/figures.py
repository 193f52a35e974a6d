"""A figure for each experiment: small multiples, a panel a metric, as one SVG file that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ganeval.auditing.verdicts import Curve
from ganeval.pages.axes import Axis, axis
from ganeval.pages.svg import svg, text, ticks_below, ticks_left

COLUMNS, WIDE, HIGH = 4, 200, 146
LEFT, RIGHT, TOP, BOTTOM = 46, 190, 34, 120
HEAD = 58
KEY_STEP = 130
STYLE = """
text { font: 11px system-ui, "Helvetica Neue", Arial, sans-serif; fill: #1d1c1a; }
.paper { fill: #fdfcfa; } .title { font-size: 16px; } .label { font-weight: 600; }
.tick, .axis, .word { fill: #5f5b54; font-size: 10px; } .grid { stroke: #d9d5cd; stroke-width: .7; }
.loud { fill: #a02c1c; font-weight: 600; font-size: 10px; }
.l0 { stroke: #0b5d8f; } .b0 { fill: #0b5d8f; } .l1 { stroke: #b3541e; } .b1 { fill: #b3541e; }
.band { fill-opacity: .2; } .line { fill: none; stroke-width: 1.6; stroke-linejoin: round; }
.l1 { stroke-dasharray: 4 2.5; }
@media (prefers-color-scheme: dark) {
text { fill: #e7e4dd; } .paper { fill: #16171a; } .grid { stroke: #393a3f; }
.tick, .axis, .word { fill: #a8a39a; } .loud { fill: #f0917f; }
.l0 { stroke: #7fbfe8; } .b0 { fill: #7fbfe8; } .l1 { stroke: #f0a878; } .b1 { fill: #f0a878; }
}
"""
LOUD = ("blind", "inverted", "reacts", "unreliable")
"""Verdicts that a user should not miss begin with these."""

Panel = tuple[str, str, Mapping[str, Curve]]
"""Title, verdict, and the curves by the name of their line."""


def figure(title: str, below: str, panels: Sequence[Panel]) -> str:
    """The scores of every metric over the strength: the mean over repeats, and a band from the least to the greatest.

    An SVG document with colours of its own for light and dark.
    """
    rows = -(-len(panels) // COLUMNS)
    width, height = COLUMNS * WIDE + 8, HEAD + rows * HIGH + 8
    names = list(panels[0][2]) if panels else []
    body = f'<rect class="paper" width="{width}" height="{height}"/>'
    body += text(12, 24, title[0].upper() + title[1:], "start", "title")
    body += text(12, 44, f"across: {below}; up: the score, mean and range over the repeats", "start", "axis")
    body += "".join(_key(name, i, width - 12 - KEY_STEP * (len(names) - i)) for i, name in enumerate(names[:2]))
    for i, panel in enumerate(panels):
        x, y = i % COLUMNS * WIDE, HEAD + i // COLUMNS * HIGH
        body += f'<g transform="translate({x} {y})">{_panel(*panel)}</g>'
    whole = svg(height, f"{title}: scores of {len(panels)} metrics", f"<style>{STYLE}</style>{body}", width)
    alone = f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
    return whole.replace("<svg ", alone, 1) + "\n"


def _key(name: str, i: int, x: float) -> str:
    """What a line is, where there are several."""
    if name == "score":
        return ""
    line = f'<line class="line l{i}" x1="{x}" x2="{x + 24}" y1="20" y2="20"/>'
    return line + text(x + 30, 24, name, "start", "axis")


def _panel(title: str, word: str, lines: Mapping[str, Curve]) -> str:
    body = text(LEFT, TOP - 20, title, "start")
    body += text(LEFT, TOP - 7, word, "start", "loud" if word.startswith(LOUD) else "word")
    values = np.concatenate([curve.values[np.isfinite(curve.values)] for curve in lines.values()])
    if not len(values):
        return body
    strengths = next(iter(lines.values())).strengths
    across = axis(strengths, LEFT, RIGHT)
    up = axis(values.tolist(), BOTTOM, TOP, log=False)
    body += ticks_below(across, TOP, BOTTOM, "", about=4) + ticks_left(up, LEFT, RIGHT, "", about=3)
    return body + "".join(_line(curve, i, across, up) for i, curve in enumerate(lines.values()))


def _line(curve: Curve, i: int, across: Axis, up: Axis) -> str:
    """The mean and the range over the repeats that could be computed."""
    levels = [(across.at(x), row[np.isfinite(row)]) for x, row in zip(curve.strengths, curve.values, strict=True)]
    levels = [(x, row) for x, row in levels if len(row)]
    over = [f"{x:.1f},{up.at(row.max()):.1f}" for x, row in levels]
    under = [f"{x:.1f},{up.at(row.min()):.1f}" for x, row in levels]
    middle = [f"{x:.1f},{up.at(row.mean()):.1f}" for x, row in levels]
    band = f'<polygon class="band b{i}" points="{" ".join([*over, *reversed(under)])}"/>'
    return band + f'<polyline class="line l{i}" points="{" ".join(middle)}"/>'
