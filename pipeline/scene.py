"""A scene: one georeferenced raster, described once, and kept with its provenance.

    scene = ingest("flight.tif", folder)      # a COG and a STAC Item in `folder`
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 256, 256)

One display stretch and one choice of bands belong to the whole scene, so that neighbouring chips
look alike and so do their features.
"""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.describe import crs_text, date_in, display_bands, numeric_type, tagged_date, utc
from pipeline.errors import DamagedError, NotFoundError, SceneError
from pipeline.files import read_json, replacing, write_json
from pipeline.ground import Grounds, footprint, gsd, nearest_turn
from pipeline.progress import OnProgress, Progress, silent
from pipeline.raster import DRIVERS, check_whole, georeference, is_url, open_raster
from pipeline.reader import SceneReader, percentiles, sample

if TYPE_CHECKING:
    from shapely.geometry import Polygon

__all__ = [
    "DRIVERS",
    "Bounds",
    "Scene",
    "SceneReader",
    "Stretch",
    "ingest",
    "load_scene",
    "open_scene",
]

#: West, south, east and north in degrees.
Bounds = tuple[float, float, float, float]

#: What a STAC Item of an unknown date says: at some time.
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

    def __post_init__(self) -> None:
        pairs = list(zip(self.low, self.high, strict=True))
        if len(pairs) != 3 or not all(map(math.isfinite, (*self.low, *self.high))):
            raise SceneError(
                "A stretch is three low and three high numbers",
                where=f"{self.low} {self.high}",
                remedy="Leave it out for the 2 % and 98 % levels of the scene",
            )
        if any(high <= low for low, high in pairs):
            raise SceneError(
                "A stretch's high level must be above its low one",
                where=f"{self.low} {self.high}",
                remedy="Leave it out for the 2 % and 98 % levels of the scene",
            )


@dataclass(frozen=True)
class Scene:
    """One georeferenced raster with its provenance.

    Attributes:
        id: The file's name as a slug and eight digits of its content's SHA-256.
        path: File as opened, or its https address.
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
        gsd: Metres a pixel on the ground at the scene's centre.
        datetime: Acquisition time, ISO 8601 UTC, or None where unknown.
        source: Kind of source: "raster", "sample", "earth_engine", ...
        source_url: Where it came from.
        license: Licence and credit.
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

    @property
    def grounds(self) -> Grounds:
        """What places the scene's pixels."""
        return Grounds(self.crs, self.transform)

    @cached_property
    def footprint(self) -> Polygon:
        """Outline in EPSG:4326, edges densified; contiguous across the antimeridian."""
        return footprint(self.grounds, self.width, self.height)

    @cached_property
    def centre_lon(self) -> float:
        """Longitude around which the scene and its chips are kept contiguous."""
        west, _, east, _ = self.footprint.bounds
        if east - west >= 360:
            return (west + east) / 2
        lon, _ = self.grounds.lonlat(self.width / 2, self.height / 2)
        return float(nearest_turn(lon, 0.0))

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
            "lookalike:bands": list(self.bands),
            "lookalike:stretch": [list(self.stretch.low), list(self.stretch.high)],
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
        """The scene a STAC Item of ours describes.

        Raises:
            DamagedError: If it is not one.
        """
        try:
            about, image = item["properties"], item["assets"]["image"]
            low, high = about["lookalike:stretch"]
            epsg, bands = about["proj:epsg"], image["raster:bands"]
            height, width = about["proj:shape"]
            red, green, blue = about["lookalike:bands"]
            nodata = bands[0]["nodata"]
            return cls(
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
                stretch=Stretch((low[0], low[1], low[2]), (high[0], high[1], high[2])),
                nodata=None if nodata is None else float(nodata),
                gsd=about["gsd"],
                datetime=about["datetime"],
                source=about["lookalike:source"],
                source_url=about["lookalike:source_url"],
                license=about.get("license", ""),
            )
        except (KeyError, TypeError, ValueError, IndexError, SceneError) as error:
            raise DamagedError(
                "A scene's description is damaged",
                where=item.get("id", "") if isinstance(item, dict) else "",
                remedy="Delete the collection and build it again",
            ) from error


