"""Windows ranked by a model, and the objects that their maxima are."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.objects import scan, shortlist
from pipeline.objects.calibration import FEWEST
from pipeline.objects.eligible import eligible_windows, scene_passes
from pipeline.objects.notes import calibration_note, width_notes
from pipeline.objects.objects import FoundObject, found_objects
from pipeline.objects.open_cells import MappedCells, best_scale, missing, open_cells, scales_of
from pipeline.objects.outlines import outlines
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.calibration import Calibration
    from pipeline.objects.model import ObjectModel
    from pipeline.objects.places import Spot
    from pipeline.objects.scan import Peaks
    from pipeline.search.filters import Filters

#: Two objects are one if their centres are nearer than this share of their size, along both axes.
APART = 0.5
#: Windows of a scene that the second stage of a model ranks again.
SECOND_STAGE = 4_000
#: Note of an answer from scenes so large that only the promising tiles of them were scored.
PARTIAL = (
    "The most promising places were scored, not all: the first hits are the same, and weak ones "
    "may be missing; a smaller area is scored whole"
)


@dataclass(frozen=True, eq=False)
class Ranking:
    """How windows are ranked.

    Attributes:
        model: Ranks unit vectors of windows; its logits as 0 to 1 are the scores.
        size_m: Size in metres of the thing sought.
        trained: Whether marks trained it; otherwise a click did.
        calibration: Probabilities of its logits; None while there are too few marks.
        good: Good examples it learned from.
        bad: Bad examples.
    """

    model: ObjectModel
    size_m: float
    trained: bool = False
    calibration: Calibration | None = None
    good: int = 1
    bad: int = 0


@dataclass(frozen=True, eq=False)
class SceneCells:
    """A scene of a collection with its cells.

    Attributes:
        collection: The collection.
        mapped: The scene's cells, at the scale that suits the thing sought.
    """

    collection: Collection
    mapped: MappedCells


@dataclass(frozen=True, eq=False)
class SceneScores(SceneCells):
    """The score map of one scene.

    Attributes:
        ranking: Makes the map.
        tiles: bool, of `shortlist.tiles_shape`: where objects are looked for; None for everywhere.
    """

    ranking: Ranking
    tiles: np.ndarray | None = None

    @cached_property
    def logits(self) -> np.ndarray:
        """float32, of `scan.map_shape`: the first stage of the model; NaN where not scored."""
        return logits_of(self.mapped, self.ranking)

    def logit_at(self, row: int, col: int) -> float:
        """The logit of one window; NaN where it is not scored."""
        if self.tiles is None:
            return float(self.logits[row, col])
        if not self.mapped.inverse[row, col]:
            return float("nan")
        vector = scan.window_vectors(self.mapped.cells, np.array([row]), np.array([col]))
        return float(self.ranking.model.first(vector)[0])

    @property
    def scores(self) -> np.ndarray:
        """float32: the logits as 0 to 1."""
        return to_scores(self.logits)


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


@dataclass(frozen=True, eq=False)
class Hit:
    """One maximum of a scene's map."""

    scored: SceneScores
    row: int
    col: int
    logit: float
    mark: str = ""


def to_scores(logits: np.ndarray) -> np.ndarray:
    """Logits as scores, 0 to 1."""
    from scipy.special import expit

    return expit(logits)


def to_logit(score: float) -> float:
    """The logit of a score."""
    bounded = min(max(score, 1e-9), 1 - 1e-9)
    return float(np.log(bounded / (1 - bounded)))


def opened(
    collections: Sequence[Collection],
    size_m: float,
    filters: Filters | None = None,
    lacking: Callable[[Scene], object] = lambda scene: None,
) -> list[SceneCells]:
    """The scenes that pass the filters, with their cells at the scale that suits a size in metres.

    Args:
        collections: Where to look.
        size_m: Size of the thing sought.
        filters: Which scenes count.
        lacking: Called with every scene without cells.
    """
    found = []
    for collection in collections:
        for scene in collection.scenes.values():
            if not scene_passes(scene, filters):
                continue
            available = scales_of(collection, scene)
            if not available:
                lacking(scene)
                continue
            scale = best_scale(available, size_m / scene.gsd)
            found.append(SceneCells(collection, open_cells(collection, scene, scale)))
    return found


