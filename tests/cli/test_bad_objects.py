"""What object search is given that it cannot use: one message each, nothing half-written."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import numpy as np
import pytest
from rasterio.transform import from_origin
from starlette.testclient import TestClient

from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection import cell_files
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.errors import NotFoundError
from pipeline.imagery.ingest import SceneInput
from pipeline.objects import detector_file as files
from pipeline.objects import open_cells
from pipeline.objects.detector_training import train_detector
from pipeline.objects.places import Example
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.results import rank
from pipeline.objects.service import find_objects
from pipeline.progress import Progress
from pipeline.search.open_collections import OpenCollections
from tests.cli.test_app import run
from tests.factories import objects
from tests.factories.objects import PLACES, lonlat
from tests.factories.rasters import largest_file, write
from tests.web import rest

SIZE = 32.0
EMPTY = [(270, 280), (530, 280), (270, 560), (530, 560), (780, 560), (270, 800), (530, 800),
         (780, 280), (60, 60), (980, 60), (60, 980), (980, 980)]  # fmt: skip


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a home and a detector that was trained in it."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        yard = objects.collection(folder, Library(folder / "home"))
        marks = [
            Example(*lonlat(yard, place), SIZE, SIZE, good)
            for kind, good in ((PLACES[:12], True), (EMPTY, False))
            for place in kind
        ]
        trained = train_detector(yard, marks, "Squares").detector
        files.write(folder / "squares.json", trained)
    return folder


@pytest.fixture
def yard(made: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Collection:
    objects.use_standin(monkeypatch)
    shutil.copytree(made / "home", home, dirs_exist_ok=True)
    return Library(home).open("yard")


@pytest.fixture
def detector(made: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(made / "squares.json", tmp_path / "squares.json"))


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(rest(home)) as client:
        yield client


def refused(code: int, message: str, *arguments: str) -> None:
    """Check that a command says one thing, on standard error, and exits with its code."""
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3, done.stderr


def opened_anew() -> None:
    """Let the next search open cells as another process would."""
    open_cells._kept.clear()
    cell_files._read.cache_clear()


def click(yard: Collection, place: tuple[int, int] = PLACES[0]) -> list[str]:
    lon, lat = lonlat(yard, place)
    return ["objects", "yard", f"--at={lon},{lat}", "--object-size", str(SIZE), "--json"]


def box(yard: Collection, left: float, top: float, right: float, bottom: float) -> str:
    """The option of a box in pixels of the scene, which may reach beyond it."""
    west, north = lonlat(yard, (left, top))
    east, south = lonlat(yard, (right, bottom))
    return f"--box={west},{south},{east},{north}"


def beside(home: Path, tmp_path: Path, name: str = "yard", nodata: float | None = None) -> None:
    """Add the scene that follows to the east; with `nodata`, its right half has none."""
    pixels = objects.pixels()
    if nodata is not None:
        pixels[:, :, 512:] = nodata
    path = write(
        tmp_path / "east.tif", pixels, transform=from_origin(300512, 5150000, 0.5, 0.5),
        nodata=nodata,
    )  # fmt: skip
    build(BuildRequest(name, scenes=(SceneInput(path),), stride=256), Library(home))


def test_box_over_two_scenes_is_seen_in_one_and_both_are_searched(
    yard: Collection, home: Path, tmp_path: Path
) -> None:
    beside(home, tmp_path)
    done = run("objects", "yard", box(yard, 980, 868, 1044, 932), "--k", "32", "--json")
    assert done.returncode == 0, done.stderr
    assert len({each["scene_id"] for each in json.loads(done.stdout)}) == 2


def test_box_outside_or_over_nothing_is_told(yard: Collection, home: Path, tmp_path: Path) -> None:
    away = box(yard, 3000, 3000, 3064, 3064)
    refused(3, "No imagery lies under the example", "objects", "yard", away)
    beside(home, tmp_path, nodata=0)
    empty = box(yard, 1024 + 700, 300, 1024 + 764, 364)
    refused(2, "no data where the example is", "objects", "yard", empty)


@pytest.mark.parametrize(
    ("content", "code", "message"),
    [
        ({"geometry": None}, 2, "no geometry"),
        ({"label": "bad"}, 2, "All labels are bad"),
        ({"at": [512000, 5150000]}, 2, "not degrees"),
        ({"at": [100, 0]}, 3, "No imagery lies under the example"),
    ],
)
def test_label_file_that_says_nothing_is_told(
    yard: Collection, tmp_path: Path, content: dict[str, Any], code: int, message: str
) -> None:
    point = {"type": "Point", "coordinates": content.get("at", lonlat(yard, PLACES[0]))}
    feature = {
        "type": "Feature",
        "geometry": content.get("geometry", point),
        "properties": {"label": content.get("label", "good")},
    }
    path = tmp_path / "labels.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    refused(code, message, "objects", "yard", "--labels", str(path), "--object-size", str(SIZE))
    to = tmp_path / "made.json"
    train = ["detector", "train", "yard", "--labels", str(path), "--to", str(to)]
    done = run(*train)
    assert done.returncode != 0
    assert not to.exists()


def test_hundred_thousand_labels_are_thinned_and_answered(yard: Collection, tmp_path: Path) -> None:
    places = [lonlat(yard, place) for place in PLACES]
    lon, lat = np.array(places * (100_000 // len(places))).T
    path = tmp_path / "labels.fgb"
    geopandas.GeoDataFrame(geometry=geopandas.points_from_xy(lon, lat), crs=4326).to_file(path)
    size = ["--object-size", str(SIZE)]
    done = run("objects", "yard", "--labels", str(path), *size, "--k", "16", "--json")
    assert done.returncode == 0, done.stderr
    assert "Of 100,000 examples 1,000 are used" in done.stderr
    assert len(json.loads(done.stdout)) >= 16


def forged(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """Edit a detector, with the checksum that a forger would write."""
    values = json.loads(path.read_text())
    change(values)
    values.pop("sha256")
    path.write_text(json.dumps({**values, "sha256": files._checksum(values)}))


@pytest.mark.parametrize(
    ("edit", "code", "status", "message"),
    [
        (lambda path: os.truncate(path, 400), 4, 400, "cut short"),
        (lambda path: os.truncate(path, 200 << 20), 4, 400, "10 MB"),
        (lambda path: path.write_text(path.read_text().replace("Squares", "Tanks")), 4, 400,
         "edited or damaged"),
        (lambda path: forged(path, lambda v: v["model"]["weights"].__setitem__(0, np.nan)), 4, 400,
         "not JSON"),
        (lambda path: forged(path, lambda v: v.__setitem__("title", "\ud800")), 4, 400, "damaged"),
        (lambda path: forged(path, lambda v: v.__setitem__("bad", 10**30)), 4, 400, "damaged"),
        (lambda path: forged(path, lambda v: v["cells"].__setitem__("basis", "9-aaaaaaaa")), 4,
         201, "another basis"),
        (lambda path: forged(path, lambda v: v["origin"].__setitem__("gsd", 10.0)), 2, 201,
         "0.5 m a pixel; the detector was trained at 10 m"),
    ],
)  # fmt: skip
def test_detector_that_cannot_be_applied_is_told(
    yard: Collection,
    detector: Path,
    client: TestClient,
    tmp_path: Path,
    edit: Callable[[Path], object],
    code: int,
    status: int,
    message: str,
) -> None:
    edit(detector)
    to = tmp_path / "found.gpkg"
    refused(code, message, "detector", "apply", "yard", str(detector), "--to", str(to))
    assert not list(tmp_path.glob("found*"))
    with detector.open("rb") as file:
        content = file.read(files.MAX_BYTES + 1)
    answer = client.post("/api/detectors/file", content=content)
    if status == 201:  # kept, for other collections, and refused here
        name = answer.json()["name"]
        answer = client.post("/api/collections/yard/objects", json={"detector": name})
    problem = answer.json()
    assert answer.headers["content-type"] == "application/problem+json", problem
    assert message in f"{problem['title']} {problem['detail']}"
    assert problem["remedy"]


def cell_file(yard: Collection) -> Path:
    (scene,) = yard.scenes.values()
    (path, *_) = cell_files.files_of(yard.path, scene.id, 1.0)
    return path


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def of_newer_version(path: Path) -> None:
    old, new = (b'"SCHEMA" domain="LOOKALIKE">%d<' % version for version in (1, 9))
    content = path.read_bytes()
    assert old in content
    path.write_bytes(content.replace(old, new))


@pytest.mark.parametrize(
    ("harm", "code", "status", "message"),
    [
        (Path.unlink, 3, 404, "no object cells yet"),
        (cut, 4, 500, "object cells is damaged"),
        (of_newer_version, 4, 409, "newer Lookalike"),
    ],
)
def test_cells_that_are_missing_damaged_or_newer_are_told(
    yard: Collection,
    client: TestClient,
    detector: Path,
    harm: Callable[[Path], object],
    code: int,
    status: int,
    message: str,
) -> None:
    path = cell_file(yard)
    for derived in path.parent.glob("*.npy"):
        derived.unlink()
    open_cells._kept.clear()
    harm(path)
    refused(code, message, *click(yard))
    refused(code, message, "detector", "apply", "yard", str(detector))
    lon, lat = lonlat(yard, PLACES[0])
    answer = client.post("/api/collections/yard/objects", json={"at": [lon, lat]})
    assert (answer.status_code, message in answer.text) == (status, True), answer.text


def test_disk_that_fills_while_cells_are_written_leaves_none_by_halves(
    yard: Collection, home: Path
) -> None:
    before = run(*click(yard)).stdout
    library = Library(home)
    library.drop("yard", "cells")
    with largest_file(100_000):
        full = run("build", "yard")
    assert full.returncode == 6
    assert "disk is full" in full.stderr
    assert not [path for path in (yard.path / "cells").rglob("*") if path.is_file()]
    refused(3, "no object cells yet", *click(yard))
    assert run("build", "yard").returncode == 0
    assert run(*click(yard)).stdout == before


@pytest.mark.parametrize("large", [False, True])
def test_scene_that_is_lost_during_a_scan_is_left_out_and_named(
    yard: Collection,
    home: Path,
    tmp_path: Path,
    detector: Path,
    monkeypatch: pytest.MonkeyPatch,
    large: bool,
) -> None:
    beside(home, tmp_path)
    both = Library(home).open("yard")
    (lost,) = set(both.scenes) - set(yard.scenes)
    if large:
        monkeypatch.setattr("pipeline.objects.shortlist.WHOLE_UP_TO", 0)

    def lose(*scenes: str) -> Callable[[Progress], None]:
        def remove(step: Progress) -> None:
            for scene in scenes:
                for path in cell_files.folder_of(both.path, scene, 1.0).glob("block-*"):
                    path.unlink()

        return remove

    ranking = files.read(detector).ranking
    rank([both], ranking, k=16)
    opened_anew()
    result = rank([both], ranking, k=16, progress=lose(lost))
    assert {found.scene_id for found in result.objects} == set(yard.scenes)
    assert [scene.id for scene in result.missing] == [lost]
    opened_anew()
    with pytest.raises(NotFoundError):
        rank([both], ranking, k=16, progress=lose(*both.scenes))


def test_collection_that_grows_during_a_search_is_searched_as_it_was(
    yard: Collection, home: Path, tmp_path: Path, detector: Path
) -> None:
    grown: list[bool] = []

    def grow(step: Progress) -> None:
        if step.stage == "Scanning" and not grown:
            grown.append(True)
            beside(home, tmp_path)

    recipe = ObjectRecipe(k=40)
    opened, given = OpenCollections(Library(home)), files.read(detector)
    first = find_objects(opened, ["yard"], recipe, detector=given, progress=grow)
    assert {found.scene_id for found in first.result.objects} == set(yard.scenes)
    again = find_objects(opened, ["yard"], recipe, detector=given)
    assert len({found.scene_id for found in again.result.objects}) == 2
