"""What `ganeval doctor` prints: what is installed, which devices there are, where caches and weights lie."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

from ganeval.columns import listing
from ganeval.files import cache_dir
from ganeval.weights import list_weights

PACKAGES = ("ganeval", "torch", "torchvision", "numpy", "scipy", "scikit-learn", "pandas", "pillow",
            "pytorch-fid", "torch-fidelity", "timm", "open_clip_torch", "pot")  # fmt: skip


def examine() -> str:
    """A page of facts, for a user with a problem and for the reader of a bug report."""
    facts = [("python", platform.python_version()), *((name, _version(name)) for name in PACKAGES)]
    facts += [("devices", _devices()), ("cache", _cache())]
    facts += [
        (name, os.environ[name]) for name in ("GANEVAL_DATA", "GANEVAL_OFFLINE", "TORCH_HOME") if name in os.environ
    ]
    facts += [(f"weights {row.name}", row.status) for row in list_weights()]
    return listing(("what", "here"), facts)


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _devices() -> str:
    import torch

    found = [f"cpu ({os.cpu_count()} cores, {torch.get_num_threads()} threads)"]
    found += [f"cuda:{i} ({torch.cuda.get_device_name(i)})" for i in range(torch.cuda.device_count())]
    return ", ".join(found + (["mps"] if torch.backends.mps.is_available() else []))


def _cache() -> str:
    folder = cache_dir()
    if not folder.is_dir():
        return f"{folder} (not there yet)"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    writable = "" if os.access(folder, os.W_OK) else ", read-only: nothing new is kept"
    return f"{folder} ({size / 1e6:.1f} MB{writable})"
