"""Objects: things found in the imagery, each once, with its place, size and outline."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.geo import footprint
from pipeline.geo.antimeridian import wrap_longitude
from pipeline.search.chance import rounded

if TYPE_CHECKING:
    from shapely.geometry import Polygon

    from pipeline.imagery.chips import Window
    from pipeline.imagery.scene import Scene

#: Side of an object's picture by its own longer side: a tight picture with a little around it.
PICTURE = 1.25
#: Minimum side of an object's picture in pixels of the scene.
LEAST_PICTURE = 16
#: Maximum distance in pixels between an outline and the window that counts as the window.
_SAME = 0.5


@dataclass(frozen=True)
class FoundObject:
    """A thing found in a scene.

    Attributes:
        id: Content-addressed: 16 hex digits of the scene, the centre in pixels and the size.
        rank: 1 for the best.
        score: 0 to 1; above 0.5 more like the good examples than like anything else.
        probability: Calibrated, 0 to 1; None while there are too few marks.
        lon: Longitude of the centre, EPSG:4326.
        lat: Latitude of the centre.
        width_m: Size on the ground across the columns of the scene, in metres.
        height_m: Size across its rows.
        geometry: Outline at the threshold where there is one, else the window, EPSG:4326.
        collection: Name of the collection.
        scene_id: Scene that it lies in.
        datetime: Acquisition time of that scene, ISO 8601, or None.
        col: Centre in pixels of the scene.
        row: Centre in pixels of the scene.
        width: Size in pixels of the scene.
        height: Size in pixels of the scene.
        mark: "good", "bad", "skip" or "".
        by_chance: How many windows would look as much like the examples by chance, or None where
            that is unknown; see `pipeline.objects.chance`.
    """

    id: str
    rank: int
    score: float
    probability: float | None
    lon: float
    lat: float
    width_m: float
    height_m: float
    geometry: Polygon = field(compare=False, repr=False)
    collection: str
    scene_id: str
    datetime: str | None
    col: float
    row: float
    width: float
    height: float
    mark: str = ""
    by_chance: float | None = None

    @property
    def box(self) -> tuple[float, float, float, float]:
        """Left, upper, right and lower edge in pixels of the scene."""
        x, y = self.width / 2, self.height / 2
        return self.col - x, self.row - y, self.col + x, self.row + y

    @property
    def picture(self) -> Window:
        """Column, row, width and height of its tight, square picture in pixels of the scene."""
        side = max(math.ceil(PICTURE * max(self.width, self.height)), LEAST_PICTURE)
        return round(self.col - side / 2), round(self.row - side / 2), side, side

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as the command line and REST print it."""
        # Shapely's own `mapping` takes twice as long, which thousands of objects feel.
        shape = self.geometry
        rings = [list(ring.coords) for ring in (shape.exterior, *shape.interiors)]
        return {
            "rank": self.rank,
            "id": self.id,
            "score": round(self.score, 6),
            "probability": None if self.probability is None else round(self.probability, 4),
            "by_chance": rounded(self.by_chance),
            "lon": round(self.lon, 7),
            "lat": round(self.lat, 7),
            "width_m": round(self.width_m, 2),
            "height_m": round(self.height_m, 2),
            "geometry": {"type": "Polygon", "coordinates": rings},
            "collection": self.collection,
            "scene_id": self.scene_id,
            "datetime": self.datetime,
            "mark": self.mark,
        }


