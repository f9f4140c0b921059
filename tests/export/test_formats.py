from __future__ import annotations

import csv
import io
import json
import re
import sqlite3
import zipfile
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import shapely

from pipeline.collection.collection import Collection
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import Cancelled, QueryError, StorageError
from pipeline.export.findings import COLUMNS, Findings
from pipeline.export.formats import FORMATS, export
from pipeline.export.tables import safe_cell
from pipeline.frontend import missing
from pipeline.search.recipe import Recipe
from pipeline.search.search import Hit
from pipeline.search.sites import merge
from tests.factories import pictured
from tests.factories.rasters import largest_file
from tests.factories.synthetic import MODEL

TITLE = '=cmd|"<b>Bay & hills</b>"'


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Collection:
    return pictured.collection(tmp_path_factory.mktemp("export"), title=TITLE)


def some_hits(made: Collection) -> list[Hit]:
    table = made.chips
    rows = [0, 1, 15, 7]
    return [
        Hit(rank, table.ids[row].decode(), 0.95 - rank / 20, table.scene_ids[0],
            table.datetimes[0], row, table.corners[row])
        for rank, row in enumerate(rows, 1)
    ]  # fmt: skip


@pytest.fixture(scope="module")
def findings(made) -> Findings:
    hits = some_hits(made)
    return Findings.of(
        made,
        hits,
        Recipe(chip="abc", k=4, suppress=False),
        marks={hits[0].id: "good"},
        notes={hits[1].id: "@SUM(1)"},
    )


def test_every_format_is_written_whole_and_nothing_else(findings, tmp_path):
    if missing():
        pytest.fail("the map library is missing: run `make setup`")
    for name, made in FORMATS.items():
        path = export(findings, name, tmp_path / "found")
        assert path.name == "found" + made.suffix
        assert path.stat().st_size > 0
    assert len(list(tmp_path.iterdir())) == len(FORMATS)


def test_unknown_format_and_empty_findings_are_refused(findings, made, tmp_path):
    with pytest.raises(QueryError, match="geojson"):
        export(findings, "dwg", tmp_path / "x")
    with pytest.raises(QueryError, match="nothing to export"):
        export(Findings.of(made, [], Recipe()), "csv", tmp_path / "x")


def test_cancelled_export_leaves_nothing(findings, tmp_path):
    def cancel(_):
        raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        export(findings, "chips", tmp_path / "found", cancel)
    assert list(tmp_path.iterdir()) == []


def test_unwritable_folder_is_told(findings, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        export(findings, "csv", tmp_path / "file" / "folder" / "found")


@pytest.mark.parametrize(("name", "most"), [*((name, 512) for name in FORMATS), ("gpkg", 64 << 10)])
def test_a_full_disk_is_told_and_leaves_nothing(findings, tmp_path, name, most):
    with largest_file(most), pytest.raises(StorageError, match="disk is full"):
        export(findings, name, tmp_path / "found")
    assert list(tmp_path.iterdir()) == []


def test_geojson_opens_in_geopandas_with_its_provenance(findings, made, tmp_path):
    import geopandas

    path = export(findings, "geojson", tmp_path / "found")
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4326
    assert frame["score"].tolist() == [0.9, 0.85, 0.8, 0.75]
    assert frame["mark"].tolist() == ["good", "", "", ""]
    assert frame["gsd_m"][0] == pytest.approx(10, rel=0.01)
    assert frame["date"][0].strftime("%Y-%m-%d") == "2016-08-16"
    about = json.loads(path.read_text())["provenance"]
    assert about["model"] == MODEL.to_dict()
    assert about["parameters"] == {"k": 4, "suppress": False}
    assert about["scenes"][0]["license"] == "CC-BY 4.0 Somebody"
    assert about["version"] == made.version
    assert about["software"].startswith("Lookalike ")
    ring = np.array(json.loads(path.read_text())["features"][0]["geometry"]["coordinates"][0])
    turning = np.sum(ring[:-1, 0] * ring[1:, 1] - ring[1:, 0] * ring[:-1, 1])
    assert turning > 0, "RFC 7946 wants exterior rings counter-clockwise"


def test_csv_holds_every_column_and_no_formula(findings, tmp_path):
    path = export(findings, "csv", tmp_path / "found")
    rows = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
    assert list(rows[0]) == [*COLUMNS, "wkt"]
    assert rows[0]["scene_title"] == "'" + TITLE
    assert rows[1]["note"] == "'@SUM(1)"
    assert json.loads(rows[0]["parameters"]) == {"k": 4, "suppress": False}
    assert rows[0]["wkt"].startswith("POLYGON ((")


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        ("=1+1", "'=1+1"),
        ("+49 30", "'+49 30"),
        ("-cmd|' /C calc'!A0", "'-cmd|' /C calc'!A0"),
        ("@SUM(1)", "'@SUM(1)"),
        ("\t=1", "'\t=1"),
        ("-122.5", "-122.5"),
        ("a=b", "a=b"),
        (-122.5, -122.5),
        ("", ""),
    ],
)
def test_a_cell_is_no_formula_and_a_number_stays_one(value, cell):
    assert safe_cell(value) == cell


