"""A segment: a part of the index that finds the nearest of some chips.

    vectors.npy       unit vectors, float16 (n, 2048); memory-mapped
    projection.npy    float32 (2048, 127), see `pipeline.index.projection`
    scann/            ScaNN over the (n, 128) reduced vectors
    segment.json      description, with the size of every other file; written last

A segment never changes once it is written.  A search has two stages: ScaNN proposes candidates by
reduced vectors, and the full vectors decide.  Below 20,000 chips, ScaNN scores every chip by an
upper bound of its cosine, and the result is proven equal to an exact scan.  Above, it uses a tree
with asymmetric hashing (Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector
Quantization", ICML 2020), with the leaves and candidates that a self-check at build time chose.
"""

from __future__ import annotations

import copy
import threading
from dataclasses import dataclass, replace
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np

from pipeline.errors import DamagedError
from pipeline.files import read_json
from pipeline.index.exact import BLOCK, ROUNDING, best, scan
from pipeline.index.projection import Projection
from pipeline.index.rows import Eligible
from pipeline.index.scann import scann
from pipeline.model.identity import DIMENSIONS
from pipeline.vectors import products

#: Standard deviations of the first stage's error that a candidate is allowed.
DEVIATIONS = 4.0
#: Candidates beyond 2k if every eligible chip was scored on its reduced vector.
SURE = 130
#: Reduced vectors that can be scored in the time of one proposal by ScaNN.
SCORED = 11
#: Reduced vectors scored at a time, so that their float32 copies stay in the processor's cache.
PIECE = 2_048
REBUILD = "It is rebuilt from the chips by the next search"


#: Searchable segments of this process by the identity of their `segment.json`.  An index that grows
#: links to the files it keeps, so these are neither read again nor held twice.
_open: WeakValueDictionary[tuple[int, int, int], Segment] = WeakValueDictionary()
_opening = threading.Lock()


@dataclass(frozen=True)
class Parameters:
    """How a segment is searched.

    Attributes:
        kind: "exact" or "tree".
        leaves: Leaves of the tree, about √n.
        leaves_searched: Leaves searched per query.
        hashed: Number of the best rows by hash, re-scored on the reduced vectors.
        candidates: Number of the best of those, which may be re-scored on the full vectors.
    """

    kind: str
    leaves: int = 0
    leaves_searched: int = 0
    hashed: int = 0
    candidates: int = 0

    def __post_init__(self) -> None:
        fewest = 1 if self.kind == "tree" else 0
        for number in (self.leaves, self.leaves_searched, self.hashed, self.candidates):
            if type(number) is not int or not fewest <= number < 2**31:
                raise ValueError(f"{number!r} is not a number of leaves or candidates")
        if self.kind not in ("exact", "tree"):
            raise ValueError(f"{self.kind!r} is not a kind of segment")


