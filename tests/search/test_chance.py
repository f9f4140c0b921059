"""By chance: what a score means among the chips of its collection."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings, write_part
from pipeline.search import service
from pipeline.search.chance import ALL_ALIKE, NOTHING_LIKE_THIS, Chance, in_words
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Searches
from pipeline.vectors import normalise, random_scores
from tests.factories import synthetic

CHIPS = 2_000


@pytest.mark.parametrize("like", [0, 20])
def test_as_many_unrelated_chips_score_high_as_chance_says(like: int) -> None:
    """Populations with and without chips like the query; the true numbers are known."""
    rng = np.random.default_rng(like)
    seen = []
    for _ in range(200):
        unrelated = rng.normal(0.1, 0.12, CHIPS - like)
        chance = Chance.of(CHIPS, np.concatenate([unrelated, rng.normal(0.8, 0.05, like)]))
        assert chance is not None
        numbers = chance.by_chance(unrelated)
        seen.append([(numbers <= level).sum() for level in (1, 10)])
        assert chance.by_chance(0.8) < 1e-3
    one, ten = np.mean(seen, axis=0)
    assert 0.4 < one < 1.6
    assert 6 < ten < 13


def test_chips_like_the_query_are_no_background_even_where_they_are_many() -> None:
    rng = np.random.default_rng(3)
    kind = rng.normal(size=64)
    vectors = rng.normal(size=(CHIPS, 64))
    vectors[:800] += 3 * kind
    vectors = normalise((vectors - 0.8 * vectors.mean(axis=0)).astype(np.float32))
    own = vectors @ vectors[0]
    reference = Chance.of(CHIPS, own, random_scores(vectors))
    alone = Chance.of(CHIPS, own)
    assert reference is not None
    assert alone is not None
    best = np.sort(own)[-100]
    assert reference.by_chance(best) < alone.by_chance(best)
    assert reference.by_chance(best) < 0.5


def test_a_score_and_its_number_belong_together() -> None:
    chance = Chance(500, ((0.1, 0.1), (0.0, 0.2)))
    for number in (10, 1, 0.1):
        assert float(chance.by_chance(chance.score_of(number))) == pytest.approx(number)
    assert list(chance.levels.values()) == sorted(chance.levels.values())
    assert Chance.from_dict(chance.to_dict()) == chance


@pytest.mark.parametrize("scores", [np.zeros(500), np.linspace(0, 1, 20), np.empty(0)])
def test_too_few_scores_and_equal_scores_say_nothing(scores: np.ndarray) -> None:
    assert Chance.of(len(scores), scores) is None


def test_words_for_tables() -> None:
    assert [in_words(number) for number in (None, 1e-9, 0.0312, 1.2, 1234.5)] == [
        "", "<0.001", "0.03", "1", "1,234",
    ]  # fmt: skip


def found(home: Path, row: int, **fields: object) -> service.Outcome:
    opened = OpenCollections(Library(home))
    chip = opened.collection("made").chips.id_of(row)
    return service.find(opened, "made", Recipe.from_fields({"chip": chip, "k": 5, **fields}))


def alike(home: Path, rows: list[int], weight: float) -> None:
    """Give some chips of the collection one look."""
    made = Library(home).open("made")
    look = np.random.default_rng(5).normal(size=2048)
    start = 0
    for part in made.parts:
        vectors = read_embeddings(part).astype(np.float32)
        own = [row - start for row in rows if start <= row < start + part.rows]
        vectors[own] = (1 - weight) * vectors[own] + weight * look
        scene = made.scenes[part.scene_id]
        chips = synthetic.chips_of(scene, 256)
        part.path.unlink()
        path = part.path.with_name("block-r0000-c0000-alike.parquet")  # another version
        write_part(path, scene, chips, vectors, synthetic.MODEL, stride=256)
        start += part.rows
    made.write()


def test_nothing_like_this_here_is_said_where_it_is_true_and_only_there(home: Path) -> None:
    made = synthetic.collection(home, sizes=(2048,), stride=256)
    assert any(NOTHING_LIKE_THIS in found(home, row).notes for row in range(12))
    alike(home, [9, 20, 40, 60], 0.9)
    outcome = found(home, 9)
    assert NOTHING_LIKE_THIS not in outcome.notes
    numbers = [hit.by_chance for hit in outcome.result.hits]
    assert max(number for number in numbers[:3] if number is not None) < 0.01
    assert min(number for number in numbers[3:] if number is not None) > 0.1
    saved = Searches(made).save("", outcome.recipe, outcome.result)
    again = Searches(made).reopen(saved.id)
    assert [hit.by_chance for hit in again.result.hits] == pytest.approx(numbers, rel=1e-3)


def test_equal_scores_are_told_and_one_chip_is_no_error(home: Path) -> None:
    synthetic.collection(home, sizes=(2048,), stride=256)
    alike(home, list(range(64)), 1.0)
    assert ALL_ALIKE in found(home, 9).notes


def test_a_good_mark_comes_first_even_where_all_chips_are_alike(home: Path) -> None:
    made = synthetic.collection(home, sizes=(2048,), stride=256)
    alike(home, list(range(64)), 1.0)
    good = made.chips.id_of(50)
    assert found(home, 9, good=[good]).result.hits[0].id == good


def test_a_collection_of_one_chip_is_no_error(home: Path) -> None:
    synthetic.collection(home, sizes=(256,), stride=256)
    outcome = found(home, 0)
    assert outcome.result.hits == ()
    assert outcome.notes == ()
