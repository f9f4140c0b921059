"""Pre-flight: what a build will need and make, and what speaks against it, before it runs.

Chips are counted exactly where a scene's grid is known, by the very rule that leaves chips out
(`chips.cut`); time is taken from this machine's own past builds.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.names import proposed_name
from pipeline.geo import antimeridian
from pipeline.geo.area import area_km2
from pipeline.geo.footprint import Georeference
from pipeline.imagery.chips import CHIP
from pipeline.sources.source import cover

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.geo.area import Area
    from pipeline.sources.candidates import Candidate, Estimate

#: Seconds a chip on one thread before this machine has built anything; from an ordinary laptop.
ROUGH_SECONDS = 0.25
#: What the dense mode's halos add to the ground it covers.
DENSE_EXTRA = 1.7
#: Seconds a build takes besides embedding: workers start, the model loads, the index is made.
START_SECONDS = 15.0
#: Bytes one chip takes: its vector in the part and in the index, its footprint, its columns.
CHIP_BYTES = 9_500
#: A scene as a Cloud-Optimised GeoTIFF, in uncompressed bytes, with its overviews.
COG_SHARE = 1.34
#: A build longer than this deserves a word.
LONG_SECONDS = 6 * 3600
#: Share of the area without imagery that goes unmentioned.
SLIVER = 0.005
_MOST_COUNTED = 4_000_000


@dataclass(frozen=True)
class Notice:
    """Something to know before building.

    Attributes:
        level: "stop", "warning" or "note".
        what: A sentence without its full stop.
        remedy: What to do about it, a sentence without its full stop, or "".
    """

    level: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Pace:
    """How fast this machine embeds.

    Attributes:
        seconds: Seconds a chip.
        known: Whether it was measured in past builds; otherwise it is a guess.
    """

    seconds: float
    known: bool


@dataclass(frozen=True)
class Preflight:
    """What a build will need and make.

    Attributes:
        area_km2: Size of the area, or of the scenes where there is none.
        covered_km2: Size of its part under imagery.
        missing: The part of the area without imagery, EPSG:4326, or None.
        pixels: Pixels that are read.
        chips: Chips that are made, at most.
        seconds: Time it takes on this machine.
        pace: Where that time comes from.
        transfer: Bytes to fetch from elsewhere.
        disk: Bytes needed on disk.
        free: Bytes free there.
        notices: What to know, what stops it first.
    """

    area_km2: float
    covered_km2: float
    missing: BaseGeometry | None
    pixels: int
    chips: int
    seconds: float
    pace: Pace
    transfer: int
    disk: int
    free: int
    notices: tuple[Notice, ...]

    @property
    def ready(self) -> bool:
        """Whether nothing stops it."""
        return not any(notice.level == "stop" for notice in self.notices)

    @property
    def share(self) -> float:
        """Part of the area under imagery, 0 to 1."""
        return min(1.0, self.covered_km2 / self.area_km2) if self.area_km2 else 0.0


def preflight(
    area: Area | None,
    imagery: Sequence[Candidate],
    *,
    stride: int,
    pace: Pace,
    home: Path,
    estimate: Estimate | None = None,
) -> Preflight:
    """Look at everything that can be known beforehand.

    Args:
        area: The area of interest, or None for whole scenes.
        imagery: What the collection is to be made of.
        stride: Pixels between neighbouring chips.
        pace: See `pace_of`.
        home: Where it will be kept.
        estimate: What the source says a fetch costs, where it has to be fetched.
    """
    coverage = cover(area, imagery)
    geometry = area.geometry if area else None
    missing = geometry.difference(coverage.footprint) if geometry is not None else None
    if missing is not None and geometry is not None and missing.area <= SLIVER * geometry.area:
        missing = None
    chips = sum(count_chips(one, geometry, stride) for one in imagery)
    pixels = sum(count_pixels(one, geometry) for one in imagery)
    transfer = estimate.bytes if estimate else 0
    disk = chips * CHIP_BYTES + sum(_kept_bytes(one, geometry) for one in imagery) + transfer
    found = Preflight(
        area_km2=area.area_km2 if area else coverage.area_km2,
        covered_km2=coverage.covered_km2,
        missing=missing,
        pixels=pixels,
        chips=chips,
        seconds=START_SECONDS + chips * pace.seconds,
        pace=pace,
        transfer=transfer,
        disk=disk,
        free=free_bytes(home),
        notices=(),
    )
    notices = tuple(_notices(found, area, imagery, stride, estimate))
    order = ("stop", "warning", "note")
    ranked = tuple(sorted(notices, key=lambda notice: order.index(notice.level)))
    return Preflight(**{**vars(found), "notices": ranked})


def count_chips(imagery: Candidate, area: BaseGeometry | None, stride: int) -> int:
    """Chips of a scene whose centre lies in the area."""
    if "transform" not in imagery.facts:
        return _estimated_chips(imagery, area, stride)
    width, height = imagery.facts["size"]
    wkb = None if area is None else area.wkb
    place = Georeference(imagery.facts["crs"], tuple(imagery.facts["transform"]))
    return _counted(place, width, height, wkb, stride)


def count_pixels(imagery: Candidate, area: BaseGeometry | None) -> int:
    """Pixels of a scene that lie in the area, about."""
    if "size" in imagery.facts:
        width, height = imagery.facts["size"]
        return round(width * height * _inside(imagery, area))
    if not imagery.gsd:
        return 0
    footprint = imagery.footprint
    part = footprint if area is None else antimeridian.intersection(footprint, area)
    return round(area_km2(part) * 1e6 / imagery.gsd**2)


def free_bytes(home: Path) -> int:
    """Bytes free where `home` is, or will be."""
    place = home
    while not place.exists():
        place = place.parent
    return shutil.disk_usage(place).free


@lru_cache(maxsize=256)
def _counted(place: Georeference, width: int, height: int, wkb: bytes | None, stride: int) -> int:
    import shapely

    if min(width, height) < CHIP:
        return 0
    cols, rows = (_starts(length, stride) for length in (width, height))
    if wkb is None:
        return len(cols) * len(rows)
    area = shapely.from_wkb(wkb)
    # A grid beyond this is sampled: every n-th row and column stands for its neighbours.
    thin = int(np.ceil(np.sqrt(max(len(cols) * len(rows) / _MOST_COUNTED, 1))))
    x, y = np.meshgrid(cols[::thin] + CHIP / 2, rows[::thin] + CHIP / 2)
    lon, lat = place.lonlat(x.ravel(), y.ravel())
    return int(antimeridian.contains(area, lon, lat).sum()) * thin**2


def _starts(length: int, stride: int) -> np.ndarray:
    last = length - CHIP
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def _estimated_chips(imagery: Candidate, area: BaseGeometry | None, stride: int) -> int:
    return max(1, round(count_pixels(imagery, area) / stride**2))


def _inside(imagery: Candidate, area: BaseGeometry | None) -> float:
    """Part of a scene that lies in the area, 0 to 1."""
    if area is None:
        return 1.0
    part = antimeridian.intersection(imagery.footprint, area)
    return float(part.area / imagery.footprint.area)


def _kept_bytes(imagery: Candidate, area: BaseGeometry | None) -> int:
    """Bytes of the scene's own copy; of one on this machine all of it is kept."""
    if "size" not in imagery.facts:
        return round(count_pixels(imagery, area) * 3 * COG_SHARE)
    width, height = imagery.facts["size"]
    share = 1.0 if "://" not in imagery.id else _inside(imagery, area)
    return round(width * height * share * imagery.facts.get("bytes_per_pixel", 3) * COG_SHARE)


