"""`python -m pipeline build|sample`: from rasters to a collection."""

from __future__ import annotations

import re
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.build.brightness import how_to_restretch
from pipeline.build.build import describe_left_out
from pipeline.build.request import BuildRequest
from pipeline.build.samples import sample_requests
from pipeline.cli import jobs
from pipeline.cli.terminal import (
    Aoi,
    Json,
    checked_text,
    count,
    library,
    plural,
    print_json,
    print_note,
    print_table,
    progress,
)
from pipeline.errors import DamagedError, InputError, UnavailableError
from pipeline.geo.area import Area
from pipeline.imagery.brightness import Brightness
from pipeline.imagery.ingest import SceneInput
from pipeline.jobs.price import thorough_price
from pipeline.jobs.runner import build_attended
from pipeline.model.descriptor import PASSES
from pipeline.settings import settings
from pipeline.sources import forest

if TYPE_CHECKING:
    from pipeline.build.build import BuildSummary
    from pipeline.settings import Settings


BrightnessOption = Annotated[
    str | None,
    typer.Option(
        "--brightness",
        help="automatic shows 8-bit RGB as stored, and clips the darkest and brightest 2% of "
        "other scenes of a sensor; percentile clips 8-bit RGB, too; LOW,HIGH sets the levels "
        "shown as black and white.",
    ),
]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command()(build)
    app.command()(sample)


def build(
    collection: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME", help="Name of the collection to create, continue or enlarge."
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(help="The same as an option.")] = None,
    scene: Annotated[
        list[Path] | None, typer.Option(help="Raster to build from; may be given several times.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Chip spacing in pixels: a multiple of 32, up to 256.")
    ] = None,
    aoi: Aoi = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands shown as red, green, blue, for instance 4,3,2.")
    ] = None,
    title: Annotated[
        str | None,
        typer.Option(help="Title of the collection, any text.", callback=checked_text),
    ] = None,
    date: Annotated[
        str | None,
        typer.Option(help="Acquisition date; by default from the rasters' tags or names."),
    ] = None,
    crs: Annotated[
        str | None, typer.Option(help="CRS of rasters that state none, for instance EPSG:32632.")
    ] = None,
    brightness: BrightnessOption = None,
    restretch: Annotated[
        bool,
        typer.Option(
            "--restretch",
            help="Fix the brightness anew from all scenes, and embed again what changes.",
        ),
    ] = False,
    mode: Annotated[str | None, typer.Option(help="Embedding mode: chip or dense.")] = None,
    quality: Annotated[
        str | None,
        typer.Option(
            help="What chips are ranked by: standard, or thorough, which looks at each chip in "
            "four orientations and at two sizes, takes 5.6 times as long and says so first."
        ),
    ] = None,
    object_size: Annotated[
        float | None,
        typer.Option(
            help="Size in metres of the smallest thing to look for; adds finer or coarser object "
            "cells to a collection that exists, with --aoi to a part of it."
        ),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Number of worker processes on this machine; 0 for none.")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Build on this Dask scheduler, tcp://…")
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue the build as a job and return at once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make rasters searchable.  If interrupted, the same command continues.

    Without --scene, it completes a collection: missing blocks of chips and object cells are made.
    """
    rgb, shown = _bands(bands), Brightness.parse(brightness)
    request = BuildRequest(
        name=_one_name(collection, name),
        scenes=tuple(
            SceneInput(
                path,
                bands=rgb,
                stretch=shown.stretch,
                datetime=date,
                crs=crs,
                percentile=shown.percentile,
            )
            for path in scene or []
        ),
        stride=stride,
        area=Area.from_file(aoi) if aoi else None,  # its notes are among the build's
        mode=mode,
        quality=quality,
        title=title,
        object_size=object_size,
        restretch=how_to_restretch(brightness) if restretch else None,
    )
    _tell_price(request, settings() if background else _engine(workers, scheduler))
    if background:
        jobs.submit(request, as_json)
    else:
        report(run(request, workers, scheduler), as_json)


def sample(
    wheel: Annotated[
        Path | None,
        typer.Option("--from", help="Wheel of deepforest, fetched by hand, with the forest."),
    ] = None,
    fetch_only: Annotated[
        bool, typer.Option("--fetch-only", help="Fetch the imagery, build nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Build the sample collections: Yellowstone forest, San Francisco Bay, Great Salt Lake.

    Without the forest, whose imagery is fetched, the others are built.
    """
    try:
        with progress() as on_progress:
            picture = forest.fetch(settings().home, wheel, on_progress)
    except (UnavailableError, DamagedError) as error:
        if fetch_only:
            raise
        if forest.NAME not in library().names():
            print_note(f"The sample {forest.NAME} is not built. {error}")
    else:
        if fetch_only:
            _report_fetched(picture, as_json)
            return
    summaries = []
    for request in sample_requests():
        summaries.append(run(request))
        if not as_json:
            report(summaries[-1], as_json=False)
    if as_json:
        print_json([asdict(summary) for summary in summaries])


def _report_fetched(picture: Path, as_json: bool) -> None:
    if as_json:
        print_json({"picture": str(picture)})
    else:
        typer.echo(f"The forest sample is ready: {picture}")


def run(request: BuildRequest, workers: int = 0, scheduler: str | None = None) -> BuildSummary:
    """Build here, with progress bars on standard error."""
    with progress() as on_progress:
        return build_attended(request, _engine(workers, scheduler), on_progress)


def _engine(workers: int, scheduler: str | None) -> Settings:
    return replace(settings(), workers=workers, scheduler=scheduler)


def _tell_price(request: BuildRequest, engine: Settings) -> None:
    """Print what the thorough quality costs, before it is paid."""
    expected = thorough_price(request, library(), engine)
    if expected and expected.chips:
        rough = "" if expected.pace.known else " (rough estimate)"
        print_note(
            f"Thorough quality looks at {plural(expected.chips, 'chip')} in four orientations and "
            f"at two sizes: about {_minutes(expected.seconds)}{rough}, {PASSES['thorough']:.1f} "
            f"times as long as standard, and {expected.disk / 1e6:.0f} MB of disk."
        )


def _minutes(seconds: float) -> str:
    minutes = max(round(seconds / 60), 1)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def report(summary: BuildSummary, as_json: bool) -> None:
    """Print what a build made."""
    if as_json:
        print_json(asdict(summary))
        return
    print_table(
        ["", summary.name],
        [
            ("Chips", count(summary.chips)),
            ("Skipped", describe_left_out(summary.left_out) or "none"),
            ("Object cells", count(summary.cells)),
            ("Scenes", ", ".join(summary.scenes)),
            ("Blocks", f"{summary.blocks_made} made, {summary.blocks_kept} already finished"),
            ("Time", f"{summary.seconds:.1f} s"),
            *(("Note", note) for note in summary.notes),
        ],
    )


def _one_name(argument: str | None, option: str | None) -> str:
    if (argument is None) == (option is None):
        raise InputError(
            "The build needs one name",
            where=" and ".join(name for name in (argument, option) if name is not None),
            remedy="Give the collection's name once, for instance: build my-area --scene FILE",
        )
    return argument or option or ""


def _bands(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    # Python refuses to read a number of thousands of digits.
    if len(numbers) != 3 or not all(re.fullmatch(r"\s*0*[1-9]\d{0,4}\s*", n) for n in numbers):
        raise InputError(
            "--bands needs three band numbers", where=text, remedy="For instance --bands 3,2,1"
        )
    red, green, blue = (int(n) for n in numbers)
    return red, green, blue
