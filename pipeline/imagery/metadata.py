"""What a raster's header, tags and name state: bands to show, numeric type, CRS and date."""

from __future__ import annotations

import datetime as calendar
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline import dates
from pipeline.errors import SceneError
from pipeline.imagery.formats import DTYPES

if TYPE_CHECKING:
    from rasterio import DatasetReader
    from rasterio.crs import CRS

_DATE_TAGS = ("ACQUISITIONDATETIME", "ACQUISITION_DATE", "DATE_ACQUIRED", "datetime")


def display_bands(
    dataset: DatasetReader, requested: Sequence[int] | None, path: str | Path
) -> tuple[int, int, int]:
    """The display bands requested, or those the raster suggests."""
    from rasterio.enums import ColorInterp

    if requested is not None:
        chosen = tuple(requested) * 3 if len(requested) == 1 else tuple(requested)
        if len(chosen) != 3 or any(band not in dataset.indexes for band in chosen):
            raise SceneError(
                f"Bands {', '.join(map(str, requested))} cannot be shown: the raster has bands "
                f"1 to {dataset.count}",
                where=path,
                remedy="Name three of them as red, green and blue, or one for grey",
            )
        return chosen[0], chosen[1], chosen[2]
    kinds = list(dataset.colorinterp)
    colours = (ColorInterp.red, ColorInterp.green, ColorInterp.blue)
    if all(colour in kinds for colour in colours):
        red, green, blue = (kinds.index(colour) + 1 for colour in colours)
        return red, green, blue
    plain = [i for i, kind in enumerate(kinds, 1) if kind != ColorInterp.alpha]
    if not plain:
        raise SceneError(
            "The raster has an alpha band and nothing to show",
            where=path,
            remedy="Choose another raster",
        )
    if len(plain) < 3:
        return plain[0], plain[0], plain[0]
    return plain[0], plain[1], plain[2]


def numeric_type(dataset: DatasetReader, path: str | Path) -> str:
    """The one numeric type of all bands, or an error if they differ or are complex."""
    types = set(dataset.dtypes)
    if len(types) != 1 or not types <= set(DTYPES):
        raise SceneError(
            f"The raster's numeric type is {' and '.join(sorted(types))}",
            where=path,
            remedy="Convert it: gdal_translate -ot Float32 IN.tif OUT.tif",
        )
    return str(types.pop())


def crs_text(crs: CRS) -> str:
    """A rasterio CRS as "EPSG:n" where there is one, else as WKT."""
    code = crs.to_epsg()
    return f"EPSG:{code}" if code else crs.to_wkt()


def tagged_date(dataset: DatasetReader) -> str | None:
    """Acquisition time from the tags.  The TIFF's own date is when it was written: not used."""
    tags = {**dataset.tags(), **dataset.tags(ns="IMAGERY")}
    for name in _DATE_TAGS:
        try:
            text = tags[name].strip().replace("Z", "+00:00")
            return calendar.datetime.fromisoformat(text).isoformat()
        except (KeyError, ValueError):
            continue
    return None


def date_in(name: str) -> str | None:
    """The day in a file name, such as `…_20160816.tif` or `2016-08-16`, in ISO 8601."""
    for year, month, day in re.findall(r"(?<!\d)((?:19|20)\d\d)[-_]?(\d\d)[-_]?(\d\d)(?!\d)", name):
        try:
            return f"{calendar.date(int(year), int(month), int(day))}T00:00:00Z"
        except ValueError:
            continue
    return None


def utc(text: str | None, path: str | Path) -> str | None:
    """A date or time as ISO 8601 in UTC, to the second."""
    if text is None:
        return None
    try:
        return dates.parse(text)
    except ValueError as error:
        raise SceneError(
            f"{text!r} is not a date or time", where=path, remedy="Write it as 2016-08-16T17:05:00Z"
        ) from error
