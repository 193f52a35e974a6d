"""What a run is, fully stated: a model, a data set, a seed, a budget, and the settings of its recipe."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

from ganeval.errors import GanevalError, unknown
from ganeval.registry import Baseline, get_baseline
from ganeval_baselines.base import Recipe
from ganeval_baselines.data import Images, Mixture
from ganeval_baselines.nets import family


@dataclass(frozen=True)
class Run:
    """One training run, fully stated: beside the code, the device and the threads, whose rounding differs, its
    configuration is all that its final weights depend on.

    examples: the budget, in examples that the first player sees.
    """

    model: str
    data: Mixture | Images
    seed: int
    examples: int
    settings: Recipe

    @property
    def steps(self) -> int:
        return -(-self.examples // self.settings.batch_size)

    def config(self) -> dict[str, Any]:
        """Flat and JSON-able."""
        return {
            "model": self.model, "data": self.data.name, "data_sha256": self.data.sha256, "seed": self.seed,
            "network": network_of(get_baseline(self.model), self.data), "examples": self.examples,
            **dataclasses.asdict(self.settings),
        }  # fmt: skip


def plan(model: str, data: Mixture | Images, seed: int, examples: int, changes: Mapping[str, str] | None = None) -> Run:
    """A run of the registered `model` by its recipe, with `changes` to it as a command line gives them.

    Raises GanevalError for an unknown model or setting, a value of a wrong type, a model that needs labels on data
    without, or images that there is no network for.
    """
    row = get_baseline(model)
    if reason := obstacle(row, data):
        raise GanevalError(reason)
    network_of(row, data)
    if examples < 1:
        raise GanevalError(f"the budget is {examples} examples; give 1 or more")
    if seed < 0:
        raise GanevalError(f"the seed is {seed}; give 0 or more")
    return Run(row.name, data, seed, examples, _changed(recipe_of(row, data), changes or {}, row.name))


def obstacle(row: Baseline, data: Mixture | Images) -> str:
    """Why a model can't be trained on this data, or nothing."""
    if row.labels and not data.classes:
        return f"{row.name} needs class labels, and {data.name} has none; put images into class folders"
    if isinstance(data, Mixture) and not row.points:
        return f"{row.name} trains on images, and {data.name} is a 2-D mixture"
    if row.labels and row.kind == "gan" and data.labels_per_image > 1:
        return f"{row.name} wants one label an image, and {data.name} has {data.labels_per_image}"
    kind: Any = row.fn
    return kind.refuses(data)


def network_of(row: Baseline, data: Mixture | Images) -> str:
    """The family of networks that a GAN takes for this data; a classifier is its own. Raises where there is none."""
    return family(data.shape) if row.kind == "gan" else "own"


def recipe_of(row: Baseline, data: Mixture | Images) -> Recipe:
    """The settings of a model on this data as they come."""
    kind: Any = row.fn
    return dataclasses.replace(kind.recipe, **(kind.on_points if isinstance(data, Mixture) else {}))


def _changed(recipe: Recipe, changes: Mapping[str, str], model: str) -> Recipe:
    hints = get_type_hints(type(recipe))
    limits = {field.name: field.metadata for field in dataclasses.fields(recipe)}
    values = {}
    for key, text in changes.items():
        key = key.replace("-", "_")
        if key not in hints:
            raise unknown(f"setting of {model}", key, hints)
        values[key] = _parsed(text, hints[key], f"setting {key} of {model}")
        _refuse_senseless(values[key], limits[key], f"setting {key} of {model}", text)
    recipe = dataclasses.replace(recipe, **values)
    if recipe.batch_size < 2:
        raise GanevalError(f"batch_size is {recipe.batch_size}; batch normalisation needs 2 or more")
    return recipe


def _parsed(text: str, kind: Any, what: str) -> Any:
    """Text as a setting's declared type: bool, int, float, a Literal, or one of these or None."""
    options = get_args(kind)
    if options and get_origin(kind) is not None and all(isinstance(option, str) for option in options):
        if text not in options:
            raise GanevalError(f"{what} must be {' or '.join(options)}, got {text!r}")
        return text
    kinds = options or (kind,)
    if type(None) in kinds and text.lower() == "none":
        return None
    wanted = next(k for k in kinds if k is not type(None))
    try:
        value = {"true": True, "false": False}[text.lower()] if wanted is bool else wanted(text)
    except (ValueError, KeyError):
        name = {bool: "true or false", int: "a whole number", float: "a number"}.get(wanted, wanted.__name__)
        raise GanevalError(f"{what} must be {name}, got {text!r}") from None
    return value


def _refuse_senseless(value: Any, limits: Mapping[str, Any], what: str, text: str) -> None:
    """Whole numbers are 1 or more, others 0 or more and finite, but where the field's metadata says otherwise."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return
    least = limits.get("least", 1 if isinstance(value, int) else 0)
    below = limits.get("below", math.inf)
    if not least <= value < below:
        upper = f" and below {below:g}" if below < math.inf else ""
        raise GanevalError(f"{what} must be {least} or more{upper}, got {text!r}")
