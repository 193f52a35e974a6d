"""The training loop: whose weights move, on what randomness, at which rates, and that a stopped run ends the same."""

from __future__ import annotations

import math
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from ganeval_baselines import data as datasets
from ganeval_baselines import evaluate
from ganeval_baselines import train as harness
from ganeval_baselines.base import GAN, Model
from ganeval_baselines.checkpoint import State
from ganeval_baselines.data import Batch, rng
from ganeval_baselines.log import Log
from ganeval_baselines.plan import Run, plan
from ganeval_baselines.train import build, one_step, train
from torch import Tensor

from tests.baselines.conftest import CPU, MODELS, ON_POINTS, data_of, home_of, run_of

EVERYWHERE = [(model, "digits") for model in MODELS] + [(model, "ring8") for model in ON_POINTS]


def steps_of(run: Run, n: int, state: State | None = None) -> State:
    """The state after n steps, without the files."""
    state = state or build(run, CPU)
    for _ in range(n):
        one_step(state, run, {}, CPU)
        state.step += 1
    return state


def at_each_move(state: State, call: Callable[[str], None], before: bool = True) -> None:
    """Calls `call(player)` around every optimiser step."""
    for player, optimiser in state.model.optimisers.items():

        def hook(*_: Any, player: str = player) -> None:
            call(player)

        (optimiser.register_step_pre_hook if before else optimiser.register_step_post_hook)(hook)


# Moves


@pytest.mark.parametrize("model", MODELS)
def test_a_move_touches_its_own_player_alone(model: str) -> None:
    run = run_of(model, home_of(model))
    state = build(run, CPU)
    weights = dict(state.model.named_parameters())
    own = {player: {id(weight) for weight in state.model.weights(player)} for player in state.model.players}
    slopes: dict[str, Tensor | None] = {}
    values: dict[str, Tensor] = {}
    moved: list[str] = []

    def before(player: str) -> None:
        for name, weight in weights.items():
            if id(weight) not in own[player]:
                kept = slopes.get(name)
                assert weight.grad is kept or torch.equal(weight.grad, kept), f"{player} gave {name} a slope"  # type: ignore
        values.update({name: weight.detach().clone() for name, weight in weights.items()})

    def after(player: str) -> None:
        moved.append(player)
        for name, weight in weights.items():
            assert id(weight) in own[player] or torch.equal(weight, values[name]), f"{player} moved {name}"
        assert any(not torch.equal(weights[name], values[name]) for name in weights)
        slopes.update({name: None if w.grad is None else w.grad.clone() for name, w in weights.items()})

    at_each_move(state, before)
    at_each_move(state, after, before=False)
    steps_of(run, 4, state)
    # One optimiser step a move, of which the first player has one in every step.
    assert {player: moved.count(player) for player in state.model.players} == state.turns
    assert state.turns["discriminator"] == 4
    assert state.turns["generator"] == (2 if model in ("wgan", "wgan_gp") else 4)


def test_the_players_take_turns_as_wgan_s_schedule_says() -> None:
    run = run_of("wgan", steps=400, batch_size=2, warm_up=10, critic_steps=3)
    state, order = build(run, CPU), []
    at_each_move(state, lambda player: order.append(player[0]))
    steps_of(run, 280, state)
    assert "".join(order) == ("d" * 10 + "g") * 25 + ("ddd" + "g") * 10


def test_a_move_is_one_step_on_the_sum_of_the_terms() -> None:
    run = run_of("wgan_gp", optimiser="sgd", learning_rate=0.1, decay="none")
    state, twin = build(run, CPU), build(run, CPU)
    seen: list[int] = []
    at_each_move(state, lambda _: seen.append(torch.initial_seed()))
    steps_of(run, 1, state)
    torch.manual_seed(seen[0])
    terms = twin.model.loss("discriminator", run.data.batch(0, 0, 16))
    assert set(terms) == {"adversarial", "penalty"}
    critic = twin.model.weights("discriminator")
    slopes = torch.autograd.grad(terms["adversarial"] + terms["penalty"], critic)
    for weight, old, slope in zip(state.model.weights("discriminator"), critic, slopes, strict=True):
        torch.testing.assert_close(weight, old - 0.1 * slope)


