"""Scenes of STAC catalogues: Earth Search, the Planetary Computer, and those the operator adds."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pipeline.dates import Dates, parse_lenient
from pipeline.errors import QueryError, ServiceError
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.progress import OnProgress, silent
from pipeline.settings import settings
from pipeline.sources.candidates import Candidate, Estimate, check_scale
from pipeline.sources.http.client import Http
from pipeline.sources.http.retry import FIRST_WAIT
from pipeline.sources.plan import cost_of, too_many
from pipeline.sources.source import geometry_of, share_of
from pipeline.sources.stac.client import items
from pipeline.sources.stac.pixels import SIDE, ItemAssets, StacPlan, fetch_scene, plans
from pipeline.sources.stac.signing import Signer

log = logging.getLogger(__name__)
MOST_COUNTED = 100  # images that an explanation counts
COMPOSITES = {
    "day": "one scene per day",
    "scene": "one scene for each image",
    "clearest": "one scene, the least cloudy image on top",
}


@dataclass(frozen=True)
class Api:
    """A STAC API.

    Attributes:
        name: Its name for users.
        url: Its address.
        collections: Collections that suit a visual search, the best first.
        tokens: Address of the service that signs its assets, or empty.
    """

    name: str
    url: str
    collections: tuple[str, ...] = ()
    tokens: str = ""


APIS = (
    Api("earth-search", "https://earth-search.aws.element84.com/v1", ("sentinel-2-l2a",)),
    Api(
        "planetary-computer",
        "https://planetarycomputer.microsoft.com/api/stac/v1",
        ("naip", "sentinel-2-l2a", "landsat-c2-l2"),
        "https://planetarycomputer.microsoft.com/api/sas/v1",
    ),
)
#: Assets that show a scene in natural colours; the first that an item has are used: one with three
#: bands or more, or one for each of red, green and blue.
DISPLAY_ASSETS = (
    ("visual",),
    ("image",),
    ("red", "green", "blue"),
    ("B04", "B03", "B02"),
    ("data",),
    ("cog",),
)
LICENSES = {
    "sentinel-2-l2a": "Copernicus Sentinel data",
    "naip": "Public domain (USDA)",
    "landsat-c2-l2": "Public domain (USGS)",
}
GSD = {"sentinel-2-l2a": 10.0, "landsat-c2-l2": 30.0, "naip": 1.0}


def apis() -> dict[str, Api]:
    """The catalogues that may be searched: the built-in ones and the operator's."""
    known = {api.name: api for api in APIS}
    for name, url in settings().stac:
        old = known.get(name, Api(name, url))
        # A replacement of the Planetary Computer has its token service beside it.
        tokens = f"{url.removesuffix('/stac/v1')}/sas/v1" if old.tokens else ""
        known[name] = Api(name, url, old.collections, tokens)
    return known


