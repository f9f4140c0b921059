"""`python -m pipeline search`, and the search options of every command that has them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.terminal import (
    GeoJson,
    Json,
    Name,
    area_of_text,
    check_filled,
    count,
    library,
    plural,
    print_json,
    print_note,
    print_table,
)
from pipeline.errors import QueryError
from pipeline.search import parameters as kinds
from pipeline.search.chance import in_words
from pipeline.search.open_collections import OpenCollections
from pipeline.search.picture import bytes_of
from pipeline.search.recipe import COUNT, PARAMETERS, STARTS, Recipe
from pipeline.search.service import Outcome, Upload, find

if TYPE_CHECKING:
    from pipeline.search.parameters import Parameter
    from pipeline.search.search import Hit
    from pipeline.search.sites import Site

Sites = Annotated[
    bool,
    typer.Option("--sites", help="Merge overlapping hits into sites; --k then counts sites."),
]
Image = Annotated[Path | None, typer.Option(help="Search from this image file.")]


@dataclass(frozen=True)
class SearchOptions:
    """Values of the search options of a command.

    Attributes:
        fields: Values of search parameters, as a JSON body has them.
        image: An image file to start from, or None.
    """

    fields: Mapping[str, Any]
    image: Path | None = None

    @property
    def starts(self) -> int:
        """How many starts they name, good examples not counted."""
        named = [name for name in STARTS if name != "good" and name in self.fields]
        return len(named) + (self.image is not None)

    @property
    def threshold(self) -> float | None:
        """The minimum score, or None.

        Raises:
            QueryError: If it is out of range.
        """
        value = self.fields.get("threshold")
        return None if value is None else PARAMETERS["threshold"].read(value)

    def recipe(self, purpose: str = "search from") -> Recipe:
        """The recipe of the options.

        Args:
            purpose: Verb of the message that asks for a start, such as "export".

        Raises:
            QueryError: If there is not exactly one start, or an option is out of range.
        """
        if self.starts > 1 or not (self.starts or "good" in self.fields):
            raise QueryError(
                f"Say what to {purpose}",
                remedy="Give one of --chip, --at, --box, --picture, --image, or --good",
            )
        recipe = Recipe.from_fields(self.fields, image=self.image is not None)
        COUNT.check("k", recipe.k)
        return recipe

    def upload(self, *, keep: bool) -> Upload | None:
        """The image file, read.

        Args:
            keep: Whether it is kept with the collection that is searched.

        Raises:
            PictureError: If it cannot be read.
        """
        return Upload(bytes_of(self.image), self.image.name, keep) if self.image else None


def with_search_options(
    *, without: Collection[str] = (), help: Mapping[str, str] | None = None, **defaults: Any
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Decorator that replaces a command's parameter `options` by one option per search parameter.

    Args:
        without: Search parameters that the command does not take.
        help: Help, by parameter, where it differs from that of `pipeline.search.recipe`.
        defaults: Defaults that differ from those of `pipeline.search.recipe`.
    """
    generated = [
        _option(replace(parameter, help=(help or {}).get(name, parameter.help)), defaults)
        for name, parameter in PARAMETERS.items()
        if name not in without
    ]
    generated.insert(len(STARTS) - 1, _keyword("image", Image, None))

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True).parameters.values()
        signature = inspect.Signature(
            [
                option
                for parameter in own
                for option in (
                    generated
                    if parameter.name == "options"
                    else [parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)]
                )
            ]
        )

        @wraps(command)
        def called(**given: Any) -> None:
            options = {option.name: given.pop(option.name) for option in generated}
            command(options=_search_options(options), **given)

        # What Typer reads; mypy does not know that a function may have a signature of its own.
        called.__annotations__ = {p.name: p.annotation for p in signature.parameters.values()}
        called.__signature__ = signature  # type: ignore[attr-defined]
        return called

    return decorate


def _option(parameter: Parameter, defaults: Mapping[str, Any]) -> inspect.Parameter:
    """The option of a search parameter."""
    kind, name, help = parameter.kind, parameter.name, parameter.help
    default = defaults.get(name, parameter.default)
    metavar: str | None = None
    type_: Any = str | None
    if isinstance(kind, kinds.Flag):
        type_ = bool
        if default:
            name, help, default = f"no_{name}", kind.off, False
    elif isinstance(kind, kinds.Whole):
        type_ = int
    elif isinstance(kind, kinds.Number):
        type_ = float | None
    elif isinstance(kind, kinds.Ids):
        type_, default = list[str] | None, None
        metavar, help = "ID", f"{help} Separate ids by commas, or repeat the option."
    elif isinstance(kind, kinds.Degrees):
        metavar = ",".join(kind.names).upper()
    elif isinstance(kind, kinds.Day):
        metavar = "DATE"
    elif isinstance(kind, kinds.Polygon):
        metavar, help = "FILE|WKT|GEOJSON", f"{help} A file, WKT or GeoJSON."
    flag = "--" + name.replace("_", "-")
    return _keyword(name, Annotated[type_, typer.Option(flag, help=help, metavar=metavar)], default)


