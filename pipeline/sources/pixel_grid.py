"""Exact grids of pixels over an area, and the tiles they are fetched in."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import AreaError
from pipeline.geo.antimeridian import join
from pipeline.imagery.chips import CHIP

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Tile:
    """A part of a grid, in its pixels: offset and size."""

    col: int
    row: int
    width: int
    height: int

    @property
    def name(self) -> str:
        """Name of its file; names sort from north to south and west to east."""
        return f"{self.row:07d}-{self.col:07d}"


@dataclass(frozen=True)
class PixelGrid:
    """North-up pixels on whole multiples of their size, so that two runs give the same ones.

    Attributes:
        crs: `EPSG:n`.
        scale: Pixel size in metres.
        col: Left edge in pixels from the origin of the CRS.
        row: Upper edge in pixels from the origin of the CRS, upwards.
        width: Pixels.
        height: Pixels.
    """

    crs: str
    scale: float
    col: int
    row: int
    width: int
    height: int

    @classmethod
    def over(cls, geometry: BaseGeometry, scale: float, crs: str | None = None) -> PixelGrid:
        """The smallest grid that covers a geometry in EPSG:4326, at least one chip wide and high.

        Raises:
            AreaError: If the geometry does not fit into the CRS.
        """
        crs = crs or utm_of(geometry)
        left, bottom, right, top = project(geometry, crs).bounds
        if not all(math.isfinite(edge) for edge in (left, bottom, right, top)):
            raise AreaError(
                "The area does not fit into one map projection",
                where=crs,
                remedy="Draw a smaller area, or one for each part",
            )
        # Tolerance in pixels: rounding in the projection must not add a row to an exact area.
        near = 1e-6
        col, row = math.floor(left / scale + near), math.ceil(top / scale - near)
        width = max(CHIP, math.ceil(right / scale - near) - col)
        height = max(CHIP, row - math.floor(bottom / scale + near))
        return cls(crs, scale, col, row, width, height)

    @property
    def transform(self) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients of the whole grid."""
        return self.transform_of(Tile(0, 0, self.width, self.height))

    def transform_of(self, tile: Tile) -> tuple[float, float, float, float, float, float]:
        """Affine coefficients of a part."""
        left, top = (self.col + tile.col) * self.scale, (self.row - tile.row) * self.scale
        return (self.scale, 0.0, left, 0.0, -self.scale, top)

    def tiles(self, size: int, geometry: BaseGeometry | None = None) -> list[Tile]:
        """Parts of at most `size` pixels a side; only those near the geometry, if given.

        Near is within one chip, so that a chip whose centre lies in the area is complete.
        """
        tiles = [
            Tile(col, row, min(size, self.width - col), min(size, self.height - row))
            for row in range(0, self.height, size)
            for col in range(0, self.width, size)
        ]
        if geometry is None:
            return tiles
        from shapely import box, prepared

        inside = prepared.prep(project(geometry, self.crs).buffer(CHIP * self.scale))
        kept = []
        for tile in tiles:
            _, _, left, _, _, top = self.transform_of(tile)
            right, bottom = left + tile.width * self.scale, top - tile.height * self.scale
            if inside.intersects(box(left, bottom, right, top)):
                kept.append(tile)
        return kept

    def cells(self, geometry: BaseGeometry) -> np.ndarray:
        """Which squares of one chip lie near the geometry, bool (rows, columns).

        What lies farther away stays empty, however large the fetched tiles: a scene does not
        depend on how it was downloaded.
        """
        kept = np.zeros((-(-self.height // CHIP), -(-self.width // CHIP)), bool)
        for tile in self.tiles(CHIP, geometry):
            kept[tile.row // CHIP, tile.col // CHIP] = True
        return kept


def utm_of(geometry: BaseGeometry) -> str:
    """The UTM zone of a geometry's centre, or the polar stereographic CRS beyond its limits."""
    centre = join(geometry).centroid
    if centre.y > 84:
        return "EPSG:32661"
    if centre.y < -80:
        return "EPSG:32761"
    zone = int((centre.x + 180) // 6) % 60 + 1
    return f"EPSG:{32600 + zone}" if centre.y >= 0 else f"EPSG:{32700 + zone}"


def project(geometry: BaseGeometry, crs: str, back: bool = False) -> BaseGeometry:
    """A geometry in EPSG:4326 brought to a CRS, its edges bent with the projection.

    Args:
        geometry: In EPSG:4326, or in `crs` if `back`.
        crs: The other CRS.
        back: Go from `crs` to EPSG:4326 instead.
    """
    import shapely
    from pyproj import Transformer

    pair = (crs, "EPSG:4326") if back else ("EPSG:4326", crs)
    step = max(geometry.bounds[2] - geometry.bounds[0], geometry.bounds[3] - geometry.bounds[1])
    dense = shapely.segmentize(geometry, step / 32) if step else geometry
    convert = Transformer.from_crs(*pair, always_xy=True).transform
    return shapely.transform(dense, lambda points: np.column_stack(convert(*points.T)))
