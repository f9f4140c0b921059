"""`python -m pipeline search`: what a search starts from and which hits it gives."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.terminal import Json, Name, count, print_json, print_table
from pipeline.collection.library import Library
from pipeline.errors import QueryError
from pipeline.index.index import Index
from pipeline.model import loader
from pipeline.search import queries
from pipeline.search.picture import load
from pipeline.search.queries import query_of, refined
from pipeline.search.recipe import MAX_K, Recipe
from pipeline.search.search import search as find
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.search.queries import Query
    from pipeline.search.search import Result


@dataclass(frozen=True)
class Asked:
    """What to search from and how, each field an option; their help is their description."""

    chip: Annotated[str | None, typer.Option(help="Search from this chip.")] = None
    at: Annotated[
        str | None, typer.Option(help="Search from the chip nearest to LON,LAT.", metavar="LON,LAT")
    ] = None
    image: Annotated[Path | None, typer.Option(help="Search from a picture file.")] = None
    good: Annotated[
        list[str] | None,
        typer.Option(help="Chip that is a good example; may be given several times."),
    ] = None
    bad: Annotated[
        list[str] | None,
        typer.Option(help="Chip that is a bad example; may be given several times."),
    ] = None
    threshold: Annotated[float | None, typer.Option(help="Least score, -1 to 1.")] = None
    no_suppress: Annotated[
        bool, typer.Option("--no-suppress", help="Keep hits that overlap better ones.")
    ] = False
    any_orientation: Annotated[
        bool, typer.Option("--any-orientation", help="Also as it looks turned or mirrored.")
    ] = False
    any_scale: Annotated[
        bool, typer.Option("--any-scale", help="Also with half and twice the ground in sight.")
    ] = False

    @property
    def starts(self) -> int:
        """How many things it starts from, examples aside."""
        return sum(given is not None for given in (self.chip, self.at, self.image))

    def recipe(self, k: int) -> Recipe:
        """The recipe that they ask for.

        Raises:
            QueryError: If there is not one start, or an option is out of range.
        """
        if self.starts > 1 or not (self.starts or self.good):
            raise QueryError("Say what to search from", remedy="Give one of --chip, --at, --image")
        fields = {
            "chip": self.chip,
            "at": lon_lat(self.at) if self.at is not None else None,
            "good": self.good,
            "bad": self.bad,
            "k": k,
            "threshold": self.threshold,
            "suppress": not self.no_suppress,
            "any_orientation": self.any_orientation,
            "any_scale": self.any_scale,
        }
        return Recipe.from_fields(fields, image=self.image is not None)


def with_options(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of `Asked` in the place of its parameter `asked`."""
    options = inspect.signature(Asked, eval_str=True).parameters
    parameters: list[inspect.Parameter] = []
    for own in inspect.signature(command, eval_str=True).parameters.values():
        parameters += options.values() if own.name == "asked" else [own]

    @wraps(command)
    def called(**given: Any) -> None:
        asked = Asked(**{name: given.pop(name) for name in options})
        command(asked=asked, **given)

    # What Typer reads; mypy does not know that a function may have a signature of its own.
    called.__annotations__ = {one.name: one.annotation for one in parameters}
    named = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for one in parameters]
    called.__signature__ = inspect.Signature(named)  # type: ignore[attr-defined]
    return called


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(search)


@with_options
def search(
    name: Name,
    asked: Asked,
    source: Annotated[
        str | None, typer.Option("--from", help="Collection of the chip or point, if another.")
    ] = None,
    k: Annotated[int, typer.Option(help="How many hits, 1 to 1000.")] = 10,
    geojson: Annotated[bool, typer.Option("--geojson", help="Print a FeatureCollection.")] = False,
    as_json: Json = False,
) -> None:
    """Find the places that look like a chip, a point or a picture."""
    if not 1 <= k <= MAX_K:
        raise QueryError(f"k must be between 1 and {MAX_K}", where=k, remedy="Try --k 10")
    recipe = asked.recipe(k)
    library = Library(settings().home)
    collection = library.open(name)
    index = Index.open(collection)
    start = library.open(source) if source else collection
    query = _query(recipe, collection, index, start, asked.image)
    result = find(
        collection, index, query, k=k, suppress=recipe.suppress, threshold=recipe.threshold
    )
    if geojson:
        print_json(_feature_collection(collection, result))
    elif as_json:
        print_json([hit.to_dict() for hit in result.hits])
    else:
        _hits_table(collection, query, result)


def _query(
    recipe: Recipe, collection: Collection, index: Index, source: Collection, image: Path | None
) -> Query:
    """The query; its start may lie in another collection, its examples lie in the one searched."""
    from dataclasses import replace

    def start(recipe: Recipe) -> Query:
        embedder = loader.resnet50(collection.manifest.model.mode)
        if image is not None:
            return queries.picture_query(load(image), recipe, embedder, label=image.name)
        return queries.query(source, origin, recipe, embedder)

    origin = index if source is collection else Index.open(source)
    alone = replace(recipe, good=(), bad=())
    if not (image or alone.chip or alone.at):
        return query_of(recipe, collection, index, start)
    query = query_of(alone, source, origin, start)
    if not (recipe.good or recipe.bad):
        return query
    return refined(collection, index, query, recipe.good, recipe.bad)


def lon_lat(text: str) -> tuple[float, float]:
    """The point that an option names.

    Raises:
        QueryError: If it is none.
    """
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
