from __future__ import annotations

import io
import json
import sqlite3
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
import shapely
from shapely.geometry import box, mapping

from pipeline.errors import AreaError
from pipeline.geo import coordinates
from pipeline.geo.area import Area
from pipeline.geo.area_files import features, geopackage

BAY = box(-122.2, 37.4, -122.0, 37.6)


def kml(*rings: str, name: str = "Ponds", head: str = "") -> bytes:
    inner = "".join(
        f"<innerBoundaryIs><LinearRing><coordinates>{ring}</coordinates></LinearRing></innerBoundaryIs>"
        for ring in rings[1:]
    )
    return (
        f'<?xml version="1.0"?>{head}<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark>'
        f"<name>{name}</name><Polygon><outerBoundaryIs><LinearRing><coordinates>{rings[0]}"
        f"</coordinates></LinearRing></outerBoundaryIs>{inner}</Polygon></Placemark></Document></kml>"
    ).encode()


def zipped(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def shapefile(folder: Path, geometry: shapely.Geometry, crs: str | None, *drop: str) -> bytes:
    import geopandas

    geopandas.GeoDataFrame(geometry=[geometry], crs=crs).to_file(folder / "outline.shp")
    members = sorted(folder.glob("outline.*"))
    return zipped({f"in/{m.name}": m.read_bytes() for m in members if m.suffix not in drop})


RING = "-122.2,37.4,0 -122.0,37.4,0 -122.0,37.6,0 -122.2,37.6,0 -122.2,37.4,0"


@pytest.mark.parametrize(
    "document",
    [
        mapping(BAY),
        {"type": "Feature", "properties": None, "geometry": mapping(BAY)},
        {
            "type": "FeatureCollection",
            "features": [{"type": "Feature", "properties": {}, "geometry": mapping(BAY)}],
        },
        {"type": "GeometryCollection", "geometries": [mapping(BAY)]},
    ],
)
def test_geojson_of_every_shape_gives_the_polygon(document):
    assert Area.from_geojson(document).geometry.equals(BAY)
    assert Area.from_geojson(json.dumps(document)).geometry.equals(BAY)


def test_heights_and_measures_are_left_out():
    ring = [[*point, 12.5, 7.0] for point in BAY.exterior.coords]
    area = Area.from_geojson({"type": "Polygon", "coordinates": [ring]})
    assert area.geometry.equals(BAY)
    assert not area.geometry.has_z


def test_geojson_round_trips():
    area = Area.of(BAY, "Ponds")
    again = Area.from_geojson(area.to_geojson())
    assert again.name == "Ponds"
    assert again.geometry.equals(area.geometry)


def test_feature_name_is_taken_over():
    feature = {"type": "Feature", "properties": {"name": "Alviso"}, "geometry": mapping(BAY)}
    assert Area.from_geojson(feature).name == "Alviso"


def test_geojson_of_2008_with_a_crs_is_reprojected():
    from pyproj import Transformer

    to_mercator = Transformer.from_crs(4326, 3857, always_xy=True).transform
    shape = shapely.transform(BAY, to_mercator, interleaved=False)
    document = {**mapping(shape), "crs": {"type": "name", "properties": {"name": "EPSG:3857"}}}
    assert Area.from_geojson(document).geometry.equals_exact(BAY, 1e-9)


def test_geojson_crs84_is_degrees():
    name = "urn:ogc:def:crs:OGC:1.3:CRS84"
    document = {**mapping(BAY), "crs": {"type": "name", "properties": {"name": name}}}
    assert Area.from_geojson(document).geometry.equals(BAY)


def test_several_features_become_one_area_and_it_is_said():
    other = box(-121, 37, -120.9, 37.1)
    document = {"type": "GeometryCollection", "geometries": [mapping(BAY), mapping(other)]}
    parts = [
        {"type": "Feature", "properties": {}, "geometry": mapping(part)} for part in (BAY, other)
    ]
    area = Area.from_geojson({"type": "FeatureCollection", "features": parts})
    assert area.geometry.equals(BAY.union(other))
    assert "2 features" in area.notes[0]
    assert Area.from_geojson(document).geometry.equals(area.geometry)


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "[" * 100_000,
        '{"type": "Polygon"}',
        '{"type": "Polygon", "coordinates": 3}',
        '{"type": "Polygon", "coordinates": [[["a", "b"], [1, 2], [3, 4]]]}',
        '{"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [NaN, 1], [0, 0]]]}',
        '{"type": "Wibble", "coordinates": [0, 0]}',
        '{"type": "FeatureCollection", "features": []}',
        '{"type": "FeatureCollection", "features": 5}',
        '{"hello": "world"}',
        '{"type": "Polygon", "coordinates": [[[0,0],[1,0],[1,1],[0,0]]], "crs": 5}',
    ],
)
def test_broken_geojson_is_refused(text):
    with pytest.raises(AreaError):
        Area.from_geojson(text)


