"""The service of object search: REST, the command line and pages search through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipeline.model.cells import CellIdentity, identity_of
from pipeline.objects import marks
from pipeline.objects.find import find
from pipeline.objects.ranking import ObjectResult, score_maps
from pipeline.progress import OnProgress, silent
from pipeline.search import uploads

if TYPE_CHECKING:
    import numpy as np

    from pipeline.collection.collection import Collection
    from pipeline.objects.places import Example
    from pipeline.objects.ranking import SceneScores
    from pipeline.objects.recipe import ObjectRecipe
    from pipeline.search.open_collections import OpenCollections


@dataclass(frozen=True, eq=False)
class ObjectOutcome:
    """An object search that was run.

    Attributes:
        collections: Where, the one of the examples first.
        recipe: How to repeat it.
        result: The objects.
        model: What the cells were made by.
        label: What was looked for, in words.
    """

    collections: tuple[Collection, ...]
    recipe: ObjectRecipe
    result: ObjectResult
    model: CellIdentity
    label: str


def find_objects(
    open_collections: OpenCollections,
    names: Sequence[str],
    recipe: ObjectRecipe,
    *,
    examples: Sequence[Example] = (),
    picture: np.ndarray | None = None,
    progress: OnProgress = silent,
) -> ObjectOutcome:
    """Run an object search.

    Args:
        open_collections: Where the collections are.
        names: The collections to search; examples without a collection lie in the first.
        recipe: What to look for.
        examples: Further examples, such as those of a label file.
        picture: Pixels of an uploaded picture that the object fills, uint8 (h, h, 3).
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        NotFoundError: If there is no such collection, set of marks, scene or cells.
        InputError: If the recipe cannot be used.
    """
    collections = tuple(open_collections.collection(name) for name in names)
    every = (*recipe.all_examples(), *examples, *_marked(collections[0], recipe))
    if picture is None and recipe.picture:
        picture = uploads.pixels(collections[0], recipe.picture)
    result = find(
        collections,
        every,
        picture=picture,
        size_m=recipe.object_size,
        k=recipe.k,
        threshold=recipe.threshold,
        min_probability=recipe.min_probability,
        filters=recipe.filters(),
        with_outlines=recipe.outlines,
        progress=progress,
    )
    model = identity_of(collections[0].manifest.model.weights_sha256)
    return ObjectOutcome(collections, recipe, result, model, recipe.label)


def maps_of(outcome: ObjectOutcome, progress: OnProgress = silent) -> list[SceneScores]:
    """The score maps of a search that was run."""
    filters = outcome.recipe.filters()
    return score_maps(outcome.collections, outcome.result.ranking, filters, progress)


def _marked(collection: Collection, recipe: ObjectRecipe) -> list[Example]:
    """The examples of the recipe's set of marks; skipped ones are none."""
    if recipe.marks is None:
        return []
    kept = marks.present(marks.read(collection, recipe.marks))
    return [mark.example() for mark in kept if mark.label in ("good", "bad")]
