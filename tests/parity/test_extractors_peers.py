"""The three Inception pre-processings give the features of the packages they are named after, image by image."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from ganeval.extractors import load_extractor

Images = list[Tensor]


def ours(name: str, weights: Path, batches: Images) -> tuple[Tensor, Tensor]:
    extractor = load_extractor(name, weights=weights)
    with torch.no_grad():
        pooled, logits = zip(*(extractor(extractor.resize(batch)) for batch in batches), strict=True)
    return torch.cat(pooled), torch.cat(logits)


def assert_close(a: Tensor, b: Tensor, tolerance: float) -> None:
    """Relative to the spread of the features, so that a constant offset could not hide a difference."""
    assert float((a - b).abs().max()) < tolerance * float(b.std(0).mean())
    assert float(b.std(0).mean()) > 1e-3


@pytest.fixture(scope="module")
def batches(cifar: Tensor, photos: list[np.ndarray]) -> Images:
    return [cifar[:16], *(torch.from_numpy(photo).permute(2, 0, 1)[None].contiguous() for photo in photos)]


def test_inception_is_torch_fidelitys(inception_file: Path, batches: Images) -> None:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    peer = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048", "logits_unbiased"], feature_extractor_weights_path=str(inception_file)
    )
    with torch.no_grad():
        pooled, logits = zip(*(peer(batch) for batch in batches), strict=True)
    mine = ours("inception", inception_file, batches)
    assert_close(mine[0], torch.cat(pooled), 1e-4)
    assert_close(mine[1], torch.cat(logits), 1e-4)


@pytest.fixture(scope="module")
def pytorch_fid_net(inception_file: Path):
    """pytorch-fid's network; it can only download its weights, so that one call is answered from the file."""
    from pytorch_fid import inception

    with pytest.MonkeyPatch.context() as patch:
        state = torch.load(inception_file, weights_only=True)
        patch.setattr(inception, "load_state_dict_from_url", lambda *_, **__: state)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torchvision's about its own initialisation
            return inception.InceptionV3([3]).eval()


def test_inception_pytorch_is_pytorch_fids(inception_file: Path, pytorch_fid_net, batches: Images) -> None:
    with torch.no_grad():
        peer = torch.cat([pytorch_fid_net(batch.float() / 255)[0].flatten(1) for batch in batches])
    assert_close(ours("inception-pytorch", inception_file, batches)[0], peer, 1e-4)


def test_inception_clean_is_clean_fids(inception_file: Path, batches: Images) -> None:
    """clean-fid's network is a TorchScript download; its resize is compared, through the same network."""
    resize = pytest.importorskip("cleanfid.resize").build_resizer("clean")
    extractor = load_extractor("inception-clean", weights=inception_file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's, about the mode that clean-fid passes
        resized = [np.stack([resize(row) for row in batch.permute(0, 2, 3, 1).numpy()]) for batch in batches]
    peer = torch.cat([torch.from_numpy(batch).permute(0, 3, 1, 2) for batch in resized])
    mine = torch.cat([extractor.resize(batch) for batch in batches]) * 128 + 128
    assert float((mine - peer).abs().max()) < 0.01  # of 255
    with torch.no_grad():
        assert_close(extractor(mine / 128 - 1)[0], extractor(peer / 128 - 1)[0], 1e-4)


def test_the_three_differ_on_small_images(inception_file: Path, cifar: Tensor) -> None:
    """The resize alone moves the features: numbers of the three are not to be compared."""
    names = ("inception", "inception-pytorch", "inception-clean")
    features = [ours(name, inception_file, [cifar[:8]])[0] for name in names]
    spread = float(features[0].std(0).mean())
    for i in range(3):
        assert float((features[i] - features[i - 1]).abs().mean()) > 0.01 * spread
    assert len({load_extractor(name, weights=inception_file).fingerprint for name in names}) == 3


def test_torchmetrics_default_is_another_resize(photos: list[np.ndarray]) -> None:
    """torchmetrics antialiases by default since 1.8, so on images above 299 pixels it is none of the published FIDs."""
    from torch.nn.functional import interpolate

    from ganeval.extractors.inception import resize_pytorch

    for photo in photos:
        big = torch.from_numpy(photo).permute(2, 0, 1)[None]
        antialiased = interpolate(big.float(), (299, 299), mode="bilinear", align_corners=False, antialias=True)
        plain = (resize_pytorch(big) + 1) * 127.5
        assert float((antialiased - plain).abs().mean()) > 0.5  # of 255, on average over all pixels


def test_fid_end_to_end(inception_file: Path, pytorch_fid_net, cifar: Tensor) -> None:
    """On images to number: pytorch-fid's, torch-fidelity's and torchmetrics' FID, to 1e-4 relative."""
    from pytorch_fid.fid_score import calculate_frechet_distance
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.metric_fid import fid_statistics_to_metric

    import ganeval

    a, b = cifar[:24], cifar[24:]

    def value(name: str) -> float:
        return ganeval.score(
            a, b, extractor=name, metrics=["fid"], weights=inception_file, cache=False
        )["fid"].value  # fmt: skip

    def statistics(rows: Tensor) -> tuple[np.ndarray, np.ndarray]:
        rows = rows.double().numpy()
        return rows.mean(0), np.cov(rows, rowvar=False)

    peer = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(inception_file))
    with torch.no_grad():
        tf = [dict(zip(("mu", "sigma"), statistics(peer(part)[0]), strict=True)) for part in (a, b)]
        pf = [statistics(pytorch_fid_net(part.float() / 255)[0].flatten(1)) for part in (a, b)]
    fidelity = fid_statistics_to_metric(*tf, verbose=False)["frechet_inception_distance"]
    assert value("inception") == pytest.approx(fidelity, rel=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about the argument that it drops in 1.18
        try:
            pytorch = calculate_frechet_distance(*pf[0], *pf[1])
        except TypeError:
            pytest.skip("pytorch-fid 0.3.0 calls sqrtm(disp=...), which SciPy 1.18 no longer has")
    assert value("inception-pytorch") == pytest.approx(pytorch, rel=1e-4)
