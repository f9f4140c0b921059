"""STAC catalogues and OpenAerialMap, with the genuine pystac-client and GDAL."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
import shapely
import shapely.affinity

from pipeline import dates
from pipeline.dates import Dates
from pipeline.errors import Cancelled, QueryError, SceneError, ServiceError, StorageError
from pipeline.geo.area import Area
from pipeline.settings import from_environment, settings
from pipeline.sources.http.client import Http
from pipeline.sources.registry import open_source
from tests.factories.rasters import GENEVA, ground, largest_file, write_cog
from tests.loopback.files import Files
from tests.loopback.fixtures import killed
from tests.loopback.server import Loopback
from tests.loopback.stac import Item, Stac
from tests.sources.test_files import under

SIZE = 1500


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiles side by side on one day, a later one over the first, one in another zone."""
    from rasterio.transform import from_origin

    folder = tmp_path_factory.mktemp("stac")
    left, top = GENEVA
    east = from_origin(left + SIZE * 10 - 1000, top, 10, 10)
    options = {"nodata": 0, "crs": "EPSG:32632"}
    write_cog(folder / "west.tif", ground(SIZE, SIZE, seed=1), **options)
    write_cog(folder / "east.tif", ground(SIZE, SIZE, seed=2), transform=east, **options)
    write_cog(folder / "later.tif", ground(SIZE, SIZE, seed=3), **options)
    return folder


@pytest.fixture
def stac(folder: Path) -> Stac:
    items = [
        Item("west-16", "west.tif", "2016-08-16", 3.0),
        Item("east-16", "east.tif", "2016-08-16", 4.0),
        Item("west-20", "later.tif", "2020-07-01", 60.0),
    ]
    return Stac(Files(folder), {"sentinel-2-l2a": items, "naip": items[:1], "openaerialmap": items})


@pytest.fixture
def server(stac: Stac, monkeypatch: pytest.MonkeyPatch):
    with Loopback(stac, stac.files) as server:
        names = ("earth-search", "planetary-computer")
        monkeypatch.setenv("LOOKALIKE_STAC", ",".join(f"{n}={server.url}/stac/v1" for n in names))
        monkeypatch.setenv("LOOKALIKE_OPENAERIALMAP_URL", server.url)
        monkeypatch.setenv("LOOKALIKE_PRIVATE_HOSTS", "127.0.0.1")
        settings.cache_clear()
        yield server
    settings.cache_clear()


@pytest.fixture
def area(folder: Path):
    """600×500 pixels of the west tile."""
    return under(folder / "west.tif", (300, 400, 600, 500))


def source(api: str = "earth-search", **options):
    return open_source("stac", api=api, base=0.001, **options)


def same_as(path: Path, truth: Path) -> None:
    """Every pixel of a scene that was fetched is the pixel of its original."""
    with rasterio.open(path) as part, rasterio.open(truth) as whole:
        col = round((part.transform.c - whole.transform.c) / 10)
        row = round((whole.transform.f - part.transform.f) / 10)
        window = rasterio.windows.Window(col, row, part.width, part.height)
        expected = whole.read(window=window)
        got = part.read()
        kept = got.any(0)
        assert (got[:, kept] == expected[:, kept]).all()
        assert kept.mean() > 0.99


def test_candidates_have_date_cloud_gsd_and_share_over_all_pages(server: Loopback, area) -> None:
    found = source().search(area)
    assert [(one.id, one.cloud) for one in found] == [("west-16", 3.0), ("west-20", 60.0)]
    assert found[0].share == pytest.approx(1)
    assert found[0].gsd == 10
    assert found[0].day == "2016-08-16"
    assert type(found[0]).from_dict(found[0].to_dict()) == found[0]


def test_spaces_in_the_setting_of_catalogues_are_ignored() -> None:
    read = from_environment({"LOOKALIKE_STAC": "mine = https://stac.example/ , b=http://b.example"})
    assert read.stac == (("mine", "https://stac.example"), ("b", "http://b.example"))
    with pytest.raises(QueryError, match="not name=https"):
        from_environment({"LOOKALIKE_STAC": " = https://stac.example"})


