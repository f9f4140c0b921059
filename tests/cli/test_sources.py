"""`sources`, `scenes`, `fetch` and `chips export` in the terminal, against loopback servers."""

from __future__ import annotations

from pathlib import Path

import pytest
import rasterio

from pipeline.collection.library import Library
from pipeline.errors import ServiceError
from pipeline.imagery.scene import AS_STORED
from tests.cli.test_app import answer, run
from tests.factories import objects
from tests.factories.rasters import write_raster
from tests.loopback.fixtures import MANHATTAN, Google, google

BBOX = "--bbox=" + ",".join(map(str, MANHATTAN))


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    with google(tmp_path, monkeypatch) as server:
        yield server


def test_sources_tell_what_they_need_and_who_is_signed_in(server: Google) -> None:
    rows = {row["name"]: row for row in answer("sources", "--json")}
    assert set(rows) == {"raster", "earth_engine", "drive", "stac", "openaerialmap"}
    assert "lookalike@test-project" in rows["earth_engine"]["state"]
    assert answer("sources", "--check", "--json")["ok"] is True
    assert len(answer("sources", "earth_engine", "--json")) >= 9
    assert [row["name"] for row in answer("sources", "drive", "--json")] == ["drive"]
    assert "earth-search" in {api["name"] for api in answer("sources", "stac", "--json")}


def test_a_failed_check_has_its_exit_code(server: Google) -> None:
    server.tokens.revoked = True
    done = run("sources", "--check")
    assert done.returncode == ServiceError.exit_code == 7
    assert "Make a new key" in done.stdout


def test_a_service_that_refuses_has_its_own_exit_code(server: Google) -> None:
    server.tokens.revoked = True
    done = run("scenes", "earth_engine", BBOX)
    assert done.returncode == ServiceError.exit_code
    assert done.stderr.count("Error:") == 1


def test_scenes_are_listed_with_coverage_and_estimate(server: Google) -> None:
    done = run("scenes", "earth_engine", BBOX, "--dates", "2015-01/2015-02")
    assert done.returncode == 0, done.stderr
    assert "2 images, 2015-01-15 to 2015-02-15" in done.stdout
    assert "48 MiB" in done.stdout
    rows = answer("scenes", "earth_engine", BBOX, "--json")
    assert {row["datetime"][:10] for row in rows} == {"2015-01-15", "2015-02-15", "2015-03-15"}


def test_an_empty_answer_is_explained(server: Google) -> None:
    done = run("scenes", "earth_engine", BBOX, "--dates", "2016")
    assert done.returncode == 0
    assert "SkySat has no image here between 2016-01-01 and 2016-12-31" in done.stdout


def test_fetch_by_every_road_gives_files(server: Google, tmp_path: Path) -> None:
    made = {}
    for road in ("direct", "storage"):
        options = ["--road", road, "--bucket", "test-bucket", "--to", str(tmp_path / road)]
        (one,) = answer("fetch", "earth_engine", BBOX, *options, "--json")
        with rasterio.open(one["path"]) as dataset:
            made[road] = dataset.read()
    assert (made["direct"] == made["storage"]).all()


def test_one_candidate_can_be_picked(server: Google, tmp_path: Path) -> None:
    rows = answer("scenes", "earth_engine", BBOX, "--json")
    (one,) = answer(
        "fetch",
        "earth_engine",
        BBOX,
        "--pick",
        rows[1]["id"],
        "--to",
        str(tmp_path / "x"),
        "--json",
    )
    assert one["datetime"] == rows[1]["datetime"]
    done = run("fetch", "earth_engine", BBOX, "--pick", "nothing")
    assert done.returncode == 3
    assert "No candidate has this id" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("scenes", "moon"), 3, "Choose one of raster"),
        (("scenes", "raster"), 2, "--location"),
        (("scenes", "drive"), 2, "--folder"),
        (("scenes", "stac", "--location", "x.tif"), 2, "no option --location"),
        (("scenes", "earth_engine"), 2, "needs an area"),
        (("scenes", "earth_engine", BBOX, "--dates", "2016-99"), 2, "not a date"),
        (("scenes", "earth_engine", BBOX, "--dates", "2016-08-16-99"), 2, "not a date"),
        (("fetch", "earth_engine", BBOX, "--road", "air"), 2, "Choose one of direct"),
        (("fetch", "earth_engine", BBOX, "--dates", "2016"), 3, "no image here"),
        (("fetch", "earth_engine", BBOX, "--name", "New York"), 2, "'new-york'"),
        (("fetch", "earth_engine", BBOX, "--name", "ny", "--stride", "77"), 2, "multiple of 32"),
        (("fetch", "earth_engine", BBOX, "--stride", "64"), 2, "Give --name"),
        (("fetch", "earth_engine", BBOX, "--brightness", "percentile"), 2, "Give --name"),
        (
            ("fetch", "earth_engine", BBOX, "--name", "ny", "--brightness", "dark"),
            2,
            "automatic, percentile, or two levels",
        ),
        (("fetch", "earth_engine", BBOX, "--to", __file__), 6, "Cannot write here"),
        (("fetch", "openaerialmap", BBOX, "--drive-folder", "x"), 2, "no option --drive-folder"),
        (("scenes", "stac", BBOX, "--scale", "0"), 2, "between 0.01 and 10"),
        (("fetch", "raster", "--location", "x.tif", "--cloud", "nan"), 2, "not a finite number"),
        (("scenes", "stac", BBOX, "--scale", "nan"), 2, "between 0.01 and 10"),
        (("fetch", "earth_engine", BBOX, "--dates", ""), 2, "--dates is empty"),
        (("fetch", "stac", "--bbox", " "), 2, "--bbox is empty"),
        (("fetch", "earth_engine", BBOX, "--drive-folder", ""), 2, "--drive-folder is empty"),
        (("scenes", "raster", "--location", ""), 2, "--location is empty"),
        (("sources", "moon"), 3, "Choose one of raster"),
    ],
)
def test_wrong_wishes_are_refused(
    server: Google, arguments: tuple[str, ...], code: int, says: str
) -> None:
    done = run(*arguments)
    assert done.returncode == code
    assert says in done.stderr
    assert server.requests("computePixels") == []  # refused before anything was fetched


