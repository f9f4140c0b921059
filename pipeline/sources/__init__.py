"""Where imagery comes from.

Every source answers the same four questions about an area: which scenes are there (`search`), how
much of the area they cover (`coverage`), what fetching them costs (`estimate`), and, at last, the
rasters themselves (`fetch`), which a build takes as they are:

    source = sources.open_source("raster", locations=["bay.tif"])
    candidates = source.search(area)
    rasters = source.fetch(area, candidates, folder, progress)
    request = BuildRequest("bay", tuple(map(SceneInput.of, rasters)))

Sources are named in `KINDS` and imported only when opened.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.errors import AreaError, NotFoundError
from pipeline.progress import OnProgress, silent
from pipeline.sources.records import Candidate, Coverage, Dates, Estimate, Fetched

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = [
    "KINDS",
    "Candidate",
    "Coverage",
    "Dates",
    "Estimate",
    "Fetched",
    "Kind",
    "Source",
    "cover",
    "geometry_of",
    "kind_of",
    "open_source",
]


class Source(Protocol):
    """A place that imagery comes from.

    `area` is an `area.Area` or a shapely geometry in EPSG:4326 everywhere; None means no limit,
    which only sources with a finite list of rasters accept.
    """

    name: str

    def search(
        self,
        area: Any,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Scenes that touch the area, best first.

        Raises:
            ServiceError: If the service refuses or fails; says what it said and what to do.
        """
        ...

    def coverage(self, area: Any, candidates: Sequence[Candidate]) -> Coverage:
        """How much of the area these scenes cover, and when."""
        ...

    def estimate(self, area: Any, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels, bytes and requests of a fetch, and the limits it meets."""
        ...

    def fetch(
        self,
        area: Any,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[Fetched]:
        """Bring the rasters to a folder; the same call after an interruption resumes.

        Raises:
            ServiceError: If the service refuses, or keeps failing; what was fetched is kept.
            StorageError: If the disk is full; what was fetched is kept.
            Cancelled: If `progress` raises it; what was fetched is kept.
        """
        ...


@dataclass(frozen=True)
class Kind:
    """A kind of source as a menu shows it.

    Attributes:
        name: Key in `KINDS`.
        title: Name for people.
        needs: What a user must have.
        module: Module below `pipeline.sources`.
        factory: Class in that module; called with the options of `open_source`.
    """

    name: str
    title: str
    needs: str
    module: str
    factory: str


KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "raster",
            "Files and URLs",
            "a GeoTIFF, COG or other raster",
            "raster",
            "RasterSource",
        ),
        Kind(
            "earth_engine",
            "Google Earth Engine",
            "a Google Cloud project registered for Earth Engine",
            "earth_engine",
            "EarthEngine",
        ),
        Kind(
            "drive",
            "Google Drive folder",
            "a folder shared with the Google account in use",
            "drive",
            "DriveSource",
        ),
        Kind(
            "stac",
            "STAC catalogues (Sentinel-2, NAIP, Landsat)",
            "nothing: these catalogues are open",
            "stac",
            "StacSource",
        ),
        Kind(
            "openaerialmap",
            "OpenAerialMap",
            "nothing: this catalogue is open",
            "openaerialmap",
            "OpenAerialMap",
        ),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of source of this name.

    Raises:
        NotFoundError: If there is none.
    """
    if name in KINDS:
        return KINDS[name]
    raise NotFoundError(
        "No source has this name", where=name, remedy=f"Choose one of {', '.join(KINDS)}"
    )


def open_source(name: str, **options: Any) -> Source:
    """The source of this name.

    Args:
        name: Key of `KINDS`.
        options: Arguments of the source's class, such as `locations` of "raster".

    Raises:
        NotFoundError: If no source has this name.
    """
    kind = kind_of(name)
    factory = getattr(import_module(f"{__name__}.{kind.module}"), kind.factory)
    source: Source = factory(**options)
    return source


def geometry_of(area: Any) -> BaseGeometry:
    """The polygon of an `Area`, or the geometry itself.

    Raises:
        AreaError: If there is none.
    """
    geometry: BaseGeometry | None = getattr(area, "geometry", area)
    if geometry is None or geometry.is_empty:
        raise AreaError(
            "This source needs an area", remedy="Draw one on the map, or give --aoi FILE"
        )
    return geometry


def area_km2(geometry: BaseGeometry) -> float:
    """Size on the WGS 84 ellipsoid of a geometry in EPSG:4326."""
    from pyproj import Geod

    return abs(float(Geod(ellps="WGS84").geometry_area_perimeter(geometry)[0])) / 1e6


def share_of(geometry: BaseGeometry | None, footprint: BaseGeometry) -> float:
    """Part of `geometry` inside `footprint`, 0 to 1; 1 where there is no geometry."""
    if geometry is None or geometry.is_empty or not geometry.area:
        return 1.0
    return min(1.0, float(geometry.intersection(footprint).area / geometry.area))


def cover(area: Any, candidates: Iterable[Candidate]) -> Coverage:
    """How much of an area the footprints of candidates cover; every source's `coverage`."""
    from shapely import union_all

    candidates = list(candidates)
    union = union_all([candidate.footprint for candidate in candidates])
    geometry = getattr(area, "geometry", area)
    inside = union if geometry is None else geometry.intersection(union)
    days = sorted(candidate.datetime[:10] for candidate in candidates if candidate.datetime)
    covered = area_km2(inside)
    return Coverage(
        count=len(candidates),
        area_km2=covered if geometry is None else area_km2(geometry),
        covered_km2=covered,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        footprint=inside,
    )


def fingerprint(*parts: Any) -> str:
    """Twelve hex digits that name a request, so that a fetch resumes only its own work."""
    from hashlib import sha256

    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
