"""`python -m pipeline`: everything the app does, in a terminal."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.build.build import BuildRequest, SceneInput, describe_left_out, sample_requests
from pipeline.cli import changes, evaluate, export, jobs, search, sources
from pipeline.cli import chips as chip_commands
from pipeline.cli.doctor import examine
from pipeline.cli.terminal import (
    Json,
    Name,
    count,
    escaped,
    fail,
    print_json,
    print_table,
    progress,
)
from pipeline.collection.library import Library
from pipeline.errors import Cancelled, InputError, LookalikeError
from pipeline.geo.area import Area
from pipeline.jobs.queue import Jobs
from pipeline.jobs.renaming import rename as rename_collection
from pipeline.jobs.runner import build_attended
from pipeline.model.weights.cache import find
from pipeline.search.search import polygon
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.build.build import BuildSummary
    from pipeline.collection.collection import Collection

app = typer.Typer(
    help="Lookalike: reverse visual search over satellite imagery.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
jobs.register(app)
sources.register(app)
search.register(app)
changes.register(app)
export.register(app)
evaluate.register(app)
app.add_typer(chip_commands.chips_app, name="chips")


def main() -> None:
    """Run the command line; every error of ours becomes one message and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Google's client tells when it will stop supporting this Python; no user can act on that here.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.api_core")
    try:
        app()
    except KeyboardInterrupt:
        fail(Cancelled("Stopped"))
    except Exception as error:
        fail(error)


