"""Published numbers: shown beside a board with their own protocol, never ranked with its rows."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganeval.errors import GanevalError
from ganeval.leaderboard.records import NONE, NUMBER, document, expect

SCHEMA = "ganeval.anchors/1"
FILE = "anchors.json"
COLUMNS = {
    "model": "Model", "metric": "Metric", "value": "Value", "spread": "±", "spread_is": "± is", "n": "n",
    "extractor": "Extractor", "selection": "Selection", "protocol": "Protocol", "source": "Source",
}  # fmt: skip

KEYS: dict[str, tuple[type, ...]] = {
    "data": (str,), "model": (str,), "metric": (str,), "value": NUMBER, "spread": (*NUMBER, NONE),
    "spread_is": (str, NONE), "n": (str,), "extractor": (str, NONE), "selection": (str,), "protocol": (str,),
    "source": (str,),
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

    Raises GanevalError naming the file and the row whose keys or values are not those of an Anchor.
    """
    path = root / FILE
    if not path.exists():
        return []
    content = document(path, SCHEMA, "restore the file", "write it for this ganeval")
    expect(content, {"rows": (list,)}, path)
    for i, row in enumerate(content["rows"]):
        if not isinstance(row, dict) or set(row) != set(KEYS):
            raise GanevalError(f"{path}: row {i} must have the keys {', '.join(sorted(KEYS))}")
        expect(row, KEYS, path, f"rows.{i}.")
    return [Anchor(**row) for row in content["rows"]]


def _text(value: Any) -> str:
    return "–" if value is None else f"{value:g}" if isinstance(value, float) else str(value)
