"""`python -m pipeline check`: how many hits of a saved search are right, from a random sample."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from pipeline.cli.terminal import (
    Json,
    Name,
    checked_number,
    checked_text,
    count,
    library,
    plural,
    print_json,
    print_table,
)
from pipeline.errors import QueryError
from pipeline.objects.saved import ObjectSearches
from pipeline.search.check import Check, Checked, CheckStore, drawn, judge
from pipeline.search.saved import Searches


def register(app: typer.Typer) -> None:
    """Add the command to the command line."""
    app.command()(check)


def check(
    name: Name,
    saved: Annotated[str, typer.Argument(help="Id of the saved search, as `searches` lists it.")],
    n: Annotated[
        int | None, typer.Option("--n", help="Number of hits to judge, 50 by default.")
    ] = None,
    error: Annotated[
        float | None,
        typer.Option(
            help="Instead of --n: the error wanted for the whole list, such as 0.1.",
            callback=checked_number,
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(help="JSON file of judgements to record: id → good, bad, skip or null."),
    ] = None,
    reviewer: Annotated[
        str, typer.Option(help="Who judged, kept with the judgements.", callback=checked_text)
    ] = "",
    threshold: Annotated[
        float | None,
        typer.Option(help="Minimum score of the hits to estimate.", callback=checked_number),
    ] = None,
    seed: Annotated[
        str | None, typer.Option(help="Seed of a new check, hex digits; random if left out.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Draw a random sample of the hits of a saved search, record judgements, estimate precision.

    The first call draws the sample; --n draws more. The hits to judge next are listed without
    their scores.
    """
    collection = library().open(name)
    objects = ObjectSearches(collection)
    store: CheckStore = objects if objects.holds(saved) else Searches(collection)
    given = _answers(answers)

    def change(checked: Checked) -> Check:
        check = drawn(checked, n, error, _seed(seed))
        return judge(Checked.of(check, checked.hits, checked.gone), given, reviewer)

    checked = store.change_check(saved, change)
    items = store.check_items(saved, checked.next())
    estimates = checked.at([threshold]) if threshold is not None else list(checked.estimates)
    found = checked.check
    if as_json:
        print_json(
            {
                "size": found.size if found else 0,
                "judged": len(checked.judged),
                "population": len(checked.hits),
                "seed": found.seed if found else None,
                "strata": list(found.strata) if found else [],
                "next": [asdict(item) for item in items],
                "estimates": [asdict(each) for each in estimates],
            }
        )
        return
    print_table(
        ["Score from", "Hits", "Judged", "Right", "95% interval", "Recall in the list"],
        [
            (
                f"{each.threshold:.2f}",
                count(each.hits),
                count(each.judged),
                _percent(each.precision),
                f"{each.low:.0%} to {each.high:.0%}",
                _percent(each.recall)
                + (
                    ""
                    if each.recall is None
                    else f" ({each.recall_low:.0%} to {each.recall_high:.0%})"
                ),
            )
            for each in estimates
        ],
        right=frozenset({0, 1, 2, 3}),
    )
    drawn_size = found.size if found else 0
    typer.echo(f"{len(checked.judged)} of {drawn_size} judged")
    if items:
        typer.echo(f"{plural(len(items), 'hit')} to judge; --json lists them, --answers records")


def _answers(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    remedy = 'Write {"id": "good"} with ids of the hits to judge'
    try:
        answers = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise QueryError(
            "The judgements cannot be read as JSON", where=path, remedy=remedy
        ) from error
    if not isinstance(answers, dict) or not all(
        mark is None or isinstance(mark, str) for mark in answers.values()
    ):
        raise QueryError("The judgements are not ids with marks", where=path, remedy=remedy)
    return answers


def _seed(seed: str | None) -> str | None:
    if seed is not None and not (1 <= len(seed) <= 16 and set(seed) <= set("0123456789abcdef")):
        raise QueryError("The seed is not made of 1 to 16 hex digits", where=seed[:40])
    return seed


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}"
