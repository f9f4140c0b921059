"""The REST interface: describe a collection, warm its index, search it.

Every refusal is `application/problem+json` (RFC 9457) with our own `remedy` beside the standard
members; the status is that of the error (`pipeline.errors`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import LookalikeError, NotFoundError, PictureError, QueryError
from pipeline.search import uploads
from pipeline.search.picture import MAX_BYTES
from pipeline.search.recipe import HOW, Recipe
from pipeline.search.service import Upload, find

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.collection.collection import Collection
    from pipeline.search.open_collections import OpenCollections
    from pipeline.search.queries import Query
    from pipeline.search.search import Hit, Result

log = logging.getLogger(__name__)

Handler = Callable[["Request"], Response]
MAX_JSON_BYTES = 1_000_000


def routes(open_collections: OpenCollections) -> list[Route]:
    """The REST routes over the open collections."""
    root = "/api/collections"

    def collections(request: Request) -> Response:
        return JSONResponse(everything(open_collections))

    def collection(request: Request) -> Response:
        return JSONResponse(describe(open_collections.collection(request.path_params["name"])))

    def warm(request: Request) -> Response:
        name = request.path_params["name"]
        index = open_collections.index(name)
        return JSONResponse({"chips": len(index), "kind": index.header.parameters.kind})

    def picture(request: Request) -> Response:
        opened = open_collections.collection(request.path_params["name"])
        return Response(
            uploads.png(opened, request.path_params["picture"]),
            media_type="image/png",
            headers={"Cache-Control": "private, max-age=31536000, immutable"},
        )

    async def search(request: Request) -> Response:
        try:
            recipe, upload = await _read_search(request)
            name = request.path_params["name"]
            sites = request.query_params.get("sites") == "1"
            answer = await run_in_threadpool(_search, open_collections, name, recipe, upload, sites)
            return JSONResponse(answer)
        except LookalikeError as error:
            return problem(error)

    return [
        Route(root, guarded(collections)),
        Route(f"{root}/{{name}}", guarded(collection)),
        Route(f"{root}/{{name}}/index", guarded(warm)),
        Route(f"{root}/{{name}}/pictures/{{picture}}.png", guarded(picture)),
        Route(f"{root}/{{name}}/search", search, methods=["POST"]),
    ]


def guarded(handler: Handler) -> Handler:
    """The handler with our errors answered as problem+json; sync, so it runs in a thread."""

    def answer(request: Request) -> Response:
        try:
            return handler(request)
        except LookalikeError as error:
            return problem(error)

    return answer


def problem(error: LookalikeError) -> Response:
    """An error as RFC 9457 problem details."""
    if error.http_status >= 500:
        log.error("%s", error)
    body = {
        "type": f"lookalike:{type(error).__name__}",
        "status": error.http_status,
        "title": error.what,
        "detail": error.where,
        "remedy": error.remedy,
    }
    return JSONResponse(body, error.http_status, media_type="application/problem+json")


def everything(open_collections: OpenCollections) -> list[dict[str, Any]]:
    """All collections described; of one that cannot be read, its name and why."""
    found = []
    for name in open_collections.library.names():
        try:
            found.append(describe(open_collections.collection(name)))
        except NotFoundError:  # it was deleted meanwhile
            continue
        except LookalikeError as error:
            found.append({"name": name, "error": error.what, "remedy": error.remedy})
    return found


def describe(collection: Collection) -> dict[str, Any]:
    """What a client needs to show a collection: scenes, bounds, counts, versions."""
    manifest, chips = collection.manifest, collection.chips
    return {
        "name": collection.name,
        "title": manifest.title,
        "description": manifest.description,
        "version": collection.version,
        "created": manifest.created,
        "complete": manifest.complete,
        "stride": manifest.stride,
        "chips": len(chips),
        "bounds": _bounds(chips.corners) if len(chips) else None,
        "area": manifest.area,
        "sharpness": _quantiles(chips.sharpness) if len(chips) else {},
        "scenes": [
            {
                "id": scene.id,
                "title": scene.title,
                "datetime": scene.datetime,
                "gsd": scene.gsd,
                "license": scene.license,
                "bounds": list(scene.footprint.bounds),
            }
            for scene in collection.scenes.values()
        ],
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    """The value below which 5, 10, 25 and 50 % of the chips lie."""
    shares = (5, 10, 25, 50)
    found = np.nanpercentile(values, shares).round(3).tolist()
    return {str(share): value for share, value in zip(shares, found, strict=True)}


def _bounds(corners: np.ndarray) -> list[float]:
    flat = corners.reshape(-1, 2)
    return [*flat.min(axis=0).tolist(), *flat.max(axis=0).tolist()]


async def _read_search(request: Request) -> tuple[Recipe, Upload | None]:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request)
    fields = await json_object(
        request, most=MAX_JSON_BYTES, remedy="Send pictures as multipart/form-data"
    )
    return Recipe.from_fields(fields), None


async def _read_form(request: Request) -> tuple[Recipe, Upload]:
    from starlette.datastructures import UploadFile

    too_large = PictureError(
        f"This picture is larger than {MAX_BYTES >> 20} MB",
        remedy="Crop it to the thing you look for",
    )
    if int(request.headers.get("content-length") or 0) > MAX_BYTES + MAX_JSON_BYTES:
        raise too_large
    try:
        async with request.form(max_files=1, max_fields=20) as form:
            upload = form.get("image")
            if not isinstance(upload, UploadFile):
                raise QueryError("The form has no picture", where="image", remedy=HOW)
            fields = {name: value for name, value in form.items() if name != "image"}
            recipe = Recipe.from_fields(fields, image=True)
            if (upload.size or 0) > MAX_BYTES:
                raise too_large
            return recipe, Upload(await upload.read(), upload.filename or "picture")
    except HTTPException as error:
        raise QueryError("The form cannot be read", where=error.detail, remedy=HOW) from error


async def json_object(request: Request, *, most: int, remedy: str) -> dict[str, Any]:
    """The JSON object that a request's body is.

    Args:
        request: Whose body.
        most: Largest size in bytes.
        remedy: What to do about a larger one.

    Raises:
        QueryError: If it is larger, or no JSON object.
    """
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > most:
            raise QueryError(
                "The request is too large", where=f"more than {most // 1_000_000} MB", remedy=remedy
            )
    try:
        content = json.loads(body)
        # JSON can spell halves of characters, which neither a file nor an answer can hold.
        json.dumps(content, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise QueryError("The request is not JSON", where=str(error)[:80]) from error
    if not isinstance(content, dict):
        raise QueryError("The request is not a JSON object")
    return content


def chip_facts(collection: Collection, row: int) -> dict[str, Any]:
    """What a client needs to draw one chip."""
    table = collection.chips
    lon, lat = table.centres[row].tolist()
    return {
        "id": table.id_of(row),
        "row": row,
        "lon": lon,
        "lat": lat,
        "datetime": table.datetime_of(row),
    }


def hit_facts(hit: Hit) -> dict[str, Any]:
    """What a client needs to draw one hit."""
    lon, lat = hit.centre
    return {**hit.to_dict(), "row": hit.row, "lon": lon, "lat": lat}


def _search(
    open_collections: OpenCollections, name: str, recipe: Recipe, upload: Upload | None, sites: bool
) -> dict[str, Any]:
    found = find(open_collections, name, recipe, upload, sites=sites)
    return {
        "version": found.collection.version,
        "query": shown(found.collection, found.recipe, found.query),
        "examples": [
            chip_facts(found.collection, found.collection.chips.row_of(chip))
            for chip in (*recipe.good, *recipe.bad)
        ],
        **_answer(found.result),
        **({"sites": [site.to_dict() for site in found.sites]} if sites else {}),
    }


def shown(collection: Collection, recipe: Recipe, query: Query) -> dict[str, Any]:
    """The query as a client shows it, and repeats it."""
    if recipe.picture:
        return {"kind": "picture", "picture": recipe.picture}
    if recipe.box:
        return {"kind": "box", "box": list(recipe.box), "corners": query.corners[0].tolist()}
    if not (recipe.chip or recipe.at):
        return {"kind": "examples", "good": list(recipe.good), "bad": list(recipe.bad)}
    chip = chip_facts(collection, collection.chips.row_of(query.chips[0]))
    return {"kind": "chip", "chip": chip.pop("id"), **chip}


def _answer(result: Result) -> dict[str, Any]:
    return {
        "hits": [hit_facts(hit) for hit in result.hits],
        "eligible": result.eligible,
        "total": result.total,
        "seconds": round(result.seconds, 4),
    }
