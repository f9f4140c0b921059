"""Which values are shown as black and as white: 8-bit RGB as stored, the rest by percentiles.

The network was trained on 8-bit photographs.  Imagery that already is one is left as it is, because
a stretch of each band and scene would give every scene a cast of its own.  Other imagery is
stretched between the 2nd and 98th percentile of all scenes of its sensor, pooled, so that a place
looks the same in every scene that shows it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import InputError
from pipeline.imagery.metadata import display_bands
from pipeline.imagery.nodata import (
    equals_nodata,
    is_ambiguous,
    reaching_border,
    read_bands,
    valid_pixels,
)
from pipeline.imagery.scene import AS_STORED, GIVEN, SENSOR, Scene, Stretch

if TYPE_CHECKING:
    from rasterio import DatasetReader

#: Longest side, in pixels, of the decimated raster from which levels are taken.
DECIMATED_SIDE = 1024
_PERCENTILES = (2.0, 98.0)
#: Evenly spaced ranks, by which a scene's values are kept for pooling.
_RANKS = 1001
AUTOMATIC, PERCENTILE = "automatic", "percentile"


@dataclass(frozen=True)
class Levels:
    """The values of a scene's three display bands.

    Attributes:
        own: From the 2% to the 98% level of each band.
        ranks: (3, 1001) values at evenly spaced ranks, from the smallest to the largest.
        count: Pixels that hold data, of the decimated scene.
    """

    own: Stretch
    ranks: np.ndarray
    count: int


@dataclass(frozen=True)
class Brightness:
    """How the user wants scenes to be shown.

    Attributes:
        percentile: Whether 8-bit RGB is stretched by percentiles, too.
        stretch: Levels to use, or None.
    """

    percentile: bool = False
    stretch: Stretch | None = None

    @classmethod
    def parse(cls, text: str | None) -> Brightness:
        """The brightness that a text asks for: automatic, percentile, or LOW,HIGH.

        Raises:
            InputError: If it is none of them.
            SceneError: If HIGH is not above LOW.
        """
        if text in (None, AUTOMATIC):
            return cls()
        if text == PERCENTILE:
            return cls(percentile=True)
        try:
            low, high = map(float, str(text).split(","))
        except ValueError as error:
            raise InputError(
                "The brightness is automatic, percentile, or two levels",
                where=str(text)[:80],
                remedy="For instance 0,3000 shows 0 as black and 3000 as white",
            ) from error
        return cls(stretch=Stretch((low,) * 3, (high,) * 3))


def is_ready_made(dataset: DatasetReader, bands: tuple[int, int, int]) -> bool:
    """Whether the display bands already are a picture: 8-bit RGB or grey in its own bands.

    A raster that names its red, green and blue bands is taken at its word.  One of more than four
    bands that names none is a sensor's product, whatever its first three bands are.
    """
    from rasterio.enums import ColorInterp

    if ColorInterp.palette in dataset.colorinterp:
        return True
    if set(dataset.dtypes) != {"uint8"} or bands != display_bands(dataset, None, dataset.name):
        return False
    return ColorInterp.red in dataset.colorinterp or dataset.count <= 4


def read_decimated(
    dataset: DatasetReader, bands: tuple[int, int, int], nodata: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The whole raster, decimated: bands (3, h, w) as stored, and where they hold data (h, w)."""
    step = max(1, math.ceil(max(dataset.width, dataset.height) / DECIMATED_SIDE))
    shape = (max(1, dataset.height // step), max(1, dataset.width // step))
    data, mask = read_bands(dataset, bands, None, shape)
    dtype = dataset.dtypes[0]
    valid = valid_pixels(data, mask, nodata, dtype)
    if is_ambiguous(nodata):
        valid &= ~reaching_border(equals_nodata(data, nodata, dtype))
    return np.broadcast_to(data, (3, *shape)), valid


def measure(data: np.ndarray, valid: np.ndarray) -> Levels:
    """The levels of display bands (3, h, w) over valid pixels (h, w), of which there are some."""
    ordered = [np.sort(band[valid]) for band in data]
    count = len(ordered[0])
    at = np.linspace(0, count - 1, _RANKS).round().astype(int)
    levels = [np.percentile(band, _PERCENTILES) for band in ordered]
    ends = [(float(band[0]), float(band[-1])) for band in ordered]
    return Levels(_stretch(levels, ends), np.stack([band[at] for band in ordered]), count)


def pooled(levels: Sequence[Levels]) -> Stretch:
    """From the 2% to the 98% level of each band over the pixels of all scenes."""
    if len(levels) == 1:
        return levels[0].own
    weights = np.repeat([each.count / _RANKS for each in levels], _RANKS)
    found, ends = [], []
    for band in np.stack([each.ranks.astype(float) for each in levels], axis=1):
        values = band.ravel()
        order = np.argsort(values, kind="stable")
        shares = np.cumsum(weights[order]) - weights[order] / 2
        wanted = np.array(_PERCENTILES) / 100 * weights.sum()
        found.append(np.interp(wanted, shares, values[order]))
        ends.append((float(values.min()), float(values.max())))
    return _stretch(found, ends)


def settle(
    scenes: Iterable[tuple[Scene, Callable[[], Levels]]], known: Mapping[str, Stretch]
) -> dict[str, Stretch]:
    """The stretch of every sensor that has none yet, from all its scenes.

    Args:
        scenes: Scenes as `ingest.open_scene` describes them, and what measures each.
        known: Stretches by sensor, which stay as they are.
    """
    fresh: dict[str, Stretch] = {}
    pools: dict[str, list[Levels]] = defaultdict(list)
    for scene, levels in scenes:
        if scene.stretch_from == GIVEN or scene.sensor in known:
            continue
        if scene.stretch_from == SENSOR:
            fresh[scene.sensor] = AS_STORED
        else:
            pools[scene.sensor].append(levels())
    return {**fresh, **{sensor: pooled(levels) for sensor, levels in pools.items()}}


def _stretch(levels: Sequence[np.ndarray], ends: Sequence[tuple[float, float]]) -> Stretch:
    """The stretch between the levels of each band, or its ends if they are equal."""
    lows, highs = [], []
    for (low, high), (least, most) in zip(levels, ends, strict=True):
        if not high > low:
            low, high = least, most
        lows.append(float(low))
        highs.append(float(high if high > low else low + max(1.0, abs(low) * 1e-3)))
    return Stretch.of((lows, highs))
