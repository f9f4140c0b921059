"""Score maps: what a ranking makes of every window of the scenes searched."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from pipeline.objects import scan, shortlist
from pipeline.objects.eligible import eligible_windows, scene_passes
from pipeline.objects.open_cells import MappedCells, best_scale, open_cells, scales_of
from pipeline.objects.ranking import Ranking, to_scores
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.places import Spot
    from pipeline.search.filters import Filters


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
