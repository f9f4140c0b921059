"""A scene: one georeferenced raster, described once, stored with its provenance.

    scene = ingest(SceneInput(Path("flight.tif")), folder)      # a COG and a STAC Item in `folder`
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 256, 256)

A scene has one display stretch and one choice of bands, so that neighbouring chips look alike, and
so do their vectors.  `imagery.brightness` chooses the stretch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DamagedError, NotFoundError, SceneError
from pipeline.files import check_schema, read_json
from pipeline.geo.antimeridian import Bounds, wrap_longitude
from pipeline.geo.footprint import Georeference, footprint

if TYPE_CHECKING:
    from shapely.geometry import Polygon

#: Version of what `Scene.to_item` adds to a STAC Item.
SCHEMA = 1

#: Where a scene's stretch comes from: its own percentiles, all scenes of its sensor in the
#: collection, or whoever brought it.
SCENE, SENSOR, GIVEN = "scene", "sensor", "given"

#: A STAC Item without a date must have an interval.
_EVER = ("0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


@dataclass(frozen=True)
class Stretch:
    """Values shown as black and as white, for the red, green and blue display bands.

    Attributes:
        low: Shown as 0, in the raster's own units.
        high: Shown as 255; above `low`.
    """

    low: tuple[float, float, float]
    high: tuple[float, float, float]

    @classmethod
    def of(cls, levels: Sequence[Sequence[float]]) -> Stretch:
        """The stretch of (lows, highs), as JSON and options hold it.

        Raises:
            SceneError: If they are not three numbers each.
        """
        try:
            (low, low_2, low_3), (high, high_2, high_3) = levels
            return cls((low, low_2, low_3), (high, high_2, high_3))
        except (TypeError, ValueError) as error:
            raise _unusable("A stretch is three low and three high numbers", levels) from error

    def __post_init__(self) -> None:
        levels, pairs = (self.low, self.high), list(zip(self.low, self.high, strict=True))
        if len(pairs) != 3 or not all(map(math.isfinite, (*self.low, *self.high))):
            raise _unusable("A stretch is three low and three high numbers", levels)
        if any(high <= low for low, high in pairs):
            raise _unusable("A stretch's high level must be above its low one", levels)


def _unusable(what: str, levels: object) -> SceneError:
    remedy = "Leave it out for the automatic brightness"
    return SceneError(what, where=str(levels)[:80], remedy=remedy)


#: The stretch that shows 8-bit values as they are.
AS_STORED = Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def sensor_text(source: str, name: str, dtype: str, bands: tuple[int, int, int], count: int) -> str:
    """What scenes of one sensor have in common, in words: they share one stretch.

    Args:
        source: Kind of source.
        name: The sensor, or the service's collection of its images; "" where it is not known.
        dtype: Numeric type of the bands, or "palette".
        bands: 1-based bands shown as red, green and blue.
        count: Number of bands.
    """
    shown = "-".join(map(str, dict.fromkeys(bands)))
    return f"{f'{source} {name}'.strip()}, {dtype}, bands {shown} of {count}"


@dataclass(frozen=True)
class Scene:
    """One georeferenced raster with its provenance.

    Attributes:
        id: The file's name as a slug and eight digits of its content's SHA-256.
        path: File as opened, or its address in shared storage (`formats.Stored`).
        title: What people call it.
        crs: "EPSG:n" where there is one, else WKT.
        transform: Affine coefficients (a, b, c, d, e, f) from pixel to CRS.
        width: Pixels across.
        height: Pixels down.
        dtype: Numeric type of the bands.
        count: Number of bands, alpha included.
        bands: 1-based bands shown as red, green and blue.
        stretch: The display stretch.
        nodata: Declared nodata value, or None.
        gsd: Metres per pixel on the ground at the scene's centre.
        datetime: Acquisition time, ISO 8601 UTC, or None where unknown.
        source: Kind of source: "raster", "sample", "earth_engine", ...
        source_url: Where it came from.
        license: Licence and credit.
        sensor: What it has in common with scenes that share its stretch (`sensor_text`).
        stretch_from: Where the stretch comes from: `SCENE`, `SENSOR` or `GIVEN`.
    """

    id: str
    path: str
    title: str
    crs: str
    transform: tuple[float, ...]
    width: int
    height: int
    dtype: str
    count: int
    bands: tuple[int, int, int]
    stretch: Stretch
    nodata: float | None
    gsd: float
    datetime: str | None
    source: str
    source_url: str
    license: str = ""
    sensor: str = ""
    stretch_from: str = SCENE

    @property
    def georeference(self) -> Georeference:
        """What places the scene's pixels on the ground."""
        return Georeference(self.crs, self.transform)

    @cached_property
    def footprint(self) -> Polygon:
        """Outline in EPSG:4326, edges densified; contiguous across the antimeridian."""
        return footprint(self.georeference, self.width, self.height)

    @cached_property
    def centre_lon(self) -> float:
        """Longitude around which the scene and its chips are kept contiguous."""
        west, _, east, _ = self.footprint.bounds
        if east - west >= 360:
            return (west + east) / 2
        lon, _ = self.georeference.lonlat(self.width / 2, self.height / 2)
        return float(wrap_longitude(lon))

    @property
    def bounds4326(self) -> Bounds:
        """West, south, east, north; east may exceed 180 across the antimeridian."""
        return self.footprint.bounds

    def to_item(self) -> dict[str, Any]:
        """The scene as a STAC 1.0 Item, ready for JSON; `from_item` reads it back."""
        from shapely.geometry import mapping

        properties: dict[str, Any] = {"title": self.title, "datetime": self.datetime}
        if self.datetime is None:
            properties["start_datetime"], properties["end_datetime"] = _EVER
        if self.license:
            properties["license"] = self.license
        code = self.crs.removeprefix("EPSG:")
        properties |= {
            "gsd": self.gsd,
            "proj:epsg": int(code) if code.isdecimal() else None,
            "proj:wkt2": None if code.isdecimal() else self.crs,
            "proj:transform": [*self.transform, 0.0, 0.0, 1.0],
            "proj:shape": [self.height, self.width],
            "lookalike:schema": SCHEMA,
            "lookalike:bands": list(self.bands),
            "lookalike:stretch": [list(self.stretch.low), list(self.stretch.high)],
            "lookalike:stretch_from": self.stretch_from,
            "lookalike:sensor": self.sensor,
            "lookalike:source": self.source,
            "lookalike:source_url": self.source_url,
        }
        band = {"data_type": self.dtype, "nodata": _json_number(self.nodata)}
        return {
            "type": "Feature",
            "stac_version": "1.0.0",
            "stac_extensions": [
                "https://stac-extensions.github.io/projection/v1.1.0/schema.json",
                "https://stac-extensions.github.io/raster/v1.1.0/schema.json",
            ],
            "id": self.id,
            "geometry": mapping(self.footprint),
            "bbox": list(self.bounds4326),
            "properties": properties,
            "links": [],
            "assets": {
                "image": {
                    "href": self.path,
                    "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                    "roles": ["data"],
                    "raster:bands": [dict(band) for _ in range(self.count)],
                }
            },
        }

    @classmethod
    def from_item(cls, item: dict[str, Any]) -> Scene:
        """The scene that `to_item` wrote as a STAC Item.

        Raises:
            NewerError: If a newer version wrote it.
            DamagedError: If the item lacks something.
        """
        try:
            about, image = item["properties"], item["assets"]["image"]
            schema = about.get("lookalike:schema", 1)
            check_schema(schema, SCHEMA, what="A scene's description", where=item["id"])
            epsg, bands = about["proj:epsg"], image["raster:bands"]
            height, width = about["proj:shape"]
            red, green, blue = about["lookalike:bands"]
            nodata = bands[0]["nodata"]
            scene = cls(
                id=item["id"],
                path=image["href"],
                title=about["title"],
                crs=f"EPSG:{epsg}" if epsg else about["proj:wkt2"],
                transform=tuple(about["proj:transform"][:6]),
                width=width,
                height=height,
                dtype=bands[0]["data_type"],
                count=len(bands),
                bands=(red, green, blue),
                stretch=Stretch.of(about["lookalike:stretch"]),
                nodata=None if nodata is None else float(nodata),
                gsd=about["gsd"],
                datetime=about["datetime"],
                source=about["lookalike:source"],
                source_url=about["lookalike:source_url"],
                license=about.get("license", ""),
                sensor=about.get("lookalike:sensor", ""),
                stretch_from=about.get("lookalike:stretch_from", SCENE),
            )
            _check_kinds(scene)
            if not scene.sensor:  # 0.1.0 wrote none
                own = sensor_text(scene.source, "", scene.dtype, scene.bands, scene.count)
                scene = replace(scene, sensor=own)
            return scene
        except (
            AttributeError,
            LookupError,
            OverflowError,
            TypeError,
            ValueError,
            SceneError,
        ) as error:
            raise DamagedError(
                "A scene's description is damaged",
                where=item.get("id", "") if isinstance(item, dict) else "",
                remedy="Delete the collection and build it again",
            ) from error


