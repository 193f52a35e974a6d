"""Inside torchmetrics and Lightning: the functions' numbers, over DDP, resets, copies and checkpoints."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

import ganeval
from ganeval.errors import GanevalError
from ganeval.extractors import load_extractor
from ganeval.images import batches
from ganeval.metrics import coverage, density, fid, inception_score, kid, one_nn_accuracy, precision, recall
from tests.test_streaming import TRUE, X, Y, pixels

torchmetrics = pytest.importorskip("torchmetrics")
from ganeval.integrations.torchmetrics import FID, KID, PRDC, InceptionScore, OneNNAccuracy  # noqa: E402

KINDS: dict[str, Any] = {
    "fid": lambda: FID(None, dim=6),
    "kid": lambda: KID(None, subsets=10, subset_size=50),
    "kid of few pairs": lambda: KID(None, subsets=10, subset_size=20),
    "one_nn": lambda: OneNNAccuracy(None),
    "prdc": lambda: PRDC(None),
}


def expected(name: str) -> Any:
    if name == "prdc":
        return {metric.__name__: metric(X, Y).value for metric in (precision, recall, density, coverage)}
    return {
        "fid": TRUE,
        "kid": kid(X, Y, subsets=10, subset_size=50).value,
        "kid of few pairs": kid(X, Y, subsets=10, subset_size=20).value,
        "one_nn": one_nn_accuracy(X, Y).value,
    }[name]


def numbers(found: Any) -> Any:
    return {key: float(value) for key, value in found.items()} if isinstance(found, dict) else float(found)


def fed(metric: Any) -> Any:
    for batch in Y.split(64):
        metric.update(batch, real=True)
    for batch in X.split(64):
        metric.update(batch, real=False)
    return metric


@pytest.mark.parametrize("name", KINDS)
def test_they_are_the_functions(name: str) -> None:
    assert numbers(fed(KINDS[name]()).compute()) == pytest.approx(expected(name), rel=1e-9)


@pytest.mark.filterwarnings("ignore:The ``compute`` method")
@pytest.mark.parametrize("name", KINDS)
def test_reset_keeps_the_real_images(name: str) -> None:
    metric = fed(KINDS[name]())
    metric.reset()
    with pytest.raises(GanevalError):
        metric.compute()
    metric.update(X, real=False)
    assert numbers(metric.compute()) == pytest.approx(expected(name), rel=1e-9)
    metric.reset_real_features = True
    metric.reset()
    metric.update(X, real=False)
    with pytest.raises(GanevalError):
        metric.compute()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda metric: pickle.loads(pickle.dumps(metric)), lambda m: m.clone()]
)
def test_copies_carry_what_was_seen(name: str, copied: Any) -> None:
    assert numbers(copied(fed(KINDS[name]())).compute()) == pytest.approx(expected(name), rel=1e-9)


def test_images_go_through_the_extractor(caplog: pytest.LogCaptureFixture) -> None:
    batches._say_dark.cache_clear()
    fake, real = pixels("digits:train", 200), pixels("digits:test", 200)
    metric, score = FID("classifier:digits"), InceptionScore("classifier:digits")
    metric.update(fake, real=False)
    metric.update(real, real=True)
    score.update(fake)
    features = [ganeval.extract(side, "classifier:digits", cache=False) for side in (fake, real)]
    assert float(metric.compute()) == pytest.approx(fid(*(f.pooled for f in features)).value, rel=1e-6)
    assert float(score.compute()) == pytest.approx(inception_score(features[0].logits).value, rel=1e-9)
    assert metric.state_dict() == {}, "no weights in a checkpoint"
    assert not caplog.records
    with pytest.raises(GanevalError, match="no class logits"):
        InceptionScore("pixels:8").update(fake)


def test_torchmetrics_own_fid_says_the_same() -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    theirs = fed(FrechetInceptionDistance(Six(), input_img_size=(6, 1, 1)))
    assert float(theirs.compute()) == pytest.approx(float(fed(FID(None, dim=6)).compute()), rel=1e-4)


class Six(nn.Module):
    """Features as they are, for torchmetrics, which asks how many there are."""

    num_features = 6

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), -1)[:, :6]


def test_a_collection_of_them() -> None:
    metrics = torchmetrics.MetricCollection({name: make() for name, make in KINDS.items() if name != "prdc"})
    found = fed(metrics).compute()
    assert {name: float(found[name]) for name in found} == pytest.approx({n: expected(n) for n in found}, rel=1e-9)


def test_the_inception_score_of_a_collection_is_that_of_the_fakes() -> None:
    fake, real = pixels("digits:train", 120), pixels("digits:test", 60)
    together = torchmetrics.MetricCollection([FID("classifier:digits"), InceptionScore("classifier:digits")])
    for batch in fake.split(50):
        together.update(batch, real=False)
    together.update(real, real=True)
    together.update(real[:0], real=False)
    logits = ganeval.extract(fake, "classifier:digits", cache=False).logits
    assert float(together.compute()["InceptionScore"]) == pytest.approx(inception_score(logits).value, rel=1e-5)


def test_widths_that_do_not_fit() -> None:
    with pytest.raises(GanevalError, match="6 features"):
        FID(None, dim=10).update(X, real=True)


@pytest.mark.parametrize("metric", [FID, KID, PRDC, OneNNAccuracy])
def test_a_batch_of_which_the_network_makes_no_numbers_is_refused(metric: Any) -> None:
    def contrast(images: torch.Tensor) -> torch.Tensor:
        rows = images.float().flatten(1)[:, :4]
        return (rows - rows.mean(1, keepdim=True)) / rows.std(1, keepdim=True)  # 0 / 0 where all is grey

    images = torch.randint(256, (60, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))
    flat = images.clone()
    flat[7] = 90
    for real in (True, False):
        with pytest.raises(GanevalError, match="the batch has NaN or infinity in 1 of 60 rows"):
            metric(contrast).update(flat, real=real)


def test_metrics_of_one_extractor_compute_a_batch_once() -> None:
    net = load_extractor("classifier:digits")
    calls: list[int] = []
    net.register_forward_hook(lambda _, inputs, __: calls.append(len(inputs[0])))
    together = torchmetrics.MetricCollection([FID(net), KID(net, subsets=2, subset_size=10), PRDC(net)])
    calls.clear()  # FID has asked for the features' width
    fake, real = pixels("digits:train", 60), pixels("digits:test", 60)
    together.update(real, real=True)
    together.update(fake, real=False)
    assert calls == [60, 60]
    memory = fake.clone()
    together.update(memory, real=False)
    memory.copy_(real)  # as a loader that writes each batch into the same memory
    together.update(memory, real=False)
    assert calls == [60, 60, 60], "the same pixels again are the same batch"
    one, two = FID("classifier:digits"), PRDC("classifier:digits")
    assert one._extractor is two._extractor
    assert one.clone()._extractor is one._extractor
    apart = KID(net, subsets=2, subset_size=10)
    for batch in (fake, fake, real):
        apart.update(batch, real=False)
    apart.update(real, real=True)
    assert float(together.compute()["KID"]) == float(apart.compute())


RANK = """
import sys
import torch.distributed as dist
from tests.test_integrations import KINDS, X, Y, numbers
rank, world = int(sys.argv[1]), int(sys.argv[2])
dist.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=world)
for name, make in KINDS.items():
    metric = make()
    # In the order of ranks these are X and Y; 300 and 400 rows do not divide into equal batches.
    metric.update(X[:137] if rank == 0 else X[137:], real=False)
    metric.update(Y[:201] if rank == 0 else Y[201:], real=True)
    print(name, numbers(metric.compute()), sep="|", flush=True)
