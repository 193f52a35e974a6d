"""`ganeval weights`: list, fetch, verify, import."""

from __future__ import annotations

from pathlib import Path

import click

from ganeval.cli.options import PATH


@click.group()
def weights() -> None:
    """Pretrained weights: list, fetch, verify, import."""


@weights.command("list")
def weights_list() -> None:
    """The weights that ganeval knows, and which are here."""
    from ganeval import listing

    click.echo(listing.weights())


@weights.command("fetch")
@click.argument("name")
def weights_fetch(name: str) -> None:
    """Download NAME, check its sha256, and keep it."""
    from ganeval.weights import fetch

    click.echo(fetch(name))


@weights.command("verify")
@click.argument("name")
def weights_verify(name: str) -> None:
    """Check the sha256 of NAME's file."""
    from ganeval.weights import verify

    click.echo(verify(name))


@weights.command("import")
@click.argument("file", type=PATH)
def weights_import(file: Path) -> None:
    """Take a weights FILE that you downloaded by other means."""
    from ganeval.weights import import_file

    click.echo(import_file(file))
