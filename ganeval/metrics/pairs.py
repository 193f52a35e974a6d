"""All metrics of pairs of images, kernel distances and neighbours, from one pass over products of their features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ganeval.fp32 import true_fp32
from ganeval.metrics.kernel import Reading, cmmd_reading, kid_reading, mmd_reading
from ganeval.metrics.neighbours import Neighbours
from ganeval.numerics.inputs import Array, pair
from ganeval.numerics.pairwise import Centred, Taker, one_pass
from ganeval.types import Estimate

KERNELS: dict[str, Callable[..., Reading]] = {"kid": kid_reading, "mmd": mmd_reading, "cmmd": cmmd_reading}


@true_fp32()
def pairs(fake: Array, real: Array, wanted: Mapping[str, Mapping[str, Any]]) -> dict[str, Estimate]:
    """The wanted metrics, {name: its options}, of `kernel` and `neighbours`; raises what they raise."""
    sides = Centred.both(*pair(fake, real))
    readings = {name: KERNELS[name](*sides, **options) for name, options in wanted.items() if name in KERNELS}
    others = {name: options for name, options in wanted.items() if name not in KERNELS}
    neighbours = Neighbours(*sides, others) if others else None
    takers: list[Taker] = [tally for reading in readings.values() for tally in reading.tallies]
    one_pass(*sides, [*takers, neighbours] if neighbours else takers)
    results = {name: reading.estimate() for name, reading in readings.items()}
    results |= neighbours.estimates() if neighbours else {}
    return {name: results[name] for name in wanted}
