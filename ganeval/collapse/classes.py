"""Which class is each image of? By given labels, the extractor's logits, labelled neighbours, or clusters."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ganeval.collapse.modes import clusters
from ganeval.errors import GanevalError
from ganeval.numerics.pairwise import BLOCK, squared_distances
from ganeval.types import Features

FEW = 10
"""Classes of logits serve if at least half of the real images lie in classes with this many of them."""

Labels = Tensor | np.ndarray


@dataclass(frozen=True)
class Classes:
    """Classes of the fakes (N,) and of those real images that the tests may use (rows of the reference, (M',))."""

    fake: np.ndarray
    real: np.ndarray
    real_rows: np.ndarray
    names: list[str]
    how: str

    def counts(self) -> tuple[np.ndarray, np.ndarray]:
        k = len(self.names)
        return np.bincount(self.fake, minlength=k), np.bincount(self.real, minlength=k)


def assign(
    fake: Features, real: Features, labels: Labels | tuple[Labels, Labels] | None, held: np.ndarray, test: np.ndarray,
    seed: int,
) -> Classes:  # fmt: skip
    """Classes of both sets; `held` and `test` are rows of the reference, and what is fitted is fitted on `held`.

    labels: (fake, real), or those of the reference alone. Else the logits' largest, where they tell the reference's
    images apart; else the reference's own labels, where there are two or more, by the nearest held-out image; else
    k-means.
    """
    everything = np.arange(len(real))
    if isinstance(labels, tuple):
        a, b = _pair(labels, len(fake), len(real))
        names = _class_names(real, int(max(a.max(), b.max())) + 1)
        return Classes(a, b, everything, names, "labels")
    if labels is None and fake.logits is not None and real.logits is not None:
        a, b = fake.logits.argmax(1).cpu().numpy(), real.logits.argmax(1).cpu().numpy()
        counts = np.bincount(b, minlength=real.logits.shape[1])
        usual = counts >= FEW
        if usual.sum() > 1 and counts[usual].sum() * 2 >= len(b):
            return Classes(a, b, everything, _named(b, real, len(counts), "class"), "logits")
    known = labels
    if known is None and real.labels is not None and len(real.labels.unique()) > 1:
        known = real.labels
    x, y = fake.pooled.cpu(), real.pooled.cpu()
    if known is not None:
        known = _checked(known, len(real), "real")
        a, b = (_nearest_label(rows, y[held], known[held]) for rows in (x, y[test]))
        return Classes(a, b, test, _class_names(real, int(known.max()) + 1), "labelled neighbours")
    means = clusters(y[held].double().numpy(), seed)
    a, b = means.predict(x.double().numpy()), means.predict(y[test].double().numpy())
    return Classes(a, b, test, [f"cluster {i}" for i in range(means.n_clusters)], "k-means")


def _pair(labels: tuple[Labels, ...], n: int, m: int) -> tuple[np.ndarray, np.ndarray]:
    """The labels of both sides. Raises GanevalError where they have none in common."""
    if len(labels) != 2:
        raise GanevalError(f"a tuple of labels is (fake, real); got {len(labels)} of them")
    a, b = _checked(labels[0], n, "fake"), _checked(labels[1], m, "real")
    if not np.isin(a, b).any():
        raise GanevalError(
            f"no label of the fakes ({a.min()} to {a.max()}) is among the reference's ({b.min()} to {b.max()}); "
            "number the classes of both alike"
        )
    return a, b


def _checked(labels: Labels, n: int, what: str) -> np.ndarray:
    if not isinstance(labels, Tensor | np.ndarray):
        raise GanevalError(
            f"the labels of {what} are a {type(labels).__name__}; give an integer tensor or array, for both sides a "
            "tuple (fake, real)"
        )
    array = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else labels
    if array.shape != (n,) or not np.issubdtype(array.dtype, np.integer) or array.min() < 0:
        raise GanevalError(
            f"the labels of {what} must be {n} integers from 0, one an image; got {array.dtype} of shape {array.shape}"
        )
    return array


def _nearest_label(rows: Tensor, held_out: Tensor, labels: np.ndarray) -> np.ndarray:
    nearest = [squared_distances(part, held_out).argmin(1) for part in rows.split(BLOCK)]
    return labels[torch.cat(nearest).numpy()]


def _class_names(real: Features, count: int) -> list[str]:
    return [real.class_names[i] if i < len(real.class_names) else f"class {i}" for i in range(count)]


def _named(assigned: np.ndarray, real: Features, count: int, what: str) -> list[str]:
    """Each class by the label that most of its real images have, where the reference has labels."""
    if real.labels is None:
        return [f"{what} {i}" for i in range(count)]
    labels, names = real.labels.cpu().numpy(), _class_names(real, int(real.labels.max()) + 1)
    result = []
    for i in range(count):
        inside = np.bincount(labels[assigned == i], minlength=len(names))
        common = int(inside.argmax())
        result.append(names[common] if 2 * inside[common] > inside.sum() else f"{what} {i}")
    return result
