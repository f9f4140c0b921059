"""Object search: from examples to all objects like them, in one or several collections.

One click is compared with every window; its best hits then stand in as further examples.  From
sixteen marks on, good and bad, the marks train the ranking.  Scores are the model's logits as 0 to
1: above 0.5 a window is more like the good examples than like anything else.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import QueryError
from pipeline.model.basis import COMPONENTS
from pipeline.model.cells import BEST_WIDTH
from pipeline.objects import scan
from pipeline.objects.calibration import calibrate
from pipeline.objects.examples import see
from pipeline.objects.hits import off_spots, tops_of
from pipeline.objects.learning import FEWEST_MARKS, unmarked_windows
from pipeline.objects.model import ObjectModel
from pipeline.objects.open_cells import missing
from pipeline.objects.peaks import last_of
from pipeline.objects.places import Example, Spot
from pipeline.objects.ranking import Ranking
from pipeline.objects.results import ObjectResult, rank
from pipeline.objects.score_maps import opened, score_maps
from pipeline.objects.training import (
    EXPANSION,
    FEWEST_HITS,
    HITS_PER_MARK,
    MOST_HITS,
    Examples,
    Likely,
    expand,
    train,
)
from pipeline.progress import OnProgress, silent

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.search.filters import Filters

#: Quantile of the scores of random windows that the background reaches.
_BACKGROUND = 0.99
#: Windows up to which hits to learn from are looked for among all: they are few, and the best.
_WHOLE_UP_TO = 1_000_000
#: `best_hits` of some collections: their vectors and logits, by a ranking and the number wanted.
BestHits = Callable[[Ranking, int], tuple[np.ndarray, np.ndarray]]
#: Maximum number of objects of one answer.
MAX_OBJECTS = 100_000


@dataclass(frozen=True, eq=False)
class Learned:
    """A ranking and the examples that it was learned from.

    Attributes:
        ranking: Ranks windows.
        spots: The examples, as windows of scenes.
        examples: Their vectors.
        notes: What is to be known of examples that were left out.
    """

    ranking: Ranking
    spots: tuple[Spot, ...]
    examples: Examples
    notes: tuple[str, ...] = ()


def find(
    collections: Sequence[Collection],
    examples: Sequence[Example],
    *,
    origins: Sequence[Collection] = (),
    picture: np.ndarray | None = None,
    size_m: float | None = None,
    k: int = 1_000,
    threshold: float | None = None,
    min_probability: float | None = None,
    filters: Filters | None = None,
    with_outlines: bool = False,
    progress: OnProgress = silent,
) -> ObjectResult:
    """Find all objects that look like the examples.

    Args:
        collections: Where to look; their objects are ranked together.  Examples lie in the first
            one unless they name another.
        examples: What to look for.
        origins: Further collections in which examples lie.
        picture: A picture that the object fills, uint8 (h, h, 3), beside or instead of examples.
        size_m: Width in metres of examples that have none, and of the object in the picture.
        k: Maximum number of objects; those marked good are listed beyond it.
        threshold: Minimum score, 0 to 1.
        min_probability: Minimum probability, 0 to 1; objects without one are left out.
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
    learned = learn(
        collections,
        examples,
        origins=origins,
        picture=picture,
        size_m=size_m,
        filters=filters,
        progress=progress,
    )
    result = rank(
        collections,
        learned.ranking,
        spots=learned.spots,
        k=k,
        threshold=threshold,
        min_probability=min_probability,
        filters=filters,
        with_outlines=with_outlines,
        progress=progress,
    )
    return replace(result, notes=(*learned.notes, *result.notes))


