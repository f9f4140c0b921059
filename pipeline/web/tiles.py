"""Data for the map: tiles, footprints, chip pictures, and the front end's files.

A request names a collection and the id of a scene or chip in it; no path or URL from a request is
ever opened.  Responses to a request that carries a version never change, and say so.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query
from pydantic import BeforeValidator
from starlette.convertors import IntegerConvertor, register_url_convertor
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from pipeline.collection.chip_pictures import chip_png
from pipeline.collection.collection import Collection
from pipeline.errors import NotFoundError
from pipeline.frontend import ASSETS
from pipeline.imagery.render import age_of, empty_png, scene_preview, tile_png
from pipeline.imagery.scene import Scene
from pipeline.web.dependencies import OpenedOrRenamed, Served
from pipeline.web.responses import BRIEF, IMMUTABLE, file

router = APIRouter(tags=["Pictures"])

ROOT = "/api/collections/{name}"
#: Sizes in pixels, by query text.
SIZES = {"64": 64, "128": 128, "256": 256, "512": 512}
#: Widths in chips, by query text.
WIDTHS = {"1": 1, "3": 3, "5": 5}


class TileConvertor(IntegerConvertor):
    """A whole number of a tile's address."""

    # Python refuses to read a number of thousands of digits, and zoom 24 needs eight.
    regex = "[0-9]{1,9}"


register_url_convertor("tile", TileConvertor())

Size = Annotated[
    Literal[64, 128, 256, 512],
    BeforeValidator(lambda text: SIZES.get(text, text)),
    Query(description="Width and height in pixels."),
]
Around = Annotated[
    Literal[1, 3, 5],
    BeforeValidator(lambda text: WIDTHS.get(text, text)),
    Query(description="Width in chips: 3 and 5 show the chip's surroundings too."),
]
Version = Annotated[
    str,
    Query(description="The collection's version; with it the response may be kept for ever."),
]
Zoom = Annotated[int, Path(description="Zoom level, 0 to 24.")]
Column = Annotated[int, Path(description="Column of the tile.")]
TileRow = Annotated[int, Path(description="Row of the tile, from the north.")]


@router.get(
    ROOT + "/tiles/{scene}/{z:tile}/{x:tile}/{y:tile}.png",
    summary="Get a map tile of a scene",
    **file("image/png"),
)
def get_tile(
    collection: OpenedOrRenamed, scene: str, z: Zoom, x: Column, y: TileRow, v: Version = ""
) -> Response:
    """A Web Mercator tile of 256 by 256 pixels, transparent where the scene has no data."""
    if scene not in collection.scenes:
        raise NotFoundError(
            "No such scene in this collection",
            where=scene[:80],
            remedy=f"`python -m pipeline info {collection.name} --json` lists its scenes",
        )
    return _tile(collection.scenes[scene], z, x, y, v)


@router.get(
    ROOT + "/footprints.f64",
    summary="Get the corners of every chip",
    **file("application/octet-stream"),
)
def get_footprints(collection: OpenedOrRenamed, v: Version = "") -> Response:
    """Little-endian doubles (n, 4, 2): longitude and latitude, chips in row order."""
    corners = collection.chips.corners.astype("<f8", copy=False)
    return _cached(corners.tobytes(), "application/octet-stream", v)


@router.get(ROOT + "/chips/{chip}.png", summary="Get the picture of a chip", **file("image/png"))
def get_chip_picture(
    collection: OpenedOrRenamed, chip: str, size: Size = 256, around: Around = 1, v: Version = ""
) -> Response:
    """The chip as it is embedded, or with its surroundings."""
    row = collection.chips.row_of(chip)
    return _cached(chip_png(collection, row, size, around), "image/png", v)


@router.get(ROOT + "/preview.png", summary="Get a picture of a collection", **file("image/png"))
def get_preview(collection: OpenedOrRenamed, v: Version = "") -> Response:
    """A small picture of the collection's first scene."""
    return _cached(preview_png(collection), "image/png", v)


@router.get(
    "/api/looks/{look}/{z:tile}/{x:tile}/{y:tile}.png",
    summary="Get a map tile of a raster before it is built",
    **file("image/png"),
)
def get_look_tile(served: Served, look: str, z: Zoom, x: Column, y: TileRow) -> Response:
    """A Web Mercator tile of a raster that the Area page shows; only that page knows its id."""
    return _tile(served.previews.scene(look), z, x, y, look)


class FrontEndFiles(StaticFiles):
    """The front end's files, under a path that names their version and may be kept for ever."""

    def __init__(self) -> None:
        super().__init__(directory=ASSETS, check_dir=False)

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The response, to be kept for ever."""
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = IMMUTABLE
        return response


def preview_png(collection: Collection) -> bytes:
    """A small picture of a collection: its first scene."""
    scenes = list(collection.scenes.values())
    return scene_preview(scenes[0], age_of(scenes[0])) if scenes else empty_png()


def _tile(scene: Scene, z: int, x: int, y: int, version: str) -> Response:
    return _cached(tile_png(scene, age_of(scene), z, x, y), "image/png", version)


def _cached(content: bytes, media_type: str, version: str) -> Response:
    cache = IMMUTABLE if version else BRIEF
    return Response(content, media_type=media_type, headers={"Cache-Control": cache})
