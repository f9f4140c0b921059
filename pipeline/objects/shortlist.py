"""The first stage of a scan of very many cells: a quarter of the cells says where to look.

A score map reads every cell.  Beyond some ten million cells that takes too long for an answer to a
click.  So every second cell of every second row, a quarter of all, is compared with the query
first: alone, and as sums of four neighbours, which together cover what a window covers.  The best
of a tile of 8×8 windows is the tile's promise.  Only the most promising tiles are scored exactly.
What they hold has the same scores as in the whole map (figures: benchmarks/objects_speed.py).

The lengths of the samples do not depend on the query.  They are computed once (`sample_lengths`)
and kept beside the cells.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.model.basis import COMPONENTS
from pipeline.objects.peaks import Peaks, suppressed
from pipeline.objects.scan import (
    WINDOW,
    cell_values,
    map_shape,
    put,
    spread,
    times,
)
from pipeline.objects.scan import window_sums as sums_of
from pipeline.vectors import squared_lengths

if TYPE_CHECKING:
    from pipeline.collection.cell_files import CellBlock, SceneCells

#: Windows along an edge of a tile; one sample is taken of 2×2 cells.
TILE, STRIDE = 8, 2
#: Row and column of the first sample: the middle of the first window.
FIRST = WINDOW // 2
#: Weight of a single sample, which says less than the sum of four.
SINGLE = np.float32(0.8)
#: Product of a sample without data: whatever it is added to stays the worst.
_NONE = -1e30
#: Windows up to which all are scored.
WHOLE_UP_TO = 16_000_000
#: Share of the tiles that is scored, and at least so many for each object wanted.
SHARE, PER_OBJECT = 0.01, 10
#: Share of the tiles from which on it is quicker to score all.
MOST = 0.25
#: Cells multiplied at a time.
PIECE = 16384
#: A cell as one item, which numpy copies several times faster than 64.
_CELL = np.dtype((np.void, COMPONENTS))
#: Tiles scored at a time: their float32 copies fit a core's cache.
_TILES = 128
#: Tiles whose maxima are found at a time.
_BATCH = 1024
#: Rows of tiles whose promise is computed at a time.
_BAND = 8
#: A tile's cells along an edge: of its windows.
_EDGE = TILE + WINDOW - 1


def samples_shape(cells: SceneCells) -> tuple[int, int]:
    """Rows and columns of a scene's samples."""
    height, width = (max(-(-(edge - FIRST) // STRIDE), 0) for edge in (cells.height, cells.width))
    return height, width


def tiles_shape(cells: SceneCells) -> tuple[int, int]:
    """Rows and columns of a scene's tiles."""
    height, width = (-(-edge // TILE) for edge in map_shape(cells))
    return height, width


def sample_lengths(cells: SceneCells) -> np.ndarray:
    """One over the length of each sample, times its weight, and of each sum of four.

    Args:
        cells: Cells of a scene.

    Returns:
        float32 (2, rows, columns), of `samples_shape`; sums are at their first sample.  1 where
        there is no data.
    """
    height, width = samples_shape(cells)
    inverse = np.ones((2, height, width), np.float32)

    def band(top: int) -> None:
        bottom = min(top + TILE, height)
        first, last = FIRST + top * STRIDE, FIRST + min(bottom, height - 1) * STRIDE
        values = cell_values(cells.rows(first, last + 1)[::STRIDE, FIRST::STRIDE], cells.steps)
        inverse[0, top:bottom] = _inverse(values, SINGLE)[: bottom - top]
        pairs = values[:-1] + values[1:]
        fours = _inverse(pairs[:, :-1] + pairs[:, 1:], 1)
        inverse[1, top : top + len(fours), : width - 1] = fours

    if height and width:
        spread(band, range(0, height, TILE))
    return inverse


def _inverse(values: np.ndarray, weight: np.float32 | float) -> np.ndarray:
    lengths = np.sqrt(squared_lengths(values))
    inverse = np.ones(lengths.shape, np.float32)
    return np.divide(weight, lengths, out=inverse, where=lengths > 0)


def promises(
    cells: SceneCells,
    inverse: np.ndarray,
    weights: np.ndarray,
    check: Callable[[], None] | None = None,
) -> np.ndarray:
    """How good the best window of each tile promises to be.

    Args:
        cells: Cells of the scene.
        inverse: Its `sample_lengths`.
        weights: float (64,) by which unit vectors of windows are multiplied.
        check: Called between pieces; raises to stop.

    Returns:
        float32, of `tiles_shape`; below -1e20 where there is no data.
    """
    products = _sample_products(cells, weights, check)
    found = np.empty(tiles_shape(cells), np.float32)
    each = TILE // STRIDE

    def band(top: int) -> None:
        into = found[top : top + _BAND]
        rows = slice(top * each, (top + len(into)) * each)
        part = products[rows.start : rows.stop + 1]
        best = part[: rows.stop - rows.start] * inverse[0, rows]
        pairs = part[1:] + part[:-1]
        fours = pairs[:, 1:] + pairs[:, :-1]
        fours *= inverse[1, rows][: len(fours), :-1]
        known = best[: len(fours), :-1]
        np.maximum(known, fours, out=known)
        down = np.maximum.reduceat(best, np.arange(0, len(best), each), axis=0)
        across = np.maximum.reduceat(down, np.arange(0, best.shape[1], each), axis=1)
        into[...] = across[: len(into), : into.shape[1]]

    if found.size:
        spread(band, range(0, len(found), _BAND))
    return found


def _sample_products(
    cells: SceneCells, weights: np.ndarray, check: Callable[[], None] | None
) -> np.ndarray:
    """float32, of `samples_shape`: each sample's components times the weights."""
    products = np.full(samples_shape(cells), _NONE, np.float32)
    scaled = (np.asarray(weights, np.float32) * cells.steps).astype(np.float32)

    def multiply(piece: tuple[CellBlock, int, int]) -> None:
        block, first, last = piece
        if check is not None:
            check()
        left = (FIRST - block.window.col) % STRIDE
        part = np.asarray(block.codes)[first:last:STRIDE, left::STRIDE]
        codes = np.ascontiguousarray(part.view(_CELL)).view(np.int8)
        row, col = (
            (start - FIRST) // STRIDE
            for start in (block.window.row + first, block.window.col + left)
        )
        height, width = codes.shape[:2]
        found = times(codes.reshape(-1, COMPONENTS), scaled)
        put(found, products[row : row + height, col : col + width])

    spread(multiply, _sampled_pieces(cells))
    return products


def _sampled_pieces(cells: SceneCells) -> Iterator[tuple[CellBlock, int, int]]:
    """Blocks and their rows, each from a row of samples."""
    for block in cells.blocks:
        rows = max(PIECE * STRIDE // block.window.width, 1) * STRIDE
        start = (FIRST - block.window.row) % STRIDE
        for first in range(start, block.window.height, rows):
            yield block, first, min(first + rows, block.window.height)


def best_tiles(
    promised: Sequence[np.ndarray], limit: int, allowed: Sequence[np.ndarray | None]
) -> list[np.ndarray] | None:
    """The tiles to score in each of several scenes; None if these would be most of all.

    Args:
        promised: `promises` of each scene.
        limit: Number of objects wanted from all scenes.
        allowed: bool, of `scan.map_shape` of each scene: windows that may be found; None if all
            may.
    """
    values = [
        each if windows is None else np.where(_of_tiles(windows), each, _NONE)
        for each, windows in zip(promised, allowed, strict=True)
    ]
    every = np.concatenate([each.ravel() for each in values])
    count = max(round(SHARE * every.size), PER_OBJECT * limit)
    if count > every.size * MOST:
        return None
    least = max(np.partition(every, every.size - count)[-count], _NONE / 2)
    return [each >= least for each in values]


def _of_tiles(windows: np.ndarray) -> np.ndarray:
    """bool, of the tiles' shape: whether any window of a tile is True."""
    starts = [np.arange(0, edge, TILE) for edge in windows.shape]
    rows = np.logical_or.reduceat(windows, starts[0], axis=0)
    return np.logical_or.reduceat(rows, starts[1], axis=1)


def peaks_in_tiles(
    cells: SceneCells,
    inverse: np.ndarray,
    weights: np.ndarray,
    tiles: np.ndarray,
    radius: float,
    limit: int,
    *,
    bias: float = 0.0,
    eligible: np.ndarray | None = None,
    check: Callable[[], None] | None = None,
) -> Peaks:
    """As `peaks.peaks` of the whole score map, but of some of its tiles only.

    Args:
        cells: Cells of the scene.
        inverse: Its `scan.inverse_lengths`.
        weights: float (64,) by which unit vectors of windows are multiplied.
        tiles: bool, of `tiles_shape`: the tiles to score.
        radius: As in `peaks.peaks`.
        limit: Maximum number.
        bias: Added to the product.
        eligible: bool, of `scan.map_shape`, False for windows that may not be found.
        check: Called between pieces; raises to stop.
    """
    rows, cols = np.nonzero(tiles)
    scores = _tile_scores(cells, inverse, weights, rows, cols, check)
    number = np.full((tiles.shape[0] + 2, tiles.shape[1] + 2), len(rows))
    number[rows + 1, cols + 1] = np.arange(len(rows))
    tops: list[np.ndarray] = [np.empty((3, 0))] * -(-len(rows) // _BATCH)

    def look(batch: int) -> None:
        part = slice(batch * _BATCH, (batch + 1) * _BATCH)
        tops[batch] = _maxima(scores, number, rows, cols, part)

    spread(look, range(len(tops)))
    tops.append(np.empty((3, 0)))
    down, across = (np.concatenate([top[i] for top in tops]).astype(np.intp) for i in (0, 1))
    values = np.concatenate([top[2] for top in tops]).astype(np.float32) + np.float32(bias)
    if eligible is not None:
        kept = eligible[down, across]
        down, across, values = down[kept], across[kept], values[kept]
    flat = np.ravel_multi_index((down, across), inverse.shape)
    order = np.argsort(flat)
    found, values = suppressed(inverse.shape, flat[order], values[order], radius, limit)
    places = np.unravel_index(found, inverse.shape)
    return Peaks(places[0], places[1], values)


def _tile_scores(
    cells: SceneCells,
    inverse: np.ndarray,
    weights: np.ndarray,
    rows: np.ndarray,
    cols: np.ndarray,
    check: Callable[[], None] | None,
) -> np.ndarray:
    """float32 (8, 8, n + 1): the scores of tiles, -inf where there is none; the last is empty."""
    scaled = (np.asarray(weights, np.float32) * cells.steps).astype(np.float32)
    products = np.zeros((len(rows), _EDGE, _EDGE), np.float32)
    scores = np.full((TILE, TILE, len(rows) + 1), -np.inf, np.float32)

    def multiply(piece: tuple[CellBlock, np.ndarray]) -> None:
        block, chosen = piece
        if check is not None:
            check()
        _multiply(block, chosen, rows[chosen] * TILE, cols[chosen] * TILE, scaled, products)

    def add(start: int) -> None:
        part = slice(start, min(start + _BATCH, len(rows)))
        sums = sums_of(np.ascontiguousarray(products[part].transpose(1, 2, 0)))
        lengths = _cut(inverse, rows[part] * TILE, cols[part] * TILE, TILE)
        sums *= lengths
        sums[lengths == 0] = -np.inf
        scores[..., part] = sums

    spread(multiply, _tile_pieces(cells, rows, cols))
    spread(add, range(0, len(rows), _BATCH))
    return scores


def _tile_pieces(
    cells: SceneCells, rows: np.ndarray, cols: np.ndarray
) -> Iterator[tuple[CellBlock, np.ndarray]]:
    """Blocks and the tiles, by number, that have cells in them; rows of tiles ascend."""
    for block in cells.blocks:
        place = block.window
        first, last = np.searchsorted(
            rows, [(place.row - _EDGE) // TILE + 1, -(-(place.row + place.height) // TILE)]
        )
        left = cols[first:last] * TILE
        touched = (left + _EDGE > place.col) & (left < place.col + place.width)
        found = first + np.flatnonzero(touched)
        for start in range(0, len(found), _TILES):
            yield block, found[start : start + _TILES]


def _multiply(
    block: CellBlock,
    chosen: np.ndarray,
    tops: np.ndarray,
    lefts: np.ndarray,
    weights: np.ndarray,
    products: np.ndarray,
) -> None:
    """Write the products of a block's cells into those of the chosen tiles (n, 10, 10)."""
    place = block.window
    edge = np.arange(_EDGE)
    down, across = tops[:, None] + edge - place.row, lefts[:, None] + edge - place.col
    row, col = np.clip(down, 0, place.height - 1), np.clip(across, 0, place.width - 1)
    at = row[:, :, None] * place.width + col[:, None]
    codes = np.asarray(block.codes).reshape(-1, COMPONENTS).take(at.ravel(), axis=0, mode="clip")
    found = times(codes, weights).reshape(at.shape)
    here = (row == down)[:, :, None] & (col == across)[:, None]
    here &= found == found
    if here.all():
        products[chosen] = found
    else:
        tile, row, col = np.nonzero(here)
        products[chosen[tile], row, col] = found[here]


def _cut(values: np.ndarray, tops: np.ndarray, lefts: np.ndarray, edge: int) -> np.ndarray:
    """(edge, edge, n): squares of an array; 0 beyond its edges."""
    height, width = values.shape
    row = np.arange(edge)[:, None] + tops
    col = np.arange(edge)[:, None] + lefts
    at = np.minimum(row, height - 1)[:, None] * width + np.minimum(col, width - 1)
    cut = values.reshape(-1).take(at)
    cut[np.broadcast_to((row >= height)[:, None] | (col >= width), at.shape)] = 0
    return cut


def _maxima(
    scores: np.ndarray, number: np.ndarray, rows: np.ndarray, cols: np.ndarray, part: slice
) -> np.ndarray:
    """(3, m): row, column and score of the windows that no scored neighbour exceeds."""
    count = len(rows[part])
    around = np.empty((TILE + 2, TILE + 2, count), np.float32)
    edges = (
        (slice(0, 1), slice(-1, None)),
        (slice(1, -1), slice(None)),
        (slice(-1, None), slice(0, 1)),
    )
    for down, (into_row, from_row) in enumerate(edges):
        for across, (into_col, from_col) in enumerate(edges):
            beside = number[rows[part] + down, cols[part] + across]
            around[into_row, into_col] = scores[from_row, from_col][..., beside]
    best = np.maximum(np.maximum(around[:-2], around[1:-1]), around[2:])
    best = np.maximum(np.maximum(best[:, :-2], best[:, 1:-1]), best[:, 2:])
    own = around[1:-1, 1:-1]
    at = np.nonzero((own >= best) & (own > -np.inf))
    top, left = rows[part][at[2]] * TILE + at[0], cols[part][at[2]] * TILE + at[1]
    return np.stack([top, left, own[at]])
