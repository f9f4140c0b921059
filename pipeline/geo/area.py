"""The area of interest: parsed from whatever people have, validated, measured.

Everything in here is EPSG:4326, longitude first.  An area across the antimeridian is kept as
RFC 7946 wants it, cut at ±180° into parts, so that "is this chip's centre inside?" is a plain
point-in-polygon question for chips whose longitudes lie within ±180°.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import AreaError
from pipeline.geo import area_files, coordinates

if TYPE_CHECKING:
    import numpy as np
    from shapely.geometry import MultiPolygon, Polygon
    from shapely.geometry.base import BaseGeometry

#: Largest area accepted unless the caller says otherwise, in km² (about France and Spain together).
LIMIT_KM2 = 1_000_000.0
#: Smallest area that can be meant, in km² (one square metre).
LEAST_KM2 = 1e-6
#: More corners than this is a coastline, not an area of interest.
MOST_VERTICES = 200_000


@dataclass(frozen=True)
class Area:
    """An area of interest.

    Attributes:
        geometry: Valid polygon or multipolygon, EPSG:4326, longitudes within ±180°.
        name: What the user, or the file, called it.
        notes: What was changed on the way in, one sentence each, to be shown to the user.
    """

    geometry: Polygon | MultiPolygon
    name: str = ""
    notes: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        geometry: BaseGeometry,
        name: str = "",
        *,
        notes: Iterable[str] = (),
        limit_km2: float = LIMIT_KM2,
    ) -> Area:
        """Validate a geometry in EPSG:4326, repairing what can be repaired and saying so.

        Args:
            geometry: Any geometry; parts that are not polygons are ignored.  An edge that spans
                more than 180° of longitude is taken to cross the antimeridian, longitudes beyond
                ±180° (as maps that scroll round the world draw them) are wrapped.
            name: What to call it.
            notes: Notes from reading the geometry, kept in front.
            limit_km2: The largest area accepted.

        Raises:
            AreaError: If there is no polygon, or it is empty, of zero area, round a pole, off the
                globe or larger than the limit.
        """
        import shapely

        remarks = list(notes)
        shape = _polygons_of(shapely.force_2d(geometry), remarks)
        _check_coordinates(shape)
        shape = _split(_repair(_unwrap(shape), remarks), remarks)
        area = cls(geometry=shape, name=name.strip()[:200], notes=tuple(remarks))
        size = area.area_km2
        if size < LEAST_KM2:
            raise AreaError("The area has no size", where=name, remedy="Draw it with some width")
        if size > limit_km2:
            raise AreaError(
                f"The area is {size:,.0f} km², more than the limit of {limit_km2:,.0f} km²",
                where=name,
                remedy="Draw a smaller one, or cut it into several collections",
            )
        return area

    @classmethod
    def from_geojson(cls, source: str | dict[str, Any], name: str = "") -> Area:
        """Area of a GeoJSON Geometry, Feature or FeatureCollection, as text or as parsed."""
        return _from_found(area_files.geojson(source), name)

    @classmethod
    def from_bytes(cls, data: bytes, filename: str) -> Area:
        """Area of an uploaded file; the content, not the extension, says which format it is.

        Raises:
            AreaError: If it is not GeoJSON, KML, KMZ, a zipped Shapefile or GeoPackage, or unsafe.
        """
        return _from_found(area_files.read(data, filename), Path(filename).stem)

    @classmethod
    def from_file(cls, path: Path | str) -> Area:
        """Area of a GeoJSON, KML, KMZ, zipped Shapefile or GeoPackage file."""
        path = Path(path)
        try:
            with path.open("rb") as file:
                data = file.read(area_files.LARGEST_FILE + 1)
        except OSError as error:
            raise AreaError(
                f"Cannot read the area's file: {error.strerror}",
                where=path,
                remedy="Check the path; it should be one file, Shapefiles zipped",
            ) from error
        return cls.from_bytes(data, path.name)

    @classmethod
    def from_bounds(cls, bounds: tuple[float, float, float, float], name: str = "") -> Area:
        """Area of (west, south, east, north) degrees; west > east crosses the antimeridian."""
        import shapely

        west, south, east, north = bounds
        if not all(math.isfinite(value) for value in bounds):
            raise AreaError("The bounds hold something that is not a number", where=bounds)
        if south > north:
            raise AreaError(
                "The south edge lies above the north edge",
                where=f"{south} > {north}",
                remedy="Write the bounds as west, south, east, north",
            )
        if west > east:
            east += 360
        # Corners close together, so that no edge is taken for one across the antimeridian.
        shape = shapely.box(west, south, east, north)
        if east - west > 90:
            shape = shapely.segmentize(shape, 45)
        return cls.of(shape, name)

    @classmethod
    def from_bbox_text(cls, text: str) -> Area:
        """Area of "west, south, east, north", with whatever separators and brackets."""
        values = coordinates.numbers(text)
        if len(values) != 4:
            raise AreaError(
                f"A bounding box has four numbers, this text has {len(values)}",
                where=text[:80],
                remedy="Write west, south, east, north, such as -122.2, 37.4, -122.0, 37.6",
            )
        west, south, east, north = values
        return cls.from_bounds((west, south, east, north), "Bounding box")

    @classmethod
    def from_place_text(cls, text: str, km: float = 5.0) -> Area:
        """Square area around a place.

        Args:
            text: "latitude, longitude" in decimal degrees, the way maps print it, or degrees,
                minutes and seconds with N, S, E, W in either order; `geo:` links are read too.
            km: Length of the square's sides in kilometres.
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
                "The place is too close to a pole for a box around it",
                where=text[:80],
                remedy="Upload an outline instead",
            )
        width = geod.fwd(lon, lat, 90, half)[0] - lon
        width = (width + 360) % 360
        return cls.from_bounds(
            (lon - width, south, lon + width, north), f"{km:g} km around {lat:.4f}, {lon:.4f}"
        )

    @classmethod
    def from_text(cls, text: str, km: float = 5.0) -> Area:
        """Area of whatever was pasted: GeoJSON, KML, WKT, a bounding box, or a place."""
        import shapely

        text = text.strip()
        if not text:
            raise AreaError(
                "Nothing was given",
                remedy="Paste GeoJSON, a bounding box (west, south, east, north) or a place "
                "(latitude, longitude)",
            )
        if text.startswith("{"):
            return cls.from_geojson(text)
        if text.startswith("<"):
            return cls.from_bytes(text.encode(), "pasted.kml")
        if re.match(r"(?:SRID=4326;)?\s*(?:MULTI)?POLYGON", text, re.IGNORECASE):
            try:
                return cls.of(shapely.from_wkt(text.split(";")[-1]))
            except shapely.errors.GEOSException as error:
                raise AreaError(
                    "This WKT cannot be read", where=text[:80], remedy="Check its brackets"
                ) from error
        if len(coordinates.numbers(text)) == 4 and not re.search(r"[NSEW°º'′\"″@]", text):
            return cls.from_bbox_text(text)
        return cls.from_place_text(text, km)

    @property
    def area_km2(self) -> float:
        """Size on the WGS 84 ellipsoid, in km²."""
        return area_km2(self.geometry)

    @property
    def crosses_antimeridian(self) -> bool:
        """Whether parts of it touch +180° and -180°."""
        parts = _parts(self.geometry)
        return any(part.bounds[2] == 180 for part in parts) and any(
            part.bounds[0] == -180 and part.bounds[2] < 180 for part in parts
        )

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """(west, south, east, north) in degrees; west > east across the antimeridian (RFC 7946)."""
        west, south, east, north = self._continuous().bounds
        return (west, south, east - 360 if east > 180 else east, north)

    def to_geojson(self) -> dict[str, Any]:
        """A GeoJSON Feature that `from_geojson` reads back."""
        from shapely.geometry import mapping

        # Through JSON, so that tuples become lists and two equal areas compare equal on disk.
        geometry = json.loads(json.dumps(mapping(self.geometry)))
        properties = {"name": self.name, "area_km2": round(self.area_km2, 6)}
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    def _continuous(self) -> BaseGeometry:
        """The geometry with its western-hemisphere parts moved by 360° where it is cut at ±180°."""
        import shapely
        from shapely.affinity import translate

        if not self.crosses_antimeridian:
            return self.geometry
        return shapely.union_all(
            [
                translate(part, xoff=360) if part.bounds[2] <= 0 else part
                for part in _parts(self.geometry)
            ]
        )


