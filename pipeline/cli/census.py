"""`python -m pipeline census`: how many there are, estimated from judged units."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.census import certificate, review
from pipeline.census.censuses import Censuses, Kept, Unreadable
from pipeline.census.design import FLOOR
from pipeline.census.districts import districts_of_file
from pipeline.census.report import Report, change_since, report
from pipeline.census.start import ERROR, Plan, Sought, add_round
from pipeline.census.start import start as begin
from pipeline.census.units import UNIT, Unit
from pipeline.cli.terminal import (
    Json,
    Name,
    area_of_text,
    checked_number,
    checked_text,
    count,
    library,
    print_json,
    print_sentence,
    print_table,
    progress,
)
from pipeline.errors import InputError, QueryError
from pipeline.files import check_writable
from pipeline.objects.labels import check_examples, read_labels
from pipeline.search.open_collections import OpenCollections

commands = typer.Typer(
    help="Count the things in an area from a sample of judged units.", no_args_is_help=True
)

Id = Annotated[str, typer.Argument(metavar="ID", help="Id of the census.")]
Reviewer = Annotated[str, typer.Option(help="Name of who judges.", callback=checked_text)]
OfDetector = Annotated[str | None, typer.Option(help="Name or file of a detector.")]
OfLabels = Annotated[
    Path | None,
    typer.Option(help="File of points or polygons with the attribute label, good or bad."),
]
OfSaved = Annotated[str | None, typer.Option(help="Id of a saved search of the collection.")]
Threshold = Annotated[
    float | None,
    typer.Option(
        help="Minimum score of the list whose recall and precision are told; by default that of "
        "the search, or 0.5.",
        callback=checked_number,
    ),
]
Floor = Annotated[
    float,
    typer.Option(
        help="Least weight of a unit in the draw, as a share of the mean: raise it if the detector "
        "may miss many.",
        callback=checked_number,
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="census")


@commands.command()
def start(
    name: Name,
    detector: OfDetector = None,
    labels: OfLabels = None,
    saved: OfSaved = None,
    within: Annotated[
        str | None, typer.Option(help="Area to count in: a file, GeoJSON or WKT, EPSG:4326.")
    ] = None,
    unit: Annotated[int, typer.Option(help="Side of a unit in pixels.")] = UNIT,
    error: Annotated[
        float,
        typer.Option(
            help="Wanted half-width of the interval, as a share of the total.",
            callback=checked_number,
        ),
    ] = ERROR,
    districts: Annotated[
        Path | None, typer.Option(help="File of polygons that get a count each.")
    ] = None,
    date: Annotated[
        str, typer.Option(help="Day of the imagery, YYYY-MM-DD; by default the latest.")
    ] = "",
    double: Annotated[
        float,
        typer.Option(
            help="Share of units that a second reviewer judges, blind.", callback=checked_number
        ),
    ] = 0.0,
    floor: Floor = FLOOR,
    threshold: Threshold = None,
    seed: Annotated[int | None, typer.Option(help="Seed of the draw.")] = None,
    title: Annotated[str, typer.Option(help="Title.", callback=checked_text)] = "",
    as_json: Json = False,
) -> None:
    """Begin a census: freeze the units of an area and how they are drawn."""  # fmt: skip
    sought = _sought(detector, labels, saved, threshold, floor)
    plan = Plan(
        name, sought, title=title, within=area_of_text(within) if within else None, date=date,
        unit=unit, error=error, double=double, seed=seed,
        districts=districts_of_file(districts) if districts else (),
    )  # fmt: skip
    with progress() as done:
        kept = begin(OpenCollections(library()), plan, done)
    _print_begun(kept, as_json)


@commands.command("round")
def further_round(
    census: Id,
    detector: OfDetector = None,
    labels: OfLabels = None,
    saved: OfSaved = None,
    floor: Floor = FLOOR,
    threshold: Threshold = None,
    as_json: Json = False,
) -> None:
    """Go on with a better detector: a new round draws from the units that nobody judged."""
    sought = _sought(detector, labels, saved, threshold, floor)
    with progress() as done:
        kept = add_round(OpenCollections(library()), census, sought, done)
    _print_begun(kept, as_json)


@commands.command("next")
def next_units(
    census: Id,
    n: Annotated[int, typer.Option(min=1, help="How many units.")] = 10,
    reviewer: Reviewer = review.SOMEBODY,
    as_json: Json = False,
) -> None:
    """Hand out the next units to judge."""
    kept = _open(census)
    handed = review.hand_out(kept, min(n, review.MOST_ASKED), reviewer)
    _warn(kept)
    units = [_unit(kept, unit) for unit in handed.units]
    if as_json:
        print_json(units)
        return
    if not units:
        typer.echo("Every unit is judged, or in another reviewer's hands.")
        return
    print_table(
        ["Unit", "Scene", "Column", "Row", "Longitude", "Latitude"],
        [
            (each["id"], each["scene_id"], str(each["pixels"][0]), str(each["pixels"][1]),
             f"{each['lon']:.6f}", f"{each['lat']:.6f}")
            for each in units
        ],
        right=frozenset({2, 3, 4, 5}),
    )  # fmt: skip


@commands.command()
def answer(
    census: Id,
    file: Annotated[
        Path,
        typer.Argument(
            help="JSON: for each unit's id a count, null for cannot tell, or a list of "
            "[longitude, latitude]."
        ),
    ],
    reviewer: Reviewer = review.SOMEBODY,
    as_json: Json = False,
) -> None:
    """Keep the answers of a file, all or none."""
    kept = _open(census)
    number = review.answer(kept, _answers(file), reviewer)
    typer.echo(f"Kept {count(number)} {'answer' if number == 1 else 'answers'}.", err=True)
    _print_report(report(kept), as_json)


@commands.command()
def undo(
    census: Id,
    unit: Annotated[str, typer.Option(help="Unit whose answer is taken back.")] = "",
    reviewer: Reviewer = review.SOMEBODY,
) -> None:
    """Take back a reviewer's last answer, or that of a unit."""
    taken = review.undo(_open(census), reviewer, unit)
    told = "cannot tell" if taken.count is None else str(taken.count)
    typer.echo(f"Took back {taken.unit}: {told}. It is handed out again.")


