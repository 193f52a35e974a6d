"""Rows that put a board's numbers in their place: no network, no training, only what anyone could do with the data.

| name             | what it samples                                                                     |
|------------------|-------------------------------------------------------------------------------------|
| real             | the train split itself, or fresh draws of a mixture: the floor at this n            |
| real_noise       | the same with Gaussian noise, a tenth of the range (of a mixture: three spreads)    |
| mean_image       | the mean of the train split, every time                                             |
| memoriser        | a training image near a draw of pca_gaussian: the one that is nearest               |
| pca_gaussian     | a Gaussian of the train split's mean and covariance                                 |
| planted_collapse | the train split without the second half of its classes or modes; without labels, 50 images |
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ganeval_baselines.data import Images, Mixture, rng, to_uint8
from ganeval_baselines.evaluate import Samples

TITLES = {
    "real": "Real (train split)", "real_noise": "Real with noise", "mean_image": "Mean image",
    "memoriser": "Nearest training image", "pca_gaussian": "Gaussian (PCA)", "planted_collapse": "Planted collapse",
}  # fmt: skip
FEW = 50
POOL = 20_000
"""Training rows that the mean, the covariance and the neighbours are taken from; draws of a mixture too."""
BLOCK = 1024
"""Samples of a Gaussian that are drawn at a time, each of which takes a weight for every row of the pool."""


def sanity_samples(name: str, data: Mixture | Images, n: int, seed: int) -> Samples:
    """n samples of one of the rows above."""
    random = rng(seed, 2**36)
    real = _real(data, n, random)
    if name == "real":
        made = real
    elif name == "real_noise":
        sd = 3 * data.spread if isinstance(data, Mixture) else 0.2
        made = real + sd * torch.randn(real.shape, generator=random)
    elif name == "planted_collapse":
        made = _collapsed(data, n, random)
    else:
        # A draw of its own: of a mixture, no sample is then among the points that its statistics are taken from.
        pool = _real(data, POOL, random)
        made = _from_moments(name, pool, n, random)
    return Samples(made if isinstance(data, Mixture) else to_uint8(made), None)


def _real(data: Mixture | Images, n: int, random: torch.Generator) -> Tensor:
    """n training samples (n, *shape); up to all of them, where these are images that are not made up of others."""
    if isinstance(data, Mixture):
        return data.draw(n, random)
    step = int(torch.randint(2**31, (), generator=random))
    return data.batch(step, 0, n if data.stacked > 1 else min(n, len(data.pixels))).real


def _collapsed(data: Mixture | Images, n: int, random: torch.Generator) -> Tensor:
    if isinstance(data, Mixture):
        half = Mixture(data.name, data.centres[: len(data.centres) // 2], data.spread)
        return half.draw(n, random)
    if data.labels is None or data.stacked > 1 or data.labels_per_image > 1:
        few = _real(data, FEW, random)
        return few[torch.randint(len(few), (n,), generator=random)]
    kept = torch.nonzero(data.labels < data.classes // 2)[:, 0]
    chosen = kept[torch.randint(len(kept), (n,), generator=random)]
    return data.pixels[chosen].float() / 127.5 - 1


def _from_moments(name: str, pool: Tensor, n: int, random: torch.Generator) -> Tensor:
    rows = pool.flatten(1).double()
    mean = rows.mean(0)
    if name == "mean_image":
        return mean.float().view(1, *pool.shape[1:]).expand(n, *pool.shape[1:])
    # A normal combination of the centred rows has their covariance, without forming it.
    centred = (rows - mean) / (len(rows) - 1) ** 0.5
    parts = (min(BLOCK, n - start) for start in range(0, n, BLOCK))
    weights = (torch.randn(size, len(rows), generator=random, dtype=torch.float64) for size in parts)
    drawn = mean + torch.cat([part @ centred for part in weights])
    if name == "pca_gaussian":
        return drawn.float().clamp(-1, 1).view(n, *pool.shape[1:]) if pool.ndim > 2 else drawn.float()
    nearest = torch.cat([torch.cdist(part, rows).argmin(1) for part in drawn.split(500)])
    return pool[nearest]


def sanity_config(name: str, data: Mixture | Images, n: int, seed: int) -> dict[str, Any]:
    """What a row's samples depend on."""
    return {"model": name, "data": data.name, "data_sha256": data.sha256, "seed": seed, "n": n}
