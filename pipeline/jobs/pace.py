"""How fast this machine embeds, judged by its earlier builds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.build.preflight import DENSE_EXTRA, ROUGH_SECONDS, Pace
from pipeline.errors import LookalikeError
from pipeline.imagery.chips import chip_cost

if TYPE_CHECKING:
    from pipeline.collection.library import Library
    from pipeline.jobs.queue import Jobs
    from pipeline.settings import Settings


def pace_of(jobs: Jobs, library: Library, settings: Settings, mode: str, stride: int) -> Pace:
    """How fast this machine embeds: from its last jobs, else from its collections, else a guess."""
    seconds = jobs.seconds_a_chip(mode, stride, settings)
    if seconds is None:
        known = sorted(_manifest_paces(library, mode))
        seconds = known[len(known) // 2] * chip_cost(mode, stride) if known else None
    if seconds is not None:
        return Pace(seconds, True)
    halos = DENSE_EXTRA if mode == "dense" else 1.0
    threads = max(min(settings.threads, 8), 1)
    return Pace(ROUGH_SECONDS * halos * chip_cost(mode, stride) / threads, False)


def _manifest_paces(library: Library, mode: str) -> list[float]:
    paces = []
    for name in library.names():
        try:
            manifest = library.open(name).manifest
        except LookalikeError:
            continue
        measured = manifest.complete and manifest.model.mode == mode
        if measured and manifest.chips >= 20 and manifest.seconds:
            paces.append(manifest.seconds / manifest.chips / chip_cost(mode, manifest.stride))
    return paces
