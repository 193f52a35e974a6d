"""Pretrained weights: where they are published, where they lie here, and that they are what they should be.

Files are looked for under every name they are published under, in ganeval's own folder and torch hub's; they are
downloaded whole or not at all, once for all processes, and used only after their sha256 has been checked.
GANEVAL_OFFLINE=1 never touches the network.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import urllib.error
import urllib.request
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from ssl import SSLError

from filelock import FileLock
from tqdm import tqdm

from ganeval.errors import GanevalError, UnobtainableError, unknown
from ganeval.files import atomic_write, cache_dir, offline, sha256_file

TIMEOUT = 30
CHUNK = 1 << 20


@dataclass(frozen=True)
class Published:
    """A weights file as its authors publish it. sha256 may be a prefix, as in torch hub's file names, or ''.

    about: its size and licence.
    """

    name: str
    urls: tuple[str, ...]
    files: tuple[str, ...]
    sha256: str
    about: str = ""

    def matches(self, digest: str) -> bool:
        """True where `digest` is the published sha256; False where none was published."""
        return bool(self.sha256) and digest.startswith(self.sha256)


KNOWN = {
    weights.name: weights
    for weights in (
        Published(
            "inception",
            (
                "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
                "pt_inception-2015-12-05-6726825d.pth",
                "https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/"
                "weights-inception-2015-12-05-6726825d.pth",
            ),
            ("pt_inception-2015-12-05-6726825d.pth", "weights-inception-2015-12-05-6726825d.pth"),
            "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
            "96 MB, Apache-2.0",
        ),
        Published(
            "dinov2",
            ("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth",),
            ("dinov2_vitl14_pretrain.pth",),
            "",
            "1.2 GB, Apache-2.0",
        ),
        Published(
            "clip",
            (
                "https://openaipublic.azureedge.net/clip/models/"
                "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02/ViT-L-14-336px.pt",
            ),
            ("ViT-L-14-336px.pt",),
            "3035c92b350959924f9f00213499208652fc7ea050643e8b385c2dac08641f02",
            "0.9 GB, MIT",
        ),
    )
}


@dataclass(frozen=True)
class WeightsRow:
    """A line of `ganeval weights list`."""

    name: str
    status: str


def torchvision_weights(model: str) -> Published:
    """The default weights of a torchvision classifier. Raises GanevalError for an unknown model."""
    from torchvision import models

    classifiers = models.list_models(module=models)
    if model not in classifiers:
        raise unknown("torchvision classifier", model, classifiers)
    url = models.get_model_weights(model).DEFAULT.url
    file = url.rpartition("/")[2]
    # torchvision's file names end in the first eight or more digits of their sha256.
    return Published(f"torchvision:{model}", (url,), (file,), file.rpartition("-")[2].partition(".")[0])


def _of_torchvision() -> list[Published]:
    from torchvision import models

    return [torchvision_weights(model) for model in models.list_models(module=models)]


def own_folder() -> Path:
    """Where fetched and imported weights are kept."""
    return cache_dir() / "weights"


def folders() -> list[Path]:
    """The places where weights are looked for: ganeval's own folder, then torch hub's."""
    hub = Path(os.environ.get("TORCH_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "torch")
    return [own_folder(), hub.expanduser() / "hub" / "checkpoints"]


def locate(weights: Published) -> Path | None:
    """The first file with one of the published names, or None."""
    candidates = (folder / file for folder in folders() for file in weights.files)
    return next((path for path in candidates if path.is_file()), None)


def obtain(weights: Published) -> tuple[Path, str]:
    """The file and its sha256, downloaded where it is not here yet.

    Raises UnobtainableError when it can't be had, GanevalError when the file here is not the published one.
    """
    path = locate(weights) or _download(weights)
    digest = sha256_file(path)
    if weights.sha256 and not weights.matches(digest):
        raise GanevalError(
            f"{path} is not the published {weights.name} file: its sha256 is {digest}, expected {weights.sha256}; "
            "delete it to have it fetched again, or pass it as --weights to use it as it is"
        )
    return path, digest


def choose(weights: Published, given: Path | None) -> tuple[Path, str]:
    """The user's file where there is one, else the published one; and its sha256."""
    if given is None:
        return obtain(weights)
    try:
        return given, sha256_file(given)
    except OSError as error:
        raise GanevalError(f"there is no weights file {given} ({error.strerror}); mend the path") from None


def _download(weights: Published) -> Path:
    target = own_folder() / weights.files[0]
    if offline():
        raise _unobtainable(weights, "GANEVAL_OFFLINE is set")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{target}.lock"):
            # Another process may have fetched it while this one waited for the lock.
            if not target.is_file():
                _first_that_works(weights, target)
    except OSError as error:
        raise _unobtainable(weights, f"{target.parent} can't be written ({error.strerror})") from None
    return target


