"""Label files of any vector format bring examples; what cannot be used is told."""

from __future__ import annotations

import json
import math
import shutil
import zipfile
from pathlib import Path

import geopandas
import pytest
from shapely.geometry import GeometryCollection, LineString, Point, Polygon, box

from pipeline.errors import InputError
from pipeline.objects import labels
from pipeline.objects.labels import check_examples, read_labels


@pytest.fixture
def frame() -> geopandas.GeoDataFrame:
    shapes = [Point(6.5, 46.5), box(6.6, 46.6, 6.601, 46.6005), Point(6.7, 46.7)]
    labels = {"label": ["good", "BAD", None]}
    return geopandas.GeoDataFrame(labels, geometry=shapes, crs=4326)


@pytest.mark.parametrize("suffix", [".geojson", ".gpkg", ".fgb", ".parquet"])
def test_points_and_polygons_of_any_format(
    tmp_path: Path, frame: geopandas.GeoDataFrame, suffix: str
) -> None:
    path = tmp_path / f"labels{suffix}"
    if suffix == ".parquet":
        frame.to_parquet(path)
    else:
        frame.to_file(path, engine="pyogrio")
    found = sorted(read_labels(path), key=lambda example: example.lon)
    assert [example.good for example in found] == [True, False, True]
    assert found[0].width_m is None
    assert found[1].width_m == pytest.approx(76.5, rel=0.01)
    assert found[1].height_m == pytest.approx(55.7, rel=0.01)


