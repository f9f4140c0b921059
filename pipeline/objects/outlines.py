"""Outlines of objects: the contour of a score map at a threshold, around each peak.

A score map has one score for each position of the window, in steps of one cell.  Between the
positions the score is interpolated, so that an outline is finer than a cell: marching squares
(Lorensen & Cline, Marching cubes, SIGGRAPH 1987, in two dimensions), as contourpy implements it.

An object has the connected piece that holds its peak.  A piece with several peaks is divided among
them: each has what lies nearest to it, which are the cells of a Voronoi diagram.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.geo.antimeridian import wrap_longitude
from pipeline.geo.polygons import polygons_of
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from shapely.geometry import Point, Polygon
    from shapely.geometry.base import BaseGeometry

    from pipeline.imagery.scene import Scene

#: Maximum distance in cells by which the simplified outline may miss the contour.
TOLERANCE = 0.1
#: Minimum area in cells; a smaller piece is a tip above the threshold and shows no shape.
LEAST_AREA = 1.0


def outlines(
    scores: np.ndarray,
    peaks: np.ndarray,
    threshold: float,
    scene: Scene,
    scale: float,
    *,
    window: int = 4,
) -> list[Polygon | None]:
    """The outline of each object at a threshold, in EPSG:4326.

    Args:
        scores: float (h, w), NaN where there is no data; of the windows whose first cell is there.
        peaks: int (n, 2), row and column in the map of each object's peak.
        threshold: The score at the outline.
        scene: The scene of the map.
        scale: Pixels given to the network per pixel of the scene.
        window: Side of the scored window in cells.

    Returns:
        A polygon for each peak, contiguous across the antimeridian; None where the peak is below
        the threshold or its piece is smaller than `LEAST_AREA`.
    """
    import shapely

    peaks = np.asarray(peaks).reshape(-1, 2)
    pieces = pieces_at(scores, peaks, threshold)
    kept = [i for i, piece in enumerate(pieces) if piece is not None]
    thin = shapely.simplify([pieces[i] for i in kept], TOLERANCE)

    def to_degrees(points: np.ndarray) -> np.ndarray:
        cols, rows = ((points + window / 2) * CELL_PIXELS / scale).T
        lon, lat = scene.georeference.lonlat(cols, rows)
        return np.column_stack([wrap_longitude(lon, scene.centre_lon), lat]).round(7)

    found: list[Polygon | None] = [None] * len(peaks)
    for i, outline in zip(kept, shapely.transform(thin, to_degrees), strict=True):
        found[i] = outline if outline.is_valid and not outline.is_empty else None
    return found


def pieces_at(scores: np.ndarray, peaks: np.ndarray, threshold: float) -> list[Polygon | None]:
    """As `outlines`, in columns and rows of the map and not simplified."""
    import shapely

    areas = contours(_around(scores, peaks, threshold), threshold)
    points = shapely.points(peaks[:, ::-1].astype(float))
    pieces: list[Polygon | None] = [None] * len(peaks)
    if not len(areas) or not len(peaks):
        return pieces
    at, area = shapely.STRtree(areas).query(points, predicate="intersects")
    for number in np.unique(area):
        members = at[area == number]
        whole = areas[number]
        parts = [whole] if len(members) == 1 else _divided(whole, points[members])
        for i, part in zip(members, parts, strict=True):
            pieces[i] = part if part is not None and part.area >= LEAST_AREA else None
    return pieces


def contours(scores: np.ndarray, threshold: float) -> np.ndarray:
    """Polygons (n,) of what lies at or above a threshold, in columns and rows of the map.

    Args:
        scores: float (h, w), NaN where there is no data.
        threshold: The score at the contour.
    """
    import shapely
    from contourpy import FillType, contour_generator

    highest = np.nanmax(scores, initial=-np.inf)
    if not scores.size or not highest >= threshold:
        return np.empty(0, object)
    # An object at the edge of the data ends within the next cell.
    beyond = threshold - 1
    field = np.pad(np.where(np.isnan(scores), beyond, scores), 1, constant_values=beyond)
    generator: Any = contour_generator(z=field, name="serial", fill_type=FillType.OuterOffset)
    rings, offsets = generator.filled(threshold, highest + 1)
    polygons = [
        shapely.Polygon(parts[0], parts[1:])
        for parts in (
            np.split(np.asarray(points) - 1, np.asarray(starts)[1:-1])
            for points, starts in zip(rings, offsets, strict=True)
        )
    ]
    return np.array(polygons, object)


def _around(scores: np.ndarray, peaks: np.ndarray, threshold: float) -> np.ndarray:
    """The scores, NaN in pieces above the threshold that hold no peak: most of a large map."""
    from scipy.ndimage import label

    pieces, count = label(scores >= threshold, np.ones((3, 3)))
    wanted = np.zeros(count + 1, bool)
    wanted[pieces[tuple(peaks.T)]] = True
    wanted[0] = True
    return np.where(wanted[pieces], scores, np.nan)


def _divided(whole: Polygon, points: np.ndarray) -> list[Polygon | None]:
    """For each point the part of a polygon that is nearest to it, and connected to it."""
    import shapely

    if not whole.is_valid:
        whole = shapely.make_valid(whole)
    cells = shapely.get_parts(
        shapely.voronoi_polygons(shapely.multipoints(points), extend_to=whole)
    )
    at, cell = shapely.STRtree(cells).query(points, predicate="intersects")
    cell_of = dict(zip(at.tolist(), cell.tolist(), strict=True))
    shares = shapely.intersection(whole, cells[[cell_of[i] for i in range(len(points))]])
    return [_holding(share, point) for share, point in zip(shares, points, strict=True)]


def _holding(share: BaseGeometry, point: Point) -> Polygon | None:
    parts: list[Any] = polygons_of(share)
    return min(parts, key=lambda part: part.distance(point), default=None)
