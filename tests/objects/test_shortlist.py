"""The first stage of a scan finds what the whole scan finds, and looks only where it may."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import box

from pipeline.collection.cell_files import CellWindow, SceneCells
from pipeline.collection.library import Library
from pipeline.model.basis import COMPONENTS, NO_DATA
from pipeline.objects import scan, shortlist
from pipeline.objects.find import find
from pipeline.objects.peaks import Peaks, peaks
from pipeline.objects.places import Example
from pipeline.search.filters import Filters
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat


class Block:
    """A block of cells in memory."""

    def __init__(self, row: int, col: int, codes: np.ndarray) -> None:
        self.window, self.codes = CellWindow(row, col, *codes.shape[:2]), codes


def cells_of(codes: np.ndarray, edge: int) -> SceneCells:
    """The codes in blocks whose edges fall anywhere in a tile."""
    blocks = [
        Block(row, col, np.ascontiguousarray(codes[row : row + edge, col : col + edge]))
        for row in range(0, codes.shape[0], edge)
        for col in range(0, codes.shape[1], edge)
    ]
    return SceneCells("scene", 1.0, *codes.shape[:2], tuple(blocks))  # type: ignore[arg-type]


def texture(height: int, width: int, seed: int) -> np.ndarray:
    """Codes that change as gradually as those of imagery."""
    noise = np.random.default_rng(seed).normal(0, 60, (height + 2, width + 2, COMPONENTS))
    return np.rint(scan.window_sums(noise) / 8).clip(-127, 127).astype(np.int8)


def places(found: Peaks) -> list[tuple[int, int]]:
    return list(zip(found.rows.tolist(), found.cols.tolist(), strict=True))


@pytest.mark.parametrize("edge", [37, 128])
def test_all_tiles_hold_the_maxima_of_the_whole_map(edge: int) -> None:
    codes = texture(75, 61, 1)
    codes[30:40, 20:50] = NO_DATA
    cells = cells_of(codes, edge)
    inverse = scan.inverse_lengths(cells)
    weights = np.random.default_rng(2).normal(size=COMPONENTS)
    mask = np.random.default_rng(3).random(inverse.shape) < 0.7
    whole = scan.score_map(cells, inverse, weights, bias=0.25)
    expected = peaks(whole, 2.5, 60, eligible=mask)
    tiles = np.ones(shortlist.tiles_shape(cells), bool)
    found = shortlist.peaks_in_tiles(
        cells, inverse, weights, tiles, 2.5, 60, bias=0.25, eligible=mask
    )
    assert places(found) == places(expected)
    np.testing.assert_allclose(found.scores, expected.scores, atol=1e-4)


def test_few_tiles_hold_the_best_of_a_large_map() -> None:
    rng = np.random.default_rng(5)
    codes = texture(700, 500, 4)
    thing = rng.normal(0, 50, COMPONENTS)
    for row, col in rng.integers(4, 490, (60, 2)):
        codes[row : row + 5, col : col + 5] = np.rint(thing + rng.normal(0, 25, (5, 5, 64))).clip(
            -127, 127
        )
    cells = cells_of(codes, 111)
    inverse = scan.inverse_lengths(cells)
    weights = (thing * cells.steps).astype(np.float32)
    expected = peaks(scan.score_map(cells, inverse, weights), 5, 50)
    promised = shortlist.promises(cells, shortlist.sample_lengths(cells), weights)
    tiles = shortlist.best_tiles([promised], 10, [None])
    assert tiles is not None
    assert tiles[0].mean() < 0.05
    found = shortlist.peaks_in_tiles(cells, inverse, weights, tiles[0], 5, 50)
    assert len(set(places(found)) & set(places(expected))) >= 49


def test_nothing_is_promised_where_there_is_no_data_or_nothing_may_be_found() -> None:
    codes = texture(300, 300, 6)
    codes[:, :100] = NO_DATA
    cells = cells_of(codes, 64)
    weights = -np.ones(COMPONENTS)
    promised = shortlist.promises(cells, shortlist.sample_lengths(cells), weights)
    assert (promised[:, :12] < -1e20).all()
    assert (promised[:, 13:] > -1e20).all()
    allowed = np.zeros(scan.map_shape(cells), bool)
    allowed[250:, 200:] = True
    tiles = shortlist.best_tiles([promised, promised], 2, [allowed, allowed & False])
    assert tiles is not None
    assert tiles[0].any()
    assert not tiles[0][:31].any()
    assert not tiles[0][:, :25].any()
    assert not tiles[1].any()


def test_small_maps_are_not_worth_a_first_stage() -> None:
    assert shortlist.best_tiles([np.zeros((30, 30), np.float32)], 1_000, [None]) is None


def test_large_collection_gives_the_same_first_objects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    objects.use_standin(monkeypatch)
    yard = objects.collection(tmp_path, Library(tmp_path / "home"))
    example = Example(*lonlat(yard, PLACES[5]))
    west, north = lonlat(yard, (0, 0))
    east, south = lonlat(yard, (520, 1024))
    for filters in (None, Filters(within=box(west, south, east, north))):
        whole = find([yard], [example], size_m=WIDTH * 0.5, k=8, filters=filters)
        with monkeypatch.context() as change:
            change.setattr(shortlist, "WHOLE_UP_TO", 0)
            change.setattr(shortlist, "PER_OBJECT", 2)
            change.setattr(shortlist, "MOST", 1.0)
            large = find([yard], [example], size_m=WIDTH * 0.5, k=8, filters=filters)
        assert not whole.notes
        assert "weak ones may be missing" in large.notes[0]
        assert [(o.row, o.col) for o in large.objects] == [(o.row, o.col) for o in whole.objects]
