"""Filters: which chips are eligible.  They are applied before a search, so k hits stay k."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from pipeline.errors import NotFoundError
from pipeline.geo import antimeridian
from pipeline.index.rows import Eligible

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection

#: Sets of filters whose eligible chips are cached for each table.
REMEMBERED = 4


@dataclass(frozen=True)
class Filters:
    """Which chips are eligible.

    Attributes:
        within: Polygon in EPSG:4326 that must contain a chip's centre.
        scenes: Scene ids, or empty for all.
        since: First acquisition day; excludes scenes without a date.
        until: Last acquisition day; excludes scenes without a date.
        max_nodata: Maximum share of pixels without data, in percent.
        min_sharpness: Minimum sharpness.
        away: Minimum distance of a chip's centre from the query's, in metres.
    """

    within: BaseGeometry | None = None
    scenes: tuple[str, ...] = ()
    since: date | None = None
    until: date | None = None
    max_nodata: float | None = None
    min_sharpness: float | None = None
    away: float | None = None


#: Names of the search parameters that filter.
FILTERS = tuple(field.name for field in fields(Filters))

_cache: WeakKeyDictionary[ChipTable, OrderedDict[Filters, Eligible]] = WeakKeyDictionary()
_cache_lock = threading.Lock()


def check_scenes(scenes: Iterable[str], collections: Sequence[Collection]) -> None:
    """Refuse scenes that none of the collections to search has, or has any more.

    Raises:
        NotFoundError: If there is one.
    """
    for scene in scenes:
        if not any(scene in collection.manifest.scenes for collection in collections):
            raise NotFoundError(
                f"No such scene in {', '.join(collection.name for collection in collections)}",
                where=scene[:80],
                remedy="It may have been removed: leave it out of scenes, or choose others",
            )


def eligible_chips(
    table: ChipTable, filters: Filters, footprints: np.ndarray | None = None
) -> Eligible:
    """The chips that pass filters; cached, because searches often follow with the same filters.

    Args:
        table: Chips of the collection.
        filters: The filters.
        footprints: Float64 (m, 4, 2), the query's, from which `filters.away` is measured; without
            them it does not apply.
    """
    fixed = replace(filters, away=None)
    with _cache_lock:
        known = _cache.setdefault(table, OrderedDict())
        eligible = known.get(fixed)
    eligible = eligible or Eligible(_passing(table, fixed))
    with _cache_lock:
        known[fixed] = eligible
        known.move_to_end(fixed)
        while len(known) > REMEMBERED:
            known.popitem(last=False)
    if not filters.away or footprints is None or not len(footprints):
        return eligible
    mask = eligible.mask.copy()
    for lon, lat in footprints.mean(axis=1):
        mask &= metres_from(table.centres, lon, lat) >= filters.away
    return Eligible(mask)


def _passing(table: ChipTable, filters: Filters) -> np.ndarray:
    """Bool (n,): the chips that pass the filters, `away` not counted."""
    mask = np.ones(len(table), bool)
    if filters.max_nodata is not None:
        mask &= table.nodata_percent <= filters.max_nodata
    if filters.min_sharpness is not None:
        mask &= table.sharpness >= filters.min_sharpness
    if filters.scenes or filters.since or filters.until:
        scenes = [_scene_passes(table, i, filters) for i in range(len(table.scene_ids))]
        mask &= np.array(scenes, bool)[table.scene]
    if filters.within is not None:
        mask &= antimeridian.contains(filters.within, *table.centres.T)
    return mask


def metres_from(points: np.ndarray, lon: float, lat: float) -> np.ndarray:
    """Great-circle distance in metres of points (n, 2) from a place (haversine, mean radius)."""
    x, y = np.radians(points[:, 0]), np.radians(points[:, 1])
    x0, y0 = np.radians(lon), np.radians(lat)
    a = np.sin((y - y0) / 2) ** 2 + np.cos(y) * np.cos(y0) * np.sin((x - x0) / 2) ** 2
    return 2 * 6_371_008.8 * np.arcsin(np.sqrt(np.clip(a, 0, 1)))


def _scene_passes(table: ChipTable, scene: int, filters: Filters) -> bool:
    if filters.scenes and table.scene_ids[scene] not in filters.scenes:
        return False
    if not (filters.since or filters.until):
        return True
    acquired = table.datetimes[scene]
    if acquired is None:
        return False
    day = date.fromisoformat(acquired[:10])
    return (filters.since or date.min) <= day <= (filters.until or date.max)
