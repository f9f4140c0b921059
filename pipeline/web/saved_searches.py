"""REST: saved searches, their review, and exports."""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.background import BackgroundTask
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.collection.names import proposed_name
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, QueryError
from pipeline.export import chip_files
from pipeline.export.findings import Findings
from pipeline.export.formats import FORMATS, export
from pipeline.search import uploads
from pipeline.search.boxes import square
from pipeline.search.recipe import Recipe
from pipeline.search.review import MARKS, precision_at, review_order
from pipeline.search.saved import Searches, compare
from pipeline.search.service import find
from pipeline.search.sites import merge
from pipeline.web.collections import chip_facts, guarded, hit_facts
from pipeline.web.jobs import posted

if TYPE_CHECKING:
    from starlette.requests import Request

    from pipeline.collection.collection import Collection
    from pipeline.search.open_collections import OpenCollections
    from pipeline.search.review import Precision
    from pipeline.search.saved import Reopened, Saved
    from pipeline.search.search import Hit
    from pipeline.search.sites import Site

log = logging.getLogger(__name__)

KINDS = ("hits", "sites")
UNMARKED = "none"


def routes(open_collections: OpenCollections) -> list[Route]:
    """The routes over the open collections."""

    def opened(request: Request) -> Searches:
        return Searches(open_collections.collection(request.path_params["name"]))

    def collection(request: Request) -> Response:
        searches = opened(request)
        return JSONResponse([_brief(searches, saved) for saved in searches.all()])

    def everywhere(request: Request) -> Response:
        return JSONResponse(everything(open_collections))

    def save(request: Request, body: dict[str, Any]) -> Response:
        searches = opened(request)
        name = _text(body, "name")
        marks = body.get("marks", {})
        if not isinstance(marks, dict):
            raise QueryError("marks are given by chip id", where=str(marks)[:40])
        fields = {key: value for key, value in body.items() if key not in ("name", "marks")}
        recipe = Recipe.from_fields(fields)
        sites = request.query_params.get("sites") == "1"
        found = find(open_collections, searches.collection.name, recipe, sites=sites)
        kept = found.repeatable
        picture = _picture(found.collection, kept)
        saved = searches.save(name, kept, found.result, picture, marks)
        return JSONResponse(_whole(searches, searches.reopen(saved.id)), 201)

    def show(request: Request) -> Response:
        searches = opened(request)
        return JSONResponse(_whole(searches, searches.reopen(_id(request))))

    def change(request: Request, body: dict[str, Any]) -> Response:
        searches, key = opened(request), _id(request)
        saved = searches.get(key)
        if "name" in body:
            saved = searches.rename(key, _text(body, "name"))
        if "note" in body:
            saved = searches.describe(key, _text(body, "note"))
        return JSONResponse(_brief(searches, saved))

    def remove(request: Request) -> Response:
        opened(request).delete(_id(request))
        return Response(status_code=204)

    def mark(request: Request, body: dict[str, Any]) -> Response:
        searches, key = opened(request), _id(request)
        chip = _text(body, "chip")
        if "mark" in body:
            searches.mark(key, chip, body["mark"])
        if "note" in body:
            searches.note(key, chip, _text(body, "note"))
        return JSONResponse(_review(searches.reopen(key)))

    def precision(request: Request) -> Response:
        return JSONResponse(_review(opened(request).reopen(_id(request)))["precision"])

    def compare(request: Request) -> Response:
        asked = request.query_params
        name = asked.get("in") or request.path_params["name"]
        other = Searches(open_collections.collection(name)).reopen(asked.get("with", ""))
        return JSONResponse(_compared(opened(request).reopen(_id(request)), other))

    def picture(request: Request) -> Response:
        path = opened(request).picture(_id(request))
        try:
            # Whole at once: somebody may delete the search while its picture is on its way.
            pixels = path.read_bytes() if path else None
        except FileNotFoundError:
            pixels = None
        if pixels is None:
            raise NotFoundError("This search keeps no picture", where=_id(request))
        return Response(pixels, media_type="image/png")

    def export_saved(request: Request) -> Response:
        reopened = opened(request).reopen(_id(request))
        saved = reopened.saved
        marks = {"marks": saved.marks, "notes": saved.notes}
        collection = open_collections.collection(request.path_params["name"])
        options = dict(request.query_params)
        hits = chosen(reopened, options.get("min"), options.get("marks"))
        found = merge(hits) if _wants_sites(options) else hits
        return _file(collection, found, saved.recipe, options, saved.name, **marks)

    def export_now(request: Request, body: dict[str, Any]) -> Response:
        options: dict[str, Any] = {key: body.pop(key) for key in ("format", "what") if key in body}
        recipe, sites = Recipe.from_fields(body), _wants_sites(options)
        found = find(open_collections, request.path_params["name"], recipe, sites=sites)
        return _file(found.collection, found.sites or found.result.hits, recipe, options)

    def all_chips(request: Request) -> Response:
        found = open_collections.collection(request.path_params["name"])
        made = request.query_params.get("format") or "png"
        folder = tempfile.TemporaryDirectory(prefix="lookalike-export-")
        path = Path(folder.name) / f"{found.name}-chips-{made[:10]}.zip"
        try:
            chip_files.archive(found, path, format=made)
        except BaseException:
            folder.cleanup()
            raise
        return FileResponse(
            path,
            media_type="application/zip",
            filename=path.name,
            background=BackgroundTask(folder.cleanup),
        )

    root = "/api/collections/{name}"
    one = f"{root}/searches/{{search}}"
    return [
        Route("/api/searches", guarded(everywhere)),
        Route(f"{root}/chips.zip", guarded(all_chips)),
        Route(f"{root}/searches", guarded(collection)),
        Route(f"{root}/searches", posted(save), methods=["POST"]),
        Route(one, guarded(show)),
        Route(one, posted(change), methods=["PATCH"]),
        Route(one, guarded(remove), methods=["DELETE"]),
        Route(f"{one}/marks", posted(mark), methods=["POST"]),
        Route(f"{one}/precision", guarded(precision)),
        Route(f"{one}/compare", guarded(compare)),
        Route(f"{one}/picture.png", guarded(picture)),
        Route(f"{one}/export", guarded(export_saved)),
        Route(f"{root}/export", posted(export_now), methods=["POST"]),
    ]