@commands.command("report")
def show_report(
    census: Annotated[
        str, typer.Argument(metavar="ID", help="Id of the census, or file of its certificate.")
    ],
    as_json: Json = False,
) -> None:
    """Print what the judged units say of all."""
    path = Path(census)
    found = certificate.report_of_file(path) if path.suffix == ".json" else report(_open(census))
    _print_report(found, as_json)


@commands.command()
def export(
    census: Id,
    to: Annotated[
        Path,
        typer.Option(help="File: .html or .json the certificate, .geojson the points, .zip all."),
    ],
) -> None:
    """Write the certificate or the points."""
    check_writable(to)
    typer.echo(f"Wrote {certificate.export(_open(census), to)}", err=True)


@commands.command("list")
def list_censuses(as_json: Json = False) -> None:
    """List the censuses."""
    kept = Censuses(library()).all()
    if as_json:
        print_json([_listed(each) for each in kept])
        return
    if not kept:
        typer.echo("No censuses. Begin one: python -m pipeline census start NAME --detector NAME")
        return
    rows = []
    for each in kept:
        if isinstance(each, Unreadable):
            rows.append((each.id, str(each.error), each.collection, "", ""))
            continue
        found = report(each)
        rows.append(
            (each.census.id, each.census.title, each.collection.name, found.text,
             f"{count(found.judged)} of {count(len(each.census.units))}")
        )  # fmt: skip
    print_table(["Id", "Title", "Collection", "Total", "Judged"], rows)


@commands.command()
def delete(census: Id) -> None:
    """Move a census to the trash of its collection."""
    token = Censuses(library()).delete(census)
    typer.echo(f"Deleted. Restore it with: python -m pipeline census restore {token}")


@commands.command()
def restore(
    token: Annotated[str, typer.Argument(help="The token that `census delete` printed.")],
) -> None:
    """Restore a deleted census."""
    typer.echo(f"Restored {Censuses(library()).restore(token).census.id}.")


def _open(census: str) -> Kept:
    return Censuses(library()).open(census)


def _sought(
    detector: str | None,
    labels: Path | None,
    saved: str | None,
    threshold: float | None,
    floor: float,
) -> Sought:
    examples = read_labels(labels, print_sentence) if labels else ()
    if labels:
        check_examples(examples, labels.name)
    return Sought(
        detector=detector or "", labels=examples, saved=saved or "", threshold=threshold,
        floor=floor,
    )  # fmt: skip


