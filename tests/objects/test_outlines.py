from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from pipeline.objects.outlines import contours, outlines, pieces_at
from tests.factories import synthetic

SCENE = synthetic.scene("airport", 1024, 1024, gsd=0.5)
Y, X = np.mgrid[:61, :61].astype(np.float32)


def cone(row: float, col: float, slope: float = 0.05) -> np.ndarray:
    """A score of 1 at a place that falls by `slope` a cell in every direction."""
    return (1 - slope * np.hypot(Y - row, X - col)).astype(np.float32)


def in_pixels(outline: shapely.Polygon) -> shapely.Polygon:
    return shapely.transform(
        outline, lambda at: np.column_stack(SCENE.georeference.pixels(at[:, 0], at[:, 1]))
    )


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_an_outline_lies_at_the_threshold_finer_than_a_cell(scale):
    (found,) = outlines(cone(30, 24), np.array([[30, 24]]), 0.63, SCENE, scale)
    cell = 16 / scale
    radius = (1 - 0.63) / 0.05 * cell
    at = np.array([24 + 2, 30 + 2]) * cell  # centre of the window at row 30, column 24
    edge = np.asarray(in_pixels(found).exterior.coords)
    np.testing.assert_allclose(np.hypot(*(edge - at).T), radius, atol=0.2 * cell)


def test_each_of_two_touching_objects_has_the_half_nearest_to_it():
    scores = np.maximum(cone(30, 20), cone(30, 32))
    first, second = pieces_at(scores, np.array([[30, 20], [30, 32]]), 0.6)
    (whole,) = contours(scores, 0.6)
    assert first.intersection(second).area == pytest.approx(0, abs=1e-6)
    assert first.area + second.area == pytest.approx(whole.area)
    assert first.bounds[2] == pytest.approx(26)
    assert second.bounds[0] == pytest.approx(26)
    assert first.contains(shapely.Point(20, 30))


def test_objects_apart_do_not_know_of_each_other():
    scores = np.maximum(cone(12, 12), cone(45, 45))
    both = outlines(scores, np.array([[12, 12], [45, 45]]), 0.8, SCENE, 1)
    (alone,) = outlines(scores, np.array([[45, 45]]), 0.8, SCENE, 1)
    assert both[1].equals(alone)
    assert not both[0].intersects(both[1])


def test_what_is_cut_off_by_nearer_peaks_is_left_out():
    # A ring-shaped piece: the part of it that is nearest to a peak but not connected is no part.
    scores = np.where(abs(np.hypot(Y - 30, X - 30) - 15) < 4, 0.9, 0.1).astype(np.float32)
    peaks = np.array([[30, 15], [30, 45], [15, 30]])
    found = pieces_at(scores, peaks, 0.5)
    assert {piece.geom_type for piece in found} == {"Polygon"}
    for piece, (row, col) in zip(found, peaks, strict=True):
        assert piece.intersects(shapely.Point(col, row))


def test_an_outline_keeps_its_hole():
    distance = np.hypot(Y - 30, X - 30)
    scores = (1 - 0.1 * abs(distance - 12)).astype(np.float32)
    (found,) = pieces_at(scores, np.array([[30, 18]]), 0.5)
    assert len(found.interiors) == 1
    assert found.area == pytest.approx(np.pi * (17**2 - 7**2), rel=0.02)


def test_a_peak_below_the_threshold_and_a_mere_tip_have_no_outline():
    scores = np.maximum(cone(12, 12), cone(45, 45) - 0.3)
    peaks = np.array([[12, 12], [45, 45]])
    assert [bool(one) for one in outlines(scores, peaks, 0.8, SCENE, 1)] == [True, False]
    assert outlines(scores, peaks, 0.99, SCENE, 1) == [None, None]
    assert outlines(scores, peaks, 1.5, SCENE, 1) == [None, None]
    assert outlines(scores, peaks[:0], 0.5, SCENE, 1) == []


def test_an_outline_ends_within_a_cell_beyond_the_data():
    scores = cone(30, 2)
    scores[:, 10:] = np.nan
    (found,) = pieces_at(scores, np.array([[30, 2]]), 0.3)
    west, _, east, _ = found.bounds
    assert -1 <= west < 0
    assert 9 < east <= 10
    (everywhere,) = pieces_at(np.full((5, 5), 0.9, np.float32), np.array([[2, 2]]), 0.5)
    assert everywhere.area > 16
    assert outlines(np.full((5, 5), np.nan), np.array([[2, 2]]), 0.5, SCENE, 1) == [None]


def test_an_outline_at_the_antimeridian_is_contiguous():
    fiji = replace(SCENE, crs="EPSG:4326", transform=(0.001, 0.0, 179.4, 0.0, -0.001, 0.5))
    (found,) = outlines(cone(29, 29), np.array([[29, 29]]), 0.6, fiji, 1)
    west, _, east, _ = found.bounds
    assert west < 180 < east
    assert east - west < 0.5


def test_many_objects_that_touch_are_divided_without_gaps_or_overlaps():
    rng = np.random.default_rng(0)
    tops = rng.permutation(np.argwhere(np.ones((12, 12)))) * 5 + 2
    scores = np.max([cone(*top, slope=0.04) for top in tops], axis=0)
    found = pieces_at(scores, tops, 0.5)
    assert shapely.union_all(found).area == pytest.approx(sum(one.area for one in found), rel=1e-6)
    assert all(one.is_valid for one in found)