def everything(open_collections: OpenCollections) -> dict[str, Any]:
    """Every saved search of every collection, the latest first, and what could not be shown.

    Returns:
        `searches`: briefly; `refused`: collections that do not open, with the reason; `trashed`:
        deleted collections that hold saved searches, with how many.
    """
    found, refused = [], []
    for name in open_collections.library.names():
        try:
            searches = Searches(open_collections.collection(name))
            found += [_brief(searches, saved) for saved in searches.all()]
        except LookalikeError as error:
            refused.append({"collection": name, "title": error.what, "remedy": error.remedy})
    found.sort(key=lambda one: (one["created"], one["id"]), reverse=True)
    trashed = [asdict(gone) for gone in open_collections.library.trashed() if gone.searches]
    return {"searches": found, "refused": refused, "trashed": trashed}


def chosen(reopened: Reopened, least: str | None, marks: str | None) -> tuple[Hit, ...]:
    """The hits at or above a score whose mark is one of those named, ranked anew.

    Args:
        reopened: The search.
        least: Least score as text, or None for all.
        marks: "good", "bad", "skip" and "none", separated by commas, or None for all.

    Raises:
        QueryError: If either cannot be understood.
    """
    try:
        limit = float(least) if least else -math.inf
    except ValueError:
        raise QueryError("The least score is a number", where=str(least)[:40]) from None
    wanted = set(marks.split(",")) if marks else {*MARKS, UNMARKED}
    if unknown := wanted - {*MARKS, UNMARKED}:
        known = ", ".join((*MARKS, UNMARKED))
        raise QueryError("No such mark", where=min(unknown)[:40], remedy=f"Use {known}")
    kept = [
        hit
        for hit in reopened.result.hits
        if hit.score >= limit and reopened.saved.marks.get(hit.id, UNMARKED) in wanted
    ]
    return tuple(replace(hit, rank=rank) for rank, hit in enumerate(kept, 1))


def _wants_sites(options: Mapping[str, Any]) -> bool:
    what = str(options.get("what", "hits"))
    if what not in KINDS:
        raise QueryError("what must be hits or sites", where=what[:40], remedy="Leave it out")
    return what == "sites"


