"""Object search over REST: objects, score map, pictures and marks."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import work_through
from pipeline.objects import score_tiles
from pipeline.settings import Settings
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat
from tests.web import rest

YARD = "/api/collections/yard"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("objects")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        objects.collection(folder, Library(folder / "home"))
        yield folder / "home"


@pytest.fixture
def yard(home: Path) -> Collection:
    return Library(home).open("yard")


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(rest(home)) as client:
        yield client


def search(client: TestClient, yard: Collection, **fields: object) -> dict:
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": WIDTH / 2, "k": 16, **fields}
    answer = client.post(f"{YARD}/objects", json=body)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def test_click_answers_objects_with_their_places(client: TestClient, yard: Collection) -> None:
    answer = search(client, yard)
    found = {(round(each["col"], -1), round(each["row"], -1)) for each in answer["objects"]}
    assert len(answer["objects"]) == 16
    assert all(min(max(abs(x - c), abs(y - r)) for c, r in found) <= 20 for x, y in PLACES)
    first = answer["objects"][0]
    assert first["geometry"]["type"] == "Polygon"
    assert (first["probability"], first["mark"], first["collection"]) == (None, "", "yard")
    assert answer["query"]["object_size"] == pytest.approx(32, rel=0.02)
    assert len(answer["query"]["windows"]) == 1
    assert sum(answer["histogram"]) <= 16


def test_filters_that_leave_no_scene_or_window_find_nothing(
    client: TestClient, yard: Collection
) -> None:
    nowhere = {"type": "Polygon", "coordinates": [[[9, 9], [9.1, 9], [9.1, 9.1], [9, 9]]]}
    for filters in ({"since": "2099-01-01"}, {"within": nowhere}):
        answer = search(client, yard, **filters)
        assert (answer["objects"], answer["found"], answer["missing"]) == ([], 0, [])


def test_empty_area_and_unknown_scene_are_not_every_place(
    client: TestClient, yard: Collection
) -> None:
    start = {"at": list(lonlat(yard, PLACES[5]))}
    for filters, status in (({"within": {}}, 400), ({"scenes": ["gone"]}, 404)):
        answer = client.post(f"{YARD}/objects", json={**start, **filters})
        assert answer.status_code == status, answer.text
    assert "gone" in answer.json()["detail"]


def test_collections_are_ranked_together(client: TestClient, yard: Collection, home: Path) -> None:
    objects.collection(home.parent, Library(home), "depot", [(300, 300), (700, 300)])
    found = search(client, yard, also=["depot"], k=18)["objects"]
    names = [each["collection"] for each in found]
    assert (names.count("yard"), names.count("depot")) == (16, 2)
    refused = client.post(f"{YARD}/objects", json={"at": [1, 1], "also": ["nosuch"]})
    assert refused.status_code == 404


def test_score_map_is_bright_on_the_things(client: TestClient, yard: Collection) -> None:
    import morecantile

    grid = morecantile.tms.get("WebMercatorQuad")
    answer = search(client, yard)
    (scene,) = yard.scenes
    lon, lat = lonlat(yard, PLACES[0])
    tile = grid.tile(lon, lat, 17)
    path = f"{YARD}/objects/score-map/{answer['score_map']}/{scene}/17/{tile.x}/{tile.y}.png"
    grey = np.asarray(Image.open(io.BytesIO(client.get(path).content)))
    assert grey.shape == (256, 256)
    bounds = grid.xy_bounds(tile)
    x, y = grid.xy(lon, lat)
    col = int((x - bounds.left) / (bounds.right - bounds.left) * 256)
    row = int((bounds.top - y) / (bounds.top - bounds.bottom) * 256)
    assert grey[row, col] > 200
    assert grey[row, col] > np.median(grey[grey > 0])
    gone = client.get(f"{YARD}/objects/score-map/0000/{scene}/17/{tile.x}/{tile.y}.png")
    assert gone.status_code == 404
    assert "Run the search again" in gone.json()["remedy"]


def test_picture_of_an_object(client: TestClient, yard: Collection) -> None:
    found = search(client, yard)["objects"][0]
    query = {"scene": found["scene_id"], "col": found["col"], "row": found["row"], "side": 40}
    answer = client.get(f"{YARD}/objects/picture", params={**query, "size": 64})
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape == (64, 64, 3)
    np.testing.assert_allclose(picture[32, 32], (250, 120, 10), atol=8)
    assert client.get(f"{YARD}/objects/picture", params={**query, "scene": "x"}).status_code == 404


def test_marks_are_kept_and_count_as_examples(client: TestClient, yard: Collection) -> None:
    marks = [
        {"key": f"m{i}", "lon": lon, "lat": lat, "width_m": 32, "height_m": 32, "label": label}
        for i, (place, label) in enumerate([(PLACES[0], "good"), (PLACES[3], "bad")])
        for lon, lat in [lonlat(yard, place)]
    ]
    first = client.put(f"{YARD}/object-marks/set00001", json={"marks": marks})
    again = client.put(f"{YARD}/object-marks/set00001", json={"marks": marks})
    assert first.json() == again.json()
    assert {key: first.json()[key] for key in ("count", "good", "bad")} == {
        "count": 2,
        "good": 1,
        "bad": 1,
    }
    listed = client.get(f"{YARD}/object-marks/set00001").json()["marks"]
    assert [mark["label"] for mark in listed] == ["good", "bad"]
    body = {"marks": "set00001", "k": 20}
    answer = client.post(f"{YARD}/objects", json=body).json()
    assert len(answer["objects"]) == 20


def test_labels_of_a_file_become_marks_once(client: TestClient, yard: Collection) -> None:
    points = [
        {
            "type": "Feature",
            "properties": {"label": label},
            "geometry": {"type": "Point", "coordinates": list(lonlat(yard, place))},
        }
        for place, label in ((PLACES[0], "good"), (PLACES[3], "good"), ((8, 8), "bad"))
    ]
    content = json.dumps({"type": "FeatureCollection", "features": points})
    address = f"{YARD}/object-marks/labels00/labels"
    for _ in range(2):
        answer = client.post(address, params={"file": "trees.geojson"}, content=content)
        assert answer.status_code == 200, answer.text
        assert (answer.json()["good"], answer.json()["bad"]) == (2, 1)
    found = client.post(
        f"{YARD}/objects", json={"marks": "labels00", "object_size": WIDTH / 2, "k": 16}
    ).json()
    assert {each["mark"] for each in found["objects"]} >= {"good"}
    assert len(found["query"]["windows"]) == 2  # of the good ones


def test_label_without_a_place_is_left_out_with_a_note(
    client: TestClient, yard: Collection
) -> None:
    lon, lat = lonlat(yard, PLACES[0])
    features = [
        {
            "type": "Feature",
            "properties": {"label": "good"},
            "geometry": {"type": "Point", "coordinates": [each, lat]},
        }
        for each in (lon, float("nan"))
    ]
    content = json.dumps({"type": "FeatureCollection", "features": features})
    address = f"{YARD}/object-marks/nowhere0/labels"
    answer = client.post(address, params={"file": "trees.geojson"}, content=content).json()
    assert (answer["good"], len(answer["notes"])) == (1, 1)
    assert answer["notes"][0].startswith("1 of 2 features left out")


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("trees.txt", b"1,2", "The label file is not GeoJSON"),
        ("../trees.geojson", b'{"type": "FeatureCollection", "features": []}', "The label file"),
        ("trees.geojson", b"{", "The label file is damaged"),
    ],
)
def test_label_file_that_cannot_be_used_is_refused_and_leaves_no_marks(
    client: TestClient, yard: Collection, name: str, content: bytes, title: str
) -> None:
    answer = client.post(
        f"{YARD}/object-marks/refused0/labels", params={"file": name}, content=content
    )
    assert answer.status_code == 400
    assert answer.json()["title"].startswith(title)
    assert answer.json()["remedy"]
    assert client.get(f"{YARD}/object-marks/refused0").status_code == 404


def test_picture_is_kept_and_searched_by(client: TestClient, yard: Collection) -> None:
    shown = client.get(
        f"{YARD}/objects/picture",
        params={
            "scene": next(iter(yard.scenes)), "col": PLACES[5][0], "row": PLACES[5][1],
            "side": WIDTH, "size": 160,
        },
    )  # fmt: skip
    kept = client.post(f"{YARD}/pictures", content=shown.content)
    assert kept.status_code == 201, kept.text
    again = client.post(f"{YARD}/pictures", content=shown.content)
    assert again.json() == kept.json()
    fields = {**kept.json(), "object_size": WIDTH / 2, "k": 16}
    found = client.post(f"{YARD}/objects", json=fields)
    assert found.status_code == 200, found.text
    assert len(found.json()["objects"]) == 16
    asked = client.post(f"{YARD}/objects/ask", json={**fields, "n": 4})
    assert asked.status_code == 200, asked.text
    assert len(asked.json()["objects"]) == 4
    refused = client.post(f"{YARD}/pictures", content=b"no picture")
    assert refused.status_code == 400
    assert refused.json()["remedy"]


def test_what_to_judge_next_avoids_what_was_judged(client: TestClient, yard: Collection) -> None:
    lon, lat = lonlat(yard, PLACES[0])
    body = {"examples": [{"at": [lon, lat], "object_size": 32}], "n": 8}
    asked = client.post(f"{YARD}/objects/ask", json=body).json()["objects"]
    assert len(asked) == 8
    best = [each for each in asked if each["score"] > 0.5]
    assert 4 <= len(best) < 8
    x, y = PLACES[0]
    assert all(max(abs(each["col"] - x), abs(each["row"] - y)) > 30 for each in asked)


def test_export_and_score_map_open_in_other_programs(
    client: TestClient, yard: Collection, tmp_path: Path
) -> None:
    import geopandas
    import rasterio

    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": 32, "threshold": 0.5, "outlines": True}
    for format, suffix in (("gpkg", ".gpkg"), ("shapefile", ".shp.zip")):
        file = client.post(f"{YARD}/objects/export", json={**body, "format": format})
        assert file.status_code == 200, file.text
        path = tmp_path / f"objects{suffix}"
        path.write_bytes(file.content)
        frame = geopandas.read_file(path)
        assert len(frame) == len(PLACES)
        assert set(frame.geom_type) <= {"Polygon", "MultiPolygon"}
    token = search(client, yard)["score_map"]
    answer = client.get(f"{YARD}/score-map.tif", params={"token": token, "threshold": 0.6})
    path = tmp_path / "scores.tif"
    path.write_bytes(answer.content)
    with rasterio.open(path) as dataset:
        assert (dataset.dtypes[0], dataset.crs.to_epsg()) == ("float32", 32632)
        assert "the object at" in dataset.tags()["QUERY"]
        assert dataset.tags()["THRESHOLD"] == "0.6"
        scores = dataset.read(1)
        (scene,) = yard.scenes.values()
        x, y = scene.transform[2] + PLACES[0][0] * 0.5, scene.transform[5] - PLACES[0][1] * 0.5
        assert scores[dataset.index(x, y)] > 0.9


def test_marked_objects_are_exported_whatever_the_threshold(
    client: TestClient, yard: Collection
) -> None:
    low, bad, beside = (270, 280), PLACES[3], (PLACES[3][0] + 8, PLACES[3][1])
    given = [(PLACES[0], "good"), (low, "good"), (bad, "bad"), (beside, "good")]
    marks = [
        {"key": f"m{i}", "lon": lon, "lat": lat, "width_m": 32, "height_m": 32, "label": label}
        for i, (place, label) in enumerate(given)
        for lon, lat in [lonlat(yard, place)]
    ]
    client.put(f"{YARD}/object-marks/export01", json={"marks": marks})
    body = {"marks": "export01", "k": 20, "threshold": 0.9999, "format": "geojson"}

    def exported(**fields: object) -> list[tuple[float, float, str]]:
        answer = client.post(f"{YARD}/objects/export", json={**body, **fields})
        assert answer.status_code == 200, answer.text
        (scene,) = yard.scenes.values()
        items = [each["properties"] for each in answer.json()["features"]]
        pixels = [scene.georeference.pixels(p["longitude"], p["latitude"]) for p in items]
        return [(c, r, p["mark"]) for (c, r), p in zip(pixels, items, strict=True)]

    def holds(found: list[tuple[float, float, str]], place: tuple[int, int], mark: str) -> bool:
        x, y = place
        return any(max(abs(c - x), abs(r - y)) <= 32 and m == mark for c, r, m in found)

    found = exported()
    assert all(holds(found, place, "good") for place in (PLACES[0], low, beside))
    assert len(found) == 3
    every = exported(threshold=0)
    assert all(holds(every, place, label) for place, label in given)
    kept = exported(threshold=0, only_marks=["good", "none", "skip"])
    assert not any(mark == "bad" for *_, mark in kept)
    assert len(kept) == len(every) - 1
    assert len(exported(threshold=0, only_marks=["bad"])) == 1
    wrong = client.post(f"{YARD}/objects/export", json={**body, "only_marks": ["fine"]})
    assert wrong.status_code == 400


def test_outlines_at_another_threshold_are_those_of_a_search_that_has_it(
    client: TestClient, yard: Collection
) -> None:
    from shapely.geometry import shape

    answer = search(client, yard)
    wanted = search(client, yard, threshold=0.7, outlines=True)["objects"]
    places = [{key: each[key] for key in ("scene_id", "col", "row")} for each in wanted]
    nowhere = {"scene_id": wanted[0]["scene_id"], "col": 20, "row": 20}
    body = {"token": answer["score_map"], "threshold": 0.7, "objects": [*places, nowhere]}
    *outlines, none = client.post(f"{YARD}/objects/outlines", json=body).json()["outlines"]
    assert none is None
    for outline, found in zip(outlines, wanted, strict=True):
        assert len(outline["coordinates"][0]) > 5
        assert shape(outline).symmetric_difference(shape(found["geometry"])).area < 1e-12
    gone = client.post(f"{YARD}/objects/outlines", json={**body, "token": "0000"})
    assert gone.status_code == 404


def test_detector_is_renamed_removed_and_restored(client: TestClient, yard: Collection) -> None:
    examples = [
        {"at": list(lonlat(yard, place)), "object_size": 32, "label": label}
        for place, label in [(PLACES[0], "good"), (PLACES[5], "good"), ((270, 280), "bad")]
    ]
    body = {"title": "Squares", "collection": "yard", "examples": examples}
    made = client.post("/api/detectors", json=body)
    assert made.status_code == 201, made.text
    one = f"/api/detectors/{made.json()['name']}"
    assert client.patch(one, json={"title": "Boxes"}).json()["title"] == "Boxes"
    card = client.get(one, params={"collection": "yard"}).json()
    assert (card["title"], card["good"], card["warnings"]) == ("Boxes", 2, [])
    assert card["pictures"]
    assert client.get(one, params={"collection": "nosuch"}).status_code == 404
    token = client.delete(one).json()["token"]
    assert client.get(one).status_code == 404
    assert client.post("/api/detectors/restore", json={"token": token}).json()["title"] == "Boxes"
    assert client.post("/api/detectors/restore", json={"token": token}).status_code == 404
    client.delete(one)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"at": [1]},
        {"at": [6.4, 46.4], "unknown": 1},
        {"examples": [{"at": [6.4, 46.4], "box": [0, 0, 1, 1]}]},
        {"examples": [5]},
        {"examples": [{"polygon": {"type": "Polygon", "coordinates": [[[0, 0]]]}}]},
        {"at": [6.4, 46.4], "k": 10**9},
        {"at": [6.4, 46.4], "object_size": 10**400},
        {"box": [3, 3, 2, 2]},
        {"marks": "../../x"},
    ],
)
def test_what_cannot_be_used_is_refused(client: TestClient, body: dict) -> None:
    answer = client.post(f"{YARD}/objects", json=body)
    assert answer.status_code in (400, 404, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_search_that_is_cancelled_ends_even_if_it_arrives_later(
    client: TestClient, yard: Collection
) -> None:
    way = f"{YARD}/objects/progress/search-0001"
    assert client.get(way).json()["stage"] == ""
    assert client.delete(way).status_code == 204
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": 32, "progress": "search-0001"}
    refused = client.post(f"{YARD}/objects", json=body)
    assert refused.status_code == 409
    assert refused.json()["title"] == "The search was cancelled"
    # The id is free again, and a search that is followed answers as any other.
    assert len(client.post(f"{YARD}/objects", json=body).json()["objects"]) >= 16
    assert client.get(way).json()["stage"] == ""


@pytest.mark.parametrize("key", ["short", "x" * 65, "../../etc/passwd"])
def test_unusable_id_of_a_search_is_refused(client: TestClient, key: str) -> None:
    body = {"at": [6.4, 46.4], "object_size": 32, "progress": key}
    answer = client.post(f"{YARD}/objects", json=body)
    assert answer.status_code == 400
    assert answer.json()["title"].startswith("progress must be")


def test_search_in_the_background_is_a_job_that_saves_what_it_found(
    client: TestClient, yard: Collection, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": 32, "k": 16, "background": True}
    queued = client.post(f"{YARD}/objects", json=body)
    assert queued.status_code == 202
    job = queued.json()
    assert (job["state"], job["kind"], job["collection"]) == ("queued", "objects", "yard")
    # A page that is reloaded does not search twice.
    assert client.post(f"{YARD}/objects", json=body).json()["id"] == job["id"]
    work_through(Jobs(home), Settings(home=home, workers=0))
    done = client.get(queued.headers["location"]).json()
    assert (done["state"], done["summary"]["objects"]) == ("done", 16)
    saved = client.get(f"{YARD}/object-searches/{done['summary']['search']}").json()
    assert len(saved["objects"]) == 16
    assert saved["search"]["recipe"]["at"] == [lon, lat]


def test_large_search_becomes_a_job_unless_it_is_not_to(
    client: TestClient, yard: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": 32}
    assert client.post(f"{YARD}/objects", json=body).status_code == 200
    monkeypatch.setattr("pipeline.web.objects.LARGE", 4_000)
    queued = client.post(f"{YARD}/objects", json=body)
    assert queued.status_code == 202
    assert client.post(f"{YARD}/objects", json={**body, "background": False}).status_code == 200
    assert client.post(f"/api/jobs/{queued.json()['id']}/cancel").json()["state"] == "cancelled"


def test_job_keeps_no_more_objects_than_a_saved_search(
    client: TestClient, yard: Collection
) -> None:
    body = {"at": list(lonlat(yard, PLACES[5])), "k": 20_000, "background": True}
    refused = client.post(f"{YARD}/objects", json=body)
    assert refused.status_code == 400
    assert "at most 10,000 objects" in refused.json()["title"]


def test_score_maps_are_made_once_and_leave_memory(
    client: TestClient, yard: Collection, monkeypatch: pytest.MonkeyPatch
) -> None:
    (scene,) = yard.scenes.values()
    first = search(client, yard, object_size=32)["score_map"]
    made = score_tiles.scene_logits(yard, scene.id, first)[1]
    assert score_tiles.scene_logits(yard, scene.id, first)[1] is made
    monkeypatch.setattr(score_tiles, "MOST_BYTES", made.nbytes)
    search(client, yard, object_size=38)
    again = score_tiles.scene_logits(yard, scene.id, first)[1]
    assert again is not made
    np.testing.assert_array_equal(again, made)