def _first_that_works(weights: Published, target: Path) -> None:
    reasons = []
    for url in weights.urls:
        try:
            _fetch_url(url, target, weights)
            return
        except (urllib.error.URLError, TimeoutError, ConnectionError, HTTPException, SSLError, _DamagedError) as error:
            reasons.append(str(getattr(error, "reason", error)).strip())
    raise _unobtainable(weights, "; ".join(dict.fromkeys(reasons)))


class _DamagedError(Exception):
    """A download that ended early or has another sha256."""


def _fetch_url(url: str, target: Path, weights: Published) -> None:
    """Writes the file only when all of it came and its sha256 is the published one."""
    with urllib.request.urlopen(url, timeout=TIMEOUT) as answer, atomic_write(target) as file:
        size = int(answer.headers.get("Content-Length") or 0)
        digest, got = hashlib.sha256(), 0
        quiet = sys.stderr is None or not sys.stderr.isatty()
        with tqdm(total=size or None, unit="B", unit_scale=True, desc=weights.files[0], disable=quiet) as bar:
            while chunk := answer.read(CHUNK):
                file.write(chunk)
                digest.update(chunk)
                got += len(chunk)
                bar.update(len(chunk))
        if size and got < size:
            raise _DamagedError(f"the download ended after {got} of {size} bytes")
        if weights.sha256 and not weights.matches(digest.hexdigest()):
            raise _DamagedError(f"the download has the sha256 {digest.hexdigest()}")


def _unobtainable(weights: Published, reason: str) -> UnobtainableError:
    embedded = ["pixels", "classifier:digits", "classifier:mnist", "classifier:cifar10"]
    here = [*embedded, *(w.name for w in _of_torchvision() if locate(w))]
    digest = weights.sha256 + ("" if len(weights.sha256) == 64 else "...") if weights.sha256 else "not published"
    return UnobtainableError(
        f"the {weights.name} weights are not here and can't be fetched ({reason}). "
        f"Download {weights.urls[0]} (sha256 {digest}) and put it at "
        f"{own_folder() / weights.files[0]}, or `ganeval weights import FILE`; "
        f"what works without them: --extractor {', '.join(here)}; or other weights by --weights FILE"
    )


def list_weights() -> list[WeightsRow]:
    """Every known weights file and whether it is here and right."""
    return [WeightsRow(weights.name, _status(weights)) for weights in KNOWN.values()]


def _status(weights: Published) -> str:
    path = locate(weights)
    if path is None:
        return f"not here; `ganeval weights fetch {weights.name}` gets it from {weights.urls[0]} ({weights.about})"
    if not weights.sha256:
        return f"{path} (no sha256 is published to check it by)"
    right = weights.matches(sha256_file(path))
    return f"{path} ({'verified' if right else 'DAMAGED or another file: its sha256 is wrong; delete it'})"


def _known(name: str) -> Published:
    family, _, model = name.partition(":")
    if family == "torchvision":
        return torchvision_weights(model)
    family = family.partition("-")[0]
    if family not in KNOWN:
        raise unknown("weights", name, KNOWN)
    return KNOWN[family]


def fetch(name: str) -> str:
    """Makes sure that the weights are here and right; says where."""
    path, digest = obtain(_known(name))
    return f"{path} (sha256 {digest})"


def verify(name: str) -> str:
    """Checks the file that is here. Raises GanevalError where it is missing or wrong."""
    weights = _known(name)
    if locate(weights) is None:
        raise UnobtainableError(f"the {name} weights are not here; `ganeval weights fetch {name}` downloads them")
    return fetch(name)


def import_file(path: Path) -> str:
    """Copies a weights file that the user downloaded to where it will be found; its sha256 tells which it is."""
    try:
        digest = sha256_file(path)
    except OSError as error:
        raise GanevalError(f"can't read {path}: {error.strerror}") from None
    for weights in (*KNOWN.values(), *_of_torchvision()):
        if weights.matches(digest) or (not weights.sha256 and path.name in weights.files):
            target = own_folder() / weights.files[0]
            try:
                with open(path, "rb") as source, atomic_write(target) as file:
                    shutil.copyfileobj(source, file)
            except OSError as error:
                raise GanevalError(f"can't write {target}: {error.strerror}") from None
            return f"{weights.name}: {target}"
    known = ", ".join(f"{weights.name} {weights.sha256[:8]}..." for weights in KNOWN.values() if weights.sha256)
    raise GanevalError(f"{path} (sha256 {digest}) is none of the known weights ({known}); pass it as --weights FILE")
