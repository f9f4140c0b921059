"""Score maps: how much every window of a scene looks like what is sought.

A window is a square of 3×3 object cells, of which the middle ones weigh more: 1, 2, 1 down and
across.  Its score is linear in the unit vector of the weighted sum of its cells:

    score = weights · sum / |sum| + bias

The product with the weights is taken cell by cell, before the sum.  So one pass over the codes
gives a number for each cell, and a box sum of these numbers ranks every window: no index of windows
is needed.  The lengths of the sums do not depend on the query.  They are computed once
(`inverse_lengths`) and kept beside the index.

Work is done in pieces that fit a core's cache, by two threads: numpy releases the interpreter while
it computes.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.model.basis import COMPONENTS, NO_DATA

if TYPE_CHECKING:
    from pipeline.collection.cell_files import CellBlock, SceneCells

#: Side of a window in cells.
WINDOW = 3
#: Weight of each of its cells: it finds more than a plain box of any size (docs/objects.md).
TAPER = np.outer([1, 2, 1], [1, 2, 1]).astype(np.float32)
#: A window with more than this share of its weight on cells without data is not scored.
MOST_EMPTY = 0.5
#: Cells multiplied at a time: their float32 copies stay in the cache.
PIECE = 8192
#: Cells multiplied in one call of OpenBLAS.
_BATCH = 128
#: Largest error of a cell's product, as a share of the sum of all absolute weights.
_ROUNDING = 1e-3
#: Windows along an edge of the tiles whose lengths are computed at a time.
_TILE = 32
#: Rows of a map summed at a time.
_BAND = 64


_THREADS = max(len(os.sched_getaffinity(0)), 1)

_local = threading.local()
_Item = TypeVar("_Item")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_THREADS, thread_name_prefix="scan")


def spread(work: Callable[[_Item], object], items: Iterable[_Item]) -> None:
    """Do some work with every item, on all cores.

    Each thread takes the next item when it is ready: to hand thousands of small tasks to a pool
    takes longer than the tasks themselves.
    """
    remaining, lock = iter(items), threading.Lock()

    def take_turns(_: int) -> None:
        while True:
            with lock:
                item = next(remaining, None)
            if item is None:
                return
            work(item)

    list(_pool().map(take_turns, range(_THREADS)))


def map_shape(cells: SceneCells) -> tuple[int, int]:
    """Rows and columns of the score map of a scene."""
    return max(cells.height - WINDOW + 1, 0), max(cells.width - WINDOW + 1, 0)


def inverse_lengths(cells: SceneCells) -> np.ndarray:
    """One over the length of the sum of each window's cells; 0 where the window is not scored.

    Args:
        cells: Cells of a scene.

    Returns:
        float32, of `map_shape`.
    """
    height, width = map_shape(cells)
    inverse = np.zeros((height, width), np.float32)

    def band(top: int) -> None:
        bottom = min(top + _TILE, height)
        codes = cells.rows(top, bottom + WINDOW - 1)
        for left in range(0, width, _TILE):
            part = codes[:, left : left + _TILE + WINDOW - 1]
            inverse[top:bottom, left : left + _TILE] = _inverse(part, cells.steps)

    if height and width:
        spread(band, range(0, height, _TILE))
    return inverse


def _inverse(codes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """`inverse_lengths` of the windows of an array of codes (h, w, 64): (h - 2, w - 2)."""
    empty = codes[..., 0] == NO_DATA
    sums = window_sums(cell_values(codes, steps))
    lengths = np.sqrt(np.einsum("...j,...j->...", sums, sums))
    scored = window_sums(empty.astype(np.float32)) <= MOST_EMPTY * TAPER.sum()
    inverse = np.zeros(lengths.shape, np.float32)
    np.divide(1, lengths, out=inverse, where=scored & (lengths > 0))
    return inverse


def cell_values(codes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """float32 (…, 64): components of cells by their codes; 0 without data."""
    values = codes.astype(np.float32)
    values *= steps
    values[codes[..., 0] == NO_DATA] = 0
    return values


def score_map(
    cells: SceneCells,
    inverse: np.ndarray,
    weights: np.ndarray,
    bias: float = 0.0,
    check: Callable[[], None] | None = None,
) -> np.ndarray:
    """The score of every window of a scene.

    Args:
        cells: Cells of the scene.
        inverse: Its `inverse_lengths`.
        weights: float (64,) by which unit vectors of windows are multiplied.
        bias: Added to the product.
        check: Called between pieces; raises to stop.

    Returns:
        float32, of `map_shape`; NaN where a window is not scored.
    """
    products = cell_products(cells, weights, check)
    return _windows(products, inverse, bias)


def cell_products(
    cells: SceneCells, weights: np.ndarray, check: Callable[[], None] | None = None
) -> np.ndarray:
    """float32 (height, width): each cell's components times the weights; 0 without data."""
    products = np.zeros((cells.height, cells.width), np.float32)
    scaled = (np.asarray(weights, np.float32) * cells.steps).astype(np.float32)

    def multiply(piece: tuple[CellBlock, int, int]) -> None:
        block, first, last = piece
        if check is not None:
            check()
        codes = np.asarray(block.codes)[first:last]
        found = times(codes.reshape(-1, COMPONENTS), scaled)
        top, columns = block.window.row, block.window.slices[1]
        put(found, products[top + first : top + last, columns])

    spread(multiply, _pieces(cells.blocks))
    return products


