"""The numbers of the peers' own code on equal features; where a peer is wrong, the test shows it."""

from __future__ import annotations

import contextlib
import io
import warnings

import numpy as np
import pytest
import torch

from ganeval import metrics
from ganeval.numerics.pairwise import BLOCK

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # of POT's own escapes, and of vendi-score's import from scipy.sparse.csr
    import ot
    from vendi_score import vendi

_random = np.random.RandomState(5)
REAL = _random.randn(400, 48)
FAKE = _random.randn(400, 48) * 0.9 + 0.15
LOGITS = _random.randn(500, 100) * 2


def statistics(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return rows.mean(0), np.cov(rows, rowvar=False)


def test_fid_of_torch_fidelity() -> None:
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    sides = [dict(zip(("mu", "sigma"), statistics(rows), strict=True)) for rows in (FAKE, REAL)]
    peer = fid_statistics_to_metric(*sides, verbose=False)["frechet_inception_distance"]
    assert float(metrics.fid(FAKE, REAL)) == pytest.approx(peer, rel=1e-9)


def test_fid_of_pytorch_fid() -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about the argument that it drops in 1.18
        try:
            peer = calculate_frechet_distance(*statistics(FAKE), *statistics(REAL))
        except TypeError:
            pytest.skip("pytorch-fid 0.3.0 calls sqrtm(disp=...), which SciPy 1.18 no longer has")
    assert float(metrics.fid(FAKE, REAL)) == pytest.approx(peer, rel=1e-9)


def test_fid_of_torchmetrics() -> None:
    from torchmetrics.image.fid import _compute_fid

    sides = [torch.from_numpy(part) for rows in (FAKE, REAL) for part in statistics(rows)]
    assert float(metrics.fid(FAKE, REAL)) == pytest.approx(float(_compute_fid(*sides)), rel=1e-9)


def test_fid_of_peers_loses_digits_where_images_are_fewer_than_features() -> None:
    """Equal covariances of rank 49 in 300 dimensions: the distance is the shift alone, which is 1."""
    from torchmetrics.image.fid import _compute_fid

    x = np.random.RandomState(0).randn(50, 300) * 10
    y = x.copy()
    y[:, 0] += 1
    peer = float(_compute_fid(*(torch.from_numpy(part) for rows in (y, x) for part in statistics(rows))))
    ours = float(metrics.fid(y, x))
    assert abs(ours - 1) < 1e-9
    assert abs(peer - 1) > 100 * abs(ours - 1)


def test_kid_of_torch_fidelity() -> None:
    from torch_fidelity.metric_kid import kid_features_to_metric

    peer = kid_features_to_metric(
        torch.from_numpy(FAKE), torch.from_numpy(REAL), kid_subsets=20, kid_subset_size=150, rng_seed=7, verbose=False
    )  # fmt: skip
    ours = metrics.kid(FAKE, REAL, subsets=20, subset_size=150, seed=7)
    assert float(ours) == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.details["subset_std"] == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-9)


def test_kid_of_torch_fidelity_where_subsets_cross_blocks() -> None:
    """The subsets' sums are gathered block by block of BLOCK images, those off the diagonal counted twice."""
    from torch_fidelity.metric_kid import kid_features_to_metric

    x, y = _random.randn(BLOCK + 76, 8) * 1.1, _random.randn(2 * BLOCK + 52, 8)
    peer = kid_features_to_metric(
        torch.from_numpy(x), torch.from_numpy(y), kid_subsets=10, kid_subset_size=300, rng_seed=7, verbose=False
    )  # fmt: skip
    ours = metrics.kid(x, y, subsets=10, subset_size=300, seed=7)
    assert float(ours) == pytest.approx(peer["kernel_inception_distance_mean"], rel=1e-9)
    assert ours.details["subset_std"] == pytest.approx(peer["kernel_inception_distance_std"], rel=1e-9)


@pytest.mark.parametrize("shuffle", [False, True])
def test_inception_score_of_torch_fidelity(shuffle: bool) -> None:
    from torch_fidelity.metric_isc import isc_features_to_metric

    peer = isc_features_to_metric(torch.from_numpy(LOGITS), splits=10, shuffle=shuffle)
    ours = metrics.inception_score(LOGITS, shuffle=shuffle, seed=2020)
    assert float(ours) == pytest.approx(peer["inception_score_mean"], rel=1e-9)
    assert ours.details["split_std"] == pytest.approx(peer["inception_score_std"], rel=1e-9)


