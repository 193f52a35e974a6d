"""Metrics of images that come a batch at a time, as in a training loop: what moments are enough for."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganeval.devices import pick_device
from ganeval.distributed import fold
from ganeval.errors import GanevalError
from ganeval.extractors import as_extractor, inference_of
from ganeval.features import full_fingerprint
from ganeval.images.batches import batch_of, pixels_of
from ganeval.metrics.class_scores import NEVER, ONE_SPLIT, ratio, softmax
from ganeval.metrics.frechet import distance
from ganeval.numerics.fitted import Fitted
from ganeval.numerics.inputs import Array, batch_rows, matrix
from ganeval.numerics.moments import ROWS, Running
from ganeval.reference import load_statistics
from ganeval.types import Estimate, ExtractorLike, Features, Moments

NAMES = ("fid", "inception_score", "mode_score")
PARTS = ("pooled", "classes")
"""The fields of `Seen`."""


@dataclass(frozen=True)
class Seen:
    """What is known of the fake or of the real images.

    pooled: moments of the features (D). classes: of the rows [sum_c p_c log p_c, p_1 ... p_C] of the class
    probabilities, from which Inception Score and Mode Score and their standard errors follow exactly.
    """

    pooled: Running | None = None
    classes: Running | None = None

    def __add__(self, other: Seen) -> Seen:
        sums = {}
        for name in PARTS:
            found = [part for part in (getattr(self, name), getattr(other, name)) if part is not None]
            sums[name] = reduce(add, found) if found else None
        return Seen(**sums)

    @classmethod
    def of(cls, pooled: Tensor, logits: Tensor | None) -> Seen:
        if logits is None:
            return cls(Running.of(pooled.double()))
        p, p_log_p = softmax(logits)
        return cls(Running.of(pooled.double()), Running.of(torch.cat([p_log_p[:, None], p], 1)))


class Stream:
    """FID, Inception Score and Mode Score of images that come a batch at a time, in memory of O(D^2 + C^2).

        stream = ganeval.Stream("inception")
        for images in real_loader:
            stream.update(images, real=True)
        for images in samples:
            stream.update(images, real=False)
        stream.compute()["fid"].value

    extractor: as in `ganeval.extract`, or None where `update` is given features (B, D).
    weights: a file in place of the published weights. reference: a statistics .npz, Features or Moments in place of
    real images; it must come from the same extractor. device: where images are taken to; "auto" takes a GPU where
    there is one.

    The numbers are those of `ganeval.metrics` on all features at once, to rounding: `inception_score` with splits=1,
    for parts of a fixed size are not known beforehand. fid has no standard error, which needs every image's features.
    Under torch.distributed, `compute` is of the images of all ranks and must be called on each of them.
    """

    def __init__(
        self,
        extractor: ExtractorLike | None = "inception",
        *,
        weights: str | Path | None = None,
        reference: str | Path | Features | Moments | None = None,
        device: str = "auto",
    ) -> None:
        self.device = pick_device(device)
        net = None if extractor is None else as_extractor(extractor, weights=weights)
        self.extractor = None if net is None else net.to(self.device)
        self.reference = None if reference is None else _moments_of(reference, extractor)
        self._sides = {False: Seen(), True: Seen()}
        self._waiting: dict[bool, list[tuple[Tensor, Tensor | None]]] = {False: [], True: []}
        self.fingerprint = None if net is None else full_fingerprint(net, "fp32")
        theirs = self.reference and self.reference.fingerprint
        if theirs and self.fingerprint not in (None, theirs):
            raise GanevalError(f"the reference was made by {theirs}, and this stream takes {self.fingerprint}")

    def update(self, images: Tensor | Array, *, real: bool) -> None:
        """Adds a batch: uint8 images (B, 3 or 1, H, W); or float features (B, D) of a stream without an extractor.

        An empty batch adds nothing.
        Raises GanevalError for another shape or dtype, NaN or infinity, features of another width, or real images
        where a reference was given; nothing of the batch is added then.
        """
        if real not in (True, False):
            raise GanevalError(f"real={real!r}; give True for real images, False for generated ones")
        if real and self.reference:
            raise GanevalError("this stream has its reference; make one without, to give real images")
        batch = batch_of(images)
        if batch.shape[:1] == (0,):
            return
        if self.extractor is None:
            pooled, logits = batch_rows(batch, None)
        else:
            with inference_of(self.extractor):
                found = self.extractor(self.extractor.resize(pixels_of(batch).to(self.device)))
            pooled, logits = batch_rows(*found)
        if (width := self._width()) not in (None, pooled.shape[1]):
            raise GanevalError(f"the batch has {pooled.shape[1]} features; those before it had {width}")
        # On the CPU, for they become float64, which not every device has.
        self._waiting[real].append((pooled.cpu(), None if logits is None else logits.cpu()))
        if sum(len(rows) for rows, _ in self._waiting[real]) >= ROWS:
            self._side(real)

    def _side(self, real: bool) -> Seen:
        """All that was seen of a side. Batches are added up ROWS at a time, for it costs as much as for a small one."""
        if self._waiting[real]:
            pooled, logits = zip(*self._waiting[real], strict=True)
            more = Seen.of(torch.cat(pooled), None if logits[0] is None else torch.cat(logits))
            self._sides[real], self._waiting[real] = self._sides[real] + more, []
        return self._sides[real]

    def _width(self) -> int | None:
        """Of the features so far."""
        waiting = [rows.shape[1] for batches in self._waiting.values() for rows, _ in batches]
        settled = [len(side.pooled.mean) for side in self._sides.values() if side.pooled]
        given = [len(self.reference.mean)] if self.reference else []
        return next(iter(waiting + settled + given), None)

    def _set(self, real: bool, side: Seen) -> None:
        self._sides[real], self._waiting[real] = side, []

    def compute(self) -> dict[str, Estimate]:
        """{name: Estimate} of what can be computed from what was given, of NAMES.

        Raises GanevalError where there are under two generated images, or nothing can be computed.
        """
        fake, real = (fold(self._side(which), add) for which in (False, True))
        if fake.pooled is None or fake.pooled.n < 2:
            n = fake.pooled.n if fake.pooled else 0
            raise GanevalError(f"a stream needs 2 generated images, got {n}; call update(images, real=False)")
        found = {}
        against = self.reference if real.pooled is None else real.pooled.moments() if real.pooled.n > 1 else None
        if against is not None:
            found["fid"] = _fid(fake.pooled.moments(), against)
        if fake.classes is not None:
            found["inception_score"] = _inception_score(fake.classes)
        if fake.classes is not None and real.classes is not None and real.classes.n > 1:
            found["mode_score"] = _mode_score(fake.classes, real.classes)
        if not found:
            n = real.pooled.n if real.pooled else 0
            raise GanevalError(f"fid needs 2 real images or a reference, got {n}; call update(images, real=True)")
        return found

    def reset(self, *, real: bool = False) -> None:
        """Forgets the generated images; the real ones too only where `real` says so."""
        self._set(False, Seen())
        if real:
            self._set(True, Seen())

    def merge(self, other: Stream) -> None:
        """Adds what another stream of the same extractor has seen. Raises GanevalError for one of another extractor."""
        self._same(other.fingerprint, other._width())
        for real in (False, True):
            self._set(real, self._side(real) + other._side(real))

    def state_dict(self) -> dict[str, Tensor]:
        """All that was seen, as tensors that torch.save and safetensors take."""
        made_by = torch.tensor(list((self.fingerprint or "").encode()), dtype=torch.uint8)
        return {FINGERPRINT: made_by} | {
            f"{side}.{part}.{field.name}": torch.as_tensor(getattr(running, field.name))
            for side in ("fake", "real")
            for part in PARTS
            if (running := getattr(self._side(side == "real"), part)) is not None
            for field in fields(Running)
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Takes up what `state_dict` gave, in place of all that was seen.

        Raises GanevalError for the state of another extractor, or what is no state of a stream; nothing is lost then.
        """
        if not isinstance(state, Mapping) or FINGERPRINT not in state:
            held = ", ".join(map(str, list(state)[:3])) if isinstance(state, Mapping) else f"a {type(state).__name__}"
            raise GanevalError(f"this is no state of a Stream: it holds {held or 'nothing'}")
        try:
            made_by = bytes(state[FINGERPRINT].tolist()).decode() or None
        except (AttributeError, TypeError, ValueError):
            raise GanevalError("the state of a Stream does not say what made it; save it again") from None
        fake, real = (Seen(*(_running(state, f"{side}.{part}") for part in PARTS)) for side in ("fake", "real"))
        widths = {part: {len(found.mean) for side in (fake, real) if (found := getattr(side, part))} for part in PARTS}
        if any(len(found) > 1 for found in widths.values()):
            raise GanevalError("the generated and the real images of a Stream's state differ in width; save it again")
        self._same(made_by, next(iter(widths["pooled"]), None), own=False)
        self._set(False, fake)
        self._set(True, real)

    def _same(self, fingerprint: str | None, width: int | None, *, own: bool = True) -> None:
        """Raises GanevalError for features of another extractor, or of another width than those so far."""
        ours = self._width() if own or self.reference else None
        if fingerprint != self.fingerprint or (width and ours and width != ours):
            theirs, mine = (f"{made_by or 'features'} ({n or 'no'} columns)" for made_by, n in (
                (fingerprint, width), (self.fingerprint, ours)))  # fmt: skip
            raise GanevalError(f"what is to be added was made by {theirs}, and this stream takes {mine}")


