"""A STAC API with search and paging, a token service like the Planetary Computer's, and
OpenAerialMap's catalogue: all over the GeoTIFFs of one folder."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
import rasterio
import shapely
from pyproj import Transformer
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry

from tests.loopback.files import Files
from tests.loopback.server import Answer, Loopback, Request

CONFORMS = [
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/item-search",
    "https://api.stacspec.org/v1.0.0/item-search#query",
]


@dataclass
class Item:
    """An item to be served: which file shows it, when, and under how many clouds."""

    id: str
    file: str
    day: str
    cloud: float | None = None
    asset: str = "visual"
    changes: dict[str, Any] = field(default_factory=dict)


@dataclass
class Stac:
    """The API, below /stac/v1, and its tokens, below /sas/v1.

    Attributes:
        files: Serves the assets.
        items: By collection.
        page: Items of one page.
        lifetime: Seconds that a token is said to be good for.
    """

    files: Files
    items: dict[str, list[Item]] = field(default_factory=dict)
    page: int = 2
    lifetime: float = 3600
    issued: int = 0

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        root = f"{server.url}/stac/v1"
        token = re.fullmatch(r"/sas/v1/token/(.+)", request.path)
        if token:
            return self._token()
        if request.path == "/meta":
            return self._aerial(request, server)
        if not request.path.startswith("/stac/v1"):
            return None
        rest = request.path.removeprefix("/stac/v1").strip("/")
        if not rest:
            links = [
                {"rel": "self", "href": root},
                {"rel": "root", "href": root},
                {"rel": "data", "href": f"{root}/collections"},
                {"rel": "search", "href": f"{root}/search", "method": "POST",
                 "type": "application/geo+json"},
            ]  # fmt: skip
            return Answer.of(
                {"type": "Catalog", "id": "loopback", "stac_version": "1.0.0",
                 "description": "a test", "links": links, "conformsTo": CONFORMS}
            )  # fmt: skip
        if rest == "collections":
            return Answer.of({"collections": [{"id": n, "title": n.title()} for n in self.items]})
        if rest == "search":
            return self._search(request, server, root)
        return None

    def _token(self) -> Answer:
        self.issued += 1
        self.files.signature = f"S{self.issued}"
        until = datetime.now(timezone.utc) + timedelta(seconds=self.lifetime)
        return Answer.of(
            {"token": f"sig={self.files.signature}", "msft:expiry": f"{until:%Y-%m-%dT%H:%M:%SZ}"}
        )

    def _search(self, request: Request, server: Loopback, root: str) -> Answer:
        asked = request.json
        unknown = [name for name in asked.get("collections", []) if name not in self.items]
        if unknown:
            return Answer.refusal(404, f"No collection {unknown[0]}", "NOT_FOUND")
        found = [
            self._described(item, name, server)
            for name in asked.get("collections", [])
            for item in self.items[name]
        ]
        area = shape(asked["intersects"])
        found = [one for one in found if shape(one["geometry"] or area).intersects(area)]
        if "datetime" in asked:
            start, end = asked["datetime"].split("/")
            found = [
                one
                for one in found
                if (start == ".." or one["properties"]["datetime"] >= start)
                and (end == ".." or one["properties"]["datetime"] <= end)
            ]
        limit = asked.get("query", {}).get("eo:cloud_cover", {}).get("lte")
        if limit is not None:
            found = [one for one in found if one["properties"]["eo:cloud_cover"] <= limit]
        start = int(asked.get("token", 0))
        links = []
        if start + self.page < len(found):
            body = {**asked, "token": start + self.page}
            links.append({"rel": "next", "href": f"{root}/search", "method": "POST", "body": body})
        features = found[start : start + self.page]
        return Answer.of({"type": "FeatureCollection", "features": features, "links": links})

    def _described(self, item: Item, collection: str, server: Loopback) -> dict[str, Any]:
        footprint, epsg, gsd = _facts(self.files, item.file)
        properties = {"datetime": f"{item.day}T10:30:00Z", "proj:epsg": epsg, "gsd": gsd}
        if item.cloud is not None:
            properties["eo:cloud_cover"] = item.cloud
        content = {
            "type": "Feature",
            "stac_version": "1.0.0",
            "id": item.id,
            "collection": collection,
            "geometry": mapping(footprint),
            "bbox": list(footprint.bounds),
            "properties": properties,
            "links": [{"rel": "self", "href": f"{server.url}/stac/v1/items/{item.id}"}],
            "assets": {
                item.asset: {
                    "href": f"{server.url}/files/{item.file}",
                    "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                }
            },
        }
        return {**content, **item.changes}

    def _aerial(self, request: Request, server: Loopback) -> Answer:
        area = box(*map(float, request.query["bbox"].split(",")))
        results = []
        for item in self.items.get("openaerialmap", []):
            footprint, _, gsd = _facts(self.files, item.file)
            if footprint.intersects(area):
                results.append(
                    {
                        "_id": item.id,
                        "uuid": f"{server.url}/files/{item.file}",
                        "title": f"Drone {item.id}",
                        "bbox": list(footprint.bounds),
                        "geojson": mapping(footprint),
                        "gsd": gsd,
                        "acquisition_start": f"{item.day}T09:00:00.000Z",
                        "acquisition_end": f"{item.day}T10:00:00.000Z",
                        "provider": "Somebody",
                        "properties": {"thumbnail": f"{server.url}/files/{item.id}.png"},
                    }
                )
        return Answer.of({"meta": {"found": len(results)}, "results": results})


def _facts(files: Files, name: str) -> tuple[BaseGeometry, int, float]:
    with rasterio.open(files.folder / name) as dataset:
        to = Transformer.from_crs(dataset.crs, "EPSG:4326", always_xy=True)
        outline = shapely.transform(
            box(*dataset.bounds), lambda xy: np.column_stack(to.transform(*xy.T))
        )
        return outline, int(dataset.crs.to_epsg()), abs(dataset.transform.a)
