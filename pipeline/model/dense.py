"""Embedding overlapping chips in one pass over the region that they share.

ResNet-50 is convolutional: for a region it gives one 2048-vector every 32 pixels, and global
average pooling over a 256×256 chip is the mean of 8×8 of these squares.  The network therefore runs
once over the region, and every chip is a box mean of the feature map, however much they overlap.

A chip at the edge of the region would see zeros where the scene continues.  The region is therefore
read with a halo.  It starts at a multiple of 32 scene pixels, so that squares do not depend on the
division into blocks and a chip gets the same vector from either of two blocks.
"""

from __future__ import annotations

import numpy as np

from pipeline.model import resnet
from pipeline.model.basis import quantise
from pipeline.model.cells import fill_missing, has_data, mask
from pipeline.model.descriptor import SMALL, Quality, describe, generalised_mean, join
from pipeline.model.embedder import RegionVectors, average_pool, pool
from pipeline.model.identity import identity_of
from pipeline.model.resnet import SQUARE
from pipeline.model.weights import cache
from pipeline.vectors import normalise

#: Pixels read around a block.  With 192, vectors of a chip from two blocks differ by less than 1e-4
#: in cosine (96: up to 5e-3; 224: not at all), see docs/performance.md.
HALO = 192
#: Pixels of mirror image around a query picture.
MIRROR = 96
#: Side of a chip in pixels.
CHIP = 256


def region(
    window: tuple[int, int, int, int], scene_size: tuple[int, int], halo: int = HALO
) -> tuple[int, int, int, int]:
    """The window to read for a block's chips: grown by the halo, aligned, clipped to the scene.

    Args:
        window: (col, row, width, height) that covers the chips, in scene pixels.
        scene_size: (width, height) of the scene.
        halo: Pixels to grow by.

    Returns:
        (col, row, width, height); col and row are multiples of 32.
    """
    col, row, width, height = window
    left = max(0, col - halo) // SQUARE * SQUARE
    top = max(0, row - halo) // SQUARE * SQUARE
    right = min(scene_size[0], col + width + halo)
    bottom = min(scene_size[1], row + height + halo)
    return left, top, right - left, bottom - top


