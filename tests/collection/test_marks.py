"""Marks are kept in the order they are given, once each, and none is lost."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection import marks
from pipeline.collection.collection import Collection
from pipeline.collection.marks import Mark
from pipeline.errors import DamagedError, NewerError, NotFoundError, QueryError, StorageError
from pipeline.objects.marks import example_of
from tests.factories import synthetic
from tests.factories.rasters import largest_file

SET = "abcd1234"


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return synthetic.collection(tmp_path)


def mark(key: str, label: str = "good", lon: float = 6.5) -> Mark:
    return Mark(key, lon, 46.5, 30.0, 30.0, label, "scene", "2026-01-01T00:00:00Z")


def test_marks_are_kept_in_order_and_once(collection: Collection) -> None:
    marks.append(collection, SET, [mark("a"), mark("b", "bad", 6.6)])
    marks.append(collection, SET, [mark("b", "bad", 6.6), mark("c", "good", 6.7)])
    assert [each.key for each in marks.read(collection, SET)] == ["a", "b", "c"]


def test_last_judgement_of_a_place_holds_and_undo_takes_it_back(collection: Collection) -> None:
    given = [mark("a"), mark("b", "bad"), mark("c", "good", 7.0), mark("d", "", 7.0)]
    marks.append(collection, SET, given)
    held = marks.present(marks.read(collection, SET))
    assert [(each.lon, each.label) for each in held] == [(6.5, "bad")]
    assert example_of(held[0]).good is False


def test_later_mark_of_a_thing_that_is_found_a_little_aside_replaces_it(
    collection: Collection,
) -> None:
    aside = 10 / 111_320 / np.cos(np.radians(46.5))  # ten metres, of a thing of thirty
    given = [mark("a"), mark("b", "bad", 6.5 + aside), mark("c", "good", 6.5 + 3 * aside)]
    held = marks.present(given)
    assert [(each.key, each.label) for each in held] == [("b", "bad"), ("c", "good")]
    assert [each.key for each in marks.present([*given, mark("d", "", 6.5)])] == ["c"]
    other = replace(mark("e", "bad", 6.5), scene_id="later")
    assert [each.key for each in marks.present([*given, other])] == ["b", "c", "e"]
    labels = [replace(each, scene_id="") for each in given]
    assert len(marks.present(labels)) == 3
    many = [mark(str(i), "good", 6.5 + i * 3 * aside) for i in range(1_000)]
    assert len(marks.present(many)) == 1_000


def test_several_people_mark_at_once(collection: Collection) -> None:
    def judge(person: int) -> None:
        for number in range(20):
            marks.append(collection, SET, [mark(f"{person}-{number}", "good", number + person / 9)])

    with ThreadPoolExecutor(4) as people:
        list(people.map(judge, range(4)))
    assert len(marks.read(collection, SET)) == 80


def test_half_a_line_of_a_power_cut_costs_no_other_mark(collection: Collection) -> None:
    marks.append(collection, SET, [mark("a")])
    path = collection.path / "marks" / f"{SET}.jsonl"
    path.write_bytes(path.read_bytes() + b'{"key": "b", "lon": 6')
    marks.append(collection, SET, [mark("c", "good", 6.9)])
    assert [each.key for each in marks.read(collection, SET)] == ["a", "c"]


@pytest.mark.parametrize("scene", ["two\u2028lines", "é\x85", "\ud800"])
def test_any_text_of_a_client_leaves_the_set_readable(collection: Collection, scene: str) -> None:
    data = {"key": "a", "lon": 6.5, "lat": 46.5, "label": "good", "scene_id": scene}
    marks.append(collection, SET, [Mark.from_dict(data)])
    assert [each.scene_id for each in marks.read(collection, SET)] == [scene]


@pytest.mark.parametrize(
    "data",
    [
        {},
        {"key": "a", "lon": 1, "lat": 2, "label": "maybe"},
        {"key": "a", "lon": float("nan"), "lat": 2, "label": "good"},
        {"key": "a/b", "lon": 1, "lat": 2, "label": "good"},
        {"key": "a", "lon": 1, "lat": 200, "label": "good"},
        {"key": "a", "lon": 1, "lat": 2, "label": "good", "width_m": 1e308},
        {"key": "a", "lon": 1, "lat": 2, "label": "good", "width_m": 5e-324},
        {"key": "a", "lon": 1, "lat": 2, "label": "good", "height_m": -40},
        [],
    ],
)
def test_what_is_no_mark_is_refused(data: object) -> None:
    with pytest.raises(QueryError, match="no mark"):
        Mark.from_dict(data)


@pytest.mark.parametrize("room", [1, 100, 300, 900])
def test_full_disk_leaves_the_set_as_it_was(collection: Collection, room: int) -> None:
    marks.append(collection, SET, [mark("a")])
    size = (collection.path / "marks" / f"{SET}.jsonl").stat().st_size
    more = [mark(f"m{number}", "good", 7 + number / 10) for number in range(9)]
    with largest_file(size + room), pytest.raises(StorageError):
        marks.append(collection, SET, more)
    assert [each.key for each in marks.read(collection, SET)] == ["a"]
    marks.append(collection, SET, more)
    assert len(marks.read(collection, SET)) == 10


def test_missing_damaged_and_newer_sets_are_told(collection: Collection) -> None:
    with pytest.raises(NotFoundError, match="no such set"):
        marks.read(collection, SET)
    with pytest.raises(QueryError, match="no id"):
        marks.read(collection, "../../etc")
    marks.append(collection, SET, [mark("a")])
    path = collection.path / "marks" / f"{SET}.jsonl"
    whole = path.read_text()
    path.write_text(whole.replace('"schema": 1', '"schema": 2'))
    with pytest.raises(NewerError):
        marks.append(collection, SET, [mark("b")])
    path.write_text(whole.replace('"lon"', '"far"'))
    with pytest.raises(DamagedError, match="damaged"):
        marks.read(collection, SET)


def by(author: str, key: str, label: str = "good", lon: float = 6.5) -> Mark:
    return replace(mark(key, label, lon), author=author)


def chip(key: str, label: str, author: str, chip: str = "c1") -> Mark:
    return Mark(key, 6.5, 46.5, 0, 0, label, "scene", "2026-01-01T00:00:00Z", chip, author)


def test_nobody_replaces_or_takes_back_the_mark_of_another() -> None:
    given = [by("Ann", "a"), by("Ben", "b", "bad")]
    assert [each.key for each in marks.present(given)] == ["b"]  # the later is shown
    assert [each.key for each in marks.standing_marks(given)] == ["a", "b"]  # both are kept
    undone = [*given, by("Ben", "c", "")]
    assert [each.key for each in marks.present(undone)] == ["a"]
    assert marks.present([by("Ann", "a"), by("Ben", "b", "")])
    again = [*given, by("Ann", "c", "good")]
    assert [each.key for each in marks.standing_marks(again)] == ["b", "c"]


def test_marks_without_an_author_are_anybodys() -> None:
    given = [mark("a"), by("Ann", "b", "")]
    assert not marks.present(given)
    assert marks.present([by("Ann", "a"), mark("b", "")])


def test_marks_of_chips_lie_in_one_set_by_their_ids(collection: Collection) -> None:
    given = [
        chip("a", "good", "Ann"),
        chip("b", "bad", "Ann"),
        chip("c", "good", "Ben", "c2"),  # at the same place
    ]
    kept = marks.append(collection, SET, given)
    assert [(each.chip, each.label) for each in marks.present(kept)] == [
        ("c1", "bad"),
        ("c2", "good"),
    ]
    assert marks.read(collection, SET) == tuple(given)
    first = collection.chips.id_of(0)
    there = replace(chip("d", "good", "Ann"), chip=first)
    assert marks.missing(collection, [*given, there]) == ["c1", "c2"]


def test_a_name_is_kept_as_one_short_line() -> None:
    data = {"key": "a", "lon": 6.5, "lat": 46.5, "label": "good"}
    assert Mark.from_dict({**data, "author": "  Ann\n of\tthe  survey "}).author == (
        "Ann of the survey"
    )
    assert len(Mark.from_dict({**data, "author": "x" * 500}).author) == marks.LONGEST_AUTHOR


def test_a_set_of_before_there_were_authors_opens(collection: Collection) -> None:
    path = collection.path / "marks" / f"{SET}.jsonl"
    path.parent.mkdir()
    line = '{"key": "a", "lon": 6.5, "lat": 46.5, "width_m": 30, "height_m": 30, "label": "good",'
    path.write_text('{"schema": 1}\n' + line + ' "scene_id": "s", "time": "2026-01-01"}\n')
    (kept,) = marks.read(collection, SET)
    assert (kept.author, kept.chip, kept.label) == ("", "", "good")
