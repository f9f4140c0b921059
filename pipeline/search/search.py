"""Search: from a query to ranked hits.

The chip that a query was made of is never a hit.  With suppression, a hit is dropped if a better
hit, or the query itself, covers more than a quarter of its footprint: greedy non-maximum
suppression, best first.

`pipeline.search.ranking` orders the chips.  Their scores stay similarities to the query, so that a
threshold and the heatmap keep their meaning.
"""

from __future__ import annotations

import time
from collections.abc import Collection as Rows
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ModelMismatchError, QueryError
from pipeline.geo.footprint import polygon
from pipeline.search.chance import Chance, chance_of, notes_on, rounded
from pipeline.search.filters import Filters, eligible_chips
from pipeline.search.marked import Kept
from pipeline.search.overlaps import suppress_overlaps
from pipeline.search.plain_ranking import PlainRanking, Ranked
from pipeline.search.recipe import MAX_K

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index
    from pipeline.search.queries import Query


@dataclass(frozen=True)
class Hit:
    """A chip found by a search.

    Attributes:
        rank: 1 for the best.
        id: Chip id.
        score: Cosine to the query, or to its best view, -1 to 1.
        scene_id: Scene that the chip was cut from.
        datetime: Acquisition time of that scene, ISO 8601, or None.
        row: Row in the collection's table.
        corners: Float64 (4, 2), lon/lat of its footprint.
        by_chance: How many chips of the collection would score this high by chance, or None where
            that is unknown; see `pipeline.search.chance`.
    """

    rank: int
    id: str
    score: float
    scene_id: str
    datetime: str | None
    row: int
    corners: np.ndarray = field(compare=False, repr=False)
    by_chance: float | None = None

    @classmethod
    def of(
        cls, table: ChipTable, row: int, score: float, rank: int, chance: Chance | None = None
    ) -> Hit:
        """The chip in a row of a collection's table, as a hit."""
        return cls(
            rank,
            table.id_of(row),
            score,
            table.scene_id_of(row),
            table.datetime_of(row),
            row,
            table.corners[row],
            float(chance.by_chance(score)) if chance else None,
        )

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the centre."""
        lon, lat = self.corners.mean(axis=0)
        return float(lon), float(lat)

    @property
    def geometry(self) -> dict[str, Any]:
        """Footprint as a GeoJSON polygon."""
        return polygon(self.corners)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as the command line and REST print it."""
        return {
            "rank": self.rank,
            "id": self.id,
            "score": round(self.score, 6),
            "by_chance": rounded(self.by_chance),
            "scene_id": self.scene_id,
            "datetime": self.datetime,
            "geometry": self.geometry,
        }


@dataclass(frozen=True)
class Result:
    """The hits of one search.

    Attributes:
        hits: Best first.
        eligible: Number of chips that pass the filters, without the query's own.
        total: Number of chips in the collection.
        seconds: Duration of the search.
        chance: What scores mean here, or None where that is unknown.
        notes: What they mean for the whole answer, sentences without their full stops.
    """

    hits: tuple[Hit, ...]
    eligible: int
    total: int
    seconds: float
    chance: Chance | None = None
    notes: tuple[str, ...] = ()


def search(
    collection: Collection,
    index: Index,
    query: Query,
    *,
    k: int = 10,
    suppress: bool = True,
    threshold: float | None = None,
    filters: Filters | None = None,
    most: int = MAX_K,
    ranking: Ranked | None = None,
    keep: Rows[int] = (),
) -> Result:
    """The chips of a collection most similar to a query, or, with marks, ranked by the marks.

    The hits of a smaller k are the first hits of a larger one.

    Args:
        collection: Where to search.
        index: Its open index.
        query: What to look for.
        k: Number of hits, 1 to 1,000; fewer if fewer are left after filters and suppression.
        suppress: Whether hits that overlap better ones are dropped.
        threshold: Minimum score, or None.
        filters: Which chips are eligible, or None for all.
        most: Maximum k.
        ranking: Of this query; by default that of its plain vectors.
        keep: Rows marked good beside the query.  These and the query's good marks stay, beyond k,
            too; see `pipeline.search.marked`.

    Raises:
        QueryError: If k is out of range.
        ModelMismatchError: If the query was embedded by another model than the collection.
    """
    if not 1 <= k <= most:
        raise QueryError(
            f"k must be between 1 and {most}", where=k, remedy="Ask for 10 to see the ten best"
        )
    check_model(query, collection)
    started = time.perf_counter()
    table = collection.chips
    own = query.rows_in(table)
    among = eligible_chips(table, filters, query.corners) if filters else None
    available = len(table) - len(own)
    if among is not None:
        available = among.count - int(np.count_nonzero(among.mask[own]))
    wanted = min(k, available)
    reach = wanted + len(own) if not suppress else wanted * 8 + len(own)
    ranking = ranking or PlainRanking(index, query, tuple(own))
    kept = Kept.of(query, ranking, keep, own, among)
    while True:
        rows, scores = ranking.best(min(reach, len(table)), among)
        new = ~np.isin(rows, own)
        rows, scores = rows[new], scores[new]
        ranked = len(rows)
        rows, scores, stays = kept.among(rows, scores)
        if threshold is not None:
            passed = (scores >= threshold) | stays
            below = not passed.all()
            ranked = np.count_nonzero(passed[:ranked])
            rows, scores, stays = rows[passed], scores[passed], stays[passed]
        else:
            below = False
        chosen = (
            suppress_overlaps(table.corners[rows], query.corners, wanted, stays)
            if suppress
            else np.flatnonzero((np.arange(len(rows)) < wanted) | stays)
        )
        if np.count_nonzero(chosen < ranked) >= wanted or below or reach >= len(table):
            break
        reach *= 4
    chance = chance_of(ranking, len(table))
    hits = tuple(
        Hit.of(table, int(rows[i]), float(scores[i]), rank, chance)
        for rank, i in enumerate(chosen, 1)
    )
    spacing = collection.manifest.stride / collection.manifest.chip_size
    places = spacing**2 * available / max(len(table), 1)
    corners = table.corners[rows[chosen]]
    notes = notes_on(scores[chosen], corners, query.corners, chance, places)
    seconds = time.perf_counter() - started
    return Result(hits, available, len(table), seconds, chance, notes)


def check_model(query: Query, collection: Collection) -> None:
    """Raise `ModelMismatchError` if another model embedded the query than the collection."""
    if query.model != collection.manifest.model:
        raise ModelMismatchError(
            "The query was embedded by another model than this collection",
            where=collection.name,
            remedy="Build both with the same version and mode of Lookalike",
        )
