"""Changes: where the object of a query appeared, disappeared or persists between two dates.

Chips of the two dates are matched by their footprints.  Each has the score that a search gives it.
Images of two dates differ in light, season and sensor even where nothing changed on the ground, so
what the scores of one date are higher by in the median is no change.  To subtract each date's mean
vector instead would order changes a little better (mAP 0.65 instead of 0.63 under a strong cast of
light, no better under a mild one), but its scores are no longer those of a search, to which the
threshold applies, and it must know the date of the query, which a picture has not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.dates import Dates
from pipeline.errors import NotFoundError, QueryError
from pipeline.geo.footprint import polygon
from pipeline.search.chance import Chance, chance_of, rounded
from pipeline.search.overlaps import suppress_overlaps
from pipeline.search.queries import Query
from pipeline.search.search import Hit, check_model

if TYPE_CHECKING:
    from pipeline.collection.chip_table import ChipTable
    from pipeline.collection.collection import Collection
    from pipeline.search.plain_ranking import Ranked

KINDS = ("appeared", "disappeared", "persists")
#: Share of the smaller footprint that both chips of a pair must cover.
SHARED = 0.5
#: Share of all chips taken to show the object, if no threshold is given.
BEST = 0.05
#: Minimum difference of scores that counts as a change.
MARGIN = 0.05


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
                "by_chance_before": rounded(change.before.by_chance),
                "by_chance_after": rounded(change.after.by_chance),
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
    ranking: Ranked,
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
        ranking: Scores its chips for the query.
        query: What to look for.
        before: Earlier date or dates, as `Dates.parse` reads them.
        after: Later date or dates.
        threshold: Minimum score of a chip that shows the object; by default the score that the best
            twentieth of all chips compared reaches.
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
    scores = np.column_stack([ranking.similarity(pairs[:, side]) for side in (0, 1)])
    limit = float(np.quantile(scores, 1 - BEST)) if threshold is None else threshold
    # What the later date scores higher by in the median is no change: it is halved between both.
    drift = float(np.median(scores[:, 1] - scores[:, 0])) / 2
    first, second = scores[:, 0] + drift, scores[:, 1] - drift
    strength = {
        "appeared": np.where((second >= limit) & (first < limit), second - first, -np.inf),
        "disappeared": np.where((first >= limit) & (second < limit), first - second, -np.inf),
        "persists": np.where(
            (first >= limit) & (second >= limit), np.minimum(first, second), -np.inf
        ),
    }
    for kind in ("appeared", "disappeared"):
        strength[kind][strength[kind] <= margin] = -np.inf
    chance = chance_of(ranking, len(table))
    places = {
        kind: _strongest(table, kind, pairs, scores, strength[kind], k, chance) for kind in KINDS
    }
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


def _strongest(
    table: ChipTable,
    kind: str,
    pairs: np.ndarray,
    scores: np.ndarray,
    strength: np.ndarray,
    k: int,
    chance: Chance | None,
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
            Hit.of(table, int(pairs[place, 0]), float(scores[place, 0]), rank, chance),
            Hit.of(table, int(pairs[place, 1]), float(scores[place, 1]), rank, chance),
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