@app.command()
def build(
    name: Annotated[str, typer.Option(help="Name of the collection to make, continue or enlarge.")],
    scene: Annotated[
        list[Path] | None, typer.Option(help="Raster to build from; may be given several times.")
    ] = None,
    stride: Annotated[
        int | None, typer.Option(help="Pixels between chips: 256, 128, 64 or another 32nd.")
    ] = None,
    aoi: Annotated[
        Path | None, typer.Option(help="Area: GeoJSON, KML, zipped Shapefile or GeoPackage.")
    ] = None,
    bands: Annotated[
        str | None, typer.Option(help="Bands shown as red, green, blue, for instance 4,3,2.")
    ] = None,
    title: Annotated[str | None, typer.Option(help="Title, any text.")] = None,
    date: Annotated[
        str | None,
        typer.Option(help="When the rasters were taken, if neither they nor their names tell."),
    ] = None,
    mode: Annotated[str | None, typer.Option(help="Embedding: chip or dense.")] = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes on this machine; 0 for none.")
    ] = 0,
    scheduler: Annotated[
        str | None, typer.Option(help="Address of a Dask scheduler, tcp://…, to build on.")
    ] = None,
    background: Annotated[
        bool, typer.Option("--background", help="Queue it as a job and return at once.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Make rasters searchable.  Interrupt it at will: the same command continues."""
    chosen = _bands(bands)
    request = BuildRequest(
        name=name,
        scenes=tuple(SceneInput(path, bands=chosen, datetime=date) for path in scene or []),
        stride=stride,
        area=_area(aoi),
        mode=mode,
        title=title,
    )
    if background:
        jobs.submit(request, as_json)
        return
    _report(_run(request, workers, scheduler), as_json)


@app.command()
def sample(as_json: Json = False) -> None:
    """Make the two sample collections, San Francisco Bay and Great Salt Lake."""
    for request in sample_requests():
        _report(_run(request), as_json)


@app.command()
def collections(as_json: Json = False) -> None:
    """List the collections."""
    library = _store()
    rows = [_summary(library, name) for name in library.names()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("No collection yet. Make one: python -m pipeline build --scene FILE --name NAME")
        return
    cells = [
        (
            r["name"],
            r["title"],
            count(r["chips"]),
            str(r["stride"] or ""),
            r["state"],
            r["updated"],
        )
        for r in rows
    ]
    print_table(
        ["Name", "Title", "Chips", "Stride", "State", "Updated"], cells, right=frozenset({2, 3})
    )


@app.command()
def info(name: Name, as_json: Json = False) -> None:
    """Tell what a collection is and how it was made."""
    from dataclasses import asdict

    collection = _store().open(name)
    content = asdict(collection.manifest)
    content["scenes"] = [scene.to_item() for scene in collection.scenes.values()]
    content["bytes"] = collection.disk_bytes()
    content["path"] = str(collection.path)
    content["state"] = _state(collection)
    if as_json:
        print_json(content)
        return
    manifest = collection.manifest
    model = manifest.model
    rows = [
        ("Title", manifest.title),
        ("State", content["state"]),
        ("Chips", f"{count(manifest.chips)} at stride {manifest.stride}"),
        ("Left out", describe_left_out(manifest.left_out) or "none"),
        ("Model", f"{model.name}, {model.mode} mode, {model.weights_sha256[:12]}…"),
        ("Disk", f"{content['bytes'] / 1e6:.1f} MB in {collection.path}"),
        ("Built", f"{manifest.updated}, {manifest.seconds:.0f} s"),
    ]
    rows += [
        (
            f"Scene {n}",
            f"{s.title}: {s.width}×{s.height} px, {s.gsd:.2f} m, {s.datetime or 'no date'}",
        )
        for n, s in enumerate(collection.scenes.values(), 1)
    ]
    print_table(["", name], rows)


@chip_commands.chips_app.command("list")
def chips(
    name: Name,
    as_json: Json = False,
    limit: Annotated[
        int, typer.Option(help="The first so many; 0: all in JSON, 40 in a table.", min=0)
    ] = 0,
) -> None:
    """List a collection's chips with their footprints."""
    collection = _store().open(name)
    table = collection.chips
    shown = min(limit, len(table)) if limit else len(table)
    rows = [
        {
            "id": table.ids[i].decode(),
            "scene_id": table.scene_ids[table.scene[i]],
            "row": int(table.rows[i]),
            "col": int(table.cols[i]),
            "lon": round(float(table.centres[i, 0]), 7),
            "lat": round(float(table.centres[i, 1]), 7),
            "gsd": round(float(table.gsd[i]), 4),
            "nodata_percent": round(float(table.nodata_percent[i]), 2),
            "sharpness": round(float(table.sharpness[i]), 2),
            "geometry": _geometry(table.corners[i]),
        }
        for i in range(shown)
    ]
    if as_json:
        print_json(rows)
        return
    keys = ["id", "scene_id", "col", "row", "lon", "lat", "nodata_percent", "sharpness"]
    print_table(keys, [tuple(str(row[key]) for key in keys) for row in rows[: limit or 40]])
    if shown > 40 and not limit:
        typer.echo(f"{count(shown)} chips; --limit N shows more, --json all.")


@app.command()
def delete(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="For good, without the trash.")] = False,
) -> None:
    """Delete a collection; it can be restored from the trash for a week."""
    token = _store().delete(name, keep=not now)
    typer.echo(f"Deleted {name}." + (f" Undo: python -m pipeline restore {token}" if token else ""))


@app.command()
def restore(token: Annotated[str, typer.Argument(help="What `delete` printed.")]) -> None:
    """Bring a deleted collection back."""
    typer.echo(f"Restored {_store().restore(token).name}.")


@app.command()
def rename(name: Name, new_name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
    """Give a collection another name."""
    renamed = rename_collection(_store(), Jobs(settings().home), name, new_name)
    typer.echo(f"{name} is now {renamed.name}.")


@app.command()
def describe(
    name: Name,
    title: Annotated[str | None, typer.Option(help="New title.")] = None,
    description: Annotated[str | None, typer.Option(help="New description.")] = None,
) -> None:
    """Change a collection's title or description."""
    _store().describe(name, title=title, description=description)
    typer.echo(f"Described {name}.")


@app.command()
def weights(
    source: Annotated[
        Path | None, typer.Option("--from", help="File or folder that holds the weights.")
    ] = None,
) -> None:
    """Fetch and verify the ImageNet weights of ResNet-50."""
    with progress() as report:
        path = find(source, progress=report)
    typer.echo(f"The weights are ready: {path}")


@app.command()
def doctor(as_json: Json = False) -> None:
    """Say what is installed, what is missing and how to get it."""
    findings = examine(settings())
    if as_json:
        print_json({"ok": all(f.ok for f in findings), "checks": [f.to_dict() for f in findings]})
    else:
        marks = {True: "[green]ok[/]", False: "[red]missing[/]"}
        rows = [(f.name, marks[f.ok], escaped(f.found), escaped(f.remedy)) for f in findings]
        print_table(["What", "", "Found", "What to do"], rows)
    if not all(finding.ok for finding in findings):
        raise typer.Exit(5)


def _store() -> Library:
    return Library(settings().home)


def _run(request: BuildRequest, workers: int = 0, scheduler: str | None = None) -> BuildSummary:
    from dataclasses import replace

    with progress() as report:
        engine = replace(settings(), workers=workers, scheduler=scheduler)
        return build_attended(request, engine, report)


def _bands(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    numbers = text.split(",")
    if len(numbers) != 3 or not all(n.strip().isdecimal() and int(n) > 0 for n in numbers):
        raise InputError("These are not three band numbers", where=text, remedy="Try --bands 3,2,1")
    red, green, blue = (int(n) for n in numbers)
    return red, green, blue


def _area(path: Path | None) -> dict[str, Any] | None:
    if path is None:
        return None
    return Area.from_file(path).to_geojson()


def _summary(library: Library, name: str) -> dict[str, Any]:
    try:
        collection = library.open(name)
    except LookalikeError as error:
        return {
            "name": name, "title": "", "chips": 0, "stride": 0, "scenes": [], "model": {},
            "state": "damaged", "updated": "", "error": str(error),
        }  # fmt: skip
    manifest = collection.manifest
    return {
        "name": name,
        "title": manifest.title,
        "chips": manifest.chips,
        "stride": manifest.stride,
        "scenes": list(manifest.scenes),
        "model": manifest.model.to_dict(),
        "state": _state(collection),
        "created": manifest.created,
        "updated": manifest.updated,
    }


def _state(collection: Collection) -> str:
    if collection.busy:
        return "building"
    return "complete" if collection.manifest.complete else "unfinished"


def _report(summary: BuildSummary, as_json: bool) -> None:
    from dataclasses import asdict

    if as_json:
        print_json(asdict(summary))
        return
    left = describe_left_out(summary.left_out) or "none"
    print_table(
        ["", summary.name],
        [
            ("Chips", count(summary.chips)),
            ("Left out", left),
            ("Scenes", ", ".join(summary.scenes)),
            ("Blocks", f"{summary.blocks_made} made, {summary.blocks_kept} already finished"),
            ("Time", f"{summary.seconds:.1f} s"),
            *(("Note", note) for note in summary.notes),
        ],
    )


def _geometry(corners: Any) -> dict[str, Any]:
    return polygon(corners)
