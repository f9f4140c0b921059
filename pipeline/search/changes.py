"""Changes: where a thing appeared, disappeared or persists between two dates.

Chips of the two dates are matched by their footprints, and each pair has two scores to the query.
Pictures of two dates differ in light, season and camera before anything changes on the ground; so
each date's vectors are taken relative to their mean over the places that both dates show, and what
remains of a score is what is there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dates import Dates
from pipeline.errors import NotFoundError, QueryError
from pipeline.search.queries import Query
from pipeline.search.search import Hit, check_model, polygon, unsuppressed
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.index.index import Index

KINDS = ("appeared", "disappeared", "persists")
SHARED = 0.5  # part of the smaller footprint that a pair has in common
BEST = 0.05  # part of all chips that counts as showing the thing, if no threshold is given
MARGIN = 0.05  # by which a score must change for the change to count
ROWS = 32_768


@dataclass(frozen=True)
class Day:
    """One date of a collection.

    Attributes:
        day: `YYYY-MM-DD`.
        scenes: Ids of its scenes.
        chips: Chips of these.
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
        """The chip that shows the thing."""
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
    """What happened to the thing that a query shows.

    Attributes:
        before: The earlier days.
        after: The later days.
        threshold: Score from which on a chip shows the thing.
        appeared: Places where it is later and was not earlier, the clearest first.
        disappeared: Places where it was earlier and is not later.
        persists: Places where it is on both dates.
        matched: Pairs of chips compared.
        unmatched: Chips of either date that the other does not cover.
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
        return plain | {kind: [one.to_dict() for one in getattr(self, kind)] for kind in KINDS}

    def to_geojson(self) -> dict[str, Any]:
        """One FeatureCollection of all three kinds, for a GIS."""
        features = []
        for one in (*self.appeared, *self.disappeared, *self.persists):
            told = {
                "kind": one.kind,
                "rank": one.rank,
                "difference": round(one.difference, 4),
                "score_before": round(one.before.score, 4),
                "score_after": round(one.after.score, 4),
                "date_before": one.before.datetime,
                "date_after": one.after.datetime,
                "chip_before": one.before.id,
                "chip_after": one.after.id,
            }
            outline = polygon(one.shown.corners)
            features.append({"type": "Feature", "geometry": outline, "properties": told})
        return {"type": "FeatureCollection", "features": features}


def days(collection: Collection) -> list[Day]:
    """The dates of a collection, oldest first; undated scenes are left out."""
    table = collection.chips
    counts = np.bincount(table.scene, minlength=len(table.scene_ids))
    found: dict[str, list[int]] = {}
    for number, moment in enumerate(table.datetimes):
        if moment:
            found.setdefault(moment[:10], []).append(number)
    return [
        Day(day, tuple(table.scene_ids[n] for n in numbers), int(counts[numbers].sum()))
        for day, numbers in sorted(found.items())
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
    """Where the thing a query shows appeared, disappeared or persists.

    Args:
        collection: Holds scenes of both dates over the same ground.
        index: Its open index.
        query: What to look for.
        before: Earlier date or dates, as `Dates.parse` reads them.
        after: Later date or dates.
        threshold: Score, relative to each date's mean, from which on a chip shows the thing; by
            default the best twentieth of all chips compared has it.
        margin: A score must change by more than this for the thing to have come or gone.
        k: Most places of each kind.

    Raises:
        QueryError: If a date has no scene, the dates are the same, or share no ground.
        ModelMismatchError: If the query was made by another model.
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
            "Scenes of these two dates show no ground in common",
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
    found = {kind: _ranked(table, kind, pairs, scores, strength[kind], k) for kind in KINDS}
    covered = len(np.unique(pairs[:, 0])) + len(np.unique(pairs[:, 1]))
    return Changes(
        before=before,
        after=after,
        threshold=limit,
        matched=len(pairs),
        unmatched=len(earlier) + len(later) - covered,
        **found,
    )


def chip_on(collection: Collection, day: str, lon: float, lat: float) -> int:
    """Row of the chip of a date whose centre is nearest to a point that it covers.

    Raises:
        QueryError: If the collection has no scene of this date.
        NotFoundError: If none of them covers the point.
    """
    import shapely

    rows, table = _rows(collection, day), collection.chips
    near = rows[shapely.intersects_xy(shapely.polygons(table.corners[rows]), lon, lat)]
    if not len(near):
        raise NotFoundError(
            "There is no chip of this date here",
            where=f"{lon:.5f}, {lat:.5f} on {day}",
            remedy="Choose a place on its imagery",
        )
    away = (table.centres[near] - (lon, lat)) * (np.cos(np.radians(lat)), 1.0)
    return int(near[np.argmin((away**2).sum(axis=1))])


def _rows(collection: Collection, text: str) -> np.ndarray:
    """Rows of the chips whose scenes were taken at a date."""
    span, table = Dates.parse(text), collection.chips
    wanted = [bool(moment) and span.holds(moment) for moment in table.datetimes]
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
    # Degrees of longitude as long as those of latitude, so that near means near.
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
    rows = [row for chip in query.chips if (row := table.find(chip)) is not None]
    origin = np.mean(means, axis=0)
    for side in (0, 1):
        if rows and np.isin(rows, pairs[:, side]).all():
            origin = means[side]  # the query's own date: its light is that of this mean
    target = target - origin
    target /= np.maximum(np.linalg.norm(target, axis=1, keepdims=True), 1e-12)
    return np.column_stack(
        [_centred(index, pairs[:, side], means[side], target) for side in (0, 1)]
    )


def _mean(index: Index, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(index.vectors.shape[1])
    for start in range(0, len(rows), ROWS):
        total += index.vectors[rows[start : start + ROWS]].astype(np.float32).sum(0, np.float64)
    mean: np.ndarray = total / len(rows)
    return mean


def _centred(index: Index, rows: np.ndarray, mean: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Best cosine of each vector less the mean to the targets (m, d); 0 for the mean itself."""
    scores = np.empty(len(rows))
    for start in range(0, len(rows), ROWS):
        part = index.vectors[rows[start : start + ROWS]].astype(np.float32) - mean
        length = np.linalg.norm(part, axis=1)
        scores[start : start + ROWS] = (part @ target.T).max(axis=1) / np.maximum(length, 1e-9)
    return scores


def _ranked(
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
    kept = order[unsuppressed(corners, np.empty((0, 4, 2)), k)]
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
    found = days(collection)
    if len(found) < 2:
        raise QueryError(
            "This collection has scenes of fewer than two dates",
            where=collection.name,
            remedy="Add a scene of another date on the Collections page, or with `build --name`",
        )
    return found[0].day, found[-1].day
