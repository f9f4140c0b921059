"""The REST interface: describe a collection, warm its index, search it.

Every refusal is `application/problem+json` (RFC 9457) with our own `remedy` beside the standard
members; the status is that of the error (`pipeline.errors`).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import LookalikeError, NotFoundError, PictureError, QueryError
from pipeline.recipe import HOW, Recipe, query_of

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.collection import Collection
    from pipeline.index import Index
    from pipeline.search import Hit, Query, Result
    from pipeline.shelf import Shelf
    from pipeline.sites import Site

log = logging.getLogger(__name__)

Handler = Callable[["Request"], Response]
MAX_JSON_BYTES = 1_000_000


@dataclass(frozen=True)
class Upload:
    """An uploaded picture: its bytes and what the file was called."""

    content: bytes
    name: str


def routes(shelf: Shelf) -> list[Route]:
    """The REST routes over one shelf of collections."""
    root = "/api/collections"

    def collections(request: Request) -> Response:
        return JSONResponse(everything(shelf))

    def collection(request: Request) -> Response:
        return JSONResponse(describe(shelf.collection(request.path_params["name"])))

    def warm(request: Request) -> Response:
        name = request.path_params["name"]
        index = shelf.index(name)
        return JSONResponse({"chips": len(index), "kind": index.header.parameters.kind})

    def picture(request: Request) -> Response:
        from pipeline import kept_pictures

        opened = shelf.collection(request.path_params["name"])
        return Response(
            kept_pictures.png(opened, request.path_params["picture"]),
            media_type="image/png",
            headers={"Cache-Control": "private, max-age=31536000, immutable"},
        )

    async def search(request: Request) -> Response:
        try:
            recipe, upload = await _read_search(request)
            name = request.path_params["name"]
            sites = request.query_params.get("sites") == "1"
            answer = await run_in_threadpool(_search, shelf, name, recipe, upload, sites)
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


def everything(shelf: Shelf) -> list[dict[str, Any]]:
    """All collections described; of one that cannot be read, its name and why."""
    found = []
    for name in shelf.store.names():
        try:
            found.append(describe(shelf.collection(name)))
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

    from pipeline.picture import MAX_BYTES

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


@dataclass(frozen=True)
class Found:
    """A search that was run: where, how to repeat it, and what came of it."""

    collection: Collection
    recipe: Recipe
    query: Query
    result: Result
    sites: tuple[Site, ...] = ()


def find(
    shelf: Shelf, name: str, recipe: Recipe, upload: Upload | None = None, *, sites: bool = False
) -> Found:
    """Run a search; an uploaded picture is kept and becomes part of the recipe.

    Args:
        shelf: Where the collections are.
        name: The collection to search.
        recipe: What to look for.
        upload: The picture to start from.
        sites: Whether the recipe's k counts places; the hits are then those that make them up.

    Raises:
        NotFoundError: If there is no such collection, chip or picture.
        InputError: If the search cannot be run as it is.
    """
    from pipeline import kept_pictures
    from pipeline.search import MAX_K, refined, search
    from pipeline.sites import MOST_HITS, gather

    collection, index = shelf.collection(name), shelf.index(name)
    if upload:
        recipe = replace(
            recipe, picture=kept_pictures.keep(collection, upload.content, upload.name)
        )
    query = query_for(shelf, collection, index, recipe)
    filters = recipe.filters()
    first = cache(lambda: refined(collection, index, query, filters))  # the same for every k

    def look(k: int) -> Result:
        return search(
            collection,
            index,
            query,
            k=k,
            suppress=recipe.suppress,
            threshold=recipe.threshold,
            filters=filters,
            most=MAX_K if k == recipe.k else MOST_HITS,  # more hits than sites are wanted
            first=first,
        )

    if not sites:
        return Found(collection, recipe, query, look(recipe.k))
    result, places = gather(look, recipe.k)
    return Found(collection, recipe, query, result, places)


def query_for(shelf: Shelf, collection: Collection, index: Index, recipe: Recipe) -> Query:
    """The query of a recipe; imagery is read and embedded once and remembered."""

    def start(recipe: Recipe) -> Query:
        return _start(shelf, collection.name, collection.version, recipe.start)

    return query_of(recipe, collection, index, start)


def chip_facts(collection: Collection, row: int) -> dict[str, Any]:
    """What a client needs to draw one chip."""
    table = collection.chips
    lon, lat = table.centres[row].tolist()
    return {
        "id": table.ids[row].decode(),
        "row": row,
        "lon": lon,
        "lat": lat,
        "datetime": table.datetimes[int(table.scene[row])],
    }


def hit_facts(hit: Hit) -> dict[str, Any]:
    """What a client needs to draw one hit."""
    lon, lat = hit.centre
    return {**hit.to_dict(), "row": hit.row, "lon": lon, "lat": lat}


def _search(
    shelf: Shelf, name: str, recipe: Recipe, upload: Upload | None, sites: bool
) -> dict[str, Any]:
    found = find(shelf, name, recipe, upload, sites=sites)
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


@lru_cache(maxsize=64)
def _start(shelf: Shelf, name: str, version: str, start: Recipe) -> Query:
    """The query that imagery and the model make; `version` is part of the key alone."""
    from pipeline import starts

    return starts.query(shelf.collection(name), shelf.index(name), start, shelf.embedder(name))


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
