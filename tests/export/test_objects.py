from __future__ import annotations

import csv
import io
import json
import sqlite3
import zipfile
from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from pipeline.collection.collection import Collection
from pipeline.errors import QueryError
from pipeline.export.findings import Findings
from pipeline.export.formats import OBJECT_FORMATS, by_suffix, export
from pipeline.export.object_findings import OBJECT_COLUMNS, object_findings
from pipeline.frontend import missing
from pipeline.objects.objects import FoundObject, found_objects
from tests.factories import pictured
from tests.factories.synthetic import MODEL

RECIPE = {"box": [6.4, 46.4, 6.5, 46.5], "k": 4}
#: Centre column, centre row, width and height of four objects in pixels.
BOXES = np.array([[100.0, 120, 64, 48], [300, 320, 40, 40], [620, 300, 64, 64], [420, 500, 30, 60]])
CORNERS = np.array([[90, 100], [120, 105], [125, 140], [95, 138.0]])
VECTORS = ["geojson", "gpkg", "shapefile", "geoparquet"]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Collection:
    return pictured.collection(tmp_path_factory.mktemp("objects"), title="Bay & hills")


@pytest.fixture(scope="module")
def objects(made) -> list[FoundObject]:
    (scene,) = made.scenes.values()
    outline = shapely.Polygon(np.column_stack(scene.georeference.lonlat(*CORNERS.T)))
    found = found_objects(
        "bay",
        scene,
        BOXES,
        np.array([0.95, 0.9, 0.85, 0.8]),
        probabilities=[0.97, 0.9, None, 0.4],
        outlines=[outline, None, None, None],
    )
    marks = ("good", "good", "bad", "")
    return [replace(one, mark=mark) for one, mark in zip(found, marks, strict=True)]


def findings_of(made: Collection, objects: list[FoundObject], **more) -> Findings:
    about = {"query": "box in Bay & hills", "recipe": RECIPE, "parameters": {"k": 4}}
    return object_findings({"bay": made}, objects, **about, model=MODEL, **more)


@pytest.fixture(scope="module")
def findings(made, objects) -> Findings:
    return findings_of(made, objects, notes={objects[1].id: "by the road"})


@pytest.mark.parametrize("geometry", ["outline", "box", "point"])
def test_objects_are_written_in_every_format(made, objects, tmp_path, geometry):
    if missing():
        pytest.fail("the map library is missing: run `make setup`")
    found = findings_of(made, objects, geometry=geometry)
    for name, format in OBJECT_FORMATS.items():
        path = export(found, name, tmp_path / "planes")
        assert path.name == "planes" + format.suffix
        assert by_suffix(path, OBJECT_FORMATS) == format
    assert len(list(tmp_path.iterdir())) == len(OBJECT_FORMATS)


@pytest.mark.parametrize("name", VECTORS)
def test_every_vector_format_opens_in_geopandas_with_the_same_columns(findings, tmp_path, name):
    import geopandas

    path = export(findings, name, tmp_path / "planes")
    opened = geopandas.read_parquet(path) if name == "geoparquet" else geopandas.read_file(path)
    frame = opened.rename(columns={"title": "scene_title", "prob": "probability"})
    assert list(frame.columns) == [*OBJECT_COLUMNS, "geometry"]
    assert frame.crs.to_epsg() == 4326 or frame.crs == "OGC:CRS84"
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    np.testing.assert_allclose(frame["probability"], [0.97, 0.9, np.nan, 0.4])
    np.testing.assert_allclose(frame["width_m"], BOXES[:, 2] * 10, rtol=0.01)
    assert frame["mark"].fillna("").tolist() == ["good", "good", "bad", ""]
    for shape, item in zip(frame.geometry, findings.items, strict=True):
        assert shape.symmetric_difference(item.geometry).area < 1e-4 * item.geometry.area


@pytest.mark.parametrize("name", VECTORS)
def test_an_object_is_drawn_as_outline_box_or_point(made, objects, tmp_path, name):
    import geopandas

    shapes = {}
    for geometry in ("outline", "box", "point"):
        path = export(findings_of(made, objects, geometry=geometry), name, tmp_path / geometry)
        read = geopandas.read_parquet if name == "geoparquet" else geopandas.read_file
        shapes[geometry] = read(path).geometry.to_crs(32632)
    assert shapes["outline"][0].area == pytest.approx(shapely.Polygon(CORNERS).area * 100, rel=0.01)
    np.testing.assert_allclose(shapes["box"].area, BOXES[:, 2] * BOXES[:, 3] * 100, rtol=0.01)
    assert set(shapes["point"].geom_type) == {"Point"}
    for point, box in zip(shapes["point"], shapes["box"], strict=True):
        assert point.distance(box.centroid) < 0.1


