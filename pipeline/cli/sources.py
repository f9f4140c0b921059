"""`python -m pipeline sources|scenes|fetch`: find and download imagery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.build.build import check_request
from pipeline.build.request import BuildRequest
from pipeline.cli import build
from pipeline.cli.terminal import (
    Aoi,
    Json,
    area_of_file,
    check_filled,
    checked_number,
    count,
    library,
    plural,
    print_json,
    print_note,
    print_table,
    progress,
)
from pipeline.dates import Dates
from pipeline.errors import AreaError, NotFoundError, QueryError, ServiceError, storage_errors
from pipeline.geo.area import Area
from pipeline.imagery.brightness import Brightness
from pipeline.settings import settings
from pipeline.sources.earth_engine.catalogue import CATALOGUE
from pipeline.sources.earth_engine.client import check_sign_in
from pipeline.sources.google.identity import identity
from pipeline.sources.registry import KINDS, kind_of, open_source
from pipeline.sources.selection import best
from pipeline.sources.source import cover, why_empty
from pipeline.sources.stac.source import apis

if TYPE_CHECKING:
    from pipeline.imagery.ingest import SceneInput
    from pipeline.sources.candidates import Candidate
    from pipeline.sources.source import Source

SourceName = Annotated[
    str,
    typer.Argument(
        help="Source of imagery: raster, earth_engine, drive, stac or openaerialmap.",
        metavar="SOURCE",
        show_default=False,
    ),
]
Bbox = Annotated[
    str | None, typer.Option(help="Area of interest as a box in degrees.", metavar="W,S,E,N")
]
When = Annotated[
    str | None,
    typer.Option(
        help="Acquisition dates: 2016, 2016-08, 2016-08-16, or two of these as 2016/2018."
    ),
]
Cloud = Annotated[
    float | None,
    typer.Option(help="Maximum cloud cover in percent.", callback=checked_number),
]
ImageCollection = Annotated[
    str | None, typer.Option(help="Image collection of Earth Engine or of a STAC catalogue.")
]
Catalogue = Annotated[
    str | None, typer.Option(help="STAC catalogue: earth-search, planetary-computer …")
]
Location = Annotated[
    list[str] | None,
    typer.Option("--location", help="File, folder or https URL; may be given several times."),
]
Folder = Annotated[str | None, typer.Option(help="Drive folder: name, id or URL.")]
Composite = Annotated[
    str | None,
    typer.Option(help="How images are combined: mosaic, day, year, clearest, median or scene."),
]
Scale = Annotated[
    float | None, typer.Option(help="Resolution in metres per pixel; by default the source's own.")
]
Limit = Annotated[int, typer.Option(help="Maximum number of candidates.", min=1, max=5000)]


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("sources")(list_sources)
    app.command("scenes")(list_scenes)
    app.command("fetch")(fetch)


@dataclass(frozen=True)
class Listing:
    """The candidates that the options of a command select.

    Attributes:
        source: The source.
        area: Area of interest, or None.
        dates: Acquisition dates, or None.
        candidates: The images or files that it could fetch.
    """

    source: Source
    area: Area | None
    dates: Dates | None
    candidates: list[Candidate]


def list_sources(
    name: Annotated[
        str | None, typer.Argument(help="Show what this source offers.", metavar="[SOURCE]")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Test the Earth Engine sign-in with one request.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the sources of imagery, or what one of them offers."""
    if name is not None:
        kind_of(name)
    if check:
        _check(as_json)
    elif name == "earth_engine":
        _earth_engine(as_json)
    elif name == "stac":
        _stac(as_json)
    else:
        _kinds(name, as_json)


def _kinds(name: str | None, as_json: bool) -> None:
    rows = [
        {
            "name": kind.name,
            "title": kind.title,
            "needs": kind.needs or "no sign-in",
            "state": _state(kind.name),
        }
        for kind in KINDS.values()
        if name in (None, kind.name)
    ]
    if as_json:
        print_json(rows)
        return
    print_table(["Source", "What", "Needs", "State"], [tuple(row.values()) for row in rows])
    if name is None:
        typer.echo("Show what a source offers: python -m pipeline sources earth_engine")


def _state(name: str) -> str:
    """Whether a source can be used, as far as is known without a request."""
    if name not in ("earth_engine", "drive"):
        return "ready"
    try:
        who = identity()
    except ServiceError as error:
        return error.what
    if name == "earth_engine" and not who.project:
        return f"{who}: set LOOKALIKE_EE_PROJECT"
    return str(who)


