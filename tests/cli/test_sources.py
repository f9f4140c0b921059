"""`sources`, `scenes`, `fetch` and `chips export` in the terminal, against loopback servers."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import rasterio

from pipeline.errors import ServiceError
from tests.cli.test_app import answer, run
from tests.factories.rasters import ground, write
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
        (("fetch", "earth_engine", BBOX, "--road", "air"), 2, "Choose one of direct"),
        (("fetch", "earth_engine", BBOX, "--dates", "2016"), 3, "no image here"),
        (("fetch", "earth_engine", BBOX, "--name", "New York"), 2, "'new-york'"),
        (("fetch", "earth_engine", BBOX, "--name", "ny", "--stride", "77"), 2, "multiple of 32"),
        (("fetch", "earth_engine", BBOX, "--stride", "64"), 2, "Give --name"),
        (("fetch", "earth_engine", BBOX, "--to", __file__), 6, "Cannot write here"),
        (("fetch", "openaerialmap", BBOX, "--drive-folder", "x"), 2, "no option --drive-folder"),
        (("scenes", "stac", BBOX, "--scale", "0"), 2, "between 0.01 and 10"),
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


# ---------------------------------------------------------------- chips as files


@pytest.fixture
def built(home: Path, tmp_path_factory: pytest.TempPathFactory):
    """A collection of one real raster whose vectors are made up: export needs none."""
    from pipeline.collection.library import Library
    from pipeline.collection.manifest import Manifest
    from pipeline.collection.parquet import write_part
    from pipeline.imagery.chips import Grid, cut
    from pipeline.imagery.ingest import SceneInput, ingest
    from pipeline.imagery.reader import SceneReader
    from tests.factories.synthetic import MODEL

    path = write(tmp_path_factory.mktemp("in") / "a.tif", ground(600, 520))
    library = Library(home)
    collection = library.create(Manifest(name="files", title="files", model=MODEL, stride=128))
    scene = ingest(SceneInput(path), collection.scenes_folder)
    with SceneReader(scene) as reader:
        for block in Grid.for_scene(scene, 128).blocks():
            chips = cut(reader, scene, block)
            vectors = np.zeros((len(chips.ids), 2048), np.float32)
            folder = collection.path / "chips" / scene.id
            write_part(
                folder / f"block-{block.name}-all.parquet", scene, chips, vectors, MODEL, stride=128
            )
    collection.write(scenes=(scene.id,), complete=True)
    return library.open("files"), path


@pytest.mark.parametrize("format", ["png", "jpeg", "geotiff"])
def test_chips_become_files_that_lie_where_they_should(built, tmp_path: Path, format: str) -> None:
    from pipeline.export import chip_files

    collection, path = built
    made = chip_files.export(collection, tmp_path, format=format)
    assert made.chips == made.written == len(collection.chips)
    rows = list(csv.DictReader((tmp_path / "manifest.csv").open()))
    assert len(rows) == made.chips
    features = json.loads((tmp_path / "manifest.geojson").read_text())["features"]
    assert features[0]["properties"]["id"] == rows[0]["id"]
    row = rows[-1]
    with rasterio.open(tmp_path / row["file"]) as chip, rasterio.open(path) as whole:
        col, line = int(row["col"]), int(row["row"])
        left = whole.transform.c + whole.transform.a * col
        top = whole.transform.f + whole.transform.e * line
        assert (chip.transform.c, chip.transform.f) == pytest.approx((left, top))
        assert chip.transform.a == pytest.approx(whole.transform.a)
        assert chip.read().shape == (3, 256, 256)


@pytest.mark.parametrize("format", ["png", "jpeg", "geotiff"])
def test_a_zip_holds_the_files_of_the_folder(built, tmp_path: Path, format: str) -> None:
    import zipfile

    from pipeline.export import chip_files

    collection, _ = built
    chip_files.export(collection, tmp_path / "folder", format=format)
    chip_files.archive(collection, tmp_path / "chips.zip", format=format)
    with zipfile.ZipFile(tmp_path / "chips.zip") as whole:
        held = {name.partition("/")[2]: whole.read(name) for name in whole.namelist()}
    assert held == {file.name: file.read_bytes() for file in (tmp_path / "folder").iterdir()}


def test_a_zip_of_too_many_chips_names_the_command(built, tmp_path: Path, monkeypatch) -> None:
    from pipeline.errors import QueryError
    from pipeline.export import chip_files

    monkeypatch.setattr(chip_files, "MAX_ZIPPED", 3)
    with pytest.raises(QueryError, match="chips export files"):
        chip_files.archive(built[0], tmp_path / "chips.zip")
    with pytest.raises(QueryError, match="Unknown picture format"):
        chip_files.archive(built[0], tmp_path / "chips.zip", format="bmp")
    assert not list(tmp_path.glob("*.zip"))


def test_an_interrupted_export_writes_only_what_is_missing(built, tmp_path: Path) -> None:
    from pipeline.errors import Cancelled
    from pipeline.export import chip_files

    collection, _ = built

    def stop(report) -> None:
        if report.done == 3:
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        chip_files.export(collection, tmp_path, progress=stop)
    made = chip_files.export(collection, tmp_path)
    assert made.written == made.chips - 3
    assert chip_files.export(collection, tmp_path).written == 0


def test_chips_go_to_drive_once(built, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipeline.export import chip_files
    from pipeline.sources.google.drive import Drive

    collection, _ = built
    ids = [chip.decode() for chip in collection.chips.ids[:3]]
    with google(tmp_path, monkeypatch) as server:
        for count in (2, 3, 3):  # the manifest changes with the chips
            chip_files.export(
                collection, tmp_path / "out", chips=ids[:count], drive=Drive("chips", base=0.001)
            )
        stored = {server.drive.files[key]["name"]: d for key, d in server.drive.contents.items()}
    assert len(server.requests("POST /upload")) == len(stored)
    assert len(server.requests("PATCH /upload")) == 2
    assert set(stored) == {path.name for path in (tmp_path / "out").iterdir()}
    assert all((tmp_path / "out" / name).read_bytes() == data for name, data in stored.items())


def test_export_and_list_share_the_command(built, tmp_path: Path) -> None:
    assert len(answer("chips", "files", "--json")) == len(built[0].chips)
    made = answer("chips", "export", "files", "--to", str(tmp_path), "--json")
    assert made["written"] == len(built[0].chips)
    done = run("chips", "export", "files", "--to", str(tmp_path), "--format", "gif")
    assert done.returncode == 2
    assert "one of png, jpeg, geotiff" in done.stderr


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
