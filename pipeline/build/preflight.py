"""Pre-flight: what a build needs and makes, and what prevents it, computed before it starts.

If a scene's grid is known, chips are counted exactly, by the same rule as in `chips.cut`.  Times
come from earlier builds on this machine.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.names import proposed_name
from pipeline.geo import antimeridian
from pipeline.geo.area import area_km2
from pipeline.geo.footprint import Georeference
from pipeline.imagery.chips import CHIP, chip_cost
from pipeline.model.cells import scale_for
from pipeline.model.descriptor import LENGTHS, PASSES, Quality
from pipeline.model.resnet import CELL_PIXELS
from pipeline.sources.source import cover

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.geo.area import Area
    from pipeline.sources.candidates import Candidate, Estimate

#: Seconds per chip and thread if there are no earlier builds; measured on an ordinary laptop.
ROUGH_SECONDS = 0.25
#: Factor of area that the halos of the dense mode add.
DENSE_EXTRA = 1.7
#: Seconds of a build besides embedding: starting workers, loading the model, indexing.
START_SECONDS = 15.0
#: Cost of the network's first four stages, which make object cells, relative to all five.
CELL_SHARE = 0.85
#: Factor of area that the halos of object cells add where they are a pass of their own.
CELL_EXTRA = 1.27
#: Bytes per object cell: its codes in the file, and the length of its window in the index.
CELL_BYTES = 66
#: Bytes per chip of standard quality: its vector in the part and in the index, its descriptor, its
#: rows of the graph, its footprint and other columns.
CHIP_BYTES = 14_600
#: Size of a scene's COG relative to its uncompressed pixels, including overviews.
COG_SHARE = 1.34
#: Builds that take longer than this get a warning.
LONG_SECONDS = 6 * 3600
#: Share of the area without imagery that needs no warning.
SLIVER = 0.005
_MOST_COUNTED = 4_000_000


@dataclass(frozen=True)
class Notice:
    """Something to know before building.

    Attributes:
        level: "stop", "warning" or "note".
        what: A sentence without its full stop.
        remedy: What to do, a sentence without its full stop, or "".
    """

    level: str
    what: str
    remedy: str = ""


@dataclass(frozen=True)
class Pace:
    """How fast this machine embeds.

    Attributes:
        seconds: Seconds per chip of standard quality.
        known: Whether it was measured in earlier builds; otherwise it is a rough guess.
    """

    seconds: float
    known: bool


@dataclass(frozen=True)
class Preflight:
    """What a build needs and makes.

    Attributes:
        area_km2: Size of the area, or of the scenes if there is none.
        covered_km2: Size of the covered part of it.
        missing: The part of the area without imagery, EPSG:4326, or None.
        pixels: Pixels to read.
        chips: Maximum number of chips.
        cells: Number of object cells.
        cell_seconds: Estimated duration of the pass that makes them, 0 where the pass over the
            chips yields them, too.
        seconds: Estimated duration on this machine.
        pace: The pace behind that estimate.
        transfer: Bytes to fetch.
        disk: Bytes needed on disk.
        free: Bytes free on disk.
        notices: What to know, the most severe first.
    """

    area_km2: float
    covered_km2: float
    missing: BaseGeometry | None
    pixels: int
    chips: int
    cells: int
    cell_seconds: float
    seconds: float
    pace: Pace
    transfer: int
    disk: int
    free: int
    notices: tuple[Notice, ...]

    @property
    def ready(self) -> bool:
        """Whether the build can start."""
        return not any(notice.level == "stop" for notice in self.notices)

    @property
    def share(self) -> float:
        """Covered share of the area, 0 to 1."""
        return min(1.0, self.covered_km2 / self.area_km2) if self.area_km2 else 0.0


def preflight(
    area: Area | None,
    imagery: Sequence[Candidate],
    *,
    stride: int,
    pace: Pace,
    home: Path,
    estimate: Estimate | None = None,
    mode: str = "chip",
    object_size: float | None = None,
    quality: Quality = "standard",
) -> Preflight:
    """Compute the pre-flight of a build.

    Args:
        area: The area of interest, or None for whole scenes.
        imagery: The chosen imagery.
        stride: Pixels between the starts of neighbouring chips.
        pace: How fast this machine embeds.
        home: The home folder.
        estimate: Cost of fetching the imagery, if it has to be fetched.
        mode: How chips are embedded, "chip" or "dense".
        object_size: Size in metres of the smallest thing looked for, or None.
        quality: Of the descriptors; the thorough one multiplies the time of the chips.
    """
    coverage = cover(area, imagery)
    geometry = area.geometry if area else None
    missing = geometry.difference(coverage.footprint) if geometry is not None else None
    if missing is not None and geometry is not None and missing.area <= SLIVER * geometry.area:
        missing = None
    chips = sum(count_chips(candidate, geometry, stride) for candidate in imagery)
    pixels = sum(count_pixels(candidate, geometry) for candidate in imagery)
    seen = sum(_cell_pixels(candidate, geometry, mode, object_size) for candidate in imagery)
    alone = sum(
        _cell_pixels(candidate, geometry, mode, object_size, alone=True) for candidate in imagery
    )
    cells = seen // CELL_PIXELS**2
    cell_seconds = (
        alone / CHIP**2 * CELL_SHARE * CELL_EXTRA * pace.seconds / chip_cost(mode, stride)
    )
    transfer = estimate.bytes if estimate else 0
    disk = (
        chips * chip_bytes(quality)
        + cells * CELL_BYTES
        + sum(_copy_bytes(candidate, geometry) for candidate in imagery)
        + transfer
    )
    draft = Preflight(
        area_km2=area.area_km2 if area else coverage.area_km2,
        covered_km2=coverage.covered_km2,
        missing=missing,
        pixels=pixels,
        chips=chips,
        cells=cells,
        cell_seconds=cell_seconds,
        seconds=START_SECONDS + chips * chip_seconds(pace, quality) + cell_seconds,
        pace=pace,
        transfer=transfer,
        disk=disk,
        free=free_bytes(home),
        notices=(),
    )
    notices = tuple(_notices(draft, area, imagery, stride, estimate))
    order = ("stop", "warning", "note")
    ranked = tuple(sorted(notices, key=lambda notice: order.index(notice.level)))
    return replace(draft, notices=ranked)


def chip_seconds(pace: Pace, quality: Quality) -> float:
    """Seconds that one chip takes."""
    return pace.seconds * PASSES[quality]


def chip_bytes(quality: Quality) -> int:
    """Bytes that one chip needs on disk; descriptors are kept as float16."""
    return CHIP_BYTES + 2 * (LENGTHS[quality] - LENGTHS["standard"])


def count_chips(imagery: Candidate, area: BaseGeometry | None, stride: int) -> int:
    """Chips of a scene whose centre lies in the area."""
    if "transform" not in imagery.facts:
        return _estimate_chips(imagery, area, stride)
    width, height = imagery.facts["size"]
    wkb = None if area is None else area.wkb
    georeference = Georeference(imagery.facts["crs"], tuple(imagery.facts["transform"]))
    return _count_in_grid(georeference, width, height, wkb, stride)


def count_pixels(imagery: Candidate, area: BaseGeometry | None) -> int:
    """Approximate number of pixels of a scene in the area."""
    if "size" in imagery.facts:
        width, height = imagery.facts["size"]
        return round(width * height * _share_inside(imagery, area))
    if not imagery.gsd:
        return 0
    footprint = imagery.footprint
    part = footprint if area is None else antimeridian.intersection(footprint, area)
    return round(area_km2(part) * 1e6 / imagery.gsd**2)


def object_scale(imagery: Candidate, object_size: float | None) -> float:
    """The scale of the object cells of a scene, 1 where its GSD is unknown."""
    return scale_for(object_size / imagery.gsd) if object_size and imagery.gsd else 1.0


def _cell_pixels(
    imagery: Candidate,
    area: BaseGeometry | None,
    mode: str,
    object_size: float | None,
    *,
    alone: bool = False,
) -> int:
    """Pixels that the network sees for a scene's object cells.

    Args:
        imagery: The scene.
        area: The area of interest, or None.
        mode: How chips are embedded.
        object_size: Size in metres of the smallest thing looked for, or None.
        alone: Count only those seen for cells alone, not for chips in the same pass.
    """
    scale = object_scale(imagery, object_size)
    if alone and mode == "dense" and scale == 1:
        return 0
    return round(count_pixels(imagery, area) * scale**2)


def free_bytes(home: Path) -> int:
    """Free bytes on the disk of `home`, which need not exist yet."""
    folder = home
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


@lru_cache(maxsize=256)
def _count_in_grid(
    georeference: Georeference, width: int, height: int, wkb: bytes | None, stride: int
) -> int:
    import shapely

    if min(width, height) < CHIP:
        return 0
    cols, rows = (_starts(length, stride) for length in (width, height))
    if wkb is None:
        return len(cols) * len(rows)
    area = shapely.from_wkb(wkb)
    # A larger grid is sampled: every n-th row and column represents its neighbours.
    thin = int(np.ceil(np.sqrt(max(len(cols) * len(rows) / _MOST_COUNTED, 1))))
    x, y = np.meshgrid(cols[::thin] + CHIP / 2, rows[::thin] + CHIP / 2)
    lon, lat = georeference.lonlat(x.ravel(), y.ravel())
    return int(antimeridian.contains(area, lon, lat).sum()) * thin**2


def _starts(length: int, stride: int) -> np.ndarray:
    last = length - CHIP
    starts = np.arange(0, last + 1, stride)
    return starts if starts[-1] == last else np.append(starts, last)


def _estimate_chips(imagery: Candidate, area: BaseGeometry | None, stride: int) -> int:
    return max(1, round(count_pixels(imagery, area) / stride**2))


def _share_inside(imagery: Candidate, area: BaseGeometry | None) -> float:
    """Part of a scene that lies in the area, 0 to 1."""
    if area is None:
        return 1.0
    part = antimeridian.intersection(imagery.footprint, area)
    return float(part.area / imagery.footprint.area)


def _copy_bytes(imagery: Candidate, area: BaseGeometry | None) -> int:
    """Bytes of the collection's copy of a scene; local rasters are copied completely."""
    if "size" not in imagery.facts:
        return round(count_pixels(imagery, area) * 3 * COG_SHARE)
    width, height = imagery.facts["size"]
    share = 1.0 if "://" not in imagery.id else _share_inside(imagery, area)
    return round(width * height * share * imagery.facts.get("bytes_per_pixel", 3) * COG_SHARE)


