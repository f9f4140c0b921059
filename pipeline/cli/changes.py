"""`python -m pipeline changes`: where a thing appeared, disappeared or persists."""

from __future__ import annotations

from typing import Annotated

import typer

from pipeline.cli.search import lon_lat
from pipeline.cli.terminal import Json, Name, count, print_json, print_table
from pipeline.collection.library import Library
from pipeline.errors import QueryError
from pipeline.index.index import Index
from pipeline.search.changes import KINDS, between, compare
from pipeline.search.queries import by_chip, by_point
from pipeline.settings import settings


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(changes)


def changes(
    name: Name,
    chip: Annotated[str | None, typer.Option(help="Look for what this chip shows.")] = None,
    at: Annotated[
        str | None, typer.Option(help="Look for what is at LON,LAT.", metavar="LON,LAT")
    ] = None,
    before: Annotated[str | None, typer.Option(help="Earlier date; default the first.")] = None,
    after: Annotated[str | None, typer.Option(help="Later date; default the last.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Score from which on a chip shows the thing.")
    ] = None,
    k: Annotated[int, typer.Option(min=1, max=1000, help="Most places of each kind.")] = 10,
    geojson: Annotated[bool, typer.Option("--geojson", help="Print a FeatureCollection.")] = False,
    as_json: Json = False,
) -> None:
    """Compare two dates: where did the thing appear, disappear, persist?"""
    if (chip is None) == (at is None):
        raise QueryError("Say what to look for", remedy="Give one of --chip, --at")
    collection = Library(settings().home).open(name)
    first, last = between(collection)
    index = Index.open(collection)
    if chip is not None:
        query = by_chip(collection, index, chip)
    else:
        query = by_point(collection, index, *lon_lat(at or ""))
    found = compare(
        collection, index, query, before or first, after or last, threshold=threshold, k=k
    )
    if geojson:
        print_json(found.to_geojson())
        return
    if as_json:
        print_json(found.to_dict())
        return
    print_table(
        ["What", "Rank", "Before", "After", "Longitude", "Latitude", "Chip"],
        [
            (
                one.kind,
                str(one.rank),
                f"{one.before.score:.2f}",
                f"{one.after.score:.2f}",
                f"{one.shown.centre[0]:.5f}",
                f"{one.shown.centre[1]:.5f}",
                one.shown.id,
            )
            for kind in KINDS
            for one in getattr(found, kind)
        ],
        right=frozenset({1, 2, 3}),
    )
    typer.echo(
        f"{found.before} → {found.after}: {count(found.matched)} places compared, "
        f"{count(found.unmatched)} seen on one date only, threshold {found.threshold:.2f}."
    )
