"""Which candidates to take when the user has not said."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.geo.area import Area
from pipeline.sources.candidates import Candidate
from pipeline.sources.source import share_of

WHOLE = ("raster", "drive", "earth_engine")  # what was named, or is laid together by a composite
ENOUGH = 0.01  # part of the area that one more image must add


def best(area: Area | None, candidates: Sequence[Candidate]) -> list[Candidate]:
    """The candidates that a fetch takes by default.

    Files, Drive folders and Earth Engine's composites take all.  Of a catalogue it is one day: the
    one that covers most of the area, among those (to a tenth) the least cloudy, then the latest;
    and of that day only images that add something.

    Args:
        area: The area, or None.
        candidates: All of one source.
    """
    if not candidates or candidates[0].source in WHOLE:
        return list(candidates)
    days: dict[str, list[Candidate]] = {}
    for one in candidates:
        # Drone pictures of a place are rarely of one day; together they are one picture of it.
        days.setdefault("" if one.source == "openaerialmap" else one.day, []).append(one)

    def merit(day: str) -> tuple[float, float, str]:
        from shapely import union_all

        share = share_of(area, union_all([one.footprint for one in days[day]]))
        clouds = [one.cloud for one in days[day] if one.cloud is not None]
        cloud = sum(clouds) / len(clouds) if clouds else 0.0
        return (round(share, 1), -cloud, day)

    return _needed(area, days[max(days, key=merit)])


def _needed(area: Area | None, candidates: list[Candidate]) -> list[Candidate]:
    """Candidates, in their order, that each cover a part of the area not covered before."""
    if area is None:
        return candidates
    left = area.geometry
    kept: list[Candidate] = []
    for one in candidates:
        gain = left.intersection(one.footprint).area
        if gain > ENOUGH * area.geometry.area or not kept:
            kept.append(one)
            left = left.difference(one.footprint)
    return kept
