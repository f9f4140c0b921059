"""A census from its start to its certificate: handing out, answers, refusals, changes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from shapely.geometry import box

from pipeline.census import censuses, certificate, review
from pipeline.census import design as designs
from pipeline.census.censuses import Censuses, Kept
from pipeline.census.judgements import Conflict
from pipeline.census.report import report, report_of
from pipeline.census.start import Plan, Sought, add_round, start
from pipeline.collection.library import Library
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, QueryError
from pipeline.geo.area import Area
from pipeline.objects.places import Example
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Searches
from pipeline.search.search import Result
from tests.factories import objects
from tests.factories.objects import PLACES, WIDTH, lonlat

SIDE = 128


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("census")
    with pytest.MonkeyPatch.context() as patch:
        objects.use_standin(patch)
        objects.collection(folder, Library(folder / "home"))
        yield folder / "home"


@pytest.fixture
def home(built: Path, tmp_path: Path) -> Path:
    """A copy, which a test may rename or delete."""
    return Path(shutil.copytree(built, tmp_path / "home"))


@pytest.fixture
def opened(home: Path) -> OpenCollections:
    return OpenCollections(Library(home))


@pytest.fixture
def kept(opened: OpenCollections) -> Kept:
    return begun(opened)


def sought(opened: OpenCollections, place: tuple[int, int] = PLACES[5]) -> Sought:
    lon, lat = lonlat(opened.collection("yard"), place)
    return Sought(labels=(Example(lon, lat, WIDTH / 2, WIDTH / 2),))


def begun(opened: OpenCollections, **options: Any) -> Kept:
    return start(opened, Plan("yard", sought(opened), unit=SIDE, seed=4, **options))


def truth(kept: Kept, unit: str) -> list[list[float]]:
    """Places of the things in a unit."""
    (shown,) = kept.collection.scenes.values()
    square = kept.census.units[kept.census.rows[unit]]
    cols, rows = np.array(PLACES, float).T
    inside = square.holds(cols, rows)
    lons, lats = shown.georeference.lonlat(cols[inside], rows[inside])
    return np.column_stack([lons, lats]).tolist()


def judge(kept: Kept, number: int, reviewer: str = "ada") -> list[str]:
    units = [unit.id for unit in review.hand_out(kept, number, reviewer).units]
    review.answer(kept, {unit: truth(kept, unit) for unit in units}, reviewer)
    return units


def test_every_unit_judged_gives_the_exact_count(kept: Kept) -> None:
    assert len(kept.census.units) == 64
    judge(kept, 1_000)
    values = report(kept).to_dict()
    assert (values["estimate"], values["low"], values["high"]) == (16, 16, 16)
    assert (values["judged"], values["units"], values["exact"]) == (64, 64, True)
    assert values["text"] == "16, exactly"
    assert values["recall"] == 1.0
    assert values["stop"]["reached"]
    assert review.hand_out(kept, 5, "ada").units == ()


def test_clicks_beyond_180_degrees_are_matched_with_the_list(kept: Kept) -> None:
    judge(kept, 1_000)
    state = kept.judgements.state()
    told = report_of(kept.census, state).to_dict()["recall"]
    for unit, given in state.answers.items():
        points = tuple((lon + 360, lat) for lon, lat in given[0].points or ())
        state.answers[unit] = [replace(given[0], points=points)]
    assert report_of(kept.census, state).to_dict()["recall"] == told == 1.0


def test_answers_given_together_share_the_time_that_they_took(kept: Kept) -> None:
    judge(kept, 12)
    state = kept.judgements.state()
    times = ["2026-01-01T10:00:00Z"] * 2 + ["2026-01-01T10:01:40Z"] * 10
    state.order[:] = [replace(one, time=at) for one, at in zip(state.order, times, strict=True)]
    told = report_of(kept.census, state)
    assert told.left
    assert told.seconds_left == pytest.approx(told.left * 10)


def test_the_order_is_of_the_seed_and_what_scores_see_comes_early(opened: OpenCollections) -> None:
    first, second = begun(opened), begun(opened)
    order = [unit.id for unit in review.hand_out(first, 64, "ada").units]
    assert order == [unit.id for unit in review.hand_out(second, 64, "bo").units]
    early = sum(len(truth(first, unit)) for unit in order[:24])
    assert early > 6  # what chance gives


def test_asking_again_hands_out_the_same_units_and_another_reviewer_gets_others(kept: Kept) -> None:
    mine = [unit.id for unit in review.hand_out(kept, 5, "ada").units]
    assert mine == [unit.id for unit in review.hand_out(kept, 5, "ada").units]
    yours = [unit.id for unit in review.hand_out(kept, 5, "bo").units]
    assert not set(mine) & set(yours)


def test_a_unit_that_is_put_off_comes_last_and_an_answer_is_taken_back(kept: Kept) -> None:
    first, *others = [unit.id for unit in review.hand_out(kept, 4, "ada").units]
    review.skip(kept, first, "ada")
    assert [unit.id for unit in review.hand_out(kept, 4, "ada").units] == [*others, first]
    review.answer(kept, {others[0]: 7}, "ada")
    assert review.undo(kept, "ada").count == 7
    assert others[0] in [unit.id for unit in review.hand_out(kept, 4, "ada").units]
    review.answer(kept, {others[0]: 2}, "ada")
    assert [each.count for each in kept.judgements.history()] == [7, 2]


@pytest.mark.parametrize(
    "value", [-1, 1.5, True, "2", float("nan"), 10**9, [[0, 0]], [[1]], {"a": 1}, [["x", 1]]]
)
def test_what_is_no_count_is_refused_and_nothing_is_kept(kept: Kept, value: object) -> None:
    good, bad = [unit.id for unit in review.hand_out(kept, 2, "ada").units]
    with pytest.raises(QueryError):
        review.answer(kept, {good: 0, bad: value}, "ada")
    assert report(kept).judged == 0


def test_units_never_asked_and_answered_twice_are_refused(kept: Kept) -> None:
    asked = [unit.id for unit in review.hand_out(kept, 3, "ada").units]
    never = next(unit.id for unit in kept.census.units if unit.id not in asked)
    with pytest.raises(QueryError, match="never asked"):
        review.answer(kept, {never: 1}, "ada")
    with pytest.raises(QueryError, match="no such unit"):
        review.answer(kept, {"0123456789": 1}, "ada")
    review.answer(kept, {asked[0]: 1}, "ada", key="k1")
    assert review.answer(kept, {asked[0]: 1}, "ada", key="k1") == 1  # sent again
    with pytest.raises(Conflict, match="You answered"):
        review.answer(kept, {asked[0]: 1}, "ada")
    with pytest.raises(Conflict, match="ada answered this unit"):
        review.answer(kept, {asked[0]: 2}, "bo")
    assert len(kept.judgements.history()) == 1


def test_a_second_reviewer_judges_blind_and_kappa_tells(opened: OpenCollections) -> None:
    kept = begun(opened, double=1.0)
    units = judge(kept, 12, "ada")
    again = [unit.id for unit in review.hand_out(kept, 12, "bo").units]
    assert again == units
    answers: dict[str, Any] = {unit: truth(kept, unit) for unit in units}
    answers[units[0]] = len(answers[units[0]]) + 3
    review.answer(kept, answers, "bo")
    found = report(kept)
    assert found.agreement is not None
    assert found.agreement.double == 12
    assert found.agreement.same == pytest.approx(11 / 12)
    assert 0 < (found.agreement.kappa or 0) < 1
    with pytest.raises(Conflict):
        review.answer(kept, {units[0]: 1}, "cleo")


def test_a_collection_that_changes_is_told_and_changes_no_number(
    kept: Kept, home: Path, tmp_path: Path
) -> None:
    judge(kept, 20)
    before = report(kept).to_dict()
    library = Library(home)
    library.rename("yard", "orchard")
    renamed = Censuses(library).open(kept.census.id)
    assert "orchard" in report(renamed).changed
    token = library.delete("orchard")
    with pytest.raises(NotFoundError, match="deleted") as refused:
        Censuses(library).open(kept.census.id)
    assert token in refused.value.remedy
    library.restore(token)
    again = Censuses(library).open(kept.census.id)
    again.collection.write(scenes=(), name="orchard")
    lost = Censuses(Library(home)).open(kept.census.id)
    assert "lost" in report(lost).changed
    with pytest.raises(NotFoundError, match="lost the scene"):
        review.hand_out(lost, 5, "bo")
    after = report(lost).to_dict()
    assert {**after, "changed": "", "seconds_left": 0} == {**before, "seconds_left": 0}


def test_a_later_version_with_other_weights_changes_no_census(
    kept: Kept, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judge(kept, 12)
    before = report(kept).to_dict()
    monkeypatch.setattr(designs, "SHARPNESS", 1.0)
    censuses._cache.clear()
    again = Censuses(Library(home)).open(kept.census.id)
    assert (again.census.designs[0].order == kept.census.designs[0].order).all()
    assert report(again).to_dict() == before


def test_a_round_with_other_scores_goes_on(kept: Kept, opened: OpenCollections) -> None:
    first = judge(kept, 10)
    grown = add_round(opened, kept.census.id, sought(opened, PLACES[0]))
    assert [each.number for each in grown.census.rounds] == [1, 2]
    second = judge(grown, 10)
    assert not set(first) & set(second)
    values = report(grown).to_dict()
    assert [each["drawn"] for each in values["rounds"]] == [10, 10]
    assert values["low"] <= 16 <= values["high"]


def test_the_certificate_computes_the_same_numbers_and_shows_an_alteration(
    kept: Kept, tmp_path: Path
) -> None:
    judge(kept, 15)
    review.answer(kept, {review.hand_out(kept, 1, "ada").units[0].id: None}, "ada")
    path = certificate.export(kept, tmp_path / "census.json")
    expected = report(kept).to_dict()
    assert certificate.report_of_file(path).to_dict() == expected
    content = json.loads(path.read_text())
    assert {line["reviewer"] for line in content["journal"]} == {"ada"}
    line = next(line for line in content["journal"] if line["event"] == "answered")
    line["count"] = 9
    path.write_text(json.dumps(content))
    with pytest.raises(DamagedError, match="altered"):
        certificate.report_of_file(path)
    page = certificate.export(kept, tmp_path / "census.html").read_text()
    assert "http://" not in page
    assert "<script" not in page
    assert "cannot tell" in page
    assert "ada" in page
    points = json.loads(certificate.export(kept, tmp_path / "census.geojson").read_text())
    assert len(points["features"]) == round(expected["things_seen"])
    with pytest.raises(QueryError, match="exported as"):
        certificate.export(kept, tmp_path / "census.xyz")


def test_districts_have_totals_and_an_area_narrows_the_population(opened: OpenCollections) -> None:
    collection = opened.collection("yard")
    west, south, east, north = collection.scenes[collection.manifest.scenes[0]].bounds4326
    middle = (west + east) / 2
    areas = (("west", box(west, south, middle, north)), ("east", box(middle, south, east, north)))
    kept = begun(opened, districts=areas)
    judge(kept, 64)
    told = {each["name"]: each["estimate"] for each in report(kept).to_dict()["districts"]}
    assert told == {"west": 8, "east": 8}
    half = begun(opened, within=Area.of(areas[0][1]))
    assert len(half.census.units) < 48
    with pytest.raises(QueryError, match="no imagery"):
        begun(opened, within=Area.of(box(0, 0, 1, 1)))


def test_scenes_that_are_added_later_are_told_and_not_counted(kept: Kept, home: Path) -> None:
    judge(kept, 20)
    before = report(kept).to_dict()
    kept.collection.write(scenes=(*kept.collection.manifest.scenes, "another"))
    grown = Censuses(Library(home)).open(kept.census.id)
    after = report(grown).to_dict()
    assert "1 more scene now, which the census does not count" in after["changed"]
    assert {**after, "changed": "", "seconds_left": 0} == {**before, "seconds_left": 0}
    assert len(review.hand_out(grown, 5, "ada").units) == 5


def test_a_collection_that_is_deleted_while_somebody_judges_loses_nothing(
    kept: Kept, home: Path
) -> None:
    (unit,) = review.hand_out(kept, 1, "ada").units
    library = Library(home)
    token = library.delete("yard")
    with pytest.raises(NotFoundError, match="deleted"):
        review.answer(kept, {unit.id: 1}, "ada")
    with pytest.raises(NotFoundError, match="deleted"):
        review.hand_out(kept, 1, "ada")
    library.restore(token)
    again = Censuses(Library(home)).open(kept.census.id)
    assert again.judgements.history() == []
    assert review.answer(again, {unit.id: 1}, "ada") == 1


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_a_number_of_units_out_of_range_is_refused(kept: Kept, count: int) -> None:
    with pytest.raises(QueryError, match="between 1 and 1,000"):
        review.hand_out(kept, count, "ada")


def test_one_chip_has_one_score_and_units_are_drawn_at_random(
    home: Path, opened: OpenCollections, tmp_path: Path
) -> None:
    single = objects.collection(tmp_path, Library(home), "single", [(100, 100)], side=256)
    recipe = Recipe(chip=single.chips.ids[0].decode())
    saved = Searches(single).save("One", recipe, Result((), 0, 0, 0))
    kept = start(opened, Plan("single", Sought(saved=saved.id), unit=64, seed=4))
    assert kept.census.latest.notes == ("All chips have one score: units are drawn at random",)
    assert len(kept.census.units) == 16
    judge(kept, 8)
    half = report(kept).to_dict()
    assert half["low"] <= 1 <= half["high"]
    judge(kept, 8)
    assert report(kept).text == "1, exactly"


def test_a_search_or_a_chip_that_is_gone_begins_no_census(opened: OpenCollections) -> None:
    with pytest.raises(NotFoundError, match="saved search"):
        start(opened, Plan("yard", Sought(saved="0123456789ab")))
    yard = opened.collection("yard")
    gone = Searches(yard).save("Gone", Recipe(chip="0123456789abcdef"), Result((), 0, 0, 0))
    with pytest.raises(LookalikeError, match="chip"):
        start(opened, Plan("yard", Sought(saved=gone.id)))
    assert Censuses(opened.library).all("yard") == []


def test_things_where_scores_show_nothing_are_warned_of(opened: OpenCollections) -> None:
    kept = begun(opened)
    floor = kept.census.designs[0].floor_units
    units = review.hand_out(kept, 40, "ada").units
    review.answer(kept, {unit.id: int(floor[kept.census.rows[unit.id]]) for unit in units}, "ada")
    told = report(kept)
    assert told.found is not None
    assert told.found.missed > 0
    assert any(note.startswith("The scores miss things") for note in told.notes)


def test_one_unit_is_a_population(opened: OpenCollections) -> None:
    kept = start(opened, Plan("yard", sought(opened), unit=1024))
    assert len(kept.census.units) == 1
    judge(kept, 10)
    assert report(kept).text == "16, exactly"


def test_a_plan_out_of_range_is_refused(opened: OpenCollections) -> None:
    for options in ({"error": 0.0}, {"double": 2.0}, {"error": float("nan")}):
        with pytest.raises(QueryError):
            begun(opened, **options)
    with pytest.raises(QueryError, match="exactly one"):
        Sought()
    with pytest.raises(QueryError):
        Sought(detector="a", saved="b")


def test_a_deleted_census_comes_back(kept: Kept, home: Path) -> None:
    censuses = Censuses(Library(home))
    token = censuses.delete(kept.census.id)
    assert censuses.all() == []
    with pytest.raises(NotFoundError):
        censuses.open(kept.census.id)
    assert censuses.restore(token).census.id == kept.census.id


@pytest.fixture
def damaged(kept: Kept) -> Kept:
    (kept.folder / "round-1.json").write_text('{"schema": 1}')
    return kept


def test_a_damaged_census_is_listed_with_its_error(damaged: Kept, home: Path) -> None:
    (listed,) = Censuses(Library(home)).all()
    assert "damaged" in str(listed.error)  # type: ignore[union-attr]