def test_an_unknown_geometry_is_refused(made, objects):
    with pytest.raises(QueryError, match="outline, box, point"):
        findings_of(made, objects, geometry="circle")


def test_chips_are_no_coco_and_say_which_formats_there_are(findings, tmp_path):
    with pytest.raises(QueryError, match="geojson"):
        export(replace(findings, kind="chips"), "coco", tmp_path / "x")


def test_csv_has_an_empty_cell_where_there_is_no_probability(findings, tmp_path):
    path = export(findings, "csv", tmp_path / "planes")
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    assert list(rows[0]) == [*OBJECT_COLUMNS, "wkt"]
    assert [row["probability"] for row in rows] == ["0.97", "0.9", "", "0.4"]
    assert rows[1]["note"] == "by the road"


def test_provenance_names_the_objects_query_and_model(findings, made, tmp_path):
    about = json.loads(export(findings, "geojson", tmp_path / "x").read_text())["provenance"]
    assert about["recipe"] == RECIPE
    assert about["model"] == MODEL.to_dict()
    assert [scene["license"] for scene in about["scenes"]] == ["CC-BY 4.0 Somebody"]


@pytest.mark.parametrize(("geometry", "symbol"), [("outline", "fill"), ("point", "marker")])
def test_geopackage_of_objects_is_styled(made, objects, tmp_path, geometry, symbol):
    path = export(findings_of(made, objects, geometry=geometry), "gpkg", tmp_path / "planes")
    database = sqlite3.connect(path)
    ((table, qml),) = database.execute("SELECT f_table_name, styleQML FROM layer_styles")
    database.close()
    assert table == "objects"
    assert {one.get("type") for one in ElementTree.fromstring(qml).iter("symbol")} == {symbol}


def test_kmz_holds_points_and_tight_pictures(made, objects, tmp_path):
    path = export(findings_of(made, objects, geometry="point"), "kmz", tmp_path / "planes")
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("doc.kml"))
        pictures = [name for name in archive.namelist() if name.startswith("pictures/")]
    kml = "{http://www.opengis.net/kml/2.2}"
    at = [one.find(f"{kml}coordinates").text for one in root.iter(f"{kml}Point")]
    for text, found in zip(at, objects, strict=True):
        assert tuple(map(float, text.split(","))) == pytest.approx((found.lon, found.lat), abs=1e-6)
    assert len(pictures) == 4
    assert "None" not in ElementTree.tostring(root, encoding="unicode")


def test_pictures_are_tight_and_lie_where_the_objects_are(made, objects, findings, tmp_path):
    import rasterio

    path = export(findings, "chips", tmp_path / "planes")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    assert (tmp_path / "out" / "objects.csv").exists()
    pictures = sorted((tmp_path / "out").glob("*.png"))
    (scene,) = made.scenes.values()
    for picture, found in zip(pictures, objects, strict=True):
        with rasterio.open(picture) as opened:
            side = max(found.width, found.height)
            assert side <= opened.width <= 1.5 * side
            assert opened.res == pytest.approx((10, 10))
            middle = opened.transform @ (opened.width / 2, opened.height / 2)
        expected = rasterio.Affine(*scene.transform) @ (found.col, found.row)
        assert middle == pytest.approx(expected, abs=10)


def test_a_very_large_object_has_a_picture_of_at_most_1024_pixels(made, tmp_path):
    import rasterio

    (scene,) = made.scenes.values()
    huge = found_objects("bay", scene, np.array([[320.0, 320, 2000, 2000]]), np.array([0.5]))
    with zipfile.ZipFile(export(findings_of(made, huge), "chips", tmp_path / "x")) as archive:
        archive.extractall(tmp_path / "out")
    (picture,) = (tmp_path / "out").glob("*.png")
    with rasterio.open(picture) as opened:
        assert opened.width == 1024
        assert opened.width * opened.res[0] == pytest.approx(25_000)


def test_objects_of_two_collections_go_into_one_file(made, objects, tmp_path):
    other = pictured.collection(tmp_path / "home", title="Airport", size=512)
    (scene,) = other.scenes.values()
    there = found_objects("other", scene, BOXES[:1], np.array([0.7]), ranks=[5])
    about = {"query": "detector", "recipe": RECIPE, "parameters": {}, "model": MODEL}
    both = object_findings({"bay": made, "other": other}, [*objects, *there], **about)
    features = json.loads(export(both, "geojson", tmp_path / "x").read_text())["features"]
    assert [one["properties"]["collection"] for one in features] == ["bay"] * 4 + ["other"]
    assert features[4]["properties"]["scene_title"] == "Airport"
    assert len(both.provenance.scenes) == 2
    assert export(both, "chips", tmp_path / "x").exists()
