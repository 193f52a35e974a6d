"""How the program speaks to a terminal: errors and warnings as single lines on stderr, and its exit codes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
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


@contextmanager
def _interruptible() -> Iterator[None]:
    """Whatever fails after Ctrl-C fails as KeyboardInterrupt: libraries that it meets while they are imported, written
    in C, raise errors of their own in its place.

    Where the program runs in somebody's thread, or is to pass over Ctrl-C, nothing is changed.
    """
    pressed = []

    def note(*_: object) -> None:
        pressed.append(True)
        raise KeyboardInterrupt

    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    signal.signal(signal.SIGINT, note)
    try:
        yield
    except Exception as error:
        if pressed:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


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
            with _interruptible():
                result = super().main(*args, **kwargs)
        except GanevalError as error:
            complain("error", str(error))
            sys.exit(error.exit_code)
        except click.exceptions.NoArgsIsHelpError as error:
            say(error.format_message())
            sys.exit(0)
        except click.ClickException as error:
            with _unheard(sys.stderr, OSError):
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
    """Prints to stdout, or as one line to stderr; where its reader went away, as `| head` does, to nowhere, and the
    work goes on. So it does where stderr can't be written to for any reason, as on a full disk.
    """
    if err:
        _tell(_printable(str(message)))
        return
    with _unheard(sys.stdout, BrokenPipeError):
        click.echo(message, nl=nl)


def _tell(line: str) -> None:
    with _unheard(sys.stderr, OSError):
        click.echo(line, err=True)


@contextmanager
def _unheard(stream: TextIO | None, fault: type[OSError]) -> Iterator[None]:
    """From such a fault on the stream goes nowhere."""
    try:
        yield
    except fault:
        _silence(stream)


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
    if not _speaks():
        return
    colour = None if os.environ.get("NO_COLOR") else {"error": "red", "warning": "yellow"}[kind]
    _tell(f"{click.style(kind, fg=colour)}: {_printable(message)}")


def _speaks() -> bool:
    try:
        return not started() or int(os.environ["RANK"]) == 0
    except GanevalError:
        return True  # the very error to be printed


def _printable(text: str) -> str:
    """The text with escapes for what is not to be seen: a file's name may hold a line's end, or what turns a line
    round, colours it or rings the bell."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def show_log(*, warnings: bool = True) -> None:
    """The library's warnings go where the program's own go, or nowhere."""
    logger = logging.getLogger("ganeval")
    logger.handlers = [_Warnings() if warnings else logging.NullHandler()]
    logger.propagate = False