def _notices(
    draft: Preflight,
    area: Area | None,
    imagery: Sequence[Candidate],
    stride: int,
    estimate: Estimate | None,
) -> list[Notice]:
    """Notices of a pre-flight."""
    if not imagery:
        return [Notice("stop", "No imagery is chosen", "Choose where it comes from")]
    notices = [Notice("note", note) for note in (area.notes if area else ())]
    if estimate and estimate.refusal:
        notices.append(Notice("stop", estimate.refusal.what, estimate.refusal.remedy))
    notices += [
        Notice("note", limit.rstrip(".")) for limit in (estimate.limits if estimate else ())
    ]
    notices += _check_coverage(draft, imagery, stride)
    if draft.disk > draft.free:
        notices.append(
            Notice(
                "stop",
                f"This needs {draft.disk / 1e9:.1f} GB of disk; {draft.free / 1e9:.1f} GB are free",
                "Free some space, draw a smaller area, or reduce the chip overlap",
            )
        )
    if draft.seconds > LONG_SECONDS and draft.chips:
        notices.append(
            Notice(
                "warning",
                f"This takes about {draft.seconds / 3600:.0f} hours",
                "Reduce the chip overlap to make fewer chips, or let the build run overnight; "
                "it can be interrupted and resumed",
            )
        )
    return notices