@pytest.mark.parametrize(
    "document", [{"type": "Point", "coordinates": [0, 0]}, mapping(BAY.exterior)]
)
def test_points_and_lines_are_no_area(document):
    with pytest.raises(AreaError, match=r"needs a polygon.*box around"):
        Area.from_geojson(document)


def test_points_beside_a_polygon_are_left_out_and_it_is_said():
    document = {
        "type": "GeometryCollection",
        "geometries": [mapping(BAY), {"type": "Point", "coordinates": [0, 0]}],
    }
    assert "left out" in Area.from_geojson(document).notes[0]


@pytest.mark.parametrize(
    "text",
    [
        "-122.2, 37.4, -122.0, 37.6",
        "-122.2 37.4 -122.0 37.6",
        "[-122.2,37.4,-122.0,37.6]",
        "bbox=-122.2;37.4;-122.0;37.6",
        "BBOX(−122.2, 37.4, −122, 37.6)",
    ],
)
def test_bbox_text_in_its_variants(text):
    assert Area.from_bbox_text(text).geometry.equals_exact(BAY, 1e-12)
    assert Area.from_text(text).geometry.equals_exact(BAY, 1e-12)


@pytest.mark.parametrize("text", ["1,2,3", "", "a,b,c,d", "0, 5, 1, 4"])
def test_bbox_text_that_is_none_says_how_to_write_it(text):
    with pytest.raises(AreaError, match="west, south, east, north"):
        Area.from_bbox_text(text)


@pytest.mark.parametrize(
    "text",
    [
        "37.6, -122.1",
        "37.6 -122.1",
        "geo:37.6,-122.1",
        "https://maps.example/@37.6,-122.1,12z",
        "37.6N 122.1W",
        "122.1W, 37.6N",
        "37°36'N 122°06'W",
        "37°36'00\"N, 122°06'00\"W",
        "37 36 0 N, 122 6 0 W",
        "N37.6 W122.1",
        "N 37° 36.0′ W 122° 6.0′",
        "37.6°, -122.1°",
        "37.6° -122.1°",
    ],
)
def test_places_as_people_write_them(text):
    assert coordinates.parse(text) == pytest.approx((37.6, -122.1), abs=1e-9)
    area = Area.from_text(text, km=5)
    assert area.area_km2 == pytest.approx(25, rel=0.01)
    assert shapely.intersects_xy(area.geometry, -122.1, 37.6)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "somewhere",
        "5",
        "1,2,3",
        "91, 0",
        "0, 181",
        "37N 36N",
        "37°99'N 122°W",
        "N37N W122",
        "W1 E2",
    ],
)
def test_text_that_is_no_place_is_refused(text):
    with pytest.raises(AreaError):
        coordinates.parse(text)


def test_swapped_place_is_pointed_out():
    with pytest.raises(AreaError, match="Latitude comes first"):
        coordinates.parse("-122.1, 37.6")


@pytest.mark.parametrize("km", [0, -1, 5000])
def test_size_of_the_box_round_a_place_is_checked(km):
    with pytest.raises(AreaError, match="size of the box"):
        Area.from_place_text("37.6, -122.1", km=km)


def test_wkt_is_understood():
    assert Area.from_text(BAY.wkt).geometry.equals(BAY)
    with pytest.raises(AreaError, match="WKT"):
        Area.from_text("POLYGON((1 2, 3")


def test_kml_with_a_hole(tmp_path):
    hole = "-122.15,37.45 -122.1,37.45 -122.1,37.5 -122.15,37.5 -122.15,37.45"
    path = tmp_path / "a.kml"
    path.write_bytes(kml(RING, hole))
    area = Area.from_file(path)
    assert area.name == "Ponds"
    assert area.geometry.area == pytest.approx(0.04 - 0.0025)


def test_kmz_reads_the_document_at_its_root():
    data = zipped({"files/other.kml": b"<kml/>", "doc.kml": kml(RING), "files/a.png": b"x"})
    assert Area.from_bytes(data, "a.kmz").geometry.equals(BAY)


