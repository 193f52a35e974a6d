"""`python -m ganeval` is the `ganeval` command."""

from ganeval.cli import cli

cli()
