"""Where imagery comes from.

Every source answers the same four questions about an area: which scenes are there (`search`), how
much of the area they cover (`coverage`), what fetching them costs (`estimate`), and, at last, the
rasters themselves (`fetch`), which a build takes as they are:

    source = open_source("raster", locations=["bay.tif"])
    candidates = source.search(area)
    rasters = source.fetch(area, candidates, folder, progress)
    request = BuildRequest("bay", tuple(map(SceneInput.of, rasters)))

`pipeline.sources.registry` names them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from pipeline.dates import Dates
from pipeline.errors import AreaError
from pipeline.progress import OnProgress, silent
from pipeline.sources.candidates import Candidate, Coverage, Estimate, Fetched

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


class Source(Protocol):
    """A place that imagery comes from.

    `area` is an `area.Area` or a shapely geometry in EPSG:4326 everywhere; None means no limit,
    which only sources with a finite list of rasters accept.
    """

    @property
    def name(self) -> str:
        """Key of the source in `registry.KINDS`."""
        ...

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
