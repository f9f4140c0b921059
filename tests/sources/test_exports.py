"""Roads B and C: exports to Drive and Cloud Storage, and Drive folders, with the real clients."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely.geometry import box

from pipeline.errors import Cancelled, NotFoundError, QueryError, SceneError, ServiceError
from pipeline.geo.area import Area
from pipeline.sources.earth_engine.source import EarthEngine
from pipeline.sources.google.drive import Drive
from pipeline.sources.registry import open_source
from tests.factories.moments import killed_at
from tests.loopback.fixtures import MANHATTAN, Google, google, killed
from tests.loopback.google import TOKEN
from tests.sources.test_earth_engine import truth

AREA = Area.of(box(*MANHATTAN))
MEDIA = "GET .*(drive/v3/files/|/o/)"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with google(tmp_path, monkeypatch) as server:
        yield server


def source(road: str = "drive", **options) -> EarthEngine:
    given = {"side": 400, "base": 0.001, "poll": 0.01, "bucket": "test-bucket", **options}
    return open_source("earth_engine", road=road, **given)


def direct(tmp_path: Path) -> np.ndarray:
    """The same scene by road A."""
    chosen = source("direct")
    (fetched,) = chosen.fetch(AREA, chosen.search(AREA), tmp_path / "direct")
    return pixels(fetched.path)


def expected(server: Google) -> np.ndarray:
    """The same scene as the server computes it in one piece."""
    return truth(server, source().search(AREA))


def pixels(path: Path) -> np.ndarray:
    with rasterio.open(path) as dataset:
        return dataset.read()


def downloads(server: Google) -> list:
    return [r for r in server.requests(MEDIA) if r.query.get("alt") == "media"]


@pytest.mark.parametrize("road", ["drive", "storage"])
def test_a_scene_has_the_same_pixels_by_every_road(
    server: Google, tmp_path: Path, road: str
) -> None:
    chosen = source(road)
    found = chosen.search(AREA)
    (fetched,) = chosen.fetch(AREA, found, tmp_path / road)
    assert (pixels(fetched.path) == direct(tmp_path)).all()
    asked = [operation["asked"] for operation in server.earth.operations.values()]
    assert len(asked) == chosen.estimate(AREA, found).requests == 4
    assert [path.name for path in (tmp_path / road).iterdir()] == [fetched.path.name]


def test_exported_tiles_are_5000_pixels_a_side(server: Google) -> None:
    wide = Area.of(box(-74.1, 40.6, -73.9, 40.8))
    chosen = source(side=None)
    estimate = chosen.estimate(wide, chosen.search(AREA))
    assert "5000×5000" in estimate.limits[0]
    assert estimate.requests == 30


def test_files_stay_in_drive_unless_tidied(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    source().fetch(AREA, found, tmp_path / "a")
    folder = [f["name"] for f in server.drive.files.values() if "size" not in f]
    assert folder == ["lookalike"]
    assert len(server.drive.contents) == 4
    before = set(server.drive.files)
    source(tidy=True, composite="day").fetch(AREA, found[:1], tmp_path / "b")
    assert set(server.drive.files) == before


def test_a_failed_export_says_why_and_the_next_run_starts_only_that_one(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    server.earth.outcome = ["SUCCEEDED", "FAILED"]
    with pytest.raises(ServiceError, match=r"storage quota has been exceeded.*Free some space"):
        source().fetch(AREA, found, tmp_path / "out")
    (fetched,) = source().fetch(AREA, found, tmp_path / "out")
    assert len(server.earth.operations) == 5
    assert (pixels(fetched.path) == expected(server)).all()


def test_a_cancelled_export_is_named(server: Google, tmp_path: Path) -> None:
    server.earth.outcome = ["CANCELLED"]
    with pytest.raises(ServiceError, match=r"was cancelled.*starts anew"):
        source().fetch(AREA, source().search(AREA), tmp_path)


def test_an_export_that_never_ends_is_given_up_and_found_again(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    server.earth.outcome, server.earth.polls = ["RUNNING"], 0  # the others are done when asked
    with pytest.raises(ServiceError, match=r"1 export tasks are still running.*go on waiting"):
        source(patience=0).fetch(AREA, found, tmp_path / "out")
    for operation in server.earth.operations.values():
        operation["outcome"] = "SUCCEEDED"
    (fetched,) = source().fetch(AREA, found, tmp_path / "out")
    assert len(server.earth.operations) == 4
    assert (pixels(fetched.path) == expected(server)).all()


def test_a_file_deleted_from_drive_is_exported_anew_by_the_next_run(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    server.fail("GET .*drive/v3/files/drive", status=404, message="File not found: x.")
    with pytest.raises(NotFoundError, match="file is gone"):
        source().fetch(AREA, found, tmp_path / "out")
    (fetched,) = source().fetch(AREA, found, tmp_path / "out")
    assert (pixels(fetched.path) == expected(server)).all()


def test_a_file_that_never_appears_in_drive_is_named(
    server: Google, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = source().search(AREA)
    monkeypatch.setattr(server.drive, "put", lambda *_: None)
    with pytest.raises(ServiceError, match="not in Google Drive"):
        source().fetch(AREA, found, tmp_path / "out")


def test_cut_and_damaged_downloads_end_with_the_same_pixels(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    server.fail("drive/v3/files/drive", cut=0.5, times=2)
    server.fail("drive/v3/files/drive", drop=0.3, times=1)
    server.fail("drive/v3/files/drive", status=429, times=1)
    server.fail("operations", status=503, times=2)
    server.fail("image:export", status=500, times=2)
    server.fail("drive/v3/files$", status=500, times=1)
    (fetched,) = source().fetch(AREA, found, tmp_path / "out")
    assert (pixels(fetched.path) == expected(server)).all()
    assert len(server.earth.operations) == 4


KILLED = """
import sys
from pathlib import Path
from shapely.geometry import box
from pipeline.geo.area import Area
from pipeline.sources.registry import open_source
source = open_source("earth_engine", road="drive", side=200, base=0.001, poll=0.01)
area = Area.of(box(*map(float, sys.argv[2:])))
source.fetch(area, source.search(area), Path(sys.argv[1]))
"""


def test_kill_9_starts_no_task_twice_and_downloads_nothing_twice(
    server: Google, tmp_path: Path
) -> None:
    found = source().search(AREA)
    out = tmp_path / "out"

    def there() -> bool:
        return len(list(out.glob("*.drive-200/0*.tif"))) >= 3

    killed(KILLED, out, *MANHATTAN, hold=server.hold(MEDIA, when=there))
    kept = {path.name for path in out.glob("*.drive-200/0*.tif")}
    before = len(downloads(server))
    assert len(kept) == 3
    (fetched,) = source(side=200).fetch(AREA, found, out)
    identities = [o["asked"]["requestId"] for o in server.earth.operations.values()]
    assert (
        len(identities) == len(set(identities)) == source(side=200).estimate(AREA, found).requests
    )
    assert len(downloads(server)) - before == len(identities) - len(kept)
    assert (pixels(fetched.path) == expected(server)).all()


def fetch_one_tile(folder: Path) -> None:
    chosen = source(side=None)
    chosen.fetch(AREA, chosen.search(AREA), folder)


def test_killed_before_and_after_every_rename_it_starts_one_task(
    server: Google, tmp_path: Path
) -> None:
    truth = expected(server)
    for moment in range(1, 100):
        before, out = len(server.earth.operations), tmp_path / f"{moment}"
        killed = killed_at(moment, fetch_one_tile, out)
        chosen = source(side=None)
        (fetched,) = chosen.fetch(AREA, chosen.search(AREA), out)
        assert len(server.earth.operations) == before + 1
        assert (pixels(fetched.path) == truth).all()
        if not killed:
            break
    assert not killed
    assert moment > 8, "fewer renames than the list of tasks, the picture and the scene have"


def test_an_export_whose_answer_is_lost_is_started_once(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)
    server.fail("image:export", cut=0.5, times=2)
    source().fetch(AREA, found, tmp_path / "out")
    assert len(server.requests("image:export")) == 6
    assert len(server.earth.operations) == 4


def test_a_cancelled_fetch_leaves_its_tasks_running(server: Google, tmp_path: Path) -> None:
    found = source().search(AREA)

    def stop(report) -> None:
        if report.done:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        source().fetch(AREA, found, tmp_path / "out", stop)
    (fetched,) = source().fetch(AREA, found, tmp_path / "out")
    assert len(server.earth.operations) == 4
    assert (pixels(fetched.path) == expected(server)).all()


def test_a_missing_bucket_is_named(server: Google, tmp_path: Path) -> None:
    with pytest.raises(QueryError, match="needs a bucket"):
        source("storage", bucket=None)
    server.bucket.names = ()
    with pytest.raises(ServiceError, match="bucket does not exist"):
        source("storage").fetch(AREA, source("storage").search(AREA), tmp_path)


def test_no_secret_is_written_or_logged(
    server: Google, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.earth.outcome = ["RUNNING"]
    with pytest.raises(ServiceError) as caught:
        source(patience=0).fetch(AREA, source().search(AREA), tmp_path / "out")
    written = b"".join(p.read_bytes() for p in (tmp_path / "out").rglob("*") if p.is_file())
    assert TOKEN not in caplog.text + str(caught.value)
    assert TOKEN.encode() not in written
    assert "PRIVATE KEY" not in caplog.text


# ---------------------------------------------------------------- a Drive folder


def shared_folder(server: Google, tmp_path: Path, count: int = 3) -> list[np.ndarray]:
    """Puts small scenes into the Drive folder "imagery"; returns their pixels."""
    server.drive.page = 2
    made = []
    for number in range(count):
        path = tmp_path / f"tile_2015030{number + 1}.tif"
        data = np.random.default_rng(number).integers(0, 255, (3, 300, 300), "uint8")
        with rasterio.open(
            path, "w", driver="GTiff", width=300, height=300, count=3, dtype="uint8",
            crs="EPSG:32618", transform=(0.8, 0, 583000 + 240 * number, 0, -0.8, 4507500),
        ) as dataset:  # fmt: skip
            dataset.write(data)
        server.drive.put(path.name, path.read_bytes(), "imagery")
        made.append(data)
    server.drive.put("notes.txt", b"hello", "imagery")
    return made


def folder(name: str = "imagery"):
    return open_source("drive", folder=name, base=0.001)


def test_a_drive_folder_becomes_scenes(server: Google, tmp_path: Path) -> None:
    made = shared_folder(server, tmp_path)
    found = folder().search()
    assert [one.day for one in found] == ["2015-03-01", "2015-03-02", "2015-03-03"]
    assert found[0].gsd == pytest.approx(0.8, rel=0.01)
    fetched = folder().fetch(None, found, tmp_path / "out")
    for one, data in zip(fetched, made, strict=True):
        assert (pixels(one.path) == data).all()
    count = len(server.log)
    assert folder().fetch(None, found, tmp_path / "out") == fetched
    assert len(server.log) == count


def test_a_drive_folder_can_be_given_by_address_and_is_filtered_by_area(
    server: Google, tmp_path: Path
) -> None:
    shared_folder(server, tmp_path)
    (identity,) = [i for i, f in server.drive.files.items() if f["name"] == "imagery"]
    chosen = folder(f"https://drive.google.com/drive/folders/{identity}?usp=sharing")
    assert len(chosen.search()) == 3
    assert chosen.search(Area.of(box(0, 0, 1, 1))) == []


def test_a_folder_that_is_not_shared_says_with_whom_to_share_it(server: Google) -> None:
    with pytest.raises(NotFoundError, match=r"share it with lookalike@test-project"):
        folder("private").search()


def test_a_damaged_raster_in_the_folder_is_named(server: Google) -> None:
    server.drive.put("bad.tif", b"not a tiff at all" * 100, "imagery")
    with pytest.raises(SceneError, match=r"not a GeoTIFF.*: bad\.tif\. Replace it"):
        folder().search()


def test_files_are_uploaded_to_drive_once(server: Google, tmp_path: Path) -> None:
    path = tmp_path / "chip.png"
    path.write_bytes(b"\x89PNG and some bytes")
    drive = Drive("chips", base=0.001)
    parent = drive.make_folder()
    assert drive.make_folder() == parent
    drive.put(path, parent, "image/png")
    drive.put(path, parent, "image/png")
    assert list(server.drive.contents.values()) == [path.read_bytes()]


def test_a_full_drive_is_named(server: Google, tmp_path: Path) -> None:
    parent = Drive("chips", base=0.001).make_folder()
    server.drive.full = True
    path = tmp_path / "chip.png"
    path.write_bytes(b"x")
    with pytest.raises(ServiceError, match=r"storage quota has been exceeded.*Free some space"):
        Drive("chips", base=0.001).put(path, parent, "image/png")
