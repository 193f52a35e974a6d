"""Weights are found, fetched whole or not at all, verified, imported, and never run as code."""

from __future__ import annotations

import functools
import hashlib
import http.server
import multiprocessing
import os
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest
import torch

from ganeval import weights
from ganeval.errors import GanevalError, UnobtainableError
from ganeval.extractors.state_dicts import load_checkpoint
from ganeval.weights import Published

CONTENT = os.urandom(300_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves CONTENT at /whole, and what is not it elsewhere; keeps what was asked for."""

    asked: ClassVar[list[str]] = []

    def do_GET(self) -> None:
        self.asked.append(self.path)
        if self.path == "/garbled":
            self.wfile.write(b"this is no HTTP\r\n\r\n")
            return
        if self.path == "/chunks":
            # Says that 100 bytes follow, and hangs up after 5.
            self.wfile.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nabcde")
            return
        body = {"/whole": CONTENT, "/cut": CONTENT[:1000], "/wrong": b"x" * len(CONTENT)}.get(self.path)
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(CONTENT) if body else 0))
        self.end_headers()
        self.wfile.write(body or b"")

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.delenv("GANEVAL_OFFLINE", raising=False)
    Server.asked.clear()
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def published(*urls: str, sha256: str = SHA256) -> Published:
    return Published("net", urls, ("net.pth", "twin.pth"), sha256)


def left_behind() -> list[str]:
    folder = weights.own_folder()
    return sorted(path.name for path in folder.iterdir() if path.suffix != ".lock") if folder.exists() else []


def test_fetched_once_and_verified(address: str) -> None:
    for _ in range(2):
        path, digest = weights.obtain(published(f"{address}/whole"))
        assert path.read_bytes() == CONTENT
        assert digest == SHA256
    assert Server.asked == ["/whole"]
    assert left_behind() == ["net.pth"]


def test_the_next_address_is_tried(address: str) -> None:
    path, _ = weights.obtain(published(f"{address}/missing", f"{address}/cut", f"{address}/whole"))
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("/cut", "ended after 1000 of 300000"),
        ("/wrong", "sha256"),
        ("/missing", "Not Found"),
        ("/garbled", "this is no HTTP"),
        ("/chunks", "IncompleteRead"),
    ],
)
def test_a_failed_download_leaves_nothing_and_says_what_to_do(address: str, where: str, reason: str) -> None:
    with pytest.raises(UnobtainableError) as caught:
        weights.obtain(published(address + where))
    message = str(caught.value)
    for word in (reason, address + where, SHA256, str(weights.own_folder() / "net.pth"), "--extractor pixels"):
        assert word in message
    assert "\n" not in message
    assert left_behind() == []


def test_nobody_answers(address: str) -> None:
    with pytest.raises(UnobtainableError, match="refused"):
        weights.obtain(published("http://127.0.0.1:9/whole"))


def test_offline_never_asks(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANEVAL_OFFLINE", "1")
    with pytest.raises(UnobtainableError, match="GANEVAL_OFFLINE is set"):
        weights.obtain(published(f"{address}/whole"))
    assert Server.asked == []


def test_the_twins_name_in_torch_hubs_folder_is_found(address: str, tmp_path: Path) -> None:
    there = tmp_path / "torch/hub/checkpoints/twin.pth"
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENT)
    assert weights.obtain(published(f"{address}/whole"))[0] == there
    assert Server.asked == []


def test_a_damaged_file_is_refused_and_not_deleted(address: str, tmp_path: Path) -> None:
    there = tmp_path / "torch/hub/checkpoints/net.pth"
    there.parent.mkdir(parents=True)
    there.write_bytes(CONTENT[:-1])
    with pytest.raises(GanevalError, match=f"{SHA256}; delete it"):
        weights.obtain(published(f"{address}/whole"))
    assert there.exists()


def _fetch(url: str) -> None:
    weights.obtain(published(url))


def test_two_processes_download_once(address: str) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=functools.partial(_fetch, f"{address}/whole")) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert Server.asked == ["/whole"]


def test_import_recognises_by_content(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setattr(weights, "KNOWN", {"net": published(f"{address}/whole")})
    source = tmp_path / "downloaded (1).bin"
    source.write_bytes(CONTENT)
    assert "net" in weights.import_file(source)
    assert weights.verify("net").endswith(f"(sha256 {SHA256})")
    assert "verified" in weights.list_weights()[0].status
    (weights.own_folder() / "net.pth").write_bytes(b"other")
    assert "DAMAGED" in weights.list_weights()[0].status
    source.write_bytes(b"unknown")
    with pytest.raises(GanevalError, match="none of the known weights"):
        weights.import_file(source)
    with pytest.raises(GanevalError, match="No such file"):
        weights.import_file(tmp_path / "nothing")


def test_torchvisions_weights_are_known_too(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    """By the digits of the sha256 in their names; a file that is here is offered where others are not."""
    from torchvision import models

    class Default:
        url = f"{address}/resnet18-{SHA256[:8]}.pth"

    class Weights:
        DEFAULT = Default

    monkeypatch.setattr(models, "get_model_weights", lambda _: Weights)
    monkeypatch.setattr(models, "list_models", lambda module: ["resnet18"])
    source = tmp_path / "saved as.bin"
    source.write_bytes(CONTENT)
    assert "torchvision:resnet18" in weights.import_file(source)
    assert f"resnet18-{SHA256[:8]}.pth" in weights.verify("torchvision:resnet18")
    with pytest.raises(UnobtainableError, match="torchvision:resnet18"):
        weights.obtain(published(f"{address}/missing"))
    with pytest.raises(GanevalError, match="did you mean 'resnet18'"):
        weights.fetch("torchvision:resnet81")


def test_every_torchvision_classifier_publishes_its_sha256() -> None:
    from torchvision import models

    for model in models.list_models(module=models):
        assert re.fullmatch("[0-9a-f]{8,}", weights.torchvision_weights(model).sha256)


def test_unknown_and_absent_names(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GanevalError, match="did you mean 'inception'"):
        weights.fetch("incepton")
    with pytest.raises(UnobtainableError, match="weights fetch inception"):
        weights.verify("inception")


class Bomb:
    def __reduce__(self):
        return (os.system, ("touch /tmp/ganeval-was-run",))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "can't load"), (b"text", "can't load"), ([1, 2], "no state dict"), ({"a": 1}, "no state dict"),
     (Bomb(), "can't load")],
)  # fmt: skip
def test_what_is_no_checkpoint(tmp_path: Path, content: object, message: str) -> None:
    path = tmp_path / "x.pth"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        torch.save(content, path)
    with pytest.raises(GanevalError, match=message) as caught:
        load_checkpoint(path)
    assert "\n" not in str(caught.value)
    assert "In PyTorch" not in str(caught.value), "torch's advice is not for who names a wrong file"
    assert str(caught.value).endswith("torch.save(network.state_dict(), file)"), "whole, not cut"
    assert not Path("/tmp/ganeval-was-run").exists()


def test_a_truncated_checkpoint_and_a_missing_one(tmp_path: Path) -> None:
    path = tmp_path / "x.pth"
    torch.save({"a": torch.zeros(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(GanevalError, match=r"x\.pth"):
        load_checkpoint(path)
    with pytest.raises(GanevalError, match="no weights file"):
        load_checkpoint(tmp_path / "nothing.pth")
    with pytest.raises(GanevalError, match=r"Is a directory$"):
        load_checkpoint(tmp_path)
