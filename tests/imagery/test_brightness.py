"""8-bit RGB is shown as stored; other imagery by percentiles, pooled over scenes of a sensor."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rasterio.enums import ColorInterp as C

from pipeline.errors import InputError, SceneError
from pipeline.imagery.brightness import Brightness, measure, pooled
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import AS_STORED, GIVEN, SCENE, SENSOR, Stretch, load_scene
from tests.factories.rasters import ground, write

RGB = [C.red, C.green, C.blue]


def shown(path: Path, **options: object) -> tuple[str, bool]:
    """Where the stretch of a raster comes from, and whether it shows values as stored."""
    scene = open_scene(SceneInput(path, **options))
    return scene.stretch_from, scene.stretch == AS_STORED


@pytest.mark.parametrize(
    ("count", "colours"),
    [
        (1, [C.gray]),
        (3, RGB),
        (4, [*RGB, C.alpha]),
        (4, [*RGB, C.undefined]),
        (4, [C.gray, C.undefined, C.undefined, C.undefined]),  # as NAIP states its bands
        (4, [C.blue, C.green, C.red, C.undefined]),
    ],
)
def test_8_bit_rgb_and_grey_are_shown_as_stored(
    tmp_path: Path, count: int, colours: list[C]
) -> None:
    data = ground(300, 280, count)
    if C.alpha in colours:
        data[-1] = 255
    path = write(tmp_path / "s.tif", data, photometric="MINISBLACK", colours=colours)
    assert shown(path) == (SENSOR, True)
    scene = ingest(SceneInput(path), tmp_path / "out")
    with SceneReader(scene) as reader:
        rgb, _ = reader.read(0, 0, 300, 280)
    assert (rgb == np.moveaxis(data[[band - 1 for band in scene.bands]], 0, -1)).all()


def test_what_is_no_picture_yet_is_stretched(tmp_path: Path) -> None:
    seven = write(tmp_path / "seven.tif", ground(300, 280, 7), photometric="MINISBLACK")
    four = write(tmp_path / "four.tif", ground(300, 280, 4), photometric="MINISBLACK")
    wide = write(tmp_path / "wide.tif", ground(300, 280, dtype="uint16"))
    assert shown(seven) == (SCENE, False)
    assert shown(wide) == (SCENE, False)
    assert shown(four, bands=(4, 1, 2)) == (SCENE, False)  # near-infrared shown as red
    assert shown(four, bands=(1, 2, 3)) == (SENSOR, True)


def test_8_bit_rgb_is_stretched_where_the_user_asks_for_it(tmp_path: Path) -> None:
    path = write(tmp_path / "s.tif")
    assert shown(path, percentile=True) == (SCENE, False)
    assert shown(path, stretch=AS_STORED) == (GIVEN, True)
    asked = open_scene(SceneInput(path, percentile=True))
    assert asked.id == open_scene(SceneInput(path)).id  # in a collection it is shown in one way


def test_a_scene_keeps_where_its_stretch_comes_from(tmp_path: Path) -> None:
    wide = write(tmp_path / "wide.tif", ground(300, 280, dtype="uint16"))
    scene = ingest(SceneInput(wide, sensor="sentinel-2-l2a"), tmp_path / "out")
    assert scene.sensor == "raster sentinel-2-l2a, uint16, bands 1-2-3 of 3"
    again = load_scene(tmp_path / "out", scene.id)
    assert (again.sensor, again.stretch_from) == (scene.sensor, SCENE)


def test_pooled_levels_are_those_of_all_pixels_together() -> None:
    rng = np.random.default_rng(0)
    dark, light = rng.normal(500, 90, (3, 300, 400)), rng.normal(2500, 200, (3, 200, 200))
    whole = [np.ones(part.shape[1:], bool) for part in (dark, light)]
    stretch = pooled([measure(dark, whole[0]), measure(light, whole[1])])
    together = np.concatenate([dark.reshape(3, -1), light.reshape(3, -1)], axis=1)
    expected = np.percentile(together, (2, 98), axis=1)
    np.testing.assert_allclose([stretch.low, stretch.high], expected, rtol=0.01)


def test_one_scenes_pool_is_its_own_stretch() -> None:
    levels = measure(ground(300, 280, dtype="uint16"), np.ones((280, 300), bool))
    assert pooled([levels]) == levels.own


def test_constant_bands_are_pooled_without_equal_levels() -> None:
    levels = measure(np.full((3, 10, 10), 7.0), np.ones((10, 10), bool))
    assert pooled([levels, levels]).high > (7.0,) * 3


def test_brightness_is_read_from_words_and_levels() -> None:
    assert Brightness.parse(None) == Brightness.parse("automatic") == Brightness()
    assert Brightness.parse("percentile") == Brightness(percentile=True)
    assert Brightness.parse("0,3000").stretch == Stretch((0.0,) * 3, (3000.0,) * 3)
    for wrong in ("bright", "1", "1,2,3", ""):
        with pytest.raises(InputError, match="0,3000"):
            Brightness.parse(wrong)
    with pytest.raises(SceneError, match="above"):
        Brightness.parse("9,3")
