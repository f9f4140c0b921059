"""`python -m pipeline export …`: findings as files, and the searches that are saved."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.search import Asked, with_options
from pipeline.cli.terminal import Json, Name, print_json, print_table, progress
from pipeline.collection.library import Library
from pipeline.errors import QueryError
from pipeline.export.findings import Findings
from pipeline.export.formats import FORMATS
from pipeline.export.formats import export as write
from pipeline.search.open_collections import OpenCollections
from pipeline.search.saved import Searches
from pipeline.search.service import Upload, find
from pipeline.search.sites import merge
from pipeline.settings import settings


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(export)
    app.command()(searches)


@with_options
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="File to write; its suffix says the format.")],
    asked: Asked,
    saved: Annotated[str | None, typer.Option(help="Id of a saved search instead.")] = None,
    k: Annotated[int, typer.Option(help="How many hits, or sites, 1 to 1000.")] = 100,
    sites: Annotated[
        bool, typer.Option("--sites", help="Merge overlapping hits into places; --k counts those.")
    ] = False,
) -> None:
    """Write what a search finds, or found, as a file for a GIS, a spreadsheet or a browser."""
    made = next((one for one in FORMATS.values() if to.name.endswith(one.suffix)), None)
    if made is None:
        known = ", ".join(one.suffix for one in FORMATS.values())
        raise QueryError("No format has this suffix", where=to.name, remedy=f"Use one of {known}")
    starts = asked.starts + (saved is not None)
    if starts > 1 or not (starts or asked.good):
        raise QueryError("Say what to export", remedy="Give one of --chip, --at, --image, --saved")
    open_collections = OpenCollections(Library(settings().home))
    collection = open_collections.collection(name)
    marks: dict[str, str] = {}
    notes: dict[str, str] = {}
    if saved is not None:
        reopened = Searches(collection).reopen(saved)
        recipe, hits = reopened.saved.recipe, reopened.result.hits
        places = merge(hits) if sites else ()
        marks, notes = dict(reopened.saved.marks), dict(reopened.saved.notes)
    else:
        image = asked.image
        upload = Upload(image.read_bytes(), image.name) if image else None
        found = find(open_collections, name, asked.recipe(k), upload, sites=sites)
        recipe, hits, places = found.recipe, found.result.hits, found.sites
    findings = Findings.of(
        collection,
        places if sites else hits,
        query=recipe.label,
        recipe=recipe.to_dict(),
        parameters=recipe.parameters,
        marks=marks,
        notes=notes,
    )
    with progress() as report:
        write(findings, made.name, to, report)
    typer.echo(f"Wrote {len(findings.items)} {'sites' if sites else 'hits'} to {to}")


def searches(name: Name, as_json: Json = False) -> None:
    """List the saved searches of a collection."""
    found = Searches(Library(settings().home).open(name)).all()
    rows = [
        {
            "id": one.id,
            "name": one.name,
            "created": one.created,
            "hits": len(one.hits),
            "reviewed": one.reviewed,
            "query": one.query,
        }
        for one in found
    ]
    if as_json:
        print_json(rows)
        return
    keys = ["id", "name", "created", "hits", "reviewed", "query"]
    print_table(keys, [tuple(str(row[key]) for key in keys) for row in rows])
