"""`python -m pipeline changes`: where something appeared, disappeared or persists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.search import Asked, with_search_options
from pipeline.cli.terminal import GeoJson, Json, Name, count, library, print_json, print_table
from pipeline.search.changes import KINDS
from pipeline.search.filters import FILTERS
from pipeline.search.open_collections import OpenCollections
from pipeline.search.service import find_changes

if TYPE_CHECKING:
    from pipeline.search.changes import Changes


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(changes)


@with_search_options(without=(*FILTERS, "suppress", "threshold", "k"))
def changes(
    name: Name,
    asked: Asked,
    before: Annotated[
        str | None, typer.Option(help="Earlier date; by default the first.", metavar="DATE")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Later date; by default the last.", metavar="DATE")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Minimum score of a chip that shows the object.")
    ] = None,
    k: Annotated[
        int, typer.Option(min=1, max=1000, help="Maximum number of places of each kind.")
    ] = 10,
    geojson: GeoJson = False,
    as_json: Json = False,
) -> None:
    """Compare two dates: where did something appear, disappear or persist?"""
    result = find_changes(
        OpenCollections(library()),
        name,
        asked.recipe("look for", threshold=threshold, k=k),
        asked.upload(keep=False),
        before=before,
        after=after,
    ).changes
    if geojson:
        print_json(result.to_geojson())
    elif as_json:
        print_json(result.to_dict())
    else:
        _print(result)


def _print(result: Changes) -> None:
    print_table(
        ["Change", "Rank", "Before", "After", "Longitude", "Latitude", "Chip"],
        [
            (
                change.kind,
                str(change.rank),
                f"{change.before.score:.2f}",
                f"{change.after.score:.2f}",
                f"{change.shown.centre[0]:.5f}",
                f"{change.shown.centre[1]:.5f}",
                change.shown.id,
            )
            for kind in KINDS
            for change in getattr(result, kind)
        ],
        right=frozenset({1, 2, 3}),
    )
    typer.echo(
        f"{result.before} → {result.after}: {count(result.matched)} places compared, "
        f"{count(result.unmatched)} covered on one date only, threshold {result.threshold:.2f}."
    )
