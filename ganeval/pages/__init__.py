"""What the HTML pages share: the templates' environment, one style sheet, axes and the pieces of figures. No torch."""

from __future__ import annotations

import base64
import re
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def environment(folder: Path) -> Environment:
    """Templates from a folder, which find the shared ones too; what they fill in is escaped, and `minus` a filter."""
    found = Environment(
        loader=FileSystemLoader([folder, Path(__file__).parent / "templates"]), autoescape=True,
        undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, keep_trailing_newline=True,
    )  # fmt: skip
    found.filters["minus"] = minus
    return found


def minus(said: str) -> str:
    """Text whose numbers have a true minus, at its start, after a space or a bracket."""
    return re.sub(r"(?<![^\s\[])-(?=\d)", "−", said)


def data_uri(content: bytes, kind: str = "image/png") -> str:
    """A file as an address that holds it, so that a page needs no other file."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
