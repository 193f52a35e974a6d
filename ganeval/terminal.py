"""How the program speaks to a terminal: errors and warnings as single lines on stderr, and its exit codes."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TextIO, cast

import click

from ganeval.distributed import started
from ganeval.errors import GanevalError
from ganeval.registry import COMMANDS, load_plugins, resolve

INTERRUPTED = 130


class _ReaderGoneError(Exception):
    """A BrokenPipeError under another name: click ends at that one itself, with 1, the code of a gate that failed."""


@contextmanager
def _hidden_from_click() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        raise _ReaderGoneError from error


class Program(click.Group):
    """Takes up the commands of plugins; prints a GanevalError as one line, exits with its code, 130 on Ctrl-C."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Its own in the order they were added, by use, and those of plugins."""
        load_plugins()
        return [*self.commands, *COMMANDS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = super().get_command(ctx, name)
        if own:
            return own
        load_plugins()
        row = COMMANDS.get(name)
        return cast("click.Command", resolve(row.target)) if row else None

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        with _hidden_from_click():  # --help is printed here
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: click.Context) -> Any:
        with _hidden_from_click():
            return super().invoke(ctx)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
        except GanevalError as error:
            complain("error", str(error))
            sys.exit(error.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            say(error.format_message())
            sys.exit(0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            say("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except _ReaderGoneError:
            _silence(sys.stdout)
            _silence(sys.stderr)
            sys.exit(0)
        except OSError as error:
            if error.strerror is None:
                raise  # not of the system: a mistake in the code
            _silence(sys.stdout)
            complain("error", f"{error.filename or 'the output'}: {error.strerror}")
            sys.exit(GanevalError.exit_code)
        sys.exit(result if isinstance(result, int) else 0)


def say(message: str | bytes, *, err: bool = False, nl: bool = True) -> None:
    """Prints to stdout or stderr; where its reader went away, as `| head` does, to nowhere, and the work goes on."""
    try:
        click.echo(message, err=err, nl=nl)
    except BrokenPipeError:
        _silence(sys.stderr if err else sys.stdout)


def _silence(stream: TextIO | None) -> None:
    """What is still to be written goes nowhere: the interpreter's last flush would fail again, with a traceback."""
    if stream is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def on_terminal() -> bool:
    """Whether somebody may watch stderr, where progress is shown. It is None where it was closed, as by `2>&-`."""
    return sys.stderr is not None and sys.stderr.isatty()


class _Warnings(logging.Handler):
    """Prints the library's log to stderr, each message once."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.seen: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if message not in self.seen:
            self.seen.add(message)
            complain("warning", message)


def complain(kind: str, message: str) -> None:
    """Prints an error or a warning as one line on stderr, in colour unless NO_COLOR is set or it is no terminal.

    Of several processes that share the work the first speaks for all.
    """
    if started() and os.environ["RANK"] != "0":
        return
    colour = None if os.environ.get("NO_COLOR") else {"error": "red", "warning": "yellow"}[kind]
    say(f"{click.style(kind, fg=colour)}: {message}", err=True)


def show_log(*, warnings: bool = True) -> None:
    """The library's warnings go where the program's own go, or nowhere."""
    logger = logging.getLogger("ganeval")
    logger.handlers = [_Warnings() if warnings else logging.NullHandler()]
    logger.propagate = False