def _notices(
    found: Preflight,
    area: Area | None,
    imagery: Sequence[Candidate],
    stride: int,
    estimate: Estimate | None,
) -> list[Notice]:
    """Everything worth saying about a pre-flight."""
    if not imagery:
        return [Notice("stop", "No imagery is chosen", "Choose where it comes from")]
    notices = [Notice("note", note) for note in (area.notes if area else ())]
    if estimate and estimate.refusal:
        notices.append(Notice("stop", estimate.refusal.what, estimate.refusal.remedy))
    notices += [
        Notice("note", limit.rstrip(".")) for limit in (estimate.limits if estimate else ())
    ]
    notices += _about_coverage(found, imagery, stride)
    if found.disk > found.free:
        notices.append(
            Notice(
                "stop",
                f"This needs {found.disk / 1e9:.1f} GB of disk; {found.free / 1e9:.1f} GB are free",
                "Free some space, draw a smaller area, or choose a wider stride",
            )
        )
    if found.seconds > LONG_SECONDS and found.chips:
        notices.append(
            Notice(
                "warning",
                f"This takes about {found.seconds / 3600:.0f} hours",
                "A wider stride makes far fewer chips; it may also run overnight and be resumed",
            )
        )
    return notices


def _about_coverage(found: Preflight, imagery: Sequence[Candidate], stride: int) -> list[Notice]:
    small = [one for one in imagery if "size" in one.facts and min(one.facts["size"]) < CHIP]
    if small:
        width, height = small[0].facts["size"]
        return [
            Notice(
                "stop",
                f"{small[0].title} is {width}×{height} pixels, smaller than one chip of 256×256",
                "Use a larger extract or a finer resolution",
            )
        ]
    if found.covered_km2 == 0:
        return [
            Notice(
                "stop",
                "The imagery does not touch the area",
                "Draw the area on the imagery, or choose other imagery",
            )
        ]
    if not found.chips:
        finest = next((one.gsd for one in imagery if one.gsd), None)
        size = f": {finest * CHIP / 1000:.2g} km a side" if finest else ""
        what = (
            "The area is too small"
            if found.missing is None
            else "The part of the area that has imagery is too small"
        )
        return [
            Notice(
                "stop",
                f"{what}: no chip has its centre inside",
                f"Draw it larger than a chip{size}"
                + (", or choose a narrower stride" if stride > 64 else ""),
            )
        ]
    if found.missing is not None:
        return [
            Notice(
                "warning",
                f"{1 - found.share:.0%} of the area has no imagery",
                "Only the covered part becomes searchable",
            )
        ]
    return []


def free_name(title: str, taken: Iterable[str]) -> str:
    """A name for a collection of this title that is not taken."""
    name = proposed_name(title)[:56].rstrip("-")
    used = set(taken)
    numbers = itertools.count(2)
    free = name
    while free in used:
        free = f"{name}-{next(numbers)}"
    return free
