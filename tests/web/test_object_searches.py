"""Object searches are saved, reviewed, compared and exported."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import geopandas
import pytest
from starlette.testclient import TestClient

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.objects.saved import ObjectSearches
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat
from tests.web import rest

KEPT = "/api/collections/yard/object-searches"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("saved")
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


@pytest.fixture
def saved(client: TestClient, yard: Collection) -> Iterator[dict[str, Any]]:
    made = save(client, yard, "Squares")
    yield made
    client.delete(f"{KEPT}/{made['search']['id']}")


def save(client: TestClient, yard: Collection, name: str, **fields: object) -> dict[str, Any]:
    lon, lat = lonlat(yard, PLACES[5])
    body = {"at": [lon, lat], "object_size": WIDTH / 2, "k": 16, "name": name, **fields}
    answer = client.post(KEPT, json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def test_saved_search_reopens_as_it_was(
    client: TestClient, yard: Collection, saved: dict[str, Any]
) -> None:
    assert len(saved["objects"]) == 16
    assert saved["marks"] == {}
    again = client.get(f"{KEPT}/{saved['search']['id']}").json()
    assert again == saved
    (listed,) = client.get(KEPT).json()
    assert listed == saved["search"]
    assert client.get("/api/object-searches").json() == [listed]
    assert listed["best"]["scene_id"] == saved["objects"][0]["scene_id"]
    recipe = {**listed["recipe"], "k": 16}
    repeated = client.post("/api/collections/yard/objects", json=recipe).json()["objects"]
    assert [each["id"] for each in repeated] == [each["id"] for each in saved["objects"]]
    unnamed = save(client, yard, "")
    assert unnamed["search"]["name"].startswith("the object at ")
    assert client.delete(f"{KEPT}/{unnamed['search']['id']}").status_code == 204


def test_marks_and_notes_are_kept_and_estimate_nothing(
    client: TestClient, saved: dict[str, Any]
) -> None:
    one = f"{KEPT}/{saved['search']['id']}"
    first, second = (each["id"] for each in saved["objects"][1:3])
    client.post(f"{one}/marks", json={"object": first, "mark": "good"})
    client.post(f"{one}/marks", json={"object": second, "mark": "bad", "note": "A shadow"})
    review = client.get(one).json()
    assert (review["marks"][first], review["marks"][second]) == ("good", "bad")
    assert review["notes"] == {second: "A shadow"}
    assert review["search"]["reviewed"] >= 2
    last = review["check"]["estimates"][-1]
    assert (last["hits"], last["judged"], last["precision"]) == (16, 0, None)
    undone = client.post(f"{one}/marks", json={"object": second, "mark": "", "note": ""}).json()
    assert second not in {**undone["marks"], **undone["notes"]}
    for wrong in ({"object": "nosuch", "mark": "good"}, {"object": first, "mark": "fine"}):
        assert client.post(f"{one}/marks", json=wrong).status_code == 400


def test_marks_that_a_search_learned_from_do_not_review_it(
    client: TestClient, yard: Collection
) -> None:
    marks = []
    for number, place in enumerate(PLACES[:4]):
        lon, lat = lonlat(yard, place)
        size = {"width_m": WIDTH / 2, "height_m": WIDTH / 2}
        (scene_id,) = yard.scenes
        mark = {"key": str(number), "lon": lon, "lat": lat, "scene_id": scene_id, **size}
        marks.append({**mark, "label": "bad" if number else "good", "author": "Ann"})
    client.put("/api/collections/yard/object-marks/taught00", json={"marks": marks})
    made = save(client, yard, "Taught", marks="taught00")
    one = f"{KEPT}/{made['search']['id']}"
    assert sorted(made["marks"].values())[-1] == "good"
    authors = [each["author"] for each in made["judgements"]]
    assert authors.count("Ann") == 4  # an example of the search has none
    assert {each["id"]: each["mark"] for each in made["judgements"]} == made["marks"]
    assert made["search"]["reviewed"] == 0
    fresh = next(each["id"] for each in made["objects"] if each["id"] not in made["marks"])
    given = {"object": fresh, "mark": "good", "author": "Ben"}
    review = client.post(f"{one}/marks", json=given).json()
    assert review["judgements"][-1]["author"] == "Ben"
    assert client.get(one).json()["search"]["reviewed"] == 1
    assert client.delete(one).status_code == 204


def test_search_is_renamed_and_annotated(client: TestClient, saved: dict[str, Any]) -> None:
    one = f"{KEPT}/{saved['search']['id']}"
    changed = client.patch(one, json={"name": "Boxes", "note": "Checked"}).json()
    assert (changed["name"], changed["note"]) == ("Boxes", "Checked")
    assert client.patch(one, json={"name": " "}).status_code == 400
    assert client.patch(one, json={"name": "x" * 500}).status_code == 400
    assert client.get(one).json()["search"]["name"] == "Boxes"


def test_objects_stay_where_their_collection_is_renamed(
    client: TestClient, home: Path, saved: dict[str, Any]
) -> None:
    one = f"/object-searches/{saved['search']['id']}"
    Library(home).rename("yard", "court")
    try:
        again = client.get(f"/api/collections/court{one}").json()
    finally:
        Library(home).rename("court", "yard")
    assert [each["collection"] for each in again["objects"]] == ["court"] * 16
    assert again["missing"] == []
    assert again["search"]["best"]["collection"] == "court"


def test_two_searches_are_compared_thing_by_thing(
    client: TestClient, yard: Collection, saved: dict[str, Any]
) -> None:
    other = save(client, yard, "Fewer", k=10)
    compare = f"{KEPT}/{saved['search']['id']}/compare"
    answer = client.get(compare, params={"with": other["search"]["id"]}).json()
    assert (len(answer["both"]), len(answer["first"]), len(answer["second"])) == (10, 6, 0)
    assert answer["agreement"] == pytest.approx(10 / 16)
    assert all(a["id"] == b["id"] for a, b in answer["both"])
    client.delete(f"{KEPT}/{other['search']['id']}")
    assert client.get(compare, params={"with": other["search"]["id"]}).status_code == 404


def test_export_holds_the_objects_with_their_marks(
    client: TestClient, saved: dict[str, Any]
) -> None:
    one = f"{KEPT}/{saved['search']['id']}"
    marked = saved["objects"][3]["id"]
    client.post(f"{one}/marks", json={"object": marked, "mark": "bad", "note": "No"})
    file = client.get(f"{one}/export", params={"format": "geojson"})
    frame = geopandas.read_file(io.BytesIO(file.content))
    assert len(frame) == 16
    row = frame[frame["id"] == marked].iloc[0]
    assert (row["mark"], row["note"]) == ("bad", "No")
    some = client.get(f"{one}/export", params={"marks": "bad", "geometry": "point"})
    (feature,) = json.loads(some.content)["features"]
    assert feature["geometry"]["type"] == "Point"
    assert client.get(f"{one}/export", params={"marks": "fine"}).status_code == 400
    assert client.get(f"{one}/export", params={"format": "doc"}).status_code == 400


def test_export_keeps_what_is_marked_good_below_the_minimum_score(
    client: TestClient, saved: dict[str, Any]
) -> None:
    one = f"{KEPT}/{saved['search']['id']}"
    good, bad = (each["id"] for each in saved["objects"][-2:])
    client.post(f"{one}/marks", json={"object": good, "mark": "good"})
    client.post(f"{one}/marks", json={"object": bad, "mark": "bad"})

    def exported(**fields: object) -> list[str]:
        file = client.get(f"{one}/export", params={"format": "geojson", **fields})
        return [each["properties"]["id"] for each in json.loads(file.content)["features"]]

    assert exported(min=2) == [good]
    kept = exported(marks="good,none,skip")
    assert len(kept) == 15
    assert good in kept
    assert bad not in kept


def test_searches_of_a_deleted_collection_are_counted_and_come_back(
    client: TestClient, yard: Collection, saved: dict[str, Any]
) -> None:
    token = Library(yard.path.parents[1]).delete("yard")
    (gone,) = client.get("/api/searches").json()["trashed"]
    assert (gone["name"], gone["searches"]) == ("yard", 1)
    assert client.get("/api/object-searches").json() == []
    Library(yard.path.parents[1]).restore(token)
    assert [each["name"] for each in client.get("/api/object-searches").json()] == ["Squares"]


def test_damaged_file_is_told_and_left_out_of_the_list(
    client: TestClient, yard: Collection, saved: dict[str, Any]
) -> None:
    path = ObjectSearches(yard).folder / f"{saved['search']['id']}.json"
    whole = path.read_text()
    for content, status in (
        (whole[:500], 500),
        (whole.replace('"score"', '"store"'), 500),
        (whole.replace('"schema": 2', '"schema": 3'), 409),
    ):
        path.write_text(content)
        answer = client.get(f"{KEPT}/{saved['search']['id']}")
        assert answer.status_code == status
        assert answer.json()["remedy"]
        assert client.get(KEPT).json() == []
    path.write_text(whole)


def test_object_of_a_scene_that_is_gone_is_named(
    client: TestClient, yard: Collection, saved: dict[str, Any]
) -> None:
    path = ObjectSearches(yard).folder / f"{saved['search']['id']}.json"
    content = json.loads(path.read_text())
    content["objects"][0]["scene_id"] = "gone"
    path.write_text(json.dumps(content))
    again = client.get(f"{KEPT}/{saved['search']['id']}").json()
    assert again["missing"] == [saved["objects"][0]["id"]]
    assert len(again["objects"]) == 15
