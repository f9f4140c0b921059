"""`python -m pipeline evaluate`: retrieval quality on labelled pictures."""

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
    folder: Annotated[
        Path, typer.Argument(help="Folder with one subfolder of pictures per class.")
    ],
    method: Annotated[
        str, typer.Option(help="Method of comparison: plain, default or thorough.")
    ] = "default",
    as_json: Json = False,
) -> None:
    """Measure retrieval on labelled pictures: each is a query for the others of its class."""
    with progress() as report:
        result = measure.evaluate(folder, cast("measure.Method", method), report)
    if as_json:
        print_json(result.to_dict())
        return
    figures = [("mAP", result.map), ("ANMRR", result.anmrr)]
    figures += [(f"P@{k}", value) for k, value in result.precision.items()]
    rows = [(name, f"{value:.3f}") for name, value in figures]
    print_table(["", f"{result.queries} queries"], rows, right=frozenset({1}))
    for reason in result.left_out:
        typer.echo(f"Skipped: {reason}")