def object_id(scene_id: str, col: float, row: float, width: float, height: float) -> str:
    """The id of an object: the same place and size, to the pixel, have the same id.

    Args:
        scene_id: The scene.
        col: Centre in pixels of the scene.
        row: Centre in pixels of the scene.
        width: Size in pixels of the scene.
        height: Size in pixels of the scene.
    """
    text = f"{scene_id} {col:.0f} {row:.0f} {width:.0f} {height:.0f}"
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def found_objects(
    collection: str,
    scene: Scene,
    boxes: np.ndarray,
    scores: np.ndarray,
    *,
    ranks: Sequence[int] | None = None,
    probabilities: Sequence[float | None] | None = None,
    outlines: Sequence[Polygon | None] | None = None,
    marks: Sequence[str] | None = None,
    by_chance: Sequence[float] | None = None,
) -> list[FoundObject]:
    """Objects of one scene, in the order given.

    Args:
        collection: Name of the collection.
        scene: The scene.
        boxes: float (n, 4): centre column, centre row, width and height in pixels of the scene.
        scores: float (n,).
        ranks: Their ranks, (n,); by default 1, 2 and so on.
        probabilities: Calibrated, (n,); None for none.
        outlines: Outlines in EPSG:4326, (n,); None where an object has its window instead.
        marks: Their marks, (n,); by default none.
        by_chance: Windows that would look as much like the examples by chance, (n,); None where
            that is unknown.
    """
    boxes = np.asarray(boxes, float).reshape(-1, 4)
    lon, lat, width_m, height_m = _on_ground(scene, boxes)
    windows = window_polygons(scene, boxes)
    objects = []
    for i, (col, row, width, height) in enumerate(boxes.tolist()):
        outline = outlines[i] if outlines else None
        objects.append(
            FoundObject(
                id=object_id(scene.id, col, row, width, height),
                rank=ranks[i] if ranks else i + 1,
                score=float(scores[i]),
                probability=probabilities[i] if probabilities else None,
                lon=float(lon[i]),
                lat=float(lat[i]),
                width_m=float(width_m[i]),
                height_m=float(height_m[i]),
                geometry=outline or windows[i],
                collection=collection,
                scene_id=scene.id,
                datetime=scene.datetime,
                col=col,
                row=row,
                width=width,
                height=height,
                mark=marks[i] if marks else "",
                by_chance=by_chance[i] if by_chance else None,
            )
        )
    return objects


def window_polygon(scene: Scene, col: float, row: float, width: float, height: float) -> Polygon:
    """The window around a centre in pixels of the scene, EPSG:4326, contiguous at ±180°."""
    found: Polygon = window_polygons(scene, np.array([[col, row, width, height]]))[0]
    return found


def window_polygons(scene: Scene, boxes: np.ndarray) -> np.ndarray:
    """The windows of boxes (n, 4), each a centre's column and row, width and height in pixels."""
    col, row, width, height = boxes.T
    left, top = col - width / 2, row - height / 2
    return footprint.polygons(
        footprint.corners(scene.georeference, left, top, width, height, scene.centre_lon)
    )


def outline_in_pixels(found: FoundObject, scene: Scene) -> Polygon | None:
    """The outline of an object in pixels (column, row) of its scene; None if it is its window."""
    import shapely

    lon, lat = np.asarray(found.geometry.exterior.coords).T[:2]
    cols, rows = scene.georeference.pixels(lon, lat)
    left, upper, right, lower = found.box
    off_x = np.minimum(abs(cols - left), abs(cols - right))
    off_y = np.minimum(abs(rows - upper), abs(rows - lower))
    if len(cols) == 5 and max(off_x.max(), off_y.max()) < _SAME:
        return None
    return shapely.Polygon(np.column_stack([cols, rows]))


def _on_ground(scene: Scene, boxes: np.ndarray) -> tuple[np.ndarray, ...]:
    """Longitude and latitude of centres, and widths and heights in metres; each (n,)."""
    from pyproj import Geod

    col, row, width, height = boxes.T
    x = np.stack([col - width / 2, col, col + width / 2, col, col])
    y = np.stack([row, row - height / 2, row, row + height / 2, row])
    lon, lat = scene.georeference.lonlat(x, y)
    _, _, sides = Geod(ellps="WGS84").inv(lon[:2], lat[:2], lon[2:4], lat[2:4])
    return wrap_longitude(lon[4], scene.centre_lon), lat[4], *sides