for name, make in KINDS.items():
    metric = make()
    # Each rank has one side alone; and one of them has none at all.
    if rank == 0:
        metric.update(Y, real=True)
    else:
        metric.update(X, real=False)
    print("sides " + name, numbers(metric.compute()), sep="|", flush=True)
    metric = make()
    if rank == 0:
        metric.update(Y, real=True)
        metric.update(X, real=False)
    print("alone " + name, numbers(metric.compute()), sep="|", flush=True)
dist.destroy_process_group()
"""


@pytest.mark.filterwarnings("default")
def test_two_processes_come_to_what_one_comes_to(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-c", RANK]
    ranks = [
        subprocess.Popen([*command, str(rank), "2", str(tmp_path / "meet")], env=environment, stdout=-1, text=True)
        for rank in range(2)
    ]
    for process in ranks:
        lines = [line.split("|") for line in process.communicate(timeout=240)[0].splitlines() if "|" in line]
        found = {name: eval(text) for name, text in lines}
        assert len(found) == 3 * len(KINDS)
        for name in KINDS:
            for how in ("", "sides ", "alone "):
                assert found[how + name] == pytest.approx(expected(name), rel=1e-9), how + name


# Lightning


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("looks", [None, 1])
def test_lightning_logs_the_scores_of_samples(looks: int | None, tmp_path: Path) -> None:
    lightning = pytest.importorskip("lightning.pytorch")
    from ganeval.integrations.lightning import ScoreSamples
    from tests.learner import Learner

    real = pixels("digits:test", 300)
    modes: list[bool] = []
    learner = Learner()
    learner.frozen = torch.nn.BatchNorm1d(3).eval()
    thawed: list[bool] = []

    # The samples are real digits, brighter from epoch to epoch.
    def sample(module: Any, n: int) -> torch.Tensor:
        modes.append(module.training or torch.is_grad_enabled())
        return sample_of(module.current_epoch)[:n]

    logged: list[dict[str, float]] = []

    class Keep(lightning.Callback):  # type: ignore[misc, name-defined]
        def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
            thawed.append(pl_module.frozen.training)
            logged.append({k: float(v) for k, v in trainer.callback_metrics.items() if k.startswith("ganeval/")})

    scores = ScoreSamples(
        sample, real, n=100, every_n_epochs=2, metrics=["fid"], extractor="classifier:digits", looks=looks
    )
    trainer = lightning.Trainer(
        max_epochs=4, accelerator="cpu", logger=False, enable_checkpointing=False, enable_progress_bar=False,
        enable_model_summary=False, default_root_dir=tmp_path, callbacks=[scores, Keep()],
    )  # fmt: skip
    trainer.fit(learner, torch.utils.data.DataLoader(torch.zeros(4, 1), batch_size=2))
    assert modes == [False, False], "every second epoch, in evaluation mode and without gradients"
    assert not any(thawed), "what was in evaluation mode within a training module stays so"
    first, second = logged[1], logged[3]
    darker = ganeval.score(sample_of(1), real, extractor="classifier:digits", metrics=["fid"], cache=False)
    assert first["ganeval/fid"] == pytest.approx(darker["fid"].value, rel=1e-5)
    assert second["ganeval/fid"] > first["ganeval/fid"]
    assert first["ganeval/collapsed"] == 0
    if looks:
        assert scores.monitor is not None
        assert len(scores.monitor.history) == 1, "no more verdicts than alpha was planned for"
        again = ScoreSamples(sample, real, extractor="classifier:digits", looks=looks)
        again.load_state_dict(scores.state_dict())
        assert again.state_dict() == scores.state_dict()


def sample_of(epoch: int) -> torch.Tensor:
    return (pixels("digits:train", 100).int() + 40 * epoch).clamp(0, 255).to(torch.uint8)
