"""REST: what a query says beyond its hits: every chip's score, where inside a chip, who may hit,
and how two dates differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.api import chip_facts, guarded, query_for, shown
from pipeline.api_jobs import posted
from pipeline.errors import QueryError
from pipeline.recipe import Recipe
from pipeline.tiles import BRIEF

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.search import Query
    from pipeline.shelf import Shelf

MOST_CHIPS = 16


def routes(shelf: Shelf) -> list[Route]:
    """The routes over one shelf of collections."""
    from pipeline.filters import admitted
    from pipeline.search import MAX_K

    def scores(request: Request, body: dict[str, Any]) -> Response:
        collection, index, query, recipe = _asked(shelf, request, body)
        found = index.cosines(query.vector).astype("<f4")
        if filters := recipe.filters():
            found[~admitted(collection.chips, filters, query.corners).mask] = float("nan")
        return Response(found.tobytes(), media_type="application/octet-stream")

    def cells(request: Request, body: dict[str, Any]) -> Response:
        from pipeline.cells import cell_scores

        chips = body.pop("chips", None)
        if not isinstance(chips, list) or not 1 <= len(chips) <= MOST_CHIPS:
            raise QueryError(
                f"chips must be a list of 1 to {MOST_CHIPS} ids", where=str(chips)[:40]
            )
        collection, _, query, _ = _asked(shelf, request, body)
        asked = [str(chip) for chip in chips]
        found = cell_scores(collection, shelf.network(), asked, query.vector).round(4)
        return JSONResponse(dict(zip(asked, found.tolist(), strict=True)))

    def eligible(request: Request, body: dict[str, Any]) -> Response:
        table = shelf.collection(request.path_params["name"]).chips
        filters = Recipe.from_fields(body, start=False).filters()
        count = admitted(table, filters).count if filters else len(table)
        return JSONResponse({"eligible": count, "total": len(table)})

    def changed(request: Request, body: dict[str, Any]) -> Response:
        from pipeline.changes import MARGIN, between, compare

        days = {name: body.pop(name, None) for name in ("before", "after")}
        margin = body.pop("margin", MARGIN)
        if isinstance(margin, bool) or not isinstance(margin, (int, float)) or not 0 <= margin <= 2:
            raise QueryError("margin must be a number from 0 to 2", where=str(margin)[:40])
        collection, index, query, recipe = _asked(shelf, request, body)
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
        collection = shelf.collection(request.path_params["name"])
        lon, lat = (_number(request.query_params, name) for name in ("lon", "lat"))
        if day := request.query_params.get("day"):
            from pipeline.changes import chip_on

            return JSONResponse(chip_facts(collection, chip_on(collection, day, lon, lat)))
        return JSONResponse(chip_facts(collection, collection.chips.row_at(lon, lat)))

    def box_picture(request: Request) -> Response:
        from pipeline import query_picture

        collection = shelf.collection(request.path_params["name"])
        recipe = Recipe.from_fields({"box": request.query_params.get("box", "")})
        content = query_picture.png(collection, recipe)
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


def _asked(shelf: Shelf, request: Request, body: dict[str, Any]) -> tuple[Any, Any, Query, Recipe]:
    recipe = Recipe.from_fields(body)
    name = request.path_params["name"]
    collection, index = shelf.collection(name), shelf.index(name)
    return collection, index, query_for(shelf, collection, index, recipe), recipe


def _number(fields: Mapping[str, str], name: str) -> float:
    try:
        return float(fields.get(name, ""))
    except ValueError:
        raise QueryError(
            f"{name} must be a number", where=str(fields.get(name))[:40], remedy="In degrees"
        ) from None