def score_maps(
    collections: Sequence[Collection],
    ranking: Ranking,
    filters: Filters | None = None,
    progress: OnProgress = silent,
    lacking: Callable[[Scene], object] = lambda scene: None,
    *,
    limit: int | None = None,
    spots: Sequence[Spot] = (),
) -> list[SceneScores]:
    """The score map of every scene that passes the filters and has cells.

    Args:
        collections: Where to look.
        ranking: How windows are ranked.
        filters: Which scenes count, and which of their windows may be found.
        progress: Called for every scene; may raise `Cancelled`.
        lacking: Called with every scene without cells.
        limit: Number of objects wanted.  If scenes are very large, only the tiles that promise
            them are looked at; None for whole maps.
        spots: Examples, from which `filters.away` is measured.
    """
    scenes = opened(collections, ranking.size_m, filters, lacking)

    def report(number: int) -> None:
        title = scenes[number].mapped.scene.title
        progress(Progress("Scanning", number, len(scenes), "scenes", title))

    tiles: Sequence[np.ndarray] | None = None
    if limit is not None and sum(s.mapped.inverse.size for s in scenes) > shortlist.WHOLE_UP_TO:
        allowed = [eligible_windows(s.collection, s.mapped, filters, spots) for s in scenes]
        tiles = shortlist.best_tiles(_promises(scenes, ranking, report), limit, allowed)
    maps = []
    for number, each in enumerate(scenes):
        report(number)
        if tiles is not None:
            maps.append(SceneScores(each.collection, each.mapped, ranking, tiles[number]))
            continue
        maps.append(SceneScores(each.collection, each.mapped, ranking))
        _ = maps[-1].logits  # scanned now, while progress is reported
    progress(Progress("Scanning", len(scenes), len(scenes), "scenes"))
    return maps


def _promises(
    scenes: Sequence[SceneCells], ranking: Ranking, report: Callable[[int], None]
) -> list[np.ndarray]:
    """What the tiles of each scene promise."""
    promised = []
    for number, each in enumerate(scenes):
        report(number)
        cells, samples = each.mapped.cells, each.mapped.samples
        promised.append(shortlist.promises(cells, samples, ranking.model.weights))
    return promised


def logits_of(mapped: MappedCells, ranking: Ranking) -> np.ndarray:
    """float32 (h, w): the logit of every window of a scene by the first stage."""
    model = ranking.model
    return scan.score_map(mapped.cells, mapped.inverse, model.weights, model.bias)


def radius_of(ranking: Ranking, mapped: MappedCells) -> float:
    """Cells within which two maxima are one object."""
    return max(APART * ranking.size_m / mapped.scene.gsd / mapped.side, 1.5)


def tops_of(
    scored: SceneScores, ranking: Ranking, limit: int, eligible: np.ndarray | None = None
) -> Peaks:
    """The best maxima of a scene's map, ranked by both stages of the model."""
    radius = radius_of(ranking, scored.mapped)
    most = max(limit, SECOND_STAGE) if ranking.model.kernel else limit
    tops = _first_tops(scored, radius, most, eligible)
    if not ranking.model.kernel or not len(tops):
        return tops
    vectors = scan.window_vectors(scored.mapped.cells, tops.rows, tops.cols)
    logits = ranking.model.logits(vectors, tops.scores)
    order = np.argsort(-logits, kind="stable")[:limit]
    return scan.Peaks(tops.rows[order], tops.cols[order], logits[order])


def _first_tops(
    scored: SceneScores, radius: float, most: int, eligible: np.ndarray | None
) -> Peaks:
    """The best maxima by the first stage of the model."""
    if scored.tiles is None:
        return scan.peaks(scored.logits, radius, most, eligible=eligible)
    mapped, model = scored.mapped, scored.ranking.model
    place = (mapped.cells, mapped.inverse, model.weights, scored.tiles, radius, most)
    return shortlist.peaks_in_tiles(*place, bias=model.bias, eligible=eligible)


