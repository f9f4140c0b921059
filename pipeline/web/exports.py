"""Exports over REST: searches and chips as files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BeforeValidator, Field, FiniteFloat
from starlette.background import BackgroundTask
from starlette.responses import FileResponse

from pipeline.collection.names import proposed_name
from pipeline.export import chip_files
from pipeline.export.findings import Findings
from pipeline.export.formats import FORMATS, export, format_named, formats_of
from pipeline.search.service import find
from pipeline.search.sites import merge
from pipeline.web.bodies import RecipeBody, read, request_body
from pipeline.web.dependencies import Name, Opened, Served
from pipeline.web.responses import file
from pipeline.web.saved_searches import OpenedSearches, SearchId

router = APIRouter(prefix="/api/collections/{name}", tags=["Exports"])

_EXPORTED = file(*(made.media_type for made in FORMATS.values()))

What = Literal["hits", "sites"]
Format = Annotated[
    str, Field(description="File format.", json_schema_extra={"enum": list(FORMATS)})
]
PictureFormat = Annotated[
    str,
    Query(description="Picture format.", json_schema_extra={"enum": list(chip_files.FORMATS)}),
]
#: An empty parameter counts as left out.
Minimum = Annotated[
    FiniteFloat | None,
    BeforeValidator(lambda text: text or None),
    Query(alias="min", description="Minimum score."),
]


class ExportBody(RecipeBody):
    """A search to run and export."""

    format: Format = "geojson"
    what: What = Field(default="hits", description="Hits, or the sites that they make up.")


@router.post(
    "/export", summary="Search and export", openapi_extra=request_body(ExportBody), **_EXPORTED
)
def search_and_export(
    served: Served, name: Name, body: Annotated[ExportBody, Depends(read(ExportBody))]
) -> FileResponse:
    """Run a search and get the result as a file. For sites, k counts sites."""
    recipe, sites = body.recipe(), body.what == "sites"
    outcome = find(served.open_collections, name, recipe, sites=sites)
    results = outcome.sites if sites else outcome.result.hits
    return _export(Findings.of(outcome.collection, results, recipe), body.format, body.what)


@router.get("/searches/{search}/export", summary="Export a saved search", **_EXPORTED)
def export_search(
    searches: OpenedSearches,
    search: SearchId,
    format: Format = "geojson",
    what: What = "hits",
    least: Minimum = None,
    marks: Annotated[
        str, Query(description="good, bad, skip and none, separated by commas; all if left out.")
    ] = "",
) -> FileResponse:
    """The hits at or above a score, with certain marks, as a file."""
    reopened = searches.reopen(search)
    saved = reopened.saved
    hits = reopened.chosen(least, marks.split(",") if marks else None)
    findings = Findings.of(
        searches.collection,
        merge(hits) if what == "sites" else hits,
        saved.recipe,
        name=saved.name,
        marks=saved.labels,
        notes=saved.notes,
        estimate=searches.checked(search).record(least),
    )
    return _export(findings, format, what, saved.name)


@router.get("/chips.zip", summary="Download all chips", **file("application/zip"))
def download_chips(collection: Opened, format: PictureFormat = "png") -> FileResponse:
    """Every chip as a file, with world files and a manifest."""
    made = format or "png"

    def write(folder: Path) -> Path:
        path = folder / f"{collection.name}-chips-{made[:10]}.zip"
        chip_files.archive(collection, path, format=made)
        return path

    return download(write, "application/zip")


def _export(findings: Findings, format: str, what: What, name: str = "") -> FileResponse:
    stem = f"{proposed_name(name) if name else findings.provenance.collection}-{what}"
    media_type = format_named(format, formats_of(findings)).media_type
    return download(lambda folder: export(findings, format, folder / stem), media_type)


def download(write: Callable[[Path], Path], media_type: str) -> FileResponse:
    """A file that is removed once it was sent.

    Args:
        write: Writes it below a folder and returns its path.
        media_type: Its media type.
    """
    folder = tempfile.TemporaryDirectory(prefix="lookalike-export-")
    try:
        path = write(Path(folder.name))
    except BaseException:
        folder.cleanup()
        raise
    return FileResponse(
        path,
        media_type=media_type,
        filename=path.name,
        background=BackgroundTask(folder.cleanup),
    )
