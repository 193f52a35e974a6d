"""The command line: each command parses, makes one call, and prints. Heavy imports stay inside the commands."""

from __future__ import annotations

import operator
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganeval import __version__
from ganeval.errors import GanevalError
from ganeval.terminal import Program, complain, show_log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ganeval.report import ScoreReport

GATE_FAILED = 1
COLLAPSED = 3
FORMATS = {".json": "json", ".csv": "csv", ".md": "md", ".tex": "tex"}


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ganeval", message="%(prog)s %(version)s")
def cli() -> None:
    """How good are these generated images, and can the number be trusted?

    \b
    Begin with    ganeval demo
    then          ganeval score ./samples --ref ./real
    """
    show_log()


@cli.command()
@click.argument("samples", nargs=-1, required=True)
@click.option("--ref", "reference", metavar="REF", help="Real images, a data set name, or a statistics .npz.")
@click.option("--extractor", default="auto", show_default=True, help="See `ganeval list extractors`.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    metavar="NAME[:option=value,...]",
    help="Repeatable; without it, all that apply run. See `ganeval list metrics`.",
)
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Weights in place of the published.")
@click.option("--n", type=int, help="Score a random N of each set.")
@click.option("--seed", type=int, default=0, show_default=True, help="For every random choice.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option(
    "--workers", type=click.IntRange(min=0), default=0, show_default=True, help="Processes that decode images."
)
@click.option("--by-class", is_flag=True, help="Also score each class apart.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that can't be read, and list them.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where named data sets lie; or GANEVAL_DATA.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv", "md", "tex"]),
    help="Default: by the ending of -o, else table.",
)
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE", help="Write the result to FILE.")
@click.option("--no-cache", is_flag=True, help="Compute everything anew and keep nothing.")
@click.option("--fail-if", "gates", multiple=True, metavar="EXPR", help="Exit 1 where it holds: 'fid>20'. Repeatable.")
@click.option("--fail-on-collapse", is_flag=True, help="Exit 3 where the verdict is 'collapsed'.")
@click.option("-q", "--quiet", is_flag=True, help="No progress and no warnings.")
def score(
    samples: tuple[str, ...], reference: str | None, extractor: str, metrics: tuple[str, ...], weights: Path | None,
    n: int | None, seed: int, batch_size: int, device: str, precision: Any, workers: int, by_class: bool,
    skip_bad: bool, data_root: Path | None, form: str | None, output: Path | None, no_cache: bool,
    gates: tuple[str, ...], fail_on_collapse: bool, quiet: bool,
) -> int:  # fmt: skip
    """Score the images in SAMPLES: folders, zips, .npz, .npy or data set names.

    \b
    ganeval score ./samples --ref ./real
    ganeval score ./a ./b --ref mnist:test --metric fid --metric kid --format md
    ganeval score ./samples --ref stats.npz --metric fid --fail-if 'fid>20'
    """
    parsed = [_gate(text) for text in gates]
    from ganeval.scoring import Settings, score_each  # torch loads here, so --help stays instant

    settings = Settings(
        extractor, metrics or None, weights, n, seed, batch_size, device, precision, workers,
        by_class, skip_bad, not no_cache, data_root, progress=sys.stderr.isatty() and not quiet,
        collapse=True if fail_on_collapse else None,
    )  # fmt: skip
    reports = score_each(samples, reference, settings)
    _publish(_render(reports, form or FORMATS.get(output.suffix.lower() if output else "", "table")), output)
    for report in reports:
        for warning in [] if quiet else report.warnings:
            complain("warning", warning if len(reports) == 1 else f"{report.samples.source}: {warning}")
    return _failed(parsed, reports) or (_collapsed(reports) if fail_on_collapse else 0)


