"""`python -m pipeline collections|info|rename|describe|delete|restore`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.build import brightness
from pipeline.build.build import describe_left_out
from pipeline.cli.terminal import (
    Json,
    Name,
    checked_text,
    count,
    library,
    print_json,
    print_table,
)
from pipeline.errors import LookalikeError
from pipeline.jobs.queue import Jobs
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library


def register(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("collections")(list_collections)
    for command in (info, drop, delete, restore, rename, describe):
        app.command()(command)


def list_collections(as_json: Json = False) -> None:
    """List the collections."""
    present = library()
    rows = [_summary(present, name) for name in present.names()]
    if as_json:
        print_json(rows)
        return
    if not rows:
        typer.echo("No collections. Make one: python -m pipeline build --scene FILE --name NAME")
        return
    cells = [
        (
            row["name"],
            row["title"],
            count(row["chips"]),
            str(row["stride"] or ""),
            row["state"],
            row["updated"],
        )
        for row in rows
    ]
    print_table(
        ["Name", "Title", "Chips", "Stride", "State", "Updated"], cells, right=frozenset({2, 3})
    )


def info(name: Name, as_json: Json = False) -> None:
    """Show what a collection contains and how it was made."""
    collection = library().open(name)
    use = collection.disk_use()
    if as_json:
        print_json(
            {
                **collection.manifest.to_dict(),
                "scenes": [scene.to_item() for scene in collection.scenes.values()],
                "bytes": sum(use.values()),
                "disk": use,
                "path": str(collection.path),
                "state": _state(collection),
            }
        )
        return
    manifest = collection.manifest
    model = manifest.model
    rows = [
        ("Title", manifest.title),
        ("State", _state(collection)),
        ("Chips", f"{count(manifest.chips)} at stride {manifest.stride}"),
        ("Skipped", describe_left_out(manifest.left_out) or "none"),
        ("Quality", manifest.quality or "of an earlier version, without descriptors"),
        ("Model", f"{model.name}, {model.mode} mode, {model.weights_sha256[:12]}…"),
        ("Brightness", _brightness(collection)),
        ("Object cells", _layers(collection)),
        ("Disk", f"{sum(use.values()) / 1e6:.1f} MB in {collection.path}"),
        *((f"  {part}", f"{used / 1e6:.1f} MB") for part, used in use.items() if used),
        ("Built", f"{manifest.updated}, {manifest.seconds:.0f} s"),
    ]
    rows += [
        (
            f"Scene {number}",
            f"{scene.title}: {scene.width}×{scene.height} px, {scene.gsd:.2f} m, "
            f"{scene.datetime or 'date unknown'}",
        )
        for number, scene in enumerate(collection.scenes.values(), 1)
    ]
    print_table(["", name], rows)


def drop(
    name: Name,
    part: Annotated[str, typer.Argument(help="cells or index.")],
) -> None:
    """Free the disk space of a part that can be made again.

    `build NAME` makes the object cells again, the next search the index.
    """
    freed = library().drop(name, part)
    typer.echo(f"Dropped the {part} of {name}: {freed / 1e6:.1f} MB freed.")


def delete(
    name: Name,
    now: Annotated[bool, typer.Option("--now", help="Delete permanently.")] = False,
) -> None:
    """Move a collection to the trash, from which it can be restored for a week."""
    token = library().delete(name, keep=not now)
    typer.echo(f"Deleted {name}." + (f" Undo: python -m pipeline restore {token}" if token else ""))


def restore(token: Annotated[str, typer.Argument(help="The token that `delete` printed.")]) -> None:
    """Restore a deleted collection."""
    typer.echo(f"Restored {library().restore(token).name}.")


def rename(name: Name, new_name: Annotated[str, typer.Argument(help="The new name.")]) -> None:
    """Rename a collection."""
    renamed = Jobs(settings().home).rename_collection(library(), name, new_name)
    typer.echo(f"{name} is now {renamed.name}.")


def describe(
    name: Name,
    title: Annotated[str | None, typer.Option(help="New title.", callback=checked_text)] = None,
    description: Annotated[
        str | None, typer.Option(help="New description.", callback=checked_text)
    ] = None,
) -> None:
    """Change a collection's title or description."""
    library().describe(name, title=title, description=description)
    typer.echo(f"Described {name}.")


def _summary(present: Library, name: str) -> dict[str, Any]:
    try:
        collection = present.open(name)
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


def _layers(collection: Collection) -> str:
    """The layers of object cells in words."""
    if not collection.manifest.cells:
        return f"none; python -m pipeline build {collection.name} makes them"
    layers = []
    for layer in collection.manifest.cells:
        size = f"things of {layer.object_size:g} m" if layer.object_size else "scale 1"
        layers.append(size + (" in a part of it" if layer.area else ""))
    return "for " + ", ".join(layers)


def _brightness(collection: Collection) -> str:
    if collection.manifest.stretches is not None:
        return brightness.describe(collection)
    return (
        f"{brightness.describe(collection)}; python -m pipeline build {collection.name} "
        "--restretch shows 8-bit RGB as stored and the rest with one stretch per sensor"
    )


def _state(collection: Collection) -> str:
    if collection.busy:
        return "building"
    return "complete" if collection.manifest.complete else "unfinished"