def test_zipped_shapefile(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "labels.shp.zip"
    frame.iloc[[0, 2]].to_file(path)
    assert [example.lon for example in read_labels(path)] == pytest.approx([6.5, 6.7])


def test_shapefile_zipped_within_a_folder(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    folder = tmp_path / "survey" / "2026"
    folder.mkdir(parents=True)
    frame.iloc[[0, 2]].to_file(folder / "planes.shp")
    shutil.make_archive(str(tmp_path / "labels"), "zip", tmp_path, "survey")
    found = read_labels(tmp_path / "labels.zip")
    assert [example.lon for example in found] == pytest.approx([6.5, 6.7])


def test_each_part_of_a_feature_is_an_example(tmp_path: Path) -> None:
    points = {"type": "MultiPoint", "coordinates": [[6.5, 46.5], [6.6, 46.5]]}
    square = [[[[x, 46.5], [x + 0.001, 46.5], [x + 0.001, 46.501], [x, 46.5]]] for x in (6.7, 6.8)]
    polygons = {"type": "MultiPolygon", "coordinates": square}
    nowhere = {"type": "Point", "coordinates": [math.nan, 46.5]}
    features = [
        {"type": "Feature", "properties": {"label": "good"}, "geometry": geometry}
        for geometry in (points, polygons, nowhere)
    ]
    path = tmp_path / "parts.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    found = read_labels(path)
    assert [round(example.lon, 2) for example in found] == [6.5, 6.6, 6.7, 6.8]
    assert found[2].width_m == pytest.approx(76.5, rel=0.01)


def test_what_is_neither_point_nor_polygon_is_left_out_with_a_note(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    shapes = [Point(6.5, 46.5), LineString([(6.5, 46.5), (6.6, 46.7)]),
              GeometryCollection([Point(6.7, 46.5)]), Point()]  # fmt: skip
    path = tmp_path / "lines.geojson"
    geopandas.GeoDataFrame(frame.iloc[[0] * 4][["label"]], geometry=shapes, crs=4326).to_file(path)
    notes: list[str] = []
    assert [example.lon for example in read_labels(path, notes.append)] == [6.5]
    assert notes == [
        "1 of 4 features left out: they have no geometry, or a coordinate that is not a number",
        "2 of 4 features left out: they are neither points nor polygons",
    ]


@pytest.mark.filterwarnings("error")
def test_of_several_layers_the_first_is_read_with_a_note(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / "layers.gpkg"
    frame.iloc[:1].to_file(path, layer="planes")
    frame.to_file(path, layer="hangars")
    notes: list[str] = []
    assert len(read_labels(path, notes.append)) == 1
    assert notes == ["Of 2 layers only the first is read, planes"]


def test_parts_of_a_shapefile_that_are_missing_are_told(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    frame.iloc[[0, 2]].to_file(tmp_path / "planes.shp")

    def zipped(*suffixes: str) -> Path:
        path = tmp_path / "labels.zip"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("__MACOSX/._planes.shp", "not a Shapefile")
            for suffix in suffixes:
                archive.write(tmp_path / f"planes{suffix}", f"planes{suffix}")
        return path

    notes: list[str] = []
    assert len(read_labels(zipped(".shp", ".shx"), notes.append)) == 2
    assert notes == ["The attribute label is missing, so that all labels count as good"]
    with pytest.raises(InputError, match=r"lacks its \.shx"):
        read_labels(zipped(".shp", ".dbf"))


def test_flatgeobuf_that_is_cut_is_told(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "cut.fgb"
    frame.to_file(path)
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match="cut short"):
        read_labels(path)


def test_coordinates_are_read_in_the_files_own_crs(
    tmp_path: Path, frame: geopandas.GeoDataFrame
) -> None:
    path = tmp_path / "utm.gpkg"
    frame.to_crs(32632).to_file(path)
    assert read_labels(path)[0].lon == pytest.approx(6.5, abs=1e-6)


def test_all_are_good_without_the_attribute(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    path = tmp_path / "plain.geojson"
    frame.drop(columns="label").to_file(path)
    assert all(example.good for example in read_labels(path))


def test_polygon_without_area_counts_as_a_point(tmp_path: Path) -> None:
    flat = Polygon([(7.5, 47), (7.5, 47.1), (7.5, 47.05)])
    shapes = [box(7, 47, 7.001, 47.001), flat]
    path = tmp_path / "thin.geojson"
    geopandas.GeoDataFrame(geometry=shapes, crs=4326).to_file(path)
    whole, thin = read_labels(path)
    assert whole.width_m
    assert (thin.lon, thin.lat, thin.width_m) == (7.5, 47.05, None)


def test_bad_labels_are_told(tmp_path: Path, frame: geopandas.GeoDataFrame) -> None:
    def refused(name: str, content: object, message: str) -> None:
        path = tmp_path / name
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        with pytest.raises(InputError, match=message):
            check_examples(read_labels(path), name)

    point = {"type": "Point", "coordinates": [6.5, 46.5]}

    def feature(geometry: object, label: str = "good") -> dict:
        item = {"type": "Feature", "geometry": geometry, "properties": {"label": label}}
        return {"type": "FeatureCollection", "features": [item]}

    refused("none.geojson", feature(None), "no geometry")
    refused("maybe.geojson", feature(point, "maybe"), "neither good nor bad")
    refused("bad.geojson", feature(point, "bad"), "All labels are bad")
    far = {"type": "Point", "coordinates": [512000, 5150000]}
    refused("metres.geojson", feature(far), "not degrees")
    nowhere = {"type": "Point", "coordinates": [6.5, 90.005]}
    refused("pole.geojson", feature(nowhere), "do not lie on the Earth")
    endless = {"crs": {"type": "name", "properties": {"name": "urn:ogc:def:crs:EPSG::32632"}}}
    beyond = feature({"type": "Point", "coordinates": [1e30, 1e30]})
    refused("endless.geojson", {**beyond, **endless}, "do not lie on the Earth")
    refused("cut.geojson", '{"type": "FeatureColl', "damaged")
    refused("note.txt", "hello", "not GeoJSON")
    refused("trick.gpkg", "<OGRVRTDataSource/>", "not GeoJSON")
    with pytest.raises(InputError, match="cannot be opened"):
        read_labels(tmp_path / "gone.geojson")


def test_too_many_labels_are_refused_before_they_are_all_read(tmp_path: Path) -> None:
    import numpy as np

    count = 100_001
    shapes = geopandas.points_from_xy(np.linspace(6, 7, count), np.full(count, 46.0))
    path = tmp_path / "many.fgb"
    geopandas.GeoDataFrame(geometry=shapes, crs=4326).to_file(path)
    with pytest.raises(InputError, match="more than 100000"):
        read_labels(path)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (
            "trick.kml",
            '<OGRVRTDataSource><OGRVRTLayer name="other"><SrcDataSource>{other}</SrcDataSource>'
            "</OGRVRTLayer></OGRVRTDataSource>",
        ),
        (
            "trick.json",
            '{{"type": "gdal_streamed_alg", "command_line": "gdal vector pipeline read {other} '
            '! filter --bbox -180,-90,180,90"}}',
        ),
    ],
)
def test_a_file_that_names_another_one_does_not_read_it(
    tmp_path: Path, frame: geopandas.GeoDataFrame, name: str, content: str
) -> None:
    other = tmp_path / "other.geojson"
    frame.to_file(other)
    path = tmp_path / name
    path.write_text(content.format(other=other))
    with pytest.raises(InputError, match="damaged"):
        read_labels(path)
    with zipfile.ZipFile(tmp_path / "trick.zip", "w") as archive:
        archive.write(path, "other.vrt" if name.endswith("kml") else "other.gdalg.json")
    with pytest.raises(InputError, match="damaged"):
        read_labels(tmp_path / "trick.zip")


@pytest.mark.parametrize("suffix", [".shp.zip", ".parquet"])
def test_a_file_that_unpacks_to_too_much_is_refused_unread(
    tmp_path: Path,
    frame: geopandas.GeoDataFrame,
    suffix: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / f"labels{suffix}"
    points = frame.iloc[[0, 2]]
    points.to_parquet(path) if suffix == ".parquet" else points.to_file(path)
    assert len(read_labels(path)) == 2
    monkeypatch.setattr(labels, "MAX_UNPACKED", 20)
    with pytest.raises(InputError, match="unpacks to"):
        read_labels(path)
