"""Object cells on disk: one GeoTIFF for each block of a scene and scale.

    cells/<scene id>/x1/block-<block>-<area>.tif

A file holds the cells of one rectangle as int8 codes in 64 bands, pixel by pixel and uncompressed,
with its place on the Earth.  GDAL, QGIS and xarray open it as it is; we map it into
memory.  Like a part of chips it is record and checkpoint at once: it appears under its name only
when complete.  Tags hold the identity of what made it, the place of its first cell, and a checksum.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError, ModelMismatchError, NotFoundError, SceneError
from pipeline.files import check_schema
from pipeline.imagery import geotiff
from pipeline.imagery.formats import open_raster
from pipeline.model.basis import COMPONENTS, NO_DATA, basis
from pipeline.model.cells import CellIdentity, cells_across
from pipeline.model.resnet import CELL_PIXELS

if TYPE_CHECKING:
    from rasterio import DatasetReader

    from pipeline.imagery.scene import Scene

#: Version of a cell file.
SCHEMA = 1
#: Namespace of our tags.
TAGS = "LOOKALIKE"
REMEDY = "Run the same build command again, which makes the damaged block's cells again"


@dataclass(frozen=True)
class CellWindow:
    """A rectangle of a scene's cells, in cells.

    Attributes:
        row: First row.
        col: First column.
        height: Rows.
        width: Columns.
    """

    row: int
    col: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Cells in it."""
        return self.height * self.width

    @property
    def slices(self) -> tuple[slice, slice]:
        """Its rows and columns in an array of the whole scene."""
        return (
            slice(self.row, self.row + self.height),
            slice(self.col, self.col + self.width),
        )

    def pixels(self, scene: Scene, scale: float) -> tuple[int, int, int, int]:
        """Column, row, width and height of the pixels it covers, clipped to the scene."""
        side = round(CELL_PIXELS / scale)
        left, top = self.col * side, self.row * side
        width = min(self.width * side, scene.width - left)
        return left, top, width, min(self.height * side, scene.height - top)


@dataclass(frozen=True, eq=False)
class CellBlock:
    """One cell file.

    Attributes:
        path: The file.
        window: The cells it holds.
        identity: What made them.
        checksum: CRC-32 of the codes, as the file states it.
        offset: Byte of the file at which the codes begin.
        mtime_ns: When the file was written.
    """

    path: Path
    window: CellWindow
    identity: CellIdentity
    checksum: int
    offset: int
    mtime_ns: int

    @cached_property
    def codes(self) -> np.ndarray:
        """int8 (height, width, 64), mapped from the file.

        Raises:
            NotFoundError: If the file was removed meanwhile.
        """
        shape = (self.window.height, self.window.width, COMPONENTS)
        try:
            return np.memmap(self.path, np.int8, "r", self.offset, shape)
        except OSError as error:
            raise _removed(self.path) from error


def folder_of(collection: Path, scene_id: str, scale: float) -> Path:
    """The folder of a scene's cell files at a scale."""
    return collection / "cells" / scene_id / f"x{scale:g}"


def write(
    path: Path,
    codes: np.ndarray,
    window: CellWindow,
    scene: Scene,
    scale: float,
    identity: CellIdentity,
) -> None:
    """Write a cell file, completely or not at all.

    Args:
        path: Destination.
        codes: int8 (height, width, 64).
        window: Which cells of the scene they are.
        scene: The scene.
        scale: Of the cells.
        identity: What made them.

    Raises:
        StorageError: If the disk is full or not writable; nothing is left behind.
    """
    from rasterio.transform import Affine

    codes = np.ascontiguousarray(codes)
    side = CELL_PIXELS / scale
    place = Affine(*scene.transform[:6]) @ Affine.translation(window.col * side, window.row * side)
    profile: dict[str, Any] = {
        "width": window.width,
        "height": window.height,
        "count": COMPONENTS,
        "dtype": "int8",
        "crs": scene.crs,
        "transform": tuple(place @ Affine.scale(side))[:6],
        "nodata": NO_DATA,
        "tiled": False,
        "compress": "none",
        "interleave": "pixel",
    }
    tags = {
        "SCHEMA": SCHEMA,
        "SCENE": scene.id,
        "SCALE": f"{scale:g}",
        "ROW": window.row,
        "COL": window.col,
        "CRC32": zlib.crc32(codes.data),
        "IDENTITY": json.dumps(identity.to_dict(), sort_keys=True),
        "STEPS": json.dumps([round(float(step), 7) for step in basis().steps]),
    }
    with geotiff.write(path, **profile) as dataset:
        dataset.update_tags(ns=TAGS, **tags)
        dataset.write(codes.transpose(2, 0, 1))


def read(path: Path) -> CellBlock:
    """A cell file, its codes unread.

    Raises:
        NewerError: If a newer version wrote it.
        NotFoundError: If it was removed meanwhile.
        DamagedError: If it is no cell file, or cut short.
    """
    try:
        stat = path.stat()
    except FileNotFoundError as error:
        raise _removed(path) from error
    except OSError as error:
        raise _damaged(path) from error
    return _read(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=16_384)
