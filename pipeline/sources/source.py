"""What every source of imagery does.

A source lists the scenes of an area (`search`), says what fetching them costs (`estimate`), and
fetches their rasters (`fetch`), which a build takes as they are:

    source = open_source("raster", locations=["bay.tif"])
    candidates = source.search(area)
    rasters = source.fetch(area, candidates, folder, progress)
    request = BuildRequest("bay", tuple(rasters))

`pipeline.sources.registry` lists them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from pipeline.dates import Dates
from pipeline.errors import AreaError
from pipeline.geo import antimeridian
from pipeline.geo.area import Area, area_km2
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import OnProgress, silent
from pipeline.sources.candidates import Candidate, Coverage, Estimate

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


class Source(Protocol):
    """A place that imagery comes from.

    An area of None means no limit, which only sources with a finite list of rasters accept.
    """

    @property
    def name(self) -> str:
        """Key of the source in `registry.KINDS`."""
        ...

    def search(
        self,
        area: Area | None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Scenes that touch the area, best first.

        Raises:
            ServiceError: If the service refuses or fails.
        """
        ...

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels, bytes and requests of a fetch, and the limits it meets."""
        ...

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
        """Bring the rasters to a folder; the same call resumes after an interruption.

        Raises:
            ServiceError: If the service refuses, or keeps failing; what was fetched is kept.
            StorageError: If the disk is full; what was fetched is kept.
            Cancelled: If `progress` raises it; what was fetched is kept.
        """
        ...


@runtime_checkable
class Explains(Protocol):
    """A source that can say why a search found nothing."""

    def explain(self, area: Area | None, dates: Dates | None = None) -> str:
        """Why there is no candidate, and what there is instead."""
        ...


def why_empty(source: Source, area: Area | None, dates: Dates | None = None) -> str:
    """Why a search found no candidate, and what to try instead."""
    if isinstance(source, Explains):
        return source.explain(area, dates)
    between = dates.phrase if dates else ""
    return f"No images here{between}. Try another area, other dates or another source."


def geometry_of(area: Area | None) -> BaseGeometry:
    """The polygon of an area, for a source that needs one.

    Raises:
        AreaError: If there is none.
    """
    if area is None:
        raise AreaError(
            "This source needs an area", remedy="Draw one on the map, or give --aoi FILE"
        )
    return area.geometry


def share_of(area: Area | None, footprint: BaseGeometry) -> float:
    """Part of the area inside a footprint, 0 to 1; 1 where there is no area."""
    if area is None:
        return 1.0
    inside = antimeridian.intersection(area.geometry, footprint)
    return min(1.0, float(inside.area / area.geometry.area))


def cover(area: Area | None, candidates: Iterable[Candidate]) -> Coverage:
    """How much of an area the footprints of candidates cover, and when."""
    from shapely import union_all

    candidates = list(candidates)
    union = union_all([antimeridian.split(candidate.footprint) for candidate in candidates])
    inside = area.geometry.intersection(union) if area else union
    days = sorted(candidate.datetime[:10] for candidate in candidates if candidate.datetime)
    covered = area_km2(inside)
    return Coverage(
        count=len(candidates),
        area_km2=area.area_km2 if area else covered,
        covered_km2=covered,
        first=days[0] if days else None,
        last=days[-1] if days else None,
        footprint=inside,
    )


def fingerprint(*parts: Any) -> str:
    """Twelve hex digits that identify a request, so that a fetch resumes only its own work."""
    return sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:12]
