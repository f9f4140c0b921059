"""The OpenAPI document: every route is in it, and what routes answer is what it says."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from fastapi.routing import APIRoute
from jsonschema import Draft202012Validator
from PIL import Image
from starlette.applications import Starlette
from starlette.routing import Match
from starlette.testclient import TestClient

from pipeline.collection.library import Library
from pipeline.index.index import Index
from pipeline.jobs.queue import Jobs
from pipeline.model.embedder import ChipModel
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe
from pipeline.web import (
    app,
    census_judging,
    census_reports,
    censuses,
    checks,
    chip_marks,
    collections,
    detectors,
    exports,
    jobs,
    object_marks,
    object_searches,
    objects,
    saved_searches,
    score_maps,
    search,
    tiles,
)
from tests.factories import pictured, synthetic
from tests.web import BrightnessNetwork, FixedEmbedder, rest

ROUTES = [
    route
    for module in (
        checks,
        collections,
        search,
        chip_marks,
        objects,
        object_marks,
        object_searches,
        detectors,
        saved_searches,
        score_maps,
        exports,
        tiles,
        jobs,
        censuses,
        census_judging,
        census_reports,
    )
    for route in module.router.routes
    if isinstance(route, APIRoute)
]
BAY = "/api/collections/bay"


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    home = tmp_path_factory.mktemp("openapi")
    Index.open(pictured.collection(home))
    synthetic.collection(home, "torn")
    (home / "collections" / "torn" / "collection.json").write_text("{")
    return home


@pytest.fixture(scope="module")
def interface(home):
    open_collections = OpenCollections(Library(home))
    open_collections.model = lambda name: ChipModel(FixedEmbedder(), None)
    open_collections.network = BrightnessNetwork
    return rest(home, open_collections)


@pytest.fixture(scope="module")
def document(interface):
    return interface.openapi()


def operations(document) -> dict[tuple[str, str], dict]:
    return {
        (method.upper(), path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }


def test_the_document_describes_every_route_and_no_other(document):
    existing = {(method, route.path_format) for route in ROUTES for method in route.methods}
    assert set(operations(document)) == existing


def test_every_operation_has_an_id_a_summary_and_a_description(document):
    described = operations(document)
    assert len({operation["operationId"] for operation in described.values()}) == len(described)
    for asked, operation in described.items():
        assert operation["summary"], asked
        assert operation["description"].endswith("."), asked
        assert "422" not in operation["responses"], asked


def test_the_document_names_every_field_of_a_search(document):
    content = document["paths"]["/api/collections/{name}/search"]["post"]["requestBody"]["content"]
    fields = content["application/json"]["schema"]["properties"]
    assert set(fields) == set(Recipe.__dataclass_fields__)
    assert set(content["multipart/form-data"]["schema"]["properties"]) == {*fields, "image"}
    picture = document["paths"]["/api/collections/{name}/chips/{chip}.png"]["get"]["parameters"]
    assert {"size", "around", "v"} < {parameter["name"] for parameter in picture}


def test_the_document_and_its_page_are_served_without_help_from_elsewhere(interface):
    client = TestClient(interface)
    made = client.get("/api/openapi.json").json()
    assert made["openapi"] == "3.1.0"
    refs = re.findall(r'"\$ref": "#/components/schemas/(\w+)"', json.dumps(made))
    assert set(refs) <= set(made["components"]["schemas"])
    page = client.get("/api/docs").text
    assert "<script" not in page
    assert "http" not in re.sub(r"https? addresses", "", page)
    for path in made["paths"]:
        assert path in page
    assert "a multiple of 32 from 32 to 256" in page


class Asking:
    """A client that holds every answer against the document."""

    def __init__(self, interface) -> None:
        self.client, self.document = TestClient(interface), interface.openapi()
        self.asked: set[tuple[str, str]] = set()

    def __call__(self, method: str, path: str, status: int = 200, **options):
        answer = self.client.request(method, path, **options)
        assert answer.status_code == status, answer.text
        scope = {"type": "http", "method": method, "path": answer.request.url.path}
        (route,) = (route for route in ROUTES if route.matches(scope)[0] is Match.FULL)
        self.asked.add((method, route.path_format))
        operation = self.document["paths"][route.path_format][method.lower()]
        responses = operation["responses"]
        content = responses.get(str(status), responses["default"]).get("content", {})
        if not content:
            assert not answer.content
            return answer
        media_type = answer.headers["content-type"].partition(";")[0]
        schema = content[media_type]["schema"]
        if media_type.endswith("json") and schema.get("format") != "binary":
            components = {"components": self.document["components"]}
            Draft202012Validator({**schema, **components}).validate(answer.json())
        return answer


@pytest.fixture
def no_runner(monkeypatch):
    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)


def test_every_route_answers_as_the_document_says(interface, home, no_runner):
    ask = Asking(interface)
    table = Library(home).open("bay").chips
    chips = [chip.decode() for chip in table.ids]
    lon, lat = table.centres[5].tolist()
    box = [lon - 0.004, lat - 0.003, lon + 0.004, lat + 0.003]
    noise = np.random.default_rng(0).integers(0, 255, (300, 300, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture := io.BytesIO(), "PNG")

    listed = ask("GET", "/api/collections").json()
    assert {one["name"] for one in listed} == {"bay", "torn"}
    for path in ("", "/index", "/space.f32", "/footprints.f64", "/preview.png", "/chips.zip"):
        ask("GET", BAY + path)
    ask("GET", f"{BAY}/chip", params={"lon": lon, "lat": lat})
    ask("GET", f"{BAY}/chips/{chips[0]}.png?size=64&around=3")
    ask("GET", f"{BAY}/tiles/{table.scene_ids[0]}/0/0/0.png")
    ask("GET", f"{BAY}/box.png", params={"box": ",".join(map(str, box))})

    starts = [{"chip": chips[0]}, {"at": [lon, lat]}, {"box": box}, {"good": chips[:2]}]
    for start in starts:
        ask("POST", f"{BAY}/search", json={**start, "k": 3})
    ask("POST", f"{BAY}/search?sites=1", json={"chip": chips[0], "bad": [chips[1]], "k": 2})
    uploaded = ask("POST", f"{BAY}/search", files={"image": ("a.png", picture.getvalue())}).json()
    ask("GET", f"{BAY}/pictures/{uploaded['query']['picture']}.png")
    ask("POST", f"{BAY}/scores", json=starts[0])
    ask("POST", f"{BAY}/match", json={**starts[0], "chips": chips[:2]})
    ask("POST", f"{BAY}/eligible", json={"max_nodata": 5})
    ask("POST", f"{BAY}/export", json={**starts[0], "format": "csv"})

    for start in (*starts, {"picture": uploaded["query"]["picture"]}):
        saved = ask("POST", f"{BAY}/searches", 201, json={**start, "k": 4}).json()
        one = f"{BAY}/searches/{saved['id']}"
        ask("GET", one)
    ask("POST", f"{one}/marks", json={"chip": saved["hits"][0]["id"], "mark": "good"})
    ask("PATCH", one, json={"note": "Seen"})
    ask("GET", f"{BAY}/searches")
    ask("GET", "/api/searches")
    ask("POST", f"{one}/check", json={"size": 2})
    drawn = ask("GET", f"{one}/check/next?n=1").json()[0]["id"]
    ask("POST", f"{one}/check/judgements", json={"id": drawn, "mark": "good"})
    for path in ("/check", "/picture.png", "/export", f"/compare?with={saved['id']}"):
        ask("GET", one + path)
    ask("DELETE", f"{one}/check", 204)
    ask("DELETE", one, 204)
    ask("GET", one, 404)

    build = {"name": "more", "scenes": [str(home / "bay.tif")], "stride": 64}
    job = ask("POST", "/api/jobs", 202, json=build).headers["location"]
    ask("POST", f"{job}/cancel")
    ask("POST", f"{job}/resume")
    ask("GET", "/api/jobs")
    ask("GET", job)
    ask("GET", f"{job}/log")
    (home / job.removeprefix("/api/") / "preview.jpg").write_bytes(b"\xff\xd8")
    ask("GET", f"{job}/preview.jpg")
    ask("POST", f"{job}/cancel")
    ask("DELETE", job, 204)

    mark = {"key": "a", "lon": lon, "lat": lat, "label": "good"}
    ask("PUT", f"{BAY}/object-marks/abcd1234", json={"marks": [mark]})
    ask("GET", f"{BAY}/object-marks/abcd1234")
    ask("POST", f"{BAY}/object-marks/abcd1234/labels?file=a.geojson", 400, content=b"{")
    mark = {"key": "a", "chip": chips[0], "label": "good", "author": "Ann"}
    ask("PUT", f"{BAY}/chip-marks/chips001", json={"marks": [mark]})
    ask("GET", f"{BAY}/chip-marks/chips001")
    ask("POST", f"{BAY}/pictures", 201, content=picture.getvalue())
    shown = {"scene": table.scene_ids[0], "col": 40, "row": 40, "side": 20}
    ask("GET", f"{BAY}/objects/picture", params=shown)
    # Of other weights, without saved searches and detectors; tests/web/test_objects.py has some.
    ask("GET", "/api/detectors")
    trained = {"title": "Squares", "collection": "bay", "at": [lon, lat]}
    ask("POST", "/api/detectors", 400, json=trained)
    ask("POST", "/api/detectors/file", 400, content=b"{}")
    ask("GET", "/api/detectors/none", 404)
    ask("GET", "/api/detectors/none/file.json", 404)
    ask("PATCH", "/api/detectors/none", 404, json={"title": "Other"})
    ask("DELETE", "/api/detectors/none", 404)
    ask("POST", "/api/detectors/restore", 404, json={"token": "none.1"})
    ask("POST", f"{BAY}/objects", 409, json={"at": [lon, lat]})
    ask("GET", f"{BAY}/objects/progress/search-0001")
    ask("DELETE", f"{BAY}/objects/progress/search-0001", 204)
    ask("POST", f"{BAY}/objects/ask", 409, json={"at": [lon, lat]})
    ask("POST", f"{BAY}/objects/export", 409, json={"at": [lon, lat]})
    outlines = {"token": "none", "threshold": 0.5, "objects": []}
    ask("POST", f"{BAY}/objects/outlines", json=outlines)
    ask("GET", f"{BAY}/score-map.tif?token=none", 404)
    ask("GET", f"{BAY}/objects/score-map/none/{table.scene_ids[0]}/0/0/0.png", 404)

    kept = f"{BAY}/object-searches"
    ask("GET", kept)
    ask("GET", "/api/object-searches")
    ask("POST", kept, 409, json={"at": [lon, lat]})
    ask("GET", f"{kept}/none", 404)
    ask("PATCH", f"{kept}/none", 404, json={"note": "Seen"})
    ask("DELETE", f"{kept}/none", 404)
    ask("POST", f"{kept}/none/marks", 404, json={"object": "none", "mark": "good"})
    ask("GET", f"{kept}/none/compare?with=none", 404)
    ask("GET", f"{kept}/none/export", 404)

    ask("GET", f"{BAY}/chips/nosuch.png", 404)
    ask("POST", f"{BAY}/changes", 400, json=starts[0])  # of one date; tests/search has two
    ask("GET", "/api/looks/nosuch/0/0/0.png", 404)

    saved = ask("POST", f"{BAY}/searches", 201, json={**starts[0], "k": 4}).json()["id"]
    plan = {"collection": "bay", "saved": saved, "unit": 128, "double": 0.5}
    census = "/api/censuses/" + ask("POST", "/api/censuses", 201, json=plan).json()["id"]
    ask("GET", "/api/censuses/progress/census-0001")
    ask("DELETE", "/api/censuses/progress/census-0001", 204)
    ask("POST", "/api/censuses/polygons?name=a.geojson", 400, content=b"{}")
    units = ask("POST", f"{census}/next", json={"n": 9}).json()["units"]
    answers = {unit["id"]: number % 3 for number, unit in enumerate(units)}
    ask("POST", f"{census}/answers", json={"answers": {**answers, units[0]["id"]: None}})
    ask("POST", f"{census}/undo", json={})
    ask("POST", f"{census}/skip", 204, json={"unit": units[-1]["id"]})
    ask("GET", units[0]["picture"])
    for path in ("", "/report", "/answers", "/units.geojson", "/export/certificate.html"):
        ask("GET", census + path)
    ask("POST", f"{census}/rounds", 201, json={"saved": saved})
    ask("GET", "/api/censuses")
    ask("PATCH", census, json={"title": "Counted"})
    token = ask("DELETE", census).json()["token"]
    ask("POST", "/api/censuses/restore", json={"token": token})
    assert ask.asked == set(operations(ask.document))


MARKS = f"{BAY}/object-marks/marks0001"
MARK = {"key": "a", "lon": 6, "lat": 46.4, "label": "good"}


@pytest.mark.parametrize(
    ("method", "path", "fields", "title"),
    [
        ("GET", f"{BAY}/chip?lon=east&lat=1", None, "lon must be a number"),
        ("GET", f"{BAY}/chip?lon=nan&lat=1", None, "lon must be a number"),
        ("GET", f"{BAY}/chip?lon=1", None, "lat is missing"),
        ("GET", f"{BAY}/chips/x.png?size=65", None, "size must be 64, 128, 256 or 512"),
        ("GET", f"{BAY}/searches/x/export?what=towns", None, "what must be hits or sites"),
        ("POST", f"{BAY}/match", {"chips": "x"}, "chips must be a list of 1 to 16 strings"),
        ("POST", f"{BAY}/changes", {"margin": True}, "margin must be a number from 0 to 2"),
        ("POST", f"{BAY}/searches", {"marks": {"x": "no"}},
         "marks must be an object whose values are good, bad or skip"),
        ("POST", f"{BAY}/searches", {"name": 5}, "name must be a string"),
        ("POST", "/api/jobs", {"stride": 64}, "name is missing"),
        ("POST", "/api/jobs", {"name": "x", "stride": "64"},
         "stride must be a multiple of 32 from 32 to 256"),
        ("POST", "/api/jobs", {"name": "x", "mode": "best"}, "mode must be chip or dense"),
        ("POST", "/api/jobs", {"name": "x", "colour": "red"}, "Unknown field"),
        ("POST", "/api/censuses", {"collection": "bay", "date": "today"},
         "date must be a day, YYYY-MM-DD"),
        ("PUT", MARKS, {"marks": 1}, "marks must be a list of at most 1000 objects"),
        ("PUT", MARKS, {"marks": [1]}, "marks[0] must be an object"),
        ("PUT", MARKS, {"marks": [MARK, {**MARK, "key": 5}]},
         "marks[1].key must be a string of at most 64 characters"),
        ("PUT", MARKS, {"marks": [{**MARK, "lon": True}]}, "marks[0].lon must be a number"),
        ("PUT", MARKS, {"marks": [{"key": "a"}]}, "marks[0].lon is missing"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_refused_in_the_words_of_the_document(
    interface, method, path, fields, title
):
    answer = TestClient(interface).request(method, path, json=fields)
    assert answer.status_code == 400, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["title"] == title
    assert "/api/docs" in answer.json()["remedy"]


def test_under_a_base_path_addresses_carry_it(home):
    inner = rest(home, base_path="/maps")
    client = TestClient(Starlette(routes=app.routes(inner, "/maps")))
    document = client.get("/maps/api/openapi.json").json()
    assert document["servers"] == [{"url": "/maps"}]
    assert [one["name"] for one in client.get("/maps/api/collections").json()] == ["bay", "torn"]
    assert client.get("/api/collections").status_code == 404
    lost = client.get("/maps/api/nothing").json()
    assert lost["detail"] == "/maps/api/nothing"
    assert lost["remedy"].startswith("/maps/api/docs")
    assert client.delete("/maps/api/collections").headers["allow"] == "GET"
    page = client.get("/maps/api", headers={"Accept": "text/html"}).text
    assert 'href="/maps/"' in page


def test_head_is_answered_where_get_is(interface):
    client = TestClient(interface)
    assert client.head(BAY).status_code == 200
    assert client.head(f"{BAY}/search").status_code == 405
