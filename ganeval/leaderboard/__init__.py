"""Run records (JSON) -> ranked tables (CSV, Markdown, LaTeX) and one HTML page.

The files are a function of the records alone: no date, no machine, no order of creation enters them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path

from ganeval.errors import unknown
from ganeval.files import write_result
from ganeval.leaderboard import anchors, records
from ganeval.leaderboard.boards import board
from ganeval.leaderboard.page import page
from ganeval.leaderboard.tables import latex, markdown, table_csv

PAGE = "index.html"


def build(root: Path, names: Sequence[str] | None = None) -> dict[str, bytes]:
    """{path under root: content} of the tables of the named data sets (all: None) and of the page of all data sets.

    Reads root/records/<data>/<model>-seed<k>.json, thumbnail grids <model>.png beside them, and root/anchors.json;
    writes nothing. Raises GanevalError for a record that can't be trusted or a data set without records.
    """
    root = Path(root)
    boards = {data: board(data, runs) for data, runs in records.load(root).items()}
    published: dict[str, list[anchors.Anchor]] = {}
    for anchor in anchors.load(root):
        published.setdefault(anchor.data, []).append(anchor)
    files = {}
    for name in boards if names is None else names:
        if name not in boards:
            raise unknown("leaderboard", name, boards)
        files[f"{name}.csv"] = table_csv(boards[name])
        files[f"{name}.md"] = markdown(boards[name], published.get(name, ()))
        files[f"{name}.tex"] = latex(boards[name])
    files[PAGE] = page(root, list(boards.values()), published)
    return files


def write(root: Path, files: Mapping[str, bytes]) -> None:
    """Writes what `build` returned, each file whole or not at all. Raises GanevalError where one can't be written."""
    for name, content in files.items():
        write_result(Path(root) / name, content)


def check(root: Path, files: Mapping[str, bytes]) -> list[str]:
    """A line for each file under root that is not what `build` returned, and for tables that no record stands behind.

    An empty list: all is as the records say.
    """
    root, found = Path(root), []
    for name, content in files.items():
        path = root / name
        if not path.is_file():
            found.append(f"{path}: missing")
        elif (there := path.read_bytes()) != content:
            lines = zip_longest(there.splitlines(), content.splitlines())
            line = next((n for n, (old, new) in enumerate(lines, 1) if old != new), 1)
            found.append(f"{path}: differs from the records at line {line}")
    for path in sorted(root.glob("*.csv")) + sorted(root.glob("*.tex")):
        if not (root / records.FOLDER / path.stem).is_dir():
            found.append(f"{path}: no records of {path.stem} are there; remove the file")
    return found
