"""Censuses over REST: begun, judged, reported, exported."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.collection.library import Library
from pipeline.web import app
from pipeline.web.access import Access, protect
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat
from tests.web import rest


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("censuses")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        objects.collection(folder, Library(folder / "home"))
        yield folder / "home"


@pytest.fixture
def client(home: Path) -> Iterator[TestClient]:
    with TestClient(rest(home)) as client:
        yield client


@pytest.fixture
def begun(client: TestClient, home: Path) -> dict[str, Any]:
    at = list(lonlat(Library(home).open("yard"), PLACES[5]))
    body = {"collection": "yard", "unit": 256, "seed": 3, "title": "Orange squares",
            "recipe": {"at": at, "object_size": WIDTH / 2}}  # fmt: skip
    answer = client.post("/api/censuses", json=body)
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


def asked(client: TestClient, census: str, reviewer: str = "ada", n: int = 4) -> list[dict]:
    answer = client.post(f"/api/censuses/{census}/next", json={"reviewer": reviewer, "n": n})
    assert answer.status_code == 200, answer.text
    return list(answer.json()["units"])


def count(unit: dict[str, Any]) -> int:
    left, top, width, height = unit["pixels"]
    return sum(left <= x < left + width and top <= y < top + height for x, y in PLACES)


def test_a_census_is_judged_to_its_end(client: TestClient, begun: dict[str, Any]) -> None:
    path = f"/api/censuses/{begun['id']}"
    assert (begun["units"], round(begun["unit_m"]), begun["title"]) == (16, 128, "Orange squares")
    assert client.get(f"{path}/report").json()["estimate"] is None
    while units := asked(client, begun["id"]):
        answers = {unit["id"]: count(unit) for unit in units}
        answer = client.post(f"{path}/answers", json={"reviewer": "ada", "answers": answers})
        assert answer.status_code == 200, answer.text
    report = answer.json()
    assert (report["estimate"], report["low"], report["high"]) == (16, 16, 16)
    assert report["exact"]
    assert client.get(path).json()["reviewers"] == ["ada"]
    (listed,) = [each for each in client.get("/api/censuses?collection=yard").json()
                 if each["id"] == begun["id"]]  # fmt: skip
    assert listed["judged"] == 16
    units = client.get(f"{path}/units.geojson").json()["features"]
    assert sum(each["properties"]["count"] for each in units) == 16


def test_the_picture_shows_the_unit_in_its_middle(
    client: TestClient, begun: dict[str, Any]
) -> None:
    unit = next(each for each in asked(client, begun["id"], n=16) if count(each))
    answer = client.get(unit["picture"], params={"size": 512, "around": 0.5})
    picture = np.asarray(Image.open(io.BytesIO(answer.content)))
    assert picture.shape == (512, 512, 3)
    left, top, width, height = unit["pixels"]
    col, row = next(
        (x, y) for x, y in PLACES if left <= x < left + width and top <= y < top + height
    )
    x, y = (0.25 + (col - left) / width / 2, 0.25 + (row - top) / height / 2)
    np.testing.assert_allclose(picture[int(y * 512), int(x * 512)], (250, 120, 10), atol=25)
    assert client.get(f"/api/censuses/{begun['id']}/units/0123456789.jpg").status_code == 404


def test_conflicts_and_bad_answers_say_what_is_wrong(
    client: TestClient, begun: dict[str, Any]
) -> None:
    path = f"/api/censuses/{begun['id']}"
    first, second = asked(client, begun["id"], n=2)

    def send(reviewer: str, answers: dict[str, Any], **more: object) -> Any:
        return client.post(
            f"{path}/answers", json={"reviewer": reviewer, "answers": answers, **more}
        )

    assert send("ada", {first["id"]: -1}).status_code == 400
    assert send("ada", {first["id"]: 0, "0123456789": 1}).status_code == 400
    assert send("ada", {first["id"]: "2"}).status_code == 400
    pair = f'"{first["id"]}": 1, "{first["id"]}": 7'
    twice = '{"reviewer": "ada", "answers": {' + pair + "}}"
    refused = client.post(f"{path}/answers", content=twice)
    assert (refused.status_code, refused.json()["detail"]) == (400, repr(first["id"]))
    assert "printable" in send("a\0da", {first["id"]: 1}).json()["title"]
    assert client.get(f"{path}/answers").json() == []
    clicked = [[first["lon"], first["lat"]]]
    assert send("ada", {first["id"]: clicked}, key="a").status_code == 200
    assert send("ada", {first["id"]: clicked}, key="a").status_code == 200
    conflict = send("bo", {first["id"]: 1})
    assert conflict.status_code == 409
    assert "ada" in conflict.json()["detail"]
    assert client.post(
        f"{path}/skip", json={"reviewer": "ada", "unit": second["id"]}
    ).status_code == 204  # fmt: skip
    undone = client.post(f"{path}/undo", json={"reviewer": "ada"}).json()
    assert undone["answer"] == [[round(value, 7) for value in clicked[0]]]
    assert undone["unit"]["id"] == first["id"]
    (history,) = client.get(f"{path}/answers").json()
    assert (history["holds"], history["count"]) == (False, 1)


def test_what_cannot_be_begun_is_refused(client: TestClient, home: Path) -> None:
    at = list(lonlat(Library(home).open("yard"), PLACES[5]))
    recipe = {"at": at, "object_size": 32}
    far = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]}
    for body, status in (
        ({"collection": "nosuch", "recipe": recipe}, 404),
        ({"collection": "yard"}, 400),
        ({"collection": "yard", "recipe": recipe, "saved": "0123456789ab"}, 400),
        ({"collection": "yard", "recipe": recipe, "within": far}, 400),
        ({"collection": "yard", "recipe": recipe, "date": "1999-01-01"}, 400),
        ({"collection": "yard", "recipe": recipe, "unit": 7}, 400),
        ({"collection": "yard", "detector": "/etc/passwd.json"}, 404),
        ({"collection": "yard", "detector": "nosuch"}, 404),
        ({"collection": "yard", "saved": "0123456789ab"}, 404),
    ):
        answer = client.post("/api/censuses", json=body)
        assert answer.status_code == status, (body, answer.text)
    assert client.get("/api/censuses/0123456789ab").status_code == 404


def test_certificate_and_trash(client: TestClient, begun: dict[str, Any]) -> None:
    path = f"/api/censuses/{begun['id']}"
    units = asked(client, begun["id"])
    answers = {each["id"]: count(each) for each in units}
    client.post(f"{path}/answers", json={"reviewer": "ada", "answers": answers})
    page = client.get(f"{path}/export/certificate.html")
    assert page.headers["content-type"].startswith("text/html")
    assert "Orange squares" in page.text
    issued = json.loads(client.get(f"{path}/export/certificate.json").content)
    assert issued["report"]["judged"] == 4
    assert client.get(f"{path}/export/points.geojson").status_code == 200
    assert client.get(f"{path}/export/certificate.zip").content[:2] == b"PK"
    assert client.patch(path, json={"error": 0.2}).json()["error"] == 0.2
    assert client.post(f"{path}/rounds", json={"detector": "nosuch"}).status_code == 404
    token = client.delete(path).json()["token"]
    gone = client.get(path)
    assert (gone.status_code, gone.json()["title"]) == (404, "This census was deleted")
    assert token in gone.json()["remedy"]
    assert client.post("/api/censuses/restore", json={"token": token}).json()["judged"] == 4


def test_the_signed_in_person_judges_whatever_name_is_sent(
    begun: dict[str, Any], home: Path
) -> None:
    ann = {"is_logged_in": True, "email": "ann@survey.example"}
    access = Access(sign_in=True, session=lambda _: ann)
    routes = protect(app.routes(rest(home)), lambda: access)
    guarded = TestClient(Starlette(routes=routes), base_url="http://localhost:8501")
    (unit,) = asked(guarded, begun["id"], "Mallory", n=1)
    body = {"reviewer": "Mallory", "answers": {unit["id"]: count(unit)}}
    assert guarded.post(f"/api/censuses/{begun['id']}/answers", json=body).status_code == 200
    (given,) = guarded.get(f"/api/censuses/{begun['id']}/answers").json()
    assert given["reviewer"] == "ann@survey.example"


def test_what_is_begun_is_followed_and_cancelled(client: TestClient, home: Path) -> None:
    at = list(lonlat(Library(home).open("yard"), PLACES[5]))
    body = {"collection": "yard", "recipe": {"at": at, "object_size": WIDTH / 2}}
    before = len(client.get("/api/censuses").json())
    client.delete("/api/censuses/progress/cancelled-1")  # a request may overtake another
    answer = client.post("/api/censuses", json={**body, "progress": "cancelled-1"})
    assert answer.status_code == 409
    assert len(client.get("/api/censuses").json()) == before
    answer = client.post("/api/censuses", json={**body, "progress": "followed-1"})
    assert answer.status_code == 201
    assert client.get("/api/censuses/progress/followed-1").json()["stage"] == ""


def test_polygons_of_a_file_are_named(client: TestClient) -> None:
    kml = """<kml xmlns="http://www.opengis.net/kml/2.2"><Document><Placemark><name>North</name>
      <Polygon><outerBoundaryIs><LinearRing><coordinates>0,0 1,0 1,1 0,0</coordinates>
      </LinearRing></outerBoundaryIs></Polygon></Placemark></Document></kml>"""
    answer = client.post("/api/censuses/polygons?name=a.kml", content=kml.encode())
    (feature,) = answer.json()["features"]
    assert (feature["properties"]["name"], feature["geometry"]["type"]) == ("North", "Polygon")
    assert client.post("/api/censuses/polygons?name=a.txt", content=b"words").status_code == 400