@pytest.mark.parametrize(("decay", "last"), [("linear", 1 / 8), ("none", 1.0)])
def test_rates_decay_in_a_line_to_nothing(decay: str, last: float) -> None:
    run = run_of("nsgan", steps=8, decay=decay, learning_rate=0.01, generator_learning_rate=0.002)
    state, rates = build(run, CPU), []
    at_each_move(state, lambda player: rates.append((player, state.model.optimisers[player].param_groups[0]["lr"])))
    steps_of(run, 8, state)
    scales = [1 - s / 8 if decay == "linear" else 1.0 for s in range(8)]
    assert [rate for player, rate in rates if player == "discriminator"] == pytest.approx([0.01 * s for s in scales])
    assert [rate for player, rate in rates if player == "generator"] == pytest.approx([0.002 * s for s in scales])
    assert rates[-1][1] == pytest.approx(0.002 * last)


@pytest.mark.parametrize("optimiser", ["adam", "rmsprop", "sgd"])
def test_the_optimiser_is_the_one_asked_for(optimiser: str) -> None:
    state = build(run_of("nsgan", optimiser=optimiser, beta1=0.3, beta2=0.7), CPU)
    made = state.model.optimisers["generator"]
    assert type(made).__name__.lower() == optimiser
    assert made.defaults.get("betas", (0.3, 0.7)) == (0.3, 0.7)


def test_the_moving_average_by_hand() -> None:
    run = run_of("nsgan", "digits", ema=0.75)
    state = build(run, CPU)
    assert state.average is not None
    want = {name: weight.detach().clone() for name, weight in state.model.named_parameters()}
    for _ in range(3):
        steps_of(run, 1, state)
        for name, weight in state.model.named_parameters():
            want[name] = 0.75 * want[name] + 0.25 * weight.detach()
    for name, weight in state.average.named_parameters():
        torch.testing.assert_close(weight, want[name])
        assert not torch.equal(weight, dict(state.model.named_parameters())[name])
    for slow, fast in zip(state.average.buffers(), state.model.buffers(), strict=True):
        assert torch.equal(slow, fast)
    assert state.sampler is state.average
    assert build(run_of("nsgan"), CPU).average is None


# Randomness


