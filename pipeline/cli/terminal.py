"""What all commands share: arguments, tables, JSON, progress bars, notes and errors."""

from __future__ import annotations

import json
import logging
import math
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pipeline.collection.library import Library
from pipeline.errors import Cancelled, LookalikeError, QueryError
from pipeline.geo.area import Area
from pipeline.progress import OnProgress, Progress
from pipeline.settings import settings

if TYPE_CHECKING:
    from rich.text import Text

Name = Annotated[str, typer.Argument(help="Name of a collection.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]
GeoJson = Annotated[bool, typer.Option("--geojson", help="Print a GeoJSON FeatureCollection.")]
Aoi = Annotated[
    Path | None,
    typer.Option(help="Area of interest: GeoJSON, KML, zipped Shapefile or GeoPackage."),
]


def library() -> Library:
    """The collections of this machine."""
    return Library(settings().home)


def area_of_file(path: Path | str) -> Area:
    """The area in a file; changes made to it are printed as notes.

    Raises:
        AreaError: If it cannot be used.
    """
    return _print_notes(Area.from_file(path))


def area_of_text(text: str) -> Area:
    """The area in GeoJSON, in WKT or in a file; changes made to it are printed as notes.

    Raises:
        AreaError: If it cannot be used.
    """
    if re.match(r"\s*(\{|(SRID=\d+;)?\s*(MULTI)?POLYGON[\sZM]*\()", text, re.IGNORECASE):
        return _print_notes(Area.from_text(text))
    return area_of_file(text)


def checked_text(text: str | None) -> str | None:
    """A text that is kept in a file of ours; the callback of its option.

    Raises:
        QueryError: If it is not UTF-8, which is what our files are written in.
    """
    try:
        (text or "").encode()
    except UnicodeEncodeError as error:
        raise QueryError(
            "This text is not UTF-8", where=text, remedy="Type it in a UTF-8 terminal"
        ) from error
    return text


def checked_number(number: float | None) -> float | None:
    """A finite number; the callback of its option.

    Raises:
        QueryError: If it is infinite or "not a number".
    """
    if number is not None and not math.isfinite(number):
        raise QueryError("This is not a finite number", where=number, remedy="For instance 20")
    return number


def check_filled(name: str, value: Any) -> None:
    """Refuse an empty option: an unset variable in a script must not drop a filter.

    Raises:
        QueryError: If it is empty.
    """
    text = ",".join(value) if isinstance(value, list) else value
    if value not in (None, []) and isinstance(text, str) and not text.strip(" ,"):
        flag = name.replace("_", "-")
        raise QueryError(f"--{flag} is empty", remedy="Give it a value, or leave it out")


def _print_notes(area: Area) -> Area:
    for note in area.notes:
        print_note(note)
    return area


def print_note(note: str) -> None:
    """Print what a stage noticed on standard error, apart from the result."""
    typer.echo(f"Note: {note}", err=True)


def print_sentence(note: str) -> None:
    """Print a note that lacks its full stop."""
    print_note(f"{note}.")


def fail(error: Exception) -> None:
    """Print an error as one message and exit with its code; unexpected ones are logged in full."""
    from rich.console import Console

    known = error if isinstance(error, LookalikeError) else _unexpected(error)
    Console(stderr=True).print(f"[bold red]Error:[/] {escape_markup(str(known))}", soft_wrap=True)
    logging.getLogger(__name__).debug("details", exc_info=error)
    sys.exit(known.exit_code)


def print_json(content: Any) -> None:
    """Print a JSON-ready value."""
    typer.echo(json.dumps(content, ensure_ascii=False, indent=1))


def print_table(
    headers: Sequence[str],
    rows: Sequence[tuple[str | Text, ...]],
    right: frozenset[int] = frozenset(),
) -> None:
    """Print rows under headers.

    Args:
        headers: One per column.
        rows: One text per column, plain or styled.  The first column, a name or an id to copy, is
            never wrapped; nothing is if the output is a file or a pipe.
        right: Indices of right-aligned columns.
    """
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, header_style="bold", pad_edge=False)
    for number, header in enumerate(headers):
        table.add_column(
            header,
            justify="right" if number in right else "left",
            overflow="fold",
            no_wrap=number == 0,
        )
    for row in rows:
        # A title in brackets is no markup.
        table.add_row(*(Text(cell) if isinstance(cell, str) else cell for cell in row))
    Console(width=None if sys.stdout.isatty() else 10_000).print(table)


def plural(number: int, noun: str) -> str:
    """1 → "1 chip", 3 → "3 chips"."""
    return f"{count(number)} {noun if number == 1 else noun + 's'}"


def count(number: int) -> str:
    """A number with thin spaces between thousands."""
    return f"{number:,}".replace(",", "\u2009")


def escape_markup(text: str) -> str:
    """Text that Rich prints literally, without markup."""
    from rich.markup import escape

    return escape(text)


@contextmanager
def progress() -> Iterator[OnProgress]:
    """A callback that draws a progress bar for each stage on standard error.

    Raises:
        Cancelled: If the user presses Ctrl-C meanwhile.
    """
    from rich import progress as bars
    from rich.console import Console

    shown = bars.Progress(
        bars.TextColumn("{task.description}"),
        bars.BarColumn(),
        bars.MofNCompleteColumn(),
        bars.TextColumn("{task.fields[unit]}"),
        bars.TextColumn("{task.fields[rate]}"),
        bars.TimeRemainingColumn(),
        console=Console(stderr=True),
    )
    tasks: dict[str, bars.TaskID] = {}

    def report(step: Progress) -> None:
        if step.stage not in tasks:
            tasks[step.stage] = shown.add_task(step.stage, total=None, unit=step.unit, rate="")
        task = tasks[step.stage]
        shown.update(task, completed=step.done, total=step.total or None)
        speed = shown.tasks[shown.task_ids.index(task)].speed
        shown.update(task, rate=f"{speed:.1f}/s" if speed else "")

    with shown:
        try:
            yield report
        except KeyboardInterrupt:
            raise Cancelled(
                "Stopped", remedy="Finished work is kept; the same command continues"
            ) from None


def _unexpected(error: Exception) -> LookalikeError:
    """A message for the user; the traceback goes to a log file."""
    log = settings().home / "logs" / "errors.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            traceback.print_exception(error, file=file)
    except OSError:
        traceback.print_exception(error)
    return LookalikeError(
        f"An unexpected error occurred ({type(error).__name__})",
        where=error,
        remedy=f"The details are in {log}; please report them",
    )