def _render(reports: Sequence[ScoreReport], form: str) -> str:
    from ganeval.report import tables

    if form == "json":
        import json

        documents = [report.to_dict() for report in reports]
        return json.dumps(documents if len(documents) > 1 else documents[0], indent=1, allow_nan=False) + "\n"
    if form == "csv":
        return tables.frames(reports).to_csv(index=False)
    return {"table": tables.text, "md": tables.markdown, "tex": tables.latex}[form](reports)


def _publish(text: str, output: Path | None) -> None:
    if output is None:
        click.echo(text, nl=False)
        return
    from ganeval.files import write_result

    write_result(output, text.encode())
    click.echo(f"wrote {output}", err=True)


_COMPARE = {">=": operator.ge, "<=": operator.le, ">": operator.gt, "<": operator.lt}


def _gate(text: str) -> tuple[str, str, float]:
    """Reads 'fid>20' as ("fid", ">", 20.0)."""
    match = re.fullmatch(r"\s*([\w-]+)\s*(>=|<=|>|<)\s*(\S+)\s*", text)
    try:
        if match is None:
            raise ValueError
        bound = float(match[3])
    except ValueError:
        raise GanevalError(f"--fail-if {text!r}: write a metric, one of > >= < <=, and a number: 'fid>20'") from None
    from ganeval.registry import get_metric

    return get_metric(match[1]).name, match[2], bound


def _failed(gates: list[tuple[str, str, float]], reports: Sequence[ScoreReport]) -> int:
    status = 0
    for name, sign, bound in gates:
        for report in reports:
            if name not in report.metrics:
                raise GanevalError(f"--fail-if {name}{sign}{bound:g}: {name} was not computed; add --metric {name}")
            # A value that is no number can't pass a gate.
            value = report[name].value
            if _COMPARE[sign](value, bound) or value != value:
                click.echo(f"failed: {report.samples.source}: {name} = {value:.6g} {sign} {bound:g}", err=True)
                status = GATE_FAILED
    return status


def _collapsed(reports: Sequence[ScoreReport]) -> int:
    found = [report for report in reports if report.collapse and report.collapse.verdict == "collapsed"]
    for report in found:
        click.echo(f"collapsed: {report.samples.source}", err=True)
    return COLLAPSED if found else 0


@cli.command()
@click.argument("samples", nargs=-1, required=True)
@click.option("--ref", "reference", metavar="REF", help="Real images, or a data set name. Without it only copies show.")
@click.option("--extractor", default="auto", show_default=True, help="See `ganeval list extractors`.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Weights in place of the published.")
@click.option("--n", type=int, help="Judge a random N of each set.")
@click.option("--seed", type=int, default=0, show_default=True, help="For every random choice.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps.")
@click.option("--skip-bad", is_flag=True, help="Leave out images that can't be read.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where named data sets lie; or GANEVAL_DATA.")
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the verdict."
)
@click.option("--no-cache", is_flag=True, help="Compute everything anew and keep nothing.")
@click.option("--fail-on-collapse", is_flag=True, help="Exit 3 where the verdict is 'collapsed'.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def collapse(
    samples: tuple[str, ...], reference: str | None, extractor: str, weights: Path | None, n: int | None, seed: int,
    batch_size: int, device: str, skip_bad: bool, data_root: Path | None, form: str, no_cache: bool,
    fail_on_collapse: bool, quiet: bool,
) -> int:  # fmt: skip
    """Has the generator of SAMPLES collapsed? The verdict alone, with its evidence.

    \b
    ganeval collapse ./samples --ref ./real
    ganeval collapse ./samples --ref mnist:test --fail-on-collapse
    """
    from ganeval.scoring import Settings, score_each

    settings = Settings(
        extractor, {}, weights, n, seed, batch_size, device, skip_bad=skip_bad, cache=not no_cache,
        data_root=data_root, progress=sys.stderr.isatty() and not quiet, collapse=True,
    )  # fmt: skip
    reports = score_each(samples, reference, settings)
    if form == "json":
        import json

        documents = [{"samples": vars(report.samples), "collapse": report.to_dict()["collapse"]} for report in reports]
        click.echo(json.dumps(documents if len(documents) > 1 else documents[0], indent=1, allow_nan=False))
    else:
        from ganeval.report.verdicts import verdict

        click.echo("\n".join(verdict(report) for report in reports), nl=False)
    return _collapsed(reports) if fail_on_collapse else 0


