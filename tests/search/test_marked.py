"""Hits marked good stay, whatever is asked beside; marks on chips that are gone spoil nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.collection.library import Library
from pipeline.errors import NotFoundError
from pipeline.search import service
from pipeline.search.open_collections import OpenCollections
from pipeline.search.overlaps import OVERLAP
from pipeline.search.recipe import Recipe
from tests.factories import synthetic

Find = Callable[..., service.Outcome]


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Searches a collection whose chips overlap."""
    made = synthetic.collection(tmp_path / "home")
    opened = OpenCollections(Library(tmp_path / "home"))

    def run(recipe: Recipe, *, sites: bool = False) -> service.Outcome:
        return service.find(opened, made.name, recipe, sites=sites)

    return run


def ids(outcome: service.Outcome) -> list[str]:
    return [hit.id for hit in outcome.result.hits]


def start(find: Find) -> tuple[Recipe, list[str]]:
    """A search and all chips, best first."""
    chip = find(Recipe(at=(6.45, 46.45), k=1)).query.chips[0]
    recipe = Recipe(chip=chip, suppress=False)
    return recipe, ids(find(replace(recipe, k=1000)))


@pytest.mark.parametrize("field", ["keep", "good"])
def test_good_hits_stay_whatever_threshold_number_and_suppression_say(
    find: Find, field: str
) -> None:
    recipe, every = start(find)
    marked = (every[0], every[1], every[-1])
    asked = replace(recipe, **{field: marked}, k=2)
    for changes in ({}, {"threshold": 0.999}, {"suppress": True}, {"k": 1, "suppress": True}):
        found = ids(find(replace(asked, **changes)))
        assert set(marked) <= set(found), changes
    # The rest is what it would be: the number and suppression hold for it.
    more = find(replace(recipe, keep=marked, k=12, suppress=True))
    others = [hit for hit in more.result.hits if hit.id not in marked]
    from shapely.geometry import Polygon

    shapes = [Polygon(hit.corners) for hit in others]
    for number, shape in enumerate(shapes):
        for better in shapes[:number]:
            assert shape.intersection(better).area <= (OVERLAP + 1e-6) * shape.area
    assert [hit.rank for hit in more.result.hits] == list(range(1, len(ids(more)) + 1))


def test_hits_to_keep_have_their_place_in_the_order(find: Find) -> None:
    recipe, every = start(find)
    plain = ids(find(replace(recipe, k=8)))
    kept = ids(find(replace(recipe, k=8, keep=(every[3], every[-1], every[12]))))
    assert kept == [*plain, every[12], every[-1]]


def test_filters_hold_for_good_hits_too(find: Find) -> None:
    recipe, every = start(find)
    outcome = find(replace(recipe, k=3))
    sharpness = outcome.collection.chips.sharpness
    least = float(np.median(sharpness))
    rows = [outcome.collection.chips.row_of(chip) for chip in every]
    soft = [chip for chip, row in zip(every, rows, strict=True) if sharpness[row] < least]
    for field in ("keep", "good"):
        marked = {field: (soft[0], every[0])}
        assert soft[0] not in ids(find(replace(recipe, **marked, min_sharpness=least)))


@pytest.mark.parametrize("field", ["keep", "good"])
def test_good_hits_stay_among_sites(find: Find, field: str) -> None:
    recipe, every = start(find)
    marked = {field: (every[-1], every[2])}
    outcome = find(replace(recipe, k=2, threshold=0.9, **marked), sites=True)
    members = {hit.id for site in outcome.sites for hit in site.hits}
    assert {every[-1], every[2]} <= members == set(ids(outcome))
    assert len(outcome.sites) >= 2
    assert [site.rank for site in outcome.sites] == list(range(1, len(outcome.sites) + 1))


def test_marks_on_chips_that_are_gone_are_told_and_the_rest_is_used(find: Find) -> None:
    recipe, every = start(find)
    lost = "0" * 16
    marked = replace(recipe, good=(every[3], lost), bad=(every[5], "1" * 16), keep=("2" * 16,), k=9)
    outcome = find(marked)
    assert outcome.gone == (lost, "1" * 16, "2" * 16)
    left = replace(marked, good=(every[3],), bad=(every[5],), keep=())
    assert ids(outcome) == ids(find(left))
    assert outcome.repeatable.good == marked.good  # nothing is lost of the recipe
    assert ids(find(Recipe(good=(lost, every[3]))))
    with pytest.raises(NotFoundError, match="No good example"):
        find(Recipe(good=(lost,)))
