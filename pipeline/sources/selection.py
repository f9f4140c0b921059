"""Which candidates are fetched unless the user chooses."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.geo.antimeridian import split
from pipeline.geo.area import Area
from pipeline.sources.candidates import Candidate
from pipeline.sources.source import share_of

#: Sources whose candidates are all taken: files the user named, and images of a composite.
TAKEN_WHOLE = ("raster", "drive", "earth_engine")
#: Share of the area that one more image must add.
LEAST_GAIN = 0.01


def best(area: Area | None, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that a fetch takes by default.

    From files, Drive folders and Earth Engine: all.  From a catalogue: the images of one day, the
    one that covers most of the area (to a tenth), then the least cloudy, then the latest; and of
    that day only images that add to the cover.

    Args:
        area: The area, or None.
        candidates: All of one source.
    """
    if not candidates or candidates[0].source in TAKEN_WHOLE:
        return list(candidates)
    by_day: dict[str, list[Candidate]] = {}
    for candidate in candidates:
        # Drone images of a place are rarely of one day; together they show it.
        by_day.setdefault("" if candidate.source == "openaerialmap" else candidate.day, []).append(
            candidate
        )

    def merit(day: str) -> tuple[float, float, str]:
        from shapely import union_all

        share = share_of(area, union_all([candidate.footprint for candidate in by_day[day]]))
        clouds = [candidate.cloud for candidate in by_day[day] if candidate.cloud is not None]
        cloud = sum(clouds) / len(clouds) if clouds else 0.0
        return (round(share, 1), -cloud, day)

    return _adding_cover(area, by_day[max(by_day, key=merit)])


def _adding_cover(area: Area | None, candidates: list[Candidate]) -> list[Candidate]:
    """Candidates, in their order, that each cover a part of the area not covered before."""
    if area is None:
        return candidates
    uncovered = area.geometry
    kept: list[Candidate] = []
    for candidate in candidates:
        footprint = split(candidate.footprint)
        gain = uncovered.intersection(footprint).area
        if gain > LEAST_GAIN * area.geometry.area or not kept:
            kept.append(candidate)
            uncovered = uncovered.difference(footprint)
    return kept
