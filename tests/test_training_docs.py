"""Every snippet of docs/training.md runs, in the order of the page, with small stand-ins for what the reader has."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import ganeval
from ganeval.reference import write_statistics
from tests.test_streaming import pixels

PAGE = Path(__file__).parents[1] / "docs/training.md"
BLOCKS = re.findall(r"## ([^\n]*)\n(?:(?!\n## ).)*?```python\n(.*?)```", PAGE.read_text(), re.S)


def small(code: str) -> str:
    """The page names Inception and MNIST, which not every reader has at hand."""
    return (
        code.replace('"inception"', '"classifier:digits"')
        .replace('"mnist:test"', '"digits:test"')
        .replace("classifier:mnist", "classifier:digits")
    )


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the snippets take for granted."""
    monkeypatch.chdir(tmp_path)
    real, fake = pixels("digits:test", 200), pixels("digits:train", 1000)
    features = ganeval.extract(real, "classifier:digits", cache=False)
    write_statistics("stats.npz", [features.pooled])
    names: dict[str, Any] = {
        "real_loader": real.split(50), "epochs": 2, "train_one_epoch": lambda: None,
        "generate": lambda n: fake[torch.arange(n) % len(fake)],
        "batches_of_prompts": [["a digit"] * 20] * 2,
        "pipeline": lambda prompts, output_type: SimpleNamespace(
            images=np.stack([fake[i].numpy().transpose(1, 2, 0) / 255.0 for i in range(len(prompts))])
        ),
        "train_loader": torch.utils.data.DataLoader(torch.zeros(4, 1), batch_size=2),
        "options": {
            "accelerator": "cpu", "logger": False, "enable_checkpointing": False, "enable_progress_bar": False,
            "enable_model_summary": False, "default_root_dir": tmp_path,
        },
    }  # fmt: skip
    return names


def lightning_model(names: dict[str, Any]) -> Any:
    from tests.learner import Learner

    class Model(Learner):
        def generate(self, n: int) -> torch.Tensor:
            return names["generate"](n)

    return Model()


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(("title", "code"), BLOCKS, ids=[title for title, _ in BLOCKS])
def test_the_snippet_runs(title: str, code: str, reader: dict[str, Any], capsys: pytest.CaptureFixture[str]) -> None:
    if title == "Lightning":
        reader["model"] = lightning_model(reader)
    exec(compile(small(code), title, "exec"), reader)
    printed = capsys.readouterr().out
    assert re.search(r"\d\.\d", printed), "a number is printed"
    assert "nan" not in printed


def test_the_page_has_its_five_ways() -> None:
    assert len(BLOCKS) == 5
    assert all(len(code.strip().splitlines()) <= 12 for _, code in BLOCKS)
