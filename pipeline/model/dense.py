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
from pipeline.model.embedder import average_pool
from pipeline.model.identity import identity_of
from pipeline.model.resnet import SQUARE
from pipeline.model.weights import cache
from pipeline.vectors import normalise

#: Pixels read around a block.  With 192, vectors of a chip from two blocks differ by less than 1e-4
#: in cosine (96: up to 5e-3; 224: not at all), see docs/performance.md.
HALO = 192
#: Pixels of mirror image around a query picture.
MIRROR = 96


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

    def embed_region_with_cells(
        self, pixels: np.ndarray, cols: np.ndarray, rows: np.ndarray, valid: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """As `embed_region`, and the object cells of the region at scale 1, in the same pass.

        Returns:
            float32 (n, 2048), and int8 codes (ceil(height/16), ceil(width/16), 64), -128 where
            there is no data.
        """
        maps, cells = self.network.maps_and_cells(fill_missing(pixels, valid)[None])
        return box_means(maps[0], cols, rows), mask(quantise(cells[0]), has_data(valid, 1.0))

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


def box_means(cells: np.ndarray, cols: np.ndarray, rows: np.ndarray, size: int = 256) -> np.ndarray:
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