def load_scene(folder: Path, scene_id: str) -> Scene:
    """The scene described by `<scene_id>.json` in `folder`.

    Raises:
        NotFoundError: If there is none.
        NewerError: If a newer version wrote the description.
        DamagedError: If the description is unreadable.
    """
    file = folder / f"{scene_id}.json"
    if Path(scene_id).name != scene_id or not file.is_file():
        raise NotFoundError(
            "There is no such scene",
            where=scene_id[:100],
            remedy="`python -m pipeline info NAME --json` lists a collection's scenes",
        )
    item = read_json(
        file,
        what="A scene's description",
        remedy="Delete the collection and build it again",
    )
    scene = Scene.from_item(item)
    if scene.id != scene_id:
        raise DamagedError(
            "A scene's description is of another scene",
            where=file,
            remedy="Delete the collection and build it again",
        )
    return replace(scene, path=str((folder / scene.path).absolute()))


def _check_kinds(scene: Scene) -> None:
    """Raise `TypeError` or `ValueError` if a value cannot be one of its field's."""
    texts = (
        *(scene.id, scene.path, scene.title, scene.crs, scene.dtype),
        *(scene.source, scene.source_url, scene.license, scene.sensor),
        scene.datetime or "",
    )
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
        text.encode()  # JSON can spell unpaired surrogates, which nothing else can hold
    if scene.stretch_from not in (SCENE, SENSOR, GIVEN):
        raise ValueError(f"{scene.stretch_from!r} is no origin of a stretch")
    sizes = (scene.width, scene.height, *scene.bands)
    if not all(type(size) is int and 0 < size < 2**31 for size in sizes):
        raise TypeError(f"{sizes} are no sizes and bands")
    if max(scene.bands) > scene.count:
        raise ValueError(f"{scene.bands} are more than the {scene.count} bands")
    numbers = (*scene.transform, scene.gsd)
    if len(numbers) != 7 or not all(math.isfinite(number) for number in numbers):
        raise ValueError(f"{numbers} are no transform and resolution")
    if scene.datetime is not None:
        date.fromisoformat(scene.datetime[:10])


def _json_number(value: float | None) -> float | str | None:
    """A number JSON can hold; "nan" and "inf" as STAC's raster extension spells them."""
    return value if value is None or math.isfinite(value) else str(value)