def _check(as_json: bool) -> None:
    outcome = check_sign_in()
    if as_json:
        print_json(asdict(outcome))
    else:
        typer.echo(outcome.message)
    if not outcome.ok:
        raise typer.Exit(ServiceError.exit_code)


def _earth_engine(as_json: bool) -> None:
    if as_json:
        print_json([asdict(product) for product in CATALOGUE.values()])
        return
    print_table(
        ["Image collection", "Title", "m/pixel", "Region", "Dates", "Licence"],
        [(p.id, p.title, f"{p.scale:g}", p.where, p.when, p.license) for p in CATALOGUE.values()],
    )


def _stac(as_json: bool) -> None:
    if as_json:
        print_json([asdict(api) for api in apis().values()])
        return
    print_table(
        ["Catalogue", "Address", "Image collections"],
        [(api.name, api.url, ", ".join(api.collections)) for api in apis().values()],
    )


def list_scenes(
    source: SourceName,
    aoi: Aoi = None,
    bbox: Bbox = None,
    dates: When = None,
    cloud: Cloud = None,
    collection: ImageCollection = None,
    api: Catalogue = None,
    location: Location = None,
    folder: Folder = None,
    composite: Composite = None,
    scale: Scale = None,
    limit: Limit = 100,
    as_json: Json = False,
) -> None:
    """List the images that a source has of an area, with date, cloud, resolution and coverage."""
    options = _options(
        source, collection=collection, api=api, locations=location, folder=folder,
        composite=composite, scale=scale,
    )  # fmt: skip
    listing = _list(source, options, aoi, bbox, dates, cloud, limit)
    candidates = listing.candidates
    if as_json:
        print_json([image.to_dict() for image in candidates])
        return
    if not candidates:
        typer.echo(why_empty(listing.source, listing.area, listing.dates))
        return
    print_table(
        ["Id", "Date", "Cloud", "m/pixel", "Coverage", "Title"],
        [
            (
                image.id,
                image.day,
                "" if image.cloud is None else f"{image.cloud:.0f}%",
                "" if image.gsd is None else f"{image.gsd:.2g}",
                f"{image.share:.0%}",
                image.title,
            )
            for image in candidates
        ],
        right=frozenset({2, 3, 4}),
    )
    typer.echo(str(cover(listing.area, candidates)))
    chosen = best(listing.area, candidates)
    estimate = listing.source.estimate(listing.area, chosen)
    typer.echo(
        f"`fetch` would download {len(chosen)} of them: {plural(estimate.scenes, 'scene')}, "
        f"{count(estimate.pixels)} pixels, {estimate.bytes / 1e6:.1f} MB, "
        f"{plural(estimate.requests, 'request')}."
    )
    for limit_met in estimate.limits:
        typer.echo(f"{limit_met}.")
    if estimate.refusal:
        typer.echo(str(estimate.refusal))