def area_km2(geometry: BaseGeometry) -> float:
    """Size on the WGS 84 ellipsoid of the polygons of a geometry in EPSG:4326, in km²."""
    import numpy as np
    import shapely
    from pyproj import Geod

    # A ring has two insides on a globe: pieces of a quarter of it tell which is meant.  Footprints
    # across the antimeridian reach beyond ±180°.
    quarters = shapely.box(np.arange(-540, 540, 90), -90, np.arange(-450, 541, 90), 90)
    pieces = [part for piece in geometry & quarters for part in _flat(piece)]
    # Straight in degrees is not straight on the ellipsoid; short edges make the two agree.
    fine = shapely.segmentize(pieces, 0.02)
    geod = Geod(ellps="WGS84")
    return (
        sum(
            abs(geod.geometry_area_perimeter(shapely.geometry.polygon.orient(part))[0])
            for part in fine
        )
        / 1e6
    )


def _from_found(found: list[tuple[BaseGeometry, str]], name: str) -> Area:
    """One area of all geometries of a file."""
    import shapely

    notes = [f"{len(found)} features were joined into one area"] if len(found) > 1 else []
    geometry = found[0][0] if len(found) == 1 else shapely.GeometryCollection([g for g, _ in found])
    return Area.of(geometry, (found[0][1] if len(found) == 1 else "") or name, notes=notes)


