"""What the map draws: scene tiles, footprints, chip pictures and the front-end's own files.

Handlers are sync, so Starlette runs them in threads.  A request names a collection and the id of a
scene or chip in it; no path or URL from a request is ever opened.  Answers that carry the version
they were asked for never change, and say so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

from pipeline.collection.chip_pictures import chip_png
from pipeline.errors import NotFoundError, QueryError
from pipeline.frontend import ASSETS
from pipeline.imagery.render import age_of, empty_png, scene_preview, tile_png
from pipeline.web.collections import guarded

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.search.open_collections import OpenCollections

PICTURE_SIZES = (64, 128, 256, 512)
IMMUTABLE = "private, max-age=31536000, immutable"
BRIEF = "private, max-age=60"


def routes(open_collections: OpenCollections) -> list[BaseRoute]:
    """The picture routes over the open collections."""
    root = "/api/collections/{name}"

    def tile(request: Request) -> Response:
        place = request.path_params
        scene = _scene(_collection(open_collections, request), place["scene"])
        content = tile_png(scene, age_of(scene), place["z"], place["x"], place["y"])
        return _answer(request, content, "image/png")

    def footprints(request: Request) -> Response:
        collection = _collection(open_collections, request)
        corners = collection.chips.corners.astype("<f8", copy=False)
        return _answer(request, corners.tobytes(), "application/octet-stream")

    def chip(request: Request) -> Response:
        collection = _collection(open_collections, request)
        row = collection.chips.row_of(request.path_params["chip"])
        content = chip_png(collection, row, _size(request), _around(request))
        return _answer(request, content, "image/png")

    def preview(request: Request) -> Response:
        collection = _collection(open_collections, request)
        return _answer(request, preview_png(collection), "image/png")

    return [
        Route(f"{root}/tiles/{{scene}}/{{z:int}}/{{x:int}}/{{y:int}}.png", guarded(tile)),
        Route(f"{root}/footprints.f64", guarded(footprints)),
        Route(f"{root}/chips/{{chip}}.png", guarded(chip)),
        Route(f"{root}/preview.png", guarded(preview)),
        Mount("/lookalike/assets/{version}", _Assets(directory=ASSETS, check_dir=False)),
    ]


def _collection(open_collections: OpenCollections, request: Request) -> Collection:
    """The one asked for, by a former name too: a page open while it is renamed keeps its pictures.

    Raises:
        NotFoundError: If there is none that is or was called so.
    """
    name = request.path_params["name"]
    try:
        return open_collections.collection(name)
    except NotFoundError:
        other = open_collections.library.current(name)
        if not other:
            raise
        return open_collections.collection(other)


class _Assets(StaticFiles):
    """Static files under a path that names their version, so that they may be kept for ever."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        response = super().file_response(*args, **kwargs)
        response.headers["Cache-Control"] = IMMUTABLE
        return response


def preview_png(collection: Collection) -> bytes:
    """A small picture of a collection: its first scene."""
    scenes = list(collection.scenes.values())
    return scene_preview(scenes[0], age_of(scenes[0])) if scenes else empty_png()


def _scene(collection: Collection, scene_id: str) -> Scene:
    scene = collection.scenes.get(scene_id)
    if scene is None:
        raise NotFoundError(
            "No such scene in this collection",
            where=scene_id[:80],
            remedy=f"`python -m pipeline info {collection.name} --json` lists its scenes",
        )
    return scene


def _size(request: Request) -> int:
    text = request.query_params.get("size", "256")
    if text not in map(str, PICTURE_SIZES):
        raise QueryError(
            "A chip picture's size is one of " + ", ".join(map(str, PICTURE_SIZES)),
            where=text[:20],
            remedy="Leave size out for 256",
        )
    return int(text)


def _around(request: Request) -> int:
    text = request.query_params.get("around", "1")
    if text not in ("1", "3", "5"):
        raise QueryError(
            "A chip picture is 1, 3 or 5 chips wide",
            where=text[:20],
            remedy="Leave around out for the chip alone",
        )
    return int(text)


def _answer(request: Request, content: bytes, media_type: str) -> Response:
    cache = IMMUTABLE if request.query_params.get("v") else BRIEF
    return Response(content, media_type=media_type, headers={"Cache-Control": cache})
