"""bf16 beside fp32: the report says what it did to this run, and the two are never mixed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import PIL.Image
import pytest
import torch
from torch import nn

import ganeval
from ganeval.errors import GanevalError

_random = np.random.RandomState(0)
FAKE = torch.from_numpy(_random.randint(256, size=(60, 3, 8, 8), dtype=np.uint8))
REAL = torch.from_numpy(_random.randint(256, size=(400, 3, 8, 8), dtype=np.uint8)) // 2


class Linear(nn.Module):
    """Features with a mean of 0, so that their rounding is that of their spread."""

    fingerprint = "linear"

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(192, 16)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return self.layer(inputs.flatten(1).float() / 64 - 1)


def network() -> ganeval.extractors.Wrapped:
    torch.manual_seed(0)
    return ganeval.extractors.Wrapped(Linear(), "linear")


def score(real: object, precision: str) -> ganeval.ScoreReport:
    return ganeval.score(FAKE, real, extractor=network(), metrics=["fid"], precision=precision, cache=False)


def test_the_report_says_what_bf16_did() -> None:
    report = score(REAL, "bf16")
    effect = report.precision_effect
    assert (effect.n_fake, effect.n_real) == (8, 20)  # a twentieth of each set, and at least 8
    # bf16 has 8 bits: each rounding is off by up to 2^-9 of the number.
    assert 2**-11 < effect.feature_difference < 2**-6
    assert 0 < abs(effect.distance / effect.distance_fp32 - 1) < 0.02
    assert json.loads(report.to_json())["precision_effect"]["distance_fp32"] == effect.distance_fp32
    assert "bf16 moves features by 0." in " ".join(report.to_text().split())


def test_fp32_has_no_effect_to_report() -> None:
    report = score(REAL, "fp32")
    assert report.precision_effect is None
    assert "moves features" not in report.to_text()


def test_bf16_meets_no_statistics_of_another_precision(tmp_path: Path) -> None:
    path = tmp_path / "statistics.npz"
    np.savez(path, mu=np.zeros(16), sigma=np.eye(16))
    assert score(path, "fp32")["fid"].value > 0
    with pytest.raises(GanevalError, match="does not say in which precision"):
        score(path, "bf16")
    real = ganeval.extract(REAL, network(), cache=False)
    with pytest.raises(GanevalError, match=r"linear/fp32 and .* linear/bf16"):
        score(real, "bf16")


def test_the_effect_is_of_images_that_were_read(tmp_path: Path) -> None:
    """Of a twentieth drawn from all of them, all may be bad."""
    for i in range(60):
        path = tmp_path / f"{i:02}.png"
        path.write_bytes(b"") if i % 10 else PIL.Image.fromarray(FAKE[i].permute(1, 2, 0).numpy()).save(path)
    report = ganeval.score(
        tmp_path, REAL, extractor=network(), metrics=["precision:k=3"], precision="bf16", skip_bad=True, cache=False
    )
    assert report.precision_effect.n_fake == 6


@pytest.mark.parametrize("samples", [FAKE[:1], FAKE[:1].expand(60, -1, -1, -1).clone()])
def test_there_may_be_no_effect_to_report(samples: torch.Tensor) -> None:
    """A single image, or one repeated, has no spread to measure by."""
    report = ganeval.score(samples, REAL, extractor=network(), precision="bf16", cache=False)
    assert report.precision_effect is None
