"""Hits: the maxima of score maps, with the marks on them, and the objects that they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from pipeline.objects import scan, shortlist
from pipeline.objects.asking import is_free
from pipeline.objects.chance import WindowChance
from pipeline.objects.objects import FoundObject, found_objects
from pipeline.objects.outlines import outlines
from pipeline.objects.peaks import Peaks, last_of, peaks
from pipeline.objects.ranking import Ranking, to_scores
from pipeline.objects.score_maps import SceneScores, logits_of

if TYPE_CHECKING:
    from pipeline.objects.open_cells import MappedCells
    from pipeline.objects.places import Spot

#: Two objects are one if their centres are nearer than this share of their size, along both axes.
APART = 0.5
#: Windows of all scenes that the second stage of a model ranks again; ten times the number wanted
#: is enough.
SECOND_STAGE = 4_000


@dataclass(frozen=True, eq=False)
class Hit:
    """One maximum of a scene's map."""

    scored: SceneScores
    row: int
    col: int
    logit: float
    mark: str = ""


def radius_of(ranking: Ranking, mapped: MappedCells) -> float:
    """Cells within which two maxima are one object."""
    return max(APART * ranking.size_m / mapped.scene.gsd / mapped.side, 1.5)


def tops_of(
    maps: Sequence[SceneScores],
    ranking: Ranking,
    limit: int,
    eligible: Sequence[np.ndarray | None] | None = None,
) -> list[Peaks]:
    """The best maxima of each of some scenes' maps, ranked by both stages of the model.

    Args:
        maps: The score maps.
        ranking: What made them.
        limit: Maximum number in a scene.
        eligible: For each map bool, of its shape, False for windows that may not be found; None
            where all may.
    """
    allowed = [None] * len(maps) if eligible is None else eligible
    if not ranking.model.kernel:
        return [
            _first_tops(scored, limit, windows)
            for scored, windows in zip(maps, allowed, strict=True)
        ]
    most = max(limit, min(SECOND_STAGE, 10 * limit))
    tops: list[Peaks] = []
    least = -np.inf
    for scored, windows in zip(maps, allowed, strict=True):
        tops.append(_first_tops(scored, most, windows, least))
        least = last_of(tops, most)
    return [
        _second_tops(scored, each.where(each.scores >= least), limit)
        for scored, each in zip(maps, tops, strict=True)
    ]


def _first_tops(
    scored: SceneScores, most: int, eligible: np.ndarray | None, least: float = -np.inf
) -> Peaks:
    """The best maxima by the first stage of the model."""
    radius = radius_of(scored.ranking, scored.mapped)
    if scored.tiles is None:
        return peaks(scored.logits, radius, most, threshold=least, eligible=eligible)
    mapped, model = scored.mapped, scored.ranking.model
    place = (mapped.cells, mapped.inverse, model.weights, scored.tiles, radius, most)
    return shortlist.peaks_in_tiles(*place, bias=model.bias, eligible=eligible)


def _second_tops(scored: SceneScores, tops: Peaks, limit: int) -> Peaks:
    """Maxima, ranked again by both stages of the model."""
    if not len(tops):
        return tops
    vectors = scan.window_vectors(scored.mapped.cells, tops.rows, tops.cols)
    logits = scored.ranking.model.logits(vectors, tops.scores)
    order = np.argsort(-logits, kind="stable")[:limit]
    return Peaks(tops.rows[order], tops.cols[order], logits[order])


def off_spots(
    tops: Peaks, scored: SceneScores, ranking: Ranking, spots: Sequence[Spot]
) -> np.ndarray:
    """bool (n,): the maxima of a scene that lie on none of the examples, of any scene."""
    here = [
        (0, *scored.mapped.window_at(spot.col, spot.row))
        for spot in spots
        if spot.scene.id == scored.mapped.scene.id
    ]
    apart = radius_of(ranking, scored.mapped)
    return is_free(tops.rows, tops.cols, np.zeros(len(tops), int), np.array(here), apart)


def hits_of(scored: SceneScores, tops: Peaks) -> list[Hit]:
    """The maxima of a scene as hits."""
    columns = (axis.tolist() for axis in (tops.rows, tops.cols, tops.scores))
    return [Hit(scored, *values) for values in zip(*columns, strict=True)]


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
    hits: Mapping[int, Hit],
    ranking: Ranking,
    least: float | None = None,
    chance: WindowChance | None = None,
) -> list[FoundObject]:
    """The hits as objects, in their order.

    Args:
        hits: The hits by rank.
        ranking: How they were ranked.
        least: Logit at which they have outlines, or None for windows.
        chance: What likeness to the examples means among these windows.
    """
    made: dict[int, FoundObject] = {}
    by_scene: dict[int, list[int]] = {}
    for rank, hit in hits.items():
        by_scene.setdefault(id(hit.scored), []).append(rank)
    for ranks in by_scene.values():
        found = _of_scene([hits[rank] for rank in ranks], ranks, ranking, least, chance)
        made |= dict(zip(ranks, found, strict=True))
    return [made[rank] for rank in hits]


def _of_scene(
    hits: Sequence[Hit],
    ranks: Sequence[int],
    ranking: Ranking,
    least: float | None,
    chance: WindowChance | None,
) -> list[FoundObject]:
    scored = hits[0].scored
    mapped, scene = scored.mapped, scored.mapped.scene
    places = np.array([(hit.row, hit.col) for hit in hits])
    logits = np.array([hit.logit for hit in hits])
    size = ranking.size_m / scene.gsd
    cols, rows = mapped.centres(places[:, 0], places[:, 1])
    boxes = np.column_stack([cols, rows, np.full(len(hits), size), np.full(len(hits), size)])
    shapes = None
    if least is not None and np.isfinite(least):
        # Of very large scenes one map is in memory at a time.
        score_map = scored.logits if scored.tiles is None else logits_of(mapped, ranking)
        shapes = outlines(score_map, places, least, scene, mapped.scale, window=scan.WINDOW)
    curve = ranking.calibration
    return found_objects(
        scored.collection.name,
        scene,
        boxes,
        to_scores(logits),
        ranks=ranks,
        probabilities=curve.probability(logits).tolist() if curve else None,
        outlines=shapes,
        marks=[hit.mark for hit in hits],
        by_chance=chance.by_chance(scan.window_vectors(mapped.cells, *places.T))
        if chance
        else None,
    )