def test_precision_and_recall_of_torch_fidelity() -> None:
    from torch_fidelity.metric_prc import prc_features_to_metric

    # It takes the reference's features first in name: precision is of the first set against the second.
    peer = prc_features_to_metric(torch.from_numpy(FAKE), torch.from_numpy(REAL), prc_neighborhood=3, verbose=False)
    assert float(metrics.precision(FAKE, REAL)) == pytest.approx(peer["precision"], abs=1e-7)
    assert float(metrics.recall(FAKE, REAL)) == pytest.approx(peer["recall"], abs=1e-7)


@pytest.mark.parametrize("k", [1, 3, 5, 10])
def test_prdc(k: int) -> None:
    from prdc import compute_prdc

    with contextlib.redirect_stdout(io.StringIO()):
        peer = compute_prdc(REAL, FAKE, nearest_k=k)
    for name in ("precision", "recall", "density", "coverage"):
        assert float(getattr(metrics, name)(FAKE, REAL, k=k, strict=True)) == pytest.approx(peer[name], abs=1e-12)


def test_emd_of_pot() -> None:
    cost = ot.dist(FAKE, REAL, metric="euclidean")
    assert float(metrics.emd(FAKE, REAL)) == pytest.approx(ot.emd2([], [], cost, numItermax=10**7), rel=1e-10)


def test_emd_of_pot_stops_early_by_default() -> None:
    """At n = 2000 POT's default number of iterations is not enough: it warns, and its distance is too large."""
    random = np.random.RandomState(0)
    x, y = random.randn(2000, 64), random.randn(2000, 64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        peer = ot.emd2([], [], ot.dist(x, y, metric="euclidean"))
    ours = float(metrics.emd(x, y))
    assert ours < peer * (1 - 1e-5)


def test_vendi_of_vendi_score() -> None:
    unit = FAKE / np.linalg.norm(FAKE, axis=1, keepdims=True)
    for order in (1, 2, 0.5, "inf"):
        peer = vendi.score_dual(unit, q=order)
        assert float(metrics.vendi(FAKE, order=float(order))) == pytest.approx(peer, rel=1e-8)


def test_vendi_score_ignores_its_order_in_the_primal_form() -> None:
    few = FAKE[:20] / np.linalg.norm(FAKE[:20], axis=1, keepdims=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of its import from scipy.sparse.csr
        assert vendi.score_X(few, q=2) == vendi.score_X(few, q=1)
    assert float(metrics.vendi(FAKE[:20], order=2)) < float(metrics.vendi(FAKE[:20])) - 0.1


def test_published_vendi_scores_of_the_mnist_digits(data_root) -> None:
    """Friedman and Dieng, 2022: pixels of the test set at 32 x 32, by Pillow's default resize of the grey image."""
    from PIL import Image

    from ganeval.images import open_images

    published = [7.68, 5.31, 12.18, 9.97, 11.10, 13.51, 9.06, 9.58, 9.69, 8.56]
    images = open_images("mnist:test", data_root=data_root)
    for digit, value in enumerate(published):
        rows = (images.labels == digit).nonzero().ravel().tolist()
        grey = [Image.fromarray(images[i].pixels[0].numpy()).resize((32, 32)) for i in rows]
        pixels = np.stack([np.asarray(image, np.float64).ravel() for image in grey])
        assert float(metrics.vendi(pixels)) == pytest.approx(value, abs=0.005)


def test_mifid_of_torchmetrics_averages_over_the_real_images() -> None:
    """The paper's code averages the nearest distances over the generated ones."""
    from torchmetrics.image.mifid import _compute_cosine_distance

    sides = torch.from_numpy(FAKE), torch.from_numpy(REAL)
    ours = metrics.mifid(FAKE, REAL).details["nearest_cosine_distance"]
    # Given the sets in the other order than its MiFID does, torchmetrics' own function is the paper's.
    means = [float(_compute_cosine_distance(*order, cosine_distance_eps=1.1)) for order in (sides, sides[::-1])]
    theirs = torch.from_numpy(FAKE), torch.from_numpy(REAL)
    units = [rows.double() / rows.double().norm(dim=1, keepdim=True) for rows in theirs]
    apart = 1 - (units[0] @ units[1].T).abs()
    assert ours == pytest.approx(float(apart.amin(1).mean()), rel=1e-9)
    assert sorted(means) == pytest.approx(sorted(float(apart.amin(i).mean()) for i in (0, 1)), rel=1e-6)
    assert means[0] != pytest.approx(means[1], rel=1e-4)