def _read(path: Path, size: int, mtime_ns: int) -> CellBlock:  # size and time are cache keys
    try:
        with open_raster(path) as dataset:
            return _described(dataset, path, size, mtime_ns)
    except (SceneError, KeyError, TypeError, ValueError, ModelMismatchError) as error:
        raise _damaged(path) from error


def _described(dataset: DatasetReader, path: Path, size: int, mtime_ns: int) -> CellBlock:
    """The block in an open cell file.

    Raises:
        ValueError, KeyError, TypeError: If it is none.
    """
    tags = dataset.tags(ns=TAGS)
    check_schema(int(tags["SCHEMA"]), SCHEMA, what="A file of object cells", where=path)
    window = CellWindow(int(tags["ROW"]), int(tags["COL"]), dataset.height, dataset.width)
    stored = (dataset.count, set(dataset.dtypes), dataset.interleaving.value, dataset.compression)
    if stored != (COMPONENTS, {"int8"}, "PIXEL", None):
        raise ValueError(stored)
    first = int(dataset.get_tag_item("BLOCK_OFFSET_0_0", "TIFF", bidx=1) or 0)
    # GDAL writes the rows one after another at the end, so the codes are one array.
    if first + window.size * COMPONENTS != size:
        raise ValueError((first, size))
    identity = CellIdentity.from_dict(json.loads(tags["IDENTITY"]))
    return CellBlock(path, window, identity, int(tags["CRC32"]), first, mtime_ns)


def verify(path: Path) -> CellBlock:
    """As `read`, and compare the codes with their checksum.

    Raises:
        NewerError: If a newer version wrote it.
        DamagedError: If it is damaged.
    """
    block = replace(read(path))  # the one that is remembered would keep the file mapped
    if zlib.crc32(block.codes.data) != block.checksum:
        raise _damaged(path)
    return block


def _removed(path: Path) -> NotFoundError:
    return NotFoundError(
        "Object cells were removed while they were searched",
        where=path,
        remedy="Search again; if the collection still exists, make its cells first",
    )


def _damaged(path: Path) -> DamagedError:
    return DamagedError("A file of object cells is damaged", where=path, remedy=REMEDY)


@dataclass(frozen=True, eq=False)
class SceneCells:
    """All cells of a scene at one scale.

    Attributes:
        scene_id: The scene.
        scale: Pixels given to the network per pixel of the imagery.
        height: Rows of cells of the whole scene.
        width: Columns.
        blocks: The files, which may overlap and need not cover the scene.
    """

    scene_id: str
    scale: float
    height: int
    width: int
    blocks: tuple[CellBlock, ...]

    @property
    def steps(self) -> np.ndarray:
        """float32 (64,): value of one step of each component's code."""
        return basis().steps

    @property
    def side(self) -> float:
        """Pixels of the imagery along an edge of a cell."""
        return CELL_PIXELS / self.scale

    @property
    def stamp(self) -> tuple[object, ...]:
        """Changes whenever the cells do, or somebody writes to their files."""
        return (
            self.scene_id,
            self.scale,
            tuple((block.path.name, block.checksum, block.mtime_ns) for block in self.blocks),
        )

    def rows(self, start: int, stop: int) -> np.ndarray:
        """int8 (stop - start, width, 64); cells that no block covers are -128."""
        codes = np.full((stop - start, self.width, COMPONENTS), NO_DATA, np.int8)
        for block in self.blocks:
            place = block.window
            first, last = max(start, place.row), min(stop, place.row + place.height)
            if first < last:
                part = block.codes[first - place.row : last - place.row]
                into = codes[first - start : last - start, place.slices[1]]
                np.copyto(into, part, where=part[..., :1] != NO_DATA)
        return codes


def scene_cells(
    collection: Path, scene: Scene, scale: float, identity: CellIdentity | None = None
) -> SceneCells | None:
    """The cells of a scene at a scale, or None if there are none.

    Args:
        collection: The collection's folder.
        scene: The scene.
        scale: Of the cells.
        identity: Leave out files that something else made; by default none is left out.

    Raises:
        DamagedError: If a file is damaged.
    """
    blocks = []
    for path in files_of(collection, scene.id, scale):
        with suppress(NotFoundError):  # of a file that was removed meanwhile
            blocks.append(read(path))
    if identity is not None:
        blocks = [block for block in blocks if block.identity == identity]
    if not blocks:
        return None
    height, width = (cells_across(edge, scale) for edge in (scene.height, scene.width))
    _check_inside(blocks, height, width)
    return SceneCells(scene.id, scale, height, width, tuple(blocks))


def files_of(collection: Path, scene_id: str, scale: float) -> list[Path]:
    """The cell files of a scene at a scale, in order of their names."""
    found = folder_of(collection, scene_id, scale).glob("block-*.tif")
    return sorted(found, key=attrgetter("name"))  # paths themselves compare slowly


def _check_inside(blocks: Sequence[CellBlock], height: int, width: int) -> None:
    for block in blocks:
        place = block.window
        inside = min(place.row, place.col) >= 0
        if not inside or place.row + place.height > height or place.col + place.width > width:
            raise _damaged(block.path)
