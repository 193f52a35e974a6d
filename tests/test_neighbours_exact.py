"""Neighbours of float32 features are decided as exact arithmetic decides them, whatever the features are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval import metrics
from ganeval.metrics.neighbours import neighbours
from ganeval.numerics import halves, pairwise
from ganeval.numerics.nearest import nearest
from ganeval.numerics.pairwise import BLOCK, STRIP, TERMS, Centred, exact_squares, few_true, products, slices

N, DIM = 300, 40
WANTED = {
    "one_nn_accuracy": {"k": 1}, "one_nn_accuracy_real": {"k": 3}, "precision": {"k": 3, "strict": False},
    "recall": {"k": 3, "strict": False}, "density": {"k": 5, "strict": True}, "coverage": {"k": 5, "strict": True},
}  # fmt: skip


def plain(n: int = N) -> Tensor:
    return torch.from_numpy(np.random.RandomState(0).standard_normal((2 * n, DIM)).astype(np.float32))


def lattice() -> Tensor:
    """Small whole numbers: a few distances that occur thousands of times."""
    return torch.from_numpy(np.random.RandomState(1).randint(0, 2, (2 * N, DIM)).astype(np.float32))


def copies() -> Tensor:
    """40 images, each in both sets several times."""
    return plain()[torch.from_numpy(np.random.RandomState(2).randint(0, 40, 2 * N))]


def wide_copies() -> Tensor:
    rows = torch.from_numpy(np.random.RandomState(3).standard_normal((40, 512)).astype(np.float32))
    return rows[torch.from_numpy(np.random.RandomState(2).randint(0, 40, 2 * N))]


def near_ties() -> Tensor:
    """A lattice whose ties are broken in the last digits of a float32, far from the origin."""
    base = lattice() * 3 + 1000
    return torch.nextafter(base, base + (plain() > 0) * 2 - 1)


def clusters() -> Tensor:
    """Ten, so tight that the distances within are no larger than the rounding of products in float32."""
    return plain()[:10].repeat_interleave(2 * N // 10, 0) + plain() * 1e-4


SETS: dict[str, Callable[[], Tensor]] = {
    "plain": plain,
    "lattice": lattice,
    "copies": copies,
    "wide copies": wide_copies,
    "near ties": near_ties,
    "tight clusters": clusters,
    "far from 0": lambda: plain() + 3e4,
    "tiny": lambda: plain() * 1e-6,
    "vanishing squares": lambda: plain() * 1e-25,
    "squares that vanish beside others": lambda: (
        plain() * torch.tensor([1.0, 1e-21, 1.0, 1.0, 1.0]).repeat(120)[:, None]
    ),
    "huge": lambda: plain() * 1e6,
    "squares beyond float32": lambda: plain() * 1e25,
    "one outlier": lambda: torch.cat([plain()[:-1], plain()[-1:] * 1e6]),
    "all alike": lambda: torch.ones(2 * N, DIM),
    "over several blocks": lambda: plain(BLOCK + 40),
}


def squares(a: Tensor, b: Tensor) -> Tensor:
    return torch.stack([(row - b.double()).square().sum(1) for row in a.double()])


OTHERWISE = {name: o | {"strict": not o["strict"]} if "strict" in o else o for name, o in WANTED.items()}
"""The same with closed balls for open ones, and the reverse."""


def by_definition(x: Tensor, y: Tensor, wanted: dict[str, dict[str, int]]) -> dict[str, float]:
    """From all distances, taken from the differences in float64."""

    def within(name: str, radii: Tensor) -> Tensor:
        return xy < radii if wanted[name]["strict"] else xy <= radii

    def votes(own: Tensor, other: Tensor, real_is_own: bool, k: int) -> Tensor:
        real, fake = (own, other) if real_is_own else (other, own)
        both = torch.cat([real.sort(1).values[:, :k], fake.sort(1).values[:, :k]], 1)
        return (both.sort(dim=1, stable=True).indices[:, :k] < k).sum(1) * 2 >= k

    xx, yy = squares(x, x).fill_diagonal_(torch.inf), squares(y, y).fill_diagonal_(torch.inf)
    xy = squares(x, y)
    real_3, fake_3, real_5 = (d.sort(1).values[:, k - 1] for d, k in ((yy, 3), (xx, 3), (yy, 5)))
    real, fake = votes(yy, xy.T, True, 1), votes(xx, xy, False, 1)
    return {
        "one_nn_accuracy": float(torch.cat([real, ~fake]).double().mean()),
        "one_nn_accuracy_real": float(votes(yy, xy.T, True, 3).double().mean()),
        "precision": float(within("precision", real_3).any(1).double().mean()),
        "recall": float(within("recall", fake_3[:, None]).any(0).double().mean()),
        "density": float(within("density", real_5).sum(1).double().mean()) / 5,
        "coverage": float(within("coverage", real_5).any(0).double().mean()),
    }


@pytest.mark.parametrize("wanted", [WANTED, OTHERWISE], ids=["as by default", "otherwise"])
@pytest.mark.parametrize("name", SETS)
def test_decisions_are_those_of_the_differences_in_float64(name: str, wanted: dict[str, dict[str, int]]) -> None:
    rows = SETS[name]()
    x, y = rows[::2].contiguous(), rows[1::2].contiguous()
    found = {key: estimate.value for key, estimate in neighbours(x, y, wanted).items()}
    assert found == pytest.approx(by_definition(x, y, wanted), abs=1e-12)


@pytest.mark.parametrize("name", SETS)
def test_pairs_in_balls_are_counted_alike_in_bulk_and_one_by_one(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = SETS[name]()
    x, y = rows[::2].contiguous(), rows[1::2].contiguous()
    found = []
    for many in (0, 1):
        monkeypatch.setattr(halves, "MANY", many)
        found.append(neighbours(x, y, WANTED))
    assert found[0] == found[1]


@pytest.mark.parametrize("name", SETS)
def test_the_nearest_are_those_of_the_differences_in_float64(name: str) -> None:
    rows = SETS[name]()
    x, y = rows[::2].contiguous(), rows[1::2].contiguous()
    itself = torch.arange(len(y))
    for of, all_squares, leave_out in ((x, squares(x, y), None), (y, squares(y, y).fill_diagonal_(torch.inf), itself)):
        distances, index = nearest(of, y, 4, leave_out=leave_out)
        assert torch.equal(distances, all_squares.sort(1).values[:, :4].sqrt())
        assert torch.equal(all_squares.gather(1, index).sqrt(), distances)
        assert all(len(row.unique()) == 4 for row in index)


@pytest.mark.parametrize("name", ["copies", "wide copies", "all alike"])
def test_the_halves_know_exact_ties(name: str) -> None:
    """Their rough distances are not settled, yet the design effect is that of float64."""
    rows = SETS[name]()
    x, y = rows[::2].contiguous(), rows[1::2].contiguous()
    rough, fine = neighbours(x, y, WANTED), neighbours(x.double(), y.double(), WANTED)
    for key in WANTED:
        effects = (e[key].details.get("design_effect", 0.0) for e in (rough, fine))
        assert next(effects) == pytest.approx(next(effects), rel=1e-9), key


@pytest.mark.parametrize("dim", [3, 257, 2048])
@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_rough_distances_are_within_their_bound(dim: int, offset: float) -> None:
    random = np.random.RandomState(0)
    x = torch.from_numpy((random.standard_normal((200, dim)) * (1 + np.arange(dim)) + offset).astype(np.float32))
    y = x[torch.arange(200) // 2 * 2] + 1e-3
    a, b = Centred.both(x, y)
    (rows,) = slices(200)
    rough = a.rough(rows, b, rows, products(a.factor(rows), b.factor(rows))).double()
    i, j = (index.ravel() for index in torch.meshgrid(torch.arange(200), torch.arange(200), indexing="ij"))
    off = (rough.ravel() - exact_squares(x, i, y, j)).abs() / (a.norms[i] + b.norms[j])
    # Below the bound, but not so far below that a wrong unit or a missing square root would go unseen.
    assert 1e-9 < float(off.max()) < a.rounding < 1e-4


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, STRIP - 1, STRIP, STRIP + 1, 3 * STRIP + 5])
def test_products_within_a_block_are_those_of_all_its_pairs(n: int, dtype: torch.dtype) -> None:
    rows = torch.from_numpy(np.random.RandomState(n).standard_normal((n, TERMS + 70))).to(dtype)
    centred, whole, exact = Centred.about(rows, rows.mean(0)), slice(0, n), (rows - rows.mean(0)).double()
    exact = exact @ exact.T
    close = {"rtol": 0.0, "atol": centred.rounding * float(exact.max())}
    torch.testing.assert_close(centred.gram(whole).double(), exact, **close)
    torch.testing.assert_close(products(centred.factor(whole), centred.factor(whole)).double(), exact, **close)


def test_settling_is_what_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a bound on the rounding, near ties come out wrong: the sets above do try it."""
    (x, y), (a, b) = ((rows[::2].contiguous(), rows[1::2].contiguous()) for rows in (near_ties(), clusters()))
    monkeypatch.setattr(pairwise.Centred, "rounding", 0.0)
    found = {key: estimate.value for key, estimate in neighbours(x, y, WANTED).items()}
    assert found != pytest.approx(by_definition(x, y, WANTED), abs=1e-12)
    assert not torch.equal(nearest(a, b, 4)[0], squares(a, b).sort(1).values[:, :4].sqrt())


