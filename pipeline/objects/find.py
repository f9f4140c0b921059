"""Object search: from examples to all objects like them, in one or several collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.model import loader
from pipeline.model.basis import basis
from pipeline.model.cells import BEST_WIDTH
from pipeline.objects import scan
from pipeline.objects.eligible import eligible_windows, scene_passes
from pipeline.objects.objects import FoundObject, found_objects
from pipeline.objects.open_cells import MappedCells, best_scale, missing, open_cells, scales_of
from pipeline.objects.outlines import outlines
from pipeline.objects.places import Example, Spot, spot_of
from pipeline.objects.query import framed, turned_vectors, vectors_of
from pipeline.progress import OnProgress, Progress, silent
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.scan import Peaks
    from pipeline.search.filters import Filters

#: Maximum number of objects of one answer.
MAX_OBJECTS = 100_000
#: Two objects are one if their centres are nearer than this share of their size, along both axes.
APART = 0.6


@dataclass(frozen=True, eq=False)
class Ranking:
    """How windows are ranked: a linear function of their unit vectors.

    Attributes:
        weights: float32 (64,).
        bias: Added to the product.
        size_m: Size in metres of the thing sought.
    """

    weights: np.ndarray
    size_m: float
    bias: float = 0.0


@dataclass(frozen=True, eq=False)
class SceneScores:
    """The score map of one scene.

    Attributes:
        collection: Its collection.
        mapped: The scene's cells.
        scores: float32, of `scan.map_shape`; NaN where a window is not scored.
    """

    collection: Collection
    mapped: MappedCells
    scores: np.ndarray


@dataclass(frozen=True, eq=False)
class ObjectResult:
    """The answer of an object search.

    Attributes:
        objects: The best objects, in rank order.
        found: Number of objects above the threshold; more than `objects` if they are too many.
        ranking: How windows were ranked.
        spots: The examples, as windows of scenes.
        missing: Scenes that have no cells.
        notes: What else to know, sentences without their full stops.
    """

    objects: tuple[FoundObject, ...]
    found: int
    ranking: Ranking
    spots: tuple[Spot, ...]
    missing: tuple[Scene, ...] = ()
    notes: tuple[str, ...] = ()


def ranking_of(
    spots: Sequence[Spot],
    scales: Sequence[float],
    picture: np.ndarray | None = None,
    size_m: float | None = None,
) -> Ranking:
    """The ranking by likeness to examples: the mean of their vectors, turned four ways.

    Args:
        spots: The examples; one is good, unless there is a picture.
        scales: The scale at which each is seen.
        picture: A picture that the object fills, uint8 (h, h, 3).
        size_m: Size in metres of the object in the picture.

    Raises:
        QueryError: If there is no good example.
    """
    good = [spot for spot in spots if spot.good]
    if not good and picture is None:
        raise QueryError(
            "There is no good example to search from",
            remedy="Mark or draw at least one object that is what you look for",
        )
    embedder, steps = loader.cells(), basis().steps
    vectors = [
        turned_vectors([spot], scale, embedder, steps)[0].mean(0)
        for spot, scale in zip(spots, scales, strict=True)
        if spot.good
    ]
    if picture is not None:
        vectors.append(vectors_of(framed(picture)[None], embedder, steps)[0].mean(0))
    sizes = [spot.size_m for spot in good] or [size_m or 0.0]
    return Ranking(normalise(normalise(np.stack(vectors)).mean(0)), float(np.median(sizes)))


def find(
    collections: Sequence[Collection],
    examples: Sequence[Example],
    *,
    picture: np.ndarray | None = None,
    size_m: float | None = None,
    k: int = 1_000,
    threshold: float | None = None,
    filters: Filters | None = None,
    with_outlines: bool = False,
    progress: OnProgress = silent,
) -> ObjectResult:
    """Find all objects that look like the examples.

    Args:
        collections: Where to look; their objects are ranked together.  Examples lie in the first
            one unless they name another.
        examples: What to look for.
        picture: A picture that the object fills, uint8 (h, h, 3), beside or instead of examples.
        size_m: Width in metres of examples that have none, and of the object in the picture.
        k: Maximum number of objects.
        threshold: Minimum score, -1 to 1.
        filters: Which windows may be hits.
        with_outlines: Whether objects above the threshold have outlines.
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        QueryError: If an example cannot be used, or k is out of range.
        NotFoundError: If no scene lies under an example, or there are no cells at all.
        DamagedError: If cells or imagery cannot be read.
    """
    if not 1 <= k <= MAX_OBJECTS:
        raise QueryError(
            f"k must be between 1 and {MAX_OBJECTS}", where=k, remedy="For instance 1000"
        )
    by_name = {collection.name: collection for collection in collections}
    spots, scales = [], []
    for example in examples:
        collection = by_name.get(example.collection or "", collections[0])
        spot = spot_of(collection, example, size_m)
        available = scales_of(collection, spot.scene)
        if not available:
            raise missing(collection, spot.scene.title)
        spots.append(spot)
        scales.append(best_scale(available, spot.size))
    if picture is not None and size_m is None:
        size_m = BEST_WIDTH * min(scene.gsd for scene in collections[0].scenes.values())
    ranking = ranking_of(spots, scales, picture, size_m)
    return rank(
        collections,
        ranking,
        spots=spots,
        k=k,
        threshold=threshold,
        filters=filters,
        with_outlines=with_outlines,
        progress=progress,
    )


def rank(
    collections: Sequence[Collection],
    ranking: Ranking,
    *,
    spots: Sequence[Spot] = (),
    k: int = 1_000,
    threshold: float | None = None,
    filters: Filters | None = None,
    with_outlines: bool = False,
    progress: OnProgress = silent,
) -> ObjectResult:
    """The best objects of a ranking; see `find`."""
    lacking: list[Scene] = []
    answers: list[tuple[SceneScores, Peaks]] = []
    for scored in score_maps(collections, ranking, filters, progress, lacking.append):
        eligible = eligible_windows(scored.collection, scored.mapped, filters, spots)
        radius = radius_of(ranking, scored.mapped)
        lowest = -np.inf if threshold is None else threshold
        tops = scan.peaks(scored.scores, radius, k, threshold=lowest, eligible=eligible)
        answers.append((scored, tops))
    if not answers:
        first = collections[0]
        raise missing(first, first.manifest.title)
    objects = _merged(answers, ranking, k, threshold if with_outlines else None)
    found = sum(len(tops) for _, tops in answers)
    return ObjectResult(tuple(objects), found, ranking, tuple(spots), tuple(lacking))


def score_maps(
    collections: Sequence[Collection],
    ranking: Ranking,
    filters: Filters | None = None,
    progress: OnProgress = silent,
    lacking: Callable[[Scene], object] = lambda scene: None,
) -> list[SceneScores]:
    """The score map of every scene that passes the filters and has cells.

    Args:
        collections: Where to look.
        ranking: How windows are ranked.
        filters: Which scenes count.
        progress: Called for every scene; may raise `Cancelled`.
        lacking: Called with every scene without cells.
    """
    scenes = [
        (collection, scene)
        for collection in collections
        for scene in collection.scenes.values()
        if scene_passes(scene, filters)
    ]
    maps = []
    for number, (collection, scene) in enumerate(scenes):
        progress(Progress("Scanning", number, len(scenes), "scenes", scene.title))
        available = scales_of(collection, scene)
        if not available:
            lacking(scene)
            continue
        scale = best_scale(available, ranking.size_m / scene.gsd)
        mapped = open_cells(collection, scene, scale)
        scores = scan.score_map(mapped.cells, mapped.inverse, ranking.weights, ranking.bias)
        maps.append(SceneScores(collection, mapped, scores))
    progress(Progress("Scanning", len(scenes), len(scenes), "scenes"))
    return maps


def radius_of(ranking: Ranking, mapped: MappedCells) -> float:
    """Cells within which two maxima are one object."""
    return max(APART * ranking.size_m / mapped.scene.gsd / mapped.side, 1.5)


def _merged(
    answers: Sequence[tuple[SceneScores, Peaks]],
    ranking: Ranking,
    k: int,
    threshold: float | None,
) -> list[FoundObject]:
    """The best objects of several scenes, ranked together."""
    numbers = np.repeat(np.arange(len(answers)), [len(tops) for _, tops in answers])
    places = np.concatenate([np.arange(len(tops)) for _, tops in answers])
    scores = np.concatenate([tops.scores for _, tops in answers])
    order = np.argsort(-scores, kind="stable")[:k]
    made: dict[tuple[int, int], FoundObject] = {}
    for number, (scored, tops) in enumerate(answers):
        chosen = np.sort(places[order[numbers[order] == number]])
        objects = _objects(scored, tops, chosen, ranking, threshold)
        made |= dict(zip([(number, int(place)) for place in chosen], objects, strict=True))
    ranked = [made[int(numbers[i]), int(places[i])] for i in order]
    return [replace(found, rank=rank) for rank, found in enumerate(ranked, 1)]


def _objects(
    scored: SceneScores,
    tops: Peaks,
    chosen: np.ndarray,
    ranking: Ranking,
    threshold: float | None,
) -> list[FoundObject]:
    mapped, scene = scored.mapped, scored.mapped.scene
    rows, cols = tops.rows[chosen], tops.cols[chosen]
    size = ranking.size_m / scene.gsd
    x, y = mapped.centres(rows, cols)
    boxes = np.column_stack([x, y, np.full(len(x), size), np.full(len(x), size)])
    shapes = None
    if threshold is not None:
        places = np.column_stack([rows, cols])
        shapes = outlines(scored.scores, places, threshold, scene, mapped.scale)
    name = scored.collection.name
    return found_objects(name, scene, boxes, tops.scores[chosen], outlines=shapes)
