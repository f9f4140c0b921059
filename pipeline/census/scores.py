"""What a detector or a search expects in each unit, and the list that it makes.

Scored things are found objects or, of a chip search, chips.  Each counts in the units that its
centre may lie in: an object's by a normal distribution, because a detector places its centre within
a few pixels only; a chip's by its area, because a thing may be anywhere in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.census.design import LEVELS
from pipeline.imagery.chips import CHIP
from pipeline.objects.recipe import MAX_OBJECTS, ObjectRecipe
from pipeline.objects.saved import ObjectSearches
from pipeline.objects.service import find_objects
from pipeline.search import service as chip_service
from pipeline.search.saved import Searches

if TYPE_CHECKING:
    from pipeline.census.units import Unit
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.detector import Detector
    from pipeline.objects.places import Example
    from pipeline.objects.service import ObjectOutcome
    from pipeline.progress import OnProgress
    from pipeline.search.open_collections import OpenCollections

#: Standard deviation of an object's place, as a share of its size.
LOOSENESS = 1 / 6
#: Objects that are scored: so many for each unit, within these limits.
_PER_UNIT, _FEWEST, _MOST = 2, 4_000, MAX_OBJECTS
#: Robust deviations above the median at which a chip's score is an even chance, and how fast chance
#: rises.  The judgements put both right.
_EVEN, _STEEP = 3.0, 1.5
#: Chance of a thing that is marked good.
_SURE = 0.998
#: Minimum score of the list of an object search, if nobody says otherwise.
THRESHOLD = 0.5


@dataclass(frozen=True, eq=False)
class Scored:
    """Scored things of some scenes.

    Attributes:
        scenes: int (n,), rows of the census's scenes.
        cols: float (n,), centres in pixels of the scene.
        rows: float (n,).
        sizes: float (n,), widths in pixels.
        chances: float (n,), 0 to 1, like probabilities.
        listed: bool (n,), whether they are of the list.
        chips: Whether they are chips.
        share: How many places one of them counts for: chips overlap.
        query: What was looked for, in words.
        source: How the scores were made, JSON.
        notes: What to know, sentences without their full stops.
    """

    scenes: np.ndarray
    cols: np.ndarray
    rows: np.ndarray
    sizes: np.ndarray
    chances: np.ndarray
    listed: np.ndarray
    chips: bool
    share: float
    query: str
    source: Mapping[str, Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Expectation:
    """What a round begins from.

    Attributes:
        mass: float (n, 16): in each unit, scored things at each level.
        listed: int (n,): things of the list whose centres lie in each unit.
        items: The list: unit (a row), lon, lat, width in metres, score.
    """

    mass: np.ndarray
    listed: np.ndarray
    items: tuple[tuple[int, float, float, float, float], ...]


def object_scores(
    open_collections: OpenCollections,
    name: str,
    scenes: Sequence[Scene],
    recipe: ObjectRecipe,
    units: int,
    *,
    examples: Sequence[Example] = (),
    detector: Detector | None = None,
    threshold: float | None = None,
    source: Mapping[str, Any],
    progress: OnProgress,
) -> Scored:
    """The objects of a detector or an object search in some scenes.

    Args:
        open_collections: Where the collection is.
        name: The collection.
        scenes: The scenes of the census.
        recipe: What to look for; its filters and its number of objects do not count.
        units: Number of units.
        examples: Further examples.
        detector: A detector that is applied.
        threshold: Minimum score of the list.
        source: How the scores are made, JSON.
        progress: Called for every scene; may raise `Cancelled`.
    """
    count = int(min(max(_PER_UNIT * units, _FEWEST), _MOST))
    fields = {
        key: value
        for key, value in recipe.to_dict().items()
        if key in ("at", "box", "examples", "marks", "detector", "picture", "object_size")
    }
    plain = {"scenes": [scene.id for scene in scenes], "k": count}
    run = ObjectRecipe.from_fields({**fields, **plain}, start=False)
    outcome = find_objects(
        open_collections, [name], run, examples=examples, detector=detector, progress=progress
    )
    least = threshold if threshold is not None else recipe.threshold
    query = f"{len(examples)} labels" if examples else ""
    return _of_outcome(outcome, scenes, THRESHOLD if least is None else least, source, query)


def _of_outcome(
    outcome: ObjectOutcome,
    scenes: Sequence[Scene],
    threshold: float,
    source: Mapping[str, Any],
    query: str,
) -> Scored:
    rows = {scene.id: row for row, scene in enumerate(scenes)}
    found = [each for each in outcome.result.objects if each.scene_id in rows]
    certain = all(each.probability is not None for each in found)
    lacking = [each.title for each in outcome.result.missing if each.id in rows]
    notes = list(outcome.result.notes)
    if lacking:
        notes.append(f"{len(lacking)} scenes have no object cells; their units are drawn at random")
    scores = np.array([each.score for each in found], float)
    chances = np.array([each.probability for each in found], float) if certain else scores
    # Somebody has looked at what is marked.
    marks = np.array([each.mark for each in found], object)
    chances = np.where(marks == "good", _SURE, np.where(marks == "bad", 1 - _SURE, chances))
    return Scored(
        scenes=np.array([rows[each.scene_id] for each in found], int),
        cols=np.array([each.col for each in found], float),
        rows=np.array([each.row for each in found], float),
        sizes=np.array([max(each.width, each.height) for each in found], float),
        chances=chances,
        listed=((scores >= threshold) & (marks != "bad")) | (marks == "good"),
        chips=False,
        share=1.0,
        query=query or outcome.label,
        source={**source, "threshold": threshold, "model": str(outcome.model)},
        notes=tuple(notes),
    )


def saved_scores(
    open_collections: OpenCollections,
    collection: Collection,
    scenes: Sequence[Scene],
    search_id: str,
    units: int,
    *,
    threshold: float | None,
    progress: OnProgress,
) -> Scored:
    """The scores of a saved search, of objects or of chips.

    Raises:
        NotFoundError: If the collection has no saved search of this id.
    """
    source = {"saved": search_id}
    if ObjectSearches(collection).holds(search_id):
        kept = ObjectSearches(collection).get(search_id)
        return object_scores(
            open_collections,
            collection.name,
            scenes,
            kept.recipe,
            units,
            threshold=threshold,
            source={**source, "recipe": kept.recipe.to_dict()},
            progress=progress,
        )
    saved = Searches(collection).get(search_id)
    scores = chip_service.scores(open_collections, collection.name, saved.recipe).astype(float)
    return _of_chips(collection, scenes, scores, threshold, dict(saved.hits), saved.query,
                     {**source, "recipe": saved.recipe.to_dict()})  # fmt: skip


def _of_chips(
    collection: Collection,
    scenes: Sequence[Scene],
    scores: np.ndarray,
    threshold: float | None,
    hits: Mapping[str, float],
    query: str,
    source: Mapping[str, Any],
) -> Scored:
    table = collection.chips
    of_scene = {scene.id: row for row, scene in enumerate(scenes)}
    numbers = np.array([of_scene.get(each, -1) for each in table.scene_ids], int)[table.scene]
    kept = np.flatnonzero((numbers >= 0) & np.isfinite(scores))
    scores = scores[kept]
    middle = float(np.median(scores)) if len(scores) else 0.0
    spread = 1.4826 * float(np.median(np.abs(scores - middle))) if len(scores) else 0.0
    notes: tuple[str, ...] = ()
    if spread > 0:
        raised = ((scores - middle) / spread - _EVEN) * _STEEP
        chances = 1 / (1 + np.exp(-raised.clip(-30, 30)))
    else:
        chances = np.zeros(len(scores))
        notes = ("All chips have one score: units are drawn at random",)
    ids = {each: score for each, score in hits.items() if threshold is None or score >= threshold}
    listed = np.array([table.id_of(int(row)) in ids for row in kept], bool)
    return Scored(
        scenes=numbers[kept],
        cols=table.cols[kept] + CHIP / 2,
        rows=table.rows[kept] + CHIP / 2,
        sizes=np.full(len(kept), float(CHIP)),
        chances=chances,
        listed=listed,
        chips=True,
        share=(collection.manifest.stride / CHIP) ** 2,
        query=query,
        source={**source, "threshold": threshold, "version": collection.version},
        notes=notes,
    )


def expectation(
    scored: Scored, units: Sequence[Unit], scenes: Sequence[Scene], side: int
) -> Expectation:
    """What scored things make of each unit.

    Args:
        scored: The things.
        units: The units.
        scenes: The scenes of the census.
        side: Side of a unit in pixels.
    """
    mass = np.zeros((len(units), len(LEVELS)))
    listed = np.zeros(len(units), int)
    items: list[tuple[int, float, float, float, float]] = []
    by_scene: dict[str, list[int]] = {}
    for row, unit in enumerate(units):
        by_scene.setdefault(unit.scene_id, []).append(row)
    at, share = _levels(scored.chances)
    for number, scene in enumerate(scenes):
        theirs = by_scene.get(scene.id, [])
        here = np.flatnonzero((scored.scenes == number) & (scored.chances > 0))
        grid = _grid(scene, units, theirs, side)
        for rows, weights, things in _spread(scored, here, grid, side):
            weights = weights * scored.share
            np.add.at(mass, (rows, at[things]), weights * (1 - share[things]))
            np.add.at(mass, (rows, at[things] + 1), weights * share[things])
        items += _listed(scored, np.flatnonzero((scored.scenes == number) & scored.listed), scene,
                         units, grid, side)  # fmt: skip
    for unit_row, *_ in items:
        listed[unit_row] += 1
    return Expectation(np.round(mass, 5), listed, tuple(items))


def _levels(chances: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The level below each chance, and the share of the level above."""
    held = chances.clip(1e-6, 1 - 1e-6)
    step = LEVELS[1] - LEVELS[0]
    place = (np.log(held / (1 - held)) - LEVELS[0]).clip(0, LEVELS[-1] - LEVELS[0]) / step
    below = np.minimum(place.astype(int), len(LEVELS) - 2)
    return below, place - below


