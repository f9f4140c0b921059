"""Filters: which chips may be a hit.  They are applied before a search, never after it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass, fields, replace
from datetime import date
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

import numpy as np

from pipeline.geo.footprint import nearest_turn
from pipeline.index.rows import Eligible

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.chip_table import ChipTable

#: Sets of filters whose eligible chips are remembered for each table.
REMEMBERED = 4


@dataclass(frozen=True)
class Filters:
    """What may be a hit; applied before the search.

    Attributes:
        within: Polygon in EPSG:4326; a chip is eligible if its centre lies inside.
        scenes: Scene ids, or empty for all.
        since: First acquisition day; scenes without a date are not eligible then.
        until: Last acquisition day.
        max_nodata: Largest share of pixels without data, percent.
        min_sharpness: Least sharpness.
        away: Metres that a hit's centre must keep from the query's.
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

_admitted_by: WeakKeyDictionary[ChipTable, OrderedDict[Filters, Eligible]] = WeakKeyDictionary()
_admitting = threading.Lock()


def admitted(table: ChipTable, filters: Filters, places: np.ndarray | None = None) -> Eligible:
    """The chips that the filters admit; remembered, as one searches on under the same filters.

    Args:
        table: The collection's.
        filters: Any.
        places: Float64 (m, 4, 2), the query's footprints, from which `filters.away` counts; without
            any that one is left out.
    """
    fixed = replace(filters, away=None)
    with _admitting:
        known = _admitted_by.setdefault(table, OrderedDict())
        found = known.get(fixed)
    found = found or Eligible(_passing(table, fixed))
    with _admitting:
        known[fixed] = found
        known.move_to_end(fixed)
        while len(known) > REMEMBERED:
            known.popitem(last=False)
    if not filters.away or places is None or not len(places):
        return found
    mask = found.mask.copy()
    for lon, lat in places.mean(axis=1):
        mask &= metres_from(table.centres, lon, lat) >= filters.away
    return Eligible(mask)


def _passing(table: ChipTable, filters: Filters) -> np.ndarray:
    """Bool (n,): the chips that the filters admit, wherever the query is."""
    mask = np.ones(len(table), bool)
    if filters.max_nodata is not None:
        mask &= table.nodata_percent <= filters.max_nodata
    if filters.min_sharpness is not None:
        mask &= table.sharpness >= filters.min_sharpness
    if filters.scenes or filters.since or filters.until:
        scenes = [_scene_passes(table, i, filters) for i in range(len(table.scene_ids))]
        mask &= np.array(scenes, bool)[table.scene]
    if filters.within is not None:
        import shapely

        shapely.prepare(filters.within)
        lon = nearest_turn(table.centres[:, 0], 0.0)
        mask &= shapely.intersects_xy(filters.within, lon, table.centres[:, 1])
    return mask


def metres_from(points: np.ndarray, lon: float, lat: float) -> np.ndarray:
    """Great-circle metres of points (n, 2) in lon/lat from one place (haversine, mean radius)."""
    x, y = np.radians(points[:, 0]), np.radians(points[:, 1])
    x0, y0 = np.radians(lon), np.radians(lat)
    a = np.sin((y - y0) / 2) ** 2 + np.cos(y) * np.cos(y0) * np.sin((x - x0) / 2) ** 2
    return 2 * 6_371_008.8 * np.arcsin(np.sqrt(np.clip(a, 0, 1)))


def _scene_passes(table: ChipTable, scene: int, filters: Filters) -> bool:
    if filters.scenes and table.scene_ids[scene] not in filters.scenes:
        return False
    if not (filters.since or filters.until):
        return True
    when = table.datetimes[scene]
    if when is None:
        return False
    day = date.fromisoformat(when[:10])
    return (filters.since or date.min) <= day <= (filters.until or date.max)
