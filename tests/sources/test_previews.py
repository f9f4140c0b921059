"""Rasters shown on a map before anything is built from them."""

from __future__ import annotations

import io
import os
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import InputError, NotFoundError, SceneError
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.imagery.scene import Stretch
from pipeline.sources import previews as module
from pipeline.sources.previews import Previews
from tests.factories.rasters import ground, write, write_raster


@pytest.fixture
def previews(tmp_path: Path) -> Previews:
    return Previews(tmp_path / "home")


def test_a_look_is_the_raster_with_its_bands_and_stretch(
    previews: Previews, tmp_path: Path
) -> None:
    raster = write_raster(tmp_path / "fields.tif", 400, 300)
    token, scene = previews.open(str(raster))
    other, turned = previews.open(str(raster), (3, 2, 1), Stretch((0,) * 3, (255,) * 3))
    assert token != other
    assert previews.scene(token).bands == (1, 2, 3)
    assert previews.scene(other).bands == (3, 2, 1)
    assert turned.stretch.high == (255, 255, 255)
    assert scene.path == str(raster)


def test_a_look_nobody_opened_is_not_found(previews: Previews) -> None:
    with pytest.raises(NotFoundError):
        previews.scene("../../etc/passwd")


def test_a_large_raster_without_overviews_is_shown_from_a_coarser_copy(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 1000)
    monkeypatch.setattr(module, "SIDE", 200)
    raster = write(tmp_path / "wide.tif", ground(600, 400), nodata=0)
    _, scene = previews.open(str(raster))
    own = open_scene(SceneInput(raster))
    assert max(scene.width, scene.height) == 200
    assert scene.path.startswith(str(tmp_path / "home" / "looks"))
    assert scene.footprint.symmetric_difference(own.footprint).area < 0.01 * own.footprint.area
    assert np.allclose(scene.stretch.high, own.stretch.high, atol=12)
    stamp = Path(scene.path).stat().st_mtime_ns
    _, again = previews.open(str(raster))
    assert Path(again.path).stat().st_mtime_ns == stamp


def test_a_large_raster_with_overviews_is_shown_as_it_lies(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SMALL", 1000)
    raster = write(tmp_path / "wide.tif", ground(600, 400), overviews=(2, 4), tiled=True)
    assert previews.open(str(raster))[1].path == str(raster)


def test_bands_are_named_and_the_type_gives_the_full_range(
    previews: Previews, tmp_path: Path
) -> None:
    rgb = previews.bands(str(write_raster(tmp_path / "rgb.tif", 300, 300)))
    assert rgb.shown == (1, 2, 3)
    assert rgb.full == (0, 255)
    assert rgb.names[0].startswith("1")
    floats = write(tmp_path / "float.tif", ground(300, 300, 1, "float32"))
    assert previews.bands(str(floats)).full is None
    assert previews.bands(str(floats)).shown == (1, 1, 1)


def test_uploads_of_one_batch_lie_together_under_safe_names(
    previews: Previews, tmp_path: Path
) -> None:
    files = [(io.BytesIO(b"a"), "../../räster.png"), (io.BytesIO(b"b"), "raster.pgw")]
    first, second = previews.keep_uploads(files)
    assert first.parent == second.parent
    assert first.is_relative_to(previews.uploads)
    assert first.name == "raster.png"
    with pytest.raises(InputError):
        previews.keep_uploads([(io.BytesIO(b""), "empty.tif")])


def test_uploads_that_nobody_used_for_a_week_are_removed(previews: Previews) -> None:
    (old,) = previews.keep_uploads([(io.BytesIO(b"a"), "old.tif")])
    os.utime(old.parent, (0, 0))
    previews.keep_uploads([(io.BytesIO(b"b"), "new.tif")])
    assert not old.exists()


def test_a_raster_without_a_place_is_refused(previews: Previews, tmp_path: Path) -> None:
    nowhere = write(tmp_path / "nowhere.tif", crs=None)
    with pytest.raises(SceneError, match="coordinate reference system"):
        previews.open(str(nowhere))


def test_the_oldest_previews_expire(
    previews: Previews, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST", 2)
    raster = str(write_raster(tmp_path / "fields.tif", 300, 300))
    tokens = [previews.open(raster, bands)[0] for bands in ((1, 2, 3), (3, 2, 1), (2, 2, 2))]
    with pytest.raises(NotFoundError):
        previews.scene(tokens[0])
    assert previews.scene(tokens[2]).bands == (2, 2, 2)
