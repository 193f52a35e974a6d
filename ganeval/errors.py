"""Errors that a user can act on: each message says what is wrong, what was found, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping


class GanevalError(ValueError):
    """Input that a user can mend. The command line prints the message alone and exits with `exit_code`.

    of_all: every process of a job raises it.
    """

    exit_code = 2
    of_all = False


class UnobtainableError(GanevalError):
    """Weights or data that are needed and can't be had here (offline, or never downloaded)."""

    exit_code = 4


class BadImageError(GanevalError):
    """One image that can't be read; `skip_bad` leaves such images out and counts them."""


def unknown(kind: str, name: str, choices: Iterable[str], elsewhere: Mapping[str, str] | None = None) -> GanevalError:
    """The error for a name that nothing is registered under, with the nearest known name.

    elsewhere: {what others call something, in lower case with underscores: what to type here}.
    """
    choices = sorted(choices)
    here = (elsewhere or {}).get(name.strip().lower().replace("-", "_"))
    near = difflib.get_close_matches(name.lower(), choices, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(choices)}"
    hint = f"here it is {here}" if here else hint
    return GanevalError(f"unknown {kind} {name!r}; {hint}")


def said(error: Exception) -> str:
    """What a library said, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