def _parts(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in getattr(geometry, "geoms", [geometry]) if not part.is_empty]


def _polygons_of(geometry: BaseGeometry, notes: list[str]) -> MultiPolygon:
    """The polygons in a geometry, however deep its collections."""
    import shapely

    polygons: list[BaseGeometry] = []
    others = 0
    waiting = [geometry]
    while waiting:
        part = waiting.pop()
        if hasattr(part, "geoms"):
            waiting.extend(part.geoms)
        elif part.geom_type == "Polygon":
            polygons.append(part)
        else:
            others += not part.is_empty
    polygons = [part for part in polygons if not part.is_empty]
    if not polygons:
        found = "only points or lines" if others else "nothing"
        raise AreaError(
            f"An area needs a polygon; there is {found} here",
            remedy="Draw an outline, or give a place as latitude, longitude to get a box around it",
        )
    if others:
        notes.append(f"{others} points or lines were left out; only polygons make an area")
    if (corners := sum(shapely.get_num_coordinates(part) for part in polygons)) > MOST_VERTICES:
        raise AreaError(
            f"The outline has {corners:,} corners, more than {MOST_VERTICES:,}",
            remedy="Simplify it first (QGIS: Vector › Geometry Tools › Simplify)",
        )
    return shapely.MultiPolygon(polygons[::-1])


