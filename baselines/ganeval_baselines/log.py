"""The log of a run: JSON lines, rewound to the checkpoint when a run is taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganeval.errors import GanevalError
from ganeval.files import write_result


class Log:
    """A JSON-lines file; each line has its step. `also` is told every line."""

    def __init__(self, path: Path, also: Callable[[dict[str, Any]], None] = lambda _: None) -> None:
        self.path, self.also = path, also

    def write(self, line: dict[str, Any]) -> None:
        try:
            with self.path.open("a") as file:
                file.write(json.dumps(line, allow_nan=False) + "\n")
        except OSError as error:
            raise GanevalError(
                f"could not write {self.path}: {error.strerror}; the last checkpoint is whole"
            ) from error
        self.also(line)

    def rewind(self, step: int) -> None:
        """Drops the lines after `step`, which the run will write again, and damaged ones."""
        lines = [line for line in self.lines() if line["step"] <= step]
        write_result(self.path, "".join(json.dumps(line) + "\n" for line in lines).encode())

    def lines(self) -> list[dict[str, Any]]:
        """Those that are whole; one that was cut short or damaged is left out."""
        found = []
        for text in self.path.read_text(errors="replace").splitlines() if self.path.exists() else []:
            with suppress(json.JSONDecodeError):
                line = json.loads(text)
                if isinstance(line, dict) and isinstance(line.get("step"), int):
                    found.append(line)
        return found