def rank(
    collections: Sequence[Collection],
    ranking: Ranking,
    *,
    spots: Sequence[Spot] = (),
    k: int = 1_000,
    threshold: float | None = None,
    min_probability: float | None = None,
    filters: Filters | None = None,
    with_outlines: bool = False,
    progress: OnProgress = silent,
) -> ObjectResult:
    """The best objects of a ranking.

    Objects that a good example marks stay, whatever threshold, suppression and k say.

    Args:
        collections: Where to look; their objects are ranked together.
        ranking: How windows are ranked.
        spots: Examples, which mark the objects that they lie on.
        k: Maximum number of objects; those marked good are listed beyond it.
        threshold: Minimum score, 0 to 1.
        min_probability: Minimum probability, 0 to 1.
        filters: Which windows may be hits.
        with_outlines: Whether objects above the threshold have outlines.
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        NotFoundError: If no scene has cells.
        QueryError: If a probability is asked for and marks are too few for any.
        DamagedError: If cells cannot be read.
    """
    lacking: list[Scene] = []
    maps = score_maps(collections, ranking, filters, progress, lacking.append, limit=k, spots=spots)
    if not maps:
        raise missing(collections[0], collections[0].manifest.title)
    least = _least_logit(ranking, threshold, min_probability)
    hits: list[Hit] = []
    for scored in maps:
        allowed = eligible_windows(scored.collection, scored.mapped, filters)
        eligible = allowed
        if filters is not None and filters.away:
            eligible = eligible_windows(scored.collection, scored.mapped, filters, spots)
        tops = tops_of(scored, ranking, k, eligible)
        found = [
            Hit(scored, int(row), int(col), float(logit))
            for row, col, logit in zip(tops.rows, tops.cols, tops.scores, strict=True)
        ]
        hits += marked(found, scored, ranking, spots, allowed)
    kept = [hit for hit in hits if hit.logit >= least or hit.mark == "good"]
    kept.sort(key=lambda hit: -hit.logit)
    # Objects marked good are listed whatever their rank.
    listed = [hit for number, hit in enumerate(kept) if number < k or hit.mark == "good"]
    objects = objects_of(listed, ranking, least if with_outlines else None)
    notes = width_notes([(each.collection, each.mapped) for each in maps], ranking.size_m)
    if ranking.trained and ranking.calibration is None:
        notes = (calibration_note(ranking.good, ranking.bad), *notes)
    if any(scored.tiles is not None for scored in maps):
        notes = (PARTIAL, *notes)
    return ObjectResult(tuple(objects), len(kept), ranking, tuple(spots), tuple(lacking), notes)


def _least_logit(ranking: Ranking, threshold: float | None, min_probability: float | None) -> float:
    least = -np.inf if threshold is None else to_logit(threshold)
    if min_probability is None:
        return least
    if ranking.calibration is None:
        raise QueryError(
            "There are no probabilities yet: the marks are too few, or contradict each other",
            where=f"{ranking.good} good and {ranking.bad} bad",
            remedy=f"Mark at least {FEWEST} good and {FEWEST} bad objects, or ask for a minimum "
            "score instead",
        )
    curve = ranking.calibration
    return max(least, (to_logit(min_probability) - curve.offset) / curve.slope)


