"""Where a command's result goes, and in which form."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

FORMATS = {".json": "json", ".csv": "csv", ".md": "md", ".tex": "tex"}


def form_of(output: Path | None, default: str) -> str:
    """The form that a file's ending asks for."""
    return FORMATS.get(output.suffix.lower(), default) if output else default


def json_of(documents: Sequence[dict[str, Any]]) -> str:
    """One document, or a list of several."""
    return json.dumps(list(documents) if len(documents) > 1 else documents[0], indent=1, allow_nan=False) + "\n"


def publish(result: str | bytes, output: Path | None) -> None:
    """Prints the result, or writes it to a file as a whole."""
    if output is None:
        click.echo(result, nl=False)
        return
    from ganeval.files import write_result

    write_result(output, result.encode() if isinstance(result, str) else result)
    click.echo(f"wrote {output}", err=True)
