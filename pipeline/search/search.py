"""Search: a query becomes ranked hits.

A query is a vector and the place it came from, if any.  The chip it came from is never a hit.
With suppression on, a hit is dropped when more than a quarter of its footprint lies under a better
hit or under the query itself: greedy non-maximum suppression, best first.

A query has one vector, or one for each of its views (`pipeline.search.views`): then a chip's score
is its best one's.  With marks, the nearest chips are put in the order of
`pipeline.search.feedback`; their scores stay cosines, so that a threshold and the heatmap mean what
they always mean.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import ModelMismatchError, QueryError
from pipeline.index.exact import best
from pipeline.index.index import Index
from pipeline.index.rows import Eligible
from pipeline.search import feedback
from pipeline.search.filters import Filters, admitted
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.model.embedder import Embedder
    from pipeline.model.identity import ModelIdentity

MAX_K = 1_000
OVERLAP = 0.25


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        vector: Float32 (2048,) of any length, or (m, 2048) of m views, the query's own first.
        model: Model that made it.
        chips: Ids of the chips it was made of, none for a picture; they are never hits.
        corners: Float64 (m, 4, 2) lon/lat footprints of those chips or of the drawn box.
        label: How the user would call it.
        marks: By which its hits are ordered, or None for the order of their scores.
    """

    vector: np.ndarray
    model: ModelIdentity
    chips: tuple[str, ...] = ()
    corners: np.ndarray = field(default_factory=lambda: np.empty((0, 4, 2)))
    label: str = ""
    marks: feedback.Marks | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Hit:
    """One answer.

    Attributes:
        rank: 1 for the best.
        id: Chip id.
        score: Cosine to the query, or to its best view, -1 to 1.
        scene_id: Scene it lies in.
        datetime: Acquisition time of that scene, ISO 8601, or None.
        row: Row in the collection's table.
        corners: Float64 (4, 2), lon/lat of its footprint.
    """

    rank: int
    id: str
    score: float
    scene_id: str
    datetime: str | None
    row: int
    corners: np.ndarray = field(compare=False, repr=False)

    @classmethod
    def of(cls, table: ChipTable, row: int, score: float, rank: int) -> Hit:
        """The chip in a row of a collection's table, as a hit."""
        scene = int(table.scene[row])
        return cls(
            rank,
            table.ids[row].decode(),
            score,
            table.scene_ids[scene],
            table.datetimes[scene],
            row,
            table.corners[row],
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
        """The form of the command line and the REST interface."""
        return {
            "rank": self.rank,
            "id": self.id,
            "score": round(self.score, 6),
            "scene_id": self.scene_id,
            "datetime": self.datetime,
            "geometry": self.geometry,
        }


@dataclass(frozen=True)
class Result:
    """The hits of one search and how they came about.

    Attributes:
        hits: Best first.
        eligible: Chips that the filters admit, the query's own not counted.
        total: Chips in the collection.
        seconds: Time the search took.
    """

    hits: tuple[Hit, ...]
    eligible: int
    total: int
    seconds: float


def polygon(corners: np.ndarray) -> dict[str, Any]:
    """GeoJSON polygon (counter-clockwise, EPSG:4326) of four lon/lat corners (4, 2)."""
    ring = [[round(float(x), 7), round(float(y), 7)] for x, y in corners]
    following = ring[1:] + ring[:1]
    area = sum(a[0] * b[1] - b[0] * a[1] for a, b in zip(ring, following, strict=True))
    ring = ring if area > 0 else ring[::-1]
    return {"type": "Polygon", "coordinates": [[*ring, ring[0]]]}


def by_chip(collection: Collection, index: Index, chip: str) -> Query:
    """The query for one chip of a collection.

    Raises:
        NotFoundError: If there is no such chip.
    """
    return by_examples(collection, index, [chip])


def by_point(collection: Collection, index: Index, lon: float, lat: float) -> Query:
    """The query for the chip whose centre is nearest to a point on the imagery, EPSG:4326.

    Raises:
        QueryError: If the numbers are not a longitude and a latitude.
        NotFoundError: If no chip covers the point.
    """
    if not (-360 <= lon <= 360 and -90 <= lat <= 90):
        raise QueryError(
            "This is not a longitude and a latitude",
            where=f"{lon}, {lat}",
            remedy="Give longitude first: --at=-122.05,37.5",
        )
    chips = collection.chips
    return by_chip(collection, index, chips.ids[chips.row_at(lon, lat)].decode())


def by_examples(collection: Collection, index: Index, chips: Sequence[str]) -> Query:
    """The query for the mean of several chips' unit vectors.

    Raises:
        NotFoundError: If one of them does not exist.
        QueryError: If there is none.
    """
    if not chips:
        raise QueryError("There is nothing to search from", remedy="Choose a chip first")
    table = collection.chips
    rows = [table.row_of(chip) for chip in chips]
    vector = normalise(index.vectors[rows]).mean(axis=0)
    label = chips[0] if len(chips) == 1 else f"{len(chips)} examples"
    return Query(vector, collection.manifest.model, tuple(chips), table.corners[rows], label)


def by_picture(pixels: np.ndarray, embedder: Embedder, *, label: str = "picture") -> Query:
    """The query for a picture: uint8 (256, 256, 3), as `picture.load` returns it."""
    vector = embedder.embed(pixels[None])[0]
    return Query(vector, embedder.identity, label=label)


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
    first: Callable[[], tuple[np.ndarray, np.ndarray]] | None = None,
) -> Result:
    """The chips of a collection most similar to a query; with marks, the likeliest to be meant.

    The hits of a smaller k are the first of those of a larger one.

    Args:
        collection: Where to search.
        index: Its open index.
        query: What to look for.
        k: Hits wanted, 1 to 1,000.  As many come back as exist after filters and suppression.
        suppress: Drop hits more than a quarter of which lies under a better one.
        threshold: Least cosine, or None.
        filters: What may be a hit.
        most: Largest k that is allowed.
        first: `refined` of this query and these filters, remembered by who asks for several k.

    Raises:
        QueryError: If k is out of range.
        ModelMismatchError: If the query was made by another model than the collection.
    """
    if not 1 <= k <= most:
        raise QueryError(
            f"k must be between 1 and {most}", where=k, remedy="Ask for 10 to see the ten best"
        )
    check_model(query, collection)
    started = time.perf_counter()
    table = collection.chips
    own, among = _admitted(table, query, filters)
    available = len(table) - len(own)
    if among is not None:
        available = among.count - int(np.count_nonzero(among.mask[own]))
    wanted = min(k, available)
    reach = wanted + len(own) if not suppress else wanted * 8 + len(own)
    foremost, cosines = first() if first else refined(collection, index, query, filters)
    reach = max(reach, len(foremost) + len(own))
    while True:
        rows, scores = nearest(index, query.vector, min(reach, len(table)), among)
        new = ~np.isin(rows, [*own, *foremost])
        rows = np.concatenate([foremost, rows[new]])
        scores = np.concatenate([cosines, scores[new]])
        if threshold is not None:
            passed = scores >= threshold
            below = not passed.all()
            rows, scores = rows[passed], scores[passed]
        else:
            below = False
        chosen = (
            unsuppressed(table.corners[rows], query.corners, wanted)
            if suppress
            else np.arange(min(wanted, len(rows)))
        )
        if len(chosen) >= wanted or below or reach >= len(table):
            break
        reach *= 4
    hits = tuple(
        Hit.of(table, int(rows[i]), float(scores[i]), rank) for rank, i in enumerate(chosen, 1)
    )
    return Result(hits, available, len(table), time.perf_counter() - started)


