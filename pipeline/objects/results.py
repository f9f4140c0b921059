"""The best objects of a ranking, in one or several collections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.objects.calibration import FEWEST
from pipeline.objects.chance import WindowChance, is_nothing
from pipeline.objects.eligible import eligible_windows
from pipeline.objects.hits import Hit, hits_of, marked, objects_of, tops_of
from pipeline.objects.notes import calibration_note, width_notes
from pipeline.objects.objects import FoundObject
from pipeline.objects.open_cells import missing
from pipeline.objects.peaks import last_of
from pipeline.objects.ranking import to_logit
from pipeline.objects.score_maps import SceneScores, score_maps
from pipeline.progress import OnProgress, silent
from pipeline.search.chance import NOTHING_LIKE_THIS

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.places import Spot
    from pipeline.objects.ranking import Ranking
    from pipeline.search.filters import Filters

#: Note of an answer from scenes so large that only the promising tiles of them were scored.
PARTIAL = (
    "The most promising places were scored, not all: the first hits are the same, and weak ones "
    "may be missing; a smaller area is scored whole"
)


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
        maps: The score maps from which they come.
    """

    objects: tuple[FoundObject, ...]
    found: int
    ranking: Ranking
    spots: tuple[Spot, ...]
    missing: tuple[Scene, ...] = ()
    notes: tuple[str, ...] = ()
    maps: tuple[SceneScores, ...] = ()


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

    Objects that a good example marks stay, whatever threshold, suppression and k say.  The
    threshold leaves objects out and ranks none anew: an object has its rank whatever it is.

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
        NotFoundError: If no scene that passes the filters has cells.
        QueryError: If a probability is asked for and marks are too few for any.
        DamagedError: If cells cannot be read.
    """
    lacking: list[Scene] = []
    maps = score_maps(collections, ranking, filters, progress, lacking.append, limit=k, spots=spots)
    # Filters that leave no scene find nothing; that is no lack of cells.
    if not maps and (lacking or filters is None):
        raise missing(collections[0], collections[0].manifest.title)
    least = _least_logit(ranking, threshold, min_probability)
    allowed = [eligible_windows(each.collection, each.mapped, filters) for each in maps]
    eligible = allowed
    if filters is not None and filters.away:
        eligible = [eligible_windows(each.collection, each.mapped, filters, spots) for each in maps]
    tops = tops_of(maps, ranking, k, eligible)
    last = last_of(tops, k)  # the rest cannot be listed
    kept: list[Hit] = []
    found = 0
    for scored, here, windows in zip(maps, tops, allowed, strict=True):
        if any(spot.scene.id == scored.mapped.scene.id for spot in spots):
            hits = marked(hits_of(scored, here), scored, ranking, spots, windows)
            found += sum(hit.logit >= least or hit.mark == "good" for hit in hits)
        else:
            hits = hits_of(scored, here.where(here.scores >= last))
            found += int((here.scores >= least).sum())
        kept += hits
    kept.sort(key=lambda hit: -hit.logit)
    # Objects marked good are listed whatever their rank and score.
    listed = {
        rank: hit
        for rank, hit in enumerate(kept, 1)
        if (rank <= k and hit.logit >= least) or hit.mark == "good"
    }
    chance = WindowChance.of(maps, ranking)
    objects = objects_of(listed, ranking, least if with_outlines else None, chance)
    notes = width_notes([(each.collection, each.mapped) for each in maps], ranking.size_m)
    if ranking.trained and ranking.calibration is None:
        notes = (calibration_note(ranking.good, ranking.bad), *notes)
    if is_nothing(objects, maps, eligible):
        notes = (NOTHING_LIKE_THIS, *notes)
    if any(scored.tiles is not None for scored in maps):
        notes = (PARTIAL, *notes)
    return ObjectResult(
        tuple(objects), found, ranking, tuple(spots), tuple(lacking), notes, tuple(maps)
    )


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
