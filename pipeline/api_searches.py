"""REST: saved searches, their review, and exports."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.api import find, guarded
from pipeline.api_jobs import posted
from pipeline.errors import NotFoundError, QueryError
from pipeline.recipe import Recipe

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.searches import Reopened, Saved, Searches
    from pipeline.shelf import Shelf

KINDS = ("hits", "sites")


def routes(shelf: Shelf) -> list[Route]:
    """The routes over one shelf of collections."""

    def opened(request: Request) -> Searches:
        from pipeline.searches import Searches

        return Searches(shelf.collection(request.path_params["name"]))

    def collection(request: Request) -> Response:
        return JSONResponse([_brief(saved) for saved in opened(request).all()])

    def save(request: Request, body: dict[str, Any]) -> Response:
        searches = opened(request)
        name = _text(body, "name")
        fields = {key: value for key, value in body.items() if key != "name"}
        recipe = Recipe.from_fields(fields)
        found = find(shelf, searches.collection.name, recipe)
        saved = searches.save(name, recipe, found.result)
        return JSONResponse(_whole(searches.reopen(saved.id)), 201)

    def show(request: Request) -> Response:
        return JSONResponse(_whole(opened(request).reopen(_id(request))))

    def change(request: Request, body: dict[str, Any]) -> Response:
        searches, key = opened(request), _id(request)
        saved = searches.get(key)
        if "name" in body:
            saved = searches.rename(key, _text(body, "name"))
        if "note" in body:
            saved = searches.describe(key, _text(body, "note"))
        return JSONResponse(_brief(saved))

    def remove(request: Request) -> Response:
        opened(request).delete(_id(request))
        return Response(status_code=204)

    def mark(request: Request, body: dict[str, Any]) -> Response:
        searches, key = opened(request), _id(request)
        chip = _text(body, "chip")
        saved = searches.get(key)
        if "mark" in body:
            saved = searches.mark(key, chip, body["mark"])
        if "note" in body:
            saved = searches.note(key, chip, _text(body, "note"))
        return JSONResponse({"marks": dict(saved.marks), "notes": dict(saved.notes)})

    def precision(request: Request) -> Response:
        from pipeline.searches import precision_at

        reopened = opened(request).reopen(_id(request))
        found = precision_at(reopened.result.hits, reopened.saved.marks)
        return JSONResponse([asdict(one) for one in found])

    def picture(request: Request) -> Response:
        path = opened(request).picture(_id(request))
        if path is None:
            raise NotFoundError("This search keeps no picture", where=_id(request))
        return FileResponse(path, media_type="image/png")

    def export_saved(request: Request) -> Response:
        reopened = opened(request).reopen(_id(request))
        saved = reopened.saved
        marks = {"marks": saved.marks, "notes": saved.notes}
        collection = shelf.collection(request.path_params["name"])
        return _file(
            collection, reopened.result.hits, saved.recipe, dict(request.query_params), **marks
        )

    def export_now(request: Request, body: dict[str, Any]) -> Response:
        options: dict[str, Any] = {key: body.pop(key) for key in ("format", "what") if key in body}
        recipe = Recipe.from_fields(body)
        found = find(shelf, request.path_params["name"], recipe)
        return _file(found.collection, found.result.hits, recipe, options)

    root = "/api/collections/{name}"
    one = f"{root}/searches/{{search}}"
    return [
        Route(f"{root}/searches", guarded(collection)),
        Route(f"{root}/searches", posted(save), methods=["POST"]),
        Route(one, guarded(show)),
        Route(one, posted(change), methods=["PATCH"]),
        Route(one, guarded(remove), methods=["DELETE"]),
        Route(f"{one}/marks", posted(mark), methods=["POST"]),
        Route(f"{one}/precision", guarded(precision)),
        Route(f"{one}/picture.png", guarded(picture)),
        Route(f"{one}/export", guarded(export_saved)),
        Route(f"{root}/export", posted(export_now), methods=["POST"]),
    ]


def _file(
    collection: Any, hits: Any, recipe: Recipe, options: Mapping[str, Any], **review: Any
) -> Response:
    """An export as a download; the file is removed once it was sent."""
    from pipeline.export import FORMATS, export
    from pipeline.findings import Findings
    from pipeline.sites import merge

    made, what = str(options.get("format", "geojson")), str(options.get("what", "hits"))
    if what not in KINDS:
        raise QueryError("what must be hits or sites", where=what[:40], remedy="Leave it out")
    findings = Findings.of(
        collection,
        merge(hits) if what == "sites" else hits,
        query=recipe.label,
        recipe=recipe.to_dict(),
        parameters=recipe.parameters,
        **review,
    )
    folder = tempfile.TemporaryDirectory(prefix="lookalike-export-")
    try:
        path = export(findings, made, Path(folder.name) / f"{collection.name}-{what}")
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path,
        media_type=FORMATS[made].media_type,
        filename=path.name,
        background=BackgroundTask(folder.cleanup),
    )


def _brief(saved: Saved) -> dict[str, Any]:
    return {
        "id": saved.id,
        "name": saved.name,
        "note": saved.note,
        "created": saved.created,
        "updated": saved.updated,
        "hits": len(saved.hits),
        "reviewed": saved.reviewed,
        "query": saved.recipe.label,
        "recipe": saved.recipe.to_dict(),
    }


def _whole(reopened: Reopened) -> dict[str, Any]:
    return {
        **_brief(reopened.saved),
        "hits": [hit.to_dict() for hit in reopened.result.hits],
        "marks": dict(reopened.saved.marks),
        "notes": dict(reopened.saved.notes),
        "eligible": reopened.result.eligible,
        "total": reopened.result.total,
        "changed": reopened.changed,
        "missing": list(reopened.missing),
    }


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise QueryError(f"{name} must be text", where=str(value)[:40])
    return value


def _id(request: Request) -> str:
    return str(request.path_params["search"])
