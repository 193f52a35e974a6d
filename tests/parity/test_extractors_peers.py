"""The three Inception pre-processings give the features of the packages they are named after, image by image."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import ganeval
from ganeval.extractors import load_extractor
from ganeval.metrics import fid
from ganeval.reference import load_statistics

Images = list[Tensor]
HALF = 24


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
    return [cifar[:8], *(torch.from_numpy(photo).permute(2, 0, 1)[None].contiguous() for photo in photos)]


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


def test_spatial_inception_is_torch_fidelitys_middle_layer(inception_file: Path, batches: Images) -> None:
    """sFID's features: the 1 x 1 branch, which comes first, of the block that TensorFlow's graph calls mixed_6."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    peer = FeatureExtractorInceptionV3(
        "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(inception_file)
    )  # fmt: skip
    seen: list[Tensor] = []
    peer.Mixed_6d.register_forward_hook(lambda _module, _inputs, output: seen.append(output))
    with torch.no_grad():
        for batch in batches:
            peer(batch)
    places = torch.cat(seen)[:, :7].permute(0, 2, 3, 1)
    assert places.shape[1:] == (17, 17, 7)
    extractor = load_extractor("spatial-inception", weights=inception_file)
    with torch.no_grad():
        pooled, logits = zip(*(extractor(extractor.resize(batch)) for batch in batches), strict=True)
    assert_close(torch.cat(pooled), places.flatten(1), 1e-4)
    assert set(logits) == {None}


def test_statistics_for_sfid_are_taken_from_guided_diffusions_files(
    inception_file: Path, cifar: Tensor, tmp_path: Path
) -> None:
    net = load_extractor("spatial-inception", weights=inception_file)
    fake, real = (ganeval.extract(images, net, cache=False).pooled for images in (cifar[:8], cifar[8:16]))
    rows = real.double().numpy()
    file = tmp_path / "VIRTUAL.npz"
    np.savez(
        file, arr_0=np.zeros((2, 8, 8, 3), np.uint8), mu=np.zeros(2048), sigma=np.eye(2048),
        mu_s=rows.mean(0), sigma_s=np.cov(rows, rowvar=False),
    )  # fmt: skip
    assert len(load_statistics(file, "inception").mean) == 2048
    expected = fid(fake, real.double()).value
    report = ganeval.score(
        cifar[:8], file, extractor="spatial-inception", metrics=["fid"], weights=inception_file, cache=False
    )  # fmt: skip
    assert report["fid"].value == pytest.approx(expected, rel=1e-6)
    by_object = ganeval.Stream(net, reference=file).reference
    assert by_object
    np.testing.assert_array_equal(by_object.mean, rows.mean(0))


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
    features = [ours(name, inception_file, [cifar[:4]])[0] for name in names]
    spread = float(features[0].std(0).mean())
    for i in range(3):
        assert float((features[i] - features[i - 1]).abs().mean()) > 0.01 * spread
    assert len({load_extractor(name, weights=inception_file).fingerprint for name in names}) == 3


@pytest.fixture(scope="module")
def report(inception_file: Path, cifar: Tensor) -> ganeval.ScoreReport:
    metrics = ["fid", f"kid:subsets=1,subset_size={HALF}", "inception_score:splits=1", "precision:k=3", "recall:k=3"]
    return ganeval.score(
        cifar[:HALF], cifar[HALF:], extractor="inception", metrics=metrics, weights=inception_file, cache=False
    )  # fmt: skip


class Peers(torch.utils.data.Dataset):
    """Images as torch-fidelity takes them."""

    def __init__(self, images: Tensor) -> None:
        self.images = images

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, i: int) -> Tensor:
        return self.images[i]