def _keyword(name: str, annotation: Any, default: Any) -> inspect.Parameter:
    kind = inspect.Parameter.KEYWORD_ONLY
    return inspect.Parameter(name, kind, default=default, annotation=annotation)


def _search_options(given: Mapping[str, Any]) -> SearchOptions:
    """Options as fields of a JSON body, those that are not given left out."""
    fields: dict[str, Any] = {}
    for name, parameter in PARAMETERS.items():
        value = given.get(name)
        check_filled(name, value)
        if given.get(f"no_{name}"):
            fields[name] = False
        elif isinstance(parameter.kind, kinds.Ids) and value:
            fields[name] = ",".join(value)
        elif isinstance(parameter.kind, kinds.Polygon) and value:
            fields[name] = area_of_text(value).to_geojson()["geometry"]
        elif not (value is None or value is False or value == []):  # 0 is a value
            fields[name] = value
    return SearchOptions(fields, given["image"])


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(search)


@with_search_options()
def search(
    name: Name,
    options: SearchOptions,
    source: Annotated[
        str | None,
        typer.Option(
            "--from", help="Collection that holds the chip, point or box, if not this one."
        ),
    ] = None,
    sites: Sites = False,
    geojson: GeoJson = False,
    as_json: Json = False,
) -> None:
    """Find the places that look like a chip, a point, a box or a picture."""
    outcome = find(
        OpenCollections(library()),
        name,
        options.recipe(),
        options.upload(keep=False),
        sites=sites,
        origin=source,
    )
    print_notes(outcome)
    results: tuple[Hit, ...] | tuple[Site, ...] = outcome.sites if sites else outcome.result.hits
    if geojson:
        print_json(_feature_collection(name, [each.to_dict() for each in results]))
    elif as_json:
        print_json([each.to_dict() for each in results])
    elif sites:
        _print_sites(outcome)
    else:
        _print_hits(outcome)


def print_notes(outcome: Outcome) -> None:
    """Print what is to be known of a search: its ranking, and the marks it went without."""
    for note in outcome.notes:
        print_note(f"{note}.")
    if outcome.gone:
        chips, be = plural(len(outcome.gone), "marked chip"), "are" if outcome.gone[1:] else "is"
        print_note(
            f"{chips} {be} no longer in {outcome.collection.manifest.title}: "
            f"{', '.join(outcome.gone[:5])}{', …' if outcome.gone[5:] else ''}."
        )


def _print_hits(outcome: Outcome) -> None:
    print_table(
        ["#", "Score", "By chance", "Chip", "Lon, lat", "Scene", "Date"],
        [_cells(hit, hit) for hit in outcome.result.hits],
        right=frozenset({0, 1, 2}),
    )
    typer.echo(f"{len(outcome.result.hits)} of {_summary(outcome)}")


def _print_sites(outcome: Outcome) -> None:
    rows = [(*_cells(site, site.best), str(site.count)) for site in outcome.sites]
    print_table(
        ["#", "Score", "By chance", "Best chip", "Lon, lat", "Scene", "Date", "Hits"],
        rows,
        right=frozenset({0, 1, 2, 7}),
    )
    hits = len(outcome.result.hits)
    typer.echo(f"{plural(len(outcome.sites), 'site')}, made up of {hits} of {_summary(outcome)}")


def _cells(found: Hit | Site, hit: Hit) -> tuple[str, ...]:
    return (
        str(found.rank),
        f"{found.score:.2f}",
        in_words(found.by_chance),
        hit.id,
        f"{found.centre[0]:.5f}, {found.centre[1]:.5f}",
        hit.scene_id,
        (hit.datetime or "")[:10],
    )


def _summary(outcome: Outcome) -> str:
    result = outcome.result
    return (
        f"{count(result.eligible)} eligible chips like {outcome.query.label} "
        f"in {outcome.collection.manifest.title}, {result.seconds * 1000:.0f} ms"
    )


def _feature_collection(name: str, results: list[dict[str, Any]]) -> dict[str, Any]:
    features = [
        {"type": "Feature", "geometry": properties.pop("geometry"), "properties": properties}
        for properties in results
    ]
    return {"type": "FeatureCollection", "name": name, "features": features}
