"""Opening, describing, keeping and reading scenes, and what unusable rasters are told."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from pipeline.errors import DamagedError, NotFoundError, SceneError, StorageError
from pipeline.imagery import cog
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.scene import Scene, Stretch, load_scene
from tests import ROOT
from tests.factories import rasters

IDENTITY_STRETCH = Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


def files_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def refused(path: Path, folder: Path) -> SceneError:
    """The error of a raster that cannot be used, having checked its form and that nothing stays."""
    with pytest.raises(SceneError) as caught:
        ingest(SceneInput(path), folder)
    error = caught.value
    assert error.what
    assert path.name in error.where
    assert error.remedy
    assert files_in(folder) == []
    return error


# What cannot be opened


def test_text_named_tif_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "notes.tif"
    path.write_text("not a raster at all\n" * 50)
    assert "not a raster" in str(refused(path, tmp_path / "out"))


def test_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "empty.tif"
    path.touch()
    assert "empty" in str(refused(path, tmp_path / "out"))


def test_missing_file_and_folder_are_refused(tmp_path: Path) -> None:
    assert "no such file" in str(refused(tmp_path / "absent.tif", tmp_path / "out"))
    folder = tmp_path / "folder.tif"
    folder.mkdir()
    assert "folder" in str(refused(folder, tmp_path / "out"))


def test_vrt_renamed_tif_is_refused(tmp_path: Path) -> None:
    target = rasters.write(tmp_path / "target.tif")
    path = tmp_path / "innocent.tif"
    path.write_text(
        '<VRTDataset rasterXSize="320" rasterYSize="300"><VRTRasterBand dataType="Byte" band="1">'
        f"<SimpleSource><SourceFilename>{target}</SourceFilename></SimpleSource>"
        "</VRTRasterBand></VRTDataset>"
    )
    assert "VRT" in str(refused(path, tmp_path / "out"))


@pytest.mark.parametrize(
    "content",
    [
        '<?xml version="1.0"?><!-- x --><VRTDataset rasterXSize="1" rasterYSize="1"/>',
        '<GDAL_WMS><Service name="TMS"><ServerUrl>http://127.0.0.1:9/</ServerUrl></Service></GDAL_WMS>',
        '{"type": "FeatureCollection", "stac_version": "1.0.0", "features": []}',
        "GTI:/etc/passwd",
    ],
)
def test_other_indirections_are_refused_whatever_their_name(tmp_path: Path, content: str) -> None:
    path = tmp_path / "scene.tif"
    path.write_text(content)
    refused(path, tmp_path / "out")


@pytest.mark.parametrize(
    "path", ["/vsicurl/http://127.0.0.1:9/a.tif", "ftp://127.0.0.1/a.tif", "GTIFF_DIR:1:/a.tif"]
)
def test_paths_that_gdal_would_follow_are_no_files(path: str) -> None:
    with pytest.raises(SceneError, match="no such file"):
        open_scene(SceneInput(Path(path)))


def test_sidecars_are_not_followed(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "scene.tif", rasters.ground(700, 600))
    before = open_scene(SceneInput(path))
    other = rasters.write(tmp_path / "other.tif", rasters.ground(350, 300, seed=9))
    (tmp_path / "scene.tif.ovr").write_bytes(other.read_bytes())
    (tmp_path / "scene.tif.aux.xml").write_text(
        "<PAMDataset><GeoTransform>0,1,0,0,0,-1</GeoTransform><SRS>EPSG:4326</SRS></PAMDataset>"
    )
    assert open_scene(SceneInput(path)) == before


def test_truncated_tiff_is_refused(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "whole.tif", rasters.ground(600, 600))
    cut = tmp_path / "cut.tif"
    for keep in (0.01, 0.5, 0.97):
        cut.write_bytes(path.read_bytes()[: int(path.stat().st_size * keep)])
        refused(cut, tmp_path / "out")


def test_truncated_cog_is_refused_although_its_header_is_whole(tmp_path: Path) -> None:
    path = rasters.write_cog(tmp_path / "whole.tif", rasters.ground(1200, 1100))
    cut = tmp_path / "cut.tif"
    cut.write_bytes(path.read_bytes()[:-2000])
    assert "cut off" in str(refused(cut, tmp_path / "out"))


def test_garbage_inside_a_tiff_is_refused(tmp_path: Path) -> None:
    path = rasters.write(
        tmp_path / "scene.tif", rasters.ground(600, 600), compress="deflate", tiled=True
    )
    content = bytearray(path.read_bytes())
    content[len(content) // 3 : len(content) // 3 * 2] = os.urandom(len(content) // 3)
    path.write_bytes(content)
    refused(path, tmp_path / "out")


def test_unreadable_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = rasters.write(tmp_path / "scene.tif")

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    with pytest.raises(SceneError, match="Permission denied"):
        open_scene(SceneInput(path))


def test_complex_values_are_refused(tmp_path: Path) -> None:
    data = np.ones((1, 300, 300), "complex64")
    error = refused(rasters.write(tmp_path / "sar.tif", data), tmp_path / "out")
    assert "complex64" in str(error)


def test_alpha_alone_is_refused(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp

    path = rasters.write(
        tmp_path / "a.tif", rasters.ground(300, 300, 1), colours=[ColorInterp.alpha]
    )
    assert "alpha" in str(refused(path, tmp_path / "out"))


# Where a raster lies


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_crs_is_refused(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "scene.tif", crs=None)
    assert "no coordinate reference system" in str(refused(path, tmp_path / "out"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_no_position_is_refused(tmp_path: Path) -> None:
    from affine import Affine

    path = rasters.write(tmp_path / "scene.tif", transform=Affine.identity())
    assert "no position" in str(refused(path, tmp_path / "out"))


def test_missing_crs_may_be_stated_and_is_then_written(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "scene.tif", crs=None)
    scene = ingest(SceneInput(path, crs="EPSG:32632"), tmp_path / "out")
    import rasterio

    with rasterio.open(scene.path) as dataset:
        assert dataset.crs.to_epsg() == 32632
    with pytest.raises(SceneError, match="not a coordinate reference system"):
        open_scene(SceneInput(path, crs="somewhere"))


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_ground_control_points_alone_are_refused(tmp_path: Path) -> None:
    from rasterio.control import GroundControlPoint
    from rasterio.crs import CRS

    points = [GroundControlPoint(r, c, 6 + c / 1e3, 46 - r / 1e3) for r in (0, 9) for c in (0, 9)]
    import rasterio

    path = tmp_path / "scene.tif"
    profile = {"width": 300, "height": 300, "count": 1, "dtype": "uint8"}
    with rasterio.open(path, "w", driver="GTiff", **profile) as dataset:
        dataset.write(rasters.ground(300, 300, 1))
        dataset.gcps = (points, CRS.from_epsg(4326))
    assert "control points" in str(refused(path, tmp_path / "out"))


def test_position_off_the_earth_is_refused(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(tmp_path / "s.tif", crs="EPSG:4326", transform=from_origin(0, 500, 1, 1))
    with pytest.raises(SceneError, match="longitude and latitude"):
        ingest(SceneInput(path), tmp_path / "out")


@pytest.mark.parametrize("kind", ["rotated", "south-up", "mirrored"])
def test_unusual_transforms_keep_their_true_corners(tmp_path: Path, kind: str) -> None:
    from affine import Affine
    from pyproj import Transformer

    transform = {
        "rotated": Affine.translation(3e5, 5.15e6) @ Affine.rotation(30) @ Affine.scale(10, -10),
        "south-up": Affine(10, 0, 3e5, 0, 10, 5.15e6),
        "mirrored": Affine(-10, 0, 3e5, 0, -10, 5.15e6),
    }[kind]
    scene = ingest(
        SceneInput(rasters.write(tmp_path / "scene.tif", transform=transform)), tmp_path / "out"
    )
    assert scene.transform == pytest.approx(tuple(transform)[:6])
    assert scene.gsd == pytest.approx(10, rel=0.01)
    to_degrees = Transformer.from_crs(32632, 4326, always_xy=True)
    outline = np.array(scene.footprint.exterior.coords)
    for corner in ((0, 0), (320, 0), (320, 300), (0, 300)):
        expected = to_degrees.transform(*(transform @ corner))
        assert np.abs(outline - expected).sum(axis=1).min() < 1e-9


def test_rotated_scene_is_drawn_where_it_lies(tmp_path: Path) -> None:
    from affine import Affine
    from rio_tiler.io import Reader

    transform = Affine.translation(3e5, 5.15e6) @ Affine.rotation(30) @ Affine.scale(10, -10)
    data = rasters.ground(320, 300)
    scene = ingest(
        SceneInput(rasters.write(tmp_path / "s.tif", data, transform=transform)), tmp_path / "out"
    )
    lon, lat = scene.georeference.lonlat(200.5, 100.5)
    with Reader(scene.path) as reader:
        assert reader.point(float(lon), float(lat)).data.tolist() == data[:, 100, 200].tolist()


def test_antimeridian_scene_is_contiguous(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(
        tmp_path / "fiji.tif", crs="EPSG:3832", transform=from_origin(3.32e6, -1.9e6, 100, 100)
    )
    scene = open_scene(SceneInput(path))
    west, south, east, north = scene.bounds4326
    assert 179 < west < 180 < east < 181
    assert -18 < south < north < -16
    assert scene.footprint.is_valid
    assert scene.gsd == pytest.approx(100 * math.cos(math.radians(16.9)), rel=0.01)


def test_scene_beyond_the_antimeridian_is_brought_back(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(
        tmp_path / "s.tif", crs="EPSG:4326", transform=from_origin(200, 10, 0.01, 0.01)
    )
    assert open_scene(SceneInput(path)).bounds4326 == pytest.approx((-160, 7, -156.8, 10))


def test_polar_scene_away_from_the_pole(tmp_path: Path) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(
        tmp_path / "s.tif", crs="EPSG:3031", transform=from_origin(1e6, 1e6, 30, 30)
    )
    scene = open_scene(SceneInput(path))
    assert scene.footprint.is_valid
    assert -90 < scene.bounds4326[1] < scene.bounds4326[3] < -75
    assert scene.gsd == pytest.approx(30, rel=0.03)


@pytest.mark.parametrize(("crs", "pole"), [("EPSG:3413", 90), ("EPSG:3031", -90)])
def test_scene_around_a_pole_holds_it_and_all_longitudes(
    tmp_path: Path, crs: str, pole: int
) -> None:
    from rasterio.transform import from_origin
    from shapely.geometry import Point

    path = rasters.write(
        tmp_path / "s.tif", crs=crs, transform=from_origin(-160000, 150000, 1000, 1000)
    )
    scene = open_scene(SceneInput(path))
    assert scene.footprint.is_valid
    assert scene.bounds4326[::2] == (-180, 180)
    assert pole in scene.bounds4326
    for lon in (-170, -90, 0, 90, 170):
        assert scene.footprint.covers(Point(lon, pole * 0.999))


def test_edges_of_the_footprint_follow_their_curve(tmp_path: Path) -> None:
    from rasterio.transform import from_origin
    from shapely.geometry import Point

    path = rasters.write(
        tmp_path / "s.tif", crs="EPSG:3035", transform=from_origin(3e6, 4e6, 5000, 5000)
    )
    scene = open_scene(SceneInput(path))
    lon, lat = scene.georeference.lonlat(160, 0)
    assert scene.footprint.exterior.distance(Point(float(lon), float(lat))) < 0.002


@pytest.mark.parametrize(
    ("crs", "pixel", "place"),
    [("EPSG:4326", 0.0001, (10, 60)), ("EPSG:3857", 10, (1113194, 8399737))],
)
def test_gsd_is_measured_on_the_ground(
    tmp_path: Path, crs: str, pixel: float, place: tuple[float, float]
) -> None:
    from rasterio.transform import from_origin

    path = rasters.write(tmp_path / "s.tif", crs=crs, transform=from_origin(*place, pixel, pixel))
    expected = {"EPSG:4326": math.sqrt(11.14 * 5.58), "EPSG:3857": 5.0}[crs]
    assert open_scene(SceneInput(path)).gsd == pytest.approx(expected, rel=0.01)


# Pictures with world files

WORLD = "10\n0\n0\n-10\n300005\n5149995\n"


def test_png_with_world_file_and_prj_lies_where_they_say(tmp_path: Path) -> None:
    from pyproj import CRS

    data = rasters.ground(320, 300)
    prj = CRS.from_epsg(32632).to_wkt("WKT1_ESRI")
    path = rasters.write_picture(tmp_path / "p.png", data, world=WORLD, prj=prj)
    scene = ingest(SceneInput(path, stretch=IDENTITY_STRETCH), tmp_path / "out")
    assert scene.transform == pytest.approx((10, 0, 300000, 0, -10, 5150000))
    with SceneReader(scene) as reader:
        assert (reader.read(0, 0, 320, 300)[0] == np.moveaxis(data, 0, -1)).all()


def test_png_with_gdal_sidecar_lies_where_it_says(tmp_path: Path) -> None:
    path = rasters.write_picture(tmp_path / "p.png", world=None, prj=None)
    (tmp_path / "p.png.aux.xml").write_text(
        "<PAMDataset><SRS>EPSG:32632</SRS>"
        "<GeoTransform> 300000, 10, 0, 5150000, 0, -10</GeoTransform></PAMDataset>"
    )
    assert open_scene(SceneInput(path)).transform == (10, 0, 300000, 0, -10, 5150000)


def test_png_without_crs_says_how_to_give_it(tmp_path: Path) -> None:
    path = rasters.write_picture(tmp_path / "p.png", world=WORLD, prj=None)
    assert ".prj" in str(refused(path, tmp_path / "out"))
    assert open_scene(SceneInput(path, crs="EPSG:32632")).crs == "EPSG:32632"


@pytest.mark.parametrize(
    ("world", "prj", "said"),
    [
        ("one two", "", "world file"),
        ("1 2 3", "", "world file"),
        (WORLD, "gibberish", ".prj"),
        (None, None, "no coordinate"),
    ],
)
def test_damaged_sidecars_are_named(
    tmp_path: Path, world: str | None, prj: str | None, said: str
) -> None:
    path = rasters.write_picture(tmp_path / "p.png", world=world, prj=prj)
    assert said in str(refused(path, tmp_path / "out"))


def test_hostile_xml_beside_a_picture_is_refused(tmp_path: Path) -> None:
    path = rasters.write_picture(tmp_path / "p.png", world=WORLD, prj=None)
    (tmp_path / "p.png.aux.xml").write_text(
        '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><PAMDataset><SRS>&a;</SRS></PAMDataset>'
    )
    assert ".aux.xml" in str(refused(path, tmp_path / "out"))


def test_jpeg_with_world_file_is_kept_without_further_loss(tmp_path: Path) -> None:
    import rasterio
    from pyproj import CRS

    path = rasters.write_picture(tmp_path / "p.jpg", world=WORLD, prj=CRS.from_epsg(32632).to_wkt())
    scene = ingest(SceneInput(path, stretch=IDENTITY_STRETCH), tmp_path / "out")
    with rasterio.open(path) as dataset, SceneReader(scene) as reader:
        decoded = np.moveaxis(dataset.read(), 0, -1)
        assert (reader.read(0, 0, 320, 300)[0] == decoded).all()


def test_jpeg2000_is_opened(tmp_path: Path) -> None:
    data = rasters.ground(400, 300)
    path = rasters.write(
        tmp_path / "s.jp2", data, driver="JP2OpenJPEG", QUALITY="100", REVERSIBLE="YES"
    )
    scene = ingest(SceneInput(path, stretch=IDENTITY_STRETCH), tmp_path / "out")
    assert scene.crs == "EPSG:32632"
    with SceneReader(scene) as reader:
        assert (reader.read(0, 0, 400, 300)[0] == np.moveaxis(data, 0, -1)).all()


# Bands, types, stretch


@pytest.mark.parametrize(
    ("count", "bands"), [(1, (1, 1, 1)), (2, (1, 1, 1)), (4, (1, 2, 3)), (7, (1, 2, 3))]
)
def test_any_number_of_bands_is_shown(
    tmp_path: Path, count: int, bands: tuple[int, int, int]
) -> None:
    path = rasters.write(
        tmp_path / "s.tif", rasters.ground(300, 280, count), photometric="MINISBLACK"
    )
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert (scene.count, scene.bands) == (count, bands)
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 300, 280)
    assert rgb.shape == (280, 300, 3)
    assert valid.all()
    assert (rgb[..., 0] == rgb[..., 1]).all() == (count < 3)


def test_colour_interpretation_decides_the_bands(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp as C

    data = rasters.ground(300, 280, 4)
    path = rasters.write(
        tmp_path / "bgr.tif", data, photometric="MINISBLACK",
        colours=[C.blue, C.green, C.red, C.undefined],
    )  # fmt: skip
    assert open_scene(SceneInput(path)).bands == (3, 2, 1)


def test_bands_may_be_chosen_and_are_checked(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif", rasters.ground(300, 280, 7), photometric="MINISBLACK")
    assert open_scene(SceneInput(path, bands=(7, 4, 2))).bands == (7, 4, 2)
    assert open_scene(SceneInput(path, bands=(5,))).bands == (5, 5, 5)
    for bad in ((0, 1, 2), (1, 2, 8), (1, 2), ()):
        with pytest.raises(SceneError, match="bands 1 to 7"):
            open_scene(SceneInput(path, bands=bad))


def test_chosen_bands_reach_the_pixels_in_order(tmp_path: Path) -> None:
    data = rasters.ground(300, 280, 7)
    path = rasters.write(tmp_path / "s.tif", data, photometric="MINISBLACK")
    scene = ingest(SceneInput(path, bands=(7, 2, 2), stretch=IDENTITY_STRETCH), tmp_path / "out")
    with SceneReader(scene) as reader:
        rgb, _ = reader.read(10, 20, 100, 50)
    assert (rgb == np.moveaxis(data[[6, 1, 1], 20:70, 10:110], 0, -1)).all()


@pytest.mark.parametrize("dtype", ["uint16", "int16", "uint32", "float32", "float64"])
def test_every_type_is_stretched_over_its_own_range(tmp_path: Path, dtype: str) -> None:
    data = rasters.ground(400, 380, dtype=dtype)
    if dtype == "int16":
        data = data - 4000
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif", data)), tmp_path / "out")
    assert scene.dtype == dtype
    low, high = np.percentile(data[0], (2, 98))
    assert (scene.stretch.low[0], scene.stretch.high[0]) == pytest.approx((low, high))
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 400, 380)
    assert valid.all()
    assert np.percentile(rgb, (1, 99)).tolist() == [0, 255]
    expected = ((data[0].astype(float) - low) / (high - low) * 255).clip(0, 255)
    assert np.abs(rgb[..., 0] - expected).max() < 0.51


def test_nan_and_infinities_are_no_data_and_do_not_reach_the_stretch(tmp_path: Path) -> None:
    data = rasters.ground(300, 280, dtype="float32")
    data[0, 10:20, 10:20] = np.nan
    data[1, 30:40, 10:20] = np.inf
    data[2, 50:60, 10:20] = -np.inf
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif", data)), tmp_path / "out")
    assert all(0 < level < 1.01 for level in (*scene.stretch.low, *scene.stretch.high))
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 300, 280)
    assert int((~valid).sum()) == 300
    assert not valid[10:20, 10:20].any()
    assert (rgb[~valid] == 0).all()


def test_constant_band_is_shown_without_dividing_by_zero(tmp_path: Path) -> None:
    data = np.full((3, 300, 300), 7, "uint8")
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data)))
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 300, 300)
    assert valid.all()
    assert (rgb == rgb[0, 0]).all()


def test_stretch_is_the_same_each_time_and_can_be_set(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif", rasters.ground(2200, 300, dtype="uint16"))
    assert open_scene(SceneInput(path)).stretch == open_scene(SceneInput(path)).stretch
    chosen = Stretch((0.0, 10.0, 20.0), (100.0, 110.0, 120.0))
    assert open_scene(SceneInput(path, stretch=chosen)).stretch == chosen
    for low, high in ((1.0, 1.0), (2.0, 1.0), (math.nan, 1.0)):
        with pytest.raises(SceneError, match="stretch"):
            Stretch((0.0, 0.0, low), (1.0, 1.0, high))


@pytest.mark.parametrize("nodata", [None, 3])
def test_palette_is_spelt_out_as_colours(tmp_path: Path, nodata: int | None) -> None:
    import rasterio

    index = rasters.ground(300, 280, 1) % 4
    path = rasters.write(tmp_path / "s.tif", index, photometric="PALETTE", nodata=nodata)
    colours = {0: (10, 20, 30), 1: (200, 0, 0), 2: (0, 200, 0), 3: (0, 0, 200)}
    with rasterio.open(path, "r+") as dataset:
        dataset.write_colormap(1, {k: (*v, 255) for k, v in colours.items()})
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert (scene.count, scene.bands) == (3 if nodata is None else 4, (1, 2, 3))
    with rasterio.open(scene.path) as dataset:
        kept = np.moveaxis(dataset.read((1, 2, 3)), 0, -1)
    assert (kept == np.array(list(colours.values()))[index[0]]).all()
    with SceneReader(scene) as reader:
        rgb, valid = reader.read(0, 0, 300, 280)
    assert (valid == (index[0] != nodata)).all()
    assert (rgb[valid] == kept[valid]).all()


# No data


def test_all_nodata_is_refused(tmp_path: Path) -> None:
    data = np.zeros((3, 300, 300), "uint8")
    path = rasters.write(tmp_path / "s.tif", data, nodata=0)
    assert "holds data" in str(refused(path, tmp_path / "out"))
    nan = rasters.write(tmp_path / "nan.tif", np.full((1, 300, 300), np.nan, "float32"))
    assert "holds data" in str(refused(nan, tmp_path / "out"))


def test_dark_water_inside_stays_while_the_collar_goes(tmp_path: Path) -> None:
    data = rasters.ground(400, 400)
    data[:, :, :60] = 0  # a collar on the left
    data[:, 200:260, 200:300] = 0  # a lake
    data[0, 300:320, 0:60] = 9  # not all bands are zero here
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif", data, nodata=0)), tmp_path / "out")
    with SceneReader(scene) as reader:
        _, valid = reader.read(0, 0, 400, 400)
        _, part = reader.read(50, 190, 300, 100)
    assert valid[200:260, 200:300].all()
    assert not valid[:300, :60].any()
    assert valid[300:320, :60].all()
    assert valid[:, 60:].all()
    assert (part == valid[190:290, 50:350]).all()


def test_collar_is_judged_the_same_on_a_large_scene(tmp_path: Path) -> None:
    data = rasters.ground(2600, 2300, 1)
    inward = np.mgrid[:2300, :2600].sum(axis=0)
    data[0, inward < 900] = 0
    data[0, 1500:1600, 1500:1600] = 0
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data, nodata=0, tiled=True)))
    with SceneReader(scene) as reader:
        _, valid = reader.read(0, 0, 2600, 2300)
    assert (valid == (inward >= 900)).all()


def test_negative_nodata_counts_everywhere(tmp_path: Path) -> None:
    data = rasters.ground(300, 300, dtype="float32")
    data[:, 100:110, 100:110] = -3.4028230607370965e38
    path = rasters.write(tmp_path / "s.tif", data, nodata=-3.4028230607370965e38)
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert min(scene.stretch.low) > 0
    with SceneReader(scene) as reader:
        _, valid = reader.read(0, 0, 300, 300)
    assert int((~valid).sum()) == 100


def test_alpha_band_says_where_data_is_and_is_not_shown(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp as C

    data = rasters.ground(300, 300, 4)
    data[3] = 255
    data[3, :, :70] = 0
    path = rasters.write(
        tmp_path / "s.tif", data, colours=[C.red, C.green, C.blue, C.alpha], nodata=None
    )
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert scene.bands == (1, 2, 3)
    with SceneReader(scene) as reader:
        _, valid = reader.read(0, 0, 300, 300)
    assert (valid == (data[3] > 0)).all()


def test_grey_with_alpha_is_grey(tmp_path: Path) -> None:
    from rasterio.enums import ColorInterp as C

    data = rasters.ground(300, 300, 2)
    data[1] = 255
    path = rasters.write(tmp_path / "s.tif", data, colours=[C.gray, C.alpha])
    assert open_scene(SceneInput(path)).bands == (1, 1, 1)


def test_internal_mask_says_where_data_is(tmp_path: Path) -> None:
    mask = np.full((300, 300), 255, "uint8")
    mask[40:90, 30:80] = 0
    scene = ingest(
        SceneInput(rasters.write(tmp_path / "s.tif", rasters.ground(300, 300), mask=mask)),
        tmp_path / "out",
    )
    with SceneReader(scene) as reader:
        _, valid = reader.read(0, 0, 300, 300)
    assert (valid == (mask > 0)).all()


def test_border_search_follows_bends_and_agrees_with_a_plain_flood() -> None:
    from scipy.ndimage import binary_propagation

    from pipeline.imagery.nodata import reaching_border

    for seed in range(20):
        rng = np.random.default_rng(seed)
        mask = rng.random((57, 83)) < rng.uniform(0.3, 0.8)
        border = mask.copy()
        border[1:-1, 1:-1] = False
        assert (reaching_border(mask) == binary_propagation(border, mask=mask)).all()


# Reading


@pytest.mark.parametrize(
    "window", [(-1, 0, 10, 10), (0, -1, 10, 10), (311, 0, 10, 10), (0, 295, 10, 10), (0, 0, 0, 5)]
)
def test_windows_outside_are_an_error(tmp_path: Path, window: tuple[int, int, int, int]) -> None:
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif")))
    with SceneReader(scene) as reader, pytest.raises(SceneError, match="not inside the scene"):
        reader.read(*window)


def test_picture_may_reach_outside_and_is_black_there(tmp_path: Path) -> None:
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif"), stretch=IDENTITY_STRETCH))
    with SceneReader(scene) as reader:
        picture = reader.thumbnail(-64, -64, 128, 128, 64)
        assert (picture[:32] == 0).all()
        assert (picture[:, :32] == 0).all()
        assert picture[32:, 32:].min() > 0
        assert (reader.thumbnail(5000, 5000, 10, 10, 16) == 0).all()
        rgb, _ = reader.read(20, 30, 128, 128)
        assert (reader.thumbnail(20, 30, 128, 128, 128) == rgb).all()


def test_picture_of_a_whole_large_scene_is_decimated(tmp_path: Path) -> None:
    data = rasters.ground(5000, 3000, 1)
    scene = open_scene(SceneInput(rasters.write(tmp_path / "s.tif", data, tiled=True)))
    with SceneReader(scene) as reader:
        picture = reader.thumbnail(0, 0, 5000, 3000, 200)
    assert picture.shape == (200, 200, 3)
    assert picture.std() > 10


def test_missing_and_replaced_files_are_damage(tmp_path: Path) -> None:
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif")), tmp_path / "out")
    Path(scene.path).write_bytes(
        rasters.write(tmp_path / "t.tif", rasters.ground(300, 300)).read_bytes()
    )
    with pytest.raises(DamagedError, match="size has changed"), SceneReader(scene):
        pass
    Path(scene.path).unlink()
    with pytest.raises(DamagedError, match="cannot be read"), SceneReader(scene):
        pass


def test_damaged_tile_is_reported_with_its_place(tmp_path: Path) -> None:
    data = rasters.ground(1200, 1100)
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif", data)), tmp_path / "out")
    content = bytearray(Path(scene.path).read_bytes())
    middle = len(content) // 2
    content[middle : middle + 4000] = np.random.default_rng(0).bytes(4000)
    Path(scene.path).write_bytes(content)
    with SceneReader(scene) as reader, pytest.raises(DamagedError, match="column 0, row 0"):
        reader.read(0, 0, 1200, 1100)


# Keeping


def test_ingest_writes_a_valid_cog_with_every_value(tmp_path: Path) -> None:
    import rasterio
    from rio_cogeo import cog_validate

    data = rasters.ground(1300, 1100, 5, "uint16")
    path = rasters.write(tmp_path / "My Flight (2).tif", data, nodata=0, photometric="MINISBLACK")
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert scene.id.startswith("my-flight-2-")
    assert files_in(tmp_path / "out") == [f"{scene.id}.json", f"{scene.id}.tif"]
    assert cog_validate(scene.path, strict=True)[0]
    with rasterio.open(scene.path) as dataset:
        assert (dataset.read() == data).all()
        assert dataset.nodata == 0
        assert dataset.overviews(1) == [2, 4]
        assert dataset.compression.value == "DEFLATE"


def test_cog_is_kept_byte_for_byte(tmp_path: Path) -> None:
    path = rasters.write_cog(tmp_path / "s.tif", rasters.ground(700, 600))
    scene = ingest(SceneInput(path), tmp_path / "out")
    assert Path(scene.path).read_bytes() == path.read_bytes()
    assert not Path(scene.path).samefile(path)


def test_lossy_source_is_not_compressed_a_second_time(tmp_path: Path) -> None:
    import rasterio

    path = rasters.write(
        tmp_path / "s.tif", rasters.ground(900, 800), compress="jpeg", photometric="ycbcr"
    )
    scene = ingest(SceneInput(path), tmp_path / "out")
    with rasterio.open(path) as before, rasterio.open(scene.path) as after:
        assert (before.read() == after.read()).all()
        assert after.compression.value == "DEFLATE"


def test_same_content_is_one_scene(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif")
    first = ingest(SceneInput(path, title="First"), tmp_path / "out")
    before = Path(first.path).stat().st_mtime_ns
    again = ingest(SceneInput(path, title="Second"), tmp_path / "out")
    assert again == first
    assert Path(again.path).stat().st_mtime_ns == before


def test_other_bands_or_stretch_are_another_scene(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif")
    ids = {
        open_scene(SceneInput(path)).id,
        open_scene(SceneInput(path, bands=(3, 2, 1))).id,
        open_scene(SceneInput(path, stretch=IDENTITY_STRETCH)).id,
    }
    assert len(ids) == 3
    assert open_scene(SceneInput(path, bands=(1, 2, 3))).id in ids


def test_changed_content_is_another_scene(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif")
    before = open_scene(SceneInput(path)).id
    rasters.write(path, rasters.ground(320, 300, seed=4))
    assert open_scene(SceneInput(path)).id != before


def test_scene_is_loaded_from_a_folder_that_moved(tmp_path: Path) -> None:
    scene = ingest(
        SceneInput(rasters.write(tmp_path / "s.tif"), datetime="2016-08-16"), tmp_path / "out"
    )
    (tmp_path / "out").rename(tmp_path / "moved")
    loaded = load_scene(tmp_path / "moved", scene.id)
    assert loaded.path == str(tmp_path / "moved" / f"{scene.id}.tif")
    assert loaded.datetime == "2016-08-16T00:00:00Z"
    with SceneReader(loaded) as reader:
        reader.read(0, 0, 10, 10)


def test_unknown_and_damaged_descriptions_are_told_apart(tmp_path: Path) -> None:
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif")), tmp_path)
    for unknown in ("nothing-00000000", "../s", ""):
        with pytest.raises(NotFoundError):
            load_scene(tmp_path, unknown)
    (tmp_path / f"{scene.id}.json").write_text("{")
    with pytest.raises(DamagedError):
        load_scene(tmp_path, scene.id)
    (tmp_path / f"{scene.id}.json").write_text('{"id": "x"}')
    with pytest.raises(DamagedError):
        load_scene(tmp_path, scene.id)


def test_ingest_mends_a_damaged_description(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif")
    scene = ingest(SceneInput(path), tmp_path / "out")
    (tmp_path / "out" / f"{scene.id}.json").write_text("{")
    assert ingest(SceneInput(path), tmp_path / "out") == load_scene(tmp_path / "out", scene.id)


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("id",), None),
        (("id",), "another"),
        (("assets", "image", "href"), 5),
        (("assets", "image", "raster:bands"), []),
        (("properties", "title"), "\ud800"),
        (("properties", "datetime"), "soon"),
        (("properties", "gsd"), "10 m"),
        (("properties", "proj:epsg"), None),
        (("properties", "proj:epsg"), "\ud800"),
        (("properties", "proj:shape"), [10**30, 300]),
        (("properties", "proj:shape"), [None, 300]),
        (("properties", "proj:transform"), []),
        (("properties", "proj:transform"), [10**400, 0, 0, 0, 1, 0]),
        (("properties", "lookalike:bands"), [1, 2, 9]),
        (("properties", "lookalike:bands"), [[], 2, 3]),
    ],
)
def test_a_description_with_a_wrong_value_is_damaged(
    tmp_path: Path, place: tuple[str, ...], value: object
) -> None:
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif")), tmp_path / "out")
    file = tmp_path / "out" / f"{scene.id}.json"
    item = json.loads(file.read_text())
    *groups, name = place
    holder = item
    for group in groups:
        holder = holder[group]
    holder[name] = value
    file.write_text(json.dumps(item))
    with pytest.raises(DamagedError):
        load_scene(tmp_path / "out", scene.id)


def test_a_description_that_is_nested_without_end_is_damaged(tmp_path: Path) -> None:
    (tmp_path / "s.json").write_text("[" * 100_000)
    with pytest.raises(DamagedError):
        load_scene(tmp_path, "s")


@pytest.mark.parametrize("when", ["2016-08-16T17:05:00Z", None])
def test_item_round_trips_and_is_stac(tmp_path: Path, when: str | None) -> None:
    import pystac

    data = rasters.ground(300, 300, dtype="float32")
    path = rasters.write(tmp_path / "s.tif", data, nodata=math.nan)
    scene = open_scene(SceneInput(path, datetime=when, license="CC-BY-4.0", title="Près d’ici"))
    item = json.loads(json.dumps(scene.to_item(), allow_nan=False))
    back = Scene.from_item(item)
    assert math.isnan(back.nodata or 0)
    assert json.loads(json.dumps(back.to_item())) == item
    assert pystac.Item.from_dict(item).id == scene.id


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("2016-08-16", "2016-08-16T00:00:00Z"),
        ("2016-08-16T10:00:00+02:00", "2016-08-16T08:00:00Z"),
        ("2016-08-16T10:00:00.123Z", "2016-08-16T10:00:00Z"),
    ],
)
def test_dates_are_kept_in_utc(tmp_path: Path, given: str, kept: str) -> None:
    assert (
        open_scene(SceneInput(rasters.write(tmp_path / "s.tif"), datetime=given)).datetime == kept
    )


def test_date_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="not a date"):
        open_scene(SceneInput(rasters.write(tmp_path / "s.tif"), datetime="last summer"))


def test_acquisition_tag_is_the_date_and_the_writing_date_is_not(tmp_path: Path) -> None:
    written = rasters.write(tmp_path / "a.tif", tags={"TIFFTAG_DATETIME": "2020:01:01 00:00:00"})
    assert open_scene(SceneInput(written)).datetime is None
    taken = rasters.write(tmp_path / "b.tif", tags={"DATE_ACQUIRED": "2003-07-04"})
    assert open_scene(SceneInput(taken)).datetime == "2003-07-04T00:00:00Z"


def test_a_day_in_the_name_is_the_date_unless_the_raster_knows_better(tmp_path: Path) -> None:
    named = rasters.write(tmp_path / "m_4709963_20160816.tif")
    assert open_scene(SceneInput(named)).datetime == "2016-08-16T00:00:00Z"
    taken = rasters.write(tmp_path / "x_20160816.tif", tags={"DATE_ACQUIRED": "2003-07-04"})
    assert open_scene(SceneInput(taken)).datetime == "2003-07-04T00:00:00Z"


def test_provenance_does_not_carry_the_folders_of_this_machine(tmp_path: Path) -> None:
    scene = ingest(SceneInput(rasters.write(tmp_path / "s.tif")), tmp_path / "out")
    assert str(tmp_path) not in (tmp_path / "out" / f"{scene.id}.json").read_text()


def test_stopping_and_failing_leave_nothing(tmp_path: Path) -> None:
    from pipeline.errors import Cancelled

    def stop(report: object) -> None:
        if getattr(report, "stage", "") in ("Converting", "Copying"):
            raise Cancelled("stopped")

    plain = rasters.write(tmp_path / "plain.tif")
    cog = rasters.write_cog(tmp_path / "cog.tif", rasters.ground(700, 600))
    for path in (plain, cog):
        with pytest.raises(Cancelled):
            ingest(SceneInput(path), tmp_path / "out", progress=stop)
    assert files_in(tmp_path / "out") == []


def test_large_rasters_are_converted_apart_and_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.errors import Cancelled
    from pipeline.imagery import cog

    path = rasters.write(tmp_path / "s.tif", rasters.ground(900, 800))
    apart, here = tmp_path / "apart.tif", tmp_path / "here.tif"
    cog.write_cog(path, apart, large=0)
    cog.write_cog(path, here)
    assert apart.read_bytes() == here.read_bytes()

    def stop(_: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        cog.write_cog(path, tmp_path / "stopped.tif", progress=stop, large=0)
    assert not list(tmp_path.glob("stopped*"))
    with pytest.raises(SceneError, match="no coordinate"):
        cog.write_cog(rasters.write(tmp_path / "n.tif", crs=None), tmp_path / "failed.tif", large=0)
    assert not list(tmp_path.glob("failed*"))


def test_full_disk_is_a_storage_error_and_leaves_nothing(tmp_path: Path) -> None:
    """A limit on file size stands for the disk: the write fails half way just the same."""
    path = rasters.write(tmp_path / "s.tif", rasters.ground(1500, 1400))
    code = f"""
