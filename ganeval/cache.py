"""What has been computed is kept: features by (content, fingerprint), estimates by their features and options.

A key is always a sha256 of content, never a name or a time, so a renamed copy hits and a changed file misses.
Files are written whole or not at all; a damaged one counts as absent: zip's checksums show it, or a line of the sha256.
"""

from __future__ import annotations

import hashlib
import json
import logging
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from functools import cache as once
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch

from ganeval.files import atomic_write, cache_dir
from ganeval.types import Estimate, Features, Survey

log = logging.getLogger(__name__)

ESTIMATE = b"ganeval.estimate/1\n"


def key_of(*parts: Any) -> str:
    """The sha256 of a list of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def metric_sources() -> list[Path]:
    """The files that the estimates of the package's own metrics depend on."""
    package = Path(__file__).parent
    folders = (sorted((package / name).glob("*.py")) for name in ("metrics", "numerics"))
    return [package / "fp32.py", package / "types.py", *chain.from_iterable(folders)]


@once
def metrics_version() -> str:
    """Changes whenever an estimate could: with the source of the metrics and the libraries under them."""
    digest = hashlib.sha256()
    for path in metric_sources():
        digest.update(path.read_bytes())
    return key_of(digest.hexdigest(), *(version(name) for name in ("torch", "numpy", "scipy", "scikit-learn")))


@once
def _sweep(folder: Path) -> None:
    """Deletes what writers that were killed have left here, once a run; no writer takes a day."""
    for left in folder.glob(".*.partial"):
        # Most have a writer that renames them while this goes on.
        with suppress(FileNotFoundError):
            if left.stat().st_mtime < time.time() - 86_400:
                left.unlink()


def keep(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Writes a file that a run can do without: where it can't be written, the reason is logged."""
    try:
        _sweep(path.parent)
        with atomic_write(path) as file:
            write(file)
    except OSError as error:
        log.warning("going on without a cache: %s (%s)", cache_dir(), error.strerror)


def sealed(content: bytes, form: bytes) -> bytes:
    """The content after a line with its sha256; form: the name of its format and version, which the sha256 covers."""
    return hashlib.sha256(form + content).hexdigest().encode() + b"\n" + content


def unsealed(found: bytes, form: bytes) -> bytes | None:
    """What was sealed, or None where it is damaged or of another form."""
    content = found.partition(b"\n")[2]
    return content if found == sealed(content, form) else None


def load_features(key: str) -> Features | None:
    """The features saved under `key`, or None."""
    path = cache_dir() / "features" / f"{key}.npz"
    try:
        with open(path, "rb") as handle, np.load(handle, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (FileNotFoundError, NotADirectoryError):
        return None
    except Exception as error:
        # zipfile and numpy raise what they like for damaged bytes.
        log.warning("the cached features %s can't be read (%s); computing them again", path, error)
        return None
    try:
        return _features(arrays)
    except (KeyError, TypeError, ValueError):
        log.warning("the cached features %s were written by another version; computing them again", path)
        return None


def _features(arrays: dict[str, np.ndarray]) -> Features:
    meta = json.loads(str(arrays["meta"]))
    tensors = {name: torch.from_numpy(arrays[name]) for name in ("pooled", "logits", "labels") if name in arrays}
    survey = Survey(
        arrays["digests"],
        arrays["indices"],
        Counter(meta["sizes"]),
        Counter(meta["formats"]),
        Counter(meta["treatments"]),
        tuple(meta["skipped"]),
    )
    return Features(
        tensors["pooled"],
        tensors.get("logits"),
        meta["fingerprint"],
        tensors.get("labels"),
        tuple(meta["class_names"]),
        survey,
    )


def save_features(key: str, features: Features) -> None:
    """Saves features, which must hold a survey, under `key`; where the folder can't be written, a warning says so."""
    survey = features.survey
    assert survey is not None, "only extract() saves features, and it always surveys"
    meta = {
        "fingerprint": features.fingerprint,
        "class_names": features.class_names,
        "sizes": survey.sizes,
        "formats": survey.formats,
        "treatments": survey.treatments,
        "skipped": survey.skipped,
    }
    arrays = {
        "pooled": features.pooled.numpy(), "digests": survey.digests, "indices": survey.indices,
        "meta": np.array(json.dumps(meta)),
    }  # fmt: skip
    for name, tensor in (("logits", features.logits), ("labels", features.labels)):
        if tensor is not None:
            arrays[name] = tensor.numpy()
    keep(cache_dir() / "features" / f"{key}.npz", lambda file: np.savez(file, **arrays))  # type: ignore[arg-type]


def load_estimate(key: str) -> Estimate | None:
    """The estimate saved under `key`, or None."""
    path = cache_dir() / "estimates" / key[:2] / f"{key}.json"
    try:
        content = unsealed(path.read_bytes(), ESTIMATE)
        if isinstance(saved := json.loads(content or b"null"), dict):
            interval = saved.pop("interval")
            return Estimate(**saved, interval=tuple(interval) if interval else None)
        log.warning("the cached estimate %s is damaged, or of another version; computing it again", path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (KeyError, TypeError):
        log.warning("the cached estimate %s was written by another version; computing it again", path)
    except OSError as error:
        log.warning("the cached estimate %s can't be read (%s); computing it again", path, error)
    return None


def save_estimate(key: str, estimate: Estimate) -> None:
    """Saves an estimate under `key`; where the folder can't be written, a warning says so."""
    content = json.dumps(asdict(estimate)).encode()
    keep(cache_dir() / "estimates" / key[:2] / f"{key}.json", lambda file: file.write(sealed(content, ESTIMATE)))