def learn(
    collections: Sequence[Collection],
    examples: Sequence[Example],
    *,
    origins: Sequence[Collection] = (),
    picture: np.ndarray | None = None,
    size_m: float | None = None,
    filters: Filters | None = None,
    progress: OnProgress = silent,
) -> Learned:
    """The ranking that examples teach, and the hits in scenes that pass the filters; see `find`."""
    seen = see(
        collections, examples, origins=origins, picture=picture, size_m=size_m, progress=progress
    )
    spots, vectors = seen.spots, seen.vectors
    if picture is not None and size_m is None:
        finest = min((scene.gsd for scene in collections[0].scenes.values()), default=1.0)
        size_m = BEST_WIDTH * finest
    sizes = [spot.size_m for spot in spots if spot.good] or [size_m or 0.0]
    size = float(np.median(sizes))
    maps = opened(collections, size)
    if not maps:
        raise missing(collections[0], collections[0].manifest.title)
    unmarked = unmarked_windows([each.mapped for each in maps])
    enough = len(vectors.bad) and len(vectors.good) + len(vectors.bad) >= FEWEST_MARKS
    look = partial(
        best_hits, collections=collections, spots=spots, filters=filters, progress=progress
    )
    ranking = (self_trained if enough else _expanded)(vectors, size, unmarked, look)
    return Learned(ranking, spots, vectors, seen.notes)


def self_trained(vectors: Examples, size: float, unmarked: np.ndarray, look: BestHits) -> Ranking:
    """The ranking that marks train, and their best hits as weak examples (self-training).

    Args:
        vectors: The marks.
        size: Of the thing, in metres.
        unmarked: float32 (n, 64), unit vectors of windows drawn at random.
        look: `best_hits` of the collections in which the marks lie.
    """
    good, bad = len(vectors.good), len(vectors.bad)
    plain = Ranking(train(vectors, unmarked), size, True)
    wanted = min(max(HITS_PER_MARK * (good + bad), FEWEST_HITS), MOST_HITS)
    hits, logits = look(plain, wanted)
    likely = Likely.of(hits, logits)
    model = train(vectors, unmarked, likely)
    return Ranking(model, size, True, calibrate(vectors, unmarked, hits), good, bad, vectors.mean)


def _expanded(vectors: Examples, size: float, unmarked: np.ndarray, look: BestHits) -> Ranking:
    """The ranking of few examples: their mean, then their best hits as further examples."""
    query = vectors.mean
    plain = Ranking(ObjectModel(query, 0.0), size, example=query)
    hits, scores = look(plain, EXPANSION)
    background = unmarked @ query
    if len(hits) and len(background):
        # A thing may be rare: what is nearer to the background than to the best hit is none.
        hits = hits[scores >= (scores[0] + np.quantile(background, _BACKGROUND)) / 2]
    if not len(hits):
        return plain
    views = vectors.good.reshape(-1, vectors.good.shape[-1])
    model = expand(views, hits, unmarked, background)
    return replace(plain, model=model, good=len(vectors.good), bad=len(vectors.bad))


def best_hits(
    ranking: Ranking,
    count: int,
    *,
    collections: Sequence[Collection],
    spots: Sequence[Spot],
    filters: Filters | None = None,
    progress: OnProgress = silent,
) -> tuple[np.ndarray, np.ndarray]:
    """The best hits that lie on no example, best first.

    Args:
        ranking: How windows are ranked.
        count: Hits wanted.
        collections: Where to look.
        spots: The examples that lie there.
        filters: Which scenes count.
        progress: Called for every scene; may raise `Cancelled`.

    Returns:
        Unit vectors float32 (≤ count, 64), and their logits.
    """
    most = count + len(spots)
    maps = score_maps(
        collections, ranking, filters, progress, limit=most, whole_up_to=_WHOLE_UP_TO, spots=spots
    )
    vectors, logits = [np.empty((0, COMPONENTS), np.float32)], [np.empty(0)]
    tops = [
        each.where(off_spots(each, scored, ranking, spots))
        for each, scored in zip(tops_of(maps, ranking, most), maps, strict=True)
    ]
    least = last_of(tops, count)
    for scored, every in zip(maps, tops, strict=True):
        best = every.where(every.scores >= least)
        vectors.append(scan.window_vectors(scored.mapped.cells, best.rows, best.cols))
        logits.append(best.scores)
    joined = np.concatenate(logits)
    order = np.argsort(-joined, kind="stable")[:count]
    return np.concatenate(vectors)[order], joined[order]
