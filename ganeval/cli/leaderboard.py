"""`ganeval leaderboard`: the tables and the page, from the run records."""

from __future__ import annotations

from pathlib import Path

import click

from ganeval.cli.options import PATH
from ganeval.terminal import say

DIFFERS = 1


@click.command(short_help="Make tables and a page from the run records.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--check", is_flag=True, help="Write nothing; exit 1 where a file is not what the records say.")
@click.option(
    "--root",
    type=PATH,
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
            say(line, err=True)
        return DIFFERS if found else 0
    boards.write(root, files)
    for name in files:
        say(f"wrote {root / name}", err=True)
    return 0