def open_scene(
    path: str | Path,
    *,
    bands: Sequence[int] | None = None,
    stretch: Stretch | None = None,
    datetime: str | None = None,
    title: str | None = None,
    source: str = "raster",
    source_url: str | None = None,
    license: str = "",
    crs: str | None = None,
    progress: OnProgress | None = None,
) -> Scene:
    """Describe a raster where it is, having checked that it can be used.

    Args:
        path: A GeoTIFF, COG, JPEG 2000, or PNG or JPEG with a world file; or an https address.
        bands: 1-based bands shown as red, green and blue; one is shown as grey.  By default the
            colour interpretation decides, else 1, 2, 3; a raster of one or two bands is grey.
        stretch: Display stretch; by default the 2 % and 98 % levels over the scene.
        datetime: Acquisition time, ISO 8601, UTC where no zone is given.  By default what the
            raster's acquisition tags say, else a day in its name (`…_20160816.tif`); the TIFF's
            own date, when it was written, is not used.
        title: What people call it; by default the file's name.
        source: Kind of source.
        source_url: Where it came from; by default the address, or the name of the file without
            its folder, as collections are shared.
        license: Licence and credit.
        crs: CRS to assume where the raster has none.
        progress: Told of bytes read while the content is fingerprinted.

    Raises:
        SceneError: If the raster cannot be used; says why and what to do.
    """
    from rasterio.errors import RasterioError

    place: str | Path = str(path) if is_url(str(path)) else Path(path).expanduser().absolute()
    with open_raster(place) as dataset:
        own_crs, transform, _ = georeference(dataset, place, crs)
        dtype = numeric_type(dataset, place)
        if isinstance(place, Path):
            check_whole(dataset, place)
        chosen = display_bands(dataset, bands, place)
        nodata = dataset.nodata
        nodata = None if nodata is None else float(nodata)
        try:
            data, valid = sample(dataset, chosen, nodata)
        except RasterioError as error:
            raise SceneError(
                "The raster is damaged: it cannot be read to its end",
                where=place,
                remedy="Copy or download it again",
            ) from error
        if not valid.any():
            raise SceneError(
                "No pixel of the raster holds data",
                where=place,
                remedy="Choose another scene, or correct its nodata value",
            )
        if stretch is None:
            low, high = percentiles(data, valid)
            measured = Stretch((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        else:
            measured = stretch
        if isinstance(place, Path):
            content = _fingerprint(place, progress or silent)
        else:
            content = hashlib.sha256(str(place).encode() + data.tobytes()).hexdigest()
        if stretch is not None or chosen != display_bands(dataset, None, place):
            # Shown differently it is another scene: its chips have other pixels.
            shown = f"{content} {chosen} {stretch}"
            content = hashlib.sha256(shown.encode()).hexdigest()
        grounds = Grounds(crs_text(own_crs), tuple(transform)[:6])
        stem = Path(str(place).split("?", maxsplit=1)[0]).stem
        scene = Scene(
            id=f"{_slug(stem)}-{content[:8]}",
            path=str(place),
            title=title or stem,
            crs=grounds.crs,
            transform=grounds.transform,
            width=dataset.width,
            height=dataset.height,
            dtype=dtype,
            count=dataset.count,
            bands=chosen,
            stretch=measured,
            nodata=nodata,
            gsd=0.0,
            datetime=utc(datetime or tagged_date(dataset) or date_in(stem), place),
            source=source,
            source_url=source_url if source_url is not None else _origin(place),
            license=license,
        )
    assert scene.footprint  # raises where the georeference leads nowhere
    return replace(scene, gsd=gsd(grounds, scene.width, scene.height))


def ingest(
    path: str | Path,
    folder: Path,
    *,
    progress: OnProgress | None = None,
    **described: Any,
) -> Scene:
    """Bring a raster into a folder as `<id>.tif`, a COG, with `<id>.json`, a STAC Item.

    The same content shown the same way is one scene: it is taken as it is where it exists.
    Values are kept exactly; a COG is copied byte for byte.

    Args:
        path: As `open_scene`; an address is read where it is and only described.
        folder: Folder of a collection's scenes, made if need be.
        progress: Told of bytes read and written; raising from it stops and leaves nothing.
        **described: As `open_scene`.

    Raises:
        SceneError: If the raster cannot be used.
        StorageError: If the disk is full or not writable.
    """
    from pipeline.cog import write_cog

    told = progress or silent
    if kept := _already_in(folder, path, described):
        return kept
    found = open_scene(path, progress=told, **described)
    try:
        existing = load_scene(folder, found.id)
    except (NotFoundError, DamagedError):
        existing = None
    if existing is not None and (is_url(existing.path) or Path(existing.path).exists()):
        return existing
    if is_url(found.path):
        write_json(folder / f"{found.id}.json", found.to_item())
        return found
    target = folder / f"{found.id}.tif"
    with replacing(target) as temporary:
        write_cog(Path(found.path), temporary, crs=described.get("crs"), progress=told)
        kept = _as_kept(temporary, found, described.get("stretch"))
    write_json(folder / f"{found.id}.json", replace(kept, path=f"./{target.name}").to_item())
    return replace(kept, path=str(target.absolute()))


def _already_in(folder: Path, path: str | Path, described: Mapping[str, Any]) -> Scene | None:
    """The scene that is this very file of the folder, if it is to be shown the same way."""
    if is_url(str(path)) or Path(path).absolute().parent != folder.absolute():
        return None
    try:
        scene = load_scene(folder, Path(path).stem)
    except (NotFoundError, DamagedError):
        return None
    bands, stretch = described.get("bands"), described.get("stretch")
    same = bands in (None, scene.bands) and stretch in (None, scene.stretch)
    return scene if same else None


def load_scene(folder: Path, scene_id: str) -> Scene:
    """The scene described by `<scene_id>.json` in `folder`.

    Raises:
        NotFoundError: If there is none.
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
    if is_url(scene.path):
        return scene
    return replace(scene, path=str((folder / scene.path).absolute()))


def _as_kept(path: Path, found: Scene, stretch: Stretch | None) -> Scene:
    """The description of what was written, whose bands differ where a palette was spelt out."""
    with open_raster(path) as dataset:
        if (dataset.width, dataset.height) != (found.width, found.height):
            raise SceneError(
                "The raster changed while it was read", where=found.path, remedy="Try again"
            )
        if dataset.count == found.count:
            return found
        nodata = dataset.nodata
        bands = display_bands(dataset, None, path)
        low, high = percentiles(*sample(dataset, bands, nodata))
        shown = stretch or Stretch((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        return replace(found, count=dataset.count, bands=bands, nodata=nodata, stretch=shown)


def _slug(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "scene"


def _origin(place: str | Path) -> str:
    return place.name if isinstance(place, Path) else place


def _json_number(value: float | None) -> float | str | None:
    """A number JSON can hold; "nan" and "inf" as STAC's raster extension spells them."""
    return value if value is None or math.isfinite(value) else str(value)


def _fingerprint(path: Path, progress: OnProgress) -> str:
    stat = path.stat()
    return _hashed(path, stat.st_size, stat.st_mtime_ns, progress)


@lru_cache(maxsize=64)
def _remembered(path: Path, size: int, age: int) -> list[str]:
    """A place to keep the fingerprint of one state of a file."""
    return []


def _hashed(path: Path, size: int, age: int, progress: OnProgress) -> str:
    known = _remembered(path, size, age)
    if not known:
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as handle:
            while piece := handle.read(8 << 20):
                digest.update(piece)
                done += len(piece)
                progress(Progress("Reading", done, size, "bytes", path.name))
        known.append(digest.hexdigest())
    return known[0]
