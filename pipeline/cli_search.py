"""`python -m pipeline search`: what a search starts from and which hits it gives."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.errors import QueryError
from pipeline.settings import settings
from pipeline.terminal import Json, count, print_json, print_table

if TYPE_CHECKING:
    from pipeline.collection import Collection
    from pipeline.index import Index
    from pipeline.recipe import Recipe
    from pipeline.search import Query, Result

Name = Annotated[str, typer.Argument(help="Name of a collection.")]
Chip = Annotated[str | None, typer.Option(help="Search from this chip.")]
At = Annotated[
    str | None, typer.Option(help="Search from the chip nearest to LON,LAT.", metavar="LON,LAT")
]
Image = Annotated[Path | None, typer.Option(help="Search from a picture file.")]
Good = Annotated[
    list[str] | None, typer.Option(help="Chip that is a good example; may be given several times.")
]
Bad = Annotated[
    list[str] | None, typer.Option(help="Chip that is a bad example; may be given several times.")
]
Threshold = Annotated[float | None, typer.Option(help="Least score, -1 to 1.")]
NoSuppress = Annotated[
    bool, typer.Option("--no-suppress", help="Keep hits that overlap better ones.")
]
AnyOrientation = Annotated[
    bool, typer.Option("--any-orientation", help="Also as it looks turned or mirrored.")
]
AnyScale = Annotated[
    bool, typer.Option("--any-scale", help="Also with half and twice the ground in sight.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(search)


def search(
    name: Name,
    chip: Chip = None,
    at: At = None,
    image: Image = None,
    source: Annotated[
        str | None, typer.Option("--from", help="Collection of the chip or point, if another.")
    ] = None,
    good: Good = None,
    bad: Bad = None,
    k: Annotated[int, typer.Option(help="How many hits, 1 to 1000.")] = 10,
    threshold: Threshold = None,
    no_suppress: NoSuppress = False,
    any_orientation: AnyOrientation = False,
    any_scale: AnyScale = False,
    geojson: Annotated[bool, typer.Option("--geojson", help="Print a FeatureCollection.")] = False,
    as_json: Json = False,
) -> None:
    """Find the places that look like a chip, a point or a picture."""
    from pipeline.index import Index
    from pipeline.search import MAX_K
    from pipeline.search import search as find
    from pipeline.store import Store

    if not 1 <= k <= MAX_K:
        raise QueryError(f"k must be between 1 and {MAX_K}", where=k, remedy="Try --k 10")
    asked = recipe_of(
        chip=chip,
        at=at,
        good=good,
        bad=bad,
        image=image,
        k=k,
        threshold=threshold,
        suppress=not no_suppress,
        any_orientation=any_orientation,
        any_scale=any_scale,
    )
    store = Store(settings().home)
    collection = store.open(name)
    index = Index.open(collection)
    query = _query(asked, collection, index, store.open(source) if source else collection, image)
    result = find(collection, index, query, k=k, suppress=asked.suppress, threshold=asked.threshold)
    if geojson:
        print_json(_feature_collection(collection, result))
    elif as_json:
        print_json([hit.to_dict() for hit in result.hits])
    else:
        _hits_table(collection, query, result)


def recipe_of(*, image: Path | None, **fields: Any) -> Recipe:
    """The recipe that the options of a command ask for; only what is not None counts.

    Raises:
        QueryError: If there is not one start, or an option is out of range.
    """
    from pipeline.recipe import Recipe

    starts = sum(given is not None for given in (fields["chip"], fields["at"], image))
    if starts > 1 or not (starts or fields["good"]):
        raise QueryError("Say what to search from", remedy="Give one of --chip, --at, --image")
    if fields["at"] is not None:
        fields["at"] = _lon_lat(fields["at"])
    return Recipe.from_fields(fields, image=image is not None)


def _query(
    asked: Recipe, collection: Collection, index: Index, source: Collection, image: Path | None
) -> Query:
    """The query; its start may lie in another collection, its examples lie in the one searched."""
    from dataclasses import replace

    from pipeline import starts
    from pipeline.embedding import resnet50
    from pipeline.index import Index
    from pipeline.picture import load
    from pipeline.recipe import query_of, refined

    def start(asked: Recipe) -> Query:
        embedder = resnet50(str(collection.manifest.model["mode"]))
        if image is not None:
            return starts.picture_query(load(image), asked, embedder, label=image.name)
        return starts.query(source, origin, asked, embedder)

    origin = index if source is collection else Index.open(source)
    alone = replace(asked, good=(), bad=())
    if not (image or alone.chip or alone.at):
        return query_of(asked, collection, index, start)
    query = query_of(alone, source, origin, start)
    if not (asked.good or asked.bad):
        return query
    return refined(collection, index, query, asked.good, asked.bad)


def _lon_lat(text: str) -> tuple[float, float]:
    try:
        lon, lat = (float(number) for number in text.split(","))
    except ValueError:
        raise QueryError(
            "This is not LON,LAT", where=text, remedy="For instance --at=-122.05,37.5"
        ) from None
    return lon, lat


def _hits_table(collection: Collection, query: Query, result: Result) -> None:
    rows = [
        (str(h.rank), f"{h.score:.2f}", h.id, f"{h.centre[0]:.5f}, {h.centre[1]:.5f}",
         h.scene_id, (h.datetime or "")[:10])
        for h in result.hits
    ]  # fmt: skip
    print_table(["#", "Score", "Chip", "Lon, lat", "Scene", "Date"], rows, right=frozenset({0, 1}))
    typer.echo(
        f"{len(result.hits)} of {count(result.eligible)} eligible chips like {query.label} "
        f"in {collection.manifest.title}, {result.seconds * 1000:.0f} ms"
    )


def _feature_collection(collection: Collection, result: Result) -> dict[str, Any]:
    features = []
    for hit in result.hits:
        properties = hit.to_dict()
        geometry = properties.pop("geometry")
        features.append({"type": "Feature", "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "name": collection.name, "features": features}
