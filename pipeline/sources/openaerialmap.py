"""OpenAerialMap: pictures by drones and aircraft, shared by whoever took them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipeline import dates as moments
from pipeline.dates import Dates
from pipeline.errors import ServiceError
from pipeline.geo.area import Area, area_km2
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import OnProgress, silent
from pipeline.settings import settings
from pipeline.sources.candidates import Candidate, Estimate, Refusal, one_by_one
from pipeline.sources.files import safe_name
from pipeline.sources.http.client import Http, shown
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.http.retry import FIRST_WAIT
from pipeline.sources.plan import too_many
from pipeline.sources.remote_raster import copy_window, describe, open_remote, window_under
from pipeline.sources.source import fingerprint, geometry_of, share_of

if TYPE_CHECKING:
    pass

PAGE = 100


@dataclass(frozen=True)
class OpenAerialMap:
    """The public catalogue of OpenAerialMap.

    Attributes:
        http: Client, or None for the default one.
        base: Seconds of the first wait between two tries.
    """

    http: Http | None = field(default=None, repr=False)
    base: float = FIRST_WAIT
    name: str = "openaerialmap"

    def _client(self) -> Http:
        return self.http or Http(base=self.base)

    def search(
        self,
        area: Area | None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Images that touch the area, those that cover most of it first.

        Raises:
            ServiceError: If the catalogue refuses or fails.
        """
        geometry = geometry_of(area)
        query: dict[str, Any] = {
            "bbox": ",".join(f"{edge:.7f}" for edge in geometry.bounds),
            "limit": PAGE,
        }
        if dates and dates.start:
            query["acquisition_from"] = dates.start
        if dates and dates.end:
            query["acquisition_to"] = dates.day_after  # a day is its midnight there
        found: list[Candidate] = []
        page = 1
        while len(found) < limit:
            url = f"{settings().openaerialmap_url}/meta"
            answer = self._client().json(url, params={**query, "page": page})
            try:
                results = answer["results"]
                found += [self._candidate(one, area) for one in results]
            except (KeyError, TypeError, ValueError) as error:
                raise ServiceError(
                    "OpenAerialMap's catalogue answered in an unknown form",
                    where=shown(url),
                    remedy="Try again later, or download the image and build from the file",
                ) from error
            if len(results) < PAGE:
                break
            page += 1
        kept = [
            one for one in found if one.share > 0 and (dates is None or dates.holds(one.datetime))
        ]
        kept.sort(key=lambda one: one.datetime or "", reverse=True)
        kept.sort(key=lambda one: -round(one.share, 2))
        return kept[:limit]

    def _candidate(self, one: Mapping[str, Any], area: Area | None) -> Candidate:
        from shapely.geometry import box, shape

        outline = one.get("geojson")
        footprint = (shape(outline) if outline else box(*one["bbox"])).buffer(0)
        told = one.get("properties") or {}
        moment = one.get("acquisition_end") or one.get("acquisition_start")
        return Candidate(
            id=str(one["_id"]),
            source=self.name,
            title=str(one.get("title") or one["_id"]),
            footprint=footprint,
            datetime=moments.told(moment),
            gsd=float(one["gsd"]) if one.get("gsd") else None,
            thumbnail=str(told.get("thumbnail") or ""),
            share=share_of(area, footprint),
            license=str(told.get("license") or "CC-BY 4.0")
            + (f", {one['provider']}" if one.get("provider") else ""),
            url=f"https://map.openaerialmap.org/#/image/{one['_id']}",
            facts={"href": str(one["uuid"])},
        )

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels under the area, from the images' own pixel sizes."""
        geometry = geometry_of(area)
        pixels = 0
        for one in candidates:
            inside = area_km2(one.footprint.intersection(geometry).envelope)
            pixels += int(inside * 1e6 / (one.gsd or 0.1) ** 2)
        refusal = too_many(pixels, "Draw a smaller area")
        if not candidates:
            refusal = Refusal("There is no image to fetch", "Draw another area")
        return Estimate(pixels, pixels * 3, len(candidates), len(candidates), refusal=refusal)

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
        """The part of each image under the area, with its own pixels.

        Raises:
            ServiceError: If an image cannot be read; those that were are kept.
        """
        self.estimate(area, candidates).check("OpenAerialMap")
        geometry, http = geometry_of(area), self._client().reporting(progress)
        fetched = []
        for one in one_by_one(candidates, progress):
            href = one.facts["href"]
            mark = fingerprint(href, geometry.wkb_hex)
            path = destination / f"{safe_name(one.title)[:60]}-{mark}.tif"
            if not path.exists():
                if urlsplit(href).scheme == "http" and not self._listed(href):
                    href = "https" + href[4:]  # old entries; the same store speaks https
                with open_remote(RangeFile(http, href)) as dataset:
                    facts = describe(dataset, one.title)
                    window = window_under(
                        geometry, facts.crs, facts.transform, facts.width, facts.height
                    )
                    copy_window(dataset, window, path, progress)
            fetched.append(one.fetched(path))
        return fetched

    def _listed(self, href: str) -> bool:
        """Whether the operator allowed plain http for this host."""
        allowed = self._client().private_hosts
        return urlsplit(href).hostname in allowed or urlsplit(href).netloc in allowed
