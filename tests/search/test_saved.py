from __future__ import annotations

import fcntl
import json
import threading

import numpy as np
import pytest

from pipeline.collection.library import Library
from pipeline.errors import DamagedError, NotFoundError, QueryError
from pipeline.files import exclusive
from pipeline.search.check import drawn, judge
from pipeline.search.comparison import compare
from pipeline.search.filters import Filters
from pipeline.search.queries import query_of, refine
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Searches
from pipeline.search.search import Hit, Result
from tests.factories.synthetic import collection


@pytest.fixture
def made(tmp_path):
    return collection(tmp_path / "home")


def hits_of(made, count: int = 6) -> tuple[Hit, ...]:
    table = made.chips
    return tuple(
        Hit(
            i + 1,
            table.ids[i].decode(),
            0.9 - i / 10,
            table.scene_ids[0],
            None,
            i,
            table.corners[i],
        )
        for i in range(count)
    )


def saved_in(made, count: int = 6):
    searches = Searches(made)
    hits = hits_of(made, count)
    return searches, searches.save(
        "Ponds", Recipe(chip=hits[0].id, k=count), Result(hits, 15, 16, 0)
    )


class FakeIndex:
    def __init__(self, vectors):
        self.vectors = vectors


def test_recipe_round_trips_and_keeps_only_what_differs():
    fields = {
        "at": [-122.0, 37.5],
        "good": ["a", "b"],
        "k": 50,
        "threshold": 0.5,
        "since": "2016-08-16",
        "any_scale": True,
        "within": {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 0]]]},
    }
    recipe = Recipe.from_fields(fields)
    assert recipe.to_dict() == fields
    assert Recipe.from_fields(recipe.to_dict()) == recipe
    assert recipe.parameters == {
        "k": 50, "suppress": True, "threshold": 0.5, "since": "2016-08-16",
        "within": fields["within"], "any_scale": True,
    }  # fmt: skip


def test_recipe_reads_the_text_of_a_link():
    recipe = Recipe.from_fields({"at": "-122,37.5", "k": "20", "suppress": "false", "good": "a,b"})
    assert recipe == Recipe(at=(-122, 37.5), k=20, suppress=False, good=("a", "b"))


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"chip": "a", "at": [0, 0]},
        {"bad": ["a"]},
        {"chip": "a", "colour": "red"},
        {"chip": 5},
        {"chip": "a" * 300},
        {"at": [0]},
        {"at": ["x", 1]},
        {"at": [float("nan"), 1]},
        {"box": [0, 0, 1]},
        {"chip": "a", "k": 1.5},
        {"chip": "a", "k": True},
        {"chip": "a", "threshold": 2},
        {"chip": "a", "max_nodata": "all"},
        {"chip": "a", "away": -1},
        {"chip": "a", "away": float("inf")},
        {"chip": "a", "since": "yesterday"},
        {"chip": "a", "within": "here"},
        {"chip": "a", "suppress": "maybe"},
        {"chip": "a", "any_orientation": "maybe"},
        {"chip": "a", "good": ["b"], "bad": ["b"]},
        {"good": [1, 2]},
        {"good": [str(i) for i in range(1001)]},
    ],
)
def test_recipe_refuses_what_it_does_not_know(fields):
    with pytest.raises(QueryError):
        Recipe.from_fields(fields)


@pytest.mark.parametrize(
    ("recipe", "label"),
    [
        (Recipe(chip="abc"), "chip abc"),
        (Recipe(at=(-122, 37.5)), "point 37.50000, -122.00000"),
        (Recipe(picture="x", bad=("a",)), "a picture with 1 bad example"),
        (Recipe(good=("a", "b"), bad=("c",)), "2 good and 1 bad examples"),
        (Recipe(box=(0, 0, 1, 1)), "a drawn box"),
    ],
)
def test_recipe_says_what_it_starts_from(recipe, label):
    assert recipe.label == label


def test_recipe_without_filters_has_none():
    assert Recipe(chip="a").filters() is None
    assert Recipe(chip="a", max_nodata=5).filters() == Filters(max_nodata=5)


def test_refined_query_is_twice_the_good_minus_the_bad(made):
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(16, 2048)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    ids = [chip.decode() for chip in made.chips.ids]
    query = refine(made, FakeIndex(vectors), None, (ids[0], ids[1]), (ids[2],))
    np.testing.assert_allclose(
        query.vector, 2 * vectors[:2].mean(axis=0) - vectors[2], rtol=1e-4, atol=1e-6
    )
    assert query.chips == (ids[2],)


