"""The REST interface: describe a collection, warm its index, search it.

Every refusal is `application/problem+json` (RFC 9457) with our own `remedy` beside the standard
members; the status is that of the error (`pipeline.errors`).
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pipeline.errors import LookalikeError, NotFoundError, PictureError, QueryError
from pipeline.files import replacing

if TYPE_CHECKING:
    from pathlib import Path

    from starlette.requests import Request

    from pipeline.collection import Collection
    from pipeline.search import Query, Result
    from pipeline.shelf import Shelf

log = logging.getLogger(__name__)

Handler = Callable[["Request"], Response]
MAX_JSON_BYTES = 1_000_000


@dataclass(frozen=True)
class SearchRequest:
    """A validated search: one of chip, point, stored picture or uploaded picture.

    Attributes:
        chip: Chip id.
        at: Longitude and latitude.
        picture: Id of a picture uploaded before.
        image: The bytes of an uploaded picture.
        label: The uploaded file's name.
        k: Hits wanted.
        suppress: Whether overlapping hits are dropped.
        threshold: Least score, or None.
    """

    chip: str | None = None
    at: tuple[float, float] | None = None
    picture: str | None = None
    image: bytes | None = None
    label: str = "picture"
    k: int = 10
    suppress: bool = True
    threshold: float | None = None

    @classmethod
    def from_fields(
        cls, fields: dict[str, Any], image: bytes | None = None, label: str = "picture"
    ) -> SearchRequest:
        """Check the fields of a JSON body or a form.

        Raises:
            QueryError: If one is missing, unknown or of the wrong kind.
        """
        unknown = sorted(set(fields) - {"chip", "at", "picture", "k", "suppress", "threshold"})
        if unknown:
            raise QueryError("Unknown search parameter", where=unknown[0], remedy=_PARAMETERS)
        given = [name for name in ("chip", "at", "picture") if fields.get(name) is not None]
        if len(given) + (image is not None) != 1:
            raise QueryError(
                "A search starts from one thing",
                where=", ".join([*given, *(["image"] if image else [])]) or "nothing was given",
                remedy=_PARAMETERS,
            )
        return cls(
            chip=_text(fields, "chip"),
            at=_point(fields.get("at")),
            picture=_text(fields, "picture"),
            image=image,
            label=label,
            k=_whole(fields.get("k", 10)),
            suppress=_flag(fields.get("suppress", True)),
            threshold=_number(fields.get("threshold"), "threshold"),
        )


_PARAMETERS = (
    "Give one of chip (an id), at ([longitude, latitude]), picture (an id) or image (a file), "
    "and, if you like, k, suppress and threshold"
)


def routes(shelf: Shelf) -> list[Route]:
    """The REST routes over one shelf of collections."""
    root = "/api/collections"

    def collections(request: Request) -> Response:
        return JSONResponse([describe(shelf.collection(name)) for name in shelf.store.names()])

    def collection(request: Request) -> Response:
        return JSONResponse(describe(shelf.collection(request.path_params["name"])))

    def warm(request: Request) -> Response:
        name = request.path_params["name"]
        index = shelf.index(name)
        return JSONResponse({"chips": len(index), "kind": index.header.parameters.kind})

    def picture(request: Request) -> Response:
        opened = shelf.collection(request.path_params["name"])
        path = _picture_path(opened, request.path_params["picture"])
        return Response(
            path.read_bytes(),
            media_type="image/png",
            headers={"Cache-Control": "private, max-age=31536000, immutable"},
        )

    async def search(request: Request) -> Response:
        try:
            wanted = await _read_search(request)
            answer = await run_in_threadpool(_search, shelf, request.path_params["name"], wanted)
        except LookalikeError as error:
            return problem(error)
        return JSONResponse(answer)

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


def _bounds(corners: np.ndarray) -> list[float]:
    flat = corners.reshape(-1, 2)
    return [*flat.min(axis=0).tolist(), *flat.max(axis=0).tolist()]


async def _read_search(request: Request) -> SearchRequest:
    if request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await _read_form(request)
    body = await _limited_body(request, MAX_JSON_BYTES)
    try:
        fields = json.loads(body)
    except ValueError as error:
        raise QueryError(
            "The request is not JSON", where=str(error), remedy="Send a JSON object"
        ) from error
    if not isinstance(fields, dict):
        raise QueryError("The request is not a JSON object", remedy=_PARAMETERS)
    return SearchRequest.from_fields(fields)


async def _read_form(request: Request) -> SearchRequest:
    from pipeline.picture import MAX_BYTES

    if int(request.headers.get("content-length") or 0) > MAX_BYTES + MAX_JSON_BYTES:
        raise PictureError(
            f"This picture is larger than {MAX_BYTES >> 20} MB",
            remedy="Crop it to the thing you look for",
        )
    async with request.form(max_files=1, max_fields=10) as form:
        upload = form.get("image")
        if upload is None or isinstance(upload, str):
            raise QueryError("The form has no picture", where="image", remedy=_PARAMETERS)
        fields = {name: value for name, value in form.items() if name != "image"}
        return SearchRequest.from_fields(fields, await upload.read(), upload.filename or "picture")


async def _limited_body(request: Request, limit: int) -> bytes:
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limit:
            raise QueryError(
                "The request is too large",
                where=f"more than {limit // 1_000_000} MB",
                remedy="Send pictures as multipart/form-data",
            )
    return bytes(body)


def _search(shelf: Shelf, name: str, wanted: SearchRequest) -> dict[str, Any]:
    from pipeline.search import search

    collection, index = shelf.collection(name), shelf.index(name)
    query, shown = _query(shelf, collection, wanted)
    result = search(
        collection,
        index,
        query,
        k=wanted.k,
        suppress=wanted.suppress,
        threshold=wanted.threshold,
    )
    return {"version": collection.version, "query": shown, **_answer(result)}


def _answer(result: Result) -> dict[str, Any]:
    return {
        "hits": [
            {**hit.to_dict(), "row": hit.row, "lon": hit.centre[0], "lat": hit.centre[1]}
            for hit in result.hits
        ],
        "eligible": result.eligible,
        "total": result.total,
        "seconds": round(result.seconds, 4),
    }


def _query(
    shelf: Shelf, collection: Collection, wanted: SearchRequest
) -> tuple[Query, dict[str, Any]]:
    """The query and how a client shows and repeats it."""
    from pipeline.search import by_chip, by_picture, by_point

    index = shelf.index(collection.name)
    if wanted.chip is not None or wanted.at is not None:
        query = (
            by_point(collection, index, *wanted.at)
            if wanted.at is not None
            else by_chip(collection, index, str(wanted.chip))
        )
        return query, _chip_shown(collection, query.chips[0])
    if wanted.image is not None:
        pixels, picture = _keep_picture(collection, wanted.image, wanted.label)
    else:
        picture = str(wanted.picture)
        pixels = _decoded(_picture_path(collection, picture).read_bytes(), picture)
    embedder = shelf.embedder(collection.name)
    return by_picture(pixels, embedder), {"kind": "picture", "picture": picture}


def _chip_shown(collection: Collection, chip: str) -> dict[str, Any]:
    table = collection.chips
    row = table.row_of(chip)
    lon, lat = table.centres[row].tolist()
    when = table.datetimes[int(table.scene[row])]
    return {"kind": "chip", "chip": chip, "row": row, "lon": lon, "lat": lat, "datetime": when}


def _keep_picture(collection: Collection, content: bytes, name: str) -> tuple[np.ndarray, str]:
    """Decode an upload and keep it as the 256-pixel query it becomes, so that a link reopens it."""
    from PIL import Image

    pixels = _decoded(content, name)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    picture = hashlib.sha256(pixels.tobytes()).hexdigest()[:16]
    path = _pictures(collection) / f"{picture}.png"
    if not path.exists():
        with replacing(path) as temporary:
            temporary.write_bytes(buffer.getvalue())
    return pixels, picture


def _decoded(content: bytes, name: str) -> np.ndarray:
    from pipeline import picture

    return picture.load(content, name=name)


def _pictures(collection: Collection) -> Path:
    return collection.path / "searches" / "pictures"


def _picture_path(collection: Collection, picture: str) -> Path:
    path = _pictures(collection) / f"{picture}.png"
    if not (picture.isalnum() and path.is_file()):
        raise NotFoundError(
            "This query picture is not kept here", where=picture[:40], remedy="Upload it again"
        )
    return path


def _text(fields: dict[str, Any], name: str) -> str | None:
    value = fields.get(name)
    if value is not None and not isinstance(value, str):
        raise QueryError(f"{name} must be text", where=value, remedy=_PARAMETERS)
    return value


def _point(value: Any) -> tuple[float, float] | None:
    if value is None:
        return None
    if isinstance(value, str):
        value = value.split(",")
    try:
        lon, lat = (float(part) for part in value)
    except (TypeError, ValueError) as error:
        raise QueryError(
            "at must be a longitude and a latitude", where=value, remedy="For instance [-122, 37.5]"
        ) from error
    return lon, lat


def _whole(value: Any) -> int:
    try:
        if isinstance(value, bool) or float(value) != int(value):
            raise ValueError
        return int(value)
    except (TypeError, ValueError, OverflowError) as error:
        raise QueryError("k must be a whole number", where=value, remedy="Ask for 10") from error


def _number(value: Any, name: str) -> float | None:
    if value is None or value == "":
        return None
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise QueryError(f"{name} must be a number", where=value, remedy="Leave it out") from error


def _flag(value: Any) -> bool:
    if isinstance(value, bool):
        return value
    if str(value).lower() in ("true", "1", "false", "0"):
        return str(value).lower() in ("true", "1")
    raise QueryError("suppress must be true or false", where=value, remedy="Leave it out")
