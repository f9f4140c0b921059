from __future__ import annotations

import pytest
from shapely.geometry import MultiPolygon, box

from pipeline.geo.area import Area
from pipeline.sources.candidates import Candidate
from pipeline.sources.source import cover, share_of


@pytest.mark.parametrize("footprint", [box(179, -18, 181, -17), box(-181, -18, -179, -17)])
def test_imagery_across_the_antimeridian_covers_all_of_an_area_across_it(footprint):
    area = Area.of(MultiPolygon([box(179, -18, 180, -17), box(-180, -18, -179, -17)]))
    assert share_of(area, footprint) == pytest.approx(1)
    candidate = Candidate(id="a", source="raster", title="a", footprint=footprint)
    coverage = cover(area, [candidate])
    assert coverage.share == pytest.approx(1)
    assert area.geometry.difference(coverage.footprint).area == pytest.approx(0)
