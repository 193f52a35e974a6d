"""Scores from a classifier's logits: Inception Score and Mode Score."""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor

from ganeval.errors import GanevalError
from ganeval.numerics.inputs import Array, matrix, pair, stream
from ganeval.numerics.intervals import normal, student
from ganeval.types import Estimate

PER_CLASS = 10
"""Images per class of either set from which the interval of `mode_score` was found to hold (docs/calibration.md)."""
NEVER = "a class has probability 0 in one of the sets alone: a single image of it would change everything"
ONE_SPLIT = "one split: its error leaves out how the classes' shares scatter"
LEAST = 2
"""Images in each part of an Inception Score that has an interval: of one image the score is 1, whatever it is."""


def inception_score(logits: Array, *, splits: int = 10, shuffle: bool = True, seed: int = 0) -> Estimate:
    """Inception Score (Salimans et al., 2016, arXiv:1606.03498): exp(E_x KL(p(y|x) || p(y))), higher is better.

    logits: (N, C) of the generated images, before softmax; for the published score Inception's 1008 without bias.
    splits: the score is the mean over this many parts, as published; `details` has their sd, which is what papers
    print after +-, and the score of all images in one part. The parts are drawn with the seed, as torch-fidelity does
    with seed=2020: in the order of class folders each would hold a class or two. shuffle=False takes consecutive rows,
    as the authors' code does.
    Range 1 to C. Biased downwards for small N / splits: compare only at equal N and splits. Blind to copying, and to
    everything that the classifier does not see.

    Interval: for the expected score of so many images in so many splits, not for its limit. The splits are independent
    draws (where shuffle=False, if the rows are), so that std_error is their sd / sqrt(splits) and the interval
    Student's, wide for its splits - 1 degrees of freedom; measured in docs/calibration.md. With one split: the delta
    method, which is too small where there are few images per class; no interval.
    Raises GanevalError for fewer images than splits.
    """
    p, p_log_p = softmax(matrix(logits, "logits"))
    n = len(p)
    drawn = parts(n, splits, shuffle, seed)
    values = torch.tensor([_one_score(p[part], p_log_p[part])[0] for part in drawn], dtype=torch.float64)
    value, (one_split, variance) = float(values.mean()), _one_score(p, p_log_p)
    details: dict[str, Any] = {"split_std": float(values.std(correction=0)), "one_split": one_split}
    if splits == 1:
        details["no_interval"] = f"{ONE_SPLIT}; give splits=10"
        return Estimate(value, math.sqrt(variance) if n > 1 else None, None, n_fake=n, details=details)
    if n < LEAST * splits:
        details["no_interval"] = f"{n} images in {splits} parts: give {LEAST * splits} or more"
        return Estimate(value, None, None, n_fake=n, details=details)
    std_error = float(values.std()) / math.sqrt(splits)
    reach = student(splits - 1) * std_error
    return Estimate(value, std_error, (value - reach, value + reach), n_fake=n, details=details)


