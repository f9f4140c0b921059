"""Score maps: what a ranking makes of every window of the scenes searched."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeVar

import numpy as np

from pipeline.errors import NotFoundError
from pipeline.objects import scan, shortlist
from pipeline.objects.eligible import eligible_windows, scene_passes
from pipeline.objects.open_cells import (
    MappedCells,
    best_scale,
    forget_removed,
    open_cells,
    scales_of,
)
from pipeline.objects.ranking import Ranking, to_scores
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.places import Spot
    from pipeline.search.filters import Filters

#: Seconds between reports of a scan, and so until it notices that it was cancelled.
REPORT_SECONDS = 0.1
_Read = TypeVar("_Read")


@dataclass(frozen=True, eq=False)
class SearchedScene:
    """A scene of a collection with its cells.

    Attributes:
        collection: The collection.
        mapped: The scene's cells, at the scale that suits the thing sought.
    """

    collection: Collection
    mapped: MappedCells


@dataclass(frozen=True, eq=False)
class SceneScores(SearchedScene):
    """The score map of one scene.

    Attributes:
        ranking: Makes the map.
        tiles: bool, of `shortlist.tiles_shape`: where objects are looked for; None for everywhere.
        check: Called between pieces while the map is made; raises to stop.
    """

    ranking: Ranking
    tiles: np.ndarray | None = None
    check: Callable[[], None] | None = None

    @cached_property
    def logits(self) -> np.ndarray:
        """float32, of `scan.map_shape`: the first stage of the model; NaN where not scored."""
        return logits_of(self.mapped, self.ranking, self.check)

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
) -> list[SearchedScene]:
    """The scenes that pass the filters, with their cells at the scale that suits a size in metres.

    Args:
        collections: Where to look.
        size_m: Size of the thing sought.
        filters: Which scenes count.
        lacking: Called with every scene without cells.
    """
    forget_removed()
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
            found.append(SearchedScene(collection, open_cells(collection, scene, scale)))
    return found


def score_maps(
    collections: Sequence[Collection],
    ranking: Ranking,
    filters: Filters | None = None,
    progress: OnProgress = silent,
    lacking: Callable[[Scene], object] = lambda scene: None,
    *,
    limit: int | None = None,
    whole_up_to: int | None = None,
    spots: Sequence[Spot] = (),
) -> list[SceneScores]:
    """The score map of every scene that passes the filters and has cells.

    Args:
        collections: Where to look.
        ranking: How windows are ranked.
        filters: Which scenes count, and which of their windows may be found.
        progress: Called for every scene and within large ones; may raise `Cancelled`.
        lacking: Called with every scene without cells, or whose cells are removed meanwhile.
        limit: Number of objects wanted.  If scenes are very large, only the tiles that promise
            them are looked at; None for whole maps.
        whole_up_to: Windows up to which all are looked at; by default `shortlist.WHOLE_UP_TO`.
        spots: Examples, from which `filters.away` is measured.

    Raises:
        NotFoundError: If the cells of all scenes are removed meanwhile.
    """
    most = shortlist.WHOLE_UP_TO if whole_up_to is None else whole_up_to
    scenes = opened(collections, ranking.size_m, filters, lacking)
    steps = _Steps(scenes, progress)
    tiles: Sequence[np.ndarray] | None = None
    if limit is not None and steps.total > most:
        promised = _present(scenes, partial(_promises, ranking=ranking, steps=steps), lacking)
        scenes = [each for each, _ in promised]
        allowed = [eligible_windows(s.collection, s.mapped, filters, spots) for s in scenes]
        tiles = shortlist.best_tiles([each for _, each in promised], limit, allowed)
        if tiles is None:
            steps = _Steps(scenes, progress)
    if tiles is None:
        scanned = _present(scenes, partial(_scanned, ranking=ranking, steps=steps), lacking)
        maps = [each for _, each in scanned]
    else:
        maps = [
            SceneScores(each.collection, each.mapped, ranking, chosen)
            for each, chosen in zip(scenes, tiles, strict=True)
        ]
    steps.end()
    return maps


def _present(
    scenes: Sequence[SearchedScene],
    read: Callable[[SearchedScene], _Read],
    lacking: Callable[[Scene], object],
) -> list[tuple[SearchedScene, _Read]]:
    """What is read of each scene; one whose cells were removed meanwhile is lacking.

    Raises:
        NotFoundError: If those of all scenes were removed.
    """
    found: list[tuple[SearchedScene, _Read]] = []
    for scene in scenes:
        try:
            found.append((scene, read(scene)))
        except NotFoundError:
            lacking(scene.mapped.scene)
            if scene is scenes[-1] and not found:
                raise
    return found


class _Steps:
    """Reports how far a scan is, within scenes too.

    Args:
        scenes: What is scanned.
        progress: Called with the windows that were scanned; may raise `Cancelled`.
    """

    def __init__(self, scenes: Sequence[SearchedScene], progress: OnProgress) -> None:
        self.total = sum(each.mapped.inverse.size for each in scenes)
        self._progress = progress
        self._before = self._within = self._size = 0
        self._title = ""
        self._reported = 0.0
        self._lock = threading.Lock()

    def begin(self, scene: SearchedScene) -> None:
        """A scene is scanned next."""
        self._before, self._within = self._before + self._size, 0
        self._size, self._title = scene.mapped.inverse.size, scene.mapped.scene.title
        self._report()

    def piece(self, windows: int = scan.PIECE) -> None:
        """About so many windows are scanned next.  Threads call this at the same time."""
        with self._lock:
            self._within = min(self._within + windows, self._size)
            if time.monotonic() - self._reported > REPORT_SECONDS:
                self._report()

    def end(self) -> None:
        """All is scanned."""
        self._before, self._within = self.total, 0
        self._report()

    def _report(self) -> None:
        self._reported = time.monotonic()
        done = self._before + self._within
        self._progress(Progress("Scanning", done, self.total, "windows", self._title))


def _scanned(scene: SearchedScene, ranking: Ranking, steps: _Steps) -> SceneScores:
    """The map of a scene, scanned now, while progress is reported."""
    steps.begin(scene)
    scored = SceneScores(scene.collection, scene.mapped, ranking, check=steps.piece)
    _ = scored.logits
    return scored


def _promises(scene: SearchedScene, ranking: Ranking, steps: _Steps) -> np.ndarray:
    """What the tiles of a scene promise."""
    steps.begin(scene)
    cells, samples = scene.mapped.cells, scene.mapped.samples
    windows = shortlist.PIECE * shortlist.STRIDE**2
    check = partial(steps.piece, windows)
    return shortlist.promises(cells, samples, ranking.model.weights, check)


def logits_of(
    mapped: MappedCells, ranking: Ranking, check: Callable[[], None] | None = None
) -> np.ndarray:
    """float32 (h, w): the logit of every window of a scene by the first stage.

    Args:
        mapped: The scene's cells.
        ranking: How windows are ranked.
        check: Called between pieces; raises to stop.
    """
    model = ranking.model
    return scan.score_map(mapped.cells, mapped.inverse, model.weights, model.bias, check)
