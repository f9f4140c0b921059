"""Plans of composites: the scenes that a fetch makes, their tiles, and what they cost.

Earth Engine and STAC catalogues share this.  Every scene of a fetch lies on the same grid, so that
the chips of one date are the chips of another.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pipeline.sources.candidates import Candidate, Estimate, Refusal
from pipeline.sources.files import safe_name
from pipeline.sources.pixel_grid import PixelGrid, Tile
from pipeline.sources.source import fingerprint

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

#: Pixels of one fetch; more are a mistake rather than an area.
MOST_PIXELS = 20_000_000_000
#: Characters of a day that images of one scene have in common.
_PERIODS = {"day": 10, "year": 4}


@dataclass(frozen=True)
class Plan(ABC):
    """One scene to be made.

    Attributes:
        images: What it is made of; the last one goes on top.
        grid: Pixels of the whole scene.
        outline: The area, EPSG:4326; tiles that do not touch it are not fetched.
        title: Title of the scene.
    """

    images: tuple[Candidate, ...]
    grid: PixelGrid
    outline: BaseGeometry
    title: str

    @property
    @abstractmethod
    def content(self) -> tuple[Any, ...]:
        """What decides the pixels besides grid and outline, JSON-serialisable."""

    @property
    def datetime(self) -> str | None:
        """Latest acquisition time of its images, ISO 8601 UTC."""
        return max((image.datetime for image in self.images if image.datetime), default=None)

    @property
    def stem(self) -> str:
        """File name without suffix: the same request has the same one, another has another."""
        mark = fingerprint(*self.content, self.grid, self.outline.wkb_hex)
        return f"{safe_name(self.title)}-{mark}"

    def tiles(self, side: int) -> list[Tile]:
        """The tiles near the area, of at most `side` pixels a side."""
        return self.grid.tiles(side, self.outline)


def group_images(candidates: Sequence[Candidate], composite: str) -> list[tuple[Candidate, ...]]:
    """Candidates that become one scene together, the oldest group first.

    Args:
        candidates: All of them.
        composite: "day" and "year" make a group of each, "scene" one of each image; any other
            makes one group, with the least cloudy image last for "clearest".

    Returns:
        Each group in order of time, or of clouds.
    """
    groups: dict[str, list[Candidate]] = {}
    for image in sorted(candidates, key=lambda image: (image.datetime or "", image.id)):
        key = image.id if composite == "scene" else image.day[: _PERIODS.get(composite, 0)]
        groups.setdefault(key, []).append(image)
    if composite == "clearest":
        for images in groups.values():
            images.sort(key=lambda image: -(image.cloud or 0.0))
    return [tuple(images) for images in sorted(groups.values(), key=lambda images: images[0].day)]


def span_of(images: Sequence[Candidate]) -> str:
    """The day of images, or the first and the last one."""
    days = sorted({image.day for image in images})
    return days[0] if len(days) == 1 else f"{days[0]} to {days[-1]}"


def cost_of(
    plans: Sequence[Plan],
    side: int,
    *,
    bytes_per_pixel: int,
    nothing: str,
) -> Estimate:
    """Pixels, bytes and requests of the tiles of some plans, and whether they are too many.

    Args:
        plans: The scenes.
        side: Pixels a side of a tile.
        bytes_per_pixel: Bytes of all bands of one pixel.
        nothing: What to do where there is no plan.
    """
    tiles = [tile for plan in plans for tile in plan.tiles(side)]
    pixels = sum(tile.width * tile.height for tile in tiles)
    refusal = too_many(pixels) if plans else Refusal("There is no image to fetch", nothing)
    return Estimate(pixels, pixels * bytes_per_pixel, len(tiles), len(plans), refusal=refusal)


def too_many(
    pixels: int, remedy: str = "Draw a smaller area or choose a coarser scale"
) -> Refusal | None:
    """The refusal of a fetch with more pixels than `MOST_PIXELS`, or None."""
    if pixels <= MOST_PIXELS:
        return None
    return Refusal(
        f"{pixels / 1e9:.0f} billion pixels are more than one fetch may have "
        f"({MOST_PIXELS / 1e9:.0f})",
        remedy,
    )
