"""The Earth Engine REST API, as far as Lookalike calls it, with its limits.

The discovery document and the list of algorithms are those that the client's own wheel ships for
its tests, so the genuine client builds itself exactly as it does against Google.
"""

from __future__ import annotations

import itertools
import json
import re
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np
from shapely.geometry import mapping

from tests.loopback import images
from tests.loopback.expressions import Catalogue, RefusedError, as_json, evaluate, missing
from tests.loopback.google import Bucket, Drive, Tokens
from tests.loopback.images import Asset, Grid, Img
from tests.loopback.server import Answer, Loopback, Request

MAX_BYTES, MAX_SIDE = 48 * 2**20, 32768
SKYSAT = "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB"


@dataclass
class EarthEngine:
    """The service.

    Attributes:
        catalogue: What it holds.
        tokens: Who may come in; None lets everybody.
        drive: Where exports to Drive go.
        bucket: Where exports to Cloud Storage go.
        polls: How often an export is seen running before it is done.
        projects: Projects that may be used.
        outcome: What becomes of the next exports: "SUCCEEDED", "FAILED", "CANCELLED" or "RUNNING"
            (for ever), one taken from the front for each, then success.
    """

    catalogue: Catalogue = field(default_factory=Catalogue)
    tokens: Tokens | None = None
    drive: Drive = field(default_factory=Drive)
    bucket: Bucket = field(default_factory=Bucket)
    polls: int = 1
    projects: tuple[str, ...] = ("test-project",)
    outcome: list[str] = field(default_factory=list)
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    maps: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)

    def handle(self, request: Request, server: Loopback) -> Answer | None:
        path = request.path
        if path == "/$discovery/rest":
            return Answer.of(_discovery(server.url))
        match = re.fullmatch(r"/v1/projects/([^/]+)/(.+)", path)
        if not match:
            return None
        try:
            if "/tiles/" not in path:  # map tiles are open to whoever knows the name of the map
                self._admit(request, match[1])
            return self._route(request, server, match[1], match[2])
        except RefusedError as refusal:
            return Answer.refusal(refusal.code, refusal.message, refusal.status)

    def _admit(self, request: Request, project: str) -> None:
        if self.tokens and not self.tokens.admits(request):
            raise RefusedError(
                401,
                "Request had invalid authentication credentials. Expected OAuth 2 access token.",
                "UNAUTHENTICATED",
            )
        if project not in (*self.projects, "earthengine-public", "earthengine-legacy"):
            raise RefusedError(
                403,
                f"Caller does not have required permission to use project {project}. Grant the "
                "caller the roles/serviceusage.serviceUsageConsumer role.",
                "PERMISSION_DENIED",
            )

    def _route(self, request: Request, server: Loopback, project: str, rest: str) -> Answer:
        body = request.json
        if rest == "algorithms":
            return Answer(_wheel("algorithms.json"), 200, {"Content-Type": "application/json"})
        if rest == "value:compute":
            return Answer.of({"result": as_json(self._value(body))})
        if rest == "image:computePixels":
            return self._pixels(self._value(body), body)
        if rest == "image:export":
            return Answer.of(self._export(project, body))
        if rest == "maps":
            name = f"projects/{project}/maps/{next(self._numbers):032x}"
            self.maps[name] = self._value(body)
            return Answer.of({"name": name})
        tile = re.fullmatch(r"maps/([^/]+)/tiles/(\d+)/(\d+)/(\d+)", rest)
        if tile:
            image = self.maps[f"projects/{project}/maps/{tile[1]}"]
            grid = images.mercator_tile(int(tile[2]), int(tile[3]), int(tile[4]))
            return Answer(images.png(*image.draw(grid)), 200, {"Content-Type": "image/png"})
        operation = re.fullmatch(r"operations/([^/:]+)(:cancel)?", rest)
        if operation:
            return self._operation(f"projects/{project}/operations/{operation[1]}", operation[2])
        if rest.startswith("assets/"):
            return Answer.of(self._asset(rest.removeprefix("assets/")))
        raise RefusedError(404, f"no route {request.method} {request.path}", "NOT_FOUND")

    def _value(self, body: dict[str, Any]) -> Any:
        return evaluate(self.catalogue, body["expression"])

    def _pixels(self, image: Img, body: dict[str, Any]) -> Answer:
        grid = _grid(body["grid"])
        kind = body.get("fileFormat", "AUTO_JPEG_PNG")
        if kind == "PNG":
            drawn, mask = image.draw(grid)
            return Answer(images.png(drawn, mask), 200, {"Content-Type": "image/png"})
        if kind != "GEO_TIFF":
            raise RefusedError(400, f"the test server does not write {kind}")
        return Answer(render(image, grid), 200, {"Content-Type": "image/tiff"})

    def _asset(self, name: str) -> dict[str, Any]:
        if name in self.catalogue.collections:
            return {"type": "IMAGE_COLLECTION", "id": name, "name": f"projects/x/assets/{name}"}
        image = self.catalogue.image(name)
        assert image.asset is not None
        return {
            "type": "IMAGE",
            "id": name,
            "name": f"projects/x/assets/{name}",
            "geometry": mapping(image.asset.footprint),
        }

    def _export(self, project: str, body: dict[str, Any]) -> dict[str, Any]:
        identity = body.get("requestId")
        for operation in self.operations.values():  # the same request twice is one task
            if identity and operation["asked"].get("requestId") == identity:
                return operation["shown"]
        name = f"projects/{project}/operations/{next(self._numbers):024X}"
        shown = {
            "name": name,
            "done": False,
            "metadata": {
                "@type": "type.googleapis.com/google.earthengine.v1.OperationMetadata",
                "state": "PENDING",
                "type": "EXPORT_IMAGE",
                "description": body.get("description", ""),
                "createTime": "2026-01-01T00:00:00Z",
                "updateTime": "2026-01-01T00:00:00Z",
            },
        }
        outcome = self.outcome.pop(0) if self.outcome else "SUCCEEDED"
        self.operations[name] = {"asked": body, "shown": shown, "polls": 0, "outcome": outcome}
        return shown

    def _operation(self, name: str, cancel: str | None) -> Answer:
        operation = self.operations.get(name)
        if operation is None:
            raise RefusedError(404, f"Operation {name} not found.", "NOT_FOUND")
        shown = operation["shown"]
        if cancel:
            shown["metadata"]["state"], shown["done"] = "CANCELLED", True
            return Answer.of({})
        if not shown["done"]:
            operation["polls"] += 1
            shown["metadata"]["state"] = "RUNNING"
            if operation["polls"] > self.polls and operation["outcome"] != "RUNNING":
                self._finish(operation)
        return Answer.of(shown)

    def _finish(self, operation: dict[str, Any]) -> None:
        shown, outcome = operation["shown"], operation["outcome"]
        shown["done"] = True
        shown["metadata"]["state"] = outcome
        if outcome == "SUCCEEDED":
            try:
                self._write(operation["asked"])
            except RefusedError as refusal:
                shown["metadata"]["state"] = "FAILED"
                shown["error"] = {"code": refusal.code, "message": refusal.message}
        elif outcome == "FAILED":
            shown["error"] = {"code": 8, "message": "Drive storage quota has been exceeded."}
        else:
            shown["error"] = {"code": 1, "message": "Cancelled."}

    def _write(self, asked: dict[str, Any]) -> None:
        image: Img = evaluate(self.catalogue, asked["expression"])
        if image.fixed is None:
            raise RefusedError(400, "the test server only exports exact grids")
        if image.fixed.width * image.fixed.height > int(asked["maxPixels"]["value"]):
            raise RefusedError(400, "Export too large: increase maxPixels.")
        data = render(image, image.fixed, limit=None)
        options = asked["fileExportOptions"]
        if "driveDestination" in options:
            place = options["driveDestination"]
            self.drive.put(place["filenamePrefix"] + ".tif", data, place.get("folder"))
        else:
            place = options["cloudStorageDestination"]
            self.bucket.put(place["bucket"], place["filenamePrefix"] + ".tif", data)


