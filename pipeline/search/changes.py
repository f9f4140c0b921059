"""Changes: where the object of a query appeared, disappeared or persists between two dates.

Chips of the two dates are matched by their footprints, and both chips of a pair are scored against
the query.  Images of two dates differ in light, season and sensor even where nothing changed on the
ground.  So the vectors of each date are centred on their mean over the ground that both dates
cover, which removes what the whole image has in common.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dates import Dates
from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.footprint import polygon
from pipeline.search.queries import Query
from pipeline.search.search import Hit, check_model, suppress_overlaps
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

KINDS = ("appeared", "disappeared", "persists")
#: Share of the smaller footprint that both chips of a pair must cover.
SHARED = 0.5
#: Share of all chips taken to show the object, if no threshold is given.
BEST = 0.05
#: Minimum difference of scores that counts as a change.
MARGIN = 0.05
#: Vectors that are widened to float32 at once.
ROWS = 32_768


@dataclass(frozen=True)
class DatedScenes:
    """One date of a collection.

    Attributes:
        day: `YYYY-MM-DD`.
        scenes: Ids of its scenes.
        chips: Number of their chips.
    """

    day: str
    scenes: tuple[str, ...]
    chips: int


@dataclass(frozen=True)
class Change:
    """One place on two dates.

    Attributes:
        kind: One of `KINDS`.
        rank: 1 for the clearest of its kind.
        before: The chip of the earlier date, with its score.
        after: The chip of the later date, with its score.
    """

    kind: str
    rank: int
    before: Hit
    after: Hit

    @property
    def difference(self) -> float:
        """Later score less earlier score."""
        return self.after.score - self.before.score

    @property
    def shown(self) -> Hit:
        """The chip that shows the object."""
        return self.before if self.kind == "disappeared" else self.after

    def to_dict(self) -> dict[str, Any]:
        """The form of the command line and the REST interface."""
        return {
            "kind": self.kind,
            "rank": self.rank,
            "difference": round(self.difference, 6),
            "before": self.before.to_dict(),
            "after": self.after.to_dict(),
            "geometry": polygon(self.shown.corners),
        }


@dataclass(frozen=True)
class Changes:
    """What happened to the object of a query.

    Attributes:
        before: The earlier date.
        after: The later date.
        threshold: Minimum score of a chip that shows the object.
        appeared: Places that show it on the later date only, the clearest first.
        disappeared: Places that show it on the earlier date only.
        persists: Places that show it on both dates.
        matched: Number of pairs of chips compared.
        unmatched: Number of chips of either date that the other does not cover.
    """

    before: str
    after: str
    threshold: float
    appeared: tuple[Change, ...]
    disappeared: tuple[Change, ...]
    persists: tuple[Change, ...]
    matched: int
    unmatched: int

    def to_dict(self) -> dict[str, Any]:
        """The form of the command line and the REST interface."""
        plain = {
            "before": self.before, "after": self.after, "threshold": round(self.threshold, 6),
            "matched": self.matched, "unmatched": self.unmatched,
        }  # fmt: skip
        return plain | {kind: [each.to_dict() for each in getattr(self, kind)] for kind in KINDS}

    def to_geojson(self) -> dict[str, Any]:
        """One FeatureCollection of all three kinds, for a GIS."""
        features = []
        for change in (*self.appeared, *self.disappeared, *self.persists):
            properties = {
                "kind": change.kind,
                "rank": change.rank,
                "difference": round(change.difference, 4),
                "score_before": round(change.before.score, 4),
                "score_after": round(change.after.score, 4),
                "date_before": change.before.datetime,
                "date_after": change.after.datetime,
                "chip_before": change.before.id,
                "chip_after": change.after.id,
            }
            outline = polygon(change.shown.corners)
            features.append({"type": "Feature", "geometry": outline, "properties": properties})
        return {"type": "FeatureCollection", "features": features}


def days(collection: Collection) -> list[DatedScenes]:
    """The dates of a collection, the earliest first; scenes without a date are left out."""
    table = collection.chips
    counts = np.bincount(table.scene, minlength=len(table.scene_ids))
    scenes: dict[str, list[int]] = {}
    for number, acquired in enumerate(table.datetimes):
        if acquired:
            scenes.setdefault(acquired[:10], []).append(number)
    return [
        DatedScenes(day, tuple(table.scene_ids[n] for n in numbers), int(counts[numbers].sum()))
        for day, numbers in sorted(scenes.items())
    ]


def compare(
    collection: Collection,
    index: Index,
    query: Query,
    before: str,
    after: str,
    *,
    threshold: float | None = None,
    margin: float = MARGIN,
    k: int = 50,
) -> Changes:
    """Where the object of a query appeared, disappeared or persists.

    Args:
        collection: Holds scenes of both dates over the same ground.
        index: Its open index.
        query: What to look for.
        before: Earlier date or dates, as `Dates.parse` reads them.
        after: Later date or dates.
        threshold: Minimum score, relative to each date's mean, of a chip that shows the object; by
            default the score that the best twentieth of all chips compared reaches.
        margin: Minimum difference of scores where it appeared or disappeared.
        k: Maximum number of places of each kind.

    Raises:
        QueryError: If a date has no scene, the dates are the same, or share no ground.
        ModelMismatchError: If the query was embedded by another model.
    """
    check_model(query, collection)
    table = collection.chips
    earlier, later = _rows(collection, before), _rows(collection, after)
    if np.intersect1d(earlier, later).size:
        raise QueryError(
            "The two dates are the same", where=f"{before}, {after}", remedy="Choose two dates"
        )
    pairs = _pairs(table, earlier, later)
    if not len(pairs):
        raise QueryError(
            "Scenes of these two dates do not overlap",
            where=f"{before}, {after}",
            remedy="Choose dates whose scenes overlap",
        )
    scores = _scores(table, index, query, pairs)
    limit = float(np.quantile(scores, 1 - BEST)) if threshold is None else threshold
    first, second = scores[:, 0], scores[:, 1]
    strength = {
        "appeared": np.where((second >= limit) & (first < limit), second - first, -np.inf),
        "disappeared": np.where((first >= limit) & (second < limit), first - second, -np.inf),
        "persists": np.where(
            (first >= limit) & (second >= limit), np.minimum(first, second), -np.inf
        ),
    }
    for kind in ("appeared", "disappeared"):
        strength[kind][strength[kind] <= margin] = -np.inf
    places = {kind: _strongest(table, kind, pairs, scores, strength[kind], k) for kind in KINDS}
    covered = len(np.unique(pairs[:, 0])) + len(np.unique(pairs[:, 1]))
    return Changes(
        before=before,
        after=after,
        threshold=limit,
        matched=len(pairs),
        unmatched=len(earlier) + len(later) - covered,
        **places,
    )


def chip_on(collection: Collection, day: str, lon: float, lat: float) -> int:
    """Row of the chip of a date whose centre is nearest to a point that it covers.

    Raises:
        QueryError: If the collection has no scene of this date.
        NotFoundError: If none of them covers the point.
    """
    row = collection.chips.nearest_at(lon, lat, _rows(collection, day))
    if row is None:
        raise NotFoundError(
            "No chip of this date covers this point",
            where=f"{lon:.5f}, {lat:.5f} (longitude, latitude) on {day}",
            remedy="Choose a point on the imagery of that date",
        )
    return row


def _rows(collection: Collection, text: str) -> np.ndarray:
    """Rows of the chips whose scenes were taken at a date."""
    span, table = Dates.parse(text), collection.chips
    wanted = [bool(acquired) and span.holds(acquired) for acquired in table.datetimes]
    rows = np.flatnonzero(np.array(wanted, bool)[table.scene])
    if not len(rows):
        known = ", ".join(day.day for day in days(collection)) or "none"
        raise QueryError(
            "No scene of this collection has this date",
            where=text,
            remedy=f"Its dates are {known}",
        )
    return rows


def _pairs(table: ChipTable, earlier: np.ndarray, later: np.ndarray) -> np.ndarray:
    """Rows (n, 2) of chips of the two dates on the same ground, each chip with its nearest."""
    import shapely

    centres = table.centres.copy()
    # A degree of longitude is made as long as one of latitude, so that distances compare.
    centres[:, 0] *= np.cos(np.radians(centres[np.r_[earlier, later], 1].mean()))
    old, new = shapely.points(centres[earlier]), shapely.points(centres[later])
    forth = np.column_stack([earlier, later[shapely.STRtree(new).nearest(old)]])
    back = np.column_stack([earlier[shapely.STRtree(old).nearest(new)], later])
    pairs = np.unique(np.concatenate([forth, back]), axis=0)
    one, other = (shapely.polygons(table.corners[pairs[:, side]]) for side in (0, 1))
    smaller = np.minimum(shapely.area(one), shapely.area(other))
    return pairs[shapely.area(shapely.intersection(one, other)) >= SHARED * smaller]


def _scores(table: ChipTable, index: Index, query: Query, pairs: np.ndarray) -> np.ndarray:
    """Cosines (n, 2) of both chips of each pair to the query, relative to the dates' means."""
    means = [_mean(index, np.unique(pairs[:, side])) for side in (0, 1)]
    target = normalise(np.atleast_2d(query.vector)).astype(np.float64)
    rows = _example_rows(table, query)
    origin = np.mean(means, axis=0)
    for side in (0, 1):
        if rows and np.isin(rows, pairs[:, side]).all():
            origin = means[side]  # the query is of this date, and has its light
    target = target - origin
    target /= np.maximum(np.linalg.norm(target, axis=1, keepdims=True), 1e-12)
    return np.column_stack(
        [_centred_cosines(index, pairs[:, side], means[side], target) for side in (0, 1)]
    )


