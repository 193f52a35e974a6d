"""A device that is none: tensors that the CPU holds, and that refuse what a card would refuse.

No card is needed to see that a function of tensors on one asks for nothing from the CPU in their midst: inside of
`card`, tensors that were sent to its device, or made there, go through every operation as `OnCard`, which the CPU
computes, and an operation that would mix the two is an error. So is float64, where the card is told to have none.
PyTorch's name of a device that has no code of its own here, "lazy", stands in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only, tree_unflatten

CARD, CPU = torch.device("lazy"), torch.device("cpu")
aten = torch.ops.aten
BETWEEN_DEVICES = (aten._to_copy, aten.copy_)
INDEXED = (aten.index, aten.index_put, aten.index_put_, aten._index_put_impl_)
"""Operations on a card that take their indices, the second argument, from the CPU too."""


@contextmanager
def card(*, float64: bool = True) -> Iterator[torch.device]:
    """Gives the device, for `to` and `device=`."""
    with _Python(), _Operations(float64):
        yield CARD


class OnCard(Tensor):
    """What PyTorch sees of a tensor there: all but its numbers, which are `held`."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> OnCard:
        layout = {"strides": held.stride(), "storage_offset": held.storage_offset(), "dtype": held.dtype}
        return Tensor._make_wrapper_subclass(cls, held.size(), device=CARD, **layout)  # type: ignore[attr-defined]

    def __init__(self, held: Tensor) -> None:
        self.held = held

    @classmethod
    def __torch_dispatch__(cls, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        raise AssertionError(f"{function} of a tensor on the card, outside of `card`")

    __torch_function__ = torch._C._disabled_torch_function_impl


class _Operations(TorchDispatchMode):
    """Every operation, below Python."""

    def __init__(self, float64: bool) -> None:
        super().__init__()
        self.float64 = float64

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        values, form = tree_flatten((args, kwargs or {}))
        tensors = [value for value in values if isinstance(value, Tensor)]
        assert all(isinstance(x, OnCard) for x in tensors if x.device == CARD), f"{function} of a tensor unseen so far"
        kind, asked = function.overloadpacket, (kwargs or {}).get("device")
        if kind not in BETWEEN_DEVICES:
            indexed = kind in INDEXED and isinstance(args[0], OnCard)
            _refuse_mixture(function, [args[0], *_tensors(args[2:])] if indexed else tensors)
        if kind is aten.copy_:
            there = isinstance(args[0], OnCard)
        else:
            there = any(isinstance(x, OnCard) for x in tensors) if asked is None else asked == CARD
        args, kwargs = tree_unflatten([_held(value) for value in values], form)
        result = function(*args, **kwargs)
        if not there:
            return result
        # What an operation in place gives back is the tensor itself.
        known = {id(x.held): x for x in tensors if isinstance(x, OnCard)}
        return tree_map_only(Tensor, lambda x: known[id(x)] if id(x) in known else self._sent(x), result)

    def _sent(self, x: Tensor) -> OnCard:
        if x.dtype == torch.float64 and not self.float64:
            raise TypeError("the card has no float64")
        return OnCard(x)


def _refuse_mixture(function: Any, tensors: Sequence[Tensor]) -> None:
    here = [tuple(x.shape) for x in tensors if not isinstance(x, OnCard)]
    there = len(here) < len(tensors)
    changed = function._schema.is_mutable and not isinstance(tensors[0], OnCard)
    # Single numbers of the CPU are taken anywhere, but for being written to.
    if there and (changed or any(here)):
        raise RuntimeError(f"{function} of tensors on the card and others on the CPU, of shapes {here}")


def _tensors(values: Any) -> list[Tensor]:
    return [value for value in tree_flatten(values)[0] if isinstance(value, Tensor)]


def _held(value: Any) -> Any:
    if isinstance(value, OnCard):
        return value.held
    return CPU if isinstance(value, torch.device) and value == CARD else value


class _Python(TorchFunctionMode):
    """What makes tensors of Python's numbers, out of sight of `_Operations`."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:  # fmt: skip
        kwargs = kwargs or {}
        if function in (torch.tensor, torch.as_tensor) and kwargs.get("device") == CARD:
            return function(*args, **{**kwargs, "device": CPU}).to(CARD)
        if function in (Tensor.__getitem__, Tensor.__setitem__):
            places = args[1] if isinstance(args[1], tuple) else (args[1],)
            places = tuple(torch.tensor(place) if isinstance(place, list) else place for place in places)
            args = (args[0], places, *args[2:])
        return function(*args, **kwargs)
