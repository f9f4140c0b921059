from __future__ import annotations

import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
import rasterio

from pipeline.errors import QueryError, StorageError
from pipeline.export.findings import Provenance
from pipeline.export.score_map import (
    ScoreMap,
    download_score_maps,
    write_score_map,
    write_score_maps,
)
from tests.factories import synthetic
from tests.factories.rasters import largest_file
from tests.factories.synthetic import MODEL

SCENE = replace(
    synthetic.scene("airport", 1600, 1200, gsd=0.5, datetime="2016-08-16T10:00:00Z"),
    license="CC-BY 4.0 Somebody",
)
PROVENANCE = Provenance(
    collection="bay",
    title="The Bay",
    version="1",
    query="box in airport",
    recipe={"k": 4},
    parameters={"k": 4},
    model=MODEL,
    scenes=(),
)


def scores_of(scale: float, scene=SCENE) -> np.ndarray:
    """Windows of 4×4 cells at every cell: 3 fewer than cells in each direction."""
    shape = (int(scene.height * scale / 16) - 3, int(scene.width * scale / 16) - 3)
    scores = np.random.default_rng(0).uniform(-1, 1, shape).astype(np.float32)
    scores[:5, :7] = np.nan
    return scores


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_a_pixel_lies_at_the_centre_of_its_window(tmp_path, scale):
    scores = scores_of(scale)
    write_score_map(tmp_path / "map.tif", ScoreMap(SCENE, scores, scale), PROVENANCE)
    with rasterio.open(tmp_path / "map.tif") as opened:
        assert opened.crs.to_epsg() == 32632
        assert opened.res == (0.5 * 16 / scale, 0.5 * 16 / scale)
        np.testing.assert_array_equal(opened.read(1), scores)
        for row, col in ((0, 0), (9, 20)):
            pixel = (col + 2) * 16 / scale, (row + 2) * 16 / scale
            assert opened.xy(row, col) == pytest.approx(rasterio.Affine(*SCENE.transform) @ pixel)


def test_it_is_a_cog_that_states_nodata_and_origin(tmp_path):
    from rio_cogeo import cog_validate

    scores = np.tile(scores_of(1.0), (10, 10))
    path = tmp_path / "map.tif"
    write_score_map(path, ScoreMap(SCENE, scores, 2.0), PROVENANCE, threshold=0.35)
    assert cog_validate(str(path), strict=True)[0]
    with rasterio.open(path) as opened:
        assert opened.dtypes == ("float32",)
        assert np.isnan(opened.nodata)
        assert opened.overviews(1)
        assert opened.descriptions == ("score",)
        assert (opened.read_masks(1) == 0).sum() == np.isnan(scores).sum()
        tags = opened.tags()
    assert tags["TIFFTAG_SOFTWARE"].startswith("Lookalike ")
    assert tags["TIFFTAG_COPYRIGHT"] == tags["LICENSE"] == "CC-BY 4.0 Somebody"
    assert (tags["COLLECTION"], tags["SCENE"]) == ("bay", "airport")
    assert tags["QUERY"] == "box in airport"
    assert json.loads(tags["CELLS"]) == MODEL.to_dict()
    assert (tags["SCALE"], tags["WINDOW_PIXELS"], tags["THRESHOLD"]) == ("2", "32", "0.35")
    assert [file.name for file in tmp_path.iterdir()] == ["map.tif"]


def test_it_follows_a_turned_scene(tmp_path):
    turned = replace(SCENE, transform=(0.4, 0.3, 300000.0, 0.3, -0.4, 5150000.0))
    write_score_map(tmp_path / "map.tif", ScoreMap(turned, scores_of(1.0), 1.0), PROVENANCE)
    with rasterio.open(tmp_path / "map.tif") as opened:
        expected = rasterio.Affine(*turned.transform) @ ((5 + 2) * 16, (3 + 2) * 16)
        assert opened.xy(3, 5) == pytest.approx(expected)


def test_one_scene_is_the_file_and_several_lie_beside_it(tmp_path):
    one = ScoreMap(SCENE, scores_of(1.0), 1.0)
    other = replace(one, scene=replace(SCENE, id="harbour"))
    assert write_score_maps(tmp_path / "a.tif", [one], PROVENANCE) == [tmp_path / "a.tif"]
    files = write_score_maps(tmp_path / "b.tif", iter([one, other]), PROVENANCE)
    assert [file.name for file in files] == ["b-airport.tif", "b-harbour.tif"]
    for file, name in zip(files, ("airport", "harbour"), strict=True):
        with rasterio.open(file) as opened:
            assert opened.tags()["SCENE"] == name
    with pytest.raises(QueryError, match="no score map"):
        write_score_maps(tmp_path / "c.tif", [], PROVENANCE)


def test_a_download_is_a_geotiff_or_a_zip_of_several(tmp_path):
    one = ScoreMap(SCENE, scores_of(1.0), 1.0)
    other = replace(one, scene=replace(SCENE, id="harbour"))
    path = download_score_maps(tmp_path, "planes", [one], PROVENANCE)
    assert path.name == "planes-scores.tif"
    with rasterio.open(path) as opened:
        assert opened.count == 1
    path = download_score_maps(tmp_path, "planes", [one, other], PROVENANCE)
    assert path.name == "planes-scores.zip"
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    assert names == ["planes-scores-airport.tif", "planes-scores-harbour.tif"]
    with rasterio.open(f"zip://{path}!{names[1]}") as opened:
        assert opened.tags()["SCENE"] == "harbour"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.parametrize("most", [512, 16 << 10])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, most):
    score_map = ScoreMap(SCENE, np.tile(scores_of(1.0), (4, 4)), 1.0)
    with largest_file(most), pytest.raises(StorageError, match="disk is full"):
        write_score_map(tmp_path / "map.tif", score_map, PROVENANCE)
    assert list(tmp_path.iterdir()) == []
