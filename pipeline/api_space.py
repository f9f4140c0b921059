"""The REST interface of the embedding space: a collection's chips as points."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response
from starlette.routing import Route

from pipeline.api import guarded

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.shelf import Shelf


def routes(shelf: Shelf) -> list[Route]:
    """The routes over one shelf of collections."""

    def points(request: Request) -> Response:
        from pipeline.space import space_of

        name = request.path_params["name"]
        found = space_of(shelf.collection(name), shelf.index(name))
        return Response(
            found.table().astype("<f4").tobytes(),
            media_type="application/octet-stream",
            headers={"Cache-Control": "private, max-age=60"},
        )

    return [Route("/api/collections/{name}/space.f32", guarded(points))]
