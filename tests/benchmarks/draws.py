"""Draws of a simulation kept one by one in a JSON-lines file, so that one that was stopped goes on where it was."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def undone(records: Path, case: dict[str, Any], count: int) -> list[int]:
    """The seeds under `count` of a case that the file lacks."""
    done = {line["seed"] for line in read(records) if all(line[key] == case[key] for key in case)}
    return [seed for seed in range(count) if seed not in done]


def read(records: Path) -> list[dict[str, Any]]:
    """Every line; none where there is no file yet."""
    return [json.loads(line) for line in records.read_text().splitlines()] if records.exists() else []


def keep(records: Path, line: dict[str, Any]) -> None:
    """Adds a line."""
    with open(records, "a") as file:
        file.write(json.dumps(line) + "\n")