import resource, signal, sys
from pathlib import Path
from pipeline.imagery import cog
from pipeline.errors import StorageError
from pipeline.imagery.ingest import SceneInput, ingest
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
cog.LARGE = int(sys.argv[1])
try:
    ingest(SceneInput(Path({str(path)!r})), Path({str(tmp_path / "out")!r}))
except StorageError as error:
    sys.exit(0 if "disk is full" in str(error) else str(error))
sys.exit("no error")
"""
    answer = subprocess.run(
        [sys.executable, "-c", code, str(1 << 40)], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == 0, answer.stderr
    assert files_in(tmp_path / "out") == []


@pytest.mark.parametrize("kilobytes", [64, 300])
def test_an_overview_that_does_not_fit_is_not_the_rasters_fault(
    tmp_path: Path, kilobytes: int
) -> None:
    path = rasters.write(tmp_path / "s.tif", rasters.ground(768, 640))
    with rasters.largest_file(kilobytes << 10), pytest.raises(StorageError, match="disk is full"):
        ingest(SceneInput(path), tmp_path / "out")
    assert files_in(tmp_path / "out") == []


def test_a_disk_that_gdal_does_not_name_is_not_the_rasters_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (3, 600, 600), "uint8")
    path = rasters.write(tmp_path / "s.tif", noise)
    monkeypatch.setattr(cog.shutil, "disk_usage", lambda _: SimpleNamespace(free=2 << 20))
    with rasters.largest_file(1_100_000), pytest.raises(StorageError, match="disk is full"):
        ingest(SceneInput(path), tmp_path / "out")
    assert files_in(tmp_path / "out") == []


def test_unwritable_folder_is_a_storage_error(tmp_path: Path) -> None:
    path = rasters.write(tmp_path / "s.tif")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError):
        ingest(SceneInput(path), tmp_path / "file" / "scenes")


def test_memory_stays_flat_while_a_scene_is_read(tmp_path: Path) -> None:
    import tracemalloc

    path = rasters.write(tmp_path / "s.tif", rasters.ground(3000, 3000, 1), tiled=True)
    scene = open_scene(SceneInput(path))
    with SceneReader(scene) as reader:
        reader.read(0, 0, 512, 512)
        tracemalloc.start()
        for row in range(0, 2560, 512):
            reader.read(0, row, 512, 512)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 12 << 20
