"""The REST interface of the embedding space: a collection's chips as points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from pipeline.analysis.space import space_of
from pipeline.web.collections import guarded

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.search.open_collections import OpenCollections


def routes(open_collections: OpenCollections) -> list[Route]:
    """The routes over the open collections."""

    def points(request: Request) -> Response:
        name = request.path_params["name"]
        found = space_of(open_collections.collection(name), open_collections.index(name))
        return Response(
            found.table().astype("<f4").tobytes(),
            media_type="application/octet-stream",
            headers={"Cache-Control": "private, max-age=60"},
        )

    return [Route("/api/collections/{name}/space.f32", guarded(points))]
