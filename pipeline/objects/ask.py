"""What to judge next: the windows whose marks teach a ranking most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline.objects import scan
from pipeline.objects.asking import to_judge
from pipeline.objects.eligible import eligible_windows
from pipeline.objects.hits import Hit, hits_of, objects_of, off_spots, tops_of
from pipeline.objects.open_cells import missing
from pipeline.objects.results import ObjectResult
from pipeline.objects.score_maps import score_maps
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.places import Spot
    from pipeline.objects.ranking import Ranking
    from pipeline.search.filters import Filters

#: Best windows of each scene among which to choose.
CHOICE = 2_000


def ask(
    collections: Sequence[Collection],
    ranking: Ranking,
    spots: Sequence[Spot],
    count: int,
    *,
    skipped: Sequence[Spot] = (),
    filters: Filters | None = None,
    progress: OnProgress = silent,
) -> ObjectResult:
    """The windows to judge next: half the best, half the most doubtful.

    Args:
        collections: Where to look.
        ranking: What the marks so far teach.
        spots: The marks so far.
        count: Windows wanted.
        skipped: Windows that were skipped, which are not asked for again.
        filters: Which windows may be asked for.
        progress: Called for every scene; may raise `Cancelled`.

    Raises:
        NotFoundError: If no scene has cells.
    """
    lacking: list[Scene] = []
    maps = score_maps(collections, ranking, filters, progress, lacking.append, limit=CHOICE)
    if not maps:
        raise missing(collections[0], collections[0].manifest.title)
    hits: list[Hit] = []
    free: list[np.ndarray] = []
    vectors: list[np.ndarray] = []
    for scored in maps:
        eligible = eligible_windows(scored.collection, scored.mapped, filters)
        [tops] = tops_of([scored], ranking, CHOICE, [eligible])
        free.append(off_spots(tops, scored, ranking, (*spots, *skipped)))
        vectors.append(scan.window_vectors(scored.mapped.cells, tops.rows, tops.cols))
        hits += hits_of(scored, tops)
    logits = np.array([hit.logit for hit in hits])
    order = np.argsort(-logits, kind="stable")
    numbers = {id(scored): number for number, scored in enumerate(maps)}
    scenes = np.array([numbers[id(hit.scored)] for hit in hits])
    chosen = to_judge(
        logits[order],
        np.concatenate(vectors)[order],
        scenes[order],
        np.concatenate(free)[order],
        count,
    )
    asked = objects_of(dict(enumerate((hits[order[i]] for i in chosen), 1)), ranking)
    judgeable = int(np.concatenate(free).sum())
    return ObjectResult(tuple(asked), judgeable, ranking, tuple(spots), tuple(lacking))
