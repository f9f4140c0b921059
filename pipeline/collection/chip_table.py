"""The table of a collection's chips, by columns, without embeddings."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pipeline.errors import NotFoundError
from pipeline.geo.antimeridian import wrap_longitude


@dataclass(frozen=True, eq=False)
class ChipTable:
    """All chips of a collection, by columns.  A row number is a position in these arrays.

    Attributes:
        ids: Chip ids, bytes array (n,).
        scene: Index into `scene_ids` of each chip, int32 (n,).
        scene_ids: Scene ids.
        corners: Float64 (n, 4, 2), longitude and latitude (EPSG:4326) of the upper left, upper
            right, lower right and lower left corner.
        cols: Pixel column of the upper left corner in the scene, int32 (n,).
        rows: Pixel row of the upper left corner, int32 (n,).
        gsd: Metres per pixel, float32 (n,).
        nodata_percent: Share of pixels without data, float32 (n,), 0-100.
        sharpness: Variance of the Laplacian of luma, float32 (n,).
        datetimes: Acquisition time of each scene, ISO 8601 or None, as `scene_ids`.
    """

    ids: np.ndarray
    scene: np.ndarray
    scene_ids: tuple[str, ...]
    corners: np.ndarray
    cols: np.ndarray
    rows: np.ndarray
    gsd: np.ndarray
    nodata_percent: np.ndarray
    sharpness: np.ndarray
    datetimes: tuple[str | None, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def centres(self) -> np.ndarray:
        """Float64 (n, 2): longitude and latitude of each chip's centre."""
        return self.corners.mean(axis=1)

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north of all footprints; there must be a chip."""
        west, south = self.corners.min(axis=(0, 1)).tolist()
        east, north = self.corners.max(axis=(0, 1)).tolist()
        return west, south, east, north

    @cached_property
    def _by_id(self) -> dict[bytes, int]:
        return {chip: row for row, chip in enumerate(self.ids.tolist())}

    def find(self, chip: str) -> int | None:
        """Row of the chip with this id, or None."""
        return self._by_id.get(chip.encode("utf-8", "replace"))

    def id_of(self, row: int) -> str:
        """Id of the chip in a row."""
        chip: bytes = self.ids[row]
        return chip.decode()

    def scene_id_of(self, row: int) -> str:
        """Id of the scene that the chip in a row was cut from."""
        return self.scene_ids[int(self.scene[row])]

    def datetime_of(self, row: int) -> str | None:
        """Acquisition time of that scene, ISO 8601, or None."""
        return self.datetimes[int(self.scene[row])]

    def corner_of(self, row: int) -> tuple[int, int]:
        """Column and row, in that scene, of the chip's upper left pixel."""
        return int(self.cols[row]), int(self.rows[row])

    def row_of(self, chip: str) -> int:
        """Row of the chip with this id.

        Raises:
            NotFoundError: If there is none.
        """
        row = self.find(chip)
        if row is None:
            raise NotFoundError(
                "No such chip",
                where=chip[:80],
                remedy="List the chips with `python -m pipeline chips NAME --json`",
            )
        return row

    def row_at(self, lon: float, lat: float) -> int:
        """Row of the chip that contains the point and whose centre is nearest to it.

        Raises:
            NotFoundError: If no chip contains the point, or there is none at all.
        """
        if not len(self):
            raise NotFoundError(
                "There are no chips to choose from", remedy="Build the collection first"
            )
        row = self.nearest_at(lon, lat, np.arange(len(self)))
        if row is None:
            west, south, east, north = self.bounds
            raise NotFoundError(
                "No chip covers this point",
                where=f"{lon:.5f}, {lat:.5f} (longitude, latitude)",
                remedy=f"The chips lie within longitudes {west:.4f} to {east:.4f} and latitudes "
                f"{south:.4f} to {north:.4f}; choose a point on the imagery",
            )
        return row

    def nearest_at(self, lon: float, lat: float, rows: np.ndarray) -> int | None:
        """Of these rows, the one that contains the point and whose centre is nearest to it."""
        inside = rows[self._contains(lon, lat, rows)]
        if not len(inside):
            return None
        turned = wrap_longitude(lon, self.centres[inside, 0])
        offset = self.centres[inside] - np.stack([turned, np.full_like(turned, lat)], axis=1)
        offset *= (np.cos(np.radians(lat)), 1.0)
        return int(inside[np.argmin((offset**2).sum(axis=1))])

    def _contains(self, lon: float, lat: float, rows: np.ndarray) -> np.ndarray:
        """Bool (n,): whether these rows' footprints contain the point, by their edges' winding."""
        start = self.corners[rows]
        end = np.roll(start, -1, axis=1)
        # Chips across the antimeridian have longitudes such as 179.9 to 180.1; points have -179.95.
        turned = wrap_longitude(lon, self.centres[rows, :1])
        edge, to_point = end - start, np.stack([turned, np.full_like(turned, lat)], axis=-1) - start
        cross = edge[..., 0] * to_point[..., 1] - edge[..., 1] * to_point[..., 0]
        return (cross >= 0).all(axis=1) | (cross <= 0).all(axis=1)
