"""`ganeval reference`: statistics of a reference, to score against without its images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval import distributed
from ganeval.cli.options import settings_options

if TYPE_CHECKING:
    from ganeval.settings import Settings


@click.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.npz",
    help="Where the statistics go.",
)
@settings_options
def reference(source: str, output: Path, settings: Settings, quiet: bool) -> None:
    """Save the statistics of SOURCE, to score against without its images.

    The .npz holds mu and sigma as pytorch-fid reads them, n, and what made them. FID needs no more than this;
    metrics that need the images themselves can't use it.
    """
    from ganeval.scoring import make_reference

    settings = replace(settings, distributed=distributed.join())
    moments = make_reference(source, output, settings)
    if distributed.rank() == 0:
        click.echo(f"wrote {output}: n = {moments.n}, {len(moments.mean)} features from {moments.extractor}", err=True)
