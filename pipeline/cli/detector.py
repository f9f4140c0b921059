"""`python -m pipeline detector`: trains, applies and keeps detectors."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pipeline.cli.objects import (
    Background,
    check_background,
    checked_format,
    print_result,
    search_in_background,
)
from pipeline.cli.terminal import (
    Json,
    Name,
    checked_number,
    checked_text,
    library,
    print_json,
    print_sentence,
    print_table,
    progress,
)
from pipeline.export.formats import export as write
from pipeline.export.object_findings import outcome_findings
from pipeline.files import check_writable
from pipeline.objects import detector_file as files
from pipeline.objects.detector import Detector
from pipeline.objects.detector_training import check_labels, train_detector
from pipeline.objects.detectors import Detectors
from pipeline.objects.labels import check_examples, read_labels
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.service import find_objects
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import settings

commands = typer.Typer(help="Train, apply and keep detectors.", no_args_is_help=True)

Which = Annotated[str, typer.Argument(metavar="NAME", help="Name or file of a detector.")]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(commands, name="detector")


@commands.command()
def train(
    name: Name,
    labels: Annotated[
        Path,
        typer.Option(help="File of points or polygons with the attribute label, good or bad."),
    ],
    to: Annotated[
        Path | None, typer.Option(help="File to write, .json; by default it is kept by name.")
    ] = None,
    title: Annotated[
        str, typer.Option(help="What the detector finds.", callback=checked_text)
    ] = "",
    object_size: Annotated[
        float | None,
        typer.Option(help="Width in metres of labels that are points.", callback=checked_number),
    ] = None,
    further: Annotated[
        str | None, typer.Option(help="Detector to train further with these labels.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Train a detector from labels of a collection."""
    if to is not None:
        check_writable(to)
    examples = read_labels(labels, print_sentence)
    kept = Detectors(settings().home)
    before = kept.find(further) if further else None
    if before is None:
        check_examples(examples, labels.name)
        check_labels(examples)
    shown = title or (before.title if before else labels.name.split(".")[0])
    with progress() as report:
        trained = train_detector(
            library().open(name),
            examples,
            shown,
            size_m=object_size,
            before=before,
            progress=report,
        )
    made = trained.detector
    for note in trained.notes:
        print_sentence(note)
    if to is not None:
        files.write(to, made)
    where = str(to) if to is not None else kept.keep(made)
    _print_card(where, made, as_json)


@commands.command()
def apply(
    name: Name,
    detector: Annotated[str, typer.Argument(help="Name or file of the detector.")],
    to: Annotated[
        Path | None, typer.Option(help="File to write; its suffix chooses the format.")
    ] = None,
    min_probability: Annotated[
        float | None, typer.Option(min=0, max=1, help="Minimum probability, 0 to 1.")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(min=0, max=1, help="Minimum score, 0 to 1.")
    ] = None,
    k: Annotated[int, typer.Option(help="Maximum number of objects.")] = 1_000,
    background: Background = False,
    as_json: Json = False,
) -> None:
    """Find with a detector in a collection."""
    format = checked_format(to) if to else None
    fields = {"k": k, "threshold": threshold, "min_probability": min_probability}
    recipe = ObjectRecipe.from_fields({**fields, "outlines": to is not None}, start=False)
    if background:
        check_background(to=to)
        search_in_background([name], recipe, as_json, detector=detector)
        return
    opened = OpenCollections(library())
    found = Detectors(opened.library.home).find(detector)
    with progress() as report:
        outcome = find_objects(opened, [name], recipe, detector=found, progress=report)
        if to is not None and format is not None:
            write(outcome_findings(outcome), format.name, to, report)
    print_result(outcome, as_json)
    if to is not None:
        typer.echo(f"Wrote {len(outcome.result.objects)} objects to {to}", err=True)


@commands.command()
def info(which: Which, as_json: Json = False) -> None:
    """Show a detector's card."""
    _print_card(which, Detectors(settings().home).find(which), as_json)


@commands.command("list")
def list_detectors(as_json: Json = False) -> None:
    """List the detectors that are kept."""
    kept = Detectors(settings().home).all()
    if as_json:
        print_json(
            [
                {"name": each.name, **each.detector.card()}
                if each.detector
                else {"name": each.name, "error": str(each.error)}
                for each in kept
            ]
        )
        return
    if not kept:
        typer.echo("No detectors. Train one: python -m pipeline detector train NAME --labels FILE")
        return
    rows = [
        (each.name, each.detector.title, _marks(each.detector), each.detector.origin.collection)
        if each.detector
        else (each.name, str(each.error), "", "")
        for each in kept
    ]
    print_table(["Name", "Title", "Marks", "Trained on"], rows)


@commands.command()
def rename(
    which: Which,
    title: Annotated[str, typer.Argument(help="The new title.", callback=checked_text)],
) -> None:
    """Change a detector's title."""
    renamed = Detectors(settings().home).rename(which, title)
    typer.echo(f"{which} is now titled {renamed.title}.")


@commands.command()
def remove(which: Which) -> None:
    """Move a detector to the trash, for seven days."""
    token = Detectors(settings().home).remove(which)
    typer.echo(f"Removed {which}. Restore it with: python -m pipeline detector restore {token}")


@commands.command()
def restore(
    token: Annotated[str, typer.Argument(help="The token that `detector remove` printed.")],
) -> None:
    """Restore a removed detector."""
    typer.echo(f"Restored {Detectors(settings().home).restore(token)}.")


def _marks(detector: Detector) -> str:
    return f"{detector.ranking.good} good, {detector.ranking.bad} bad"


def _print_card(where: str, detector: Detector, as_json: bool) -> None:
    if as_json:
        print_json({"name": where, **detector.card()})
        return
    curve, origin = detector.ranking.calibration, detector.origin
    print_table(
        ["", detector.title],
        [
            ("Detector", where),
            ("Marks", _marks(detector)),
            ("Object size", f"{detector.ranking.size_m:.3g} m"),
            ("Trained on", f"{origin.collection}, {origin.gsd:.3g} m a pixel"),
            ("Dates", ", ".join(origin.dates) or "unknown"),
            (
                "Cross-validated",
                f"{curve.accuracy:.0%} of {curve.marks} marks judged right"
                if curve
                else "too few marks: 10 good and 10 bad are needed for probabilities",
            ),
            ("Cells", str(detector.cells)),
        ],
    )
