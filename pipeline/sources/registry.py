"""The kinds of source, by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pipeline.errors import NotFoundError
from pipeline.sources.earth_engine.source import EarthEngine
from pipeline.sources.files import RasterSource
from pipeline.sources.google.drive_folder import DriveSource
from pipeline.sources.openaerialmap import OpenAerialMap
from pipeline.sources.source import Source
from pipeline.sources.stac.source import StacSource


@dataclass(frozen=True)
class SourceKind:
    """A kind of source as a menu shows it.

    Attributes:
        name: Key in `KINDS`.
        title: Name for people.
        needs: What a user must have, or "" where the catalogue is open.
        factory: Its class; called with the options of `open_source`.
    """

    name: str
    title: str
    needs: str
    factory: Callable[..., Source]


KINDS: dict[str, SourceKind] = {
    kind.name: kind
    for kind in (
        SourceKind("raster", "Files and URLs", "a GeoTIFF, COG or other raster", RasterSource),
        SourceKind(
            "earth_engine",
            "Google Earth Engine",
            "a Google Cloud project registered for Earth Engine",
            EarthEngine,
        ),
        SourceKind(
            "drive",
            "Google Drive folder",
            "a folder shared with the Google account in use",
            DriveSource,
        ),
        SourceKind(
            "stac",
            "STAC catalogues (Sentinel-2, NAIP, Landsat)",
            "",
            StacSource,
        ),
        SourceKind(
            "openaerialmap",
            "OpenAerialMap",
            "",
            OpenAerialMap,
        ),
    )
}


def kind_of(name: str) -> SourceKind:
    """The kind of source of this name.

    Raises:
        NotFoundError: If there is none.
    """
    if name in KINDS:
        return KINDS[name]
    raise NotFoundError(
        "No source has this name", where=name, remedy=f"Choose one of {', '.join(KINDS)}"
    )


def open_source(name: str, **options: Any) -> Source:
    """The source of this name.

    Args:
        name: Key of `KINDS`.
        options: Arguments of the source's class, such as `locations` of "raster".

    Raises:
        NotFoundError: If no source has this name.
    """
    return kind_of(name).factory(**options)
