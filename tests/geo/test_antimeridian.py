from __future__ import annotations

import numpy as np
import pytest
import shapely
from shapely.geometry import box

from pipeline.geo import antimeridian
from pipeline.geo.area import Area, area_km2

SPLIT = shapely.MultiPolygon([box(179, -18, 180, -17), box(-180, -18, -179, -17)])
CONTIGUOUS = {
    "east": box(179, -18, 181, -17),
    "west": box(-181, -18, -179, -17),
    "one turn on": box(539, -18, 541, -17),
}


@pytest.fixture(params=CONTIGUOUS, name="contiguous")
def _contiguous(request) -> shapely.Polygon:
    return CONTIGUOUS[request.param]


def test_a_contiguous_shape_is_split_and_joined_again(contiguous):
    assert antimeridian.crosses(contiguous)
    assert antimeridian.split(contiguous).equals(SPLIT)
    assert antimeridian.join(SPLIT).equals(CONTIGUOUS["east"])


@pytest.mark.parametrize("shape", [box(10, 0, 11, 1), box(-180, -90, 180, 90), shapely.Polygon()])
def test_what_crosses_nothing_stays(shape):
    assert not antimeridian.crosses(shape)
    assert antimeridian.split(shape).equals(shape)
    assert antimeridian.join(shape).equals(shape)


def test_a_shape_in_the_west_stays_where_it_is():
    for west in np.random.default_rng(0).uniform(-180, -1, 200):
        bounds = (west, 37.75635, west + 0.219178, 37.894025)
        assert antimeridian.join(box(*bounds)).bounds == bounds
        assert Area.of(box(*bounds)).bounds == bounds


def test_a_shape_across_it_is_as_large_as_elsewhere(contiguous):
    elsewhere = area_km2(box(10, -18, 12, -17))
    assert area_km2(antimeridian.split(contiguous)) == pytest.approx(elsewhere)
    assert area_km2(CONTIGUOUS["east"]) == pytest.approx(elsewhere)


@pytest.mark.parametrize("shape", [SPLIT, *CONTIGUOUS.values()])
def test_points_are_inside_however_either_is_written(shape):
    lon = np.array([179.5, -179.5, 180.5, 180, -180, 540, 178, 0])
    inside = antimeridian.contains(shape, lon, np.full(len(lon), -17.5))
    assert inside.tolist() == [True] * 6 + [False] * 2
    assert antimeridian.contains(shape, 179.5, -17.5)
    assert not antimeridian.contains(shapely.Polygon(), 179.5, -17.5)


def test_shapes_meet_however_either_is_written(contiguous):
    assert antimeridian.intersects(contiguous, box(-179.5, -18, -179.4, -17))
    assert not antimeridian.intersects(contiguous, box(-178.5, -18, -178.4, -17))
    assert antimeridian.intersection(contiguous, SPLIT).equals(SPLIT)


def test_bounds_are_written_both_ways():
    assert antimeridian.wrap_bounds((179, -18, 181, -17)) == (179, -18, -179, -17)
    assert antimeridian.unwrap_bounds((179, -18, -179, -17)) == (179, -18, 181, -17)
    assert antimeridian.wrap_bounds((-181, -18, -179, -17)) == (179, -18, -179, -17)
    assert antimeridian.wrap_bounds((237, 37, 238, 38)) == (-123, 37, -122, 38)
    for bounds in [(-180, -90, 180, 90), (10, 0, 11, 1)]:
        assert antimeridian.wrap_bounds(bounds) == antimeridian.unwrap_bounds(bounds) == bounds
