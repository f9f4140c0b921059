"""How a slow stage tells its caller where it stands, and learns that it should stop."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """One report of a running stage.

    Attributes:
        stage: What is being done, as a user would say it ("Embedding chips").
        done: Units finished.
        total: Units in all, 0 while unknown.
        unit: What is counted ("chips", "bytes", "blocks").
        note: A detail worth a line ("block r0002-c0001 of landsat7-1f2e3d4c").
    """

    stage: str
    done: int
    total: int
    unit: str
    note: str = ""


#: Called with every report.  To cancel the stage the callback raises `errors.Cancelled`.
OnProgress = Callable[[Progress], None]


def silent(_: Progress) -> None:
    """The callback of a caller that does not care."""
