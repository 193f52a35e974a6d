"""Where a command's result goes, and in which form."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganeval.errors import GanevalError
from ganeval.files import check_place, in_place, write_result
from ganeval.terminal import complain, say

if TYPE_CHECKING:
    from ganeval.report import ScoreReport

FORMATS = {".json": "json", ".csv": "csv", ".md": "md", ".tex": "tex", ".txt": "table", "": "table"}


def form_of(form: str | None, output: Path | None) -> str:
    """The form that was asked for, else that of the file's ending.

    Raises GanevalError for an ending that says nothing, and where the file can't be written.
    """
    check_place(output)
    if form or not output or in_place(output):
        return form or "table"
    if output.suffix.lower() not in FORMATS:
        page = "; a page is written by --html" if output.suffix.lower() in (".html", ".htm") else ""
        known = ", ".join(filter(None, FORMATS))
        raise GanevalError(f"-o {output}: which form? Endings are {known}{page}; or say --format")
    return FORMATS[output.suffix.lower()]


def check_page(html: Path | None) -> None:
    """Raises GanevalError for a name of a page that says it is none, and where it can't be written."""
    check_place(html)
    if html and not in_place(html) and html.suffix.lower() not in (".html", ".htm"):
        raise GanevalError(f"--html {html}: the page is an HTML file; give a name that ends in .html")


def spare(inputs: Iterable[str | Path | None], *outputs: Path | None) -> None:
    """Raises GanevalError where a result would take the place of what is to be read, or of another result."""
    written = [path for path in outputs if path and not in_place(path)]
    if len(set(map(os.path.realpath, written))) < len(written):
        raise GanevalError(f"{written[0]} is named for two results; name a file for each")
    for source in (source for source in inputs if source):
        for path in written:
            if _replaces(path, os.path.expanduser(source)):
                raise GanevalError(f"can't write {path}, for {source} is read from it; choose another place")


def _replaces(path: Path, source: str) -> bool:
    """Whether the path is that file, or one of the images in that folder. Other files in the folder are not read."""
    if not (os.path.exists(path) and os.path.exists(source)):
        return False
    real = Path(os.path.realpath(path))
    if os.path.samefile(real, source) or not real.is_relative_to(os.path.realpath(source)):
        return os.path.samefile(real, source)
    from ganeval.images.decode import EXTENSIONS

    return real.suffix.lower() in EXTENSIONS


def json_of(documents: Sequence[dict[str, Any]]) -> str:
    """One document, or a list of several."""
    return json.dumps(list(documents) if len(documents) > 1 else documents[0], indent=1, allow_nan=False) + "\n"


def publish(result: str | bytes, output: Path | None) -> None:
    """Prints the result, or writes it to a file as a whole."""
    if output is None:
        say(result, nl=False)
        return
    # File names may hold bytes that are no text.
    write_result(output, result.encode(errors="backslashreplace") if isinstance(result, str) else result)
    say(f"wrote {output}", err=True)


def complain_of(reports: Sequence[ScoreReport]) -> None:
    """Prints the warnings of all reports."""
    from ganeval.report.tables import once

    for warning in once(reports, lambda report: report.warnings):
        complain("warning", warning)