class DenseEmbedder:
    """ResNet-50 over regions of a scene.

    Attributes:
        identity: Mode "dense".
    """

    def __init__(self, loaded: cache.Weights, network: resnet.Network) -> None:
        self.identity = identity_of(loaded, "dense")
        self.network = network

    def embed_region(
        self,
        pixels: np.ndarray,
        cols: np.ndarray,
        rows: np.ndarray,
        valid: np.ndarray | None = None,
    ) -> np.ndarray:
        """Vectors of the chips of a region.

        Args:
            pixels: uint8 RGB (height, width, 3), the window that `region` names.
            cols: Left edges of the chips, (n,) pixels from the window's left edge.
            rows: Top edges, (n,) pixels from its top.
            valid: bool (height, width), False where the scene has no data.  Such pixels are given
                the ImageNet mean, which the network sees as it sees its own zero padding.

        Returns:
            float32 (n, 2048), not normalised.
        """
        if valid is not None:
            pixels = fill_missing(pixels, valid)
        return box_means(self.network.maps(pixels[None])[0], cols, rows)

    def describe_region(
        self,
        pixels: np.ndarray,
        cols: np.ndarray,
        rows: np.ndarray,
        valid: np.ndarray | None,
        quality: Quality | None,
        *,
        cells: bool = False,
    ) -> RegionVectors:
        """As `embed_region`, and in the same pass descriptors and the region's object cells.

        Args:
            pixels: As of `embed_region`.
            cols: As of `embed_region`.
            rows: As of `embed_region`.
            valid: As of `embed_region`; needed for cells.
            quality: Of the descriptors, or None for none.  The thorough one takes seven passes
                more, of the turned and the reduced region.
            cells: Whether to make object cells at scale 1.
        """
        filled = pixels if valid is None else fill_missing(pixels, valid)
        if cells and valid is not None:
            maps, made = (each[0] for each in self.network.maps_and_cells(filled[None]))
            codes = mask(quantise(made), has_data(valid, 1.0))
        else:
            maps, codes = self.network.maps(filled[None])[0], None
        plain = box_means(maps, cols, rows)
        if quality is None:
            return RegionVectors(plain, None, codes)
        large, small = [_general(maps, cols, rows)], []
        if quality == "thorough":
            large += [self._turned(filled, cols, rows, CHIP, turn) for turn in (1, 2, 3)]
            scale = SMALL / CHIP
            size = [max(round(edge * scale), 1) for edge in filled.shape[1::-1]]
            reduced = np.asarray(_resized(filled, size[0], size[1]))
            places = (np.round(edges * scale).astype(np.int64) for edges in (cols, rows))
            left, top = places
            small = [self._turned(reduced, left, top, SMALL, turn) for turn in range(4)]
        return RegionVectors(plain, join(large, small), codes)

    def _turned(
        self, pixels: np.ndarray, cols: np.ndarray, rows: np.ndarray, size: int, turn: int
    ) -> np.ndarray:
        """Generalised means of the chips of a region that is rotated by `turn` right angles."""
        height, width = pixels.shape[:2]
        for _ in range(turn):  # a right angle to the left moves (x, y) to (y, width - x)
            cols, rows = rows, width - cols - size
            height, width = width, height
        turned = np.ascontiguousarray(np.rot90(pixels, turn))
        return _general(self.network.maps(turned[None])[0], cols, np.maximum(rows, 0), size)

    def describe(self, pixels: np.ndarray, quality: Quality) -> tuple[np.ndarray, np.ndarray]:
        """See `Embedder.describe`; the means of a picture as `embed` takes them."""
        return describe(self._pool, pixels, quality)

    def _pool(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Sums of the unit vectors of two surroundings, zeros and the mirrored picture."""
        side = pixels.shape[1]
        edges = [(0, 0), (MIRROR, MIRROR), (MIRROR, MIRROR), (0, 0)]
        inside = slice(MIRROR // SQUARE, (MIRROR + side) // SQUARE)
        plain, general = pool(self.network, pixels)
        for start in range(0, len(pixels), 32):
            part = slice(start, start + 32)
            maps = self.network.maps(np.pad(pixels[part], edges, mode="symmetric"))
            maps = maps[:, inside, inside]
            plain[part] = normalise(plain[part]) + normalise(maps.mean((1, 2)))
            general[part] = normalise(general[part]) + normalise(generalised_mean(maps))
        return plain, general

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        """Vectors of pictures without surroundings: uint8 (n, 256, 256, 3) to float32 (n, 2048).

        A chip's vector includes some of its surroundings, which a picture lacks.  Zeros and the
        mirrored picture, as substitutes, err in different directions; the sum of their unit
        vectors finds the picture in a dense collection more often than either (docs/quality.md).
        """
        plain = average_pool(self.network, pixels)
        edges = [(0, 0), (MIRROR, MIRROR), (MIRROR, MIRROR), (0, 0)]
        inside = slice(MIRROR // SQUARE, (MIRROR + 256) // SQUARE)
        mirrored = np.empty_like(plain)
        for start in range(0, len(pixels), 64):
            part = slice(start, start + 64)
            maps = self.network.maps(np.pad(pixels[part], edges, mode="symmetric"))
            mirrored[part] = maps[:, inside, inside].mean((1, 2))
        return normalise(plain) + normalise(mirrored)


def _general(maps: np.ndarray, cols: np.ndarray, rows: np.ndarray, size: int = CHIP) -> np.ndarray:
    """Generalised mean of the feature map over each chip's box, float32 (n, d)."""
    return np.cbrt(box_means(maps * maps * maps, cols, rows, size))


def _resized(pixels: np.ndarray, width: int, height: int) -> np.ndarray:
    from PIL import Image

    picture = Image.fromarray(pixels)
    return np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC))


def box_means(
    cells: np.ndarray, cols: np.ndarray, rows: np.ndarray, size: int = CHIP
) -> np.ndarray:
    """Mean of the feature map over each chip's box.

    A chip that does not start on a square (the last of a row is shifted inward) weighs its first
    and last squares by the share inside.  Chips form a grid, so each row of chips is averaged once
    over the map's rows and then over its columns.

    Args:
        cells: (h, w, d) feature map, one place every 32 pixels.
        cols: (n,) left edges of the chips in pixels.
        rows: (n,) top edges.
        size: Chip edge in pixels.

    Returns:
        float32 (n, d).
    """
    tops, which_top = np.unique(rows, return_inverse=True)
    lefts, which_left = np.unique(cols, return_inverse=True)
    bands = np.tensordot(_shares(tops, size, cells.shape[0]), cells, 1)  # (tops, w, d)
    grid = np.matmul(_shares(lefts, size, cells.shape[1]), bands)  # (tops, lefts, d)
    return grid[which_top, which_left]


def _shares(starts: np.ndarray, size: int, count: int) -> np.ndarray:
    """Weight of each of `count` squares in the mean over [start, start + size); rows sum 1."""
    edges = np.arange(count) * SQUARE
    first = np.maximum(starts[:, None], edges)
    last = np.minimum(starts[:, None] + size, edges + SQUARE)
    shares = np.clip(last - first, 0, None)
    return (shares / shares.sum(1, keepdims=True)).astype(np.float32)