def _check_coordinates(shape: BaseGeometry) -> None:
    import numpy as np
    import shapely

    points = shapely.get_coordinates(shape)
    if not np.isfinite(points).all():
        raise AreaError("The outline holds a coordinate that is not a number")
    lon, lat = np.abs(points[:, 0]).max(), np.abs(points[:, 1]).max()
    if lat <= 90 and lon <= 540:
        return
    if lat > 540 or lon > 540:
        remedy = "These look like metres; reproject the file to EPSG:4326 (degrees) first"
    elif lon <= 90:
        remedy = "Latitude and longitude look swapped; longitude comes first"
    else:
        remedy = "Longitudes lie within ±180°, latitudes within ±90°"
    worst = points[np.argmax(np.abs(points[:, 1]) if lat > 90 else np.abs(points[:, 0]))]
    where = f"{worst[0]:g}, {worst[1]:g}"
    raise AreaError("The outline leaves the globe", where=where, remedy=remedy)


def _unwrap(shape: MultiPolygon) -> MultiPolygon:
    """Rings made continuous: an edge over more than 180° goes the short way round instead."""
    import numpy as np
    import shapely

    def continuous(ring: BaseGeometry) -> np.ndarray:
        points = shapely.get_coordinates(ring)
        steps = np.diff(points[:, 0])
        # A whole turn in one edge is a rectangle round the world, not a crossing.
        turns = np.where((np.abs(steps) > 180) & (np.abs(steps) < 360), -np.sign(steps), 0)
        if turns.any():
            if turns.sum() != 0:
                raise AreaError(
                    "The outline goes round a pole",
                    remedy="Cut it at ±180° of longitude and along the pole",
                )
            points[1:, 0] += 360 * np.cumsum(turns)
        return points

    polygons = []
    for part in shape.geoms:
        shell = continuous(part.exterior)
        middle = (shell[:, 0].min() + shell[:, 0].max()) / 2
        holes = []
        for ring in part.interiors:
            hole = continuous(ring)
            hole[:, 0] -= 360 * np.round((hole[:, 0].mean() - middle) / 360)
            holes.append(hole)
        polygons.append(shapely.Polygon(shell, holes))
    if any(np.ptp(shapely.get_coordinates(part)[:, 0]) > 360.000001 for part in polygons):
        raise AreaError("The outline goes round the world more than once", remedy="Draw it again")
    return shapely.MultiPolygon(polygons)


def _repair(shape: MultiPolygon, notes: list[str]) -> BaseGeometry:
    import shapely

    if not all(part.is_valid for part in shape.geoms):
        crossing = any("elf-inter" in shapely.is_valid_reason(part) for part in shape.geoms)
        shape = shapely.MultiPolygon(
            [piece for part in shape.geoms for piece in _flat(shapely.make_valid(part))]
        )
        what = "crossed itself" if crossing else "was not a proper polygon"
        notes.append(f"The outline {what} and was repaired; check its shape on the map")
    return shapely.union_all(list(shape.geoms))


def _flat(geometry: BaseGeometry) -> list[Polygon]:
    """Polygons of a geometry that may hold left-over lines and points."""
    if geometry.geom_type == "Polygon":
        return [] if geometry.is_empty else [geometry]
    return [piece for part in getattr(geometry, "geoms", []) for piece in _flat(part)]


def _split(shape: BaseGeometry, notes: list[str]) -> Polygon | MultiPolygon:
    """The shape cut at every antimeridian it crosses, all pieces within ±180°."""
    import shapely
    from shapely.affinity import translate

    west, _, east, _ = shape.bounds if not shape.is_empty else (0, 0, 0, 0)
    if west < -180 or east > 180:
        pieces = []
        for turn in (-2, -1, 0, 1, 2):
            band = shapely.box(-180 + 360 * turn, -90, 180 + 360 * turn, 90)
            pieces.append(translate(shape.intersection(band), xoff=-360 * turn))
        crossing = sum(not piece.is_empty and piece.area > 0 for piece in pieces) > 1
        shape = shapely.union_all(pieces)
        if crossing:
            notes.append("The area crosses the antimeridian and is kept as parts cut at ±180°")
    pieces = _flat(shape)
    if not pieces:
        raise AreaError("The area has no size", remedy="Draw it with some width")
    return pieces[0] if len(pieces) == 1 else shapely.MultiPolygon(pieces)
