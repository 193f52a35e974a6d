"""Published numbers: shown beside a board with their own protocol, never ranked with its rows."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from ganeval.errors import GanevalError

SCHEMA = "ganeval.anchors/1"
FILE = "anchors.json"
COLUMNS = {
    "model": "Model", "metric": "Metric", "value": "Value", "spread": "±", "spread_is": "± is", "n": "n",
    "extractor": "Extractor", "selection": "Selection", "protocol": "Protocol", "source": "Source",
}  # fmt: skip


@dataclass(frozen=True)
class Anchor:
    """One published number. spread_is: what `spread` is the spread of; selection: which checkpoint or run it is."""

    data: str
    model: str
    metric: str
    value: float
    spread: float | None
    spread_is: str | None
    n: str
    extractor: str | None
    selection: str
    protocol: str
    source: str

    def cells(self) -> list[str]:
        """A text for each of COLUMNS."""
        return [_text(getattr(self, key)) for key in COLUMNS]


def load(root: Path) -> list[Anchor]:
    """The rows of root/anchors.json in their order; none where there is no such file.

    Raises GanevalError naming the file and the row whose keys or numbers are not those of an Anchor.
    """
    path = root / FILE
    if not path.exists():
        return []
    try:
        content = json.loads(path.read_bytes())
    except ValueError as error:
        raise GanevalError(f"{path}: not a JSON document: {error}") from error
    if not isinstance(content, dict) or content.get("schema") != SCHEMA:
        raise GanevalError(f"{path}: expected the schema {SCHEMA!r}")
    names = {field.name for field in fields(Anchor)}
    for i, row in enumerate(content.get("rows", [])):
        if set(row) != names:
            raise GanevalError(f"{path}: row {i} must have the keys {', '.join(sorted(names))}")
        if not isinstance(row["value"], int | float) or not isinstance(row["spread"], int | float | None):
            raise GanevalError(f"{path}: row {i}: value must be a number, spread a number or null")
    return [Anchor(**row) for row in content.get("rows", [])]


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
