"""OpenAerialMap: drone and aerial images, shared by those who took them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.dates import Dates, parse_lenient
from pipeline.errors import ServiceError
from pipeline.geo import antimeridian
from pipeline.geo.area import Area, area_km2
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import OnProgress, silent
from pipeline.settings import settings
from pipeline.sources.candidates import Candidate, Estimate, Refusal, reporting_each
from pipeline.sources.files import safe_name
from pipeline.sources.http.client import Http, without_secrets
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.http.retry import FIRST_WAIT
from pipeline.sources.plan import too_many
from pipeline.sources.remote_raster import copy_window, describe, open_remote, window_under
from pipeline.sources.source import fingerprint, geometry_of, share_of

PAGE = 100


@dataclass(frozen=True)
class OpenAerialMap:
    """The public catalogue of OpenAerialMap.

    Attributes:
        http: Client, or None for the default one.
        base: Seconds before the second attempt; later waits are longer.
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
            query["acquisition_to"] = dates.day_after  # the catalogue takes a day as its midnight
        images: list[Candidate] = []
        page = 1
        while len(images) < limit:
            url = f"{settings().openaerialmap_url}/meta"
            answer = self._client().json(url, params={**query, "page": page})
            try:
                results = answer["results"]
                images += [self._candidate(image, area) for image in results]
            except (KeyError, TypeError, ValueError) as error:
                raise ServiceError(
                    "OpenAerialMap's catalogue answered in an unknown form",
                    where=without_secrets(url),
                    remedy="Try again later, or download the image and build from the file",
                ) from error
            if len(results) < PAGE:
                break
            page += 1
        kept = [
            image
            for image in images
            if image.share > 0 and (dates is None or dates.holds(image.datetime))
        ]
        kept.sort(key=lambda image: image.datetime or "", reverse=True)
        kept.sort(key=lambda image: -round(image.share, 2))
        return kept[:limit]

    def _candidate(self, image: Mapping[str, Any], area: Area | None) -> Candidate:
        from shapely.geometry import box, shape

        outline = image.get("geojson")
        footprint = (shape(outline) if outline else box(*image["bbox"])).buffer(0)
        properties = image.get("properties") or {}
        acquired = image.get("acquisition_end") or image.get("acquisition_start")
        return Candidate(
            id=str(image["_id"]),
            source=self.name,
            title=str(image.get("title") or image["_id"]),
            footprint=footprint,
            datetime=parse_lenient(acquired),
            gsd=float(image["gsd"]) if image.get("gsd") else None,
            thumbnail=str(properties.get("thumbnail") or ""),
            share=share_of(area, footprint),
            license=str(properties.get("license") or "CC-BY 4.0")
            + (f", {image['provider']}" if image.get("provider") else ""),
            url=f"https://map.openaerialmap.org/#/image/{image['_id']}",
            facts={"href": str(image["uuid"])},
        )

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels under the area, from the images' own pixel sizes."""
        geometry = geometry_of(area)
        pixels = 0
        for image in candidates:
            inside = antimeridian.intersection(image.footprint, geometry)
            window = area_km2(antimeridian.join(inside).envelope)
            pixels += int(window * 1e6 / (image.gsd or 0.1) ** 2)
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
        for image in reporting_each(candidates, progress):
            href = image.facts["href"]
            identity = fingerprint(href, geometry.wkb_hex)
            path = destination / f"{safe_name(image.title)[:60]}-{identity}.tif"
            if not path.exists():
                if urlsplit(href).scheme == "http" and not self._listed(href):
                    href = "https" + href[4:]  # old entries; the same store serves https
                with open_remote(RangeFile(http, href)) as dataset:
                    facts = describe(dataset, image.title)
                    window = window_under(
                        geometry, facts.crs, facts.transform, facts.width, facts.height
                    )
                    copy_window(dataset, window, path, progress)
            fetched.append(image.fetched(path))
        return fetched

    def _listed(self, href: str) -> bool:
        """Whether the operator allowed plain http for this host."""
        allowed = self._client().private_hosts
        return urlsplit(href).hostname in allowed or urlsplit(href).netloc in allowed