def test_kernel_distances_of_float32_are_those_of_float64() -> None:
    x, y = (rows + 0.5 for rows in plain(1100).chunk(2))
    y = y * 1.1
    for metric in (metrics.kid, metrics.mmd, metrics.cmmd):
        assert metric(x, y).value == pytest.approx(metric(x.double(), y.double()).value, rel=1e-6)
    # Kernels so sharp that only near pairs count, and their products' rounding would.
    x, y = x[:, :2], y[:, :2]
    for metric, options in ((metrics.mmd, {"bandwidth": "fixed", "sigma": 0.2, "unbiased": True}),
                            (metrics.cmmd, {"sigma": 0.01})):  # fmt: skip
        sharp = metric(x, y, **options).value
        assert sharp == pytest.approx(metric(x.double(), y.double(), **options).value, rel=1e-9, abs=0)
        assert sharp > 1e-6


@pytest.mark.parametrize("shape", [(1, 8), (5, 64), (7, 13), (0, 16), (3, 0)])
@pytest.mark.parametrize("share", [0.0, 0.05, 1.0])
def test_few_true_are_those_of_nonzero(shape: tuple[int, int], share: float) -> None:
    mask = torch.rand(shape, generator=torch.Generator().manual_seed(0)) < share
    for one in (mask, mask.T, mask[:, 1:]):
        assert torch.equal(torch.stack(few_true(one), 1), one.nonzero())
