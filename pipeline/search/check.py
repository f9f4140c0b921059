"""Check: a random sample of the hits of a saved search, judged blind, that estimates its precision.

The hits are cut into strata of neighbouring scores.  Each stratum has a random order of its own,
and the check visits the strata in proportion to their size: the hit that is r-th of a stratum of m
comes at (r - u) / m, u being uniform in 0 to 1.  Any beginning of this order is therefore a random
sample of every stratum, drawn without replacement in proportion to its size, and so is what lies
above any threshold.  A check can stop after any hit, and go on later.

The random numbers are SHA-256 of the seed and a hit's id, so that seed, strata and ids recompute
the sample with any software.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import Any, Protocol

import numpy as np

from pipeline.collection.marks import Judgement, author_of, marks_of, standing
from pipeline.dates import now
from pipeline.errors import QueryError
from pipeline.search.estimates import CONFIDENCE, Estimate, Tally, estimate, needed
from pipeline.search.review import BAD, GOOD, MARKS, SKIP

#: Number of hits that a check draws unless asked otherwise.
SIZE = 50
#: Maximum number of strata, and minimum number of hits in each: smaller strata could spread a
#: sample more than a simple random one, which the intervals assume at worst.
STRATA, SMALLEST = 10, 20
#: Number of thresholds of a curve.
THRESHOLDS = 20


@dataclass(frozen=True)
class Check:
    """A sample of the hits of a saved search, and its judgements.

    Attributes:
        seed: Of the random order, 16 hex digits.
        strata: Number of hits in each stratum, highest scores first.
        size: Number of hits drawn.
        created: When it was drawn, ISO 8601 UTC.
        judgements: Every one that was given, in order, with its author and time; "skip" if nobody
            can tell, "" to take one's own back.
    """

    seed: str
    strata: tuple[int, ...]
    size: int
    created: str
    judgements: tuple[Judgement, ...] = ()

    @classmethod
    def draw(cls, population: int, size: int, seed: str | None = None) -> Check:
        """Draw a sample.

        Args:
            population: Number of hits of the saved search.
            size: Number to judge.
            seed: Of the random order; a new one if None.
        """
        strata = max(1, min(STRATA, population // SMALLEST))
        ends = [population * stratum // strata for stratum in range(strata + 1)]
        return cls(
            seed=seed or secrets.token_hex(8),
            strata=tuple(end - start for start, end in pairwise(ends)),
            size=size,
            created=now(),
        )

    @classmethod
    def from_dict(cls, values: Mapping[str, Any] | None, population: int) -> Check | None:
        """The check in a file, or None if it has none; raises what wrong content makes.

        Args:
            values: What `asdict` made of it.
            population: Number of hits of the saved search.
        """
        if values is None:
            return None
        check = cls(
            seed=values["seed"],
            strata=tuple(values["strata"]),
            size=values["size"],
            created=values["created"],
            judgements=tuple(Judgement(**each) for each in values["judgements"]),
        )
        if not all(isinstance(text, str) for text in (check.seed, check.created)):
            raise TypeError("a text is not a string")
        if not all(type(number) is int and number >= 0 for number in (check.size, *check.strata)):
            raise ValueError("a count is not a whole number")
        if sum(check.strata) != population:
            raise ValueError("the strata are those of another list")
        if any(each.label not in (*MARKS, "") for each in check.judgements):
            raise ValueError("no such mark")
        return check

    @property
    def marks(self) -> dict[str, str]:
        """The judgements by id; where authors disagree, the later."""
        return marks_of(self.judgements)

    @property
    def standing(self) -> tuple[Judgement, ...]:
        """The last judgement of each author on each hit, in order."""
        return standing(self.judgements)


@dataclass(frozen=True)
class Checked:
    """The check of a saved search as it stands.

    Attributes:
        check: Its sample and judgements, or None before any is drawn.
        hits: Id and score of the hits as they were saved, highest scores first; the population.
        gone: Ids of hits that no longer exist, which nobody can judge.
    """

    check: Check | None
    hits: tuple[tuple[str, float], ...]
    gone: frozenset[str] = frozenset()

    @classmethod
    def of(
        cls, check: Check | None, hits: Iterable[tuple[str, float]], gone: Iterable[str] = ()
    ) -> Checked:
        """The check of hits in any order; after Refine scores do not fall down the list."""
        return cls(check, tuple(sorted(hits, key=lambda hit: -hit[1])), frozenset(gone))

    @cached_property
    def sample(self) -> tuple[str, ...]:
        """Ids of the hits drawn, in the order to judge them."""
        if not self.check:
            return ()
        ids = [hit for hit, _ in self.hits]
        places = sample_order(uniforms(self.check.seed, ids), self.check.strata)
        return tuple(ids[place] for place in places[: self.check.size])

    @cached_property
    def judged(self) -> dict[str, str]:
        """Marks of the beginning of the sample that is judged, by id.

        Hits that are gone count as those that nobody can tell; what was judged after a hit that is
        still open counts once that one is judged.
        """
        marks = self.check.marks if self.check else {}
        judged: dict[str, str] = {}
        waiting: dict[str, str] = {}
        for item in self.sample:
            if item in marks:
                judged |= {**waiting, item: marks[item]}
                waiting = {}
            elif item in self.gone:
                waiting[item] = SKIP
            else:
                break
        else:
            judged |= waiting
        return judged

    def next(self, count: int | None = None) -> tuple[str, ...]:
        """Ids of the next hits to judge; all that are left if `count` is None."""
        marks = self.check.marks if self.check else {}
        left = [each for each in self.sample if each not in marks and each not in self.gone]
        return tuple(left[:count])

    def at(self, thresholds: Iterable[float]) -> list[Estimate]:
        """Precision and recall at each threshold, highest first."""
        scores = np.array([score for _, score in self.hits])
        marks = np.array([self.judged.get(hit, "") for hit, _ in self.hits], str)

        def tally(part: np.ndarray) -> Tally:
            good, bad, unsure = (int((marks[part] == mark).sum()) for mark in (GOOD, BAD, SKIP))
            return Tally(int(part.sum()), good, bad, unsure)

        return [
            estimate(threshold, tally(scores >= threshold), tally(scores < threshold))
            for threshold in sorted(map(float, thresholds), reverse=True)
        ]

    @cached_property
    def estimates(self) -> tuple[Estimate, ...]:
        """Precision and recall at about twenty of the hits' own scores, highest first."""
        scores = [score for _, score in self.hits]
        step = max(1, len(scores) // THRESHOLDS)
        return tuple(self.at({*scores[step - 1 :: step], *scores[-1:]}))

    def record(self, threshold: float | None = None) -> dict[str, Any] | None:
        """The estimate of the hits at or above a score, with its design, for files.

        Args:
            threshold: Minimum score; None for all hits.

        Returns:
            JSON values, or None where nothing was judged.
        """
        if not (self.check and self.hits):
            return None
        least = self.hits[-1][1] if threshold is None else threshold
        (found,) = self.at([least])
        if found.precision is None:
            return None
        return {
            "of": "hits of the saved search at or above the minimum score",
            "minimum_score": round(least, 6),
            "hits": found.hits,
            "precision": round(found.precision, 4),
            "precision_interval": [round(found.low, 4), round(found.high, 4)],
            "recall_within_list": None if found.recall is None else round(found.recall, 4),
            "recall_interval": [round(found.recall_low, 4), round(found.recall_high, 4)],
            "confidence": CONFIDENCE,
            "judged": found.judged,
            "unsure": found.unsure,
            "list": len(self.hits),
            "judged_in_list": len(self.judged),
            "design": "random, without replacement, proportional in strata of score; judged blind",
            "strata": list(self.check.strata),
            "seed": self.check.seed,
            "interval": "hypergeometric, Blaker 2000",
        }


@dataclass(frozen=True)
class CheckItem:
    """A hit to judge, without what would tell its score.

    Attributes:
        id: Its id.
        collection: Collection that holds it.
        scene_id: Its scene.
        geometry: Its outline, GeoJSON in EPSG:4326.
        col: Column of its centre in pixels of the scene.
        row: Row of its centre.
        width: Width in pixels of the scene.
        height: Height in pixels of the scene.
    """

    id: str
    collection: str
    scene_id: str
    geometry: Mapping[str, Any]
    col: float
    row: float
    width: float
    height: float


class CheckStore(Protocol):
    """Saved searches of chips or of objects."""

    def checked(self, search_id: str) -> Checked:
        """The check of a saved search as it stands."""

    def change_check(self, search_id: str, change: Callable[[Checked], Check | None]) -> Checked:
        """Change the check of a saved search, or remove it, while nobody else does."""

    def check_items(self, search_id: str, ids: Sequence[str]) -> list[CheckItem]:
        """Hits of a saved search to judge."""


def drawn(
    checked: Checked, size: int | None = None, error: float | None = None, seed: str | None = None
) -> Check:
    """A check with a sample of some size: a new one, or the present one with more hits.

    Args:
        checked: The check as it stands.
        size: Number of hits to judge.
        error: Instead of it, the error wanted for the whole list, 0 to 1.
        seed: Of a new sample; random if None.

    Raises:
        QueryError: If there is no hit, or size or error is out of range.
    """
    population, check = len(checked.hits), checked.check
    if not population:
        raise QueryError("This saved search has no hits to check", remedy="Search again")
    if size is not None and error is not None:
        raise QueryError("Size and error of a check exclude each other", remedy="Give one of them")
    if error is not None:
        if not 0 <= error < 1:
            raise QueryError("The error is a share, 0 to 1", where=str(error), remedy="Such as 0.1")
        size = needed(error, population)
    if size is None:
        size = check.size if check else SIZE
    if size < 1:
        raise QueryError("A check needs at least one hit", where=str(size), remedy="Such as 50")
    size = min(size, population)
    if check is None:
        return Check.draw(population, size, seed)
    return replace(check, size=max(size, check.size))


def judge(checked: Checked, marks: Mapping[str, str | None], author: str = "") -> Check:
    """The check with judgements of hits by id; None takes back the author's.

    Nobody replaces the judgement of another: the last of each author stands, the later counts.

    Raises:
        QueryError: If a mark is unknown or a hit was not drawn.
    """
    known = set(checked.sample)
    for item, mark in marks.items():
        if mark is not None and mark not in MARKS:
            raise QueryError("No such mark", where=mark[:40], remedy=f"Use {', '.join(MARKS)}")
        if item not in known:
            raise QueryError(
                "The check did not draw this hit",
                where=item[:40],
                remedy="Judge the hits that the check asks for",
            )
    if checked.check is None:
        raise QueryError("This saved search has no check", remedy="Draw one first")
    who, time = author_of(author), now()
    given = (Judgement(item, mark or "", who, time) for item, mark in marks.items())
    return replace(checked.check, judgements=(*checked.check.judgements, *given))


def uniforms(seed: str, ids: Sequence[str]) -> np.ndarray:
    """Two random numbers for each id, uniform in 0 to 1, (n, 2).

    The first 16 bytes of SHA-256 of "<seed>:<id>", read as two big-endian integers.
    """
    digests = (hashlib.sha256(f"{seed}:{each}".encode()).digest()[:16] for each in ids)
    return np.frombuffer(b"".join(digests), ">u8").reshape(-1, 2) / 2.0**64


def sample_order(random: np.ndarray, strata: Sequence[int]) -> np.ndarray:
    """Places of hits in the order to judge them, (n,).

    Args:
        random: Two uniform random numbers for each hit, highest scores first, (n, 2).
        strata: Number of hits in each stratum.
    """
    keys, start = np.empty(len(random)), 0
    for size in strata:
        own = random[start : start + size]
        rank = np.empty(size)
        rank[np.argsort(own[:, 0])] = np.arange(1, size + 1)
        keys[start : start + size] = (rank - own[:, 1]) / size
        start += size
    return np.argsort(keys)


def size_choices(population: int, most: int = 400) -> list[int]:
    """Sample sizes to offer, smallest first: each about halves the variance of the one before."""
    sizes = [size for size in (25, 50, 100, 200, 400) if size < population]
    return [*sizes, population] if population <= 2 * most else sizes