def test_the_best_choice_of_a_catalogue_is_one_clear_day() -> None:
    from shapely.geometry import box

    from pipeline.geo.area import Area
    from pipeline.sources.candidates import Candidate
    from pipeline.sources.selection import best

    outline = box(0, 0, 1, 1)
    area = Area.of(outline)

    def one(name: str, day: str, footprint, cloud: float) -> Candidate:
        return Candidate(name, "stac", name, footprint, f"{day}T00:00:00Z", cloud=cloud)

    west, east = box(0, 0, 0.6, 1), box(0.4, 0, 1, 1)
    found = [
        one("cloudy", "2020-01-01", outline, 80.0),
        one("west", "2019-01-01", west, 1.0),
        one("east", "2019-01-01", east, 2.0),
        one("within", "2019-01-01", box(0.5, 0, 0.55, 1), 0.0),
        one("half", "2021-01-01", west, 0.0),
    ]
    assert [c.id for c in best(area, found)] == ["west", "east"]
    assert best(area, []) == []


# ---------------------------------------------------------------- from an area to an answer


@pytest.mark.model
def test_from_an_area_of_earth_engine_to_hits(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_WORKERS", "0")  # the network is in this process already
    with google(home, monkeypatch):
        options = ("--composite", "mosaic", "--scale", "1", "--name", "new-york", "--stride", "256")
        done = run("fetch", "earth_engine", BBOX, *options)
        assert done.returncode == 0, done.stderr
    told = answer("info", "new-york", "--json")
    assert told["area"]
    chips = answer("chips", "new-york", "--json")
    assert len(chips) == told["chips"] > 1
    hits = answer("search", "new-york", "--chip", chips[0]["id"], "--no-suppress", "--json")
    assert len(hits) == len(chips) - 1
    assert hits[0]["datetime"].startswith("2015-03-15")


def test_every_service_at_once_serves_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pipeline.settings import settings
    from tests.loopback.__main__ import everything, filled

    server, more = everything(tmp_path / "served")
    with server:
        for name, value in filled(server, tmp_path, more).items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()
        for source in ("earth_engine", "stac", "openaerialmap"):
            rows = answer("scenes", source, BBOX, "--json")
            assert len(rows) == 3
            (one, *_) = answer("fetch", source, BBOX, "--to", str(tmp_path / source), "--json")
            assert Path(one["path"]).stat().st_size > 10_000
    settings.cache_clear()


@pytest.mark.parametrize("given", ["0,200", "percentile", None])
def test_fetched_rasters_are_shown_with_the_brightness_that_is_given(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None
) -> None:
    objects.use_standin(monkeypatch)
    path = write_raster(tmp_path / "field.tif", 512, 512)
    options = ["--location", str(path), "--name", "field", "--stride", "256"]
    done = run("fetch", "raster", *options, *(["--brightness", given] if given else []))
    assert done.returncode == 0, done.stderr
    (scene,) = Library(home).open("field").scenes.values()
    shown = (scene.stretch.low, scene.stretch.high)
    if given == "0,200":
        assert shown == ((0.0,) * 3, (200.0,) * 3)
    else:
        assert (scene.stretch == AS_STORED) == (given is None)