def test_clouds_and_dates_filter(server: Loopback, area) -> None:
    assert [one.id for one in source().search(area, cloud=20)] == ["west-16"]
    assert [one.id for one in source().search(area, Dates.parse("2020"))] == ["west-20"]
    assert source().search(area, Dates.parse("2017")) == []
    assert "from 2016-08-16 to 2020-07-01 it has 2" in source().explain(area, Dates.parse("2017"))
    assert source().search(area, Dates.parse("2020"), cloud=20) == []
    assert source().explain(area, Dates.parse("2020")) == (
        "sentinel-2-l2a of earth-search has 1 image here between these dates, "
        "but each exceeds the cloud limit. Raise it to see them."
    )


def test_a_mosaic_that_spans_too_many_pixels_between_small_parts_is_refused(
    server: Loopback, area, tmp_path: Path
) -> None:
    far = shapely.affinity.translate(area.geometry, 8, 8)
    parts = Area.of(shapely.union_all([area.geometry, far]))
    found = source().search(area)[:1]
    cost = source().estimate(parts, found)
    assert cost.pixels < 10_000_000
    assert cost.refusal is None, "at 10 m it fits"
    fine = source(scale=1.0)
    assert fine.estimate(parts, found).refusal is not None
    with pytest.raises(QueryError, match=r"billion pixels.*Draw a smaller area"):
        fine.fetch(parts, found, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_only_allowed_catalogues_are_asked(server: Loopback, area) -> None:
    with pytest.raises(QueryError, match=r"not one of those allowed.*LOOKALIKE_STAC"):
        source("elsewhere")


def test_pixels_stay_as_they_are_and_only_windows_are_read(
    server: Loopback, folder: Path, area, tmp_path: Path
) -> None:
    found = source().search(area, Dates.parse("2016"))
    (fetched,) = source().fetch(area, found, tmp_path)
    same_as(fetched.path, folder / "west.tif")
    assert fetched.datetime == "2016-08-16T10:30:00Z"
    assert fetched.license == "Copernicus Sentinel data"
    sent = sum(r.sent for r in server.requests("GET /files"))
    assert sent < (folder / "west.tif").stat().st_size * 0.6
    assert server.peak <= 9


def test_tiles_of_one_day_become_one_scene_and_days_stay_apart(
    server: Loopback, folder: Path, tmp_path: Path
) -> None:
    wide = under(folder / "west.tif", (1200, 400, 500, 300))
    found = source().search(wide)
    assert {one.id for one in found} == {"east-16", "west-16", "west-20"}
    first, second = source().fetch(wide, found, tmp_path)
    assert (first.title[-10:], second.title[-10:]) == ("2016-08-16", "2020-07-01")
    with rasterio.open(first.path) as dataset, rasterio.open(folder / "east.tif") as east:
        col = round((east.transform.c - dataset.transform.c) / 10)
        assert dataset.read().any(0).mean() > 0.95
        row = round((dataset.transform.f - east.transform.f) / -10)
        # Where the two overlap, the one that covers more of the area is on top.
        window = rasterio.windows.Window(100, row, dataset.width - col - 100, dataset.height)
        assert (dataset.read()[:, :, col + 100 :] == east.read(window=window)).all()
    with rasterio.open(second.path) as dataset:
        assert not dataset.read()[:, :, 400:].any()


def test_a_scene_of_another_zone_is_brought_to_the_areas_grid(
    server: Loopback, stac: Stac, folder: Path, area, tmp_path: Path
) -> None:
    from rasterio.warp import Resampling, calculate_default_transform, reproject

    with rasterio.open(folder / "west.tif") as whole:
        transform, width, height = calculate_default_transform(
            whole.crs, "EPSG:4326", whole.width, whole.height, *whole.bounds
        )
        data = np.zeros((3, height, width), "uint8")
        reproject(
            rasterio.band(whole, [1, 2, 3]), data, dst_transform=transform, dst_crs="EPSG:4326",
            resampling=Resampling.bilinear,
        )  # fmt: skip
    write_cog(folder / "degrees.tif", data, transform=transform, crs="EPSG:4326", nodata=0)
    stac.items["naip"] = [Item("deg", "degrees.tif", "2016-08-16")]
    chosen = source(collection="naip", scale=10.0)
    (fetched,) = chosen.fetch(area, chosen.search(area), tmp_path)
    with rasterio.open(fetched.path) as part, rasterio.open(folder / "west.tif") as whole:
        assert part.crs.to_epsg() == 32631 or part.crs.to_epsg() == 32632
        assert part.transform.a == 10
        point = whole.bounds.left + 6000, whole.bounds.top - 6500
        ours, original = (np.array(list(d.sample([point])), int) for d in (part, whole))
        assert np.abs(ours - original).max() < 60


def test_signed_addresses_are_renewed_when_they_expire(
    server: Loopback, stac: Stac, folder: Path, area, tmp_path: Path
) -> None:
    stac.files.signature = "S0"
    chosen = source("planetary-computer", collection="naip", workers=1)
    found = chosen.search(area)

    def expire(report) -> None:
        if report.unit == "blocks" and not report.done:
            stac.files.signature = "revoked"

    (fetched,) = chosen.fetch(area, found, tmp_path, expire)
    same_as(fetched.path, folder / "west.tif")
    assert stac.issued >= 1
    assert "sig=" not in fetched.source_url


def test_a_signature_that_is_never_accepted_is_named(
    server: Loopback, stac: Stac, area, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = source("planetary-computer", collection="naip")
    found = chosen.search(area)
    server.fail("GET /files", status=403, message="Signature has expired", times=99)
    with pytest.raises(ServiceError, match="Signature has expired") as caught:
        chosen.fetch(area, found, tmp_path)
    assert "sig=S" not in caplog.text + str(caught.value)
    assert stac.issued == 2


def test_a_storm_of_errors_leaves_the_same_pixels(
    server: Loopback, folder: Path, area, tmp_path: Path
) -> None:
    found = source().search(area, Dates.parse("2016"))
    server.fail("/stac", status=503, times=2)
    server.fail("GET /files", status=503, times=2, skip=2)
    server.fail("GET /files", cut=0.5, times=2, skip=2)
    (fetched,) = source().fetch(area, found, tmp_path)
    same_as(fetched.path, folder / "west.tif")


def test_an_item_without_a_picture_is_named(server: Loopback, stac: Stac, area) -> None:
    stac.items["naip"] = [Item("x", "west.tif", "2016-08-16", asset="elevation")]
    with pytest.raises(ServiceError, match=r"no image in natural colours.*elevation"):
        source(collection="naip").search(area)


def test_an_item_that_does_not_tell_its_pixel_size_keeps_it(
    server: Loopback, stac: Stac, folder: Path, tmp_path: Path
) -> None:
    from rasterio.transform import from_origin

    fine = from_origin(*GENEVA, 2, 2)
    write_cog(folder / "drone.tif", ground(600, 600), transform=fine, crs="EPSG:32632", nodata=0)
    told = {"datetime": "2016-08-16T10:30:00Z"}
    stac.items["drones"] = [Item("d", "drone.tif", "2016-08-16", changes={"properties": told})]
    area = under(folder / "west.tif", (20, 20, 80, 80))
    chosen = source(collection="drones")
    (fetched,) = chosen.fetch(area, chosen.search(area), tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert dataset.res == (2, 2)


def test_an_item_that_lies_elsewhere_is_named(
    server: Loopback, stac: Stac, area, tmp_path: Path
) -> None:
    from shapely.geometry import mapping

    stac.items["naip"] = [
        Item("x", "far.tif", "2016-08-16", changes={"geometry": mapping(area.geometry)})
    ]
    from rasterio.transform import from_origin

    write_cog(
        stac.files.folder / "far.tif", ground(400, 400), nodata=0,
        transform=from_origin(700000, 5600000, 10, 10), crs="EPSG:32632",
    )  # fmt: skip
    found = source(collection="naip").search(area)
    with pytest.raises(SceneError, match="lies elsewhere"):
        source(collection="naip").fetch(area, found, tmp_path)


def test_an_unknown_collection_and_a_page_in_place_of_an_api_are_named(
    server: Loopback, area
) -> None:
    with pytest.raises(ServiceError, match="No collection none"):
        source(collection="none").search(area)
    server.fail("GET /stac/v1", body=b"<html>")
    with pytest.raises(ServiceError, match="not a STAC API"):
        source().search(area)


def test_a_cancelled_fetch_keeps_its_blocks(server: Loopback, folder: Path, tmp_path: Path) -> None:
    wide = under(folder / "west.tif", (0, 0, 1500, 1500))
    found = source().search(wide, Dates.parse("2020"))

    def stop(report) -> None:
        if report.done >= 2:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        source(workers=1).fetch(wide, found, tmp_path, stop)
    assert len(list(tmp_path.glob("*.blocks/0*.tif"))) >= 2
    (fetched,) = source().fetch(wide, found, tmp_path)
    same_as(fetched.path, folder / "later.tif")


def test_a_fetch_is_cancelled_while_it_waits_for_a_busy_service(
    server: Loopback, area, tmp_path: Path
) -> None:
    found = source().search(area, Dates.parse("2020"))
    busy = server.fail(
        "GET /files/later", times=99, status=429, headers={"Retry-After": "30"}, skip=1
    )

    def stop(report) -> None:
        if busy.times < 99:
            raise Cancelled("Stopped by the user")

    with pytest.raises(Cancelled, match="by the user"):
        source(workers=1).fetch(area, found, tmp_path, stop)
    assert busy.times == 98  # it was not tried again
    server.faults.clear()
    assert source().fetch(area, found, tmp_path)


def test_a_full_disk_keeps_the_blocks_and_leaves_no_half_scene(
    server: Loopback, folder: Path, area, tmp_path: Path
) -> None:
    found = source().search(area, Dates.parse("2020"))
    (whole,) = source().fetch(area, found, tmp_path / "whole")
    size = whole.path.stat().st_size
    for limit in (size // 4, size - 100):
        with largest_file(limit), pytest.raises(StorageError, match="disk is full"):
            source().fetch(area, found, tmp_path / "out")
        assert list((tmp_path / "out").glob("*.tif")) == []
    (again,) = source().fetch(area, found, tmp_path / "out")
    assert again.path.read_bytes() == whole.path.read_bytes()


KILLED = """
import sys
from pathlib import Path
from shapely import from_wkt
from pipeline.dates import Dates
from pipeline.geo.area import Area
from pipeline.sources.registry import open_source
source = open_source("stac", base=0.001, workers=1)
area = Area.of(from_wkt(sys.argv[2]))
source.fetch(area, source.search(area, Dates.parse("2020")), Path(sys.argv[1]))
"""


def test_kill_9_and_resume_give_identical_pixels(
    server: Loopback, folder: Path, tmp_path: Path
) -> None:
    wide = under(folder / "west.tif", (0, 0, 1500, 1500))
    hold = server.hold("GET /files", when=lambda: list(tmp_path.glob("*.blocks/0*.tif")))
    killed(KILLED, tmp_path, wide.geometry.wkt, hold=hold)
    kept = {path: path.stat().st_mtime_ns for path in tmp_path.glob("*.blocks/0*.tif")}
    found = source().search(wide, Dates.parse("2020"))
    (fetched,) = source().fetch(wide, found, tmp_path)
    same_as(fetched.path, folder / "later.tif")
    assert kept


# ---------------------------------------------------------------- OpenAerialMap


def aerial():
    return open_source("openaerialmap", http=Http(("127.0.0.1",), base=0.001))


def test_openaerialmap_lists_and_brings_the_part_under_the_area(
    server: Loopback, folder: Path, area, tmp_path: Path
) -> None:
    found = aerial().search(area, Dates.parse("2016"))
    assert [one.title for one in found] == ["Drone west-16"]
    (asked,) = server.requests("GET /meta")
    assert asked.query["acquisition_to"] == "2017-01-01"  # the last day is inside
    assert found[0].license == "CC-BY 4.0, Somebody"
    estimate = aerial().estimate(area, found)
    assert 250_000 < estimate.pixels < 400_000
    (fetched,) = aerial().fetch(area, found, tmp_path)
    same_as(fetched.path, folder / "west.tif")
    count = len(server.log)
    assert aerial().fetch(area, found, tmp_path) == [fetched]
    assert len(server.log) == count


@pytest.mark.parametrize(
    ("told", "moment"),
    [
        ("2016-08-16", "2016-08-16T00:00:00Z"),
        ("2016-08-16T17:05", "2016-08-16T17:05:00Z"),
        ("2016-08-16T17:05:00+05:00", "2016-08-16T12:05:00Z"),
        ("2016-08-16T25:00:00Z", "2016-08-16T00:00:00Z"),
        ("last summer", None),
        (None, None),
    ],
)
def test_moments_of_a_catalogue_are_read_as_far_as_they_are_some(told, moment) -> None:
    assert dates.parse_lenient(told) == moment


def test_openaerialmap_in_an_unknown_form_is_named(server: Loopback, area) -> None:
    server.fail("/meta", body=b'{"results": [{"uuid": 1}]}')
    with pytest.raises(ServiceError, match="unknown form"):
        aerial().search(area)
