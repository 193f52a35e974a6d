"""State dicts: read from a file without running code that is in it, and put into a network that they fit."""

from __future__ import annotations

import pickle
import warnings
from pathlib import Path
from textwrap import shorten
from typing import Any

import torch

from ganeval.errors import GanevalError


def load_checkpoint(path: Path) -> dict[str, Any]:
    """The state dict in a checkpoint file; no code in it is run.

    Raises GanevalError where the file is missing, damaged, or no state dict.
    """
    try:
        with warnings.catch_warnings():
            # Of a TorchScript archive it warns before it refuses.
            warnings.simplefilter("ignore", UserWarning)
            state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise GanevalError(f"there is no weights file {path}") from None
    except OSError as error:
        raise GanevalError(f"can't load the weights in {path}: {error.strerror or 'it is damaged'}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, LookupError, TypeError) as error:
        # The unpickler meets arbitrary bytes, and each of these comes from some of them.
        archive = "it is a TorchScript archive, which holds code"
        other = f"torch.load reads no plain tensors in it ({type(error).__name__})"
        raise GanevalError(
            f"can't load the weights in {path}: {archive if 'TorchScript' in str(error) else other}; "
            "save them with torch.save(network.state_dict(), file)"
        ) from None
    if not isinstance(state, dict) or not all(
        isinstance(key, str) and isinstance(value, torch.Tensor) for key, value in state.items()
    ):
        raise GanevalError(f"{path} holds no state dict; save it with torch.save(network.state_dict(), file)")
    return state


def into(network: Any, state: dict[str, Any], path: Path) -> None:
    """Loads a state dict into a network. Raises GanevalError where they do not fit."""
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise misfit(path, error) from None


def misfit(path: Path, error: Exception) -> GanevalError:
    """The error for a state dict of another network, with the last thing that torch found wrong."""
    return GanevalError(f"{path} is not for this network: {shorten(str(error).splitlines()[-1], 160)}")
