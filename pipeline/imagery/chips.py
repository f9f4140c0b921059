"""Chips: the 256-pixel windows of a scene, their positions and their quality.

A scene is cut block by block, so that memory depends on the block, not on the scene.  Chips at the
right and lower edge are moved inward: they cover the whole scene, and none is padded.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import QueryError, SceneError
from pipeline.geo import antimeridian, footprint

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.imagery.reader import SceneReader
    from pipeline.imagery.scene import Scene

CHIP = 256
STRIDES = tuple(range(32, CHIP + 1, 32))

#: Column, row, width and height in scene pixels.
Window = tuple[int, int, int, int]


@dataclass(frozen=True)
class Block:
    """A rectangle of chips that are read and made together.

    Attributes:
        name: "r0003-c0001", its place among the scene's blocks.
        rows: Upper pixel of each row of chips.
        cols: Left pixel of each column of chips.
    """

    name: str
    rows: tuple[int, ...]
    cols: tuple[int, ...]

    @property
    def window(self) -> Window:
        """Column, row, width and height of the pixels its chips cover."""
        width, height = self.cols[-1] - self.cols[0], self.rows[-1] - self.rows[0]
        return self.cols[0], self.rows[0], width + CHIP, height + CHIP

    def starts(self) -> tuple[np.ndarray, np.ndarray]:
        """Upper and left pixel of every chip, row by row: two arrays (n,)."""
        rows, cols = np.meshgrid(self.rows, self.cols, indexing="ij")
        return rows.ravel(), cols.ravel()

    def trim(self, kept: np.ndarray) -> tuple[Block, np.ndarray]:
        """The smallest block that holds all kept chips, and which of its chips are kept.

        Args:
            kept: Bool (n,) in the order of `starts`, at least one true.
        """
        table = kept.reshape(len(self.rows), len(self.cols))
        down, across = np.flatnonzero(table.any(1)), np.flatnonzero(table.any(0))
        rows, cols = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
        return Block(self.name, self.rows[rows], self.cols[cols]), table[rows, cols].ravel()


def check_stride(stride: int) -> None:
    """Refuse a stride that is not one of `STRIDES`.

    Raises:
        QueryError: If it is not.
    """
    if stride not in STRIDES:
        raise QueryError(
            "The stride must be a multiple of 32 from 32 to 256",
            where=stride,
            remedy="256 gives no overlap, 128 half, 64 three quarters",
        )


@dataclass(frozen=True)
class Grid:
    """Where the chips of a scene start.

    Attributes:
        width: Scene pixels across.
        height: Scene pixels down.
        stride: Pixels between neighbouring chips.
        cols: Left pixel of each column; the last is moved inward to end with the scene.
        rows: Upper pixel of each row; the last is moved inward to end with the scene.
    """

    width: int
    height: int
    stride: int
    cols: tuple[int, ...] = field(repr=False)
    rows: tuple[int, ...] = field(repr=False)

    def __len__(self) -> int:
        return len(self.cols) * len(self.rows)

    @classmethod
    def for_scene(cls, scene: Scene, stride: int) -> Grid:
        """The grid of a scene.

        Raises:
            QueryError: If the stride is not a multiple of 32 from 32 to 256.
            SceneError: If the scene is smaller than a chip.
        """
        check_stride(stride)
        if min(scene.width, scene.height) < CHIP:
            raise SceneError(
                f"The scene is {scene.width}×{scene.height} pixels, smaller than one chip of "
                f"{CHIP}×{CHIP}",
                where=scene.title,
                remedy="Use a larger extract or a finer resolution",
            )
        cols, rows = _starts(scene.width, stride), _starts(scene.height, stride)
        return cls(scene.width, scene.height, stride, cols, rows)

    def blocks(self, span: int | None = None) -> list[Block]:
        """The grid in blocks, row by row.

        Args:
            span: Pixels of chip starts a block covers each way.  By default 1024, more for wide
                strides and fewer for narrow ones: a block then holds at most 256 chips, 50 MB.
        """
        span = span or min(max(8 * self.stride, 1024), 16 * self.stride)
        return [
            Block(f"r{i:04d}-c{j:04d}", rows, cols)
            for i, rows in enumerate(_groups(self.rows, span))
            for j, cols in enumerate(_groups(self.cols, span))
        ]


@dataclass(frozen=True)
class Chips:
    """The kept chips of one block as parallel arrays of length n, row by row.

    Attributes:
        ids: Stable ids.
        cols: Left pixel, int32 (n,).
        rows: Upper pixel, int32 (n,).
        corners: float64 (n, 4, 2), longitude and latitude (EPSG:4326) of the upper left, upper
            right, lower right and lower left corner.
        nodata_percent: float32 (n,), 0 to 100.
        sharpness: float32 (n,), variance of the luma's Laplacian; low where blurred or uniform.
        pixels: uint8 (n, 256, 256, 3), or (n, 0, 0, 3) without pixels.
        left_out: How many were left out, by reason: "nodata", "area".
    """

    ids: list[str]
    cols: np.ndarray
    rows: np.ndarray
    corners: np.ndarray
    nodata_percent: np.ndarray
    sharpness: np.ndarray
    pixels: np.ndarray
    left_out: dict[str, int]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def window(self) -> Window:
        """Column, row, width and height of the pixels they cover."""
        left, top = int(self.cols.min()), int(self.rows.min())
        width, height = int(self.cols.max()) - left, int(self.rows.max()) - top
        return left, top, width + CHIP, height + CHIP

    def select(self, keep: Sequence[bool] | np.ndarray) -> Chips:
        """The chips for which `keep` is true; `left_out` stays as it is."""
        chosen = np.asarray(keep, bool)
        if chosen.all():
            return self
        return Chips(
            [chip for chip, wanted in zip(self.ids, chosen, strict=True) if wanted],
            self.cols[chosen],
            self.rows[chosen],
            self.corners[chosen],
            self.nodata_percent[chosen],
            self.sharpness[chosen],
            self.pixels[chosen],
            self.left_out,
        )


def chip_cost(mode: str, stride: int) -> float:
    """Cost of embedding a chip, in chips: 1, 1, or in dense mode the share of new ground."""
    return (stride / CHIP) ** 2 if mode == "dense" else 1.0


def chip_id(scene_id: str, col: int, row: int, size: int = CHIP) -> str:
    """Sixteen hexadecimal digits that identify a window of a scene, on any machine."""
    return hashlib.sha256(f"{scene_id}/{col}/{row}/{size}".encode()).hexdigest()[:16]


def cut(
    reader: SceneReader,
    scene: Scene,
    block: Block,
    *,
    area: BaseGeometry | None = None,
    max_nodata: float = 50.0,
    with_pixels: bool = True,
) -> Chips:
    """Read a block and cut it into chips.

    Args:
        reader: Reads the scene.
        scene: The scene.
        block: Which chips.
        area: In EPSG:4326; chips whose centre lies outside are left out, unread if none is left.
        max_nodata: Chips with more than this percentage without data are left out.
        with_pixels: Whether to return the chips' pixels; the dense mode reads its region itself,
            and overlapping chips take many times its memory.

    Raises:
        DamagedError: If the scene's file cannot be read.
    """
    rows, cols = block.starts()
    kept = np.ones(len(rows), bool)
    left_out = {}
    if area is not None:
        kept = _centred_in(scene, cols, rows, area)
        left_out["area"] = int((~kept).sum())
    if kept.any():
        block, kept = block.trim(kept)
        rows, cols = block.starts()
        left, top, width, height = block.window
        rgb, valid = reader.read(left, top, width, height)
    else:
        left, top, width, height = block.window
        rgb, valid = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), bool)
    x, y = cols - left, rows - top
    nodata = 100.0 - 100.0 * _window_sums(valid, x, y, CHIP) / CHIP**2
    empty = kept & (nodata > max_nodata)
    if empty.any():
        left_out["nodata"] = int(empty.sum())
    kept &= ~empty
    if with_pixels:
        pixels = _pixels(rgb, block, kept.reshape(len(block.rows), len(block.cols)))
    else:
        pixels = np.empty((int(kept.sum()), 0, 0, 3), np.uint8)
    cols, rows = cols[kept], rows[kept]
    return Chips(
        ids=[chip_id(scene.id, int(c), int(r)) for c, r in zip(cols, rows, strict=True)],
        cols=cols.astype(np.int32),
        rows=rows.astype(np.int32),
        corners=corners(scene, cols, rows),
        nodata_percent=nodata[kept].astype(np.float32),
        sharpness=sharpness(rgb, valid, x[kept], y[kept]),
        pixels=pixels,
        left_out={reason: number for reason, number in left_out.items() if number},
    )


def corners(scene: Scene, cols: Any, rows: Any, size: int = CHIP) -> np.ndarray:
    """True corners of chips in EPSG:4326, from their left and upper pixels.

    Returns:
        float64 (n, 4, 2), longitude and latitude of the upper left, upper right, lower right and
        lower left corner; contiguous across the antimeridian (179.9, 180.1).
    """
    return footprint.corners(scene.georeference, cols, rows, size, size, scene.centre_lon)


def window_corners(scene: Scene, window: Window) -> np.ndarray:
    """Corners of any window as `corners` gives those of a chip: float64 (4, 2)."""
    col, row, width, height = window
    return footprint.corners(scene.georeference, [col], [row], width, height, scene.centre_lon)[0]


def sharpness(rgb: np.ndarray, valid: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """The fine detail of chips: the variance of the Laplacian of their luma.

    The measure is Pech-Pacheco et al., Diatom autofocusing in brightfield microscopy, ICPR 2000.
    Only pixels whose four neighbours lie in the chip and hold data count, so that the value
    depends on the chip alone and the edge of the data does not count as detail.

    Args:
        rgb: uint8 (h, w, 3).
        valid: bool (h, w), where there is data.
        x: Left pixel of each chip in `rgb`, (n,).
        y: Upper pixel of each chip in `rgb`, (n,).

    Returns:
        float32 (n,); 0 for a chip without data.
    """
    red, green, blue = (rgb[..., i].astype(np.int32) for i in range(3))
    luma = (299 * red + 587 * green + 114 * blue + 500) // 1000
    edge = 4 * luma[1:-1, 1:-1]
    edge -= luma[:-2, 1:-1] + luma[2:, 1:-1] + luma[1:-1, :-2] + luma[1:-1, 2:]
    whole = valid[1:-1, 1:-1] & valid[:-2, 1:-1] & valid[2:, 1:-1]
    whole &= valid[1:-1, :-2] & valid[1:-1, 2:]
    edge *= whole
    inner = CHIP - 2
    count = np.maximum(_window_sums(whole, x, y, inner), 1).astype(float)
    mean = _window_sums(edge, x, y, inner) / count
    squares = _window_sums(edge * edge, x, y, inner) / count
    return np.maximum(squares - mean**2, 0).astype(np.float32)


def _starts(length: int, stride: int) -> tuple[int, ...]:
    last = length - CHIP
    starts = range(0, last + 1, stride)
    return tuple(starts) if starts[-1] == last else (*starts, last)


def _groups(starts: tuple[int, ...], span: int) -> list[tuple[int, ...]]:
    groups: dict[int, list[int]] = {}
    for start in starts:
        groups.setdefault(start // span, []).append(start)
    return [tuple(group) for group in groups.values()]


def _pixels(rgb: np.ndarray, block: Block, kept: np.ndarray) -> np.ndarray:
    """The kept chips' pixels, cut with patchify from one band of 256 rows after another."""
    from patchify import patchify

    left, top, _, _ = block.window
    x = np.array(block.cols) - left
    steps = np.diff(x)
    step = int(steps[0]) if len(steps) else CHIP
    regular = len(x) if (steps == step).all() else len(x) - 1  # the last may be moved inward
    pixels = np.empty((int(kept.sum()), CHIP, CHIP, 3), np.uint8)
    at = 0
    for row, wanted in zip(block.rows, kept, strict=True):
        if not wanted.any():
            continue
        band = rgb[row - top : row - top + CHIP]
        even = patchify(band[:, : x[regular - 1] + CHIP], (CHIP, CHIP, 3), step=step)[0, :, 0]
        moved = [band[:, start : start + CHIP] for start in x[regular:]]
        for chip, keep in zip([*even, *moved], wanted, strict=True):
            if keep:
                pixels[at] = chip
                at += 1
    return pixels


def _window_sums(values: np.ndarray, x: np.ndarray, y: np.ndarray, size: int) -> np.ndarray:
    """Sums over square windows, exact and each in constant time: int64 (n,)."""
    table = np.zeros((values.shape[0] + 1, values.shape[1] + 1), np.int64)
    np.cumsum(values, axis=0, dtype=np.int64, out=table[1:, 1:])
    np.cumsum(table[1:, 1:], axis=1, out=table[1:, 1:])
    return table[y + size, x + size] - table[y, x + size] - table[y + size, x] + table[y, x]


def count_inside(scene: Scene, block: Block, area: BaseGeometry) -> int:
    """Chips of a block whose centre lies in an area."""
    rows, cols = block.starts()
    return int(_centred_in(scene, cols, rows, area).sum())


def _centred_in(scene: Scene, cols: np.ndarray, rows: np.ndarray, area: BaseGeometry) -> np.ndarray:
    """Whether chips' centres lie in an area, whichever way round the Earth it is written."""
    lon, lat = scene.georeference.lonlat(cols + CHIP / 2, rows + CHIP / 2)
    return antimeridian.contains(area, lon, lat)
