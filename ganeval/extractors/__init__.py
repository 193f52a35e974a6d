"""Networks that turn images into features. `load_extractor` finds one by name; each owns its resize.

`as_extractor` also takes the caller's own. `inference_of` is how one is run.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
import inspect
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganeval.errors import GanevalError, unknown
from ganeval.fp32 import evaluating, plain_defaults, true_fp32
from ganeval.registry import EXTRACTORS, load_plugins, resolve
from ganeval.types import Extractor

FIELDS = ("name", "fingerprint", "verified", "weights_sha256", "resize", "to")
"""What an object has that is an Extractor already."""


def load_extractor(name: str, *, weights: Path | None = None) -> Extractor:
    """The extractor of a registered name ("inception", "torchvision:resnet18"), or an imported "module:attribute".

    A row of that very name ("classifier:lenet") goes before its family's ("classifier:<name>").
    weights: a file in place of the published weights.
    Raises GanevalError for an unknown name, UnobtainableError where its weights can't be had.
    """
    # A network is made with random weights, before it gets its own.
    with torch.random.fork_rng(devices=[]), plain_defaults():
        return _loaded(name, weights)


def as_extractor(found: Any, *, weights: str | Path | None = None) -> Extractor:
    """An extractor by its name, an Extractor as it is, or a function or nn.Module of the caller's as `Wrapped`.

    Raises GanevalError for anything else, and as `load_extractor`.
    """
    if isinstance(found, str):
        return load_extractor(found, weights=Path(weights) if weights else None)
    name = getattr(found, "__qualname__", type(found).__qualname__)
    _refuse_weights(name, weights)
    return _taken(found, name)


@contextmanager
def inference_of(extractor: Extractor) -> Iterator[None]:
    """No gradients, true fp32, and the network in evaluation mode while it is run."""
    with torch.no_grad(), true_fp32(), evaluating(module_of(extractor)):
        yield


def module_of(extractor: Extractor) -> object:
    """The nn.Module that an extractor is, or says that it runs."""
    return extractor if isinstance(extractor, nn.Module) else getattr(extractor, "module", None)


def _loaded(name: str, weights: Path | None) -> Extractor:
    load_plugins()
    family, _, variant = name.partition(":")
    exact = EXTRACTORS.get(name.lower())
    spec = exact or EXTRACTORS.get(family.lower())
    if spec is None and variant and family.strip("."):
        return _imported(family, variant, name, weights)
    if spec is None:
        raise unknown("extractor", name, EXTRACTORS)
    if not variant and spec.variant is None and "<" in spec.name:
        raise GanevalError(f"the extractor {family!r} needs a choice: {spec.name}")
    if variant and not exact and "<" not in spec.name:
        raise GanevalError(f"the extractor {family!r} has no variants, got {name!r}; leave out the colon")
    return resolve(spec.target)(variant or spec.variant, weights)


def _imported(module: str, attribute: str, name: str, weights: Path | None) -> Extractor:
    """What "module:attribute" names: an Extractor as it is, a function or nn.Module wrapped.

    Modules are also looked for in the current folder, which the installed command does not do by itself.
    """
    if "" not in sys.path:
        sys.path.append("")  # last, so that a file there shadows nothing
    try:
        holder = importlib.import_module(module)
    except (ImportError, SyntaxError) as error:
        if near := difflib.get_close_matches(module, (spec.family for spec in EXTRACTORS.values()), n=1):
            raise unknown("extractor", name, [f"{near[0]}:{attribute}"]) from None
        raise GanevalError(
            f"no extractor is called {name!r} and the module {module!r} can't be imported ({error}); "
            "see `ganeval list extractors`, or put your module into the current folder or on PYTHONPATH"
        ) from None
    if not hasattr(holder, attribute):
        raise GanevalError(f"the module {module!r} has no attribute {attribute!r}")
    found = getattr(holder, attribute)
    _refuse_weights(name, weights)
    return _taken(_instance(found, name) if isinstance(found, type) else found, name)


def _refuse_weights(name: str, weights: str | Path | None) -> None:
    if weights is not None:
        raise GanevalError(f"{name} brings its own weights; leave out --weights")


def _taken(found: Any, name: str) -> Extractor:
    if isinstance(found, type) or not callable(found):
        kind = "class" if isinstance(found, type) else type(found).__name__
        raise GanevalError(f"{name} is a {kind}; an extractor is a function or an nn.Module")
    return found if all(hasattr(found, field) for field in FIELDS) else Wrapped(found, name)


def _instance(found: type, name: str) -> Any:
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise GanevalError(f"the class {name} can't be made without arguments ({error}); name an instance") from None
    return found()


class Wrapped:
    """A user's function or module, uint8 (B, 3, H, W) -> (B, D) or ((B, D), (B, C)), as an Extractor.

    Its own `fingerprint`, `resize` and `verified` are used where it has them. Without a fingerprint one is made
    from a module's weights and its own classes' source, or from a function's source and, of a module's method, that
    module: what else these read can't be seen. Without `verified` nobody has said that the weights are published ones.
    """

    def __init__(self, network: Callable[[Tensor], Any], name: str) -> None:
        self.network, self.name = network, name
        self.module = network if isinstance(network, nn.Module) else _of_method(network)
        self.fingerprint = getattr(network, "fingerprint", None) or f"{name}/{_digest(network)}"
        self.verified = bool(getattr(network, "verified", False))
        self.weights_sha256: str | None = getattr(network, "weights_sha256", None)

    def resize(self, images: Tensor) -> Tensor:
        resize = getattr(self.network, "resize", None)
        return resize(images) if resize else images

    def __call__(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        result = self.network(inputs)
        pooled, logits = result if isinstance(result, tuple) and len(result) == 2 else (result, None)
        parts = [(pooled, "features (B, D)")] + ([] if logits is None else [(logits, "logits (B, C)")])
        for rows, what in parts:
            if not (isinstance(rows, Tensor) and rows.ndim == 2 and len(rows) == len(inputs)):
                got = tuple(rows.shape) if isinstance(rows, Tensor) else type(rows).__name__
                raise GanevalError(f"{self.name} must return {what} for {len(inputs)} images, got {got}")
        return pooled, logits

    def to(self, device: Any) -> Wrapped:
        if self.module is not None:
            self.module.to(device)
        return self


def _of_method(function: Callable[..., Any]) -> nn.Module | None:
    """The module that a function is a method of."""
    of = getattr(function, "__self__", None)
    return of if isinstance(of, nn.Module) else None


def _digest(network: Callable[..., Any]) -> str:
    if isinstance(network, nn.Module):
        return state_digest(network)
    if source := _source(network):
        weights = state_digest(of) if (of := _of_method(network)) else ""
        return hashlib.sha256((source + weights).encode()).hexdigest()[:16]
    raise GanevalError(f"{network!r} needs a `fingerprint` attribute: it has no source to make one from")


def _source(found: Any) -> str:
    """The source of a function or class; '' where there is none, as for one typed into a console."""
    try:
        return inspect.getsource(found)
    except (OSError, TypeError):
        return ""


def state_digest(network: nn.Module) -> str:
    """16 hex digits of the sha256 over a network's structure, weights, and the source of classes not torch's own."""
    total = hashlib.sha256(repr(network).encode())
    for kind in sorted({type(module) for module in network.modules()}, key=repr):
        if kind.__module__.partition(".")[0] not in ("torch", "torchvision"):
            total.update(_source(kind).encode())
    for key, value in sorted(network.state_dict().items()):
        total.update(key.encode())
        total.update(value.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes() if value.ndim else
                     str(value.item()).encode())  # fmt: skip
    return total.hexdigest()[:16]
