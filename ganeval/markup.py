"""Tables for documents, in Markdown and LaTeX; what is special in either is escaped here alone."""

from __future__ import annotations

from collections.abc import Sequence


class Bold(str):
    """A cell that is printed in bold."""


def markdown_table(header: Sequence[str], body: Sequence[Sequence[str]], rest: str = "---:") -> str:
    """Lines of a Markdown table, the first column to the left and the others as `rest` says; no line break after it.

    A bar is escaped; other marks in a cell are the caller's.
    """
    rows = [[_marked(cell) for cell in row] for row in [header, *body]]
    return "\n".join(f"| {' | '.join(row)} |" for row in [rows[0], ["---", *[rest] * (len(header) - 1)], *rows[1:]])


def _marked(cell: str) -> str:
    text = cell.replace("|", r"\|")
    return f"**{text}**" if isinstance(cell, Bold) else text


def latex_table(header: Sequence[str], *bodies: Sequence[Sequence[str]]) -> str:
    """Lines of a table for the booktabs package, a rule before each of its bodies; no line break after it."""
    lines = [rf"\begin{{tabular}}{{l{'r' * (len(header) - 1)}}}", r"\toprule", _row(header)]
    for body in bodies:
        lines += [r"\midrule", *map(_row, body)] if body else []
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"])


def _row(cells: Sequence[str]) -> str:
    return " & ".join(rf"\textbf{{{escaped(c)}}}" if isinstance(c, Bold) else escaped(c) for c in cells) + r" \\"


def escaped(text: str) -> str:
    """Text that LaTeX takes as it is."""
    words = {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "±": r"$\pm$",
        "–": "--",
    }
    return "".join(rf"\{c}" if c in "%_&#${}" else words.get(c, c) for c in text)