def test_of_several_documents_in_a_kmz_doc_is_the_one_shown():
    elsewhere = kml("10,50 11,50 11,51 10,50")
    data = zipped({"a.kml": elsewhere, "doc.kml": kml(RING), "z.kml": elsewhere})
    assert Area.from_bytes(data, "a.kmz").geometry.equals(BAY)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "windows-1251"])
def test_kml_is_read_in_the_encoding_that_it_declares(encoding):
    declared = encoding.removesuffix("-sig")
    version = '<?xml version="1.0"'
    text = kml(RING, name="Окленд").decode()
    text = text.replace(version, f'{version} encoding="{declared}"')
    assert Area.from_bytes(text.encode(encoding), "a.kml").name == "Окленд"
    assert Area.from_text(text).name == "Окленд"


def test_file_in_another_encoding_than_it_says_names_the_right_one():
    with pytest.raises(AreaError, match="UTF-8"):
        Area.from_bytes(kml(RING, name="Größe").decode().encode("latin-1"), "a.kml")
    feature = {"type": "Feature", "properties": {"name": "Größe"}, "geometry": mapping(BAY)}
    text = json.dumps(feature, ensure_ascii=False)
    for encoding in ("windows-1252", "utf-16"):
        with pytest.raises(AreaError, match="UTF-8"):
            Area.from_bytes(text.encode(encoding), "a.geojson")


def test_kml_bomb_is_refused():
    lols = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    bomb = kml(RING, name="&l9;", head=f'<!DOCTYPE kml [<!ENTITY l0 "lol">{lols}]>')
    with pytest.raises(AreaError, match="entities"):
        Area.from_bytes(bomb, "bomb.kml")


def test_kml_that_reads_local_files_is_refused():
    head = '<!DOCTYPE kml [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    with pytest.raises(AreaError, match="entities"):
        Area.from_bytes(kml(RING, name="&x;", head=head), "x.kml")


def test_kml_that_only_links_elsewhere_says_so():
    link = b"<kml><NetworkLink><Link><href>http://10.0.0.1/a.kml</href></Link></NetworkLink></kml>"
    with pytest.raises(AreaError, match="links to another"):
        Area.from_bytes(link, "link.kml")


@pytest.mark.parametrize("data", [b"<kml", b"<html/>", b"<kml/>", kml("1,x 2,y 3,z")])
def test_broken_kml_is_refused(data):
    with pytest.raises(AreaError):
        Area.from_bytes(data, "a.kml")


def test_zipped_shapefile_is_reprojected(tmp_path):
    import geopandas

    utm = geopandas.GeoSeries([BAY], crs=4326).to_crs(32610)[0]
    area = Area.from_bytes(shapefile(tmp_path, utm, "EPSG:32610"), "ponds.zip")
    assert area.geometry.equals_exact(BAY, 1e-6, normalize=True)
    assert area.name == "ponds"


def test_shapefile_without_prj_is_refused(tmp_path):
    with pytest.raises(AreaError, match=r"has no \.prj"):
        Area.from_bytes(shapefile(tmp_path, BAY, "EPSG:4326", ".prj"), "ponds.zip")


def test_shapefile_without_shx_is_refused(tmp_path):
    with pytest.raises(AreaError, match=r"\.shx"):
        Area.from_bytes(shapefile(tmp_path, BAY, "EPSG:4326", ".shx"), "ponds.zip")


def test_empty_file_is_called_empty():
    with pytest.raises(AreaError, match="This file is empty"):
        Area.from_bytes(b"\n", "ponds.geojson")


def test_lone_shp_says_to_zip_it():
    with pytest.raises(AreaError, match="several files"):
        Area.from_bytes(b"\x00\x00\x27\x0a" + b"\x00" * 96, "ponds.shp")


def test_two_shapefiles_in_a_zip_are_refused():
    with pytest.raises(AreaError, match="2 Shapefiles"):
        Area.from_bytes(zipped({"a.shp": b"", "b.shp": b""}), "two.zip")


@pytest.mark.parametrize(
    "name", ["../evil.kml", "/etc/evil.kml", "a/../../evil.kml", "C:/evil.kml"]
)
def test_zip_that_points_outside_is_refused(name):
    with pytest.raises(AreaError, match="outside"):
        Area.from_bytes(zipped({name: kml(RING)}), "evil.zip")


