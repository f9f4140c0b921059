"""Real scenes that set-up brings, so that a first search needs no network.

Two are examples in the installed `localtileserver` package.  Its files are found through its
metadata; the package itself, a tile server, is never imported.  The third, a forest, comes from a
wheel that is fetched as data: `sources.forest`.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnavailableError
from pipeline.settings import settings
from pipeline.sources import forest

PACKAGE = "localtileserver"
_FOLDER = "localtileserver/tiler/data"
_CREDIT = "Landsat imagery courtesy of the U.S. Geological Survey; public domain"


@dataclass(frozen=True)
class Sample:
    """A sample scene.

    Attributes:
        path: Its raster.
        bands: 1-based bands shown as red, green and blue.
        title: Title of the collection.
        stride: Pixels between neighbouring chips.
        credit: Licence and credit.
        percentile: Whether it is too dark to be shown as stored, though it states red, green, blue.
        description: Description of the collection.
        datetime: Acquisition time; None, as no file gives the day.
        object_size: Size in metres of the smallest thing to look for, None for scale 1.
        year: Year of the acquisition, for the scene's title; "" where unknown.
    """

    path: Path
    bands: tuple[int, int, int]
    title: str
    stride: int = 64
    credit: str = _CREDIT
    percentile: bool = False
    description: str = ""
    datetime: str | None = None
    year: str = ""
    object_size: float | None = None

    @property
    def scene_title(self) -> str:
        """Title of the scene: the collection's, and the year where it is known."""
        return f"{self.title}, {self.year}" if self.year else self.title


#: Width of the forest's median tree in metres.
TREE = 4.3
#: Names of the collections made from the samples, in the order in which they are shown.
NAMES = (forest.NAME, "san-francisco-bay", "great-salt-lake")


def rank(name: str) -> int:
    """Sorts collections by name so that the samples come first, in the order of `NAMES`."""
    return NAMES.index(name) if name in NAMES else len(NAMES)


def samples() -> dict[str, Sample]:
    """The sample scenes that are here, by the name of the collection made from each.

    The forest is among them once it was fetched.

    Raises:
        UnavailableError: If the package that carries the others is not installed whole.
    """
    picture = forest.picture(settings().home)
    return {
        **({forest.NAME: _forest(picture)} if picture.is_file() else {}),
        # Near-infrared, red, green as stored: vegetation is red, water nearly black.
        "san-francisco-bay": Sample(
            _file("landsat7.tif"), (1, 2, 3), "San Francisco Bay", percentile=True
        ),
        # Seven Landsat bands; 3, 2, 1 is true colour.
        "great-salt-lake": Sample(_file("landsat.tif"), (3, 2, 1), "Great Salt Lake"),
    }


def _forest(picture: Path) -> Sample:
    # 64 pixels are 6.4 m, the median tree 4.3 m: every tree away from the edge is near the middle
    # of a chip.  The scene is small, so that this makes no more than 1,188 chips.
    return Sample(
        picture,
        (1, 2, 3),
        "Yellowstone forest",
        credit=forest.CREDIT,
        description=forest.DESCRIPTION,
        year="2019",
        object_size=TREE,
    )


def _file(name: str) -> Path:
    try:
        distribution = importlib.metadata.distribution(PACKAGE)
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing(name) from error
    path = Path(str(distribution.locate_file(f"{_FOLDER}/{name}")))
    if not path.is_file():
        raise _missing(name)
    return path


def _missing(name: str) -> UnavailableError:
    return UnavailableError(
        f"The sample scene {name} is not installed",
        where=PACKAGE,
        remedy=f"Install it: pip install {PACKAGE}",
    )
