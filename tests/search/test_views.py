"""Views: what any orientation and any scale read, and what a search makes of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.collection import Collection
from pipeline.errors import DamagedError, QueryError
from pipeline.imagery.reader import SceneReader
from pipeline.index.index import Index
from pipeline.search import queries, views
from pipeline.search.queries import by_chip, query_of
from pipeline.search.recipe import Recipe
from pipeline.search.search import search
from pipeline.vectors import normalise
from tests.factories import pictured
from tests.factories.synthetic import MODEL


class Thumbnails:
    """Embeds a picture as its 16×16 thumbnail: which way up it is matters."""

    identity = MODEL

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        small = pixels.reshape(len(pixels), 16, 16, 16, 16, 3).mean((2, 4)).reshape(len(pixels), -1)
        return np.pad(small, ((0, 0), (0, 2048 - small.shape[1]))).astype(np.float32)

    def describe(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        vectors = self.embed(pixels)
        return vectors, normalise(vectors)


@pytest.fixture(scope="module")
def bay(tmp_path_factory: pytest.TempPathFactory) -> tuple[Collection, Index]:
    collection = pictured.collection(tmp_path_factory.mktemp("views"))
    return collection, Index.open(collection)


def window(collection: Collection, chip: int, scale: float = 1) -> np.ndarray:
    scene = next(iter(collection.scenes.values()))
    side = round(256 * scale)
    left, top = (int(edges[chip]) for edges in (collection.chips.cols, collection.chips.rows))
    with SceneReader(scene) as reader:
        return reader.thumbnail(left + 128 - side // 2, top + 128 - side // 2, side, side, 256)


@pytest.mark.parametrize(
    ("orientation", "scale", "count"),
    [(False, False, 1), (False, True, 3), (True, False, 8), (True, True, 24)],
)
def test_every_view_is_another_one_and_the_query_is_the_first(
    orientation: bool, scale: bool, count: int
) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (256, 256, 3), np.uint8)
    seen = views.render(views.of_picture(pixels), any_orientation=orientation, any_scale=scale)
    assert seen.shape == (count, 256, 256, 3)
    np.testing.assert_array_equal(seen[0], pixels)
    assert len({view.tobytes() for view in seen}) == count


def test_a_turned_and_mirrored_picture_has_the_same_views() -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (4, 4, 3), np.uint8)
    every = {view.tobytes() for view in views.symmetries(pixels)}
    assert {view.tobytes() for view in views.symmetries(np.rot90(pixels)[::-1])} == every


def test_half_and_twice_the_ground_are_read_around_the_same_centre(
    bay: tuple[Collection, Index],
) -> None:
    collection, _ = bay
    read = views.of_chip(collection, collection.chips.ids[5].decode())
    for scale in views.SCALES:
        np.testing.assert_array_equal(read(scale), window(collection, 5, scale))


def test_beyond_the_scene_it_is_mirrored(bay: tuple[Collection, Index]) -> None:
    collection, _ = bay
    read = views.of_chip(collection, collection.chips.ids[0].decode())
    twice = read(2)
    inside = window(collection, 0, 2)[64:, 64:]
    np.testing.assert_array_equal(twice[64:, 64:], inside)
    np.testing.assert_array_equal(twice[:64, 64:], inside[63::-1])


def test_of_a_picture_twice_the_ground_is_its_surroundings_mirrored() -> None:
    pixels = np.zeros((256, 256, 3), np.uint8)
    pixels[96:160, 96:160] = 255
    half, twice = (views.of_picture(pixels)(scale) > 127 for scale in (0.5, 2))
    assert half[64:192, 64:192].all()
    assert half.mean() == pytest.approx(1 / 4, rel=0.1)
    assert twice[112:144, 112:144].all()
    np.testing.assert_array_equal(twice[:64], twice[127:63:-1])


def test_a_chip_is_found_by_its_picture_turned(bay: tuple[Collection, Index]) -> None:
    collection, index = bay
    chip = collection.chips.ids[5].decode()
    plain = by_chip(collection, index, chip)
    asked = Recipe(chip=chip, any_orientation=True)
    query = query_of(
        asked, collection, index, lambda r: queries.start_query(collection, index, r, Thumbnails())
    )
    assert query.chips == plain.chips
    np.testing.assert_array_equal(query.corners, plain.corners)
    np.testing.assert_allclose(query.vector[0], normalise(plain.vector[None])[0], atol=1e-6)
    turned = np.ascontiguousarray(np.rot90(window(collection, 5)))
    own = queries.picture_query(turned, Recipe(picture="x", any_orientation=True), Thumbnails())
    cosines = own.vector @ query.vector[1:].T
    assert cosines.max(axis=0) == pytest.approx(np.ones(7), abs=1e-5)
    assert len(search(collection, index, query, k=3).hits) == 3


def test_examples_alone_are_each_turned_and_stay_answers(bay: tuple[Collection, Index]) -> None:
    collection, index = bay
    ids = [chip.decode() for chip in collection.chips.ids]

    def start(recipe: Recipe):
        return queries.start_query(collection, index, recipe, Thumbnails())

    asked = Recipe(good=tuple(ids[:2]), any_scale=True, suppress=False)
    query = query_of(asked, collection, index, start)
    assert query.vector.shape == (3, 2048)
    found = [hit.id for hit in search(collection, index, query, k=2, suppress=False).hits]
    assert set(found) == set(ids[:2])
    with pytest.raises(QueryError, match="at most 8 examples"):
        query_of(replace(asked, good=tuple(ids[:9])), collection, index, start)


def test_bad_examples_move_every_view(bay: tuple[Collection, Index]) -> None:
    collection, index = bay
    ids = [chip.decode() for chip in collection.chips.ids]
    recipe = Recipe(chip=ids[5], bad=(ids[7],), any_scale=True)
    moved = query_of(
        recipe, collection, index, lambda r: queries.start_query(collection, index, r, Thumbnails())
    )
    still = queries.start_query(collection, index, recipe, Thumbnails())
    away = normalise(index.vectors[[7]])[0]
    np.testing.assert_allclose(moved.vector, 2 * still.vector - away, atol=1e-6)
    assert moved.chips == (ids[5], ids[7])


def test_imagery_that_is_gone_is_said_with_what_still_works(tmp_path: Path) -> None:
    collection = pictured.collection(tmp_path)
    index = Index.open(collection)
    recipe = Recipe(chip=collection.chips.ids[5].decode(), any_scale=True)
    Path(next(iter(collection.scenes.values())).path).unlink()
    with pytest.raises(DamagedError, match="cannot be rotated or rescaled") as caught:
        queries.start_query(collection, index, recipe, Thumbnails())
    assert "without any orientation" in caught.value.remedy
