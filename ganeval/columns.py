"""Plain text in columns of at most 80 characters, for a terminal or a mail."""

from __future__ import annotations

import html
import math
import textwrap
from abc import ABC, abstractmethod
from collections.abc import Sequence

WIDTH = 80


class Printed(ABC):
    """A report that people read as its text: printed, and at the end of a notebook's cell."""

    @abstractmethod
    def to_text(self) -> str:
        """Lines of at most WIDTH characters."""

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(self.to_text())}</pre>"


def rounded(value: float, error: float | None, figures: int) -> str:
    """A finite `value` to two digits of its `error`, or else to so many figures in all."""
    scale = error or abs(value) / 10 ** (figures - 1)
    digits = 1 if error else 0
    places = max(0, digits - math.floor(math.log10(scale))) if scale > 0 else 0
    return f"{value:z.{places}f}" if places <= 6 else f"{value:.3g}"  # z: of -0.004 two places are 0.00, not -0.00


def table(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """Lines of numbers under a header and a rule: the first column to the left, the others to the right."""
    rows = [header, *body]
    widths = [max(len(row[c]) for row in rows) for c in range(len(header))]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(cell.rjust(w) for cell, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    return [lines[0], "-" * len(lines[0]), *lines[1:]]


def blocks(header: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    """A table too wide for WIDTH as several below each other, each beginning with the first column."""
    widths = [max(len(row[c]) for row in [header, *body]) + 2 for c in range(len(header))]
    groups, used = [[0]], widths[0]
    for c in range(1, len(header)):
        if used + widths[c] > WIDTH + 2 and len(groups[-1]) > 1:
            groups.append([0])
            used = widths[0]
        groups[-1].append(c)
        used += widths[c]
    lines = []
    for columns in groups:
        lines += ["", *table([header[c] for c in columns], [[row[c] for c in columns] for row in body])]
    return lines[1:]


def listing(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Rows of words, all to the left; the last column is wrapped."""
    rows = [header, *body]
    widths = [max(len(row[c]) for row in rows) for c in range(len(header) - 1)]
    indent = " " * (sum(widths) + 2 * len(widths))
    starts = ["".join(cell.ljust(w + 2) for cell, w in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(_wrapped(row[-1] or "-", start, indent) for row, start in zip(rows, starts, strict=True))


def fact(label: str, value: str) -> str:
    """A label and its text, wrapped beside it."""
    return _wrapped(value, f"{label:<11}", " " * 11)


def _wrapped(value: str, first: str, rest: str) -> str:
    """Within WIDTH where words allow; paths and addresses are never broken."""
    return textwrap.fill(
        value, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )
