"""Sites: hits that overlap are one place on the ground, with one outline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.search import Hit

#: Share of the smaller footprint two hits must have in common; mere neighbours have none.
LEAST_SHARED = 0.01


@dataclass(frozen=True)
class Site:
    """One place.

    Attributes:
        rank: 1 for the site with the best hit.
        hits: Its hits, best first.
        outline: Union of their footprints, EPSG:4326.
    """

    rank: int
    hits: tuple[Hit, ...]
    outline: BaseGeometry

    @property
    def best(self) -> Hit:
        """The hit with the highest score."""
        return self.hits[0]

    @property
    def id(self) -> str:
        """The id of its best chip: the same place keeps it from one search to the next."""
        return self.best.id

    @property
    def score(self) -> float:
        """The best score."""
        return self.best.score

    @property
    def count(self) -> int:
        """How many hits were merged."""
        return len(self.hits)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the outline's centroid."""
        point = self.outline.centroid
        return float(point.x), float(point.y)

    def to_dict(self) -> dict[str, Any]:
        """The form of the command line and the REST interface."""
        from shapely.geometry import mapping

        return {
            "rank": self.rank,
            "id": self.id,
            "score": round(self.score, 6),
            "count": self.count,
            "chips": [hit.id for hit in self.hits],
            "scenes": sorted({hit.scene_id for hit in self.hits}),
            "geometry": mapping(self.outline),
        }


def merge(hits: Sequence[Hit]) -> tuple[Site, ...]:
    """Sites of the hits, best first; a chain of overlapping hits is one site.

    Args:
        hits: Best first, as a search returns them.
    """
    import shapely

    if not hits:
        return ()
    shapes = shapely.polygons(np.stack([hit.corners for hit in hits]))
    areas = shapely.area(shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    joined = shared > LEAST_SHARED * np.minimum(areas[first], areas[second])
    groups: dict[int, list[int]] = {}
    for place, root in enumerate(_roots(len(hits), first[joined], second[joined])):
        groups.setdefault(root, []).append(place)
    # Members are in rank order, so groups are already ordered by their best hit.
    return tuple(
        Site(rank, tuple(hits[i] for i in members), shapely.union_all(shapes[members]))
        for rank, members in enumerate(groups.values(), 1)
    )


def _roots(n: int, first: np.ndarray, second: np.ndarray) -> list[int]:
    """The smallest member of each item's connected group."""
    parent = list(range(n))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for a, b in zip(first.tolist(), second.tolist(), strict=True):
        low, high = sorted((root(a), root(b)))
        parent[high] = low
    return [root(i) for i in range(n)]
