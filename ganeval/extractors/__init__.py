"""Networks that turn images into features. `load_extractor` finds one by name; each owns its resize."""

from __future__ import annotations

import hashlib
import importlib
import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import GanevalError, unknown
from ganeval.registry import EXTRACTORS, load_plugins, resolve
from ganeval.types import Extractor


def load_extractor(name: str, *, weights: Path | None = None) -> Extractor:
    """The extractor of a registered name ("inception", "torchvision:resnet18"), or an imported "module:attribute".

    weights: a file in place of the published weights.
    Raises GanevalError for an unknown name, UnobtainableError where its weights can't be had.
    """
    load_plugins()
    family, _, variant = name.partition(":")
    spec = EXTRACTORS.get(name.lower()) or EXTRACTORS.get(family.lower())
    if spec is None and variant:
        return _imported(family, variant, name)
    if spec is None:
        raise unknown("extractor", name, EXTRACTORS)
    if variant == "" and spec.variant is None and "<" in spec.name:
        raise GanevalError(f"the extractor {family!r} needs a choice: {spec.name}")
    return resolve(spec.target)(variant or spec.variant, weights)


def _imported(module: str, attribute: str, name: str) -> Extractor:
    try:
        found = getattr(importlib.import_module(module), attribute)
    except ImportError:
        raise GanevalError(
            f"no extractor is called {name!r} and no module {module!r} can be imported; "
            "see `ganeval list extractors`, or put your module on PYTHONPATH"
        ) from None
    except AttributeError:
        raise GanevalError(f"the module {module!r} has no attribute {attribute!r}") from None
    if isinstance(found, type):
        found = found()
    if not callable(found):
        raise GanevalError(f"{name} is a {type(found).__name__}; an extractor is a function or an nn.Module")
    return Wrapped(found, name)


class Wrapped:
    """A user's function or module, uint8 (B, 3, H, W) -> (B, D) or ((B, D), (B, C)), as an Extractor.

    Its own `fingerprint`, `resize` and `verified` are used where it has them. Without a fingerprint one is made
    from a module's weights, or from a function's source: what else the function reads can't be seen.
    """

    def __init__(self, network: Callable[[Tensor], Any], name: str) -> None:
        self.network, self.name = network, name
        self.fingerprint = getattr(network, "fingerprint", None) or f"{name}/{_digest(network)}"
        self.verified = bool(getattr(network, "verified", True))
        self.weights_sha256: str | None = getattr(network, "weights_sha256", None)
        if isinstance(network, nn.Module):
            network.eval()

    def resize(self, images: Tensor) -> Tensor:
        resize = getattr(self.network, "resize", None)
        return resize(images) if resize else images

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        result = self.network(inputs)
        pooled, logits = result if isinstance(result, tuple) else (result, None)
        for rows, what in ((pooled, "features (B, D)"), (logits, "logits (B, C)")):
            if rows is not None and not (isinstance(rows, Tensor) and rows.ndim == 2 and len(rows) == len(inputs)):
                got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
                raise GanevalError(f"{self.name} must return {what} for {len(inputs)} images, got {got}")
        return pooled, logits

    def to(self, device: Any) -> Wrapped:
        if isinstance(self.network, nn.Module):
            self.network.to(device)
        return self


def _digest(network: Callable[..., Any]) -> str:
    if isinstance(network, nn.Module):
        return state_digest(network)
    try:
        return hashlib.sha256(inspect.getsource(network).encode()).hexdigest()[:16]
    except (OSError, TypeError):
        raise GanevalError(f"{network!r} needs a `fingerprint` attribute: it has no source to make one from") from None


def state_digest(network: nn.Module) -> str:
    """16 hex digits of the sha256 over a network's structure and weights."""
    total = hashlib.sha256(repr(network).encode())
    for key, value in sorted(network.state_dict().items()):
        total.update(key.encode())
        total.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else
                     str(value.item()).encode())  # fmt: skip
    return total.hexdigest()[:16]