def render(image: Img, grid: Grid, limit: int | None = MAX_BYTES) -> bytes:
    """A GeoTIFF, or the refusal Earth Engine would give."""
    if not image.bands:
        raise RefusedError(400, "Image.select: The image has no bands.")
    size = grid.width * grid.height * len(image.bands) * np.dtype(image.dtype).itemsize
    if limit is not None and size > limit:
        raise RefusedError(
            400, f"Total request size ({size} bytes) must be less than or equal to {limit} bytes."
        )
    if max(grid.width, grid.height) > MAX_SIDE:
        raise RefusedError(
            400,
            f"Pixel grid dimensions ({grid.width}x{grid.height}) must be less than or equal to "
            f"{MAX_SIDE}.",
        )
    drawn, mask = image.draw(grid)
    return images.geotiff(np.where(mask, drawn, 0).astype(image.dtype), grid, image.bands)


def _grid(grid: dict[str, Any]) -> Grid:
    size, affine = grid["dimensions"], grid["affineTransform"]
    return Grid(
        grid["crsCode"],
        (
            affine["scaleX"], affine.get("shearX", 0), affine["translateX"],
            affine.get("shearY", 0), affine["scaleY"], affine["translateY"],
        ),
        int(size["width"]),
        int(size["height"]),
    )  # fmt: skip


@cache
def _wheel(name: str) -> bytes:
    return (files("ee") / "tests" / name).read_bytes()


@cache
def _discovery(url: str) -> Any:
    text = _wheel("cloud_api_discovery_document.json").decode().replace("v1alpha", "v1")
    return json.loads(text.replace("https://earthengine.googleapis.com/", url + "/"))


def new_york(
    count: int = 3,
    size: int = 700,
    *,
    collection: str = SKYSAT,
    seed: int = 0,
    origin: tuple[float, float] = (583000.3, 4507500.7),
    scale: float = 0.8,
) -> Catalogue:
    """Overlapping SkySat-like pictures of Manhattan, one for each month of 2015, R G B uint8."""
    catalogue = Catalogue()
    for number, data in enumerate(_pictures(count, size, seed)):
        left = origin[0] + number * size * scale * 0.4
        name = f"s{number:02d}_20150{number + 1}15T150000Z"
        catalogue.add(
            collection,
            Asset(
                f"{collection}/{name}",
                data,
                ("R", "G", "B"),
                "EPSG:32618",
                (scale, 0.0, left, 0.0, -scale, origin[1]),
                _ms(2015, number + 1, 15),
            ),
        )
    return catalogue


@cache
def _pictures(count: int, size: int, seed: int) -> list[np.ndarray]:
    """The pixels, which all catalogues of a process share."""
    random, made = np.random.default_rng(seed), []
    yy, xx = np.mgrid[:size, :size]
    for number in range(count):
        texture = random.integers(1, 60, (3, size, size), "uint8")
        blocks = np.stack([xx // 40 * 7, yy // 40 * 11, (xx + yy) // 80 * 13]) + 50 * number
        made.append((texture + blocks % 150 + 20).astype("uint8"))
        made[-1].flags.writeable = False
    return made


def _ms(year: int, month: int, day: int) -> int:
    from datetime import datetime, timezone

    return int(datetime(year, month, day, 15, tzinfo=timezone.utc).timestamp() * 1000)


__all__ = ["SKYSAT", "EarthEngine", "missing", "new_york"]