def _grid(scene: Scene, units: Sequence[Unit], theirs: Sequence[int], side: int) -> np.ndarray:
    """int (rows, columns): which unit each square of a scene is, -1 for none."""
    grid = np.full((-(-scene.height // side), -(-scene.width // side)), -1)
    for row in theirs:
        grid[units[row].top // side, units[row].left // side] = row
    return grid


def _spread(
    scored: Scored, here: np.ndarray, grid: np.ndarray, side: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Units, shares and things: how much of each thing's centre lies in which units."""
    if not len(here):
        return []
    cols, rows, sizes = scored.cols[here], scored.rows[here], scored.sizes[here]
    reach = sizes * (0.5 if scored.chips else 3 * LOOSENESS)
    around = int(np.ceil(reach.max() / side))
    found = []
    for down in range(-around, around + 1):
        for across in range(-around, around + 1):
            col, row = cols // side + across, rows // side + down
            shares = _within(cols, col * side, side, sizes, chips=scored.chips)
            shares *= _within(rows, row * side, side, sizes, chips=scored.chips)
            inside = (col >= 0) & (row >= 0) & (col < grid.shape[1]) & (row < grid.shape[0])
            kept = np.flatnonzero(inside & (shares > 1e-4))
            units = grid[row[kept].astype(int), col[kept].astype(int)]
            used = units >= 0
            found.append((units[used], shares[kept][used], here[kept][used]))
    return found


def _within(
    at: np.ndarray, start: np.ndarray, side: int, sizes: np.ndarray, *, chips: bool
) -> np.ndarray:
    """Probability that a centre lies between `start` and `start + side`, along one axis."""
    from scipy.special import ndtr

    if chips:
        low, high = at - sizes / 2, at + sizes / 2
        overlap = np.minimum(high, start + side) - np.maximum(low, start)
        return overlap.clip(0) / sizes
    spread = np.maximum(LOOSENESS * sizes, 1.0)
    return np.asarray(ndtr((start + side - at) / spread) - ndtr((start - at) / spread))


def _listed(
    scored: Scored,
    here: np.ndarray,
    scene: Scene,
    units: Sequence[Unit],
    grid: np.ndarray,
    side: int,
) -> list[tuple[int, float, float, float, float]]:
    found = []
    lons, lats = scene.georeference.lonlat(scored.cols[here], scored.rows[here])
    for i, lon, lat in zip(here, lons, lats, strict=True):
        col, row = float(scored.cols[i]), float(scored.rows[i])
        y, x = int(row // side), int(col // side)
        if not (0 <= y < grid.shape[0] and 0 <= x < grid.shape[1]) or grid[y, x] < 0:
            continue
        unit = int(grid[y, x])
        if units[unit].holds(np.array([col]), np.array([row]))[0]:
            found.append((unit, round(float(lon), 7), round(float(lat), 7),
                          round(float(scored.sizes[i]) * scene.gsd, 2),
                          round(float(scored.chances[i]), 5)))  # fmt: skip
    return found
