"""`python -m pipeline changes`: where something appeared, disappeared or persists."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.search import SearchOptions, with_search_options
from pipeline.cli.terminal import (
    GeoJson,
    Json,
    Name,
    count,
    library,
    plural,
    print_json,
    print_table,
)
from pipeline.search.chance import in_words
from pipeline.search.changes import KINDS
from pipeline.search.filters import FILTERS
from pipeline.search.open_collections import OpenCollections
from pipeline.search.service import find_changes

if TYPE_CHECKING:
    from pipeline.search.changes import Changes


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(changes)


@with_search_options(
    without=(*FILTERS, "suppress", "keep"),
    help={
        "threshold": "Minimum score at which a chip counts as a match.",
        "k": "Maximum number of places of each kind.",
    },
)
def changes(
    name: Name,
    options: SearchOptions,
    before: Annotated[
        str | None, typer.Option(help="Earlier date; by default the first.", metavar="DATE")
    ] = None,
    after: Annotated[
        str | None, typer.Option(help="Later date; by default the last.", metavar="DATE")
    ] = None,
    geojson: GeoJson = False,
    as_json: Json = False,
) -> None:
    """Compare two dates: where did something appear, disappear or persist?"""
    result = find_changes(
        OpenCollections(library()),
        name,
        options.recipe("look for"),
        options.upload(keep=False),
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
        ["Change", "Rank", "Before", "After", "By chance", "Longitude", "Latitude", "Chip"],
        [
            (
                change.kind,
                str(change.rank),
                f"{change.before.score:.2f}",
                f"{change.after.score:.2f}",
                in_words(change.shown.by_chance),
                f"{change.shown.centre[0]:.5f}",
                f"{change.shown.centre[1]:.5f}",
                change.shown.id,
            )
            for kind in KINDS
            for change in getattr(result, kind)
        ],
        right=frozenset({1, 2, 3, 4}),
    )
    typer.echo(
        f"{result.before} → {result.after}: {plural(result.matched, 'place')} compared, "
        f"{count(result.unmatched)} covered on one date only, threshold {result.threshold:.2f}."
    )