def parts(n: int, splits: int, shuffle: bool, seed: int) -> list[Tensor]:
    """The rows of each part of n images. Raises GanevalError for fewer images than parts."""
    if not 1 <= splits <= n:
        raise GanevalError(f"splits={splits} of {n} images; give 1 to {n}")
    order = torch.from_numpy(stream(seed).permutation(n)) if shuffle else torch.arange(n)
    return [order[i * n // splits : (i + 1) * n // splits] for i in range(splits)]


def softmax(logits: Tensor) -> tuple[Tensor, Tensor]:
    """p (N, C) and sum_y p log p (N,), float64."""
    log_p = logits.double().log_softmax(1)
    p = log_p.exp()
    # p log p tends to 0 with p, where the logarithm itself may be -inf.
    return p, log_p.clamp_(min=torch.finfo(log_p.dtype).min).mul_(p).sum(1)


def _cross(p: Tensor, q: Tensor) -> Tensor:
    """sum_y p log q of rows p (..., C) and one q (C,); where p is 0 nothing is added, whatever q."""
    logs = q.log()
    finite = logs.isfinite()
    total = p @ torch.where(finite, logs, 0.0)
    return total if bool(finite.all()) else total + torch.xlogy(p[..., ~finite], q[~finite]).sum(-1)


def _one_score(p: Tensor, p_log_p: Tensor) -> tuple[float, float]:
    """exp of the mean KL of one part, and its variance: KL's influence is KL_i, for the marginal's drops out."""
    kl = p_log_p - _cross(p, p.mean(0))
    score = float(kl.mean().exp())
    return score, score**2 * float(kl.var(correction=1)) / len(kl) if len(kl) > 1 else 0.0


def mode_score(fake_logits: Array, real_logits: Array, *, form: Literal["paper", "che"] = "paper") -> Estimate:
    """Mode Score: exp(E_x KL(p(y|x) || p(y)) - KL(p(y) || p*(y))), higher is better.

    p(y) is the marginal of the generated images, p*(y) of the real ones (Xu et al., 2018, arXiv:1806.07755).
    form="che": exp(E_x KL(p(y|x) || p*(y)) - KL(p*(y) || p(y))), with the last divergence the other way round
    (Che et al., 2017, arXiv:1612.02136). With p* in the first term and KL(p(y) || p*(y)) in the second, as often
    quoted, p* cancels and the score is the Inception Score.

    fake_logits (N, C), real_logits (M, C). Range 0 to C. Biased downwards for small N. Blind to copying.
    std_error: delta method over the fake and the real images; interval: normal, for the expected score of N and M
    images, and only from PER_CLASS * C images on. Measured coverage: docs/calibration.md.
    Raises GanevalError for unequal C, or another form.
    """
    x, y = pair(fake_logits, real_logits)
    (p, p_log_p), real = softmax(x), y.double().softmax(1)
    fake_marginal, real_marginal = p.mean(0), real.mean(0)
    if form == "paper":
        kl = p_log_p - _cross(p, fake_marginal)
        log_value = kl.mean() - _kl(fake_marginal, real_marginal)
        # Influence on E KL(p||p_g): KL_i; on -KL(p_g||p*): minus the log ratio, and the share under p*.
        over = ratio(fake_marginal, real_marginal)
        fake_influence = kl - _cross(p, over)
        real_influence = real @ over
    elif form == "che":
        kl = p_log_p - _cross(p, real_marginal)
        log_value = kl.mean() - _kl(real_marginal, fake_marginal)
        over, under = ratio(fake_marginal, real_marginal), ratio(real_marginal, fake_marginal)
        fake_influence = kl + p @ under
        real_influence = -(real @ over) - _cross(real, under)
    else:
        raise GanevalError(f"form={form!r} of mode_score; give 'paper' or 'che'")
    value = float(log_value.exp())
    variance = float(fake_influence.var() / len(p) + real_influence.var() / len(real))
    details: dict[str, Any] = {"form": form, "inception_score_one_split": _one_score(p, p_log_p)[0]}
    std_error, fewest, needed = value * math.sqrt(variance), min(len(p), len(real)), PER_CLASS * p.shape[1]
    if not math.isfinite(std_error):
        details["no_interval"] = NEVER
        return Estimate(value, None, None, len(p), len(real), details)
    if fewest < needed:
        details["no_interval"] = f"{fewest} images for {p.shape[1]} classes, where {needed} are needed"
    return Estimate(
        value, std_error, normal(value, std_error) if fewest >= needed else None, len(p), len(real), details
    )


def ratio(p: Tensor, q: Tensor) -> Tensor:
    """p / q of marginals (C,); 1 for a class that neither has, so that its logarithm adds nothing."""
    return torch.where(p == q, 1.0, p / q)


def _kl(p: Tensor, q: Tensor) -> Tensor:
    """KL(p || q) of marginals (C,), in nats."""
    return (torch.xlogy(p, p) - torch.xlogy(p, q)).sum()
