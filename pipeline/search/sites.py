"""Sites: overlapping hits merged into one place, with one outline."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.search.chance import rounded

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.search.search import Hit, Result

#: Minimum share of the smaller footprint that two hits of a site have in common; hits that only
#: touch are two sites.
LEAST_SHARED = 0.01
#: Maximum number of hits that are merged to find the requested number of sites.
MOST_HITS = 10_000


@dataclass(frozen=True)
class Site:
    """One place on the ground.

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
        """The hit with the best rank."""
        return self.hits[0]

    @property
    def id(self) -> str:
        """Id of the best chip: a place keeps it from one search to the next."""
        return self.best.id

    @property
    def score(self) -> float:
        """The highest score; with marks, another hit may have the best rank."""
        return max(hit.score for hit in self.hits)

    @property
    def by_chance(self) -> float | None:
        """How many chips would score as high by chance, or None where that is unknown."""
        known = [hit.by_chance for hit in self.hits if hit.by_chance is not None]
        return min(known, default=None)

    @property
    def count(self) -> int:
        """Number of hits merged."""
        return len(self.hits)

    @property
    def centre(self) -> tuple[float, float]:
        """Longitude and latitude of the outline's centroid."""
        point = self.outline.centroid
        return float(point.x), float(point.y)

    def to_dict(self) -> dict[str, Any]:
        """JSON form, as the command line and REST print it."""
        from shapely.geometry import mapping

        return {
            "rank": self.rank,
            "id": self.id,
            "score": round(self.score, 6),
            "by_chance": rounded(self.by_chance),
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
    shapes = _shapes(hits)
    groups: dict[int, list[int]] = {}
    for i, root in enumerate(_groups(shapes)[0]):
        groups.setdefault(root, []).append(i)
    # Members are in rank order, so the groups are ordered by their best hit already.
    return tuple(
        Site(rank, tuple(hits[i] for i in members), shapely.union_all(shapes[members]))
        for rank, members in enumerate(groups.values(), 1)
    )


def gather(
    look: Callable[[int], Result], k: int, keep: Collection[int] = ()
) -> tuple[Result, tuple[Site, ...]]:
    """Search for k sites: the fewest hits that make up k of them, and those sites.

    Each further hit makes a new site, joins one, or merges several.  If the number of sites never
    reaches k, the hits are those that make up the most sites.

    Args:
        look: Searches for a number of hits; returns the best first.
        k: Number of sites.
        keep: Rows of hits that stay: more sites than k, if they make up more.

    Returns:
        The result with the hits of these sites alone, and the sites.
    """
    started = time.perf_counter()
    reach = k
    while True:
        result = look(reach)
        # Those that stay are in whatever k is, so the others add to them.
        stays = [hit for hit in result.hits if hit.row in keep]
        hits = [*stays, *(hit for hit in result.hits if hit.row not in keep)]
        counts = _counts(hits)
        if len(counts) < reach or reach >= MOST_HITS or (counts >= k).any():
            break
        reach = min(reach * 4, MOST_HITS)
    if (counts >= k).any():
        needed = int(np.argmax(counts >= k)) + 1
    else:
        needed = len(counts) - int(np.argmax(counts[::-1])) if len(counts) else 0
    chosen = sorted(hits[: max(needed, len(stays))], key=lambda hit: hit.rank)
    kept = tuple(replace(hit, rank=rank) for rank, hit in enumerate(chosen, 1))
    sites = merge(kept)
    return replace(result, hits=kept, seconds=time.perf_counter() - started), sites


def _counts(hits: Sequence[Hit]) -> np.ndarray:
    """Int (n,): number of sites that the first 1, 2, …, n hits make up."""
    if not hits:
        return np.empty(0, np.int64)
    return np.arange(1, len(hits) + 1) - np.cumsum(_groups(_shapes(hits))[1])


def _shapes(hits: Sequence[Hit]) -> np.ndarray:
    import shapely

    return np.asarray(shapely.polygons(np.stack([hit.corners for hit in hits])))


def _groups(shapes: np.ndarray) -> tuple[list[int], np.ndarray]:
    """Per footprint: the first member of its group, and how many groups it merged (union-find)."""
    import shapely

    areas = shapely.area(shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    shared = shapely.area(shapely.intersection(shapes[first], shapes[second]))
    overlap = shared > LEAST_SHARED * np.minimum(areas[first], areas[second])
    order = np.argsort(second[overlap], kind="stable")
    parent = list(range(len(shapes)))
    merged = np.zeros(len(shapes), np.int64)

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    pairs = zip(first[overlap][order].tolist(), second[overlap][order].tolist(), strict=True)
    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        if low != high:
            parent[high] = low
            merged[b] += 1
    return [root(i) for i in range(len(shapes))], merged