def times(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 (n,): codes (n, 64) times weights (64,); NaN for cells without data."""
    found = _matmul(codes, weights)
    # Codes are no longer in the cache: those of cells whose product could be that of a cell without
    # data are looked at again.
    likely = NO_DATA * weights.sum()
    far = np.abs(found - likely)
    near = np.flatnonzero(far <= _ROUNDING * np.abs(weights).sum())
    if len(near):
        found[near[codes[near, 0] == NO_DATA]] = np.nan
    return found


def put(found: np.ndarray, into: np.ndarray) -> None:
    """Write the products of cells with data; blocks may overlap, and not all have the same data."""
    found = found.reshape(into.shape)
    known = found == found
    if known.all():
        into[...] = found
    else:
        np.copyto(into, found, where=known)


def _matmul(codes: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """float32 (n,): codes (n, 64) times weights (64,).

    In batches that are too small for OpenBLAS to start its own threads, which would compete with
    ours for the same cores.
    """
    values = _buffer(len(codes))
    np.copyto(values, codes)
    whole = len(values) // _BATCH * _BATCH
    found = np.empty(len(values), np.float32)
    batches = values[:whole].reshape(-1, _BATCH, COMPONENTS)
    np.matmul(batches, weights, out=found[:whole].reshape(-1, _BATCH))
    np.matmul(values[whole:], weights, out=found[whole:])
    return found


def _buffer(count: int) -> np.ndarray:
    """float32 (count, 64) of this thread: memory just used is still in the cache."""
    kept = getattr(_local, "buffer", None)
    if kept is None or len(kept) < count:
        kept = _local.buffer = np.empty((max(count, PIECE), COMPONENTS), np.float32)
    return kept[:count]


def _pieces(blocks: Sequence[CellBlock]) -> Iterator[tuple[CellBlock, int, int]]:
    for block in blocks:
        rows = max(PIECE // block.window.width, 1)
        for first in range(0, block.window.height, rows):
            yield block, first, min(first + rows, block.window.height)


def _windows(products: np.ndarray, inverse: np.ndarray, bias: float) -> np.ndarray:
    scores = np.empty_like(inverse)

    def band(top: int) -> None:
        bottom = min(top + _BAND, len(inverse))
        part = inverse[top:bottom]
        sums = window_sums(products[top : bottom + WINDOW - 1])
        sums *= part
        if bias:
            sums += np.float32(bias)
        sums[part == 0] = np.nan
        scores[top:bottom] = sums

    spread(band, range(0, len(inverse), _BAND))
    return scores


def window_sums(values: np.ndarray) -> np.ndarray:
    """Weighted sums over all windows of an array (h, w, …): (h - 2, w - 2, …)."""
    # Sums of two neighbours, taken twice, weigh three of them 1, 2, 1.
    pairs = values[:-1] + values[1:]
    rows = pairs[:-1] + pairs[1:]
    pairs = rows[:, :-1] + rows[:, 1:]
    return pairs[:, :-1] + pairs[:, 1:]


def window_vectors(cells: SceneCells, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Unit vectors, float32 (n, 64), of the windows whose first cell is at (row, column)."""
    codes = window_codes(cells, rows, cols)
    codes[codes[..., 0] == NO_DATA] = 0
    return _unit_vectors(codes, cells.steps)


def window_codes(cells: SceneCells, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """int8 (n, 3, 3, 64): the cells of windows; those that no block has are -128."""
    codes = np.full((len(rows), WINDOW, WINDOW, COMPONENTS), NO_DATA, np.int8)
    edge = np.arange(WINDOW)
    for block in cells.blocks:
        place = block.window
        down, across = np.asarray(rows) - place.row, np.asarray(cols) - place.col
        near = np.flatnonzero(
            (down > -WINDOW) & (down < place.height) & (across > -WINDOW) & (across < place.width)
        )
        if not len(near):
            continue
        row, col = (axis[near, None] + edge for axis in (down, across))
        held = ((row >= 0) & (row < place.height))[:, :, None]
        held = held & ((col >= 0) & (col < place.width))[:, None]
        row, col = row.clip(0, place.height - 1), col.clip(0, place.width - 1)
        found = np.asarray(block.codes)[row[:, :, None], col[:, None]]
        held &= found[..., 0] != NO_DATA
        codes[near] = np.where(held[..., None], found, codes[near])
    return codes


def _unit_vectors(codes: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """Unit vectors, float32 (n, 64), of the windows of codes (n, 3, 3, 64)."""
    vectors = np.tensordot(codes.astype(np.float32), TAPER, ((1, 2), (0, 1))) * steps
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)


def random_windows(cells: SceneCells, count: int, seed: int = 0) -> np.ndarray:
    """Unit vectors, float32 (≤ count, 64), of windows drawn at random.

    Those without data are left out.  Each lies within one block: no more than itself is read.
    """
    rng = np.random.default_rng(seed)
    blocks = [block for block in cells.blocks if min(block.codes.shape[:2]) >= WINDOW]
    if not blocks:
        return np.empty((0, COMPONENTS), np.float32)
    sizes = np.array([block.window.size for block in blocks], float)
    places = np.empty((count, 2), int)
    for i, which in enumerate(rng.choice(len(blocks), count, p=sizes / sizes.sum())):
        block = blocks[which]
        within = [rng.integers(edge - WINDOW + 1) for edge in block.codes.shape[:2]]
        places[i] = (block.window.row + within[0], block.window.col + within[1])
    codes = window_codes(cells, *places.T)
    whole = (codes[..., 0] != NO_DATA).all(axis=(1, 2))
    return _unit_vectors(codes[whole], cells.steps)
