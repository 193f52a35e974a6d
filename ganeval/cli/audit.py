"""`ganeval audit`: which metrics see which defects, on the user's own images."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.cli.options import METRICS, UserPath, draw_options, settings_options
from ganeval.files import check_place
from ganeval.terminal import complain, say

if TYPE_CHECKING:
    from ganeval.settings import Settings


@click.command(short_help="Which metrics see which defects, on your images?")
@click.option("--ref", "reference", required=True, metavar="REF", help="Real images, or a data set name.")
@click.option("--train", metavar="TRAIN", help="The training images; without it, held-out reference images play them.")
@click.option("--samples", metavar="FAKES", help="Generated images; without it, draws from a Gaussian in pixels.")
@METRICS
@click.option(
    "--experiment", "experiments", multiple=True, metavar="NAME",
    help="Repeatable; without it all: mixing, collapse, dropping, overfit, noise, blur, jpeg, shift, rotation, size.",
)  # fmt: skip
@settings_options
@partial(draw_options, n="The size of each set.  [default: 500, or as many as there are]")
@click.option("--repeats", type=int, default=10, show_default=True, help="Random splits of the reference.")
@click.option(
    "-o", "--output", type=UserPath(file_okay=False), metavar="FOLDER",
    help="Write audit.md with its figures, and audit.json, there.",
)  # fmt: skip
def audit(
    reference: str, train: str | None, samples: str | None, metrics: tuple[str, ...], experiments: tuple[str, ...],
    settings: Settings, n: int | None, seed: int, repeats: int, output: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Which metrics see which defects, on your own images?

    The experiments of Xu et al. (2018): generated images mixed in, modes collapsed and dropped, overfitting, noise,
    blur, JPEG, small shifts and rotations, sample size.

    \b
    ganeval audit --ref ./real --train ./train --samples ./samples -o audit
    ganeval audit --ref digits --n 250 --metric fid --metric kid
    """
    check_place(output and output / "audit.md")
    from ganeval.auditing import audit_with

    settings = replace(settings, metrics=metrics or None, n=n, seed=seed)
    report = audit_with(
        reference, settings, train=train, samples=samples, experiments=experiments or None, repeats=repeats
    )
    say(report.to_text(), nl=False)
    for warning in [] if quiet else report.warnings:
        complain("warning", warning)
    if output:
        report.write(output)
        say(f"wrote {output}/audit.md, its figures, and audit.json", err=True)