def test_geopackage_carries_its_style_and_provenance(findings, tmp_path):
    import geopandas

    path = export(findings, "gpkg", tmp_path / "found")
    assert geopandas.list_layers(path)["name"].tolist()[0] == "lookalikes"
    frame = geopandas.read_file(path, layer="lookalikes")
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    assert set(COLUMNS) <= set(frame.columns)
    database = sqlite3.connect(path)
    ((table, column, qml, default),) = database.execute(
        "SELECT f_table_name, f_geometry_column, styleQML, useAsDefault FROM layer_styles"
    )
    ((name,),) = database.execute("SELECT column_name FROM gpkg_geometry_columns")
    assert (table, column, default) == ("lookalikes", name, 1)
    ((about,),) = database.execute("SELECT metadata FROM gpkg_metadata")
    assert json.loads(about)["query"] == "chip abc"
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()
    style = ElementTree.fromstring(qml)
    ranges = [(float(r.get("lower")), float(r.get("upper"))) for r in style.iter("range")]
    for score in frame["score"]:
        assert any(lower <= score <= upper for lower, upper in ranges)
    assert style.find("renderer-v2").get("attr") == "score"


def test_geopackage_of_a_single_hit_has_a_style_too(made, tmp_path):
    path = export(
        Findings.of(made, some_hits(made)[:1], Recipe(chip="x")), "gpkg", tmp_path / "one"
    )
    assert path.exists()


def test_shapefile_opens_in_geopandas_with_names_of_ten_characters(findings, tmp_path):
    import geopandas

    path = export(findings, "shapefile", tmp_path / "found")
    frame = geopandas.read_file(path)
    assert frame.crs.to_epsg() == 4326
    assert list(frame.columns) == [
        "rank", "id", "score", "by_chance", "chips", "mark", "note", "longitude", "latitude",
        "date", "gsd_m", "scene", "title", "source_url", "license", "collection", "query",
        "parameters", "model", "estimate", "software", "geometry",
    ]  # fmt: skip
    assert frame["rank"].tolist() == [1, 2, 3, 4]
    assert frame["score"].tolist() == [0.9, 0.85, 0.8, 0.75]
    assert frame["title"].tolist() == [TITLE] * 4
    for shape, item in zip(frame.geometry, findings.items, strict=True):
        assert shape.equals_exact(item.geometry.normalize(), 1e-9) or shape.equals(item.geometry)
    with zipfile.ZipFile(path) as archive:
        assert {"lookalikes.shp", "lookalikes.shx", "lookalikes.dbf"} <= set(archive.namelist())
        assert archive.read("lookalikes.cpg") == b"UTF-8"
        assert b"WGS_1984" in archive.read("lookalikes.prj")
        assert json.loads(archive.read("provenance.json"))["collection"] == "bay"
        about = archive.read("README.txt").decode()
    assert "title      scene title (column scene_title)" in about
    assert "No text was cut" in about


