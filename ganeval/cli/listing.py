"""`ganeval list` and `ganeval doctor`: what there is, and what is here."""

from __future__ import annotations

import click

from ganeval.errors import GanevalError, unknown


@click.command("list")
@click.argument("what", required=False, metavar="[metrics|extractors|datasets|models]")
def list_(what: str | None) -> None:
    """What there is to choose from."""
    from ganeval import listing

    choices = {
        "metrics": listing.metrics, "extractors": listing.extractors, "datasets": listing.datasets,
        "models": listing.models,
    }  # fmt: skip
    if what is None:
        raise GanevalError(f"ganeval list needs a word: one of {', '.join(choices)}")
    if what not in choices:
        raise unknown("list", what, choices)
    click.echo(choices[what]())


@click.command()
def doctor() -> None:
    """Versions, devices, caches, and which weights are here."""
    from ganeval.doctor import examine

    click.echo(examine())
