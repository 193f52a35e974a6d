"""Extractors: shapes, fingerprints, the embedded classifiers' accuracy, and weights that do not fit."""

from __future__ import annotations

import copy
import json
import os
import sys
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.models.inception import BasicConv2d

import ganeval
from ganeval import allocator
from ganeval.errors import GanevalError
from ganeval.extractors import Wrapped, folding, load_extractor
from ganeval.extractors.inception import network, resize_tf1
from ganeval.images import open_images
from ganeval.registry import EXTRACTORS, ExtractorSpec

IMAGES = torch.from_numpy(np.random.RandomState(0).randint(256, size=(3, 3, 40, 50), dtype=np.uint8))


@pytest.mark.parametrize(("name", "least"), [("digits", 0.985), ("mnist", 0.994), ("cifar10", 0.78)])
def test_the_embedded_classifiers_are_accurate(
    name: str, least: float, request: pytest.FixtureRequest
) -> None:  # fmt: skip
    """Stated: digits 99.2%, MNIST 99.6%, CIFAR-10 re-encoded as JPEG 80.4%, here on 2,000 images of it."""
    root = None if name == "digits" else request.getfixturevalue("data_root")
    images = open_images(f"{name}:test" if name != "cifar10" else root / "cifar10-jpeg-test.zip", data_root=root)
    if name == "cifar10":
        images = images.subset(range(0, 10_000, 5))
    features = ganeval.extract(images, f"classifier:{name}", batch_size=500)
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


@pytest.mark.parametrize("name", ["pixels", "classifier:digits", "classifier:mnist", "classifier:cifar10"])
def test_batch_size_and_company_do_not_matter(name: str) -> None:
    alone = ganeval.extract(IMAGES, name, batch_size=1, cache=False)
    together = ganeval.extract(IMAGES, name, batch_size=3, cache=False)
    assert torch.allclose(alone.pooled, together.pooled, rtol=1e-5, atol=1e-6)
    assert alone.fingerprint == together.fingerprint


def test_colours_matter_to_the_classifier_of_cifar10_alone() -> None:
    """Two images of one luma: what MNIST's classifier sees is the same."""
    one = torch.zeros(1, 3, 32, 32)
    one[:, 0, 8:24] = 200
    other = torch.zeros(1, 3, 32, 32)
    other[:, 1, 8:24] = 200 * 0.299 / 0.587
    for name, same in (("classifier:mnist", True), ("classifier:cifar10", False)):
        extractor = load_extractor(name)
        a, b = (extractor(extractor.resize(x))[0] for x in (one, other))
        assert torch.allclose(a, b, atol=1e-4) == same
    assert "/bilinear32/" in load_extractor("classifier:cifar10").fingerprint


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
    assert "FID" not in report.to_text()
    assert any("not comparable with published" in warning for warning in report.warnings)
    assert report.extractor.dim == 2048


class Mean(nn.Module):
    def forward(self, images):
        return images.float().mean((2, 3)), images.float().amax((2, 3))


class Wider(nn.Module):
    def forward(self, images):
        return images.float().mean((2, 3)) * 2


class NeedsSize:
    def __init__(self, size):
        self.size = size


def means(images):
    return images.float().mean((2, 3))


def flat(images):
    return images.float().mean()


def half_the_rows(images):
    return images.float().mean((2, 3))[::2]


def nothing_at_all(images):
    pass


def three_parts(images):
    return (images.float().mean((2, 3)),) * 3


READY = load_extractor("pixels:3")
HERE = __name__


def test_an_imported_object() -> None:
    """A module's fingerprint follows its weights and its code, a function's its code; an Extractor stays itself."""
    one, two = nn.Conv2d(3, 2, 1), nn.Conv2d(3, 2, 1)
    assert Wrapped(one, "a").fingerprint != Wrapped(two, "a").fingerprint
    assert Wrapped(Mean(), "a").fingerprint != Wrapped(Wider(), "a").fingerprint
    features = ganeval.extract(IMAGES, f"{HERE}:Mean", cache=False)
    assert features.pooled.shape == features.logits.shape == (3, 3)
    assert torch.allclose(ganeval.extract(IMAGES, f"{HERE}:means", cache=False).pooled, features.pooled)
    assert load_extractor(f"{HERE}:READY") is READY
    assert not load_extractor(f"{HERE}:means").verified


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("incepton", "did you mean 'inception'"),
        ("torchvison:resnet18", "did you mean 'torchvision:resnet18'"),
        ("classifer:digits", "did you mean 'classifier:digits'"),
        ("classifier:digit", "did you mean 'digits'"),
        ("classifier", "classifier:<name>"),
        ("inception:clean", "has no variants"),
        ("dinov2:large", "has no variants"),
        (":net", "unknown extractor"),
        (".:net", "unknown extractor"),
        ("no_such_module_at_all:net", "can't be imported"),
        ("wants_a_package:net", "No module named 'not_installed_anywhere'"),
        ("breaks:net", "can't be imported"),
        ("HERE:nothing", "no attribute 'nothing'"),
        ("HERE:IMAGES", "is a Tensor"),
        ("HERE:NeedsSize", "missing a required argument: 'size'"),
        ("HERE:flat", r"must return features \(B, D\) for 3 images, got \(\)"),
        ("HERE:half_the_rows", r"for 3 images, got \(2, 3\)"),
        ("HERE:nothing_at_all", r"must return features \(B, D\) for 3 images, got NoneType"),
        ("HERE:three_parts", r"must return features \(B, D\) for 3 images, got tuple"),
    ],
)
def test_names_that_do_not_do(name: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "wants_a_package.py").write_text("import not_installed_anywhere")
    (tmp_path / "breaks.py").write_text("def net(:")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(GanevalError, match=message) as caught:
        ganeval.extract(IMAGES, name.replace("HERE", HERE), cache=False)
    assert "\n" not in str(caught.value)


