"""The pieces of a figure as inline SVG. Colours and type come from the page's style sheet by class.

Numbers are written with one decimal of a viewBox unit, so the same data give the same bytes.
"""

from __future__ import annotations

from html import escape

from ganeval.pages.axes import Axis, tick_text

WIDTH = 480


def svg(height: float, label: str, body: str, width: float = WIDTH) -> str:
    return f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{body}</svg>'


def text(x: float, y: float, said: str, anchor: str, kind: str = "label") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(said)}</text>'


def ticks_below(across: Axis, top: float, bottom: float, title: str, about: int = 6) -> str:
    body = ""
    for tick in across.ticks(about):
        x = across.at(tick)
        body += f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{top}" y2="{bottom}"/>'
        body += text(x, bottom + 15, tick_text(tick), "middle", "tick")
    if not title:
        return body
    return body + text((across.start + across.stop) / 2, bottom + 32, _titled(title, across), "middle", "axis")


def ticks_left(up: Axis, left: float, right: float, title: str, about: int = 6) -> str:
    body = ""
    for tick in up.ticks(about):
        y = up.at(tick)
        body += f'<line class="grid" x1="{left}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        body += text(left - 6, y + 4, tick_text(tick), "end", "tick")
    if not title:
        return body
    middle = (up.start + up.stop) / 2
    turn = f'transform="rotate(-90 14 {middle:.1f})"'
    said = escape(_titled(title, up))
    return body + f'<text class="axis" x="14" y="{middle:.1f}" text-anchor="middle" {turn}>{said}</text>'


def _titled(title: str, along: Axis) -> str:
    return f"{title} (log scale)" if along.log else title