def test_bad_examples_alone_move_away_from_the_start(made):
    vectors = np.eye(16, 2048, dtype=np.float32)
    ids = [chip.decode() for chip in made.chips.ids]
    recipe = Recipe(chip=ids[0], bad=(ids[1],))
    query = query_of(recipe, made, FakeIndex(vectors), lambda _: None)
    np.testing.assert_allclose(query.vector[:3], [2, -1, 0])
    assert query.chips == (ids[0], ids[1])


def test_saved_search_reopens_exactly(made):
    searches, saved = saved_in(made)
    reopened = searches.reopen(saved.id)
    assert [(h.id, round(h.score, 6)) for h in reopened.result.hits] == list(saved.hits)
    assert reopened.saved.recipe == saved.recipe
    assert (reopened.result.eligible, reopened.result.total) == (15, 16)
    assert not reopened.changed
    assert reopened.missing == ()


def test_saved_search_says_that_the_collection_changed_and_what_is_gone(made, tmp_path):
    searches, saved = saved_in(made)
    other = collection(tmp_path / "other", sizes=(512,))
    moved = Searches(other)
    moved.folder.mkdir(exist_ok=True)
    file = searches.folder / f"{saved.id}.json"
    (moved.folder / file.name).write_bytes(file.read_bytes())
    reopened = moved.reopen(saved.id)
    assert reopened.changed
    assert len(reopened.result.hits) + len(reopened.missing) == 6
    assert [hit.rank for hit in reopened.result.hits] == list(
        range(1, len(reopened.result.hits) + 1)
    )


def test_saved_searches_survive_a_second_store(made):
    _, saved = saved_in(made)
    again = Searches(Library(made.path.parent.parent).open("made"))
    assert again.all() == [saved]


def test_marks_notes_undo_and_rename_are_kept(made):
    searches, saved = saved_in(made)
    first, second = saved.hits[0][0], saved.hits[1][0]
    searches.review(saved.id, first, mark="good")
    searches.review(saved.id, second, mark="bad")
    searches.review(saved.id, first, mark="skip")
    searches.review(saved.id, second, note="a car park")
    searches.change(saved.id, note="north bay")
    searches.change(saved.id, name="Salt ponds")
    now = searches.get(saved.id)
    assert dict(now.marks) == {second: "bad", first: "skip"}
    assert now.reviewed == 1
    assert dict(now.notes) == {second: "a car park"}
    assert (now.note, now.name) == ("north bay", "Salt ponds")
    assert dict(searches.review(saved.id, first, mark="").marks) == {second: "bad"}
    assert not searches.review(saved.id, second, note=" ").notes


