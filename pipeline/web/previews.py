"""REST: map tiles of rasters that are shown before anything is built from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from pipeline.imagery.render import age_of, tile_png
from pipeline.web.collections import guarded
from pipeline.web.tiles import IMMUTABLE

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.sources.previews import Previews


def routes(previews: Previews) -> list[Route]:
    """The tiles of the rasters that this server shows."""

    def tile(request: Request) -> Response:
        place = request.path_params
        scene = previews.scene(place["look"])
        content = tile_png(scene, age_of(scene), place["z"], place["x"], place["y"])
        return Response(content, media_type="image/png", headers={"Cache-Control": IMMUTABLE})

    return [Route("/api/looks/{look}/{z:int}/{x:int}/{y:int}.png", guarded(tile))]
