"""Earth Engine's genuine client against the loopback server: sign-in, search, road A."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from google.auth.exceptions import RefreshError
from shapely.geometry import box

from pipeline.dates import Dates
from pipeline.errors import Cancelled, LookalikeError, QueryError, ServiceError
from pipeline.geo.area import Area
from pipeline.imagery.scene import Stretch
from pipeline.settings import settings
from pipeline.sources.earth_engine.client import DEADLINE_MS, check_sign_in
from pipeline.sources.earth_engine.plan import plans, product_of
from pipeline.sources.earth_engine.source import EarthEngine
from pipeline.sources.google.identity import identity, sign_in_error
from pipeline.sources.registry import open_source
from pipeline.sources.source import cover
from pipeline.sources.thumbnails import thumbnails
from tests.loopback import images
from tests.loopback.earth_engine import SKYSAT
from tests.loopback.fixtures import MANHATTAN, Google, google, killed
from tests.loopback.google import TOKEN

AREA = Area.of(box(*MANHATTAN))
PIXELS = "POST .*computePixels"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with google(tmp_path, monkeypatch) as server:
        yield server


def source(**options) -> EarthEngine:
    return open_source("earth_engine", **{"side": 256, "base": 0.001, **options})


def truth(server: Google, candidates) -> np.ndarray:
    """What the server holds for a plan, computed in one piece."""
    (plan,) = plans(product_of(SKYSAT), "mosaic", AREA.geometry, candidates)
    grid = images.Grid(plan.grid.crs, plan.grid.transform, plan.grid.width, plan.grid.height)
    parts = [server.earth.catalogue.image(name) for name in plan.names]
    drawn, mask = images.mosaic(parts).draw(grid)
    return np.where(mask, drawn, 0)


# ---------------------------------------------------------------- who we are


def test_the_panel_tells_identity_and_project_and_tests_them(server: Google) -> None:
    who = identity()
    assert who.kind == "service account"
    assert who.account == "lookalike@test-project.iam.gserviceaccount.com"
    assert who.project == "test-project"
    assert check_sign_in().ok
    assert "lookalike@test-project" in check_sign_in().message


def test_stored_credentials_need_an_explicit_project(
    server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ee import oauth

    monkeypatch.delenv("GOOGLE_APPLICATION_CREDENTIALS")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr(oauth, "TOKEN_URI", server.url + "/token")
    settings.cache_clear()
    checked = check_sign_in()
    assert not checked.ok
    assert "There are no Google credentials" in checked.message
    assert "earthengine authenticate" in checked.message
    stored = tmp_path / ".config/earthengine/credentials"
    stored.parent.mkdir(parents=True)
    stored.write_text('{"refresh_token": "1//refresh-secret"}')
    assert "No Google Cloud project is set" in check_sign_in().message
    monkeypatch.setenv("LOOKALIKE_EE_PROJECT", "test-project")
    settings.cache_clear()
    assert check_sign_in().ok
    assert identity().kind == "a user's stored credentials"


def test_a_wrong_project_is_named_with_its_remedy(
    server: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_EE_PROJECT", "not-mine-at-all")
    settings.cache_clear()
    checked = check_sign_in()
    assert not checked.ok
    assert "not-mine-at-all" in checked.message
    assert "LOOKALIKE_EE_PROJECT" in checked.message


@pytest.mark.parametrize(
    ("message", "remedy"),
    [
        ("Google Earth Engine API has not been used in project 12 before or it is disabled.",
         "Enable the Earth Engine API"),
        ("Project 12 is not registered to use Earth Engine.", "Register the project"),
    ],
)  # fmt: skip
def test_a_project_without_earth_engine_says_how_to_enable_it(
    server: Google, message: str, remedy: str
) -> None:
    server.fail("algorithms", status=403, message=message, times=9)
    checked = check_sign_in()
    assert not checked.ok
    assert message.rstrip(".") in checked.message
    assert remedy in checked.message


def test_a_revoked_key_is_named(server: Google) -> None:
    server.tokens.revoked = True
    checked = check_sign_in()
    assert not checked.ok
    assert "did not accept the credentials" in checked.message
    assert "Make a new key" in checked.message


def test_clock_skew_is_named(server: Google) -> None:
    server.tokens.offset = 3600
    assert "Set this machine's clock" in check_sign_in().message


def test_words_that_hold_iat_are_not_about_the_clock() -> None:
    refused = sign_in_error(RefreshError("invalid_grant: The client is associated with none"))
    assert isinstance(refused, ServiceError)
    assert "clock" not in str(refused)


def test_only_images_of_the_catalogue_have_a_page_there() -> None:
    assert product_of(SKYSAT).page.endswith("/SKYSAT_GEN-A_PUBLIC_ORTHO_RGB")
    assert replace(product_of(SKYSAT), id="projects/mine/assets/ours").page == ""


@pytest.mark.parametrize("content", ["", "{", '{"type": "service_account"}', '{"type": "odd"}'])
def test_a_broken_key_file_is_named(server: Google, tmp_path: Path, content: str) -> None:
    (tmp_path / "key.json").write_text(content)
    checked = check_sign_in()
    assert not checked.ok
    assert "key.json" in checked.message


# ---------------------------------------------------------------- what is there


def test_candidates_have_footprint_date_and_share(server: Google) -> None:
    found = source().search(AREA)
    assert found[0].day == "2015-02-15"  # in the middle, it covers most
    assert len(found) == 3
    assert found[0].share == pytest.approx(1, abs=0.25)
    assert found[0].gsd == 0.8
    assert found[0].id.startswith(SKYSAT + "/s0")
    assert type(found[0]).from_dict(found[0].to_dict()) == found[0]


def test_dates_select_and_coverage_sums_up(server: Google) -> None:
    found = source().search(AREA, Dates.parse("2015-01/2015-02"))
    assert sorted(one.day for one in found) == ["2015-01-15", "2015-02-15"]
    coverage = cover(AREA, found)
    assert (coverage.count, coverage.first, coverage.last) == (2, "2015-01-15", "2015-02-15")
    assert 0.5 < coverage.share <= 1


def test_an_area_without_images_offers_the_alternative(server: Google) -> None:
    from tests.loopback.earth_engine import new_york

    naip = new_york(2, collection="USDA/NAIP/DOQQ")
    server.earth.catalogue.collections |= naip.collections
    for name in ("Switzerland/SWISSIMAGE/orthos/10cm", "Spain/PNOA/PNOA10",
                 "Netherlands/Beeldmateriaal/LUCHTFOTO_RGB", "Germany/Brandenburg/orthos/20cm",
                 "COPERNICUS/S2_SR_HARMONIZED"):  # fmt: skip
        server.earth.catalogue.collections[name] = []
    dates = Dates.parse("2015-01-01/2015-02-28")
    far = Area.of(box(-74.1, 40.0, -74.09, 40.01))
    assert source().search(far, dates) == []
    assert source().explain(far, dates) == (
        "SkySat has no image here between 2015-01-01 and 2015-02-28."
    )
    told = source().explain(AREA, dates)
    assert "NAIP has 2" in told


def test_an_empty_choice_is_refused_before_any_pixel(server: Google, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="no image to fetch"):
        source().fetch(AREA, [], tmp_path / "out")
    assert server.requests(PIXELS) == []


def test_any_asset_can_be_typed_in(server: Google, tmp_path: Path) -> None:
    asset = f"{SKYSAT}/s00_20150115T150000Z"
    chosen = source(collection=asset)
    (only,) = chosen.search(AREA)
    assert only.id == asset
    (fetched,) = chosen.fetch(AREA, [only], tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert dataset.dtypes == ("uint8",) * 3


def test_an_asset_without_permission_is_named(server: Google) -> None:
    with pytest.raises(ServiceError, match=r"users/else/secret.*shared with this account"):
        source(collection="users/else/secret").search(AREA)


def test_preview_tiles_and_thumbnails_are_pictures(server: Google) -> None:
    import io
    import urllib.request

    from PIL import Image

    found = source().search(AREA)
    template = source().preview(AREA, found)
    url = template.format(z=16, x=19295, y=24640)
    with urllib.request.urlopen(url) as answer:
        assert Image.open(io.BytesIO(answer.read())).size == (256, 256)
    assert max(Image.open(io.BytesIO(source().thumbnail(found[0]))).size) == 160
    assert TOKEN not in template


def test_listed_candidates_have_small_pictures_unless_they_fail(
    server: Google, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = source()
    found = engine.search(AREA)
    pictures = thumbnails(engine, found)
    assert set(pictures) == {one.id for one in found}
    assert all(picture.startswith("data:image/png;base64,") for picture in pictures.values())
    given = replace(found[0], thumbnail="https://example.org/small.png")
    assert thumbnails(object(), [given]) == {given.id: given.thumbnail}

    def refuse(self: object, candidate: object, size: int = 160) -> bytes:
        raise ServiceError("No")

    monkeypatch.setattr(type(engine), "thumbnail", refuse)
    assert thumbnails(engine, found) == {}


def test_the_estimate_counts_pixels_bytes_and_requests(server: Google) -> None:
    found = source().search(AREA)
    estimate = source(side=None).estimate(AREA, found)
    assert estimate.scenes == 1
    assert estimate.requests == 1
    assert estimate.bytes == estimate.pixels * 3
    wide = Area.of(box(-76, 39, -72, 42))
    assert "more than one fetch may have" in source(side=None).estimate(wide, found).refusal.what


# ---------------------------------------------------------------- road A


def test_fetched_pixels_are_those_of_the_server_on_an_exact_grid(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    (fetched,) = source().fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()
        assert dataset.crs.to_epsg() == 32618
        assert (dataset.transform.c / 0.8) == pytest.approx(round(dataset.transform.c / 0.8))
        assert dataset.tags(ns="IMAGE_STRUCTURE")["LAYOUT"] == "COG"
        assert dataset.overviews(1)
    assert fetched.datetime == "2015-03-15T15:00:00Z"
    assert fetched.stretch == Stretch((11,) * 3, (190,) * 3)
    assert {path.name for path in tmp_path.iterdir()} == {"key.json", fetched.path.name}


def test_the_largest_request_is_48_mib_and_chip_aligned(server: Google) -> None:
    from pipeline.sources.earth_engine.catalogue import CATALOGUE
    from pipeline.sources.earth_engine.plan import MAX_BYTES, tile_side

    sides = {product.dtype: tile_side(product) for product in CATALOGUE.values()}
    assert sides == {"uint8": 4096, "uint16": 2816}
    assert MAX_BYTES == 4096 * 4096 * 3
    assert all(side % 256 == 0 for side in sides.values())


def test_a_storm_of_errors_leaves_the_same_pixels(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    server.fail(PIXELS, status=429, times=6, message="Too many concurrent aggregations.")
    server.fail(PIXELS, status=500, times=2, skip=3)
    server.fail(PIXELS, cut=0.5, times=2)
    server.fail(PIXELS, drop=0.4, times=2)
    server.fail(PIXELS, body=b"II*\0 not a tiff", times=1)
    (fetched,) = source().fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()


def test_a_tile_of_the_wrong_size_is_asked_for_again(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    small = images.geotiff(
        np.ones((3, 9, 9), "uint8"), images.Grid("EPSG:32618", (1, 0, 0, 0, -1, 0), 9, 9), ("R",)
    )
    server.fail(PIXELS, body=small, times=2)
    (fetched,) = source().fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()


def test_a_refusal_is_not_repeated_and_says_what_earth_engine_said(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    server.fail(PIXELS, status=400, message="User memory limit exceeded.", times=99)
    with pytest.raises(ServiceError, match=r"User memory limit exceeded.*coarser scale"):
        source(workers=1).fetch(AREA, found, tmp_path)
    assert len(server.requests(PIXELS)) == 1


def test_at_most_forty_requests_run_at_once(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    hold = server.hold(PIXELS, count=40)
    with ThreadPoolExecutor(1) as pool:
        fetching = pool.submit(source(side=64, workers=99).fetch, AREA, found, tmp_path)
        try:
            while not hold.reached.wait(0.05):
                assert not fetching.done()
        finally:
            hold.let_go()
        fetching.result()
    assert server.peak == 40


def test_what_was_fetched_is_kept_and_never_asked_for_again(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)

    def stop(report) -> None:
        if report.done >= 4:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        source(workers=2, side=128).fetch(AREA, found, tmp_path, stop)
    (kept,) = tmp_path.glob("*.direct-128")
    assert len(list(kept.glob("*.tif"))) >= 4
    (fetched,) = source(workers=2, side=128).fetch(AREA, found, tmp_path)
    bodies = [request.body for request in server.requests(PIXELS) if request.status == 200]
    assert len(bodies) == len(set(bodies))
    assert source().fetch(AREA, found, tmp_path)[0] == fetched
    assert len(server.requests(PIXELS)) == len(bodies)


KILLED = """
import sys
from pathlib import Path
from shapely.geometry import box
from pipeline.geo.area import Area
from pipeline.sources.google.identity import identity, sign_in_error
from pipeline.sources.source import cover
from pipeline.sources.registry import open_source
source = open_source("earth_engine", side=128, base=0.001, workers=3)
area = Area.of(box(*map(float, sys.argv[2:])))
source.fetch(area, source.search(area), Path(sys.argv[1]))
"""


def test_kill_9_and_resume_give_identical_pixels(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    expected = truth(server, found)

    def there() -> bool:
        return len(list(tmp_path.glob("*.direct-128/0*.tif"))) >= 3

    hold = server.hold(PIXELS, when=there, count=3)  # all three workers wait then
    killed(KILLED, tmp_path, *MANHATTAN, hold=hold)
    before = {path.name: path.read_bytes() for path in tmp_path.glob("*.direct-128/0*.tif")}
    assert len(before) >= 3
    server.log.clear()
    (fetched,) = source(workers=3, side=128).fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == expected).all()
    (plan,) = plans(product_of(SKYSAT), "mosaic", AREA.geometry, found)
    assert len(server.requests(PIXELS)) == len(plan.tiles(128)) - len(before)


def test_a_full_disk_is_named_and_the_fetch_resumes(
    server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from pipeline.sources import mosaic

    found = source().search(AREA)
    real, calls = mosaic.store_tile, []

    def full(folder, tile, data) -> None:
        calls.append(tile)
        if len(calls) == 3:
            from pipeline.errors import storage_errors

            with storage_errors(folder):
                raise OSError(errno.ENOSPC, "No space left on device")
        real(folder, tile, data)

    monkeypatch.setattr("pipeline.sources.earth_engine.direct.store_tile", full)
    with pytest.raises(LookalikeError, match="disk is full"):
        source(workers=1).fetch(AREA, found, tmp_path)
    (fetched,) = source().fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()


def test_a_disk_too_small_is_refused_before_any_pixel(
    server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import shutil
    from collections import namedtuple

    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(LookalikeError, match=r"needs up to .* GB"):
        source().fetch(AREA, source().search(AREA), tmp_path)
    assert server.requests(PIXELS) == []


def test_a_token_that_expires_in_the_middle_is_replaced(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)

    def expire(report) -> None:
        if report.done == 2:
            server.tokens.valid.clear()

    (fetched,) = source(workers=1, side=128).fetch(AREA, found, tmp_path, expire)
    assert server.tokens.issued >= 2
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()


def test_a_request_that_hangs_is_given_up_and_asked_again(server: Google, tmp_path: Path) -> None:
    import ee

    found = source().search(AREA)
    assert ee.data._get_state().deadline_ms == DEADLINE_MS
    ee.data.setDeadline(3000)
    hold = server.hold(PIXELS, most=1)
    (fetched,) = source().fetch(AREA, found, tmp_path)
    with rasterio.open(fetched.path) as dataset:
        assert (dataset.read() == truth(server, found)).all()
    assert hold.reached.is_set()


def test_landsat_is_masked_by_its_quality_band(server: Google, tmp_path: Path) -> None:
    from tests.loopback.images import Asset

    size, name = 100, "LANDSAT/LC09/C02/T1_L2"
    for number, flags in enumerate((0, 0b1000, 0b10000)):
        data = np.full((4, size, size), 9000 + 1000 * number, "uint16")
        data[3] = flags  # clear, cloud, shadow
        server.earth.catalogue.add(
            name,
            Asset(f"{name}/L{number}", data, ("SR_B4", "SR_B3", "SR_B2", "QA_PIXEL"), "EPSG:32618",
                  (30.0, 0, 582000.0, 0, -30.0, 4509000.0), 1_640_000_000_000 + number,
                  {"CLOUD_COVER": 1.0}),
        )  # fmt: skip
    chosen = source(collection=name)
    (scene,) = chosen.fetch(AREA, chosen.search(AREA), tmp_path)
    with rasterio.open(scene.path) as dataset:
        assert set(np.unique(dataset.read())) == {0, 9000}


def test_composites_make_one_scene_a_day_or_the_median(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    days = source(composite="day").fetch(AREA, found, tmp_path)
    assert [one.datetime[:10] for one in days] == ["2015-01-15", "2015-02-15", "2015-03-15"]
    (median,) = source(composite="median").fetch(AREA, found, tmp_path)
    with rasterio.open(median.path) as dataset, rasterio.open(days[0].path) as first:
        assert dataset.transform == first.transform
        assert dataset.shape == first.shape


def test_clouds_are_filtered_and_masked(server: Google, tmp_path: Path) -> None:
    from tests.loopback.images import Asset

    size, name = 300, "COPERNICUS/S2_SR_HARMONIZED"
    for number, cloud in enumerate((5.0, 20.0, 90.0)):
        data = np.full((4, size, size), 1000 * (number + 1), "uint16")
        data[3] = 4  # vegetation
        data[3, :, : 150 * number] = 9  # cloud on the left of the second, all over the third
        server.earth.catalogue.add(
            name,
            Asset(f"{name}/T{number}", data, ("B4", "B3", "B2", "SCL"), "EPSG:32618",
                  (10.0, 0, 582000.0, 0, -10.0, 4509000.0), 1_500_000_000_000 + number * 86_400_000,
                  {"CLOUDY_PIXEL_PERCENTAGE": cloud}),
        )  # fmt: skip
    chosen = source(collection=name)
    found = chosen.search(AREA, cloud=50)
    assert sorted(one.cloud for one in found) == [5.0, 20.0]
    assert chosen.search(AREA, cloud=1) == []
    assert "Sentinel-2 has 3 images here, but each exceeds the cloud limit" in chosen.explain(AREA)
    (scene,) = chosen.fetch(AREA, found, tmp_path)
    with rasterio.open(scene.path) as dataset:
        pixels = dataset.read(1)
        assert dataset.dtypes[0] == "uint16"
    assert set(np.unique(pixels)) <= {0, 1000, 1500}
    assert {1000, 1500} <= set(np.unique(pixels))


def test_no_secret_reaches_logs_messages_or_files(
    server: Google, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = source().search(AREA)
    server.fail(PIXELS, status=403, message="No permission", times=9)
    with pytest.raises(ServiceError) as caught:
        source().fetch(AREA, found, tmp_path / "out")
    server.faults.clear()
    source(workers=2).fetch(AREA, found, tmp_path / "out")
    written = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    key = (tmp_path / "key.json").read_text()
    for secret in (TOKEN, key[key.index("BEGIN") + 30 :][:60]):
        assert secret not in caplog.text
        assert secret not in str(caught.value)
        assert secret.encode() not in written
