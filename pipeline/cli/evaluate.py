"""`python -m pipeline evaluate`: how many of the hits are right, on labelled pictures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, cast

import typer

from pipeline.analysis import evaluate as measure
from pipeline.cli.terminal import Json, print_json, print_table, progress


def register(app: typer.Typer) -> None:
    """Add the `evaluate` command to the command line."""
    app.command()(evaluate)


def evaluate(
    folder: Annotated[Path, typer.Argument(help="Folder with one subfolder of pictures a class.")],
    method: Annotated[
        str, typer.Option(help="How pictures are compared: plain, default or thorough.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Measure retrieval on labelled pictures: every one a query, itself excluded."""
    with progress() as report:
        found = measure.evaluate(folder, cast("measure.Method", method), report)
    if as_json:
        print_json(found.to_dict())
        return
    figures = [("mAP", found.map), ("ANMRR", found.anmrr)]
    figures += [(f"P@{k}", value) for k, value in found.precision.items()]
    rows = [(name, f"{value:.3f}") for name, value in figures]
    print_table(["", f"{found.queries} queries"], rows, right=frozenset({1}))
    for reason in found.left_out:
        typer.echo(f"Left out: {reason}")
