"""`ganeval compare`: is A better than B?"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval.cli.options import FORMAT, METRICS, OUTPUT, draw_options, settings_options
from ganeval.cli.output import form_of, json_of, publish, spare
from ganeval.terminal import complain

if TYPE_CHECKING:
    from ganeval.settings import Settings


@click.command(short_help="Is A better than B? Differences, with their errors.")
@click.argument("a")
@click.argument("b")
@click.option(
    "--ref", "reference", required=True, metavar="REF", help="Real images, a data set name, or a statistics .npz."
)
@METRICS
@settings_options
@draw_options
@click.option("--paired", is_flag=True, help="Image i of A, by file name, belongs to image i of B: one latent, say.")
@click.option(
    "--alpha", type=float, default=0.05, show_default=True,
    help="The chance of finding any difference where there is none.",
)  # fmt: skip
@FORMAT
@OUTPUT
def compare(
    a: str, b: str, reference: str, metrics: tuple[str, ...], settings: Settings, n: int | None, seed: int,
    paired: bool, alpha: float, form: str | None, output: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Is A better than B? The difference of every metric, with its error.

    \b
    ganeval compare ./a ./b --ref ./real
    ganeval compare ./a ./b --ref mnist:test --metric kid --metric coverage
    """
    form = form_of(form, output)
    spare([a, b, reference, settings.weights], output)
    from ganeval.comparison import compare_sets

    settings = replace(settings, metrics=metrics or None, n=n, seed=seed)
    report = compare_sets(a, b, reference, settings, paired=paired, alpha=alpha)
    forms = {
        "table": report.to_text, "json": lambda: json_of([report.to_dict()]), "csv": report.to_csv,
        "md": report.to_markdown, "tex": report.to_latex,
    }  # fmt: skip
    publish(forms[form](), output)
    for warning in [] if quiet else report.warnings:
        complain("warning", warning)
