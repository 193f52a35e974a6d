"""How to score, as plain values: what the command line parses and `score` obeys. No heavy import."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from ganeval.errors import GanevalError, unknown

if TYPE_CHECKING:
    from ganeval.evaluate import Requests
    from ganeval.types import ExtractorLike

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The options of `ganeval.score`, with its defaults."""

    extractor: ExtractorLike = "auto"
    metrics: Requests = None
    weights: str | Path | None = None
    n: int | None = None
    seed: int = 0
    batch_size: int = 64
    device: str = "auto"
    precision: Precision = "fp32"
    workers: int | None = None
    by_class: bool = False
    skip_bad: bool = False
    cache: bool = True
    data_root: str | Path | None = None
    progress: bool = False
    collapse: bool | None = None
    gallery: bool = False
    distributed: bool = False
    paranoid: bool = False
    mirror: bool = False

    def __post_init__(self) -> None:
        for name, least in (("seed", 0), ("batch_size", 1), ("n", 2), ("workers", 0)):
            if (value := getattr(self, name)) is not None:
                object.__setattr__(self, name, whole(name, value, least))
        check_precision(self.precision)


def whole(name: str, value: Any, least: int) -> int:
    """The value as an int, numpy's too. Raises GanevalError for another type, below `least`, or beyond 32 bits."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if not least <= number < 2**32 or isinstance(value, bool):
        # Of n the refusal is worded as that of one beyond a set's images.
        shown = f"--n {value!r}:" if name == "n" else f"{name}={value!r};"
        raise GanevalError(f"{shown} give a whole number from {least} to {2**32 - 1}")
    return number


def check_precision(precision: str) -> None:
    """Raises GanevalError for one that there is not."""
    if precision not in get_args(Precision):
        raise unknown("precision", str(precision), get_args(Precision))
