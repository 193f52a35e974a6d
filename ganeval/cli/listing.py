"""`ganeval list` and `ganeval doctor`: what there is, and what is here."""

from __future__ import annotations

import click


@click.command("list")
@click.argument("what", type=click.Choice(["metrics", "extractors", "datasets", "models"]))
def list_(what: str) -> None:
    """What there is to choose from."""
    from ganeval import listing

    choices = {
        "metrics": listing.metrics, "extractors": listing.extractors, "datasets": listing.datasets,
        "models": listing.models,
    }  # fmt: skip
    click.echo(choices[what]())


@click.command()
def doctor() -> None:
    """Versions, devices, caches, and which weights are here."""
    from ganeval.doctor import examine

    click.echo(examine())
