"""`python -m pipeline chips NAME` lists chips, `chips export NAME` writes them as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli.terminal import (
    Json,
    Name,
    count,
    library,
    plural,
    print_json,
    print_table,
    progress,
)
from pipeline.export import chip_files
from pipeline.geo.footprint import polygon
from pipeline.sources.google.drive import Drive

#: Rows of a table if no limit is given.
SHOWN = 40


class ListByDefault(TyperGroup):
    """A group in which `chips NAME` means `chips list NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Insert "list" if the first argument is no command."""
        if args and args[0] not in self.commands:
            args = ["list", *args]
        return super().resolve_command(ctx, args)


chips_app = typer.Typer(
    cls=ListByDefault,
    help="List the chips of a collection, or write them as files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def register(app: typer.Typer) -> None:
    """Add the `chips` commands to the command line."""
    app.add_typer(chips_app, name="chips")


@chips_app.command("list")
def list_chips(
    name: Name,
    as_json: Json = False,
    limit: Annotated[
        int,
        typer.Option(
            help=f"Maximum number of chips; 0 for all in JSON and {SHOWN} in a table.", min=0
        ),
    ] = 0,
) -> None:
    """List a collection's chips with their footprints."""
    table = library().open(name).chips
    total = min(limit, len(table)) if limit else len(table)
    rows = [
        {
            "id": table.id_of(row),
            "scene_id": table.scene_id_of(row),
            "row": int(table.rows[row]),
            "col": int(table.cols[row]),
            "lon": round(float(table.centres[row, 0]), 7),
            "lat": round(float(table.centres[row, 1]), 7),
            "gsd": round(float(table.gsd[row]), 4),
            "nodata_percent": round(float(table.nodata_percent[row]), 2),
            "sharpness": round(float(table.sharpness[row]), 2),
            "geometry": polygon(table.corners[row]),
        }
        for row in range(total)
    ]
    if as_json:
        print_json(rows)
        return
    keys = ["id", "scene_id", "col", "row", "lon", "lat", "nodata_percent", "sharpness"]
    print_table(keys, [tuple(str(row[key]) for key in keys) for row in rows[: limit or SHOWN]])
    if total > SHOWN and not limit:
        typer.echo(f"{count(total)} chips; --limit N shows more, --json all.")


@chips_app.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder for the files.")],
    format: Annotated[str, typer.Option(help="File format: png, jpeg or geotiff.")] = "png",
    chip: Annotated[
        list[str] | None,
        typer.Option(help="Export only this chip, by id; may be given several times."),
    ] = None,
    drive: Annotated[
        str | None, typer.Option(help="Upload the files to this Google Drive folder, too.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write chips as PNG, JPEG or GeoTIFF files with world files and a manifest."""
    with progress() as report:
        files = chip_files.export(
            library().open(name),
            to,
            format=format,
            chips=chip or (),
            drive=Drive(drive) if drive else None,
            progress=report,
        )
    if as_json:
        print_json(
            {"folder": str(files.folder), "chips": files.chips, "written": files.written,
             "uploaded": files.uploaded}
        )  # fmt: skip
    else:
        typer.echo(f"{plural(files.chips, 'chip')} in {files.folder}, {count(files.written)} new")