def marked(
    hits: Sequence[Hit],
    scored: SceneScores,
    ranking: Ranking,
    spots: Sequence[Spot],
    allowed: np.ndarray | None = None,
) -> list[Hit]:
    """The hits of a scene with the marks of the examples on them.

    A mark holds for the nearest hit.  A good example without a hit of its own becomes one, unless
    it lies on the same thing as another good one.

    Args:
        hits: The hits.
        scored: The scene.
        ranking: How they were ranked.
        spots: Examples, of other scenes too.
        allowed: bool, of the shape of the scene's map, False for windows that filters exclude;
            None if they exclude none.
    """
    here = [spot for spot in spots if spot.scene.id == scored.mapped.scene.id]
    found = list(hits)
    if not here:
        return found
    radius = radius_of(ranking, scored.mapped)
    places = np.array([(hit.row, hit.col) for hit in hits]).reshape(-1, 2)
    windows = [scored.mapped.window_at(spot.col, spot.row) for spot in here]
    nearest = [_nearest(places, window) for window in windows]
    taken: list[tuple[int, int]] = []
    # The nearest first, so that of several marks at one hit the one that is on it holds.
    for number in sorted(range(len(here)), key=lambda number: nearest[number][1]):
        spot, window, (which, distance) = here[number], windows[number], nearest[number]
        mark = "good" if spot.good else "bad"
        if distance < radius and not found[which].mark:
            found[which] = replace(found[which], mark=mark)
            if spot.good:
                taken += [window, (found[which].row, found[which].col)]
        elif spot.good and not _on_one(taken, window, radius / 2):
            found += _hits_at(scored, ranking, window, allowed)
            taken.append(window)
    return found


def _nearest(places: np.ndarray, window: tuple[int, int]) -> tuple[int, float]:
    """Which of the places (n, 2) is nearest to a window, and its distance, down or across."""
    if not len(places):
        return -1, np.inf
    off = np.abs(places - window)
    distances = off.max(1)
    which = int(np.lexsort((off.sum(1), distances))[0])
    return which, float(distances[which])


def _on_one(taken: Sequence[tuple[int, int]], window: tuple[int, int], radius: float) -> bool:
    """Whether a window lies on a thing that is marked good already."""
    return any(max(abs(row - window[0]), abs(col - window[1])) <= radius for row, col in taken)


def _hits_at(
    scored: SceneScores, ranking: Ranking, window: tuple[int, int], allowed: np.ndarray | None
) -> list[Hit]:
    """A good example as a hit; none if its window is not scored, or filters exclude it."""
    logit = scored.logit_at(*window)
    if not np.isfinite(logit) or (allowed is not None and not allowed[window]):
        return []
    if ranking.model.kernel:
        row, col = (np.array([place]) for place in window)
        vectors = scan.window_vectors(scored.mapped.cells, row, col)
        logit = ranking.model.logits(vectors, np.array([logit]))[0]
    return [Hit(scored, *window, float(logit), "good")]


def objects_of(
    hits: Sequence[Hit], ranking: Ranking, least: float | None = None
) -> list[FoundObject]:
    """The hits as objects, in their order.

    Args:
        hits: The hits.
        ranking: How they were ranked.
        least: Logit at which they have outlines, or None for windows.
    """
    made: dict[int, FoundObject] = {}
    by_scene: dict[int, list[int]] = {}
    for i, hit in enumerate(hits):
        by_scene.setdefault(id(hit.scored), []).append(i)
    for members in by_scene.values():
        chosen = [hits[i] for i in members]
        made |= dict(zip(members, _of_scene(chosen, ranking, least), strict=True))
    return [
        replace(made[i], rank=i + 1, mark=hit.mark, probability=_probability(ranking, hit.logit))
        for i, hit in enumerate(hits)
    ]


def _of_scene(hits: Sequence[Hit], ranking: Ranking, least: float | None) -> list[FoundObject]:
    scored = hits[0].scored
    mapped, scene = scored.mapped, scored.mapped.scene
    places = np.array([(hit.row, hit.col) for hit in hits])
    size = ranking.size_m / scene.gsd
    cols, rows = mapped.centres(places[:, 0], places[:, 1])
    boxes = np.column_stack([cols, rows, np.full(len(hits), size), np.full(len(hits), size)])
    shapes = None
    if least is not None and np.isfinite(least):
        # Of very large scenes one map is in memory at a time.
        logits = scored.logits if scored.tiles is None else logits_of(mapped, ranking)
        shapes = outlines(logits, places, least, scene, mapped.scale, window=scan.WINDOW)
    scores = to_scores(np.array([hit.logit for hit in hits]))
    return found_objects(scored.collection.name, scene, boxes, scores, outlines=shapes)


def _probability(ranking: Ranking, logit: float) -> float | None:
    if ranking.calibration is None:
        return None
    return float(ranking.calibration.probability(np.array([logit]))[0])