@cli.command()
@click.argument("source")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    required=True,
    metavar="FILE.npz",
    help="Where the statistics go.",
)
@click.option("--extractor", default="auto", show_default=True, help="See `ganeval list extractors`.")
@click.option("--weights", type=click.Path(path_type=Path), metavar="FILE", help="Weights in place of the published.")
@click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True)
@click.option("--device", default="auto", show_default=True)
@click.option("--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True)
@click.option("--workers", type=click.IntRange(min=0), default=0, show_default=True)
@click.option("--skip-bad", is_flag=True, help="Leave out images that can't be read.")
@click.option("--data-root", type=click.Path(path_type=Path), help="Where named data sets lie; or GANEVAL_DATA.")
@click.option("--no-cache", is_flag=True)
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def reference(
    source: str, output: Path, extractor: str, weights: Path | None, batch_size: int, device: str, precision: Any,
    workers: int, skip_bad: bool, data_root: Path | None, no_cache: bool, quiet: bool,
) -> None:  # fmt: skip
    """Save the statistics of SOURCE, to score against without its images.

    The .npz holds mu and sigma as pytorch-fid reads them, n, and what made them. FID needs no more than this;
    metrics that need the images themselves can't use it.
    """
    from ganeval.scoring import Settings, make_reference

    settings = Settings(
        extractor, None, weights, None, 0, batch_size, device, precision, workers,
        False, skip_bad, not no_cache, data_root, progress=sys.stderr.isatty() and not quiet,
    )  # fmt: skip
    moments = make_reference(source, output, settings)
    click.echo(f"wrote {output}: n = {moments.n}, {len(moments.mean)} features from {moments.extractor}", err=True)


@cli.command("list")
@click.argument("what", type=click.Choice(["metrics", "extractors", "datasets", "models"]))
def list_(what: str) -> None:
    """What there is to choose from."""
    from ganeval import listing

    choices = {
        "metrics": listing.metrics, "extractors": listing.extractors, "datasets": listing.datasets,
        "models": listing.models,
    }  # fmt: skip
    click.echo(choices[what]())


@cli.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file is not what the records say.")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    default=Path("leaderboards"),
    show_default=True,
    metavar="FOLDER",
    help="Holds records/<data>/<model>-seed<k>.json; the tables and index.html go there.",
)
def leaderboard(names: tuple[str, ...], check: bool, root: Path) -> int:
    """Make the tables of the data sets NAME (all) and the page of all from the run records."""
    from ganeval import leaderboard as boards

    files = boards.build(root, names or None)
    if check:
        found = boards.check(root, files)
        for line in found:
            click.echo(line, err=True)
        return GATE_FAILED if found else 0
    boards.write(root, files)
    for name in files:
        click.echo(f"wrote {root / name}", err=True)
    return 0


@cli.command()
def doctor() -> None:
    """Versions, devices, caches, and which weights are here."""
    from ganeval.doctor import examine

    click.echo(examine())


@cli.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    default=Path("ganeval-demo"),
    show_default=True,
    metavar="FOLDER",
    help="Where the sample folders go.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="For the training and the scores.")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def demo(output: Path, seed: int, quiet: bool) -> None:
    """Make three sets of fake digits, good, collapsed and copied, and score them. About a minute, no network."""
    from ganeval.demo import demo as show

    click.echo(show(output, seed=seed, progress=sys.stderr.isatty() and not quiet), nl=False)


@cli.group()
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
@click.argument("file", type=click.Path(path_type=Path))
def weights_import(file: Path) -> None:
    """Take a weights FILE that you downloaded by other means."""
    from ganeval.weights import import_file

    click.echo(import_file(file))


if __name__ == "__main__":
    cli()
