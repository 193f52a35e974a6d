"""One package's FID of two folders in this process, measured: what `end_to_end` starts again and again.

python -m tests.benchmarks.packages NAME FAKE REAL WEIGHTS BATCH_SIZE

Imports come before the clock starts; loading the weights, decoding, resizing, the network and the distance after it.
"""

from __future__ import annotations

import inspect
import json
import resource
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

FLOP_PER_IMAGE = 11.422e9
"""Of the convolutions at 299 x 299, by torch.utils.flop_counter."""
Run = Callable[[], float]


def ganeval(extractor: str, precision: str) -> Callable[..., Run]:
    def prepare(fake: str, real: str, weights: str, batch: int) -> Run:
        import torchvision.models.inception  # noqa: F401

        from ganeval import scoring

        def run() -> float:
            report = scoring.score(
                fake, real, extractor=extractor, metrics=["fid"], weights=weights, cache=False,
                precision=precision, batch_size=batch,
            )  # fmt: skip
            return report["fid"].value

        return run

    return prepare


def pytorch_fid(fake: str, real: str, weights: str, batch: int) -> Run:
    import torch
    from pytorch_fid import fid_score, inception

    _old_sqrtm(fid_score.linalg)
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)
    return lambda: fid_score.calculate_fid_given_paths([fake, real], batch, "cpu", 2048, num_workers=0)


def pytorch_fid_features(fake: str, real: str, weights: str, batch: int) -> Run:
    """pytorch-fid's features and ganeval's distance: what is left of a difference is the network's."""
    import torch
    from pytorch_fid import fid_score, inception

    from ganeval.metrics.frechet import distance

    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights, weights_only=True)

    def run() -> float:
        net = inception.InceptionV3([inception.InceptionV3.BLOCK_INDEX_BY_DIM[2048]])
        sides = [
            fid_score.get_activations(sorted(Path(folder).iterdir()), net, batch, 2048, "cpu", num_workers=0)
            for folder in (fake, real)
        ]
        return distance(*map(torch.from_numpy, sides))

    return run


def torch_fidelity(fake: str, real: str, weights: str, batch: int) -> Run:
    from torch_fidelity import calculate_metrics

    def run() -> float:
        return calculate_metrics(
            input1=fake, input2=real, cuda=False, verbose=False, cache=False, save_cpu_ram=True, fid=True,
            feature_extractor="inception-v3-compat", feature_extractor_weights_path=weights, batch_size=batch,
        )["frechet_inception_distance"]  # fmt: skip

    return run


def torchmetrics(fake: str, real: str, weights: str, batch: int) -> Run:
    import numpy as np
    import torch
    from PIL import Image
    from torchmetrics.image.fid import FrechetInceptionDistance

    def run() -> float:
        fid = FrechetInceptionDistance(2048, feature_extractor_weights_path=weights, antialias=False)
        for folder in (fake, real):
            paths = sorted(Path(folder).iterdir())
            for i in range(0, len(paths), batch):
                images = [np.array(Image.open(path).convert("RGB")) for path in paths[i : i + batch]]
                fid.update(torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2), real=folder == real)
        return float(fid.compute())

    return run


def clean_fid(fake: str, real: str, weights: str, batch: int) -> Run:
    """Its own TorchScript network is a download: the same network in plain torch takes its place."""
    import torch
    from cleanfid import fid

    from ganeval.extractors.inception import TRUNK, network

    _old_sqrtm(fid.linalg)

    def run() -> float:
        net = network().eval()
        net.load_state_dict(torch.load(weights, weights_only=True))

        def features(images: torch.Tensor) -> torch.Tensor:
            x = (images - 128) / 128
            for name in TRUNK:
                x = net.get_submodule(name)(x)
            return x.mean((2, 3))

        return fid.compute_fid(
            fake, real, mode="clean", num_workers=0, batch_size=batch, device=torch.device("cpu"),
            custom_feat_extractor=features, verbose=False, use_dataparallel=False,
        )  # fmt: skip

    return run


def _old_sqrtm(linalg: object) -> None:
    """SciPy 1.18 has no sqrtm(disp=...), which pytorch-fid and clean-fid call; it gets it back."""
    new = linalg.sqrtm
    if "disp" not in inspect.signature(new).parameters:
        linalg.sqrtm = lambda matrix, disp=True: new(matrix) if disp else (new(matrix), None)


def forward(precision: str) -> Callable[..., Run]:
    """The network alone on 16 images: images a CPU second, the best of five."""

    def prepare(fake: str, real: str, weights: str, batch: int) -> Run:
        import torch

        from ganeval.allocator import pages_kept
        from ganeval.devices import in_precision
        from ganeval.extractors import load_extractor

        net = load_extractor("inception", weights=Path(weights))
        inputs = torch.rand(16, 3, 299, 299) * 2 - 1

        def run() -> float:
            with torch.no_grad(), pages_kept(), in_precision(torch.device("cpu"), precision):
                return 16 / _best(lambda: net(inputs))

        return run

    return prepare


def gemm(dtype: str) -> Callable[..., Run]:
    """A product of 2048 x 2048 matrices: GFLOP a CPU second, the best of ten and of MKL and oneDNN."""

    def prepare(*_: object) -> Run:
        import torch

        a, b = (torch.randn(2048, 2048).to(getattr(torch, dtype)) for _ in range(2))
        ways = [lambda: a @ b.T, lambda: torch.ops.mkldnn._linear_pointwise(a, b, None, "none", [], "")]
        return lambda: 2 * 2048**3 / 1e9 / min(_best(way, 10) for way in ways)

    return prepare


def _best(function: Callable[[], object], times: int = 5) -> float:
    seconds = []
    for _ in range(times + 1):
        began = time.process_time()
        function()
        seconds.append(time.process_time() - began)
    return min(seconds[1:])


PACKAGES: dict[str, Callable[..., Run]] = {
    "ganeval, inception-pytorch": ganeval("inception-pytorch", "fp32"),
    "pytorch-fid": pytorch_fid,
    "pytorch-fid's features, ganeval's distance": pytorch_fid_features,
    "ganeval, inception": ganeval("inception", "fp32"),
    "torch-fidelity": torch_fidelity,
    "torchmetrics, antialias=False": torchmetrics,
    "ganeval, inception-clean": ganeval("inception-clean", "fp32"),
    "clean-fid": clean_fid,
    "ganeval, inception, bf16": ganeval("inception", "bf16"),
}
LIMITS: dict[str, Callable[..., Run]] = {
    "forward fp32": forward("fp32"),
    "forward bf16": forward("bf16"),
    "gemm float32": gemm("float32"),
    "gemm bfloat16": gemm("bfloat16"),
}


def main(name: str, fake: str, real: str, weights: str, batch: str) -> None:
    warnings.simplefilter("ignore")
    run = {**PACKAGES, **LIMITS}[name](fake, real, weights, int(batch))
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    value = run()
    after, wall = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter() - began
    measured = {
        "value": value,
        "user": after.ru_utime - before.ru_utime,
        "system": after.ru_stime - before.ru_stime,
        "start": before.ru_utime + before.ru_stime,
        "wall": wall,
        "peak_mb": after.ru_maxrss / 1024,
    }
    print(json.dumps({key: float(number) for key, number in measured.items()}))


if __name__ == "__main__":
    main(*sys.argv[1:])