def _answers(file: Path) -> dict[str, Any]:
    """The answers of a file.

    Raises:
        InputError: If it holds none.
    """
    names: list[str] = []

    def told(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names.extend(name for name, _ in pairs)
        return dict(pairs)

    try:
        content = json.loads(file.read_text("utf-8"), object_pairs_hook=told)
    except OSError as error:
        raise InputError(
            "The file of answers cannot be opened", where=file, remedy="Check the path"
        ) from error
    except (ValueError, RecursionError) as error:
        raise InputError(
            "The file of answers is not JSON",
            where=file,
            remedy='For instance {"3f2a91c07b": 2, "77c0d1e2f3": null}',
        ) from error
    if not isinstance(content, dict):
        raise InputError(
            "The file of answers is not a JSON object",
            where=file,
            remedy='For instance {"3f2a91c07b": 2, "77c0d1e2f3": null}',
        )
    if twice := next((name for name in names if names.count(name) > 1), ""):
        raise QueryError(
            "The file answers a unit twice", where=f"{file.name}: {twice[:40]}",
            remedy="Keep one of its answers",
        )  # fmt: skip
    return content


def _unit(kept: Kept, unit: Unit) -> dict[str, Any]:
    from shapely.geometry import mapping

    scene = kept.collection.scenes[unit.scene_id]
    lon, lat = scene.georeference.lonlat(unit.left + unit.width / 2, unit.top + unit.height / 2)
    return {
        "id": unit.id,
        "scene_id": unit.scene_id,
        "pixels": [unit.left, unit.top, unit.width, unit.height],
        "lon": round(float(lon), 7),
        "lat": round(float(lat), 7),
        "geometry": mapping(unit.geometry(scene)),
    }


def _warn(kept: Kept) -> None:
    if changed := change_since(kept):
        print_sentence(changed)


def _listed(kept: Kept | Unreadable) -> dict[str, Any]:
    if isinstance(kept, Unreadable):
        return {"id": kept.id, "collection": kept.collection, "error": str(kept.error)}
    census, found = kept.census, report(kept).to_dict()
    facts = {key: found[key] for key in ("estimate", "low", "high", "judged", "units", "text")}
    return {
        "id": census.id,
        "title": census.title,
        "collection": kept.collection.name,
        "created": census.created,
        **facts,
    }


def _print_begun(kept: Kept, as_json: bool) -> None:
    census = kept.census
    for note in (*census.notes, *census.latest.notes):
        print_sentence(note)
    if as_json:
        print_json(
            {
                "id": census.id,
                "title": census.title,
                "collection": census.collection,
                "date": census.date,
                "units": len(census.units),
                "area_km2": census.area_km2,
                "seed": census.seed,
                "round": census.latest.number,
                "query": census.latest.query,
                "listed": len(census.latest.expectation.items),
                "districts": [each.name for each in census.districts],
                "notes": [*census.notes, *census.latest.notes],
            }
        )
        return
    typer.echo(
        f"Census {census.id}, round {census.latest.number}: {count(len(census.units))} units. "
        f"Next: python -m pipeline census next {census.id}"
    )


def _print_report(found: Report, as_json: bool) -> None:
    for note in (*((found.changed,) if found.changed else ()), *found.notes):
        print_sentence(note)
    values = found.to_dict()
    if as_json:
        print_json(values)
        return
    rows = [
        ("Total", found.text),
        ("Judged", f"{count(found.judged)} of {count(len(found.census.units))} units"),
    ]
    for name in ("recall", "precision"):
        if values[name] is not None:
            low, high = values[f"{name}_low"], values[f"{name}_high"]
            rows.append((name.capitalize(), f"{values[name]:.0%}, {low:.0%} to {high:.0%}"))
    if found.left is not None:
        spent = "" if found.seconds_left is None else f", about {found.seconds_left / 60:.0f} min"
        error = f"{found.census.error:.0%}"
        rows.append((f"Left for ±{error}", f"{count(found.left)} units{spent}"))
    if found.agreement is not None:
        kappa = found.agreement.kappa
        told = "" if kappa is None else f", κ {kappa:.2f}"
        rows.append(("Two reviewers", f"{found.agreement.same:.0%} alike{told}"))
    rows += [
        (
            each["name"],
            f"{each['estimate']:.0f}, {each['low']} to {each['high']}"
            + (" (wide)" if each["wide"] else "")
            if each["estimate"] is not None
            else "unknown",
        )
        for each in values["districts"]
    ]
    print_table(["", found.census.title], rows)