def test_the_weights_are_a_function_of_the_seed() -> None:
    runs = [run_of("nsgan", seed=seed) for seed in (1, 1, 2)]
    one, again, other = (steps_of(run, 3).model.state_dict() for run in runs if torch.manual_seed(id(run) % 1000))
    assert all(torch.equal(one[name], again[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_noise_is_not_the_data_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    run = run_of("nsgan", batch_size=128)
    state, drawn = build(run, CPU), []
    latents = type(state.model).latents  # type: ignore[attr-defined]
    monkeypatch.setattr(type(state.model), "latents", lambda self, n: drawn.append(latents(self, n)) or drawn[-1])
    steps_of(run, 2, state)
    random = rng(run.seed, 1)
    torch.randint(8, (128,), generator=random)
    spread = torch.randn(128, 2, generator=random)
    assert run.data.batch(run.seed, 1, 128).real.sub(0.01 * spread).norm(dim=1).sub(1).abs().max() < 1e-5
    assert not torch.isin(spread, torch.cat(drawn[2:])).any()


def test_every_stream_of_a_run_is_another(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    used: list[int] = []
    stream = datasets.stream
    for module in (datasets, harness):
        monkeypatch.setattr(module, "stream", lambda *numbers: used.append(stream(*numbers)) or used[-1])
    run = run_of("nsgan", steps=5)
    steps_of(run, 5)
    # The initial weights, and of each step the batch and the noise.
    assert len(used) == len(set(used)) == 1 + 2 * 5


def test_looking_changes_nothing(folder: Path) -> None:
    run = run_of("infogan", "digits", steps=6)

    def look(state: State) -> dict[str, float]:
        evaluate.draw(state.sampler, run.data, 20, 7)
        return {"seen": float(state.step)}

    seen = train(run, folder / "seen", look=look, look_every=2)
    unseen = train(run, folder / "unseen")
    assert same(seen.model.state_dict(), unseen.model.state_dict())
    assert [line["metrics"] for line in Log(folder / "seen/log.jsonl").lines() if "metrics" in line] == [
        {"seen": 2.0}, {"seen": 4.0}, {"seen": 6.0},
    ]  # fmt: skip


# Budget and log


@pytest.mark.parametrize(("examples", "steps"), [(64, 4), (65, 5), (1, 1)])
def test_the_budget_is_in_examples_of_the_discriminator(examples: int, steps: int, folder: Path) -> None:
    run = plan("wgan_gp", data_of("ring8"), 0, examples, {"batch_size": "16", "critic_steps": "2"})
    assert run.steps == steps
    state = train(run, folder)
    assert state.turns == {"discriminator": steps, "generator": steps // 2}
    assert Log(folder / "log.jsonl").lines()[-1]["examples"] == steps * 16


def test_the_log_holds_the_mean_of_each_term(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LOG_EVERY", 2)
    seen: dict[str, list[float]] = {}
    loss = GAN.loss

    def watched(self: Model, player: str, batch: Batch) -> dict[str, Tensor]:
        terms = loss(self, player, batch)
        for name, value in terms.items():
            seen.setdefault(f"{player}/{name}", []).append(value.item())
        return terms

    monkeypatch.setattr(GAN, "loss", watched)
    train(run_of("wgan_gp", steps=5), folder)
    lines = Log(folder / "log.jsonl").lines()
    assert [line["step"] for line in lines] == [2, 4, 5]
    for name in ("discriminator/adversarial", "discriminator/penalty"):
        want = [sum(part) / len(part) for part in (seen[name][:2], seen[name][2:4], seen[name][4:])]
        assert [line["loss"][name] for line in lines] == pytest.approx(want, rel=1e-6)
    # The generator moved in steps 2 and 4.
    assert [line["loss"].get("generator/adversarial") for line in lines[:2]] == pytest.approx(
        seen["generator/adversarial"], rel=1e-6
    )
    assert "generator/adversarial" not in lines[2]["loss"]


# Divergence


def spoil(
    monkeypatch: pytest.MonkeyPatch,
    at: int,
    spoiled: Callable[[Tensor, Tensor], Tensor],
    victim: str = "discriminator",
) -> None:
    """From a player's move number `at`, its adversarial loss is what spoiled(loss, one of its weights) gives."""
    kind, moves = GAN, [0]
    loss = kind.loss

    def bad(self: Model, player: str, batch: Batch) -> dict[str, Tensor]:
        terms = loss(self, player, batch)
        moves[0] += player == victim
        weight = self.weights(victim)[-1]
        if player == victim and moves[0] >= at:
            terms["adversarial"] = spoiled(terms["adversarial"], weight)
        return terms

    monkeypatch.setattr(kind, "loss", bad)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_diverged_run_stops_and_says_so(folder: Path, monkeypatch: pytest.MonkeyPatch, value: float) -> None:
    monkeypatch.setattr(harness, "LOG_EVERY", 4)
    spoil(monkeypatch, 6, lambda loss, _: loss * value)
    run = run_of("nsgan", steps=40)
    state = train(run, folder)
    assert state.step == 8
    assert state.diverged == "discriminator/adversarial is not finite by step 8"
    assert Log(folder / "log.jsonl").lines()[-1]["loss"]["discriminator/adversarial"] is None
    # Run again, it is the result still.
    assert train(run, folder).diverged == state.diverged
    assert train(run, folder).step == 8


def test_a_run_that_diverged_is_not_scored(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Between two lines of the log: samples that are not finite would be an error of the score.
    spoil(monkeypatch, 3, lambda loss, _: loss * math.nan)
    looks: list[int] = []
    state = train(run_of("nsgan", steps=40), folder, look=lambda s: looks.append(s.step) or {}, look_every=2)  # type: ignore
    assert looks == [2]
    assert state.diverged
    assert state.step == 4


def test_a_last_step_to_nowhere_is_a_divergence_too(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Every loss stays finite; the last move's slope does not.
    spoil(monkeypatch, 4, lambda loss, weight: loss + (0 * weight).sqrt().sum(), "generator")
    state = train(run_of("nsgan", steps=4), folder)
    assert state.step == 4
    assert state.diverged is not None
    assert state.diverged.startswith("generator.")
    assert "is not finite by step 4" in state.diverged
    assert None not in Log(folder / "log.jsonl").lines()[-1]["loss"].values()


def test_a_finite_run_goes_to_its_end(folder: Path) -> None:
    state = train(run_of("nsgan", steps=12), folder)
    assert (state.step, state.diverged) == (12, None)


# Resuming


def same(a: Any, b: Any) -> bool:
    """Whether two nested values are equal, tensors bit for bit."""
    if isinstance(a, dict):
        return isinstance(b, dict) and a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, Tensor):
        return isinstance(b, Tensor) and a.dtype == b.dtype and torch.equal(a, b)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return bool(a == b)


def kept(folder: Path) -> dict[str, Any]:
    """All that a checkpoint holds but the clock."""
    content = torch.load(folder / "checkpoint.pt", weights_only=True)
    del content["seconds"]
    return content


class StopError(Exception):
    """What ends a run in the middle here."""


@pytest.mark.parametrize(("model", "data"), EVERYWHERE)
def test_a_stopped_run_ends_in_the_same_weights(
    model: str, data: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = run_of(model, data, steps=6, decay="linear", ema=0.9)
    train(run, folder / "whole")
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", -1.0)

    def stop(state: State) -> dict[str, float]:
        if state.step == 4:
            raise StopError
        return {}

    with pytest.raises(StopError):
        train(run, folder / "stopped", look=stop, look_every=1)
    assert kept(folder / "stopped")["step"] == 3
    # As a new process would: other random numbers went before, and nothing is remembered.
    torch.manual_seed(31337)
    datasets._shuffle.cache_clear()
    state = train(run, folder / "stopped")
    whole, stopped = kept(folder / "whole"), kept(folder / "stopped")
    assert stopped["turns"] == {"discriminator": 6, "generator": 3 if model in ("wgan", "wgan_gp") else 6}
    for key in whole:
        assert same(whole[key], stopped[key]), key
    assert same(state.model.state_dict(), whole["model"])


def test_a_finished_run_is_left_alone(folder: Path) -> None:
    run = run_of("nsgan")
    train(run, folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    train(run, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_the_log_of_a_stopped_run_has_each_line_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(harness, "LOG_EVERY", 1)
    run = run_of("nsgan", steps=8)
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", math.inf)
    spoil(monkeypatch, 6, lambda loss, _: (_ for _ in ()).throw(StopError()))
    with pytest.raises(StopError):
        train(run, folder)
    monkeypatch.undo()
    # Five lines, no checkpoint, and a sixth line that was cut short.
    with (folder / "log.jsonl").open("a") as file:
        file.write('{"step": 6, "exam')
    monkeypatch.setattr(harness, "LOG_EVERY", 1)
    train(run, folder)
    assert [line["step"] for line in Log(folder / "log.jsonl").lines()] == list(range(1, 9))


KILLED = """
import sys
from pathlib import Path
import torch
torch.set_num_threads(1)
from ganeval_baselines import train as harness
from tests.baselines.test_train import long_run
harness.CHECKPOINT_SECONDS = 0.02
harness.train(long_run(), Path(sys.argv[1]))
"""


def long_run() -> Run:
    return run_of("nsgan", steps=300, decay="linear", ema=0.99)


def test_a_run_that_goes_on_with_other_threads_says_so(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of("nsgan", steps=4)
    monkeypatch.setattr(harness, "CHECKPOINT_SECONDS", -1.0)

    def stop(state: State) -> dict[str, float]:
        raise StopError

    with pytest.raises(StopError):
        train(run, folder, look=stop, look_every=2)
    threads = torch.get_num_threads()
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads + 1)
    train(run, folder)
    train(run, folder)  # at its end nothing more is rounded
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 1
    assert f"a run on cpu with {threads} thread(s) that goes on on cpu with {threads + 1} thread(s)" in said[0]


def test_a_killed_run_ends_in_the_same_weights(folder: Path) -> None:
    folder.mkdir()
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder / "killed")], env=environment)
    checkpoint = folder / "killed" / "checkpoint.pt"
    while not checkpoint.exists():
        assert process.poll() is None
        time.sleep(0.002)
    time.sleep(random.uniform(0, 0.25))
    process.kill()
    assert process.wait() == -9
    assert 0 < kept(folder / "killed")["step"] < 300
    train(long_run(), folder / "killed")
    train(long_run(), folder / "whole")
    assert same(kept(folder / "killed"), kept(folder / "whole"))
    # Half-written files of the killed process are all that may lie about.
    left = {path.name for path in (folder / "killed").iterdir() if not path.name.endswith(".partial")}
    assert left == {path.name for path in (folder / "whole").iterdir()}


def test_a_damaged_line_of_the_log_takes_no_other_with_it(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2, \n3\n\xff\xfe\n{"step": 4}\n{"step": 5}\n{"ste')
    Log(path).rewind(4)
    assert path.read_text() == '{"step": 1}\n{"step": 4}\n'
