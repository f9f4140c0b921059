"""How fast this machine embeds, measured in earlier builds."""

from __future__ import annotations

from statistics import median_high
from typing import TYPE_CHECKING

from pipeline.build.preflight import DENSE_EXTRA, ROUGH_SECONDS, Pace
from pipeline.errors import LookalikeError
from pipeline.imagery.chips import chip_cost
from pipeline.jobs.job import engine_name
from pipeline.model.descriptor import PASSES

if TYPE_CHECKING:
    from pipeline.collection.library import Library
    from pipeline.jobs.queue import Jobs
    from pipeline.settings import Settings

#: Builds of fewer chips are ignored, because starting workers dominates their time.
FEWEST = 20
#: Number of latest jobs to use.
RECENT = 5


def pace_of(jobs: Jobs, library: Library, settings: Settings, mode: str, stride: int) -> Pace:
    """How fast this machine embeds, from its last jobs, from its collections, or a rough guess.

    A pace is that of standard quality, whatever the jobs and collections had.

    Args:
        jobs: All jobs.
        library: All collections.
        settings: Jobs with another engine than these settings select are ignored.
        mode: "chip" or "dense".
        stride: Pixels between the starts of neighbouring chips.
    """
    paces = _job_paces(jobs, engine_name(settings), mode)[:RECENT] or _manifest_paces(library, mode)
    if paces:
        return Pace(median_high(paces) * chip_cost(mode, stride), True)
    halos = DENSE_EXTRA if mode == "dense" else 1.0
    threads = max(min(settings.threads, 8), 1)
    return Pace(ROUGH_SECONDS * halos * chip_cost(mode, stride) / threads, False)


def _job_paces(jobs: Jobs, engine: str, mode: str) -> list[float]:
    """Seconds per chip of finished jobs, the newest first, divided by what a chip costs."""
    return [
        (job.summary["seconds"] - job.summary.get("cell_seconds", 0))
        / job.summary["made"]
        / chip_cost(mode, job.summary.get("stride", 128))
        / PASSES[job.summary.get("quality") or "standard"]
        for job in jobs.all()
        if job.summary
        and job.engine == engine
        and job.summary.get("mode") == mode
        and job.summary.get("made", 0) >= FEWEST
    ]


def _manifest_paces(library: Library, mode: str) -> list[float]:
    """Seconds per chip of complete collections, divided by what a chip costs."""
    paces = []
    for name in library.names():
        try:
            manifest = library.open(name).manifest
        except LookalikeError:
            continue
        measured = manifest.complete and manifest.model.mode == mode
        if measured and manifest.chips >= FEWEST and manifest.seconds:
            cost = chip_cost(mode, manifest.stride) * PASSES[manifest.quality or "standard"]
            paces.append(manifest.seconds / manifest.chips / cost)
    return paces