def check_model(query: Query, collection: Collection) -> None:
    """Raise `ModelMismatchError` where a query was made by another model than a collection."""
    if query.model != collection.manifest.model:
        raise ModelMismatchError(
            "The query was embedded by another model than this collection",
            where=collection.name,
            remedy="Build both with the same version and mode of Lookalike",
        )


def nearest(
    index: Index, vector: np.ndarray, k: int, eligible: Eligible | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """As `Index.search`, for a query of one vector (2048,) or of several (m, 2048)."""
    if vector.ndim == 1:
        return index.search(vector, k, eligible)
    found = [index.search(one, k, eligible) for one in vector]
    rows, scores = (np.concatenate(each) for each in zip(*found, strict=True))
    order = np.lexsort((-scores, rows))
    rows, at = np.unique(rows[order], return_index=True)
    # What is among the k best by its best view is among that view's k best: nothing is missed.
    return best(rows, scores[order][at], k)


def refined(
    collection: Collection, index: Index, query: Query, filters: Filters | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and cosines of the nearest chips in the order of the marks; none without marks."""
    if query.marks is None:
        return np.empty(0, np.int64), np.empty(0, np.float32)
    own, among = _admitted(collection.chips, query, filters)
    reach = min(feedback.CANDIDATES + len(own), len(index))
    rows, scores = nearest(index, query.vector, reach, among)
    keep = np.flatnonzero(~np.isin(rows, own))[: feedback.CANDIDATES]
    rows, scores = rows[keep], scores[keep]
    order = feedback.ranked(index.vectors, rows, query.marks)
    return rows[order], scores[order]


def _admitted(
    table: ChipTable, query: Query, filters: Filters | None
) -> tuple[list[int], Eligible | None]:
    """The query's own rows, which are never hits, and the rows that the filters admit."""
    own = sorted({row for chip in query.chips if (row := table.find(chip)) is not None})
    return own, admitted(table, filters, query.corners) if filters else None


def unsuppressed(corners: np.ndarray, query: np.ndarray, wanted: int) -> np.ndarray:
    """Positions of the hits that survive suppression, at most `wanted`.

    Args:
        corners: Float64 (n, 4, 2), footprints best first.
        query: Float64 (m, 4, 2), the query's own footprints, better than any hit.
        wanted: Stop after so many.
    """
    import shapely

    if not len(corners):
        return np.empty(0, np.int64)
    everything = np.concatenate([query.reshape(-1, 4, 2), corners])
    shapes = shapely.polygons(everything)
    areas = shapely.area(shapes)
    low, high = everything.min(axis=1), everything.max(axis=1)
    kept = list(range(len(query)))
    for i in range(len(query), len(everything)):
        near = np.array(kept, np.int64)
        touching = ((low[near] < high[i]) & (high[near] > low[i])).all(axis=1)
        near = near[touching]
        if len(near):
            shared = shapely.area(shapely.intersection(shapes[near], shapes[i]))
            if shared.max() > OVERLAP * areas[i]:
                continue
        kept.append(i)
        if len(kept) - len(query) >= wanted:
            break
    return np.array(kept[len(query) :], np.int64) - len(query)
