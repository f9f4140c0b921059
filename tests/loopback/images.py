"""Images as a server computes them: lazily, on whatever grid is asked for, pixel by exact pixel.

Sampling is nearest neighbour at the pixel's centre, worked out for each pixel on its own, so that
the same place gives the same value whatever tile it is asked in.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import shapely
from pyproj import Transformer
from rasterio.io import MemoryFile
from rasterio.transform import Affine
from shapely import contains_xy
from shapely.geometry import box
from shapely.geometry.base import BaseGeometry


@dataclass(frozen=True)
class Grid:
    """Pixels to compute."""

    crs: str
    transform: tuple[float, ...]
    width: int
    height: int

    def centres(self) -> tuple[np.ndarray, np.ndarray]:
        """x of each column and y of each row; north-up grids only."""
        a, _, c, _, e, f = self.transform
        return c + a * (np.arange(self.width) + 0.5), f + e * (np.arange(self.height) + 0.5)


Drawn = tuple[np.ndarray, np.ndarray]  # (bands, h, w) and bool (h, w)


@dataclass(frozen=True)
class Img:
    """A server-side image."""

    bands: tuple[str, ...]
    draw: Callable[[Grid], Drawn]
    props: dict[str, Any] = field(default_factory=dict)
    footprint: BaseGeometry | None = None
    projection: tuple[str, tuple[float, ...]] | None = None
    fixed: Grid | None = None
    dtype: str = "uint8"
    asset: Asset | None = None

    def but(self, **changes: Any) -> Img:
        return replace(self, **{"asset": None, **changes})


@dataclass(frozen=True)
class Asset:
    """A stored raster of a catalogue."""

    id: str
    data: np.ndarray = field(repr=False)
    bands: tuple[str, ...]
    crs: str
    transform: tuple[float, ...]
    time: int
    props: dict[str, Any] = field(default_factory=dict)

    @property
    def footprint(self) -> BaseGeometry:
        a, _, c, _, e, f = self.transform
        _, height, width = self.data.shape
        outline = box(c, f + e * height, c + a * width, f)
        to = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
        return shapely.transform(outline, lambda xy: np.column_stack(to.transform(*xy.T)))

    def image(self) -> Img:
        props = {"system:time_start": self.time, "system:index": self.id.rsplit("/", 1)[-1]}
        return Img(
            self.bands,
            self.draw,
            {**props, **self.props},
            self.footprint,
            (self.crs, self.transform),
            dtype=str(self.data.dtype),
            asset=self,
        )

    def draw(self, grid: Grid) -> Drawn:
        a, _, c, _, e, f = self.transform
        x, y = grid.centres()
        _, high, wide = self.data.shape
        if grid.crs == self.crs:
            col = np.floor((x - c) / a + 1e-9).astype(int)
            row = np.floor((y - f) / e + 1e-9).astype(int)
            col_ok, row_ok = (col >= 0) & (col < wide), (row >= 0) & (row < high)
            taken = self.data[:, row.clip(0, high - 1)][:, :, col.clip(0, wide - 1)]
            mask = row_ok[:, None] & col_ok[None]
        else:
            xx, yy = np.meshgrid(x, y)
            to = Transformer.from_crs(grid.crs, self.crs, always_xy=True)
            px, py = to.transform(xx, yy)
            col, row = np.floor((px - c) / a), np.floor((py - f) / e)
            mask = (col >= 0) & (col < wide) & (row >= 0) & (row < high)
            col = np.where(mask, col, 0).astype(int)
            row = np.where(mask, row, 0).astype(int)
            taken = self.data[:, row, col]
        return np.where(mask, taken, 0).astype(self.data.dtype), mask


def mosaic(images: list[Img]) -> Img:
    """The last image on top."""

    def draw(grid: Grid) -> Drawn:
        out, mask = images[0].draw(grid)
        out, mask = out.copy(), mask.copy()
        for image in images[1:]:
            drawn, its = image.draw(grid)
            out[:, its] = drawn[:, its]
            mask |= its
        return out, mask

    return Img(images[0].bands, draw, {}, _union(images), dtype=images[0].dtype)


def median(images: list[Img]) -> Img:
    def draw(grid: Grid) -> Drawn:
        parts = [image.draw(grid) for image in images]
        stack = np.stack([np.where(mask, drawn, np.nan) for drawn, mask in parts]).astype(float)
        seen = np.logical_or.reduce([mask for _, mask in parts])
        out = np.zeros(stack.shape[1:])
        out[:, seen] = np.nanmedian(stack[:, :, seen], axis=0)
        return out, seen

    return Img(images[0].bands, draw, {}, _union(images), dtype="float64")


def _union(images: list[Img]) -> BaseGeometry:
    from shapely import union_all

    return union_all([image.footprint for image in images if image.footprint is not None])


def binary(first: Img, second: Img, operation: Callable[..., np.ndarray]) -> Img:
    """Pixel by pixel, as a number."""

    def draw(grid: Grid) -> Drawn:
        (a, mask_a), (b, mask_b) = first.draw(grid), second.draw(grid)
        return operation(a, b).astype(float), mask_a & mask_b

    return first.but(draw=draw, dtype="float64")


def constant(value: float) -> Img:
    def draw(grid: Grid) -> Drawn:
        shape = (grid.height, grid.width)
        return np.full((1, *shape), value, float), np.ones(shape, bool)

    return Img(("constant",), draw, dtype="float64")


def select(image: Img, names: list[str], new: list[str] | None = None) -> Img:
    index = [image.bands.index(name) for name in names]

    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        return drawn[index], mask

    return image.but(bands=tuple(new or names), draw=draw)


def cast(image: Img, dtype: str) -> Img:
    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        if np.dtype(dtype).kind in "iu":
            limits = np.iinfo(dtype)
            drawn = np.clip(drawn, limits.min, limits.max)
        return drawn.astype(dtype), mask

    return image.but(draw=draw, dtype=dtype)


def unmask(image: Img, value: float) -> Img:
    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        return np.where(mask, drawn, value).astype(drawn.dtype), np.ones_like(mask)

    return image.but(draw=draw)


def update_mask(image: Img, mask_image: Img) -> Img:
    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        extra, its = mask_image.draw(grid)
        keep = mask & its & (extra[0] != 0)
        return np.where(keep, drawn, 0).astype(drawn.dtype), keep

    return image.but(draw=draw)


def clip(image: Img, geometry: BaseGeometry) -> Img:
    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        xx, yy = np.meshgrid(*grid.centres())
        to = Transformer.from_crs(grid.crs, "EPSG:4326", always_xy=True)
        inside = contains_xy(geometry, *to.transform(xx, yy)) & mask
        return np.where(inside, drawn, 0).astype(drawn.dtype), inside

    return image.but(draw=draw)


def visualize(image: Img, low: float, high: float) -> Img:
    def draw(grid: Grid) -> Drawn:
        drawn, mask = image.draw(grid)
        scaled = np.clip((drawn[:3].astype(float) - low) / (high - low) * 255, 0, 255)
        return np.where(mask, scaled.round(), 0).astype("uint8"), mask

    return image.but(bands=("vis-red", "vis-green", "vis-blue"), draw=draw, dtype="uint8")


def geotiff(drawn: np.ndarray, grid: Grid, names: tuple[str, ...]) -> bytes:
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=grid.width,
            height=grid.height,
            count=len(drawn),
            dtype=drawn.dtype,
            crs=grid.crs,
            transform=Affine(*grid.transform),
            compress="lzw",
            tiled=True,
        ) as dataset:
            dataset.write(drawn)
            for number, name in enumerate(names, 1):
                dataset.set_band_description(number, name)
        return bytes(memory.read())


def png(drawn: np.ndarray, mask: np.ndarray) -> bytes:
    import io

    from PIL import Image

    rgba = np.concatenate([drawn[:3].astype("uint8"), (mask * 255).astype("uint8")[None]])
    out = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(rgba.transpose(1, 2, 0)), "RGBA").save(out, "PNG")
    return out.getvalue()


def mercator_tile(z: int, x: int, y: int) -> Grid:
    half = math.pi * 6378137.0
    size = 2 * half / 2**z
    left, top = -half + x * size, half - y * size
    return Grid("EPSG:3857", (size / 256, 0, left, 0, -size / 256, top), 256, 256)
