"""`python -m pipeline chips NAME` lists chips, `chips export NAME` writes them as files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from pipeline.cli.terminal import Json, Name, count, print_json, progress
from pipeline.collection.library import Library
from pipeline.export import chip_files
from pipeline.settings import settings
from pipeline.sources.google.files import Drive


class ListByDefault(TyperGroup):
    """A group in which `chips NAME` means `chips list NAME`."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """As click's own, with "list" put before what is no command."""
        if args and args[0] not in self.commands:
            args = ["list", *args]
        return super().resolve_command(ctx, args)


chips_app = typer.Typer(
    cls=ListByDefault,
    help="List the chips of a collection, or write them as files.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@chips_app.command()
def export(
    name: Name,
    to: Annotated[Path, typer.Option(help="Folder for the files.")],
    format: Annotated[str, typer.Option(help="png, jpeg or geotiff.")] = "png",
    chip: Annotated[
        list[str] | None, typer.Option(help="Id of a chip; may be given several times.")
    ] = None,
    drive: Annotated[
        str | None, typer.Option(help="Upload them to this Google Drive folder as well.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Write chips as PNG, JPEG or GeoTIFF files with world files and a manifest."""
    collection = Library(settings().home).open(name)
    with progress() as report:
        made = chip_files.export(
            collection,
            to,
            format=format,
            chips=chip or (),
            drive=Drive(drive) if drive else None,
            progress=report,
        )
    if as_json:
        print_json(
            {"folder": str(made.folder), "chips": made.chips, "written": made.written,
             "uploaded": made.uploaded}
        )  # fmt: skip
    else:
        typer.echo(f"{count(made.chips)} chips in {made.folder}, {count(made.written)} new")
