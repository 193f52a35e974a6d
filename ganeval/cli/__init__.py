"""The command line, a file a command: each parses, makes one call, and prints. Heavy imports stay inside them."""

from __future__ import annotations

import click

from ganeval import __version__
from ganeval.cli.audit import audit
from ganeval.cli.collapse import collapse
from ganeval.cli.compare import compare
from ganeval.cli.demo import demo
from ganeval.cli.leaderboard import leaderboard
from ganeval.cli.listing import doctor, list_
from ganeval.cli.reference import reference
from ganeval.cli.score import score
from ganeval.cli.weights import weights
from ganeval.terminal import Program, show_log


@click.group(cls=Program, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ganeval", message="%(prog)s %(version)s")
def cli() -> None:
    """How good are these generated images, and can the number be trusted?

    \b
    Begin with    ganeval demo
    then          ganeval score ./samples --ref ./real
    """
    show_log()


# In the order of use, which --help keeps.
for _command in (demo, score, compare, collapse, audit, reference, list_, weights, doctor, leaderboard):
    cli.add_command(_command)