def test_marks_made_at_the_same_time_are_all_kept(made):
    searches, saved = saved_in(made)
    threads = [
        threading.Thread(target=searches.review, args=(saved.id, chip), kwargs={"mark": "good"})
        for chip, _ in saved.hits
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(searches.get(saved.id).marks) == 6


def test_search_is_deleted_after_a_change_in_hand_and_stays_deleted(made, monkeypatch):
    searches, saved = saved_in(made)
    flock, waits = fcntl.flock, threading.Event()

    def watched(handle, operation):
        try:
            flock(handle, operation | fcntl.LOCK_NB)
        except BlockingIOError:
            waits.set()
            flock(handle, operation)

    with exclusive(searches.folder / ".mutex"):  # as a change in another thread has it
        monkeypatch.setattr(fcntl, "flock", watched)
        other = threading.Thread(target=Searches(made).delete, args=[saved.id])
        other.start()
        while not waits.wait(0.05):
            assert other.is_alive()
        assert searches.get(saved.id) == saved
    other.join()
    for change in (lambda: searches.change(saved.id, note="x"), lambda: searches.delete(saved.id)):
        with pytest.raises(NotFoundError):
            change()
    assert searches.all() == []


def test_nothing_is_written_where_a_deleted_collection_was(made, tmp_path):
    library = Library(tmp_path / "home")
    searches, saved = saved_in(made)
    token = library.delete(made.name)
    for change in (lambda: saved_in(made), lambda: searches.change(saved.id, note="x")):
        with pytest.raises(NotFoundError, match="deleted meanwhile"):
            change()
    assert [one.id for one in Searches(library.restore(token)).all()] == [saved.id]


def test_wrong_marks_names_and_ids_are_refused(made):
    searches, saved = saved_in(made)
    with pytest.raises(QueryError, match="No such mark"):
        searches.review(saved.id, saved.hits[0][0], mark="great")
    with pytest.raises(QueryError, match="not a hit"):
        searches.review(saved.id, "0" * 16, mark="good")
    with pytest.raises(QueryError, match="needs a name"):
        searches.change(saved.id, name="  ")
    with pytest.raises(QueryError, match="longer"):
        searches.change(saved.id, name="x" * 200)
    for wrong in ("nothing", "../../collection", "0" * 12):
        with pytest.raises(NotFoundError):
            searches.get(wrong)


def test_unnamed_search_is_called_by_what_it_starts_from(made):
    saved = Searches(made).save(" ", Recipe(chip="abc"), Result((), 0, 0, 0))
    assert saved.name == "chip abc"
    chip = made.chips.ids[0].decode()
    saved = Searches(made).save("", Recipe(chip=chip, good=("a",)), Result((), 0, 0, 0))
    lon, lat = made.chips.centres[0].tolist()
    place = f"{abs(lat):.4f}° {'SN'[lat >= 0]} {abs(lon):.4f}° {'WE'[lon >= 0]}"
    assert saved.query == saved.name
    assert saved.name.startswith(f"the chip at {place}")
    assert saved.name.endswith(" with 1 good example")


def test_picture_is_kept_and_deleted_with_the_search(made):
    searches = Searches(made)
    saved = searches.save("x", Recipe(picture="p"), Result((), 0, 0, 0), b"png")
    assert searches.picture(saved.id).read_bytes() == b"png"
    searches.delete(saved.id)
    assert list(searches.folder.glob("*.png")) == []
    with pytest.raises(NotFoundError):
        searches.delete(saved.id)


def test_damaged_search_is_told_and_does_not_hide_the_others(made):
    searches, saved = saved_in(made)
    (searches.folder / "0123456789ab.json").write_text("{")
    (searches.folder / "0123456789ac.json").write_text('{"id": 1}')
    assert searches.all() == [saved]
    with pytest.raises(DamagedError):
        searches.get("0123456789ac")


@pytest.mark.parametrize(
    "change",
    [
        {"recipe": None},
        {"name": 5},
        {"name": "\ud800"},
        {"total": "9"},
        {"id": []},
        {"marks": []},
        {"marks": {"a": 1}},
        {"notes": {"a": None}},
        {"chance": "never"},
        {"chance": {"count": 0, "fits": [[0.1, 0.1]]}},
        {"chance": {"count": float("inf"), "fits": [[0.1, 0.1]]}},
        {"chance": {"count": 9, "fits": [[0.1, 0]]}},
        {"chance": {"count": 9, "fits": []}},
        {"check": 5},
        {"check": {"seed": "a", "strata": [6], "size": 3, "created": "", "judgements": [{}]}},
        {"check": {"seed": "a", "strata": [-6], "size": 3, "created": "", "judgements": []}},
        {"check": {"seed": "a", "strata": [7], "size": 3, "created": "", "judgements": []}},
        {"check": {"seed": 1, "strata": [6], "size": 3, "created": "", "judgements": []}},
    ],
)
def test_a_search_of_the_wrong_kinds_is_damaged(made, change):
    searches, saved = saved_in(made)
    file = searches.folder / "0123456789ab.json"
    fields = json.loads((searches.folder / f"{saved.id}.json").read_text())
    file.write_text(json.dumps({**fields, **change}))
    with pytest.raises(DamagedError):
        searches.get("0123456789ab")
    assert searches.all() == [saved]


def test_check_is_kept_with_the_search_and_labels_hits_that_have_no_mark(made):
    searches, saved = saved_in(made)
    checked = searches.change_check(saved.id, lambda checked: drawn(checked, 4))
    first, second = checked.next(2)
    searches.review(saved.id, second, mark="bad")
    searches.change_check(saved.id, lambda now: judge(now, {first: "good", second: "good"}, "Ada"))
    now = searches.get(saved.id)
    assert now == Searches(made).get(saved.id)
    assert [(each.id, each.label, each.author) for each in now.check.judgements] == [
        (first, "good", "Ada"),
        (second, "good", "Ada"),
    ]
    assert now.labels == {first: "good", second: "bad"}  # the mark is the user's own
    assert [hit.id for hit in searches.reopen(saved.id).chosen(marks=["good"])] == [first]
    assert now.reviewed == 2
    assert searches.checked(saved.id).estimates[-1].good == 2
    assert searches.change_check(saved.id, lambda _: None).check is None


def test_reviewers_do_not_replace_each_others_marks(made):
    searches, saved = saved_in(made)
    first = saved.hits[0][0]
    searches.review(saved.id, first, mark="good", author="Ann")
    both = searches.review(saved.id, first, mark="bad", author=" Ben ")
    assert dict(both.marks) == {first: "bad"}
    given = [(each.label, each.author) for each in both.standing]
    assert given == [("good", "Ann"), ("bad", "Ben")]
    assert all(each.time for each in both.standing)
    assert dict(searches.review(saved.id, first, mark="", author="Ben").marks) == {first: "good"}
    assert len(searches.get(saved.id).judgements) == 3


def test_a_review_of_before_there_were_authors_goes_on(made):
    searches, saved = saved_in(made)
    first, second = (chip for chip, _ in saved.hits[:2])
    file = searches.folder / f"{saved.id}.json"
    content = json.loads(file.read_text())
    del content["judgements"]
    file.write_text(json.dumps({**content, "marks": {first: "good", second: "bad"}}))
    now = searches.review(saved.id, second, mark="good", author="Ann")
    assert dict(now.marks) == {first: "good", second: "good"}
    assert [each.author for each in now.standing] == ["", "", "Ann"]
    assert dict(searches.review(saved.id, first, mark="", author="Ann").marks) == {second: "good"}


def test_a_hit_judged_good_in_the_check_stays_below_the_minimum_score_with_its_rank(made):
    searches, saved = saved_in(made)
    checked = searches.change_check(saved.id, lambda checked: drawn(checked, len(saved.hits)))
    best, last = saved.hits[0], saved.hits[-1]
    given = {best[0]: "bad", last[0]: "good"}
    searches.change_check(saved.id, lambda checked: judge(checked, given))
    kept = searches.reopen(saved.id).chosen(least=best[1])
    assert checked.check is not None
    assert [(hit.id, hit.rank) for hit in kept] == [(best[0], 1), (last[0], len(saved.hits))]


def test_marks_of_a_search_estimate_nothing(made):
    searches, saved = saved_in(made)
    for chip, _ in saved.hits:
        searches.review(saved.id, chip, mark="good")
    (last,) = searches.checked(saved.id).estimates[-1:]
    assert (last.judged, last.precision, last.low, last.high) == (0, None, 0, 1)
    assert searches.checked(saved.id).record() is None


def test_search_of_before_there_were_checks_keeps_its_marks_and_can_be_checked(made):
    searches, saved = saved_in(made)
    file = searches.folder / f"{saved.id}.json"
    content = json.loads(file.read_text())
    del content["check"]
    file.write_text(json.dumps({**content, "schema": 1, "marks": {saved.hits[0][0]: "good"}}))
    old = searches.get(saved.id)
    assert (old.check, old.reviewed) == (None, 1)
    assert searches.checked(saved.id).record() is None
    searches.change_check(saved.id, lambda checked: drawn(checked, 3))
    assert json.loads(file.read_text())["schema"] == 2
    assert dict(searches.get(saved.id).marks) == dict(old.marks)


def test_hit_of_a_check_that_is_gone_cannot_be_judged_and_is_not_asked_for(made):
    searches, saved = saved_in(made)
    file = searches.folder / f"{saved.id}.json"
    content = json.loads(file.read_text())
    content["hits"][2][0] = "0" * 16
    file.write_text(json.dumps(content))
    checked = searches.change_check(saved.id, lambda checked: drawn(checked, 6))
    assert len(checked.next()) == len(searches.check_items(saved.id, checked.next())) == 5
    checked = searches.change_check(
        saved.id, lambda now: judge(now, dict.fromkeys(now.next(), "good"))
    )
    whole = checked.estimates[-1]
    assert (whole.judged, whole.unsure, whole.precision) == (5, 1, 1)
    assert (whole.low, whole.high) == (5 / 6, 1)


def test_comparison_matches_places_and_counts_the_rest(made):
    hits = hits_of(made)
    both = compare(hits[:4], hits[2:])
    assert [(a.id, b.id) for a, b in both.both] == [(h.id, h.id) for h in hits[2:4]]
    assert [h.id for h in both.first] == [h.id for h in hits[:2]]
    assert [h.id for h in both.second] == [h.id for h in hits[4:]]
    assert both.agreement == pytest.approx(2 / 6)
    assert compare((), ()).agreement == 1.0
    assert len(compare(hits, ()).first) == 6
