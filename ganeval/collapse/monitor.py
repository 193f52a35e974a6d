"""Collapse during training: a verdict at each look, alpha spent over the looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from ganeval.collapse import LEAST_ALPHA, CollapseReport, collapse_test
from ganeval.collapse.report import Verdict
from ganeval.errors import GanevalError, said
from ganeval.extractors import as_extractor
from ganeval.features import extract
from ganeval.images import Source, open_images
from ganeval.settings import whole
from ganeval.types import ExtractorLike, Features


@dataclass(frozen=True)
class Look:
    """One look: at which step, at which level, what was found, and whether it raised the alarm."""

    step: int | None
    alpha: float
    verdict: Verdict
    kinds: tuple[str, ...]
    p_value: float | None
    missing: tuple[str, ...]
    alarm: bool


class CollapseMonitor:
    """Watches a generator while it trains: `collapse_test` at each of `looks` evaluations.

    real: what collapse is judged against: images as `ganeval.extract` takes them, or their Features.
    extractor: makes the features of images; None takes the reference's own, else "inception".
    spend: "each" judges every look at alpha / looks and raises the alarm where one says 'collapsed'. However the looks
    depend on each other, a healthy generator is then called collapsed at any of them with probability alpha at most
    (Bonferroni). "last" judges each at the whole of alpha, and only the last one raises the alarm.
    on_collapse: called with the report at every alarm; raise an exception in it to stop the training.
    device, data_root: as in `ganeval.extract`.

    monitor(fake, step=...) -> CollapseReport, where fake is as `real`. `history` holds the looks, `alarmed` says
    whether there was an alarm. `state_dict` is JSON-able. The reference is split in the same way at every look, so
    that modes have the same names.

    Early samples are mostly too unrealistic to judge, which is 'undetermined'; but a generator that makes one image
    only, as some do at their first steps, is called collapsed: begin to look when there is something to see.
    Raises GanevalError for more looks than were planned, since alpha is spent then, and as collapse_test does.
    """

    def __init__(
        self,
        real: Source | Features,
        *,
        extractor: ExtractorLike | None = None,
        looks: int = 10,
        alpha: float = 0.05,
        spend: Literal["each", "last"] = "each",
        on_collapse: Callable[[CollapseReport], None] | None = None,
        seed: int = 0,
        device: str = "auto",
        data_root: str | Path | None = None,
    ) -> None:
        if spend not in ("each", "last"):
            raise GanevalError(f"spend={spend!r} of CollapseMonitor; give 'each' or 'last'")
        if not 0 < alpha < 1:
            raise GanevalError(f"alpha={alpha:g} of CollapseMonitor; give a probability, such as 0.05")
        looks, seed = whole("looks", looks, 0), whole("seed", seed, 0)
        if looks < 1 or (spend == "each" and alpha / looks < LEAST_ALPHA):
            raise GanevalError(
                f"{looks} looks at alpha={alpha:g} altogether; plan 1 to {alpha / LEAST_ALPHA:.0f} looks"
            )
        self.extractor = None if extractor is None else as_extractor(extractor)
        self.device = device
        if not isinstance(real, Features):
            images = open_images(real, data_root=data_root)
            self.extractor = self.extractor or as_extractor(images.extractor or "inception")
            real = extract(images, self.extractor, device=device)
        self.real, self.looks, self.alpha, self.seed = real, looks, alpha, seed
        self.spend, self.on_collapse = spend, on_collapse
        self.history: list[Look] = []

    def __call__(self, fake: Source | Features, *, step: int | None = None) -> CollapseReport:
        """The report on these fakes, judged at this look's share of alpha."""
        done = len(self.history)
        if done == self.looks:
            raise GanevalError(f"all {done} looks are spent; plan more with CollapseMonitor(..., looks=...)")
        if not isinstance(fake, Features):
            if self.extractor is None:
                raise GanevalError("the reference came as features, so the monitor can't make any of images; give "
                                   "it an extractor=, or features")  # fmt: skip
            fake = extract(fake, self.extractor, device=self.device, cache=False)
        alpha = self.alpha / self.looks if self.spend == "each" else self.alpha
        report = collapse_test(fake, self.real, alpha=alpha, seed=self.seed)
        alarm = report.verdict == "collapsed" and (self.spend == "each" or done + 1 == self.looks)
        missing = tuple(mode.name for mode in report.missing)
        self.history.append(Look(step, alpha, report.verdict, report.kinds, report.p_value, missing, alarm))
        if alarm and self.on_collapse:
            self.on_collapse(report)
        return report

    @property
    def alarmed(self) -> bool:
        return any(look.alarm for look in self.history)

    def state_dict(self) -> dict[str, Any]:
        """What a checkpoint should keep, so that a training that goes on does not spend alpha twice."""
        return {**self._plan(), "history": [asdict(look) for look in self.history]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Raises GanevalError where the state is of another plan or another reference, or is none of a monitor."""
        if not isinstance(state, dict):
            raise GanevalError(f"the monitor's state is a {type(state).__name__}; give what state_dict returned")
        for key, value in self._plan().items():
            if state.get(key) != value:
                raise GanevalError(
                    f"the monitor's state has {key}={state.get(key)!r}, this monitor {value!r}; make it as it was"
                )
        try:
            history = [
                Look(**{**look, "kinds": tuple(look["kinds"]), "missing": tuple(look["missing"])})
                for look in state["history"]
            ]
        except (KeyError, TypeError) as error:
            raise GanevalError(f"the history in the monitor's state is none of looks ({said(error)}); "
                               "give what state_dict returned") from None  # fmt: skip
        if len(history) > self.looks:
            raise GanevalError(f"the monitor's state holds {len(history)} looks of {self.looks}; give another")
        self.history = history

    def _plan(self) -> dict[str, Any]:
        return {
            "looks": self.looks, "alpha": self.alpha, "spend": self.spend, "seed": self.seed,
            "fingerprint": self.real.fingerprint, "n_real": len(self.real),
        }  # fmt: skip
