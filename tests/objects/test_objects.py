from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import shapely

from pipeline.imagery.scene import Scene
from pipeline.objects.objects import found_objects, object_id, outline_in_pixels, window_polygon
from tests.factories import synthetic

SCENE = synthetic.scene("airport", 2000, 1600, gsd=0.5)


def one(scene: Scene = SCENE, **more):
    return found_objects("bay", scene, np.array([[640.0, 480, 90, 60]]), np.array([0.9]), **more)[0]


def test_an_object_has_its_place_and_size_on_the_ground():
    found = one()
    assert (found.width_m, found.height_m) == pytest.approx((45, 30), rel=0.002)
    col, row = SCENE.georeference.pixels(found.lon, found.lat)
    assert (col, row) == pytest.approx((640, 480), abs=0.01)
    assert found.geometry.contains(shapely.Point(found.lon, found.lat))
    assert found.box == (595, 450, 685, 510)


def test_its_id_depends_on_scene_centre_and_size_to_the_pixel():
    same = object_id(SCENE.id, 640.2, 479.9, 90, 60)
    assert one().id == same
    assert len(same) == 16
    assert int(same, 16) >= 0
    others = {
        object_id("other", 640, 480, 90, 60),
        object_id(SCENE.id, 641, 480, 90, 60),
        object_id(SCENE.id, 640, 480, 92, 60),
        object_id(SCENE.id, 480, 640, 90, 60),
        same,
    }
    assert len(others) == 5


def test_its_json_has_what_scripts_rely_on():
    values = json.loads(json.dumps(one(probabilities=[None]).to_dict()))
    assert values["probability"] is None
    assert {
        "rank", "score", "probability", "lon", "lat", "width_m", "height_m", "geometry",
        "collection", "scene_id", "datetime",
    } <= set(values)  # fmt: skip
    assert values["geometry"]["type"] == "Polygon"
    assert one(probabilities=[0.75]).to_dict()["probability"] == 0.75


def test_an_outline_is_told_from_a_window():
    assert outline_in_pixels(one(), SCENE) is None
    x = np.array([610, 660, 650, 620, 610.0])
    y = np.array([460, 455, 500, 505, 460.0])
    lon, lat = SCENE.georeference.lonlat(x, y)
    found = one(outlines=[shapely.Polygon(np.column_stack([lon, lat]))])
    pixels = outline_in_pixels(found, SCENE)
    assert pixels.area == pytest.approx(shapely.Polygon(np.column_stack([x, y])).area, rel=0.001)


def test_a_picture_is_square_and_holds_the_whole_object():
    col, row, width, height = one().picture
    left, upper, right, lower = one().box
    assert width == height
    assert col <= left
    assert row <= upper
    assert col + width >= right
    assert row + height >= lower
    assert width <= 1.5 * 90


def test_an_object_at_the_antimeridian_stays_beside_its_scene():
    transform = (0.001, 0.0, 179.9, 0.0, -0.001, 1.0)
    scene = replace(synthetic.scene("fiji", 400, 400), crs="EPSG:4326", transform=transform)
    found = found_objects("bay", scene, np.array([[200.0, 200, 60, 60]]), np.array([0.5]))[0]
    assert found.geometry.contains(shapely.Point(found.lon, found.lat))
    window = window_polygon(scene, 120, 200, 64, 64)
    assert window.bounds[2] - window.bounds[0] == pytest.approx(0.064)