def test_a_module_in_the_current_folder_is_found_and_shadows_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also by the installed command, whose sys.path begins with its own folder instead."""
    for name in ("lies_here", "colorsys"):
        (tmp_path / f"{name}.py").write_text("def net(images): return images.float().mean((2, 3))")
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path not in ("", os.getcwd())])
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    monkeypatch.chdir(tmp_path)
    assert ganeval.extract(IMAGES, "lies_here:net", cache=False).pooled.shape == (3, 3)
    with pytest.raises(GanevalError, match="'colorsys' has no attribute 'net'"):
        load_extractor("colorsys:net")


def test_an_imported_object_takes_no_weights(resnet_file: Path) -> None:
    with pytest.raises(GanevalError, match="leave out --weights"):
        load_extractor(f"{HERE}:Mean", weights=resnet_file)


def test_a_row_of_the_whole_name_goes_before_the_family(monkeypatch: pytest.MonkeyPatch) -> None:
    row = ExtractorSpec("classifier:lenet", lambda variant, weights: (variant, weights), "from another package")
    monkeypatch.setitem(EXTRACTORS, row.name, row)
    assert load_extractor("classifier:lenet", weights=Path("w")) == ("lenet", Path("w"))
    assert load_extractor("classifier:digits").name == "classifier:digits"


class Spy(Mean):
    """Resizes by a matrix product, which autocast would do in 8 bits of mantissa."""

    fingerprint = "spy"

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def resize(self, images):
        return images.float() @ torch.linspace(0, 1, 50).repeat(2, 1).T

    def forward(self, images):
        self.seen.append(images)
        return super().forward(images)


def test_reduced_precision_is_not_for_the_resize() -> None:
    spy = Spy()
    for precision in ("fp32", "bf16"):
        ganeval.extract(IMAGES, Wrapped(spy, "spy"), precision=precision, cache=False)
    assert torch.equal(*spy.seen)


def test_dinov2_and_clip_without_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name, package, extra in (("dinov2", "timm", "dinov2"), ("clip", "open_clip", "clip")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(GanevalError, match=rf"pip install 'ganeval\[{extra}\]'"):
            load_extractor(name)


def test_dinov2s_positions_are_fitted_as_the_original_does() -> None:
    """Cubic convolution (a = -0.75) without antialias, place i of 16 read at (i + 0.5) * 37 / 16.1 - 0.5."""
    from ganeval.extractors.dinov2 import fitted

    source = (np.arange(16) + 0.5) * 37 / 16.1 - 0.5
    low = np.floor(source).astype(int)
    cubic = np.zeros((16, 37))
    for step in (-1, 0, 1, 2):
        x = np.abs(source - low - step)
        near = 1.25 * x**3 - 2.25 * x**2 + 1
        far = -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
        np.add.at(cubic, (np.arange(16), np.clip(low + step, 0, 36)), np.where(x <= 1, near, far))
    positions = torch.randn(1, 1 + 37 * 37, 2)
    new = fitted(positions)
    assert torch.equal(new[0, 0], positions[0, 0])
    for k in range(2):
        expected = cubic @ positions[0, 1:, k].view(37, 37).double().numpy() @ cubic.T
        assert np.allclose(new[0, 1:, k].view(16, 16), expected, atol=1e-4)
    assert torch.equal(fitted(new), new)


@pytest.mark.slow
def test_dinov2_from_a_checkpoint_of_the_original_form(tmp_path: Path) -> None:
    timm = pytest.importorskip("timm")
    from ganeval.extractors import dinov2

    with torch.random.fork_rng():
        torch.manual_seed(0)
        big = timm.create_model(dinov2.MODEL, pretrained=False, num_classes=0)  # 518 pixels, as published
    # The original file has a mask token, which tells timm to convert it.
    state = {**big.state_dict(), "mask_token": torch.zeros(1, 1024)}
    path = tmp_path / "dinov2_vitl14_pretrain.pth"
    torch.save(state, path)
    extractor = load_extractor("dinov2", weights=path)
    with torch.no_grad():
        pooled, logits = extractor(extractor.resize(IMAGES[:1]))
    assert pooled.shape == (1, 1024)
    assert logits is None
    assert not extractor.verified
    assert torch.equal(extractor.net.pos_embed[:, :1], state["pos_embed"][:, :1])


@pytest.fixture
def tiny_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> nn.Module:
    """A CLIP of the same make, small."""
    open_clip = pytest.importorskip("open_clip")
    from ganeval.extractors import clip

    vision = {"image_size": 28, "layers": 1, "width": 64, "head_width": 32, "patch_size": 14}
    text = {"context_length": 8, "vocab_size": 32, "width": 32, "heads": 2, "layers": 1}
    config = {"embed_dim": 16, "quick_gelu": True, "vision_cfg": vision, "text_cfg": text}
    (tmp_path / "tiny-clip.json").write_text(json.dumps(config))
    open_clip.add_model_config(tmp_path / "tiny-clip.json")
    monkeypatch.setattr(clip, "MODEL", "tiny-clip")
    monkeypatch.setattr(clip, "SIZE", 28)
    torch.manual_seed(0)
    return open_clip.CLIP(**config).eval()


def test_clip_from_an_archive_as_openai_publishes_it(
    tiny_clip: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """TorchScript in half precision, opened only where the sha256 is the published one, and without a word."""
    from ganeval import weights
    from ganeval.files import sha256_file

    path = tmp_path / "ViT-L-14-336px.pt"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TorchScript is deprecated; it is what OpenAI published
        half = copy.deepcopy(tiny_clip).half()
        inputs = {"encode_image": torch.zeros(1, 3, 28, 28).half()}
        torch.jit.trace_module(half, inputs, check_trace=False).save(str(path))
    with pytest.raises(GanevalError, match="TorchScript"):
        load_extractor("clip", weights=path)
    published = replace(weights.KNOWN["clip"], sha256=sha256_file(path))
    monkeypatch.setitem(weights.KNOWN, "clip", published)
    extractor = load_extractor("clip", weights=path)
    assert extractor.verified
    with torch.no_grad():
        pooled, logits = extractor(extractor.resize(IMAGES))
        expected = tiny_clip.encode_image(extractor.resize(IMAGES))
    assert pooled.dtype == torch.float32
    assert logits is None
    assert torch.allclose(pooled, expected, atol=0.02)
    assert not caplog.records


def test_clip_sees_the_centre_square(tiny_clip: nn.Module, tmp_path: Path) -> None:
    torch.save(tiny_clip.state_dict(), tmp_path / "clip.pt")
    extractor = load_extractor("clip", weights=tmp_path / "clip.pt")
    assert torch.equal(extractor.resize(IMAGES), extractor.resize(IMAGES[..., 5:45]))


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


@pytest.mark.parametrize("by_onednn", [True, False])
def test_a_folded_convolution_is_convolution_normalisation_and_relu(
    by_onednn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_onednn:
        monkeypatch.setattr(folding, "_onednn", lambda: None)
    torch.manual_seed(0)
    block = BasicConv2d(8, 16, kernel_size=(3, 1), stride=2, padding=(1, 0)).eval()
    block.bn.running_mean.normal_()
    block.bn.running_var.uniform_(0.1, 2)
    nn.init.normal_(block.bn.weight)
    nn.init.normal_(block.bn.bias)
    x = torch.randn(2, 8, 9, 10)
    with torch.no_grad():
        whole = copy.deepcopy(block).double()(x.double())
        folded = folding.Folded(block)(x)
    assert float(whole.min()) == 0 < float(whole.max())
    assert torch.allclose(folded.double(), whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("by_onednn", [True, False])
def test_a_folded_block_is_the_block(by_onednn: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of block whose mean is taken after the convolution: at the borders, with biases of any sign."""
    if not by_onednn:
        monkeypatch.setattr(folding, "_onednn", lambda: None)
    torch.manual_seed(0)
    net = network().eval()
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_()
            nn.init.normal_(module.bias)
        elif isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight)
    blocks = {name: getattr(net, name) for name in ("Mixed_5b", "Mixed_6c", "Mixed_7b", "Mixed_7c")}
    inputs = {name: torch.rand(2, width, 5, 6) for name, width in zip(blocks, (192, 768, 1280, 2048), strict=True)}
    with torch.no_grad():
        whole = {name: copy.deepcopy(block).double()(inputs[name].double()) for name, block in blocks.items()}
        folding.fold(net)
        for name, expected in whole.items():
            found = net.get_submodule(name)(inputs[name].contiguous(memory_format=torch.channels_last))
            assert torch.allclose(found.double(), expected, rtol=1e-4, atol=1e-5 * float(expected.std())), name
            again = copy.deepcopy(net.get_submodule(name))(inputs[name].contiguous(memory_format=torch.channels_last))
            assert torch.equal(again, found), name


@pytest.mark.skipif(allocator._glibc() is None, reason="the C library is not glibc")
def test_freed_pages_are_kept_for_the_next_batch_and_then_handed_back() -> None:
    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    size = 200_000_000
    with allocator.pages_kept():
        pass  # its end hands back what other tests have freed, which the batch would take up instead of new pages
    before = resident()
    with allocator.pages_kept():
        batch = torch.ones(size, dtype=torch.uint8)
        del batch
        assert resident() > before + 0.9 * size
    assert resident() < before + 0.1 * size
