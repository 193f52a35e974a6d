"""One pass of a network for all the metrics that are given the same batch."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from ganeval.extractors import as_extractor, inference_of
from ganeval.images.batches import pixels_of
from ganeval.types import Extractor, ExtractorLike


class SharedExtractor:
    """An extractor that keeps the features of its last batch, for a collection's metrics ask for them one by one.

    The batch is known by its content and not by its identity: a loader may write each batch into the same memory.
    """

    def __init__(self, net: Extractor) -> None:
        self.net = net
        self.batch: Tensor | None = None
        self.found: tuple[Tensor, Tensor | None] | None = None

    def __call__(self, images: Tensor, device: torch.device) -> tuple[Tensor, Tensor | None]:
        """Pooled features (B, D) and logits (B, C) or None, of uint8 images (B, 3 or 1, H, W), on the device."""
        pixels = pixels_of(images).to(device)
        last = self.batch
        if self.found is None or last is None or last.device != pixels.device or not torch.equal(last, pixels):
            with inference_of(self.net):
                self.found = self.net.to(device)(self.net.resize(pixels))
            self.batch = pixels.clone()
        return self.found

    def __deepcopy__(self, memo: Any) -> SharedExtractor:
        """Itself: copies of a metric, as a collection's `clone` makes them, share the network too."""
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        return SharedExtractor, (self.net,)


_alive: WeakValueDictionary[tuple[Any, ...], SharedExtractor] = WeakValueDictionary()
"""Those in use, by what they were asked for as."""


def shared_extractor(extractor: ExtractorLike, weights: str | Path | None) -> SharedExtractor:
    """The same one for the same name and weights, or the same object, as long as a metric has it."""
    key = (extractor, str(weights)) if isinstance(extractor, str) else (id(extractor),)
    found = _alive.get(key)
    if found is None:
        found = SharedExtractor(as_extractor(extractor, weights=weights))
        _alive[key] = found
    return found
