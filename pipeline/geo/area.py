"""The area of interest: parsed from user input, validated and measured.

All coordinates are EPSG:4326, longitude first.  An area that crosses the antimeridian is stored
split, as RFC 7946 recommends, so that whether it contains a chip's centre is a plain
point-in-polygon test.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import AreaError
from pipeline.geo import coordinates
from pipeline.geo.antimeridian import Bounds, join, unwrap_bounds, wrap_bounds, wrap_longitude
from pipeline.geo.area_files.features import MAX_FILE_BYTES, Feature
from pipeline.geo.area_files.geojson import read_geojson
from pipeline.geo.area_files.read import read_features
from pipeline.geo.polygons import polygons_of
from pipeline.geo.validation import valid_outline

if TYPE_CHECKING:
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry


#: Default limit on the size of an area in km²: about France and Spain together.
MAX_KM2 = 1_000_000.0
#: An area below one square metre, in km², is taken for an empty one.
MIN_KM2 = 1e-6


@dataclass(frozen=True, eq=False)
class Area:
    """An area of interest.

    Attributes:
        geometry: Valid polygon or multipolygon, EPSG:4326, longitudes within ±180°.
        name: From the user or the file; may be empty.
        notes: What validation changed, one sentence each, for the user to see.

    Two areas of one outline are equal, whatever their names.
    """

    geometry: Polygon | MultiPolygon
    name: str = ""
    notes: tuple[str, ...] = ()

    def __eq__(self, other: object) -> bool:
        # Repairing an outline twice may begin its rings at another corner.
        if not isinstance(other, Area):
            return NotImplemented
        return bool(self.geometry.normalize() == other.geometry.normalize())

    def __hash__(self) -> int:
        return hash(self.geometry.normalize())

    @classmethod
    def of(
        cls,
        geometry: BaseGeometry,
        name: str = "",
        *,
        notes: Iterable[str] = (),
        limit_km2: float = MAX_KM2,
    ) -> Area:
        """Validate a geometry in EPSG:4326; repair what can be repaired and note it.

        Args:
            geometry: Any geometry; only its polygons count.  An edge that spans more than 180° of
                longitude is taken to cross the antimeridian.  Longitudes beyond ±180°, which maps
                that scroll endlessly produce, are wrapped.
            name: Name of the area.
            notes: Notes from reading the geometry; they come first.
            limit_km2: Maximum size.

        Raises:
            AreaError: If there is no valid polygon, or the area is empty, encloses a pole or
                exceeds the limit.
        """
        remarks = list(notes)
        outline = valid_outline(geometry, remarks)
        area = cls(geometry=outline, name=name.strip()[:200], notes=tuple(remarks))
        size = area.area_km2
        if size < MIN_KM2:
            raise AreaError(
                "The area has no size", where=name, remedy="Draw an outline with some width"
            )
        if size > limit_km2:
            raise AreaError(
                f"The area is {size:,.0f} km², more than the limit of {limit_km2:,.0f} km²",
                where=name,
                remedy="Draw a smaller area, or divide it among several collections",
            )
        return area

    @classmethod
    def from_geojson(cls, source: str | dict[str, Any], name: str = "") -> Area:
        """Area of a GeoJSON Geometry, Feature or FeatureCollection, as text or parsed."""
        return _join_features(read_geojson(source), name)

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> Area:
        """The area that `to_geojson` wrote, or its geometry alone, every coordinate as it stands.

        Nothing is repaired, as `from_geojson` would: parts of a collection bear the checksum of
        these very coordinates in their names.

        Raises:
            AreaError: If it is neither.
        """
        (geometry, name), *others = read_geojson(data)
        if others or geometry.geom_type not in ("Polygon", "MultiPolygon"):
            raise AreaError("This is not a stored area", where=geometry.geom_type)
        return cls(geometry, name)

    @classmethod
    def from_bytes(cls, data: bytes, filename: str) -> Area:
        """Area of an uploaded file; its content, not its extension, decides the format.

        Raises:
            AreaError: If it is not GeoJSON, KML, KMZ, a zipped Shapefile or GeoPackage, or is
                unsafe to open.
        """
        return _join_features(read_features(data, filename), Path(filename).stem)

    @classmethod
    def from_file(cls, path: Path | str) -> Area:
        """Area of a GeoJSON, KML, KMZ, zipped Shapefile or GeoPackage file."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            raise AreaError(
                f"Cannot read the area file: {error.strerror}",
                where=path,
                remedy="Check the path; a Shapefile must be zipped into one file",
            ) from error
        return cls.from_bytes(data, path.name)

    @classmethod
    def from_bounds(cls, bounds: Bounds, name: str = "") -> Area:
        """Area of (west, south, east, north) in degrees; west > east crosses the antimeridian."""
        import shapely

        west, south, east, north = bounds
        if not all(math.isfinite(value) for value in bounds):
            raise AreaError("A bound is not a finite number", where=bounds)
        if south > north:
            raise AreaError(
                "The southern bound is above the northern one",
                where=f"{south} > {north}",
                remedy="Write the bounds as west, south, east, north",
            )
        west, south, east, north = unwrap_bounds(bounds)
        # No edge may span more than 180°, or it would be taken to cross the antimeridian.
        shape = shapely.box(west, south, east, north)
        if east - west > 90:
            shape = shapely.segmentize(shape, 45)
        return cls.of(shape, name)

    @classmethod
    def from_bbox_text(cls, text: str) -> Area:
        """Area of "west, south, east, north" with any separators and brackets."""
        values = coordinates.numbers(text)
        if len(values) != 4:
            raise AreaError(
                f"A bounding box needs four numbers; this text has {len(values)}",
                where=text[:80],
                remedy="Write west, south, east, north, such as -122.2, 37.4, -122.0, 37.6",
            )
        west, south, east, north = values
        return cls.from_bounds((west, south, east, north), "Bounding box")

    @classmethod
    def from_place_text(cls, text: str, km: float = 5.0) -> Area:
        """Square around a place.

        Args:
            text: "latitude, longitude" in decimal degrees, a `geo:` link or a map's address; or
                degrees, minutes and seconds with N, S, E, W in either order.
            km: Side of the square in kilometres.
        """
        from pyproj import Geod

        if not 0 < km <= 2000:
            raise AreaError(
                "The size of the box must be above 0 and at most 2,000 km", where=f"{km:g} km"
            )
        lat, lon = coordinates.parse(text)
        geod = Geod(ellps="WGS84")
        half = km * 500
        north = geod.fwd(lon, lat, 0, half)[1]
        south = geod.fwd(lon, lat, 180, half)[1]
        if abs(lat) > 89 or min(90 - abs(north), 90 - abs(south)) < 0.5:
            raise AreaError(
                "The place is too close to a pole to draw a box around it",
                where=text[:80],
                remedy="Upload an outline instead",
            )
        east = float(wrap_longitude(geod.fwd(lon, lat, 90, half)[0], lon))
        return cls.from_bounds(
            (2 * lon - east, south, east, north), f"{km:g} km around {lat:.4f}, {lon:.4f}"
        )

    @classmethod
    def from_text(cls, text: str, km: float = 5.0) -> Area:
        """Area of pasted text: GeoJSON, KML, WKT, a bounding box or a place."""
        import shapely

        text = text.strip()
        if not text:
            raise AreaError(
                "The text is empty",
                remedy="Paste GeoJSON, a bounding box (west, south, east, north) or a place "
                "(latitude, longitude)",
            )
        if text.startswith("{"):
            return cls.from_geojson(text)
        if text.startswith("<"):
            # Pasted text is decoded already; the encoding that its XML declares no longer applies.
            document = re.sub(r"\A<\?xml[^>]*\?>", "", text)
            return cls.from_bytes(document.encode(), "pasted.kml")
        if re.match(r"(?:SRID=4326;)?\s*(?:MULTI)?POLYGON", text, re.IGNORECASE):
            try:
                return cls.of(shapely.from_wkt(text.split(";")[-1]))
            except shapely.errors.GEOSException as error:
                raise AreaError(
                    "This WKT cannot be parsed", where=text[:80], remedy="Check its brackets"
                ) from error
        if len(coordinates.numbers(text)) == 4 and not re.search(r"[NSEW°º'′\"″@]", text):
            return cls.from_bbox_text(text)
        return cls.from_place_text(text, km)

    @property
    def area_km2(self) -> float:
        """Size on the WGS 84 ellipsoid, in km²."""
        return area_km2(self.geometry)

    @property
    def bounds(self) -> Bounds:
        """(west, south, east, north) in degrees; west > east across the antimeridian (RFC 7946)."""
        return wrap_bounds(join(self.geometry).bounds)

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON Feature that `from_geojson` reads back."""
        from shapely.geometry import mapping

        # Through JSON, so that tuples become lists and equal areas compare equal once stored.
        geometry = json.loads(json.dumps(mapping(self.geometry)))
        properties = {"name": self.name, "area_km2": round(self.area_km2, 6)}
        return {"type": "Feature", "properties": properties, "geometry": geometry}


def area_km2(geometry: BaseGeometry) -> float:
    """Size in km² on the WGS 84 ellipsoid of a geometry in EPSG:4326, split or contiguous."""
    import shapely
    from pyproj import Geod
    from shapely.geometry.polygon import orient

    # On a globe a ring has two insides; in pieces of at most a quarter the smaller one is meant.
    edges = np.arange(-540, 541, 90)
    quarters = shapely.box(edges[:-1], -90, edges[1:], 90)
    pieces = [part for quarter in geometry & quarters for part in polygons_of(quarter)]
    # An edge straight in degrees is no geodesic; cut short enough, the two agree.
    pieces = shapely.segmentize(pieces, 0.02)
    geod = Geod(ellps="WGS84")
    return sum(abs(geod.geometry_area_perimeter(orient(piece))[0]) for piece in pieces) / 1e6


def _join_features(features: list[Feature], name: str) -> Area:
    """One area of all features of a file."""
    import shapely

    if len(features) == 1:
        return Area.of(features[0].geometry, features[0].name or name)
    geometry = shapely.GeometryCollection([feature.geometry for feature in features])
    return Area.of(geometry, name, notes=[f"{len(features)} features were joined into one area"])
