"""The pictures that stand for a finding, as the page's template takes them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ganeval.pages import data_uri
from ganeval.report.gallery import Gallery
from ganeval.report.pictures import Tile, encoded
from ganeval.report.tables import number

if TYPE_CHECKING:
    from ganeval.collapse import Mode
    from ganeval.report import ScoreReport

MISSING = {"hidden": "perhaps among the unrealistic samples"}
"""What the page and the picture call a kind of missing mode, where its name is not enough."""


def grid(what: str, tiles: Mapping[int, Tile], rows: Sequence[int], n: int | None) -> dict[str, Any]:
    said = f"all {n:,}" if n == len(rows) else f"{len(rows)} of {n or 0:,}, drawn at random"
    return {"what": what, "said": said, "tiles": _tiles(tiles, rows)}


def missing_mode(mode: Mode, tiles: Mapping[int, Tile]) -> dict[str, Any]:
    return {
        "name": mode.name, "kind": MISSING.get(mode.kind or "", mode.kind),
        "n_fake": mode.n_fake, "n_real": mode.n_real,
        "ratio": f"{mode.ratio:.2f}", "p_value": None if mode.p_value is None else _power(mode.p_value),
        "tiles": _tiles(tiles, mode.examples),
    }  # fmt: skip


def _power(p_value: float) -> str:
    """1.2e-19 as 1.2 × 10⁻¹⁹."""
    digits, _, exponent = f"{p_value:.2g}".partition("e")
    raised = str(int(exponent or 0)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"{digits} × 10{raised}" if exponent else digits


def near_pairs(report: ScoreReport, gallery: Gallery) -> list[dict[str, Any]]:
    """The nearest pairs of fakes that have pictures."""
    if report.collapse is None:
        return []
    limit = report.collapse.support.distance
    return [
        {"tiles": _tiles(gallery.fake, (i, j)), "distance": number(distance), "near": distance <= limit}
        for i, j, distance in report.collapse.duplicates
        if i in gallery.fake and j in gallery.fake
    ]


def closest(report: ScoreReport, gallery: Gallery) -> list[dict[str, Any]]:
    """The fakes closest to a training image, each beside it."""
    found = report.memorisation
    if found is None:
        return []
    return [
        {
            "fake": _tile(gallery.fake[pair.fake]), "train": _tile(_shown(gallery.train[pair.train], pair.mirrored)),
            "distance": number(pair.distance), "usual": number(pair.held_out_distance), "mirrored": pair.mirrored,
            "near": found.verdict != "none" and pair.closeness <= found.copies.limit,
        }
        for pair in found.pairs
        if pair.fake in gallery.fake and pair.train in gallery.train
    ]  # fmt: skip


def _shown(tile: Tile, mirrored: bool) -> Tile:
    return Tile(tile.pixels.flip(2), f"{tile.name}, mirrored") if mirrored else tile


def _tiles(tiles: Mapping[int, Tile], rows: Iterable[int]) -> list[dict[str, Any]]:
    return [_tile(tiles[row]) for row in rows if row in tiles]


def _tile(tile: Tile) -> dict[str, Any]:
    _, height, width = tile.pixels.shape
    return {"uri": data_uri(*encoded(tile)), "name": tile.name, "width": width, "height": height}
