"""Errors that a user can act on: each message says what is wrong, what was found, and how to mend it."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GanevalError(ValueError):
    """Input that a user can mend. The command line prints the message alone and exits with `exit_code`.

    of_all: every process of a job raises it.
    """

    exit_code = 2
    of_all = False


class UnobtainableError(GanevalError):
    """Weights or data that are needed and can't be had here (offline, or never downloaded)."""

    exit_code = 4


class BadImageError(GanevalError):
    """One image that can't be read; `skip_bad` leaves such images out and counts them."""


ELSEWHERE: dict[str, dict[str, str]] = {
    "metric": {
        "is": "inception_score", "isc": "inception_score", "ms": "mode_score",
        "frechet": "fid", "fd": "fid", "frechet_inception_distance": "fid",
        "fid_inf": "fid_debiased", "fid_infinity": "fid_debiased", "unbiased_fid": "fid_debiased",
        "kernel_inception_distance": "kid",
        "swd": "sliced_wasserstein", "wasserstein": "emd, or sliced_wasserstein", "earth_mover": "emd",
        "1nn": "one_nn_accuracy", "1_nn": "one_nn_accuracy", "one_nn": "one_nn_accuracy", "knn": "one_nn_accuracy",
        "c2st": "one_nn_accuracy",
        "prc": "precision and recall, each named", "prdc": "precision, recall, density and coverage, each named",
        "authpct": "authenticity", "vs": "vendi",
        "clean_fid": "fid with --extractor inception-clean", "cleanfid": "fid with --extractor inception-clean",
        "pytorch_fid": "fid with --extractor inception-pytorch", "sfid": "fid with --extractor spatial-inception",
        "fd_dinov2": "fid with --extractor dinov2", "fd_dino": "fid with --extractor dinov2",
    },
    "extractor": {
        "inceptionv3": "inception", "inception_v3": "inception, or torchvision:inception_v3",
        "fid": "inception", "sfid": "spatial-inception", "clean_fid": "inception-clean", "cleanfid": "inception-clean",
        "pytorch_fid": "inception-pytorch",
    },
    "model": {
        "vanilla": "gan", "vanilla_gan": "gan", "minimax": "gan", "minimax_gan": "gan",
        "ns": "nsgan", "ns_gan": "nsgan", "non_saturating": "nsgan", "unrolled_gan": "unrolled",
        "improved_gan": "feature_matching, or minibatch_discrimination", "semi_supervised": "ssgan",
    },
}  # fmt: skip
"""{kind: {what papers and other tools call something, in lower case with underscores: what to type here}}"""


def unknown(kind: str, name: str, choices: Iterable[str]) -> GanevalError:
    """The error for a name that nothing is registered under: what is called so elsewhere, or the nearest known name."""
    choices = sorted(choices)
    if here := ELSEWHERE.get(kind, {}).get(name.strip().lower().replace("-", "_")):
        hint = f"here it is {here}"
    elif near := difflib.get_close_matches(name.lower(), choices, n=1):
        hint = f"did you mean {near[0]!r}?"
    else:
        hint = f"known: {', '.join(choices)}"
    return GanevalError(f"unknown {kind} {name!r}; {hint}")


def said(error: Exception) -> str:
    """What a library said, in one line."""
    return " ".join(str(error).split()) or type(error).__name__
