"""Where a command's result goes, and in which form."""

from __future__ import annotations

import json
from collections.abc import Sequence
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
