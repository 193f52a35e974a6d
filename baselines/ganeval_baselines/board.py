"""The log of a run for TensorBoard, where its package is installed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganeval.errors import GanevalError


def tensorboard(folder: Path) -> Callable[[dict[str, Any]], None]:
    """A function that writes a line of log.jsonl as scalars: loss/<player>/<term> and metrics/<name>, by step.

    Raises GanevalError where TensorBoard is not installed.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise GanevalError("--tensorboard needs its package: pip install 'ganeval[tensorboard]'") from None
    writer = SummaryWriter(str(folder / "tensorboard"))

    def write(line: dict[str, Any]) -> None:
        for kind in ("loss", "metrics"):
            for name, value in line.get(kind, {}).items():
                if value is not None:
                    writer.add_scalar(f"{kind}/{name}", value, line["step"])
        writer.flush()

    return write
