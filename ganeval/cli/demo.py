"""`ganeval demo`."""

from __future__ import annotations

from pathlib import Path

import click

from ganeval.cli.options import PATH, QUIET, SEED
from ganeval.terminal import on_terminal


@click.command(short_help="Score good, collapsed and copied digits, made here.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("ganeval-demo"),
    show_default=True,
    metavar="FOLDER",
    help="Where the sample folders go.",
)
@click.option("--seed", type=SEED, default=0, show_default=True, help="For the training and the scores.")
@QUIET
def demo(output: Path, seed: int, quiet: bool) -> None:
    """Make three sets of fake digits, good, collapsed and copied, and score them. About a minute, no network."""
    from ganeval.demo import demo as show

    click.echo(show(output, seed=seed, progress=on_terminal() and not quiet), nl=False)
