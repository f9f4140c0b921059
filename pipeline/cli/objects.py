"""`python -m pipeline objects`: everything that looks like an object."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.cli.jobs import submit
from pipeline.cli.search import SearchOptions, with_search_options
from pipeline.cli.terminal import (
    Json,
    check_filled,
    checked_number,
    count,
    library,
    print_json,
    print_sentence,
    print_table,
    progress,
)
from pipeline.errors import QueryError
from pipeline.export.findings import Provenance
from pipeline.export.formats import OBJECT_FORMATS, Format, by_suffix
from pipeline.export.formats import export as write
from pipeline.export.object_findings import check_geometry, outcome_findings
from pipeline.export.score_map import ScoreMap, check_target, write_score_maps
from pipeline.files import check_writable
from pipeline.jobs.object_search import ObjectSearchRequest
from pipeline.objects.detectors import Detectors
from pipeline.objects.labels import check_examples, read_labels
from pipeline.objects.recipe import GOOD_STAY, ObjectRecipe
from pipeline.objects.scan import WINDOW
from pipeline.objects.service import ObjectOutcome, ask_objects, find_objects, maps_of
from pipeline.search.chance import in_words
from pipeline.search.filters import FILTERS
from pipeline.search.open_collections import OpenCollections
from pipeline.search.picture import load
from pipeline.search.recipe import BOX, PARAMETERS, POINT

if TYPE_CHECKING:
    from pipeline.progress import OnProgress

#: First words of the command that name what it does instead of a collection.
FIND, ASK = "find", "ask"
#: Rows of the table; a file has all.
SHOWN = 20

Background = Annotated[
    bool, typer.Option("--background", help="Queue the search as a job and return at once.")
]


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(objects)


@with_search_options(
    without=[name for name in PARAMETERS if name not in {"k", "threshold", *FILTERS}],
    help={
        "k": f"Maximum number of objects. {GOOD_STAY}",
        "threshold": f"Minimum score, 0 to 1. {GOOD_STAY}",
        "max_nodata": "Maximum share without data, in percent, of the chip around an object.",
        "min_sharpness": "Minimum sharpness of the chip around an object.",
        "within": "Polygon that must contain the centre of an object, EPSG:4326.",
        "away": "Minimum distance from the examples, in metres.",
    },
    k=1_000,
)
def objects(
    names: Annotated[
        list[str],
        typer.Argument(metavar="NAME…", help="Collections to search, ranked together."),
    ],
    options: SearchOptions,
    at: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LON,LAT",
            help="Search from the object at this place. Repeat the option for further ones.",
        ),
    ] = None,
    box: Annotated[
        list[str] | None,
        typer.Option(
            metavar="WEST,SOUTH,EAST,NORTH",
            help="Search from the object in this box. Repeat the option for further ones.",
        ),
    ] = None,
    object_size: Annotated[
        float | None,
        typer.Option(
            help="Width in metres of an object given by a point; by default what the cells were "
            "made for, or 64 pixels.",
            callback=checked_number,
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="File of points or polygons with the attribute label, good or bad."),
    ] = None,
    detector: Annotated[
        str | None, typer.Option(help="Name or file of a detector to apply.")
    ] = None,
    min_probability: Annotated[
        float | None, typer.Option(min=0, max=1, help="Minimum probability, 0 to 1.")
    ] = None,
    n: Annotated[int, typer.Option(min=1, help="With ask: how many windows to judge.")] = 10,
    to: Annotated[
        Path | None, typer.Option(help="File to write; its suffix chooses the format.")
    ] = None,
    geometry: Annotated[
        str, typer.Option(help="What a file shows of an object: outline, box or point.")
    ] = "outline",
    score_map: Annotated[
        Path | None,
        typer.Option(help="GeoTIFF to write the scores of all windows to, one for each scene."),
    ] = None,
    background: Background = False,
    as_json: Json = False,
) -> None:
    """Find all objects like one that a point, a box or a label file shows."""
    asks, names = _verb(names)
    if not (at or box or labels or options.image or detector):
        raise QueryError(
            "Nothing says what to look for",
            remedy="Give --at, --box, --labels, --image or --detector; --help describes them",
        )
    format = checked_format(to) if to else None
    check_geometry(geometry)
    if score_map is not None:
        check_target(score_map)
    examples = read_labels(labels, print_sentence) if labels else ()
    if labels and not (at or box or options.image or detector):
        check_examples(examples, labels.name)
    recipe = ObjectRecipe.from_fields(
        {
            **options.fields,
            **_drawn(at, box),
            "object_size": object_size,
            "min_probability": min_probability,
            "outlines": to is not None and geometry == "outline",
        },
        start=False,
    )
    if background:
        check_background(asks=asks, to=to, score_map=score_map)
        search_in_background(
            names,
            recipe,
            as_json,
            labels=labels,
            image=options.image,
            detector=detector,
        )
        return
    upload = options.upload(keep=False)
    picture = load(upload.content, name=upload.name) if upload else None
    opened = OpenCollections(library())
    applied = Detectors(opened.library.home).find(detector) if detector else None
    with progress() as report:
        given: dict[str, Any] = {
            "examples": examples, "picture": picture, "detector": applied, "progress": report,
        }  # fmt: skip
        if asks:
            outcome = ask_objects(opened, names, recipe, n, **given)
        else:
            outcome = find_objects(opened, names, recipe, **given)
        if to is not None and format is not None:
            write(outcome_findings(outcome, geometry), format.name, to, report)
        if score_map is not None:
            _write_maps(outcome, score_map, report)
    print_result(outcome, as_json)
    if to is not None:
        typer.echo(f"Wrote {len(outcome.result.objects)} objects to {to}", err=True)


def checked_format(to: Path) -> Format:
    """The format of a file of objects, after whether it can be written has been checked.

    Raises:
        QueryError: If no format has its suffix.
        StorageError: If it is a folder, or its folder cannot be written.
    """
    format = by_suffix(to, OBJECT_FORMATS)
    check_writable(to)
    return format


def check_background(
    *, asks: bool = False, to: Path | None = None, score_map: Path | None = None
) -> None:
    """Raise `QueryError` if something is asked for that a job does not make."""
    given = [
        option
        for option, value in (("ask", asks), ("--to", to), ("--score-map", score_map))
        if value
    ]
    if given:
        raise QueryError(
            f"--background does not go with {given[0]}",
            remedy="A job saves the search: export it from Results, or leave out --background",
        )


def search_in_background(
    names: list[str],
    recipe: ObjectRecipe,
    as_json: bool,
    *,
    labels: Path | None = None,
    image: Path | None = None,
    detector: str | None = None,
) -> None:
    """Queue an object search, after what can be wrong with it has been checked."""
    opened = library()
    for name in names:
        opened.open(name)
    if image:
        load(image)
    if detector:
        Detectors(opened.home).find(detector)
        if Path(detector).is_file():
            detector = str(Path(detector).resolve())
    submit(
        ObjectSearchRequest(
            tuple(names),
            recipe,
            labels=str(labels.resolve()) if labels else "",
            image=str(image.resolve()) if image else "",
            detector=detector or "",
        ),
        as_json,
    )


def _drawn(at: list[str] | None, box: list[str] | None) -> dict[str, Any]:
    """The search parameters of points and boxes."""
    for name, given in (("at", at), ("box", box)):
        for each in given or ():
            check_filled(name, each)
    if at and len(at) == 1 and not box:
        return {"at": at[0]}
    if box and len(box) == 1 and not at:
        return {"box": box[0]}
    points = [{"at": POINT.read("at", each)} for each in at or ()]
    return {"examples": [*points, *({"box": BOX.read("box", each)} for each in box or ())]}


def _verb(names: list[str]) -> tuple[bool, list[str]]:
    """Whether the command asks what to judge, and the collections."""
    verb = names[0] if names[0] in (FIND, ASK) else FIND
    rest = names[1:] if names[0] in (FIND, ASK) else names
    if not rest:
        raise QueryError(
            "Name a collection to search", remedy="For instance: objects airports --at=2.36,48.73"
        )
    return verb == ASK, list(dict.fromkeys(rest))


def _write_maps(outcome: ObjectOutcome, path: Path, report: OnProgress) -> None:
    maps = maps_of(outcome, report)
    provenance = Provenance.of(
        list(outcome.collections),
        [scored.mapped.scene for scored in maps],
        query=outcome.label,
        recipe=outcome.recipe.to_dict(),
        parameters=outcome.recipe.parameters,
        model=outcome.model,
    )
    written = write_score_maps(
        path,
        (ScoreMap(each.mapped.scene, each.scores, each.mapped.scale, WINDOW) for each in maps),
        provenance,
        outcome.recipe.threshold,
    )
    for file in written:
        typer.echo(f"Wrote {file}", err=True)


def print_result(outcome: ObjectOutcome, as_json: bool) -> None:
    """Print the objects of a search."""
    result = outcome.result
    for note in result.notes:
        print_sentence(note)
    for scene in result.missing:
        typer.echo(f"Note: {scene.title} has no object cells and was not searched.", err=True)
    if as_json:
        print_json([found.to_dict() for found in result.objects])
        return
    rows = [
        (
            str(found.rank),
            f"{found.score:.2f}" if found.probability is None else f"{found.probability:.0%}",
            in_words(found.by_chance),
            f"{found.lon:.6f}",
            f"{found.lat:.6f}",
            f"{found.width_m:.3g} m",
            found.scene_id,
        )
        for found in result.objects[:SHOWN]
    ]
    print_table(
        ["Rank", "Score", "By chance", "Longitude", "Latitude", "Size", "Scene"],
        rows,
        right=frozenset({0, 1, 2, 3, 4, 5}),
    )
    if len(result.objects) > SHOWN:
        typer.echo(f"{count(len(result.objects) - SHOWN)} more; --to FILE or --json has them all")
