"""The service of object search: REST, the command line and pages search through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline.collection import marks
from pipeline.errors import QueryError
from pipeline.model.cells import CellIdentity, identity_of
from pipeline.model.resnet import CELL_PIXELS
from pipeline.objects.ask import ask
from pipeline.objects.detector_training import Trained, train_detector
from pipeline.objects.detectors import Detectors, suited
from pipeline.objects.eligible import scene_passes
from pipeline.objects.examples import spots_of
from pipeline.objects.find import find, learn
from pipeline.objects.marks import example_of
from pipeline.objects.open_cells import best_scale, scales_of
from pipeline.objects.results import ObjectResult, rank
from pipeline.objects.score_maps import score_maps
from pipeline.progress import OnProgress, silent
from pipeline.search import uploads
from pipeline.search.filters import check_scenes

if TYPE_CHECKING:
    import numpy as np

    from pipeline.collection.collection import Collection
    from pipeline.objects.detector import Detector
    from pipeline.objects.places import Example
    from pipeline.objects.recipe import ObjectRecipe
    from pipeline.objects.score_maps import SceneScores
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
    detector: Detector | None = None,
    progress: OnProgress = silent,
) -> ObjectOutcome:
    """Run an object search.

    Args:
        open_collections: Where the collections are.
        names: The collections to search; examples without a collection lie in the first.
        recipe: What to look for.
        examples: Further examples, such as those of a label file.
        picture: Pixels of an uploaded picture that the object fills, uint8 (h, h, 3).
        detector: A detector to apply, if the recipe names none; examples train it further.
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        NotFoundError: If there is no such collection, set of marks, scene or cells.
        InputError: If the recipe cannot be used.
    """
    collections = _searched(open_collections, names, recipe)
    every = (*examples_of(collections[0], recipe), *examples)
    origins = origins_of(open_collections, every)
    if detector is None and recipe.detector:
        detector = Detectors(open_collections.library.home).open(recipe.detector)
    if detector is not None:
        _refuse_picture(recipe, picture)
        return _apply(collections, recipe, detector, every, origins, progress)
    if picture is None and recipe.picture:
        picture = uploads.pixels(collections[0], recipe.picture)
    result = find(
        collections,
        every,
        origins=origins,
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


def scan_size(open_collections: OpenCollections, names: Sequence[str], recipe: ObjectRecipe) -> int:
    """About how many windows a search scores; scenes without cells count none.

    Raises:
        NotFoundError: If there is no such collection or detector.
    """
    widths = [each.width_m for each in recipe.all_examples() if each.width_m]
    size = max([*widths, recipe.object_size or 0.0])
    if recipe.detector:
        kept = Detectors(open_collections.library.home)
        size = kept.open(recipe.detector).ranking.size_m
    filters = recipe.filters()
    windows = 0.0
    for collection in _searched(open_collections, names, recipe):
        for scene in collection.scenes.values():
            scales = scales_of(collection, scene) if scene_passes(scene, filters) else []
            if scales:
                side = CELL_PIXELS / best_scale(scales, size / scene.gsd)
                windows += scene.width * scene.height / side**2
    return round(windows)


def _searched(
    open_collections: OpenCollections, names: Sequence[str], recipe: ObjectRecipe
) -> tuple[Collection, ...]:
    """The collections to search, each once.

    Raises:
        NotFoundError: If there is none of such a name, or they lack a scene of the filters.
    """
    every = dict.fromkeys((*names, *recipe.also))
    collections = tuple(open_collections.collection(name) for name in every)
    check_scenes(recipe.scenes, collections)
    return collections


def _apply(
    collections: tuple[Collection, ...],
    recipe: ObjectRecipe,
    detector: Detector,
    examples: Sequence[Example],
    origins: Sequence[Collection],
    progress: OnProgress,
) -> ObjectOutcome:
    """Apply a detector, which examples train further."""
    trained = _with_examples(collections, recipe, detector, examples, origins, progress)
    detector = trained.detector
    filters, notes = suited(detector, collections, recipe.filters())
    result = rank(
        collections,
        detector.ranking,
        spots=trained.spots,
        k=recipe.k,
        threshold=recipe.threshold,
        min_probability=recipe.min_probability,
        filters=filters,
        with_outlines=recipe.outlines,
        progress=progress,
    )
    result = replace(result, notes=(*trained.notes, *notes, *result.notes))
    return ObjectOutcome(collections, recipe, result, detector.cells, f"detector {detector.title}")


def _with_examples(
    collections: Sequence[Collection],
    recipe: ObjectRecipe,
    detector: Detector,
    examples: Sequence[Example],
    origins: Sequence[Collection],
    progress: OnProgress,
) -> Trained:
    """A detector, trained further by examples if there are any."""
    if not examples:
        return Trained(detector, ())
    return train_detector(
        collections[0],
        examples,
        detector.title,
        origins=origins,
        size_m=recipe.object_size,
        before=detector,
        progress=progress,
    )


#: Maximum number of windows to ask for.
MOST_ASKED = 200


def ask_objects(
    open_collections: OpenCollections,
    names: Sequence[str],
    recipe: ObjectRecipe,
    count: int,
    *,
    examples: Sequence[Example] = (),
    picture: np.ndarray | None = None,
    detector: Detector | None = None,
    progress: OnProgress = silent,
) -> ObjectOutcome:
    """What to judge next; the arguments are those of `find_objects`.

    Args:
        open_collections: Where the collections are.
        names: The collections.
        recipe: What is looked for, with the marks so far.
        count: Windows wanted.
        examples: Further examples.
        picture: Pixels of an uploaded picture that the object fills, uint8 (h, h, 3).
        detector: A detector whose doubts are asked for, if the recipe names none.
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        QueryError: If the count is out of range, or an example cannot be used.
        NotFoundError: If there is no such collection, set of marks, scene or cells.
    """
    if not 1 <= count <= MOST_ASKED:
        raise QueryError(
            f"n must be between 1 and {MOST_ASKED}", where=count, remedy="For instance 10"
        )
    collections = _searched(open_collections, names, recipe)
    every = (*examples_of(collections[0], recipe), *examples)
    origins = origins_of(open_collections, every)
    if detector is None and recipe.detector:
        detector = Detectors(open_collections.library.home).open(recipe.detector)
    filters = recipe.filters()
    if detector is not None:
        _refuse_picture(recipe, picture)
    if detector is None:
        if picture is None and recipe.picture:
            picture = uploads.pixels(collections[0], recipe.picture)
        learned = learn(
            collections,
            every,
            origins=origins,
            picture=picture,
            size_m=recipe.object_size,
            filters=filters,
            progress=progress,
        )
        ranking, spots, notes = learned.ranking, learned.spots, learned.notes
    else:
        trained = _with_examples(collections, recipe, detector, every, origins, progress)
        filters, notes = suited(trained.detector, collections, filters)
        ranking, spots = trained.detector.ranking, trained.spots
        notes = (*trained.notes, *notes)
    skipped = spots_of(collections[0], _skipped(collections[0], recipe))
    result = ask(
        collections,
        ranking,
        spots,
        count,
        skipped=skipped,
        filters=filters,
        progress=progress,
    )
    result = replace(result, notes=(*notes, *result.notes))
    model = identity_of(collections[0].manifest.model.weights_sha256)
    return ObjectOutcome(collections, recipe, result, model, recipe.label)


def _refuse_picture(recipe: ObjectRecipe, picture: np.ndarray | None) -> None:
    if picture is not None or recipe.picture:
        raise QueryError(
            "A detector is applied as it is, without a picture",
            remedy="Search with the picture alone, or mark objects to train the detector further",
        )


def origins_of(
    open_collections: OpenCollections, examples: Sequence[Example]
) -> tuple[Collection, ...]:
    """The collections that examples name.

    Raises:
        NotFoundError: If there is no such collection.
    """
    names = {example.collection for example in examples if example.collection}
    return tuple(open_collections.collection(name) for name in sorted(names))


def maps_of(outcome: ObjectOutcome, progress: OnProgress = silent) -> list[SceneScores]:
    """The whole score maps of a search that was run."""
    made = outcome.result.maps
    if made and all(scored.tiles is None for scored in made):
        return list(made)
    filters = outcome.recipe.filters()
    return score_maps(outcome.collections, outcome.result.ranking, filters, progress)


def examples_of(collection: Collection, recipe: ObjectRecipe) -> tuple[Example, ...]:
    """The examples and the marks of a recipe."""
    return (*recipe.all_examples(), *_marked(collection, recipe))


def _marked(collection: Collection, recipe: ObjectRecipe) -> list[Example]:
    """The examples of the recipe's set of marks; skipped ones are none."""
    return _of_label(collection, recipe, ("good", "bad"))


def _skipped(collection: Collection, recipe: ObjectRecipe) -> list[Example]:
    return _of_label(collection, recipe, ("skip",))


def _of_label(collection: Collection, recipe: ObjectRecipe, labels: Sequence[str]) -> list[Example]:
    """The objects of the recipe's set that are marked so; marks on chips are none."""
    if recipe.marks is None:
        return []
    kept = marks.present(marks.read(collection, recipe.marks))
    return [example_of(mark) for mark in kept if mark.label in labels and not mark.chip]
