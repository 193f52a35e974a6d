"""What `ganeval list` and `ganeval weights list` print. Imports neither torch nor pandas."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from ganeval.datasets import DATASETS
from ganeval.registry import EXTRACTORS, METRICS, load_plugins

WIDTH = 80


def metrics() -> str:
    """Name, direction, needs and paper of every metric."""
    load_plugins()
    body = []
    for metric in METRICS.values():
        needs = [metric.on if metric.on == "logits" else "features", *(["reference"] if metric.reference else [])]
        body.append((metric.name, {"half": "0.5"}.get(metric.better, metric.better), " + ".join(needs), metric.paper))
    return aligned(("metric", "best", "needs", "paper"), body)


def extractors() -> str:
    """Name, pip extra and summary of every extractor."""
    load_plugins()
    body = [
        (spec.name, spec.summary + (f" (pip install 'ganeval[{spec.extra}]')" if spec.extra else ""))
        for spec in EXTRACTORS.values()
    ]
    return aligned(("extractor", "what it is"), [*body, ("module:attribute", "your own, imported from any module")])


def datasets() -> str:
    """Name, splits, extractor and size of every named data set."""
    body = [
        (name, ", ".join(info.splits), info.extractor or "-", str(info.classes)) for name, info in DATASETS.items()
    ]
    table = aligned(("data set", "splits", "own extractor", "classes"), body)
    return f"{table}\n\nName a split after a colon: mnist:test. --data-root or GANEVAL_DATA says where the files lie."


def aligned(header: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """Left-aligned columns; the last is wrapped so that lines stay within WIDTH."""
    table = [header, *body]
    widths = [max(len(row[c]) for row in table) for c in range(len(header) - 1)]
    indent = " " * (sum(widths) + 2 * len(widths))
    lines = []
    for row in table:
        start = "".join(cell.ljust(width + 2) for cell, width in zip(row, widths, strict=False))
        lines.append(textwrap.fill(row[-1], WIDTH, initial_indent=start, subsequent_indent=indent))
    return "\n".join(lines)