def _check_coverage(draft: Preflight, imagery: Sequence[Candidate], stride: int) -> list[Notice]:
    small = [c for c in imagery if "size" in c.facts and min(c.facts["size"]) < CHIP]
    if small:
        width, height = small[0].facts["size"]
        return [
            Notice(
                "stop",
                f"{small[0].title} is {width}×{height} pixels, smaller than one chip of 256×256",
                "Use a larger extract or a finer resolution",
            )
        ]
    if draft.covered_km2 == 0:
        return [
            Notice(
                "stop",
                "The imagery does not touch the area",
                "Draw the area on the imagery, or choose other imagery",
            )
        ]
    if not draft.chips:
        finest = min((candidate.gsd for candidate in imagery if candidate.gsd), default=None)
        size = f": {finest * CHIP / 1000:.2g} km on each side" if finest else ""
        what = (
            "The area is too small"
            if draft.missing is None
            else "The part of the area that has imagery is too small"
        )
        return [
            Notice(
                "stop",
                f"{what}: no chip has its centre inside",
                f"Draw it larger than a chip{size}"
                + (", or increase the chip overlap" if stride > 64 else ""),
            )
        ]
    if draft.missing is not None:
        return [
            Notice(
                "warning",
                f"{1 - draft.share:.0%} of the area has no imagery",
                "Only the covered part becomes searchable",
            )
        ]
    return []


def free_name(title: str, taken: Iterable[str]) -> str:
    """A free name for a collection of this title."""
    name = proposed_name(title)[:56].rstrip("-")
    used = set(taken)
    numbers = itertools.count(2)
    free = name
    while free in used:
        free = f"{name}-{next(numbers)}"
    return free