@dataclass(frozen=True)
class Content:
    """`segment.json`.

    Attributes:
        rows: Chips in the segment.
        parts: Parts that its rows come from, in order: (scene id, file name, stamp, rows).
        parameters: How it is searched.
        recall_at_10: Share of the ten nearest chips that the self-check found.
        files: Size of each other file in bytes, which reveals a truncated or missing one.
    """

    rows: int
    parts: tuple[tuple[str, str, str, int], ...]
    parameters: Parameters
    recall_at_10: float
    files: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> Content:
        """The description in a segment's folder.

        Raises:
            DamagedError: If it is missing or damaged.
        """
        content = read_json(folder / "segment.json", what="The index", remedy=REBUILD)
        try:
            read = cls(
                **{
                    **content,
                    "parts": tuple(tuple(part) for part in content["parts"]),
                    "parameters": Parameters(**content["parameters"]),
                }
            )
            _check_kinds(read)
            return read
        except (TypeError, KeyError, ValueError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error


class Segment:
    """An open segment, whose rows are numbered from 0.

    Attributes:
        folder: Its folder.
        content: Its description.
        vectors: Unit vectors, float16 memory map (n, 2048).
        projection: The projection of its reduced vectors.

    Args:
        folder: Its folder.
        content: Its description.
        searchable: False to read vectors only and leave ScaNN's files on disk.
    """

    def __init__(self, folder: Path, content: Content, *, searchable: bool = True) -> None:
        self.folder, self.content = folder, content
        self._first: Segment | None = None  # keeps the segment whose memory this one shares
        self.vectors = _map_array(folder / "vectors.npy")
        if self.vectors.shape != (content.rows, DIMENSIONS):
            raise ValueError(f"{self.vectors.shape} vectors for {content.rows} chips")
        self.projection = Projection(np.load(folder / "projection.npy"))
        if not searchable:
            return
        exact = content.parameters.kind == "exact"
        kept = "dataset.npy" if exact else "int8_dataset.npy"
        # Filters read it at random, which is faster in memory than in a mapped file.
        reduced = folder / "scann" / kept
        self._reduced = _map_array(reduced) if exact else np.load(reduced)
        scale = 1 if exact else np.load(folder / "scann" / "int8_multipliers.npy")
        self._scale = np.float32(1) / np.asarray(scale, np.float32)
        self._searcher = scann().load_searcher(str(folder / "scann"))

    @classmethod
    def open(cls, folder: Path, *, searchable: bool = True) -> Segment:
        """Open a segment's folder.

        Raises:
            DamagedError: If a file is missing, truncated or not ours.
        """
        content = Content.read(folder)
        try:
            for name, size in content.files.items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} is not {size} bytes long")
            if "scann/scann_docids.pkl" in file_sizes(folder):
                raise ValueError("a pickle, which ScaNN would load and Lookalike never writes")
            if not searchable:
                return cls(folder, content, searchable=False)
            return cls._open_shared(folder, content)
        except (TypeError, KeyError, ValueError, OSError, RuntimeError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error

    @classmethod
    def _open_shared(cls, folder: Path, content: Content) -> Segment:
        """A searchable segment, sharing memory with the same one of another open index."""
        about = (folder / "segment.json").stat()
        same = about.st_dev, about.st_ino, about.st_mtime_ns
        with _opening:
            first = _open.get(same)
        if first is None:
            loaded = cls(folder, content)
            with _opening:
                first = _open.setdefault(same, loaded)
        again = copy.copy(first)
        again.folder, again._first = folder, first
        return again

    def with_parameters(self, parameters: Parameters) -> Segment:
        """The same segment with other search parameters."""
        changed = copy.copy(self)
        changed.content = replace(self.content, parameters=parameters)
        return changed

    def __len__(self) -> int:
        return self.content.rows

    def search(
        self, unit: np.ndarray, k: int, eligible: Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k rows nearest to a unit vector.

        Args:
            unit: Unit vector, float32 (2048,).
            k: Number of rows, at least 1.
            eligible: The rows that may be returned, or None for all.

        Returns:
            Rows int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        n = len(self) if eligible is None else eligible.count
        if k * 4 >= n:
            rows = np.arange(n) if eligible is None else eligible.rows
            return self.best_of(unit, rows, k)
        if self.content.parameters.kind == "exact":
            return self._search_exact(unit, k, eligible)
        return self._rescore(unit, *self._candidates(unit, k, eligible), k)

    def search_many(self, units: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 (q, k) and cosines float32 (q, k) for q unit vectors, k ≤ n.

        The first stage of a tree runs on all processors.
        """
        if k * 4 >= len(self):
            return scan(self.vectors, units, k)
        if self.content.parameters.kind == "exact":
            return _stack([self._search_exact(unit, k, None) for unit in units], k)
        candidates, hashed, leaves = self._effort(k)
        proposed = self._searcher.search_batched_parallel(
            self.projection.of_queries(units), candidates, hashed, leaves
        )
        found = [
            self._rescore(unit, rows.astype(np.int64), estimates, k)
            for unit, rows, estimates in zip(units, *proposed, strict=True)
        ]
        return _stack(found, k)

    def cosines(self, unit: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Exact cosines float32 (m,) of a unit vector, or of the best of several (q, 2048)."""
        count = len(self) if rows is None else len(rows)
        scores = np.empty(count, np.float32)
        for start in range(0, count, BLOCK):
            piece = slice(start, start + BLOCK)
            chosen = piece if rows is None else rows[piece]
            found = products(self.vectors[chosen], unit.T)
            scores[piece] = found if unit.ndim == 1 else found.max(axis=1)
        return scores

    def best_of(self, unit: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best of `rows` by exact cosine, to six decimals; ties go to the lower row."""
        return best(rows, self.cosines(unit, rows).round(6), k)

    def _search_exact(
        self, unit: np.ndarray, k: int, eligible: Eligible | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The result of an exact scan, reading only the full vectors that prove it."""
        bound = self.projection.of_queries(unit[None], share=1.0)[0]
        proposed = min(max(2 * k, 64), len(self))
        allowed = None if eligible is None else eligible.rows
        if allowed is None:
            rows, bounds = self._searcher.search(bound, final_num_neighbors=proposed)
            rows = rows.astype(np.int64)
        else:
            every = self._reduced[allowed] @ bound
            first = np.argpartition(-every, min(proposed, len(every)) - 1)[:proposed]
            rows, bounds = allowed[first], every[first]
        found, scores = self.best_of(unit, rows, k)
        worst = scores[-1] - ROUNDING
        if bounds.min() < worst:
            return found, scores
        if allowed is None:
            return self.best_of(unit, np.flatnonzero(self._reduced @ bound >= worst), k)
        return self.best_of(unit, allowed[every >= worst], k)

    def _candidates(
        self, unit: np.ndarray, k: int, eligible: Eligible | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Candidates that very likely include the k nearest eligible rows, with estimates."""
        query = self.projection.of_queries(unit[None])[0]
        wanted = self._effort(k)[0]
        if eligible is None:
            return self._propose(query, wanted)
        proposals = wanted * len(self) // eligible.count * 3 // 2
        if proposals * SCORED < eligible.count:
            rows, estimates = self._propose(query, proposals)
            passed = eligible.mask[rows]
            if np.count_nonzero(passed) >= wanted:
                return rows[passed][:wanted], estimates[passed][:wanted]
        estimates = self._estimates(query, eligible.rows)
        # Nothing is lost by hashing here, so fewer candidates suffice.
        return best(eligible.rows, estimates, min(2 * k + SURE, wanted))

    def _propose(self, query: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows proposed by ScaNN and their estimates, best first."""
        candidates, hashed, leaves = self._effort(0, wanted)
        rows, estimates = self._searcher.search(query, candidates, hashed, leaves)
        return rows.astype(np.int64), estimates

    def _rescore(
        self, unit: np.ndarray, rows: np.ndarray, estimates: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best candidates, reading as few full vectors as possible.

        The first candidates show how far estimates are off.  The others are re-scored only if
        their estimate plus 4σ exceeds the k-th best.
        """
        first = 2 * k + 44
        scores = self.cosines(unit, rows[:first])
        if len(rows) > first:
            off = scores - estimates[:first]
            worst = np.partition(scores, -k)[-k]
            reach = estimates[first:] + off.mean() + DEVIATIONS * off.std() > worst
            rows = np.concatenate([rows[:first], rows[first:][reach]])
            scores = np.concatenate([scores, self.cosines(unit, rows[first:])])
        return best(rows, scores.round(6), k)

    def _effort(self, k: int, wanted: int = 0) -> tuple[int, int, int]:
        """Candidates, hashes and leaves for k neighbours; more neighbours need more of each."""
        base, n = self.content.parameters, len(self)
        candidates = min(max(wanted, base.candidates, 2 * k + base.candidates // 2), n)
        grown = candidates / base.candidates
        leaves = min(round(base.leaves_searched * grown**0.5), base.leaves)
        return candidates, min(max(round(base.hashed * grown), candidates), n), leaves

    def _estimates(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Estimates float32 (m,) of some rows: cosines up to a constant."""
        scaled = query * self._scale
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), PIECE):
            piece = slice(start, start + PIECE)
            scores[piece] = np.take(self._reduced, rows[piece], axis=0).astype(np.float32) @ scaled
        return scores


def _check_kinds(content: Content) -> None:
    """Raise `TypeError` or `ValueError` if a value cannot be one of its field's."""
    if not all([type(value) for value in part] == [str, str, str, int] for part in content.parts):
        raise TypeError("a part is malformed")
    if type(content.rows) is not int or sum(n for *_, n in content.parts) != content.rows:
        raise ValueError(f"the parts do not have {content.rows} chips")
    if not isinstance(content.files, dict):
        raise TypeError(f"{content.files!r} is not a dict of files")
    if not isinstance(content.recall_at_10, (int, float)):
        raise TypeError(f"{content.recall_at_10!r} is not a number")


def _stack(found: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([rows for rows, _ in found], np.int64).reshape(-1, k)
    return rows, np.array([scores for _, scores in found], np.float32).reshape(-1, k)


def _map_array(path: Path) -> np.ndarray:
    """A memory-mapped array as a plain `ndarray`: slicing a `memmap` object is slower."""
    return np.asarray(np.load(path, mmap_mode="r"))


def file_sizes(folder: Path) -> dict[str, int]:
    """Bytes of each file of a segment except its description."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "segment.json")
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