FINGERPRINT = "fingerprint"
"""What made the features, in a state's tensors as its letters' codes: formats of tensors take nothing else."""
NOT_MEASURED = "of moments alone its coverage was not measured"
NO_ERROR = "a stream keeps moments; the standard error needs the features of every image"


def _running(state: Mapping[str, Any], name: str) -> Running | None:
    """The moments in a state under such a name, or None. Raises GanevalError for what are none."""
    fields_of = {field.name: f"{name}.{field.name}" for field in fields(Running)}
    missing = [key for key in fields_of.values() if key not in state]
    if len(missing) == len(fields_of):
        return None
    if missing:
        raise GanevalError(f"the state of a Stream has no {min(missing)}; save it again")
    try:
        # Whatever a checkpoint was cast to, and wherever it was loaded to.
        found = {field: state[key].to("cpu", torch.float64) for field, key in fields_of.items()}
        n, (width,) = found["n"].item(), found["mean"].shape
        sound = n >= 1 and n == int(n) and width and found["scatter"].shape == (width, width)
        sound = sound and all(bool(torch.isfinite(part).all()) for part in found.values())
    except (AttributeError, TypeError, ValueError, OverflowError, RuntimeError):
        sound = False
    if not sound:
        raise GanevalError(f"{name} in the state of a Stream is not a whole n, a finite mean (D,) and a finite "
                           "scatter (D, D); save it again")  # fmt: skip
    return Running(int(n), found["mean"], found["scatter"])


