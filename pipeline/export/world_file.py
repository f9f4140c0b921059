"""Files that georeference a picture for a GIS: world file, `.prj` and `.aux.xml`."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

Affine = Sequence[float]


def window_transform(
    transform: Affine, col: float, row: float, step: float = 1
) -> tuple[float, ...]:
    """The six affine coefficients of a window of a raster.

    Args:
        transform: Of the raster.
        col: Left edge of the window.
        row: Its upper edge.
        step: Side of a pixel of the window in pixels of the raster.
    """
    a, b, c, d, e, f = transform[:6]
    x, y = a * col + b * row + c, d * col + e * row + f
    return (a * step, b * step, x, d * step, e * step, y)


def world_file(transform: Affine) -> str:
    """The six lines of a world file.

    A world file gives the centre of the upper left pixel, an affine transform its corner.
    """
    a, b, x, d, e, y = window_transform(transform, 0.5, 0.5)
    return "".join(f"{float(value)!r}\n" for value in (a, d, b, e, x, y))


def crs_files(crs: str) -> tuple[str, str]:
    """A CRS as a `.prj` file, which is ESRI's WKT 1, and as GDAL's `.aux.xml`, which QGIS reads."""
    from pyproj import CRS
    from pyproj.enums import WktVersion

    system = CRS.from_user_input(crs)
    aux = f"<PAMDataset>\n  <SRS>{escape(system.to_wkt())}</SRS>\n</PAMDataset>\n"
    return system.to_wkt(WktVersion.WKT1_ESRI), aux
