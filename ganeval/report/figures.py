"""The report's figures as inline SVG: intervals, the share of each class, both sets in a plane."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ganeval.collapse import Mode
from ganeval.pages.axes import Axis, axis, tick_text
from ganeval.pages.svg import WIDTH, svg, text, ticks_below, ticks_left
from ganeval.report.gallery import Plane
from ganeval.types import Estimate

CLASSES = 30
"""So many classes have a bar; of more, those whose shares differ most."""

BAR = 190


def span(estimates: Sequence[Estimate], share: bool) -> Axis:
    """The axis of one metric's intervals: 0 to 1 for a share, else from zero to just beyond all of them."""
    ends = [end for e in estimates for end in (e.value, *(e.interval or ())) if math.isfinite(end)]
    if share:
        return Axis(0, 1, 26, BAR - 34)
    low, high = min(0.0, *ends), max(0.0, *ends)
    margin = 0.08 * (high - low) or 1.0
    return Axis(low - margin if low < 0 else 0, high + margin, 26, BAR - 34)


def interval(estimate: Estimate, across: Axis, ideal: float | None) -> str:
    """An interval as a line with its value as a dot; `ideal`, where there is one, as an upright. The table has it in
    numbers, so it is no news to a reader of the page by ear."""
    y, (low, high) = 11, estimate.interval or (estimate.value, estimate.value)
    body = f'<line class="grid" x1="{across.start}" x2="{across.stop}" y1="{y}" y2="{y}"/>'
    if ideal is not None and across.low <= ideal <= across.high:
        x = across.at(ideal)
        body += f'<line class="ideal" x1="{x:.1f}" x2="{x:.1f}" y1="3" y2="19"/>'
    low, high = (min(max(end, across.low), across.high) for end in (low, high))
    body += f'<line class="interval" x1="{across.at(low):.1f}" x2="{across.at(high):.1f}" y1="{y}" y2="{y}"/>'
    body += f'<circle class="value" cx="{across.at(estimate.value):.1f}" cy="{y}" r="3.4"/>'
    body += text(across.start - 5, y + 4, _end(across.low), "end", "tick")
    body += text(across.stop + 5, y + 4, _end(across.high), "start", "tick")
    return f'<svg class="bar" viewBox="0 0 {BAR} 22" aria-hidden="true">{body}</svg>'


def _end(value: float) -> str:
    return tick_text(float(f"{value:.2g}")).replace("-", "−")


def histogram(modes: Sequence[Mode]) -> tuple[str, int]:
    """The share of each class, fakes over real images, and how many classes are drawn; empty without classes."""
    n, m = sum(mode.n_fake for mode in modes), sum(mode.n_real for mode in modes)
    if not n or not m:
        return "", 0
    shares = [(mode, 100 * mode.n_fake / n, 100 * mode.n_real / m) for mode in modes if mode.n_fake or mode.n_real]
    if len(shares) > CLASSES:
        far = {id(row[0]) for row in sorted(shares, key=lambda row: -abs(row[1] - row[2]))[:CLASSES]}
        shares = [row for row in shares if id(row[0]) in far]
    across = Axis(0, 1.05 * max(max(a, b) for _, a, b in shares), 118, WIDTH - 10)
    bottom = 8 + 22 * len(shares)
    body = ticks_below(across, 4, bottom, "% of the images")
    for i, (mode, fake, real) in enumerate(shares):
        y = 8 + 22 * i
        name = mode.name if len(mode.name) <= 16 else f"{mode.name[:15]}…"
        body += text(110, y + 13, name, "end", "missing" if mode.kind else "label")
        for kind, share, at in (("fake", fake, y + 1), ("real", real, y + 10)):
            width = across.at(share) - across.start
            body += f'<rect class="{kind}" x="{across.start}" y="{at}" width="{width:.1f}" height="8"/>'
    missing = ", ".join(mode.name for mode, _, _ in shares if mode.kind) or "none"
    label = f"Share of each of {len(shares)} classes, fakes against real images; missing: {missing}"
    return svg(bottom + 42, label, body), len(shares)


def plane(both: Plane) -> str:
    """A dot a fake, a ring a real image, drawn in turn so that neither hides the other."""
    height = 400
    rows = interleaved(both)
    across = axis([x for _, x, _ in rows], 52, WIDTH - 10, log=False)
    up = axis([y for _, _, y in rows], height - 44, 10, log=False)
    body = ticks_below(across, 10, height - 44, "first principal axis of the real images")
    body += ticks_left(up, 52, WIDTH - 10, "second")
    body += "".join(
        f'<circle class="{kind}" cx="{across.at(x):.1f}" cy="{up.at(y):.1f}" r="2"/>' for kind, x, y in rows
    )
    return svg(height, f"{len(both.fake)} fakes and {len(both.real)} real images in the plane", body)


def interleaved(both: Plane) -> list[tuple[str, float, float]]:
    """Both sets' points as (kind, x, y), spread evenly through each other."""
    marked = [
        ((i + 0.5) / len(points), kind, float(x), float(y))
        for kind, points in (("real", both.real), ("fake", both.fake))
        for i, (x, y) in enumerate(points.tolist())
    ]
    return [(kind, x, y) for _, kind, x, y in sorted(marked)]