@dataclass(frozen=True)
class StacSource:
    """One collection of one STAC API.

    Attributes:
        api: Key of `apis()`.
        collection: Collection id, or None for the best one of the API.
        composite: Key of `COMPOSITES`.
        scale: Metres per pixel, or None for the scenes' own.
        workers: Blocks read at once.
        base: Seconds before the second attempt; later waits are longer.
    """

    api: str = "earth-search"
    collection: str | None = None
    composite: str = "day"
    scale: float | None = None
    workers: int = 8
    base: float = FIRST_WAIT
    name: str = "stac"
    _signers: dict[str, Signer] = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.api not in apis():
            raise QueryError(
                "This STAC catalogue is not one of those allowed",
                where=self.api,
                remedy=f"Choose one of {', '.join(apis())}, or have the operator add it to "
                "LOOKALIKE_STAC",
            )
        if self.composite not in COMPOSITES:
            raise QueryError(
                "Unknown composite",
                where=self.composite,
                remedy=f"Choose one of {', '.join(COMPOSITES)}",
            )
        check_scale(self.scale)

    @property
    def collection_id(self) -> str:
        """The collection.

        Raises:
            QueryError: If none is given and the API has no default.
        """
        defaults = apis()[self.api].collections
        if self.collection or defaults:
            return self.collection or defaults[0]
        raise QueryError(
            "This catalogue needs an image collection",
            where=self.api,
            remedy="Name one on the Area page, or with --collection ID",
        )

    def http(self) -> Http:
        """The client; the operator's own catalogue may be inside the network."""
        host = urlsplit(apis()[self.api].url).netloc
        own = (host,) if self.api in dict(settings().stac) else ()
        return Http((*settings().private_hosts, *own), base=self.base)

    def search(
        self,
        area: Area | None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Items that touch the area and can be shown, those that cover most of it first.

        Raises:
            ServiceError: If the catalogue refuses or fails, or no item can be displayed.
        """
        from shapely.geometry import mapping

        answer = items(
            self.http(),
            apis()[self.api].url,
            {
                "collections": [self.collection_id],
                "intersects": mapping(geometry_of(area)),
                "datetime": _interval(dates),
                "query": None if cloud is None else {"eo:cloud_cover": {"lte": cloud}},
                "max_items": limit,
            },
        )
        candidates = []
        for item in answer:
            candidate = self._candidate(item, area)
            if candidate is None:
                log.info(
                    "%s has no asset that can be displayed: %s", item["id"], list(item["assets"])
                )
            elif candidate.share > 0 and (
                cloud is None or candidate.cloud is None or candidate.cloud <= cloud
            ):
                candidates.append(candidate)
        if (
            answer
            and not candidates
            and all(_display_assets(item["assets"]) is None for item in answer)
        ):
            raise ServiceError(
                "The items of this image collection have no image in natural colours; they have "
                + ", ".join(list(answer[0]["assets"])[:8]),
                where=self.collection_id,
                remedy="Choose another image collection",
            )
        candidates.sort(key=lambda candidate: candidate.datetime or "", reverse=True)
        candidates.sort(key=lambda candidate: (-round(candidate.share, 2), candidate.cloud or 0.0))
        return candidates

    def _candidate(self, item: Mapping[str, Any], area: Area | None) -> Candidate | None:
        from shapely.geometry import box, shape

        display = _display_assets(item["assets"])
        if display is None:
            return None
        properties = item["properties"]
        outline = item.get("geometry")
        footprint = (shape(outline) if outline else box(*item["bbox"][:4])).buffer(0)
        acquired = properties.get("datetime") or properties.get("start_datetime")
        day = (acquired or "undated")[:10]
        assets = item["assets"]
        thumbnail = next((assets[n]["href"] for n in ("thumbnail",) if n in assets), "")
        own = next((link["href"] for link in item["links"] if link["rel"] == "self"), "")
        first = assets[display[0]]
        gsd = first.get("gsd") or properties.get("gsd") or GSD.get(self.collection_id)
        return Candidate(
            id=item["id"],
            source=self.name,
            title=f"{self.collection_id} {day}",
            footprint=footprint,
            datetime=parse_lenient(acquired),
            gsd=gsd,
            cloud=properties.get("eo:cloud_cover"),
            thumbnail=thumbnail if thumbnail.startswith("https://") else "",
            share=share_of(area, footprint),
            license=LICENSES.get(self.collection_id, ""),
            url=own,
            facts={
                "assets": [assets[name]["href"].split("?")[0] for name in display],
                "epsg": _epsg(properties),
            },
        )

    def explain(self, area: Area | None, dates: Dates | None = None) -> str:
        """Why there is no candidate, and what there is instead."""
        collection = f"{self.collection_id} of {self.api}"
        if clouded := self.search(area, dates, limit=MOST_COUNTED):
            return (
                f"{collection} has {_number_of(clouded)} here{' between these dates' * bool(dates)}"
                ", but each exceeds the cloud limit. Raise it to see them."
            )
        if other_dates := self.search(area, limit=MOST_COUNTED) if dates else []:
            days = sorted(candidate.day for candidate in other_dates)
            return (
                f"{collection} has no image here between these dates; from {days[0]} to {days[-1]} "
                f"it has {_number_of(other_dates)}."
            )
        others = [name for name in apis()[self.api].collections if name != self.collection_id]
        return f"{collection} has no image here." + (f" Try {others[0]}." if others else "")

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels and bytes of the blocks near the area, at three bytes a pixel.

        The limit is on the whole scenes, between the parts of the area too: the mosaic spans them.
        """
        made = self._plans(area, candidates)
        cost = cost_of(made, SIDE, bytes_per_pixel=3, nothing="Choose other dates")
        whole = sum(plan.grid.width * plan.grid.height for plan in made)
        return replace(cost, refusal=cost.refusal or too_many(whole))

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
        """One COG for each scene of the composite; only blocks under the area are read.

        Raises:
            ServiceError: If a service refuses, or keeps failing; what was fetched is kept.
            SceneError: If an asset is not a GeoTIFF, or lies elsewhere than its item states.
        """
        self.estimate(area, candidates).check(self.collection_id)
        destination.mkdir(parents=True, exist_ok=True)
        assets = self._assets()
        scenes = [
            fetch_scene(plan, destination, assets, self.workers, progress)
            for plan in self._plans(area, candidates)
        ]
        return [replace(scene, sensor=self.collection_id) for scene in scenes]

    def _plans(self, area: Area | None, candidates: Sequence[Candidate]) -> list[StacPlan]:
        return plans(
            candidates,
            geometry_of(area),
            self._assets(),
            title=self.collection_id,
            composite=self.composite,
            scale=self.scale,
        )

    def _assets(self) -> ItemAssets:
        http = self.http()
        return ItemAssets(http, self._signer(http))

    def _signer(self, http: Http) -> Signer | None:
        """What signs the assets' addresses, or None where they are open."""
        tokens = apis()[self.api].tokens
        if not tokens:
            return None
        if self.collection_id not in self._signers:
            own = tuple(urlsplit(url).netloc for name, url in settings().stac if name == self.api)
            hosts = (".blob.core.windows.net", *own)
            self._signers[self.collection_id] = Signer(http, tokens, self.collection_id, hosts)
        return self._signers[self.collection_id]


def _display_assets(assets: Mapping[str, Any]) -> tuple[str, ...] | None:
    """Names of the assets that display an item, or None."""
    for names in DISPLAY_ASSETS:
        if all(name in assets for name in names):
            display = [assets[name] for name in names]
            # Others are in stores without HTTP access, or whose reader pays.
            if all(
                "tiff" in str(asset.get("type", "image/tiff"))
                and str(asset.get("href", "")).startswith(("https://", "http://"))
                for asset in display
            ):
                return names
    return None


def _epsg(properties: Mapping[str, Any]) -> str | None:
    code = properties.get("proj:epsg") or properties.get("proj:code")
    if code is None:
        return None
    return code if str(code).startswith("EPSG:") else f"EPSG:{code}"


def _number_of(images: Sequence[Candidate]) -> str:
    if len(images) >= MOST_COUNTED:
        return f"{MOST_COUNTED} or more images"
    return f"{len(images)} image{'s' * (len(images) > 1)}"


def _interval(dates: Dates | None) -> str | None:
    if dates is None or not (dates.start or dates.end):
        return None
    start = f"{dates.start}T00:00:00Z" if dates.start else ".."
    end = f"{dates.end}T23:59:59Z" if dates.end else ".."
    return f"{start}/{end}"
