"""Files, folders, addresses and uploads as sources."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import rasterio
from rasterio.transform import from_origin
from shapely.geometry import box

from pipeline.dates import Dates
from pipeline.errors import (
    Cancelled,
    InputError,
    NotFoundError,
    SceneError,
    ServiceError,
    StorageError,
)
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput, ingest, open_scene
from pipeline.imagery.metadata import date_in
from pipeline.progress import Progress
from pipeline.sources.files import receive, safe_name
from pipeline.sources.http.client import Http
from pipeline.sources.registry import open_source
from pipeline.sources.source import cover
from tests import ROOT
from tests.factories.rasters import ground, largest_file, write, write_cog
from tests.loopback.files import Files
from tests.loopback.server import Loopback

SIZE = 3000


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    write_cog(folder / "big_20160816.tif", ground(SIZE, SIZE))
    return folder


@pytest.fixture
def server(folder: Path):
    with Loopback(Files(folder)) as server:
        yield server


@pytest.fixture
def http() -> Http:
    return Http(("127.0.0.1",), base=0.001)


def under(place: Path, window: tuple[int, int, int, int]):
    """The area of a pixel window (col, row, width, height) of a 10 m raster, EPSG:4326."""
    from pipeline.sources.pixel_grid import project

    with rasterio.open(place) as dataset:
        left, top = dataset.transform.c, dataset.transform.f
    col, row, width, height = window
    outline = box(
        left + col * 10, top - (row + height) * 10, left + (col + width) * 10, top - row * 10
    )
    return Area.of(project(outline, "EPSG:32632", back=True))


# ---------------------------------------------------------------- local files


def test_a_file_is_used_where_it_lies(tmp_path: Path) -> None:
    path = write(tmp_path / "flight_2016-08-16.tif")
    source = open_source("raster", locations=[path], license="CC-BY 4.0")
    (found,) = source.search()
    assert (found.day, found.title, found.url) == ("2016-08-16", "flight_2016-08-16", path.name)
    assert found.gsd == pytest.approx(10, rel=0.01)
    (fetched,) = source.fetch(None, [found], tmp_path / "out")
    assert fetched.path == path
    assert not (tmp_path / "out").exists()


def test_several_files_and_a_folder_become_several_scenes(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    for number in range(3):
        write(tmp_path / "in" / f"s{number}.tif", ground(300, 300, seed=number))
    (tmp_path / "in" / "notes.txt").write_text("no raster")
    source = open_source("raster", locations=[tmp_path / "in"])
    fetched = source.fetch(None, source.search(), tmp_path / "scratch")
    scenes = [ingest(one, tmp_path / "scenes") for one in fetched]
    assert [scene.title for scene in scenes] == ["s0", "s1", "s2"]
    assert len({scene.id for scene in scenes}) == 3


def test_what_is_fetched_says_what_it_is(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif")
    source = open_source("raster", locations=[path])
    (fetched,) = source.fetch(None, source.search(), tmp_path)
    assert (fetched.path, fetched.title, fetched.source_url) == (path, "a", "a.tif")


def test_area_and_dates_select(tmp_path: Path) -> None:
    old, new = write(tmp_path / "a_20120731.tif"), write(tmp_path / "a_20160816.tif")
    source = open_source("raster", locations=[old, new])
    assert [one.day for one in source.search(None, Dates.parse("2016"))] == ["2016-08-16"]
    assert source.search(Area.of(box(0, 0, 1, 1))) == []
    part = under(old, (0, 0, 100, 100))
    (first, _) = source.search(part)
    assert first.share == pytest.approx(1, abs=0.01)
    assert cover(part, [first]).share == pytest.approx(1, abs=0.01)


def test_a_picture_with_a_world_file_is_a_raster_too(tmp_path: Path) -> None:
    from PIL import Image
    from rasterio.crs import CRS

    path = tmp_path / "plan.png"
    Image.fromarray(np.moveaxis(ground(320, 300), 0, -1)).save(path)
    path.with_suffix(".pgw").write_text("10\n0\n0\n-10\n300005\n5149995\n")
    path.with_suffix(".prj").write_text(CRS.from_epsg(32632).to_wkt())
    (found,) = open_source("raster", locations=[path]).search()
    assert found.facts["crs"] == "EPSG:32632"
    assert found.facts["transform"][2::3] == [300000, 5150000]
    assert found.footprint.equals_exact(open_scene(SceneInput(path)).footprint, 1e-9)


def test_a_raster_across_the_antimeridian_does_not_span_the_earth(tmp_path: Path) -> None:
    place = {"crs": "EPSG:32760", "transform": from_origin(815500, 8000000, 10, 10)}
    (found,) = open_source("raster", locations=[write(tmp_path / "fiji.tif", **place)]).search()
    west, _, east, _ = found.footprint.bounds
    assert west < 180 < east < west + 0.1


@pytest.mark.parametrize("crs", ["EPSG:4978", 'LOCAL_CS["somewhere",UNIT["metre",1]]'])
def test_a_crs_that_is_not_of_the_ground_is_refused(tmp_path: Path, crs: str) -> None:
    path = write(tmp_path / "odd.tif", crs=crs)
    with pytest.raises(SceneError, match=r"Earth's surface.*a_srs"):
        open_source("raster", locations=[path]).search()
    with pytest.raises(SceneError, match=r"Earth's surface.*a_srs"):
        open_scene(SceneInput(path))


def test_a_path_that_cannot_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SceneError, match="not a path"):
        open_source("raster", locations=["a\0b.tif"], folders=[tmp_path]).search()
    with pytest.raises(SceneError, match="not a path"):
        open_scene(SceneInput(Path("a\0b.tif")))


def test_a_path_outside_the_allowed_folders_is_refused(tmp_path: Path) -> None:
    (tmp_path / "allowed").mkdir()
    path = write(tmp_path / "secret.tif")
    link = tmp_path / "allowed" / "link.tif"
    link.symlink_to(path)
    for place in (path, link, tmp_path / "allowed" / ".." / "secret.tif"):
        source = open_source("raster", locations=[place], folders=[tmp_path / "allowed"])
        with pytest.raises(SceneError, match=r"outside the folders.*LOOKALIKE_FOLDERS"):
            source.search()
    inside = write(tmp_path / "allowed" / "fine.tif")
    assert open_source("raster", locations=[inside], folders=[tmp_path / "allowed"]).search()


def test_missing_files_empty_folders_and_other_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such file"):
        open_source("raster", locations=[tmp_path / "none.tif"]).search()
    with pytest.raises(NotFoundError, match="no raster in this folder"):
        open_source("raster", locations=[tmp_path]).search()
    (tmp_path / "x.tif").write_text("hello")
    with pytest.raises(SceneError):
        open_source("raster", locations=[tmp_path / "x.tif"]).search()


# ---------------------------------------------------------------- addresses


def test_only_the_windows_under_the_area_are_read(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    local = folder / "big_20160816.tif"
    area = under(local, (1000, 1200, 300, 280))
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    (found,) = source.search(area)
    assert found.day == "2016-08-16"
    (fetched,) = source.fetch(area, [found], tmp_path)
    with rasterio.open(fetched.path) as part, rasterio.open(local) as whole:
        col = round((part.transform.c - whole.transform.c) / 10)
        row = round((whole.transform.f - part.transform.f) / 10)
        assert 990 <= col <= 1000
        assert 300 <= part.width < 340
        window = rasterio.windows.Window(col, row, part.width, part.height)
        assert (part.read() == whole.read(window=window)).all()
    sent = sum(request.sent for request in server.log)
    assert sent < local.stat().st_size / 4
    count = len(server.log)
    source.fetch(area, [found], tmp_path)
    assert len(server.log) == count


def test_a_small_area_still_gives_a_whole_chip(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    area = under(folder / "big_20160816.tif", (2950, 2950, 40, 40))
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    (fetched,) = source.fetch(area, source.search(area), tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert dataset.shape == (256, 256)


def test_without_an_area_the_whole_file_comes(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    server.fail("big", cut=0.4, skip=2)
    (fetched,) = source.fetch(None, source.search(), tmp_path)
    assert fetched.path.read_bytes() == (folder / "big_20160816.tif").read_bytes()
    assert fetched.source_url == server.url + "/files/big_20160816.tif"


def test_half_a_raster_that_is_said_to_be_whole_is_not_kept(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    found = source.search()
    server.fail("big", drop=0.4)
    with pytest.raises(ServiceError, match="cannot be decoded to its end"):
        source.fetch(None, found, tmp_path)
    assert list(tmp_path.iterdir()) == []
    (fetched,) = source.fetch(None, found, tmp_path)
    assert fetched.path.read_bytes() == (folder / "big_20160816.tif").read_bytes()


def test_a_cut_connection_inside_a_window_is_read_again(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    area = under(folder / "big_20160816.tif", (1000, 1200, 300, 280))
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    (first,) = source.fetch(area, source.search(area), tmp_path / "a")
    server.fail("big", cut=0.5, times=3, skip=1)
    server.fail("big", status=503, times=2, skip=1)
    (second,) = source.fetch(area, source.search(area), tmp_path / "b")
    assert first.path.read_bytes() == second.path.read_bytes()


@pytest.mark.parametrize("whole", [False, True])
def test_a_fetch_is_cancelled_while_it_waits_for_a_busy_server(
    folder: Path, server: Loopback, http: Http, tmp_path: Path, whole: bool
) -> None:
    area = None if whole else under(folder / "big_20160816.tif", (1000, 1200, 300, 280))
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    found = source.search(area)
    busy = server.fail("big", times=99, status=429, headers={"Retry-After": "30"}, skip=1 - whole)
    told: list[str] = []

    def stop(report: Progress) -> None:
        told.append(f"{report.stage}, {report.note}")
        if busy.times < 99:
            raise Cancelled("Stopped by the user")

    with pytest.raises(Cancelled, match="by the user"):
        source.fetch(area, found, tmp_path / "out", stop)
    assert told[-1].startswith("Waiting for the service, trying again in")
    assert busy.times == 98  # it was not tried again
    server.faults.clear()
    assert source.fetch(area, found, tmp_path / "out")


def test_a_file_that_vanishes_while_it_is_read_leaves_nothing(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    area = under(folder / "big_20160816.tif", (1000, 1200, 900, 900))
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    found = source.search(area)
    server.fail("big", status=404, times=99, skip=2)
    with pytest.raises(ServiceError, match="404"):
        source.fetch(area, found, tmp_path / "out")
    assert [p for p in (tmp_path / "out").rglob("*") if p.is_file()] == []


def test_a_window_keeps_its_mask_and_its_palette(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    from rasterio.enums import ColorInterp

    mask = np.full((600, 600), 255, "uint8")
    mask[:, :200] = 0
    write(folder / "masked.tif", ground(600, 600), mask=mask)
    write(folder / "palette.tif", ground(600, 600)[:1], colours=[ColorInterp.palette])
    with rasterio.open(folder / "palette.tif", "r+") as dataset:
        dataset.write_colormap(1, {value: (255 - value, value, 7, 255) for value in range(256)})
    area = under(folder / "masked.tif", (50, 100, 400, 400))
    names = ("masked", "palette")
    source = open_source(
        "raster", locations=[f"{server.url}/files/{name}.tif" for name in names], http=http
    )
    masked, palette = source.fetch(area, source.search(area), tmp_path)
    with rasterio.open(masked.path) as dataset:
        assert 0.3 < (dataset.dataset_mask() == 0).mean() < 0.45
    with rasterio.open(palette.path) as dataset:
        assert dataset.colormap(1)[9] == (246, 9, 7, 255)


def test_a_full_disk_leaves_no_half_window(
    folder: Path, server: Loopback, http: Http, tmp_path: Path
) -> None:
    """Met while writing or, what GDAL does not tell, when the file is closed."""
    local = folder / "big_20160816.tif"
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    area = under(local, (1000, 1200, 600, 600))
    found = source.search(area)
    (whole,) = source.fetch(area, found, tmp_path / "whole")
    size = whole.path.stat().st_size
    for limit in (size // 4, size - 100):
        with largest_file(limit), pytest.raises(StorageError, match="disk is full"):
            source.fetch(area, found, tmp_path / "out")
        assert list((tmp_path / "out").iterdir()) == []
    (again,) = source.fetch(area, found, tmp_path / "out")
    assert again.path.read_bytes() == whole.path.read_bytes()


def test_a_page_in_place_of_a_raster_is_named(server: Loopback, http: Http) -> None:
    server.fail("big", body=b"<html>sign in</html>", times=9)
    source = open_source("raster", locations=[server.url + "/files/big_20160816.tif"], http=http)
    with pytest.raises(SceneError, match="not a GeoTIFF"):
        source.search()


def test_an_address_inside_the_network_is_refused() -> None:
    source = open_source("raster", locations=["https://192.168.0.1/x.tif"], http=Http(()))
    with pytest.raises(ServiceError, match="private network"):
        source.search()


# ---------------------------------------------------------------- uploads, names, dates


def test_an_upload_is_streamed_to_disk_under_a_safe_name(tmp_path: Path) -> None:
    path = receive(io.BytesIO(b"x" * 3_000_000), "../../été 1.tif", tmp_path, limit=4_000_000)
    assert path == tmp_path / "ete-1.tif"
    assert path.stat().st_size == 3_000_000


def test_an_upload_over_the_limit_or_cancelled_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="larger than the 1 MB allowed"):
        receive(io.BytesIO(b"x" * 3_000_000), "a.tif", tmp_path, limit=1_000_000)
    with pytest.raises(InputError, match="empty"):
        receive(io.BytesIO(b""), "a.tif", tmp_path)

    def stop(_) -> None:
        raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        receive(io.BytesIO(b"x"), "a.tif", tmp_path, progress=stop)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "safe"),
    [("a b.tif", "a-b.tif"), ("..", "scene"), ("C:\\x\\y.tif", "y.tif"), ("日本.tif", "tif"),
     ("a" * 300 + ".tif", "a" * 76 + ".tif")],
)  # fmt: skip
def test_names_become_safe(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@pytest.mark.parametrize(
    ("name", "day"),
    [("m_4709963_se_14_1_20090818.tif", "2009-08-18"), ("x-2016-08-16", "2016-08-16"),
     ("20161399", None), ("s123456789.tif", None)],
)  # fmt: skip
def test_dates_are_found_in_names(name: str, day: str | None) -> None:
    found = date_in(name)
    assert (found and found[:10]) == day


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [("2016", "2016-01-01", "2016-12-31"), ("2016-02", "2016-02-01", "2016-02-29"),
     ("2016-08-16", "2016-08-16", "2016-08-16"), ("2015/2016-03", "2015-01-01", "2016-03-31"),
     ("../2016", None, "2016-12-31"), ("2016/", "2016-01-01", None)],
)  # fmt: skip
def test_spans_of_dates_are_read(text: str, start: str | None, end: str | None) -> None:
    assert Dates.parse(text) == Dates(start, end)


@pytest.mark.parametrize("text", ["yesterday", "2016-13", "2017/2016", "16-08-2016", "9999"])
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(InputError):
        Dates.parse(text)


def test_nothing_heavy_is_imported_with_the_package() -> None:
    import subprocess
    import sys

    code = (
        "import sys, pipeline.sources.registry;"
        "print(sorted({'ee', 'rasterio', 'tensorflow', 'geopandas', 'shapely'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_grids_are_snapped_and_never_smaller_than_a_chip() -> None:
    from pipeline.sources.pixel_grid import PixelGrid, Tile

    grid = PixelGrid.over(box(-74.01, 40.70, -74.0099, 40.7001), 0.8)
    assert (grid.crs, grid.width, grid.height) == ("EPSG:32618", 256, 256)
    assert np.allclose(np.array(grid.transform)[[2, 5]] / 0.8, [grid.col, grid.row])
    assert grid.tiles(200) == [
        Tile(0, 0, 200, 200), Tile(200, 0, 56, 200), Tile(0, 200, 200, 56), Tile(200, 200, 56, 56),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("bounds", "crs"),
    [
        ((-122.2, 37.4, -122.0, 37.6), "EPSG:32610"),
        ((18, -34, 18.2, -33.9), "EPSG:32734"),
        ((10, 85, 11, 86), "EPSG:32661"),
        ((10, -82, 11, -81), "EPSG:32761"),
        ((179.5, 0, -179.0, 1), "EPSG:32601"),
        ((179.2, -17, -179.9, -16), "EPSG:32760"),
    ],
)
def test_imagery_comes_on_the_metric_grid_of_its_area(bounds, crs) -> None:
    from pipeline.geo.area import Area
    from pipeline.sources.pixel_grid import PixelGrid

    grid = PixelGrid.over(Area.from_bounds(bounds).geometry, 100)
    assert grid.crs == crs
    assert max(grid.width, grid.height) <= 1700  # of 100 m: a degree and a half
