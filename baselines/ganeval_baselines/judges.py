"""How a trained model is scored for its record: a GAN by its samples, a classifier by its test error."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganeval.errors import GanevalError
from ganeval.files import result_file, write_result
from ganeval.registry import get_baseline
from ganeval_baselines import evaluate, pictures
from ganeval_baselines.base import GAN, Model
from ganeval_baselines.classifiers.base import held_out
from ganeval_baselines.data import Batch, Images, Mixture
from ganeval_baselines.evaluate import SAMPLING_SEEDS, Reference, Samples

GLANCE = 1000
"""Samples or test images that a look during training takes."""

LEAST = 10
"""Images held out with which all metrics are defined, the Inception Score in ten parts too."""


class Judge(Protocol):
    """What scores the runs of one data set."""

    def evaluation(self) -> dict[str, Any]:
        """The record's `evaluation`: records that differ in it never share a table."""
        ...

    def glance(self, model: Any, seed: int, step: int, folder: Path, looks: int) -> dict[str, float]:
        """The few numbers that are followed during training, where it takes `looks` of these."""
        ...

    def verdict(self, model: Any, seed: int, folder: Path) -> dict[str, Any]:
        """The record's `metrics`, `collapse` and `samples_sha256`; keeps the samples in the folder."""
        ...


@dataclass(frozen=True)
class BySamples:
    """Scores a GAN's samples against a reference."""

    reference: Reference

    def evaluation(self, sampling_seeds: int = SAMPLING_SEEDS) -> dict[str, Any]:
        reference = self.reference
        return {
            "n_fake": reference.sample_size, "n_real": len(reference.real),
            "reference": f"{reference.data.name}:test", "extractor": reference.extractor,
            "fingerprint": reference.real.fingerprint, "primary": reference.primary,
            "sampling_seeds": sampling_seeds, "checkpoint": "final", "version": evaluate.VERSION,
        }  # fmt: skip

    def glance(self, model: GAN, seed: int, step: int, folder: Path, looks: int) -> dict[str, float]:
        """Also saves a picture, and the collapse verdict at this look's share of alpha, as in CollapseMonitor."""
        reference = self.reference
        few = evaluate.draw(model, reference.data, min(reference.sample_size, GLANCE), seed, 2**34)
        pictures.save(few.content, folder / f"step{step:07d}.png", reference.data)
        fake = None if reference.stacked else reference.features(few)
        verdict = evaluate.collapse_of(few, reference, seed, fake, evaluate.ALPHA / looks)
        write_result(folder / f"step{step:07d}.json", json.dumps(verdict, allow_nan=False).encode() + b"\n")
        rows = evaluate.rows_of(few, reference, seed, (reference.ranks_by,), fake)
        return {name: row["value"] for name, row in rows.items() if row["value"] is not None}

    def verdict(self, model: GAN, seed: int, folder: Path) -> dict[str, Any]:
        """The rows of the first sample set; `evaluation_sd` of the metric that ranks, over SAMPLING_SEEDS of them."""
        reference, n = self.reference, self.reference.sample_size
        first, *others = (evaluate.draw(model, reference.data, n, seed, k, 2**33) for k in range(SAMPLING_SEEDS))
        result = self.of_samples(first, seed, folder)
        rows, primary = result["metrics"], reference.primary
        values = [rows[primary]["value"]]
        values += [
            evaluate.rows_of(samples, reference, seed, (reference.ranks_by,))[primary]["value"] for samples in others
        ]
        rows[primary]["evaluation_sd"] = float(np.std(values, ddof=1))
        rows |= {name: evaluate.own(name, value) for name, value in model.measures().items()}
        if isinstance(model, evaluate.Classifies) and isinstance(reference.data, Images):
            rows |= evaluate.test_error(model, held_out(reference.data))
        return result

    def of_samples(self, samples: Samples, seed: int, folder: Path) -> dict[str, Any]:
        """The rows of one sample set, its collapse verdict and its hash; keeps it as samples.npz, and its picture."""
        content = samples.content
        arrays = {"arr_0": (content.permute(0, 2, 3, 1) if content.ndim == 4 else content).numpy()}
        if samples.labels is not None:
            arrays["labels"] = samples.labels.numpy()
        with result_file(folder / "samples.npz") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
        reference = self.reference
        pictures.save(content, folder / "samples.png", reference.data)
        fake = None if reference.stacked else reference.features(samples)
        return {
            "metrics": evaluate.rows_of(samples, reference, seed, fake=fake),
            "collapse": evaluate.collapse_of(samples, reference, seed, fake),
            "samples_sha256": samples.sha256,
        }


@dataclass(frozen=True)
class ByError:
    """Scores a classifier on the test images of its data set, all of them, once."""

    data: Images
    test: Batch

    def evaluation(self) -> dict[str, Any]:
        return {
            "n_fake": None, "n_real": len(self.test.real), "reference": f"{self.data.name}:test", "extractor": None,
            "fingerprint": None, "primary": "test_error", "sampling_seeds": None, "checkpoint": "final",
            "version": evaluate.VERSION,
        }  # fmt: skip

    def glance(self, model: Model, seed: int, step: int, folder: Path, looks: int) -> dict[str, float]:
        some = Batch(self.test.real[:GLANCE], None if self.test.labels is None else self.test.labels[:GLANCE])
        return {name: row["value"] for name, row in evaluate.test_error(model, some).items()}

    def verdict(self, model: Model, seed: int, folder: Path) -> dict[str, Any]:
        return {"metrics": evaluate.test_error(model, self.test)}


def judge_of(model: str, data: Mixture | Images, extractor: str = "auto", device: str = "cpu") -> Judge:
    """What scores the registered `model` on this data, and on which device.

    Raises UnobtainableError where the extractor's weights can't be had.
    """
    if get_baseline(model).kind == "gan":
        if isinstance(data, Mixture) and extractor != "auto":
            raise GanevalError(f"--extractor {extractor}: points are scored as they are; leave it out")
        if isinstance(data, Images) and len(data.held_out) < LEAST:
            found = len(data.held_out)
            raise GanevalError(
                f"{data.name} holds out {found} image(s), where {LEAST} are needed to score against; give more images"
            )
        return BySamples(evaluate.reference_of(data, extractor, device))
    if extractor != "auto":
        raise GanevalError(f"--extractor {extractor}: a classifier is scored by its test error; leave it out")
    assert isinstance(data, Images)
    return ByError(data, held_out(data))
