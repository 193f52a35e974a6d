"""How the program speaks to a terminal: errors and warnings as single lines on stderr, and its exit codes."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any, cast

import click

from ganeval.distributed import started
from ganeval.errors import GanevalError
from ganeval.registry import COMMANDS, load_plugins, resolve

INTERRUPTED = 130


class Program(click.Group):
    """Takes up the commands of plugins; prints a GanevalError as one line, exits with its code, 130 on Ctrl-C."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        load_plugins()
        return [*super().list_commands(ctx), *COMMANDS]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        own = super().get_command(ctx, name)
        if own:
            return own
        load_plugins()
        row = COMMANDS.get(name)
        return cast("click.Command", resolve(row.target)) if row else None

    def main(self, *args: Any, **kwargs: Any) -> Any:
        kwargs["standalone_mode"] = False
        try:
            result = super().main(*args, **kwargs)
        except GanevalError as error:
            complain("error", str(error))
            sys.exit(error.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(0)
        except click.ClickException as error:
            error.show()
            sys.exit(error.exit_code)
        except (click.Abort, KeyboardInterrupt):
            click.echo("interrupted", err=True)
            sys.exit(INTERRUPTED)
        except OSError as error:
            # The interpreter's last flush would fail again, with a traceback.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            if isinstance(error, BrokenPipeError):
                # The reader of our output went away, as `| head` does.
                sys.exit(0)
            complain("error", f"{error.filename or 'the output'}: {error.strerror}")
            sys.exit(GanevalError.exit_code)
        sys.exit(result if isinstance(result, int) else 0)


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
    click.echo(f"{click.style(kind, fg=colour)}: {message}", err=True)


def show_log() -> None:
    """The library's warnings go where the program's own go."""
    logger = logging.getLogger("ganeval")
    logger.handlers = [_Warnings()]
    logger.propagate = False
