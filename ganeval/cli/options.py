"""The options that commands share."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from ganeval.settings import Settings
from ganeval.terminal import on_terminal, show_log


class _Forms(click.Choice):
    """Says of html where it is, for it is none of them."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value in ("html", "htm"):
            self.fail("a page is written by `ganeval score --html FILE`", param, ctx)
        return super().convert(value, param, ctx)


class UserPath(click.Path):
    """A path, in which ~ is the user's home: a shell leaves it as it is in `--data-root=~/data`."""

    def __init__(self, *, file_okay: bool = True) -> None:
        super().__init__(file_okay=file_okay, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return super().convert(os.path.expanduser(value), param, ctx)


PATH = UserPath()
DATA_ROOT = click.option("--data-root", type=PATH, help="Where named data sets lie; or GANEVAL_DATA.")


def metrics_option(more: str = "") -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """--metric; `more` is what else its help says."""
    said = "Repeatable; without it, all that apply run. See `ganeval list metrics`."
    return click.option(
        "--metric", "metrics", multiple=True, metavar="NAME[:option=value,...]", help=f"{said} {more}".strip()
    )


METRICS = metrics_option()
FORMAT = click.option(
    "--format",
    "form",
    type=_Forms(["table", "json", "csv", "md", "tex"]),
    help="Default: by the ending of -o, else table. A page is written by `ganeval score --html FILE`.",
)
OUTPUT = click.option("-o", "--output", type=PATH, metavar="FILE", help="Write the result to FILE.")
GPUS = click.option(
    "--gpus",
    type=click.IntRange(min=1),
    default=1,
    metavar="N",
    help="Share the work among N processes, with a card each.",
)
SEED = click.IntRange(0, 2**32 - 1)


def _hushed(_context: click.Context, _option: click.Parameter, quiet: bool) -> bool:
    if quiet:
        show_log(warnings=False)
    return quiet


QUIET = click.option("-q", "--quiet", is_flag=True, callback=_hushed, help="No progress and no warnings.")


def settings_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options on how images become features; the command gets them as one `settings`, and `quiet`."""

    @functools.wraps(command)
    def parsed(
        *args: Any, extractor: str, weights: Path | None, batch_size: int, device: str, precision: Any,
        workers: int | None, skip_bad: bool, data_root: Path | None, no_cache: bool, paranoid: bool, quiet: bool,
        **others: Any,
    ) -> Any:  # fmt: skip
        settings = Settings(
            extractor=extractor, weights=weights, batch_size=batch_size, device=device, precision=precision,
            workers=workers, skip_bad=skip_bad, data_root=data_root, cache=not no_cache, paranoid=paranoid,
            progress=on_terminal() and not quiet,
        )  # fmt: skip
        return command(*args, settings=settings, quiet=quiet, **others)

    options = [
        click.option("--extractor", default="auto", show_default=True, help="See `ganeval list extractors`."),
        click.option(
            "--weights", type=PATH, metavar="FILE", help="Weights in place of the published."
        ),
        click.option("--batch-size", type=click.IntRange(min=1), default=64, show_default=True, help="Images at once."),
        click.option("--device", default="auto", show_default=True, help="auto, cpu, cuda, cuda:1, mps."),
        click.option(
            "--precision", type=click.Choice(["fp32", "bf16", "fp16"]), default="fp32", show_default=True,
            help="Of the extractor's network.",
        ),
        click.option(
            "--workers", type=click.IntRange(min=0),
            help="Processes that decode images.  [default: 0, but up to 8 for files that go to a CUDA card]",
        ),
        click.option("--skip-bad", is_flag=True, help="Leave out images that can't be read, and list them."),
        DATA_ROOT,
        click.option("--no-cache", is_flag=True, help="Compute everything anew and keep nothing."),
        click.option("--paranoid", is_flag=True, help="Trust no file's size and times: read all bytes."),
        QUIET,
    ]  # fmt: skip
    for option in reversed(options):
        parsed = option(parsed)
    return parsed


def draw_options(command: Callable[..., Any], n: str = "Take a random N of each set.") -> Callable[..., Any]:
    """Adds --n and --seed."""
    seed = click.option("--seed", type=SEED, default=0, show_default=True, help="For every random choice.")
    return click.option("--n", type=int, help=n)(seed(command))