def _example_rows(table: ChipTable, query: Query) -> list[int]:
    """Rows of the chips that show what the query looks for: its start and good examples."""
    if query.marks is None:
        return query.rows_in(table)
    start = set(query.rows_in(table)) - set(query.marks.bad)
    return sorted(start | set(query.marks.good))


def _mean(index: Index, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(index.vectors.shape[1])
    for start in range(0, len(rows), ROWS):
        total += index.vectors[rows[start : start + ROWS]].astype(np.float32).sum(0, np.float64)
    mean: np.ndarray = total / len(rows)
    return mean


def _centred_cosines(
    index: Index, rows: np.ndarray, mean: np.ndarray, target: np.ndarray
) -> np.ndarray:
    """Cosine of each centred vector to its best target of (m, d); 0 for the mean itself."""
    scores = np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        part = index.vectors[rows[start : start + ROWS]].astype(np.float32) - mean
        length = np.linalg.norm(part, axis=1)
        scores[start : start + ROWS] = (part @ target.T).max(axis=1) / np.maximum(length, 1e-9)
    return scores


def _strongest(
    table: ChipTable,
    kind: str,
    pairs: np.ndarray,
    scores: np.ndarray,
    strength: np.ndarray,
    k: int,
) -> tuple[Change, ...]:
    """The strongest places of a kind, without those that overlap a stronger one."""
    order = np.argsort(-strength, kind="stable")[: int(np.isfinite(strength).sum())]
    side = 0 if kind == "disappeared" else 1
    corners = table.corners[pairs[order, side]]
    kept = order[suppress_overlaps(corners, np.empty((0, 4, 2)), k)]
    return tuple(
        Change(
            kind,
            rank,
            Hit.of(table, int(pairs[place, 0]), float(scores[place, 0]), rank),
            Hit.of(table, int(pairs[place, 1]), float(scores[place, 1]), rank),
        )
        for rank, place in enumerate(kept, 1)
    )


def between(collection: Collection) -> Sequence[str]:
    """The first and the last day of a collection.

    Raises:
        QueryError: If it has scenes of fewer than two dates.
    """
    present = days(collection)
    if len(present) < 2:
        raise QueryError(
            "This collection has scenes of fewer than two dates",
            where=collection.name,
            remedy="Add a scene of another date on the Collections page, or with `build --name`",
        )
    return present[0].day, present[-1].day