def fetch(
    source: SourceName,
    to: Annotated[
        Path | None, typer.Option(help="Folder for the rasters; by default in LOOKALIKE_HOME.")
    ] = None,
    name: Annotated[
        str | None, typer.Option(help="Collection to build from the rasters, or to add them to.")
    ] = None,
    stride: Annotated[int | None, typer.Option(help="Chip spacing in pixels; with --name.")] = None,
    brightness: build.BrightnessOption = None,
    pick: Annotated[
        list[str] | None,
        typer.Option(help="Fetch this candidate, by id; may be given several times."),
    ] = None,
    aoi: Aoi = None,
    bbox: Bbox = None,
    dates: When = None,
    cloud: Cloud = None,
    collection: ImageCollection = None,
    api: Catalogue = None,
    location: Location = None,
    folder: Folder = None,
    composite: Composite = None,
    scale: Scale = None,
    road: Annotated[
        str | None,
        typer.Option(help="Earth Engine download method: direct (the default), drive or storage."),
    ] = None,
    bucket: Annotated[
        str | None, typer.Option(help="Cloud Storage bucket, for --road storage.")
    ] = None,
    drive_folder: Annotated[
        str | None, typer.Option(help="Drive folder, for --road drive; by default lookalike.")
    ] = None,
    tidy: Annotated[
        bool, typer.Option("--tidy", help="Remove exported files after the download.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, max=40, help="Number of concurrent requests.")
    ] = None,
    limit: Limit = 500,
    as_json: Json = False,
) -> None:
    """Download imagery to this machine.  If interrupted, the same command continues."""
    options = _options(
        source, collection=collection, api=api, locations=location, folder=folder,
        composite=composite, scale=scale, road=road, bucket=bucket, drive_folder=drive_folder,
        tidy=tidy, workers=workers,
    )  # fmt: skip
    _check_collection(name, stride, brightness)
    shown = Brightness.parse(brightness)
    listing = _list(source, options, aoi, bbox, dates, cloud, limit)
    chosen = _pick(listing, pick or [])
    destination = to or settings().home / "imagery"
    with storage_errors(destination), progress() as report:
        fetched = listing.source.fetch(listing.area, chosen, destination, report)
    if brightness is not None:
        fetched = [
            replace(raster, stretch=shown.stretch, percentile=shown.percentile)
            for raster in fetched
        ]
    if name is not None:
        _build(name, fetched, listing.area, stride)
    if as_json:
        print_json([raster.to_dict() for raster in fetched])
        return
    for raster in fetched:
        typer.echo(f"{raster.path}  {raster.title}")


def _options(source: str, **given: Any) -> dict[str, Any]:
    """Arguments of the source's class.

    Raises:
        QueryError: If the source has no such option, or lacks one that it needs.
    """
    allowed = {
        "raster": {"locations"},
        "earth_engine": {
            "collection", "composite", "scale", "road", "bucket", "drive_folder", "tidy", "workers",
        },
        "drive": {"folder"},
        "stac": {"api", "collection", "composite", "scale", "workers"},
        "openaerialmap": set(),
    }.get(source, set(given))  # fmt: skip
    for key, value in given.items():
        check_filled("location" if key == "locations" else key, value)
    kept = {
        key: value for key, value in given.items() if value or (value is not False and value == 0)
    }
    for key in kept:
        if key not in allowed:
            option = "location" if key == "locations" else key.replace("_", "-")
            raise QueryError(f"The source {source} has no option --{option}", remedy="Leave it out")
    if source == "raster" and "locations" not in kept:
        raise QueryError("No raster was given", remedy="Give --location FILE, FOLDER or URL")
    if source == "drive" and "folder" not in kept:
        raise QueryError("No Drive folder was given", remedy="Give --folder NAME, ID or URL")
    return kept


def _check_collection(name: str | None, stride: int | None, brightness: str | None) -> None:
    """Raise the errors of a later build before anything is fetched."""
    if name is not None:
        check_request(BuildRequest(name, stride=stride), library())
    elif stride is not None:
        raise QueryError("--stride needs a collection", remedy="Give --name, too")
    elif brightness is not None:
        raise QueryError("--brightness needs a collection", remedy="Give --name, too")


def _list(
    name: str,
    options: dict[str, Any],
    aoi: Path | None,
    bbox: str | None,
    dates: str | None,
    cloud: float | None,
    limit: int,
) -> Listing:
    check_filled("bbox", bbox)
    check_filled("dates", dates)
    source = open_source(name, **options)
    if aoi and bbox:
        raise AreaError("Two areas were given", remedy="Give --aoi or --bbox, not both")
    area = area_of_file(aoi) if aoi else Area.from_bbox_text(bbox) if bbox else None
    span = Dates.parse(dates) if dates else None
    return Listing(source, area, span, source.search(area, span, cloud=cloud, limit=limit))


def _pick(listing: Listing, ids: Sequence[str]) -> list[Candidate]:
    if not listing.candidates:
        reason = why_empty(listing.source, listing.area, listing.dates)
        raise NotFoundError(reason.rstrip("."), remedy="Nothing was fetched")
    if not ids:
        return best(listing.area, listing.candidates)
    known = {candidate.id: candidate for candidate in listing.candidates}
    for wanted in ids:
        if wanted not in known:
            raise NotFoundError(
                "No candidate has this id", where=wanted, remedy="List them with `scenes`"
            )
    return [known[wanted] for wanted in ids]


def _build(name: str, fetched: Sequence[SceneInput], area: Area | None, stride: int | None) -> None:
    request = BuildRequest(
        name=name,
        scenes=tuple(fetched),
        stride=stride,
        area=area,
    )
    summary = build.run(request)
    typer.echo(f"{summary.name}: {plural(summary.chips, 'chip')}", err=True)
    for note in summary.notes:
        if area is None or note not in area.notes:  # those were printed before the fetch
            print_note(note)
