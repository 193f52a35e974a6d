"""`ganeval reference`: statistics of a reference, to score against without its images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval import distributed
from ganeval.cli.options import GPUS, PATH, settings_options
from ganeval.terminal import say

if TYPE_CHECKING:
    from ganeval.settings import Settings


@click.command(short_help="Save statistics, to score against without images.")
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=PATH,
    required=True,
    metavar="FILE.npz",
    help="Where the statistics go.",
)
@click.option("--keep-features", is_flag=True, help="Also keep every image's features, for metrics other than FID.")
@GPUS
@settings_options
def reference(
    source: str, output: Path, keep_features: bool, gpus: int, settings: Settings, quiet: bool
) -> int:  # fmt: skip
    """Save the statistics of SOURCE, to score against without its images.

    The .npz holds mu and sigma as pytorch-fid reads them, n, and what made them. FID needs no more than this; metrics
    that need every image's features can use the file where it keeps them (8 KB an image of Inception's), by --metric.
    """
    if gpus > 1 and not distributed.started():
        return distributed.launch(gpus, settings.device)
    from ganeval.summarise import reference_with

    settings = replace(settings, distributed=distributed.join())
    with distributed.failing_together():
        moments = reference_with(source, output, settings, keep_features=keep_features)
    if distributed.rank() == 0:
        say(f"wrote {output}: n = {moments.n}, {len(moments.mean)} features from {moments.extractor}", err=True)
    return 0
