"""Appeared, disappeared, persists: two dates of the same ground with known differences."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.parquet import write_part
from pipeline.errors import NotFoundError, QueryError
from pipeline.files import write_json
from pipeline.index.graph import Graph
from pipeline.index.index import Index
from pipeline.search.changes import between, compare, days
from pipeline.search.queries import Query, by_chip
from pipeline.search.ranking import rank
from tests.cli.test_app import run
from tests.factories import synthetic

SIDE = 6  # chips a side
DAYS = ("2009-08-18", "2020-08-31")
DATES = ("2009-08-18T00:00:00Z", "2020-08-31T00:00:00Z")
#: Chips, counted row by row, that show the thing on the first and on the second date.
FIRST, SECOND = {3, 10, 21}, {3, 21, 30, 33}


@pytest.fixture
def series(home: Path) -> Collection:
    """Two scenes; a chip is ground, plus the light of its date, plus the thing where it is."""
    rng = np.random.default_rng(7)
    ground = rng.normal(size=(SIDE * SIDE, 2048))
    thing = rng.normal(size=2048) * 2
    ids = ("old-00000001", "new-00000002")
    library = Library(home)
    collection = library.create(Manifest("wetlands", "Wetlands", 256, synthetic.MODEL, scenes=ids))
    collection.scenes_folder.mkdir(exist_ok=True)
    for scene_id, moment, where, light in zip(
        ids, DATES, (FIRST, SECOND), (3.0, -3.0), strict=True
    ):
        scene = synthetic.scene(scene_id, SIDE * 256, SIDE * 256, datetime=moment)
        write_json(collection.scenes_folder / f"{scene_id}.json", scene.to_item())
        chips = synthetic.chips_of(scene, 256)
        vectors = ground + rng.normal(size=ground.shape) * 0.3 + light
        vectors[sorted(where)] += thing
        path = collection.path / "chips" / scene_id / "block-r0000-c0000-all.parquet"
        write_part(path, scene, chips, vectors.astype(np.float32), synthetic.MODEL, stride=256)
    return collection.write(complete=True, chips=2 * SIDE * SIDE)


def places(changes) -> set[int]:
    """Which chips of the grid these are."""
    return {one.shown.row % (SIDE * SIDE) for one in changes}


def chip_of(series: Collection, number: int) -> Query:
    return by_chip(series, Index.open(series), series.chips.ids[number].decode())


def compared(series: Collection, query: Query, before: str, after: str, **options):
    ranking = rank(Graph.open(series), series.chips, query)
    return compare(series, ranking, query, before, after, **options)


def look_for(series: Collection, number: int, **options):
    return compared(series, chip_of(series, number), "2009", "2020", **options)


def test_the_dates_of_a_collection_are_listed(series: Collection) -> None:
    assert [(day.day, day.chips) for day in days(series)] == [
        ("2009-08-18", 36),
        ("2020-08-31", 36),
    ]
    assert between(series) == ("2009-08-18", "2020-08-31")


def test_what_appeared_disappeared_and_persists_is_found(series: Collection) -> None:
    found = look_for(series, 3, threshold=0.4)
    assert places(found.appeared) == SECOND - FIRST
    assert places(found.disappeared) == FIRST - SECOND
    assert places(found.persists) == FIRST & SECOND
    assert (found.matched, found.unmatched) == (36, 0)
    one = found.disappeared[0]
    assert one.before.datetime == DATES[0]
    assert one.after.datetime == DATES[1]
    assert one.difference < -0.3


def test_a_query_of_the_later_date_finds_the_same(series: Collection) -> None:
    found = look_for(series, SIDE * SIDE + 30, threshold=0.4)
    assert places(found.appeared) == SECOND - FIRST
    assert places(found.persists) == FIRST & SECOND


def test_the_light_of_a_date_is_no_change(series: Collection) -> None:
    """Only the median tells that every chip of 2020 is unlike every chip of 2009."""
    found = look_for(series, 5, threshold=0.2)
    assert places(found.persists) == {5}
    assert found.appeared == found.disappeared == ()


def test_the_default_threshold_leaves_the_best_twentieth(series: Collection) -> None:
    found = look_for(series, 3)
    shown = len(found.appeared) + len(found.disappeared) + 2 * len(found.persists)
    assert 3 <= shown <= 5


def test_k_limits_each_kind(series: Collection) -> None:
    found = look_for(series, 3, threshold=-1.0, k=4)
    assert len(found.persists) == 4
    assert [one.rank for one in found.persists] == [1, 2, 3, 4]


def test_ground_seen_on_one_date_only_is_counted_and_left_out(home: Path) -> None:
    collection = synthetic.collection(home, sizes=(1024, 512), datetimes=DATES)
    found = look_for(collection, 0, threshold=-1.0)
    assert found.matched == 4
    assert found.unmatched == 12


def test_changes_open_in_a_gis(series: Collection) -> None:
    content = look_for(series, 3, threshold=0.4).to_geojson()
    assert {f["properties"]["kind"] for f in content["features"]} == {
        "appeared", "disappeared", "persists",
    }  # fmt: skip


def test_dates_that_cannot_be_compared_are_refused(series: Collection, home: Path) -> None:
    query = chip_of(series, 0)
    with pytest.raises(QueryError, match=r"Its dates are 2009-08-18, 2020-08-31"):
        compared(series, query, "2009", "2015")
    with pytest.raises(QueryError, match="the same"):
        compared(series, query, "2009", "2009")
    single = synthetic.collection(home, "single")
    with pytest.raises(QueryError, match="fewer than two dates"):
        between(single)


def test_the_command_line_shows_all_three(series: Collection) -> None:
    without_start = run("changes", "wetlands")
    assert without_start.returncode == QueryError.exit_code
    assert "Say what to look for" in without_start.stderr
    no_chip = run("changes", "wetlands", "--chip", "0" * 16, "--k", "5")
    assert no_chip.returncode == NotFoundError.exit_code


def test_changes_over_rest_name_their_query_and_refuse_in_words(
    series: Collection, home: Path
) -> None:
    from starlette.testclient import TestClient

    from tests.web import rest

    client = TestClient(rest(home))
    url, chip = "/api/collections/wetlands/changes", series.chips.ids[3].decode()
    found = client.post(url, json={"chip": chip, "threshold": 0.5}).json()
    expected = look_for(series, 3, threshold=0.5, k=10).to_dict()
    assert found["query"]["chip"] == chip
    assert [one["after"]["id"] for one in found["appeared"]] == [
        one["after"]["id"] for one in expected["appeared"]
    ]
    assert (found["before"], found["after"]) == ("2009-08-18", "2020-08-31")
    features = client.post(f"{url}?geojson=1", json={"chip": chip}).json()["features"]
    assert {one["properties"]["kind"] for one in features} <= {
        "appeared", "disappeared", "persists",
    }  # fmt: skip
    for wrong in (
        {"chip": chip, "before": "2009", "after": "2009"},
        {"chip": chip, "before": "1999"},
        {"chip": chip, "k": 0},
        {"chip": chip, "margin": "much"},
        {"chip": chip, "since": "2010-01-01"},
        {},
    ):
        refused = client.post(url, json=wrong)
        assert refused.status_code == 400, wrong
        assert refused.json()["title"]


def test_the_terminal_tells_what_changed_as_a_table_json_and_geojson(series) -> None:
    thing = series.chips.ids[10].decode()
    expected = compared(series, chip_of(series, 10), *DAYS)

    def say(*arguments: str) -> str:
        done = run("changes", series.name, *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    table = say("--chip", thing)
    assert f"2009-08-18 → 2020-08-31: {SIDE * SIDE} places compared" in table
    assert table.count("appeared") >= len(expected.appeared) > 0
    assert json.loads(say("--chip", thing, "--json"))["appeared"]
    found = json.loads(say("--chip", thing, "--geojson"))
    assert found["type"] == "FeatureCollection"
    lon, lat = expected.disappeared[0].shown.centre
    at = json.loads(say(f"--at={lon},{lat}", "--json"))
    assert set(at) == set(json.loads(say("--chip", thing, "--json")))
    nothing = run("changes", series.name)
    assert nothing.returncode == QueryError.exit_code
    assert "Give one of --chip, --at" in nothing.stderr
