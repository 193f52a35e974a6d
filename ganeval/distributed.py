"""What several processes of one job share, through torch.distributed where it is running."""

from __future__ import annotations

from typing import TypeVar

import torch.distributed as dist

T = TypeVar("T")


def running() -> bool:
    """Whether this process is one of a group, as under DDP, Lightning or Accelerate."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def gather(value: T) -> list[T]:
    """The value of every rank, in the order of ranks, on every rank; alone, the own one. All ranks must call this."""
    if not running():
        return [value]
    values: list[T | None] = [None] * dist.get_world_size()
    dist.all_gather_object(values, value)
    return values  # type: ignore[return-value]
