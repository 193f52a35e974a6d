"""`ganeval score`: the numbers of a set of samples, as a table or a document, and gates on them."""

from __future__ import annotations

import operator
import re
import shlex
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganeval import distributed
from ganeval.cli.collapse import exit_status
from ganeval.cli.options import FORMAT, GPUS, OUTPUT, PATH, draw_options, metrics_option, settings_options
from ganeval.cli.output import check_page, complain_of, form_of, json_of, publish, spare
from ganeval.errors import GanevalError
from ganeval.registry import get_metric
from ganeval.terminal import say

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganeval.report import ScoreReport
    from ganeval.settings import Settings

GATE_FAILED = 1


@click.command(short_help="Score images: every metric, warnings, verdicts.")
@click.argument("samples", nargs=-1, required=True)
@click.option("--ref", "reference", metavar="REF", help="Real images, a data set name, or a statistics .npz.")
@click.option("--train", metavar="TRAINSET", help="What the model was trained on: does it copy? REF must be held out.")
@click.option("--mirror", is_flag=True, help="TRAINSET's mirror images count too: for models trained on flips.")
@metrics_option("Naming some leaves out the verdict on collapse, unless --fail-on-collapse is given.")
@settings_options
@draw_options
@GPUS
@click.option("--by-class", is_flag=True, help="Also score each class apart.")
@FORMAT
@OUTPUT
@click.option(
    "--html",
    type=PATH,
    metavar="FILE",
    help="Also write one page: numbers, pictures, and the verdicts that were judged.",
)
@click.option("--fail-if", "gates", multiple=True, metavar="EXPR", help="Exit 1 where it holds: 'fid>20'. Repeatable.")
@click.option("--fail-on-collapse", is_flag=True, help="Exit 3 where the verdict is 'collapsed'.")
def score(
    samples: tuple[str, ...], reference: str | None, train: str | None, mirror: bool, metrics: tuple[str, ...],
    settings: Settings, n: int | None, seed: int, by_class: bool, form: str | None, output: Path | None,
    html: Path | None, gates: tuple[str, ...], fail_on_collapse: bool, quiet: bool, gpus: int,
) -> int:  # fmt: skip
    """Score the images in SAMPLES: folders, zips, .npz, .npy or data set names.

    \b
    ganeval score ./samples --ref ./real
    ganeval score ./a ./b --ref mnist:test --metric fid --metric kid --format md
    ganeval score ./samples --ref ./held_out --train ./train --mirror
    ganeval score ./samples --ref stats.npz --metric fid --fail-if 'fid>20'
    ganeval score ./samples --ref ./real --html report.html
    """
    parsed = [_gate(text, metrics, reference, train) for text in gates]
    form = form_of(form, output)
    check_page(html)
    spare([*samples, reference, train, settings.weights], output, html)
    if mirror and not train:
        raise GanevalError("--mirror is for copies of training images: name them with --train")
    if gpus > 1 and not distributed.started():
        return distributed.launch(gpus, settings.device)
    from ganeval.scoring import score_each  # torch loads here, so --help stays instant

    settings = replace(
        settings,
        metrics=metrics or None,
        n=n,
        seed=seed,
        by_class=by_class,
        collapse=True if fail_on_collapse else None,
        gallery=html is not None,
        mirror=mirror,
        distributed=distributed.join(),
    )
    with distributed.failing_together():
        reports = score_each(samples, reference, settings, train)
    if not reports:
        return 0  # another rank has them
    publish(_render(reports, form), output)
    if html:
        from ganeval.report.html import page

        publish(page(reports, shlex.join(["ganeval", *sys.argv[1:]])), html)
    if not quiet:
        complain_of(reports)
    return _failed(parsed, reports) or (exit_status(reports) if fail_on_collapse else 0)


def _render(reports: Sequence[ScoreReport], form: str) -> str:
    from ganeval.report import tables

    if form == "json":
        return json_of([report.to_dict() for report in reports])
    if form == "csv":
        return tables.frames(reports).to_csv(index=False)
    return {"table": tables.text, "md": tables.markdown, "tex": tables.latex}[form](reports)


_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def _gate(
    text: str, metrics: Sequence[str], reference: str | None, train: str | None
) -> tuple[str, str, float]:  # fmt: skip
    """Reads 'fid>20' as ("fid", ">", 20.0); it must be one of the metrics, where these are named, and have its sets."""
    match = re.fullmatch(r"\s*([\w-]+)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    try:
        if match is None:
            raise ValueError
        bound = float(match[3])
        if bound != bound:
            raise ValueError
    except ValueError:
        raise GanevalError(f"--fail-if {text!r}: write a metric, one of > >= < <=, and a number: 'fid>20'") from None
    gated = get_metric(match[1])
    name = gated.name
    if gated.train == "needed" and train is None:
        raise GanevalError(f"--fail-if {text!r}: {name} needs a training set: give one with --train")
    if reference is None and gated.reads_reference(train is not None):
        raise GanevalError(f"--fail-if {text!r}: {name} needs a reference: give one with --ref")
    if metrics and name not in {get_metric(metric.partition(":")[0]).name for metric in metrics}:
        raise GanevalError(f"--fail-if {text!r}: {name} is not among the metrics; add --metric {name}")
    return name, match[2], bound


def _failed(gates: list[tuple[str, str, float]], reports: Sequence[ScoreReport]) -> int:
    status = 0
    for name, sign, bound in gates:
        for report in reports:
            if name not in report.metrics:
                why = report.skipped.get(name, f"add --metric {name}")
                raise GanevalError(f"--fail-if {name}{sign}{bound:g}: {name} was not computed: {why}")
            # A value that is no number can't pass a gate.
            value = report[name].value
            if _COMPARE[sign](value, bound) or value != value:
                say(f"failed: {report.samples.source}: {name} = {value:.6g} {sign} {bound:g}", err=True)
                status = GATE_FAILED
    return status