def test_a_long_text_in_a_shapefile_is_cut_and_the_readme_says_so(made, tmp_path):
    import geopandas

    hits = some_hits(made)
    notes = {hits[0].id: "Salzgärten über dem Fluß " * 40, hits[1].id: "brick kiln"}
    findings = Findings.of(made, hits, Recipe(chip="x"), notes=notes)
    path = export(findings, "shapefile", tmp_path / "found")
    first, second = geopandas.read_file(path)["note"][:2]
    assert notes[hits[0].id].startswith(first.removesuffix("…"))
    assert first.endswith("…")
    assert 240 < len(first.encode()) <= 254
    assert second == "brick kiln"
    with zipfile.ZipFile(path) as archive:
        assert "were cut and end in …: note." in archive.read("README.txt").decode()


def test_a_shapefile_can_be_read_back_as_an_area(findings, made, tmp_path):
    from pipeline.geo.area import Area

    area = Area.from_file(export(findings, "shapefile", tmp_path / "found"))
    assert shapely.intersects_xy(area.geometry, *made.chips.centres[[0, 15]].T).all()


def test_kmz_has_a_picture_for_every_place(findings, tmp_path):
    from PIL import Image

    path = export(findings, "kmz", tmp_path / "found")
    with zipfile.ZipFile(path) as archive:
        root = ElementTree.fromstring(archive.read("doc.kml"))
        kml = "{http://www.opengis.net/kml/2.2}"
        marks = list(root.iter(f"{kml}Placemark"))
        assert len(marks) == 4
        for mark in marks:
            source = re.search(r"src='([^']+)'", mark.find(f"{kml}description").text)[1]
            assert Image.open(io.BytesIO(archive.read(source))).size == (256, 256)
        assert "&lt;b&gt;" in marks[0].find(f"{kml}description").text
        assert json.loads(archive.read("provenance.json"))["collection"] == "bay"


def test_kmz_can_be_read_back_as_an_area(findings, made, tmp_path):
    from pipeline.geo.area import Area

    area = Area.from_file(export(findings, "kmz", tmp_path / "found"))
    assert shapely.intersects_xy(area.geometry, *made.chips.centres[[0, 15]].T).all()


def test_chip_pictures_lie_where_the_chips_are(findings, made, tmp_path):
    import rasterio

    path = export(findings, "chips", tmp_path / "found")
    with zipfile.ZipFile(path) as archive:
        archive.extractall(tmp_path / "out")
    table, scene = made.chips, next(iter(made.scenes.values()))
    pictures = sorted((tmp_path / "out").glob("*.png"))
    assert len(pictures) == 4
    with rasterio.open(scene.path) as whole:
        for picture, item in zip(pictures, findings.items, strict=True):
            with rasterio.open(picture) as chip:
                assert chip.crs.to_epsg() == 32632
                assert chip.count == 3
                at = table.row_of(item.id)
                col, row = table.cols[at], table.rows[at]
                assert chip.xy(0, 0) == pytest.approx(whole.xy(row, col))
                assert chip.xy(255, 255) == pytest.approx(whole.xy(row + 255, col + 255))
    assert "UTM" in pictures[0].with_suffix(".prj").read_text()
    assert len((tmp_path / "out" / "chips.csv").read_text("utf-8-sig").splitlines()) == 5


