"""Object search and detectors in the terminal, as others script against them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import geopandas
import pytest
import rasterio
from shapely.geometry import Point, box, shape

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.saved import ObjectSearches
from pipeline.objects.service import find_objects
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import settings
from tests.cli.test_app import answer, run
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat

SIZE = WIDTH / 2
EMPTY = [(270, 280), (530, 280), (270, 560), (530, 560), (780, 560), (270, 800), (530, 800),
         (780, 280), (60, 60), (980, 60), (60, 980), (980, 980)]  # fmt: skip
DEPOT = [(300, 300), (700, 300)]
KEYS = {"rank", "score", "probability", "lon", "lat", "width_m", "height_m", "geometry",
        "collection", "scene_id", "datetime"}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        patch.setenv("LOOKALIKE_HOME", str(made / "home"))
        settings.cache_clear()
        objects.collection(made, Library(made / "home"))
        objects.collection(made, Library(made / "home"), "depot", DEPOT)
        yield made
    settings.cache_clear()


@pytest.fixture
def yard(folder: Path) -> Collection:
    return Library(folder / "home").open("yard")


def at(collection: Collection, place: tuple[int, int]) -> str:
    lon, lat = lonlat(collection, place)
    return f"--at={lon},{lat}"


def around(collection: Collection, place: tuple[int, int], half: float = WIDTH / 2) -> str:
    west, north = lonlat(collection, (place[0] - half, place[1] - half))
    east, south = lonlat(collection, (place[0] + half, place[1] + half))
    return f"--box={west},{south},{east},{north}"


@pytest.fixture
def labels(tmp_path: Path, yard: Collection) -> Path:
    """Points on twelve things, good, and on twelve places without any, bad; in metres of UTM."""
    places = [*PLACES[:12], *EMPTY]
    kinds = ["good"] * 12 + ["bad"] * 12
    points = [Point(*lonlat(yard, place)) for place in places]
    frame = geopandas.GeoDataFrame({"label": kinds}, geometry=points, crs=4326)
    path = tmp_path / "labels.gpkg"
    frame.to_crs(32633).to_file(path)
    return path


def test_every_thing_is_listed_with_the_documented_keys(yard: Collection) -> None:
    found: Any = answer(
        "objects", "yard", at(yard, PLACES[5]), "--object-size", str(SIZE), "--k", "16", "--json"
    )
    assert [each["rank"] for each in found] == list(range(1, 17))
    assert all(set(each) >= KEYS for each in found)
    assert all(each["probability"] is None for each in found)
    assert shape(found[0]["geometry"]).geom_type == "Polygon"
    again = answer("objects", "find", "yard", around(yard, PLACES[5]), "--k", "16", "--json")
    assert isinstance(again, list)
    assert len(again) == 16


def test_several_points_and_boxes_are_examples_together(yard: Collection) -> None:
    given = [at(yard, PLACES[0]), at(yard, PLACES[1]), around(yard, PLACES[2])]
    arguments = ["objects", "yard", *given, "--object-size", str(SIZE), "--threshold", "0.999"]
    found: Any = answer(*arguments, "--json")
    assert sum(each["mark"] == "good" for each in found) == 3


def test_files_and_score_map_open_in_other_programs(tmp_path: Path, yard: Collection) -> None:
    path, scores = tmp_path / "found.shp.zip", tmp_path / "scores.tif"
    done = run(
        "objects", "yard", "depot", at(yard, PLACES[5]), "--object-size", str(SIZE), "--k", "18",
        "--threshold", "0.5", "--to", str(path), "--score-map", str(scores),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    frame = geopandas.read_file(path)
    assert sorted(set(frame["collection"])) == ["depot", "yard"]
    written = sorted(tmp_path.glob("scores*.tif"))
    assert len(written) == 2
    for file in written:
        with rasterio.open(file) as opened:
            assert opened.dtypes == ("float32",)
            assert opened.crs


def test_targets_are_checked_before_the_search(tmp_path: Path, labels: Path) -> None:
    folder = tmp_path / "taken.gpkg"
    folder.mkdir()
    (tmp_path / "taken.tif").mkdir()
    nowhere = ["objects", "nosuch", "--at=100,0"]  # a search would say that it is not there
    for code, message, *arguments in (
        (6, "Cannot write here", *nowhere, "--to", str(folder)),
        (6, "Cannot write here", *nowhere, "--to", "/proc/x.geojson"),
        (6, "Cannot write here", *nowhere, "--score-map", str(tmp_path / "taken.tif")),
        (2, "A score map is a GeoTIFF", *nowhere, "--score-map", str(tmp_path / "x.png")),
        (2, "Unknown geometry", *nowhere, "--geometry", "circle"),
        (6, "Cannot write here", "detector", "train", "nosuch", "--labels", str(labels),
         "--to", str(folder)),
        (6, "Cannot write here", "detector", "apply", "nosuch", "nosuch", "--to", str(folder)),
        (6, "Cannot write here", "export", "nosuch", "--at=100,0", "--to", str(folder)),
    ):  # fmt: skip
        done = run(*arguments)
        assert (done.returncode, done.stdout) == (code, ""), done.stderr
        assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "labels.gpkg", "taken.gpkg", "taken.tif",
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["FOUND.SHP.ZIP", "FOUND.GPKG", "FOUND.CSV"])
def test_suffix_may_be_in_capitals(tmp_path: Path, yard: Collection, name: str) -> None:
    path = tmp_path / name
    size = ["--object-size", str(SIZE), "--k", "2"]
    done = run("objects", "yard", at(yard, PLACES[5]), *size, "--to", str(path))
    assert done.returncode == 0, done.stderr
    assert [each.name for each in tmp_path.iterdir()] == [name]


def test_saved_object_search_is_listed_and_exported(
    tmp_path: Path, folder: Path, yard: Collection
) -> None:
    opened = OpenCollections(Library(folder / "home"))
    recipe = ObjectRecipe(at=lonlat(yard, PLACES[5]), object_size=SIZE, k=16)
    kept = ObjectSearches(yard)
    saved = kept.save("Squares", find_objects(opened, ["yard"], recipe))
    lowest = saved.objects[-1]
    kept.review(saved.id, lowest.id, mark="good")
    (row,) = answer("searches", "yard", "--json")
    assert {key: row[key] for key in ("id", "name", "kind", "hits", "reviewed")} == {
        "id": saved.id, "name": "Squares", "kind": "object", "hits": 16, "reviewed": 1,
    }  # fmt: skip
    path = tmp_path / "squares.geojson"
    written = run("export", "yard", "--saved", saved.id, "--threshold", "1", "--to", str(path))
    assert written.stdout == f"Wrote 1 objects to {path}\n", written.stderr
    assert list(geopandas.read_file(path)["id"]) == [lowest.id]
    kept.delete(saved.id)


def test_detector_is_trained_applied_and_kept(
    tmp_path: Path, folder: Path, labels: Path, yard: Collection
) -> None:
    asked: Any = answer("objects", "ask", "yard", "--labels", str(labels), "--n", "4", "--json")
    assert len(asked) == 4
    assert all(set(each) >= KEYS for each in asked)
    file = tmp_path / "squares.json"
    train = ["detector", "train", "yard", "--labels", str(labels), "--object-size", str(SIZE)]
    card: Any = answer(*train, "--to", str(file), "--title", "Orange squares", "--json")
    assert (card["title"], card["good"], card["bad"]) == ("Orange squares", 12, 12)
    assert card["calibration"]["accuracy"] == 1
    found: Any = answer(
        "detector", "apply", "depot", str(file), "--min-probability", "0.5", "--json"
    )
    assert len(found) == 2
    assert all(each["probability"] >= 0.5 for each in found)
    out = tmp_path / "found.geojson"
    assert (
        run("detector", "apply", "depot", str(file), "--k", "2", "--to", str(out)).returncode == 0
    )
    assert len(geopandas.read_file(out)) == 2

    kept: Any = answer(*train, "--title", "Squares", "--json")
    assert [each["name"] for each in _listed()] == [kept["name"]] == ["squares"]
    assert "12 good, 12 bad" in run("detector", "info", "squares").stdout
    both: Any = answer("objects", "yard", "depot", "--detector", "squares", "--k", "18", "--json")
    assert {each["collection"] for each in both} == {"yard", "depot"}
    assert run("detector", "rename", "squares", "Boxes").returncode == 0
    assert _listed()[0]["title"] == "Boxes"
    removed = run("detector", "remove", "squares")
    assert _listed() == []
    assert run("detector", "restore", removed.stdout.split()[-1]).stdout == "Restored squares.\n"
    assert _listed()[0]["title"] == "Boxes"
    assert run("detector", "remove", "squares").returncode == 0
    assert _listed() == []


def _listed() -> Any:
    return answer("detector", "list", "--json")


def test_detector_is_trained_further_with_labels_of_the_new_place(
    tmp_path: Path, folder: Path, labels: Path
) -> None:
    file, more = tmp_path / "squares.json", tmp_path / "more.geojson"
    size = ["--object-size", str(SIZE)]
    run("detector", "train", "yard", "--labels", str(labels), *size, "--to", str(file))
    depot = Library(folder / "home").open("depot")
    point = Point(*lonlat(depot, DEPOT[0]))
    geopandas.GeoDataFrame({"label": ["good"]}, geometry=[point], crs=4326).to_file(more)
    topped: Any = answer(
        "detector", "train", "depot", "--labels", str(more), "--further", str(file), *size,
        "--to", str(tmp_path / "topped.json"), "--json",
    )  # fmt: skip
    assert (topped["good"], topped["bad"]) == (13, 12)
    wrong = Point(*lonlat(depot, (500, 500)))
    geopandas.GeoDataFrame({"label": ["bad"]}, geometry=[wrong], crs=4326).to_file(more)
    left = ["--labels", str(more), "--detector", str(file), *size, "--n", "3", "--json"]
    assert len(answer("objects", "ask", "depot", *left)) == 3


def _points(folder: Path, points: list[Point], kinds: list[str] | None = None) -> Path:
    path = folder / "given.geojson"
    columns = {"label": kinds} if kinds else {}
    geopandas.GeoDataFrame(columns, geometry=points, crs=4326).to_file(path)
    return path


def test_labels_of_other_places_are_left_out_with_a_note(tmp_path: Path, yard: Collection) -> None:
    places = [Point(*lonlat(yard, PLACES[0])), Point(100, 0), Point(101, 0)]
    file = _points(tmp_path, places)
    done = run("objects", "yard", "--labels", str(file), "--object-size", str(SIZE), "--json")
    assert done.returncode == 0, done.stderr
    assert "Note: 2 of 3 examples left out: No imagery lies under the example" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (lambda yard: ["yard"], 2, "Nothing says what to look for"),
        (lambda yard: ["yard", "--at="], 2, "--at is empty"),
        (lambda yard: ["yard", "--at=1"], 2, "at must be 2 numbers"),
        (lambda yard: ["yard", "--at=100,0"], 3, "No imagery lies under the example"),
        (lambda yard: ["nosuch", "--at=100,0"], 3, "nosuch"),
        (lambda yard: ["ask"], 2, "Name a collection"),
        (lambda yard: ["yard", around(yard, PLACES[0], 1.5)], 2, "3 pixels wide"),
        (
            lambda yard: ["yard", around(yard, (512, 512), 700)],
            2,
            "pixels wide; object search takes 4 to 1024",
        ),
        (lambda yard: ["yard", "--box=1,2,0,3"], 2, "box is not valid"),
        (lambda yard: ["yard", at(yard, PLACES[0]), "--k", "0"], 2, "k must be"),
        (lambda yard: ["yard", at(yard, PLACES[0]), "--to", "found.doc"], 2, "found.doc"),
        (
            lambda yard: ["yard", at(yard, PLACES[0]), "--min-probability", "0.5"],
            2,
            "probabilities",
        ),
        (lambda yard: ["yard", "--detector", "nosuch"], 3, "no detector of this name"),
        (lambda yard: ["yard", "--detector", "nosuch.json"], 3, "no such file"),
        (lambda yard: ["yard", "--labels", "nosuch.gpkg"], 2, "label file cannot be opened"),
    ],
)
def test_unusable_search_gets_one_message_and_an_exit_code(
    yard: Collection, arguments: Callable[[Collection], list[str]], code: int, message: str
) -> None:
    done = run("objects", *arguments(yard))
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) <= 3


@pytest.mark.parametrize(
    ("edit", "code", "message"),
    [
        (lambda text: text[: len(text) // 2], 4, "not JSON, or cut short"),
        (lambda text: text.replace("Orange", "Purple"), 4, "edited or damaged"),
        (lambda text: text + " " * (11 << 20), 4, "larger than 10 MB"),
        (lambda text: json.dumps({**json.loads(text), "schema": 9}), 4, "newer Lookalike"),
    ],
)
def test_unusable_detector_gets_one_message_and_an_exit_code(
    tmp_path: Path, labels: Path, edit: Callable[[str], str], code: int, message: str
) -> None:
    file = tmp_path / "squares.json"
    size = ["--object-size", str(SIZE)]
    run(
        "detector", "train", "yard", "--labels", str(labels), *size, "--to", str(file),
        "--title", "Orange",
    )  # fmt: skip
    file.write_text(edit(file.read_text()))
    for command in (["detector", "apply", "yard", str(file)], ["detector", "info", str(file)]):
        done = run(*command)
        assert (done.returncode, done.stdout) == (code, "")
        assert message in done.stderr


def test_labels_without_good_or_bad_ones_train_nothing(tmp_path: Path, yard: Collection) -> None:
    points = [Point(*lonlat(yard, place)) for place in PLACES[:2]]
    good = run("detector", "train", "yard", "--labels", str(_points(tmp_path, points)))
    assert (good.returncode, "All marks are good" in good.stderr) == (2, True)
    bad = run("detector", "train", "yard", "--labels", str(_points(tmp_path, points, ["bad"] * 2)))
    assert (bad.returncode, "All labels are bad" in bad.stderr) == (2, True)
    assert _listed() == []


def test_polygons_bring_the_size_of_the_thing(tmp_path: Path, yard: Collection) -> None:
    half = WIDTH / 2
    x, y = PLACES[0]
    west, north = lonlat(yard, (x - half, y - half))
    east, south = lonlat(yard, (x + half, y + half))
    path = tmp_path / "outline.geojson"
    shapes = [box(west, south, east, north)]
    geopandas.GeoDataFrame(geometry=shapes, crs=4326).to_file(path)
    found: Any = answer("objects", "yard", "--labels", str(path), "--k", "1", "--json")
    assert found[0]["width_m"] == pytest.approx(SIZE, rel=0.05)
