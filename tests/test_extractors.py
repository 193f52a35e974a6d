"""Extractors: shapes, fingerprints, the embedded classifiers' accuracy, and weights that do not fit."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

import ganeval
from ganeval.errors import GanevalError
from ganeval.extractors import load_extractor
from ganeval.extractors.inception import network, resize_tf1
from ganeval.images import open_images

IMAGES = torch.from_numpy(np.random.RandomState(0).randint(256, size=(3, 3, 40, 50), dtype=np.uint8))


@pytest.mark.parametrize(("name", "least"), [("digits", 0.985), ("mnist", 0.994)])
def test_the_embedded_classifiers_are_accurate(
    name: str, least: float, request: pytest.FixtureRequest
) -> None:  # fmt: skip
    """Stated: digits 99.2%, MNIST 99.6%."""
    root = request.getfixturevalue("data_root") if name == "mnist" else None
    features = ganeval.extract(f"{name}:test", f"classifier:{name}", data_root=root, batch_size=500)
    right = features.logits.argmax(1) == features.labels
    assert float(right.float().mean()) >= least
    weights = Path(ganeval.__file__).parent / f"extractors/weights/{name}.pt"
    assert weights.stat().st_size < 2_000_000


def test_pixels_are_the_pixels() -> None:
    extractor = load_extractor("pixels:8")
    small = torch.arange(192).view(1, 3, 8, 8).to(torch.uint8)
    pooled, logits = extractor(extractor.resize(small))
    assert torch.allclose(pooled, small.flatten(1) / 255)
    assert logits is None
    with pytest.raises(GanevalError, match="pixels:32"):
        load_extractor("pixels:big")


@pytest.mark.parametrize("name", ["pixels", "classifier:digits", "classifier:mnist"])
def test_batch_size_and_company_do_not_matter(name: str) -> None:
    alone = ganeval.extract(IMAGES, name, batch_size=1, cache=False)
    together = ganeval.extract(IMAGES, name, batch_size=3, cache=False)
    assert torch.allclose(alone.pooled, together.pooled, rtol=1e-5, atol=1e-6)
    assert alone.fingerprint == together.fingerprint


def test_mixed_sizes_keep_their_order(tmp_path: Path) -> None:
    sizes = [(8, 8), (20, 10), (8, 8), (5, 9), (20, 10)]
    for i, (width, height) in enumerate(sizes):
        Image.new("RGB", (width, height), (40 * i, 0, 0)).save(tmp_path / f"{i}.png")
    features = ganeval.extract(tmp_path, "pixels:2", batch_size=4)
    assert torch.allclose(features.pooled[:, 0], torch.arange(5) * 40 / 255)
    assert features.survey.sizes == {"8x8": 2, "20x10": 2, "5x9": 1}


def test_workers_change_nothing(tmp_path: Path) -> None:
    for i in range(7):
        Image.fromarray(np.random.RandomState(i).randint(256, size=(9, 9, 3), dtype=np.uint8)).save(
            tmp_path / f"{i}.png"
        )
    one, two = (ganeval.extract(tmp_path, "pixels:4", workers=n, batch_size=2, cache=False) for n in (0, 2))
    assert torch.equal(one.pooled, two.pooled)
    assert np.array_equal(one.survey.digests, two.survey.digests)


def test_tf1_resize_by_hand() -> None:
    """Doubling a row of 2: sources 0, 0.5, 1, 1.5, the last clamped; here in 299 columns, at i * 2 / 299."""
    image = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    image[..., 1] = 200
    row = resize_tf1(image)[0, 0, 0] * 128 + 128
    source = torch.arange(299) * 2 / 299
    assert torch.allclose(row, torch.where(source < 1, 200 * source, 200.0), atol=1e-3)


@pytest.fixture(scope="module")
def resnet_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "resnet18.pth"
    torch.save(resnet18(weights=None).state_dict(), path)
    return path


def test_torchvision_gives_what_enters_the_last_layer(resnet_file: Path) -> None:
    from torchvision.models import ResNet18_Weights, resnet18

    extractor = load_extractor("torchvision:resnet18", weights=resnet_file)
    net = resnet18(weights=None)
    net.load_state_dict(torch.load(resnet_file, weights_only=True))
    with torch.no_grad():
        pooled, logits = extractor(extractor.resize(IMAGES))
        inputs = ResNet18_Weights.DEFAULT.transforms()(IMAGES)
        assert torch.allclose(net.eval()(inputs), logits, atol=1e-5)
        assert torch.allclose(net.fc(pooled), logits, atol=1e-5)
    assert not extractor.verified
    assert extractor.weights_sha256[:8] in extractor.fingerprint


def test_torchvision_names(resnet_file: Path) -> None:
    with pytest.raises(GanevalError, match="did you mean 'resnet18'"):
        load_extractor("torchvision:resnet81")
    with pytest.raises(GanevalError, match="torchvision:<model>"):
        load_extractor("torchvision")
    with pytest.raises(GanevalError, match="is not for this network"):
        load_extractor("torchvision:resnet34", weights=resnet_file)


def test_weights_of_another_network_and_none(resnet_file: Path, tmp_path: Path) -> None:
    with pytest.raises(GanevalError, match="is not for this network"):
        load_extractor("inception", weights=resnet_file)
    with pytest.raises(GanevalError, match="no weights file"):
        load_extractor("inception", weights=tmp_path / "nothing.pth")


def test_inception_from_a_file_is_not_called_fid(tmp_path: Path) -> None:
    torch.manual_seed(0)
    path = tmp_path / "w.pth"
    torch.save(network().state_dict(), path)
    report = ganeval.score(IMAGES, IMAGES.flip(3), extractor="inception", weights=path, metrics=["fid"])
    assert "FD" in report.to_text()
    assert "FID" not in report.to_text().replace("FID can't", "")
    assert any("not comparable with published" in warning for warning in report.warnings)
    assert report.extractor.dim == 2048


class Mean(nn.Module):
    def forward(self, images):
        return images.float().mean((2, 3)), images.float().amax((2, 3))


def test_an_object_with_logits_and_a_fingerprint_of_its_weights() -> None:
    from ganeval.extractors import Wrapped

    one, two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
    assert Wrapped(one, "a").fingerprint != Wrapped(two, "a").fingerprint
    features = ganeval.extract(IMAGES, Wrapped(Mean(), "mean"), cache=False)
    assert features.pooled.shape == features.logits.shape == (3, 3)


def test_dinov2_and_clip_without_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name, package, extra in (("dinov2", "timm", "dinov2"), ("clip", "open_clip", "clip")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(GanevalError, match=rf"pip install 'ganeval\[{extra}\]'"):
            load_extractor(name)


@pytest.mark.slow
def test_dinov2_from_a_checkpoint_of_the_original_form(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from ganeval.extractors import dinov2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        big = timm.create_model(dinov2.MODEL, pretrained=False, num_classes=0)  # 518 pixels, as published
    state = big.state_dict()
    renamed = {key.replace(".ls1.gamma", ".ls1.gamma"): value for key, value in state.items()}
    # The original file has a mask token, which tells timm to convert it.
    renamed["mask_token"] = torch.zeros(1, 1024)
    path = tmp_path / "dinov2_vitl14_pretrain.pth"
    torch.save(renamed, path)
    extractor = load_extractor("dinov2", weights=path)
    with torch.no_grad():
        pooled, logits = extractor(extractor.resize(IMAGES[:1]))
    assert pooled.shape == (1, 1024)
    assert logits is None
    assert not extractor.verified


@pytest.mark.slow
def test_clip_from_a_state_dict(tmp_path: Path) -> None:
    open_clip = pytest.importorskip("open_clip")
    from ganeval.extractors import clip

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = open_clip.create_model(clip.MODEL, pretrained=None)
    path = tmp_path / "clip.pt"
    torch.save(net.state_dict(), path)
    extractor = load_extractor("clip", weights=path)
    with torch.no_grad():
        pooled, _ = extractor(extractor.resize(IMAGES[:1]))
        assert torch.allclose(pooled, net.eval().encode_image(extractor.resize(IMAGES[:1])), atol=1e-4)
    assert pooled.shape == (1, 768)


def test_open_images_is_what_the_extractors_see() -> None:
    assert torch.equal(open_images(IMAGES)[1].pixels, IMAGES[1])
