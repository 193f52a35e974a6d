"""Inception weights drawn with a seed, in a file of the published format, for both sides of each comparison."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.seeded_weights import save_seeded_inception


@pytest.fixture(scope="session")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_seeded_inception(tmp_path_factory.mktemp("weights") / "random-inception.pth")


@pytest.fixture(scope="session")
def cifar(data_root: Path) -> torch.Tensor:
    """48 real images, uint8 (48, 3, 32, 32)."""
    with zipfile.ZipFile(data_root / "cifar10-jpeg-test.zip") as archive:
        names = sorted(name for name in archive.namelist() if not name.endswith((".json", "/")))[::200][:48]
        images = [np.asarray(Image.open(BytesIO(archive.read(name))).convert("RGB")) for name in names]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


@pytest.fixture(scope="session")
def photos(data_root: Path) -> list[np.ndarray]:
    """Three photographs of different sizes, uint8 (H, W, 3)."""
    return [np.array(Image.open(path).convert("RGB")) for path in sorted((data_root / "photos").iterdir())[:3]]