def test_zip_that_claims_a_terabyte_is_refused():
    data = bytearray(zipped({"doc.kml": kml(RING)}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 0xFFFFFFF0)
    with pytest.raises(AreaError, match="unpacks to"):
        Area.from_bytes(bytes(data), "bomb.zip")


def test_zip_that_understates_what_it_holds_is_not_inflated(monkeypatch):
    monkeypatch.setattr(features, "MAX_FILE_BYTES", 100_000)
    data = bytearray(zipped({"doc.kml": b"<kml>" + b" " * 3_000_000}))
    at = data.index(b"PK\x01\x02")
    data[at + 24 : at + 28] = struct.pack("<I", 10)
    with pytest.raises(AreaError):
        Area.from_bytes(bytes(data), "bomb.zip")


@pytest.mark.parametrize("name", [".", "./"])
def test_zip_of_a_file_without_a_name_is_refused(name):
    with pytest.raises(AreaError):
        Area.from_bytes(zipped({name: kml(RING)}), "a.zip")


def test_zip_in_a_zip_is_refused():
    inner = zipped({"doc.kml": kml(RING)})
    with pytest.raises(AreaError, match="another zip"):
        Area.from_bytes(zipped({"doc.kml": inner}), "a.kmz")


@pytest.mark.parametrize("damage", [b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"])
def test_zip_whose_content_or_directory_is_damaged_is_refused(damage):
    whole = zipped({"doc.kml": kml(RING)})
    content, directory = whole.index(b"doc.kml") + 7, whole.rindex(b"PK\x05\x06") + 16
    for at in (content, directory):
        with pytest.raises(AreaError):
            Area.from_bytes(whole[:at] + damage + whole[at + 4 :], "a.kmz")


def test_zip_of_something_else_and_broken_zip_are_refused():
    with pytest.raises(AreaError, match="contains no"):
        Area.from_bytes(zipped({"a.txt": b"hello"}), "a.zip")
    with pytest.raises(AreaError, match="cannot be opened"):
        Area.from_bytes(zipped({"doc.kml": kml(RING)})[:-30], "a.zip")


@pytest.mark.parametrize("crs", [4326, 32610])
def test_geopackage(tmp_path, crs):
    import geopandas

    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=[BAY], crs=4326).to_crs(crs).to_file(path, layer='odd "name"')
    assert Area.from_file(path).geometry.equals_exact(BAY, 1e-6, normalize=True)


def test_geopackage_of_an_undefined_crs_is_refused(tmp_path):
    import geopandas

    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=[BAY], crs=4326).to_file(path, layer="a")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE gpkg_geometry_columns SET srs_id = 0")
    database.close()
    with pytest.raises(AreaError, match="coordinate system is unknown"):
        Area.from_file(path)


def test_geopackage_whose_view_never_ends_is_stopped(tmp_path, monkeypatch):
    import geopandas

    monkeypatch.setattr(geopackage, "_SQL_TIMEOUT", 0.2)
    path = tmp_path / "a.gpkg"
    geopandas.GeoDataFrame(geometry=[BAY], crs=4326).to_file(path, layer="a")
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA foreign_keys = OFF")
        database.execute(
            "CREATE VIEW endless AS WITH RECURSIVE n(x) AS "
            "(SELECT 1 UNION ALL SELECT x + 1 FROM n) "
            "SELECT x AS geom FROM n WHERE x < 0"
        )
        database.execute("UPDATE gpkg_geometry_columns SET table_name = 'endless'")
    database.close()
    with pytest.raises(AreaError, match="cannot be read"):
        Area.from_file(path)


def test_sqlite_that_is_no_geopackage_is_refused(tmp_path):
    path = tmp_path / "a.gpkg"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE a (b)")
    database.close()
    with pytest.raises(AreaError, match="cannot be read"):
        Area.from_file(path)


def test_file_over_the_limit_is_refused(monkeypatch):
    monkeypatch.setattr(features, "MAX_FILE_BYTES", 10)
    with pytest.raises(AreaError, match="larger than"):
        Area.from_bytes(b" " * 11, "a.geojson")


@pytest.mark.parametrize("data", [b"", b"hello", b"\xff\xfe\x00", b"\x89PNG\r\n\x1a\n\x00\xff"])
def test_files_of_no_known_format_are_refused(data):
    with pytest.raises(AreaError):
        Area.from_bytes(data, "a.bin")


def test_missing_file_is_refused(tmp_path):
    with pytest.raises(AreaError, match="Cannot read"):
        Area.from_file(tmp_path / "nothing.geojson")


def test_self_crossing_outline_is_repaired_and_it_is_said():
    bow = shapely.Polygon([(0, 0), (1, 1), (1, 0), (0, 1)])
    area = Area.of(bow)
    assert area.geometry.is_valid
    assert area.geometry.area == pytest.approx(0.5)
    assert "crossed itself" in area.notes[0]


def test_zero_area_is_refused():
    for flat in ([(0, 0), (1, 1), (2, 2)], [(5, 5), (5, 5), (5, 5)]):
        with pytest.raises(AreaError, match="no size"):
            Area.of(shapely.Polygon(flat))
    with pytest.raises(AreaError, match="no size"):
        Area.from_bbox_text("1,2,1,3")


def test_area_over_the_limit_is_refused():
    with pytest.raises(AreaError, match="more than the limit"):
        Area.of(box(0, 0, 40, 40))
    with pytest.raises(AreaError, match="more than the limit of 100 km²"):
        Area.of(BAY, limit_km2=100)
    with pytest.raises(AreaError, match="more than the limit"):
        Area.from_bbox_text("-180,-60,180,60")


@pytest.mark.parametrize("bounds", [(-180, -90, 180, 90), (-179.99, -89.9, 179.99, 89.9)])
def test_the_whole_world_is_its_size_and_not_what_is_left_of_it(bounds):
    with pytest.raises(AreaError, match="The area is 510,0"):
        Area.from_bounds(bounds)


def test_outlines_off_the_globe_say_what_is_probably_wrong():
    with pytest.raises(AreaError, match="swapped"):
        Area.of(box(37.4, -122.2, 37.6, -122.0))
    with pytest.raises(AreaError, match="metres"):
        Area.of(box(500_000, 4_100_000, 501_000, 4_101_000))
    with pytest.raises(AreaError, match="out of range"):
        Area.of(box(600, 0, 601, 1))


def test_too_many_corners_are_refused():
    angles = np.linspace(0, 6.28, 200_001)
    with pytest.raises(AreaError, match="corners"):
        Area.of(shapely.Polygon(np.stack([np.cos(angles), np.sin(angles)], axis=1)))


FIJI = [
    pytest.param(shapely.box(179, -18, 181, -17), id="beyond 180"),
    pytest.param(shapely.box(-181, -18, -179, -17), id="beyond -180"),
    pytest.param(shapely.Polygon([(179, -18), (-179, -18), (-179, -17), (179, -17)]), id="jump"),
    pytest.param(
        shapely.MultiPolygon([box(179, -18, 180, -17), box(-180, -18, -179, -17)]), id="cut"
    ),
]


@pytest.mark.parametrize("shape", FIJI)
def test_antimeridian_is_cut_and_measured_once(shape):
    area = Area.of(shape)
    assert area.bounds == pytest.approx((179, -18, -179, -17))
    assert area.geometry.bounds[0] >= -180
    assert area.geometry.bounds[2] <= 180
    assert area.area_km2 == pytest.approx(Area.of(box(10, -18, 12, -17)).area_km2)
    inside = shapely.intersects_xy(area.geometry, [179.5, -179.5, 0, 178], np.full(4, -17.5))
    assert inside.tolist() == [True, True, False, False]
    assert Area.from_geojson(area.to_geojson()).geometry.equals(area.geometry)


def test_antimeridian_by_bbox_text_and_by_place():
    assert Area.from_bbox_text("179, -18, -179, -17").bounds == pytest.approx((179, -18, -179, -17))
    near = Area.from_place_text("-17.5, 179.999", km=10)
    west, _, east, _ = near.bounds
    assert west > east
    assert near.area_km2 == pytest.approx(100, rel=0.01)


def test_antimeridian_keeps_holes():
    shell = [(179, -18), (-179, -18), (-179, -17), (179, -17)]
    hole = [(179.9, -17.6), (-179.9, -17.6), (-179.9, -17.4), (179.9, -17.4)]
    area = Area.of(shapely.Polygon(shell, [hole]))
    inside = shapely.intersects_xy(area.geometry, [180, -179.95, 179.5], np.full(3, -17.5))
    assert inside.tolist() == [False, False, True]


def test_outline_round_a_pole_is_refused():
    with pytest.raises(AreaError, match="encloses a pole"):
        Area.of(shapely.Polygon([(0, 85), (120, 85), (-120, 85)]))
    with pytest.raises(AreaError, match="close to a pole"):
        Area.from_place_text("89.99, 0")


def test_area_is_geodesic():
    assert Area.of(box(0, 60, 1, 61)).area_km2 == pytest.approx(6118, rel=0.002)
    assert Area.of(box(0, 60, 10, 61)).area_km2 == pytest.approx(61180, rel=0.002)


def test_empty_paste_says_what_to_paste():
    with pytest.raises(AreaError, match="Paste GeoJSON"):
        Area.from_text("  ")
