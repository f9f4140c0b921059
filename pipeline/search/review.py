"""Marks: what a user can say of a hit, and the hits that have some of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol, TypeVar

from pipeline.errors import QueryError

GOOD, BAD, SKIP = "good", "bad", "skip"
MARKS = (GOOD, BAD, SKIP)
#: Stands for the mark of a hit that has none.
UNMARKED = "none"


class Scored(Protocol):
    """A hit."""

    @property
    def score(self) -> float:
        """Its score."""


Found = TypeVar("Found", bound=Scored)


def check_mark(mark: str, known: Sequence[str] = MARKS) -> None:
    """Raise `QueryError` if there is no such mark."""
    if mark not in known:
        raise QueryError("No such mark", where=str(mark)[:40], remedy=f"Use {', '.join(known)}")


def choose(
    hits: Iterable[Found],
    mark_of: Callable[[Found], str | None],
    least: float | None = None,
    marks: Sequence[str] | None = None,
) -> tuple[Found, ...]:
    """The hits at or above a score, or marked good, that have one of some marks.

    Args:
        hits: The hits, best first.
        mark_of: The mark of a hit, "" or None if it has none.
        least: Minimum score, or None for all.
        marks: Of `MARKS`, and "none" for hits without one; None for all.

    Raises:
        QueryError: If there is no such mark.
    """
    for mark in sorted(set(marks or ())):
        check_mark(mark, (*MARKS, UNMARKED))
    return tuple(
        hit
        for hit in hits
        if (least is None or hit.score >= least or mark_of(hit) == GOOD)
        and (marks is None or (mark_of(hit) or UNMARKED) in marks)
    )