def _moments_of(reference: str | Path | Features | Moments, extractor: object) -> Moments:
    if isinstance(reference, str | Path):
        return load_statistics(reference, extractor)
    if isinstance(reference, Features):
        return replace(Fitted(matrix(reference.pooled, "reference").cpu()).moments, fingerprint=reference.fingerprint)
    if not isinstance(reference, Moments):
        raise GanevalError(f"reference is a {type(reference).__name__}; give a statistics file, as `ganeval reference` "
                           "makes, or the images to update(images, real=True)")  # fmt: skip
    return replace(reference, mean=reference.mean.cpu(), cov=reference.cov.cpu())


def _fid(fake: Moments, real: Moments) -> Estimate:
    n, dim = min(one.n for one in (fake, real) if one.n), len(real.mean)
    details: dict[str, Any] = {"no_std_error": NO_ERROR, "no_interval": NO_ERROR}
    if n < dim:
        details["warning"] = f"can't be trusted at n = {n} with {dim} features; it needs at least {dim}"
    return Estimate(distance(fake, real), None, None, fake.n, real.n, details)


def _inception_score(classes: Running) -> Estimate:
    """exp(E KL(p(y|x) || p(y))): log of it is h - p . log p of the means, linear in each image but for the marginal,
    whose influence drops out."""
    marginal = classes.mean[1:]
    log_value = classes.mean[0] - torch.xlogy(marginal, marginal).sum()
    error = _std_error(classes, -_log(marginal))
    value = float(log_value.exp())
    return Estimate(value, value * error, None, classes.n, None, {"splits": 1, "no_interval": ONE_SPLIT})


def _mode_score(fake: Running, real: Running) -> Estimate:
    """exp(E KL(p(y|x) || p(y)) - KL(p(y) || p*(y))), as `ganeval.metrics.mode_score`."""
    p, q = fake.mean[1:], real.mean[1:]
    log_value = fake.mean[0] - torch.xlogy(p, p).sum() - (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
    fake_error = _std_error(fake, -_log(p) - _log(ratio(p, q)))
    real_error = _std_error(real, ratio(p, q), entropy=0.0)
    value = float(log_value.exp())
    error = value * math.hypot(fake_error, real_error)
    details = {"form": "paper", "no_interval": NOT_MEASURED if math.isfinite(error) else NEVER}
    return Estimate(value, error if math.isfinite(error) else None, None, fake.n, real.n, details)


def _std_error(classes: Running, of_classes: Tensor, entropy: float = 1.0) -> float:
    """Of the mean of entropy * h + of_classes . p over the images."""
    weights = torch.cat([of_classes.new_tensor([entropy]), of_classes])
    variance = float(weights @ classes.moments().cov @ weights)
    return math.nan if math.isnan(variance) else math.sqrt(max(0.0, variance) / classes.n)


def _log(p: Tensor) -> Tensor:
    """The logarithm; 0 for a class that no image has, whose probability has no variance either."""
    return torch.where(p > 0, p.log(), 0.0)
