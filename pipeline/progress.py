"""Progress of a stage, and how its caller cancels it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One progress report of a stage.

    Attributes:
        stage: Name of the stage, as shown to users ("Embedding").
        done: Units finished.
        total: Units in all, 0 while unknown.
        unit: What is counted ("chips", "bytes", "blocks").
        note: A detail to show ("block r0002-c0001 of landsat7-1f2e3d4c").
    """

    stage: str
    done: int
    total: int
    unit: str
    note: str = ""


#: Called with every report.  To cancel the stage, the callback raises `errors.Cancelled`.
OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The callback of a caller that ignores progress."""
