"""`ganeval collapse`: the verdict on mode collapse alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval.cli.options import PATH, draw_options, settings_options
from ganeval.cli.output import complain_of, json_of, publish, spare
from ganeval.errors import GanevalError
from ganeval.files import check_place
from ganeval.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganeval.report import ScoreReport
    from ganeval.settings import Settings

COLLAPSED = 3
SCHEMA = "ganeval.collapse/1"


@click.command(short_help="Has the generator collapsed? A verdict and evidence.")
@click.argument("samples", nargs=-1, required=True)
@click.option("--ref", "reference", metavar="REF", help="Real images, or a data set name. Without it only copies show.")
@settings_options
@draw_options
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the verdict."
)
@click.option(
    "--picture", type=PATH, metavar="FILE.png",
    help="Also draw the missing modes' real images and the nearest pairs of samples.",
)  # fmt: skip
@click.option("--fail-on-collapse", is_flag=True, help="Exit 3 where the verdict is 'collapsed'.")
def collapse(
    samples: tuple[str, ...], reference: str | None, settings: Settings, n: int | None, seed: int, form: str,
    picture: Path | None, fail_on_collapse: bool, quiet: bool,
) -> int:  # fmt: skip
    """Has the generator of SAMPLES collapsed? The verdict alone, with its evidence.

    \b
    ganeval collapse ./samples --ref ./real
    ganeval collapse ./samples --ref mnist:test --fail-on-collapse
    ganeval collapse ./samples --ref ./real --picture evidence.png
    """
    if picture and picture.suffix.lower() != ".png":
        raise GanevalError(f"--picture {picture}: the picture is a PNG file; give a name that ends in .png")
    check_place(picture)
    spare([*samples, reference, settings.weights], picture)
    from ganeval.scoring import score_each

    settings = replace(settings, metrics={}, n=n, seed=seed, collapse=True, gallery=picture is not None)
    reports = score_each(samples, reference, settings)
    if form == "json":
        publish(json_of([_document(report.to_dict()) for report in reports]), None)
    else:
        from ganeval.report.verdicts import verdict

        publish("\n".join(verdict(report) for report in reports), None)
    if picture:
        from ganeval.report.contact import collapse_picture

        publish(collapse_picture(reports), picture)
    if not quiet:
        complain_of(reports)
    return exit_status(reports) if fail_on_collapse else 0


def _document(scored: dict[str, Any]) -> dict[str, Any]:
    """Of the document of a score what the verdict rests on."""
    kept = ("samples", "reference", "extractor", "collapse", "warnings", "seed", "environment")
    return {"schema": SCHEMA, **{key: scored[key] for key in kept}}


def exit_status(reports: Sequence[ScoreReport]) -> int:
    """COLLAPSED where a set has collapsed, each of them named on stderr; else 0."""
    found = [report for report in reports if report.collapse and report.collapse.verdict == "collapsed"]
    for report in found:
        say(f"collapsed: {report.samples.source}", err=True)
    return COLLAPSED if found else 0
