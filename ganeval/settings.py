"""How to score, as plain values: what the command line parses and `score` obeys. No heavy import."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ganeval.errors import GanevalError

if TYPE_CHECKING:
    from ganeval.evaluate import Requests
    from ganeval.types import Extractor

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True)
class Settings:
    """The options of `ganeval.score`, with its defaults."""

    extractor: str | Extractor = "auto"
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
        if not 0 <= self.seed < 2**32:
            raise GanevalError(f"seed={self.seed}; give a number from 0 to {2**32 - 1}")