def test_geoparquet_has_the_embeddings_and_opens_in_geopandas(findings, made, tmp_path):
    import geopandas
    import pyarrow.parquet as pq

    path = export(findings, "geoparquet", tmp_path / "found")
    frame = geopandas.read_parquet(path)
    assert frame.crs == "OGC:CRS84"
    stored = read_embeddings(made.parts[0])
    for row, item in zip(frame["embedding"], findings.items, strict=True):
        np.testing.assert_array_equal(row, stored[made.chips.row_of(item.id)])
    about = json.loads(pq.read_metadata(path).metadata[b"lookalike"])
    assert about["model"] == MODEL.to_dict()


def test_standalone_map_asks_nobody_for_anything(findings, tmp_path):
    if missing():
        pytest.fail("the map library is missing: run `make setup`")
    page = export(findings, "html", tmp_path / "found").read_text("utf-8")
    assert not re.findall(r"<(?:script|img|iframe)[^>]+src=[\"']?(?!data:)[^\"' >]+", page)
    assert not re.findall(r"<link[^>]+href", page)
    assert not re.findall(r"url\([\"']?https?:", page)
    assert page.count("data:image/jpeg;base64,") == 4
    assert "data:image/webp;base64," in page
    record = re.search(r'id="provenance">(.*?)</script>', page, re.DOTALL)[1]
    assert json.loads(record)["query"] == "chip abc"
    assert TITLE not in page
    assert "CC-BY 4.0 Somebody" in page


def test_sites_export_as_one_outline_each(made, tmp_path):
    import geopandas

    first, *others = some_hits(made)
    # With marks, the best rank need not have the best score.
    sites = merge([replace(first, score=0.1), *others])
    findings = Findings.of(made, sites, Recipe(chip="x"))
    frame = geopandas.read_file(export(findings, "geojson", tmp_path / "sites"))
    assert frame["chips"].tolist() == [site.count for site in sites]
    assert frame["score"].tolist() == pytest.approx([site.score for site in sites], abs=1e-6)
    assert len(frame) < 4
    for name in FORMATS:
        assert export(findings, name, Path(tmp_path) / name).exists()


def test_terminal_exports_a_search_and_a_saved_one(made, tmp_path, monkeypatch):
    from typer.testing import CliRunner

    from pipeline.cli.app import app
    from pipeline.search.recipe import Recipe
    from pipeline.search.saved import Searches
    from pipeline.search.search import Result
    from pipeline.settings import settings

    monkeypatch.setenv("LOOKALIKE_HOME", str(made.path.parent.parent))
    settings.cache_clear()
    hits = some_hits(made)
    chip = hits[0].id
    to = tmp_path / "found.csv"
    called = CliRunner().invoke(app, ["export", "bay", "--chip", chip, "--k", "3", "--to", str(to)])
    assert called.exit_code == 0, called.output
    assert len(to.read_text("utf-8-sig").splitlines()) == 4
    searches = Searches(made)
    saved = searches.save("Fields", Recipe(chip=chip), Result(tuple(hits), 15, 16, 0))
    searches.review(saved.id, hits[1].id, mark="bad")
    listed = CliRunner().invoke(app, ["searches", "bay", "--json"])
    assert json.loads(listed.output)[0]["reviewed"] == 1
    to = tmp_path / "sites.geojson"
    wanted = ["export", "bay", "--saved", saved.id, "--sites", "--to", str(to)]
    assert CliRunner().invoke(app, wanted).exit_code == 0
    assert json.loads(to.read_text())["provenance"]["recipe"] == {"chip": chip}
    to = tmp_path / "found.shp.zip"
    called = CliRunner().invoke(app, ["export", "bay", "--chip", chip, "--k", "3", "--to", str(to)])
    assert called.exit_code == 0, called.output
    with zipfile.ZipFile(to) as archive:
        assert "lookalikes.shp" in archive.namelist()
    for wrong in (["--to", "x.dwg", "--chip", chip], ["--to", "x.csv"]):
        assert isinstance(CliRunner().invoke(app, ["export", "bay", *wrong]).exception, QueryError)
    settings.cache_clear()
