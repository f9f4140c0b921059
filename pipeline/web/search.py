"""REST: what a query says beyond its hits: every chip's score, where inside a chip, who may hit,
and how two dates differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import QueryError
from pipeline.search import uploads
from pipeline.search.cells import cell_scores
from pipeline.search.changes import MARGIN, between, chip_on, compare
from pipeline.search.filters import admitted
from pipeline.search.recipe import MAX_K, Recipe
from pipeline.search.service import query_for
from pipeline.web.collections import chip_facts, guarded, shown
from pipeline.web.jobs import posted
from pipeline.web.tiles import BRIEF

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.search.open_collections import OpenCollections
    from pipeline.search.queries import Query

MOST_CHIPS = 16


def routes(open_collections: OpenCollections) -> list[Route]:
    """The routes over the open collections."""

    def scores(request: Request, body: dict[str, Any]) -> Response:
        collection, index, query, recipe = _asked(open_collections, request, body)
        found = index.cosines(query.vector).astype("<f4")
        if filters := recipe.filters():
            found[~admitted(collection.chips, filters, query.corners).mask] = float("nan")
        return Response(found.tobytes(), media_type="application/octet-stream")

    def cells(request: Request, body: dict[str, Any]) -> Response:
        chips = body.pop("chips", None)
        if not isinstance(chips, list) or not 1 <= len(chips) <= MOST_CHIPS:
            raise QueryError(
                f"chips must be a list of 1 to {MOST_CHIPS} ids", where=str(chips)[:40]
            )
        collection, _, query, _ = _asked(open_collections, request, body)
        asked = [str(chip) for chip in chips]
        found = cell_scores(collection, open_collections.network(), asked, query.vector).round(4)
        return JSONResponse(dict(zip(asked, found.tolist(), strict=True)))

    def eligible(request: Request, body: dict[str, Any]) -> Response:
        table = open_collections.collection(request.path_params["name"]).chips
        filters = Recipe.from_fields(body, start=False).filters()
        count = admitted(table, filters).count if filters else len(table)
        return JSONResponse({"eligible": count, "total": len(table)})

    def changed(request: Request, body: dict[str, Any]) -> Response:
        days = {name: body.pop(name, None) for name in ("before", "after")}
        margin = body.pop("margin", MARGIN)
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin <= 2:
            raise QueryError("margin must be a number from 0 to 2", where=str(margin)[:40])
        collection, index, query, recipe = _asked(open_collections, request, body)
        if recipe.filters():
            raise QueryError(
                "Changes are looked for among all chips of two dates",
                remedy="Leave the filters out",
            )
        if not 1 <= recipe.k <= MAX_K:
            raise QueryError(f"k must be between 1 and {MAX_K}", where=recipe.k)
        first, last = between(collection)
        found = compare(
            collection,
            index,
            query,
            str(days["before"] or first),
            str(days["after"] or last),
            threshold=recipe.threshold,
            margin=margin,
            k=recipe.k,
        )
        if request.query_params.get("geojson") == "1":
            return JSONResponse(found.to_geojson(), media_type="application/geo+json")
        return JSONResponse(found.to_dict() | {"query": shown(collection, recipe, query)})

    def chip_at(request: Request) -> Response:
        collection = open_collections.collection(request.path_params["name"])
        lon, lat = (_number(request.query_params, name) for name in ("lon", "lat"))
        if day := request.query_params.get("day"):
            return JSONResponse(chip_facts(collection, chip_on(collection, day, lon, lat)))
        return JSONResponse(chip_facts(collection, collection.chips.row_at(lon, lat)))

    def box_picture(request: Request) -> Response:
        collection = open_collections.collection(request.path_params["name"])
        recipe = Recipe.from_fields({"box": request.query_params.get("box", "")})
        content = uploads.query_png(collection, recipe)
        return Response(content, media_type="image/png", headers={"Cache-Control": BRIEF})

    root = "/api/collections/{name}"
    return [
        Route(f"{root}/scores", posted(scores), methods=["POST"]),
        Route(f"{root}/cells", posted(cells), methods=["POST"]),
        Route(f"{root}/eligible", posted(eligible), methods=["POST"]),
        Route(f"{root}/changes", posted(changed), methods=["POST"]),
        Route(f"{root}/chip", guarded(chip_at)),
        Route(f"{root}/box.png", guarded(box_picture)),
    ]


def _asked(
    open_collections: OpenCollections, request: Request, body: dict[str, Any]
) -> tuple[Any, Any, Query, Recipe]:
    recipe = Recipe.from_fields(body)
    name = request.path_params["name"]
    collection, index = open_collections.collection(name), open_collections.index(name)
    return collection, index, query_for(open_collections, name, recipe), recipe


def _number(fields: Mapping[str, str], name: str) -> float:
    try:
        return float(fields.get(name, ""))
    except ValueError:
        raise QueryError(
            f"{name} must be a number", where=str(fields.get(name))[:40], remedy="In degrees"
        ) from None