def _file(
    collection: Collection,
    found: Sequence[Hit] | Sequence[Site],
    recipe: Recipe,
    options: Mapping[str, Any],
    name: str = "",
    **review: Any,
) -> Response:
    """An export as a download; the file is removed once it was sent."""
    made, what = str(options.get("format", "geojson")), str(options.get("what", "hits"))
    findings = Findings.of(
        collection,
        found,
        query=f"{name} ({recipe.label})" if name else recipe.label,
        recipe=recipe.to_dict(),
        parameters=recipe.parameters,
        **review,
    )
    stem = f"{proposed_name(name) if name else collection.name}-{what}"
    folder = tempfile.TemporaryDirectory(prefix="lookalike-export-")
    try:
        path = export(findings, made, Path(folder.name) / stem)
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path,
        media_type=FORMATS[made].media_type,
        filename=path.name,
        background=BackgroundTask(folder.cleanup),
    )


def _brief(searches: Searches, saved: Saved) -> dict[str, Any]:
    return {
        "id": saved.id,
        "collection": searches.collection.name,
        "collection_title": searches.collection.manifest.title,
        "name": saved.name,
        "note": saved.note,
        "created": saved.created,
        "updated": saved.updated,
        "hits": len(saved.hits),
        "reviewed": saved.reviewed,
        "eligible": saved.eligible,
        "total": saved.total,
        "query": saved.query,
        "recipe": saved.recipe.to_dict(),
        "parameters": saved.recipe.parameters,
        "picture": searches.picture(saved.id) is not None,
    }


def _whole(searches: Searches, reopened: Reopened) -> dict[str, Any]:
    return {
        **_brief(searches, reopened.saved),
        "version": searches.collection.version,
        "hits": [hit_facts(hit) for hit in reopened.result.hits],
        "changed": reopened.changed,
        "missing": list(reopened.missing),
        "start": _start(searches.collection, reopened.saved.recipe),
        "examples": _examples(searches.collection, reopened.saved.recipe),
        **_review(reopened),
    }


def _start(collection: Collection, recipe: Recipe) -> dict[str, Any]:
    """What the search started from, as a search answers it, without running it again.

    Of a chip or imagery that is gone only the name is left.
    """
    if recipe.picture:
        return {"kind": "picture", "picture": recipe.picture}
    try:
        if recipe.box:
            start = {"kind": "box", "box": list(recipe.box)}
            return {**start, "corners": square(collection, recipe.box).tolist()}
        if recipe.chip:
            start = {"kind": "chip", "chip": recipe.chip}
            facts = chip_facts(collection, collection.chips.row_of(recipe.chip))
            return {**start, **{key: facts[key] for key in facts if key != "id"}}
    except (DamagedError, NotFoundError, QueryError):
        return start
    return {"kind": "examples", "good": list(recipe.good), "bad": list(recipe.bad)}


def _examples(collection: Collection, recipe: Recipe) -> list[dict[str, Any]]:
    """The examples that are still in the collection."""
    table, found = collection.chips, []
    for chip in (*recipe.good, *recipe.bad):
        try:
            found.append(chip_facts(collection, table.row_of(chip)))
        except NotFoundError:
            continue
    return found


def _review(reopened: Reopened) -> dict[str, Any]:
    """Marks, notes, and the precision they let one expect at each threshold."""
    saved, hits = reopened.saved, reopened.result.hits
    found = precision_at(hits, saved.marks)
    return {
        "marks": dict(saved.marks),
        "notes": dict(saved.notes),
        "order": review_order(len(hits)),
        "precision": [_plain(one) for one in found],
    }


def _plain(precision: Precision) -> dict[str, Any]:
    return {**asdict(precision), "threshold": round(precision.threshold, 6)}


def _compared(first: Reopened, second: Reopened) -> dict[str, Any]:
    found = compare(first.result.hits, second.result.hits)
    return {
        "agreement": found.agreement,
        "both": [[hit_facts(one), hit_facts(other)] for one, other in found.both],
        "first": [hit_facts(hit) for hit in found.first],
        "second": [hit_facts(hit) for hit in found.second],
    }


def _picture(collection: Collection, recipe: Recipe) -> bytes | None:
    """What was looked for; a search is kept without it where the imagery is gone."""
    try:
        return uploads.query_png(collection, recipe)
    except (DamagedError, NotFoundError) as error:
        log.warning("a search is saved without its picture: %s", error)
        return None


def _text(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise QueryError(f"{name} must be text", where=str(value)[:40])
    return value


def _id(request: Request) -> str:
    return str(request.path_params["search"])