def test_torch_fidelity_end_to_end(report: ganeval.ScoreReport, inception_file: Path, cifar: Tensor) -> None:
    """From images to five numbers. One KID subset of all images is the full unbiased estimate, in any order."""
    from torch_fidelity import calculate_metrics

    peer = calculate_metrics(
        input1=Peers(cifar[:HALF]), input2=Peers(cifar[HALF:]), cuda=False, verbose=False, cache=False,
        save_cpu_ram=True, feature_extractor="inception-v3-compat", feature_extractor_weights_path=str(inception_file),
        fid=True, kid=True, kid_subsets=1, kid_subset_size=HALF, isc=True, isc_splits=1, prc=True,
    )  # fmt: skip
    assert report["fid"].value == pytest.approx(peer["frechet_inception_distance"], rel=1e-4)
    # KID is near 0 here, a difference of means near 1, which set its rounding.
    assert report["kid"].value == pytest.approx(peer["kernel_inception_distance_mean"], abs=1e-5)
    # Random weights hardly tell classes apart, so what counts is how far the score is from 1.
    assert report["inception_score"].value - 1 == pytest.approx(peer["inception_score_mean"] - 1, rel=1e-4)
    assert report["inception_score"].value > 1.01
    assert report["precision"].value == pytest.approx(peer["precision"], abs=1e-6)
    assert report["recall"].value == pytest.approx(peer["recall"], abs=1e-6)


def torchmetrics_fid(weights: Path, antialias: bool):
    from torchmetrics.image.fid import FrechetInceptionDistance

    return FrechetInceptionDistance(2048, feature_extractor_weights_path=str(weights), antialias=antialias)


def test_torchmetrics_default_is_another_resize(inception_file: Path, cifar: Tensor) -> None:
    """Without antialias it resizes as TensorFlow 1 does; its default since 1.8 is none of the three protocols."""
    images = cifar[:4]
    with torch.no_grad():
        plain, default = (torchmetrics_fid(inception_file, antialias).inception(images) for antialias in (False, True))
    assert_close(ours("inception", inception_file, [images])[0], plain, 1e-4)
    for name in ("inception", "inception-pytorch"):
        difference = (ours(name, inception_file, [images])[0] - default).abs().mean()
        assert float(difference) > 1e-3 * float(default.std(0).mean())


@pytest.mark.slow
def test_torchmetrics_end_to_end(report: ganeval.ScoreReport, inception_file: Path, cifar: Tensor) -> None:
    fid = torchmetrics_fid(inception_file, antialias=False)
    fid.update(cifar[:HALF], real=False)
    fid.update(cifar[HALF:], real=True)
    assert report["fid"].value == pytest.approx(float(fid.compute()), rel=1e-4)


@pytest.mark.slow
def test_pytorch_fid_end_to_end(inception_file: Path, pytorch_fid_net, cifar: Tensor) -> None:
    from pytorch_fid.fid_score import calculate_frechet_distance

    mine = ganeval.score(
        cifar[:HALF], cifar[HALF:], extractor="inception-pytorch", metrics=["fid"], weights=inception_file, cache=False
    )  # fmt: skip
    with torch.no_grad():
        rows = pytorch_fid_net(cifar.float() / 255)[0].flatten(1).double().numpy()
    statistics = [part for half in (rows[:HALF], rows[HALF:]) for part in (half.mean(0), np.cov(half, rowvar=False))]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scipy's, about the argument that it drops in 1.18
        try:
            peer = calculate_frechet_distance(*statistics)
        except TypeError:
            pytest.skip("pytorch-fid 0.3.0 calls sqrtm(disp=...), which SciPy 1.18 no longer has")
    assert mine["fid"].value == pytest.approx(peer, rel=1e-4)


@pytest.mark.slow
def test_the_batch_size_moves_no_number_of_inception(inception_file: Path, cifar: torch.Tensor) -> None:
    """Convolutions in float32 round by batch; of the metrics' values that leaves less than a millionth."""
    reports = []
    for batch_size in (5, 48):
        features = ganeval.extract(cifar, "inception", weights=inception_file, batch_size=batch_size, cache=False)
        rows = torch.arange(24)
        reports.append(ganeval.score(features[rows], features[rows + 24], cache=False))
    few, all_at_once = reports
    assert len(few.metrics) >= 16
    for name in few.metrics:
        # KID is a small difference of kernel means that are 1 and more.
        near_zero = 1e-6 if name == "kid" else 0.0
        assert float(few[name]) == pytest.approx(float(all_at_once[name]), rel=1e-6, abs=near_zero), name
