"""`python -m pipeline export|searches`: hits or sites as files, and the searches that are saved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.search import SearchOptions, Sites, print_notes, with_search_options
from pipeline.cli.terminal import Json, Name, library, print_json, print_table, progress
from pipeline.errors import QueryError
from pipeline.export.findings import Findings
from pipeline.export.formats import OBJECT_FORMATS, by_suffix
from pipeline.export.formats import export as write
from pipeline.export.object_findings import saved_findings
from pipeline.files import check_writable
from pipeline.objects.saved import ObjectSearches, SavedObjects, chosen, present
from pipeline.search.open_collections import OpenCollections
from pipeline.search.saved import Saved, Searches
from pipeline.search.service import find
from pipeline.search.sites import merge

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

#: Parameters of `export` that a saved search leaves open.
_BESIDE_SAVED = {"name", "to", "saved", "sites", "threshold"}


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(export)
    app.command()(searches)


@with_search_options(k=100)
def export(
    context: typer.Context,
    name: Name,
    to: Annotated[Path, typer.Option(help="File to write; its suffix chooses the format.")],
    options: SearchOptions,
    saved: Annotated[
        str | None, typer.Option(help="Export this saved search, by id, instead of searching.")
    ] = None,
    sites: Sites = False,
) -> None:
    """Write the hits of a search as a file for a GIS, a spreadsheet or a browser."""
    check_writable(to)
    open_collections = OpenCollections(library())
    if saved and ObjectSearches(open_collections.collection(name)).holds(saved):
        _check_alone(context, options)
        _export_objects(open_collections, name, saved, to, options.threshold)
        return
    format = by_suffix(to)
    if saved is None:
        recipe = options.recipe("export")
        outcome = find(open_collections, name, recipe, options.upload(keep=True), sites=sites)
        print_notes(outcome)
        findings = Findings.of(
            outcome.collection,
            outcome.sites if sites else outcome.result.hits,
            outcome.recipe,
        )
    else:
        _check_alone(context, options)
        findings = _saved(open_collections.collection(name), saved, sites, options.threshold)
    with progress() as report:
        write(findings, format.name, to, report)
    typer.echo(f"Wrote {len(findings.items)} {'sites' if sites else 'hits'} to {to}")


def _export_objects(
    open_collections: OpenCollections, name: str, saved: str, to: Path, threshold: float | None
) -> None:
    """Write the objects of a saved search; those marked good at any score."""
    format = by_suffix(to, OBJECT_FORMATS)
    collection = open_collections.collection(name)
    searches = ObjectSearches(collection)
    search, estimate = searches.get(saved), searches.checked(saved).record(threshold)
    collections, objects, _ = present(open_collections, collection, search)
    findings = saved_findings(collections, chosen(objects, threshold), search, estimate=estimate)
    with progress() as report:
        write(findings, format.name, to, report)
    typer.echo(f"Wrote {len(findings.items)} objects to {to}")


def searches(name: Name, as_json: Json = False) -> None:
    """List the saved searches of a collection, the latest first."""
    collection = library().open(name)
    found: list[tuple[str, Saved | SavedObjects, int, str]] = [
        ("place", saved, len(saved.hits), saved.query) for saved in Searches(collection).all()
    ]
    found += [
        ("object", saved, len(saved.objects), saved.query)
        for saved in ObjectSearches(collection).all()
    ]
    found.sort(key=lambda each: (each[1].created, each[1].id), reverse=True)
    rows = [
        {
            "id": saved.id,
            "name": saved.name,
            "kind": kind,
            "created": saved.created,
            "hits": hits,
            "reviewed": saved.reviewed,
            "query": query,
        }
        for kind, saved, hits, query in found
    ]
    if as_json:
        print_json(rows)
        return
    keys = ["id", "name", "kind", "created", "hits", "reviewed", "query"]
    print_table(
        [key.capitalize() for key in keys], [tuple(str(row[key]) for key in keys) for row in rows]
    )


def _check_alone(context: typer.Context, options: SearchOptions) -> None:
    """Refuse options that would start or change a search beside one that was saved."""
    if options.starts:
        raise QueryError("Say what to export", remedy="Give --saved or a start, not both")
    sources = {name: context.get_parameter_source(name) for name in context.params}
    given = {name for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    if others := sorted(given - _BESIDE_SAVED):
        raise QueryError(
            "A saved search is exported as it was saved",
            where=", ".join("--" + name.replace("_", "-") for name in others),
            remedy="Leave these options out, or search again with them",
        )


def _saved(collection: Collection, search: str, sites: bool, threshold: float | None) -> Findings:
    searches = Searches(collection)
    reopened = searches.reopen(search)
    saved, hits = reopened.saved, reopened.chosen(threshold)
    results = merge(hits) if sites else hits
    return Findings.of(
        collection,
        results,
        saved.recipe,
        name=saved.name,
        marks=saved.labels,
        notes=saved.notes,
        estimate=searches.checked(search).record(threshold),
    )
