"""Filters of an object search as masks over a scene's windows: they apply before the search."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import numpy as np

from pipeline.geo import antimeridian
from pipeline.geo.polygons import polygons_of
from pipeline.imagery.chips import CHIP
from pipeline.objects.scan import WINDOW

if TYPE_CHECKING:
    from collections.abc import Sequence

    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.open_cells import MappedCells
    from pipeline.objects.places import Spot
    from pipeline.search.filters import Filters

#: Vertices along an edge of a polygon that is straight in degrees and bent in the scene's CRS.
_SEGMENTS = 32


def scene_passes(scene: Scene, filters: Filters | None) -> bool:
    """Whether a scene may hold hits: it is among those named, and of a day within the range."""
    if filters is None:
        return True
    if filters.scenes and scene.id not in filters.scenes:
        return False
    if not (filters.since or filters.until):
        return True
    if scene.datetime is None:
        return False
    day = date.fromisoformat(scene.datetime[:10])
    return (filters.since or date.min) <= day <= (filters.until or date.max)


def eligible_windows(
    collection: Collection,
    mapped: MappedCells,
    filters: Filters | None,
    spots: Sequence[Spot] = (),
) -> np.ndarray | None:
    """The windows that may be hits; None if all may.

    Args:
        collection: The collection, whose area all hits lie in.
        mapped: The cells of a scene.
        filters: The filters, or None.
        spots: Examples, from which `filters.away` is measured.

    Returns:
        bool, of the shape of the scene's score map.
    """
    area = collection.manifest.area
    polygons = [area.geometry] if area else []
    if filters is None and not polygons:
        return None
    mask = np.ones(mapped.inverse.shape, bool)
    if filters is not None and filters.within is not None:
        polygons.append(filters.within)
    for polygon in polygons:
        mask &= _inside(mapped, polygon)
    if filters is not None and (
        filters.max_nodata is not None or filters.min_sharpness is not None
    ):
        mask &= _on_good_chips(collection, mapped, filters)
    if filters is not None and filters.away:
        for spot in spots:
            mask &= _distances(mapped, spot) >= filters.away
    return None if mask.all() else mask


def _inside(mapped: MappedCells, polygon: BaseGeometry) -> np.ndarray:
    """Whether the centre of each window lies in a polygon, rasterised in the scene's own pixels."""
    import shapely
    from affine import Affine
    from rasterio.features import rasterize
    from shapely.geometry import box

    scene = mapped.scene
    part = antimeridian.intersection(box(*scene.footprint.buffer(1e-3).bounds), polygon)
    longest = max(part.bounds[2] - part.bounds[0], part.bounds[3] - part.bounds[1], 0)
    if part.is_empty or longest == 0:
        return np.zeros(mapped.inverse.shape, bool)

    def to_map(points: np.ndarray) -> np.ndarray:
        lon = antimeridian.wrap_longitude(points[:, 0], scene.centre_lon)
        cols, rows = scene.georeference.pixels(lon, points[:, 1])
        return np.column_stack([cols / mapped.side, rows / mapped.side]) - WINDOW / 2 + 0.5

    dense = shapely.segmentize(part, longest / _SEGMENTS)
    moved = shapely.transform(dense, to_map)
    shapes = [(piece, 1) for piece in polygons_of(moved)]
    return rasterize(
        shapes, mapped.inverse.shape, transform=Affine.identity(), dtype=np.uint8
    ).astype(bool)


def _on_good_chips(collection: Collection, mapped: MappedCells, filters: Filters) -> np.ndarray:
    """Whether the chip whose centre is nearest to each window passes the filters of quality."""
    table, scene = collection.chips, mapped.scene
    rows = np.flatnonzero(np.array(table.scene_ids)[table.scene] == scene.id)
    if not len(rows):
        return np.zeros(mapped.inverse.shape, bool)
    good = np.ones(len(rows), bool)
    if filters.max_nodata is not None:
        good &= table.nodata_percent[rows] <= filters.max_nodata
    if filters.min_sharpness is not None:
        good &= table.sharpness[rows] >= filters.min_sharpness
    tops, down = np.unique(table.rows[rows], return_inverse=True)
    lefts, across = np.unique(table.cols[rows], return_inverse=True)
    passes = np.zeros((len(tops), len(lefts)), bool)
    passes[down[good], across[good]] = True
    height, width = mapped.inverse.shape
    row_centres = mapped.centres(np.arange(height), np.zeros(height))[1]
    col_centres = mapped.centres(np.zeros(width), np.arange(width))[0]
    return passes[
        np.ix_(_nearest(tops + CHIP / 2, row_centres), _nearest(lefts + CHIP / 2, col_centres))
    ]


def _nearest(sorted_values: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Index of the nearest of some sorted values for each wanted one."""
    middles = (sorted_values[1:] + sorted_values[:-1]) / 2
    return np.searchsorted(middles, wanted)


def _distances(mapped: MappedCells, spot: Spot) -> np.ndarray:
    """Metres between the centre of each window and an example; infinite in another place."""
    height, width = mapped.inverse.shape
    row_centres = mapped.centres(np.arange(height), np.zeros(height))[1]
    col_centres = mapped.centres(np.zeros(width), np.arange(width))[0]
    lon, lat = spot.scene.georeference.lonlat(spot.col, spot.row)
    turned = antimeridian.wrap_longitude(lon, mapped.scene.centre_lon)
    col, row = mapped.scene.georeference.pixels(turned, lat)
    return mapped.scene.gsd * np.hypot(
        (row_centres - float(row))[:, None], (col_centres - float(col))[None]
    )
