"""A segment: some chips' vectors and what finds the nearest of them.  An index is a few segments.

    vectors.npy       float16 (n, 2048), of length one; memory-mapped
    projection.npy    float32 (2048, 127), see `pipeline.index.projection`
    scann/            ScaNN over the (n, 128) reduced vectors
    segment.json      written last: what it is, and the size of every other file

A segment is written once and never changed.  A search has two stages: ScaNN proposes by reduced
vectors, the full vectors decide.  Below 20,000 chips ScaNN scores every chip by an upper bound of
its cosine, and the answer is proven equal to an exact scan.  Above, a tree with asymmetric hashing
(Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector Quantization", ICML 2020)
proposes, with as many leaves and candidates as a self-check at build time asks for.
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
from pipeline.index.exact import BLOCK, ROUNDING, best, nearest
from pipeline.index.projection import Projection
from pipeline.index.rows import Eligible
from pipeline.index.scann import scann
from pipeline.model.identity import DIMENSIONS
from pipeline.vectors import products

#: Deviations of the first stage's error beyond which a candidate is not looked at again.
DEVIATIONS = 4.0
#: Candidates beyond 2k where every eligible chip was scored on the reduced vectors.
SURE = 130
#: Eligible chips that are scored on their reduced vectors in the time of one proposal by ScaNN.
SCORED = 11
#: So many of them at a time: what they are widened to stays in the processor's cache.
PIECE = 2_048
REBUILD = "It is rebuilt from the chips by the next search"


#: Searchable segments of this process by their description's file, which an index that grows links
#: to: what it keeps is not read again, nor held twice while the old one still answers.
_open: WeakValueDictionary[tuple[int, int, int], Segment] = WeakValueDictionary()
_opening = threading.Lock()


@dataclass(frozen=True)
class Parameters:
    """How a segment of a given size is searched, recorded beside it.

    Attributes:
        kind: "exact" or "tree".
        leaves: Leaves of the tree, about √n.
        leaves_searched: Leaves looked at for a query.
        hashed: Best by hash that are scored again on the reduced vectors.
        candidates: Best of those, of which the promising are scored again on the full vectors.
    """

    kind: str
    leaves: int = 0
    leaves_searched: int = 0
    hashed: int = 0
    candidates: int = 0


@dataclass(frozen=True)
class Content:
    """`segment.json`.

    Attributes:
        rows: Chips in the segment.
        parts: The parts its rows come from in order: (scene id, file name, stamp, rows).
        parameters: How it is searched.
        recall_at_10: Share of the ten nearest that searches of the self-check found.
        files: Bytes of each other file, so that a cut or missing one is noticed when opening.
    """

    rows: int
    parts: tuple[tuple[str, str, str, int], ...]
    parameters: Parameters
    recall_at_10: float
    files: dict[str, int]

    @classmethod
    def read(cls, folder: Path) -> Content:
        """What a segment's folder says it is.

        Raises:
            DamagedError: If it says nothing that can be read.
        """
        content = read_json(folder / "segment.json", what="The index", remedy=REBUILD)
        try:
            return cls(
                **{
                    **content,
                    "parts": tuple(tuple(part) for part in content["parts"]),
                    "parameters": Parameters(**content["parameters"]),
                }
            )
        except (TypeError, KeyError, ValueError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error


class Segment:
    """An open segment.  Rows are counted from its own first.

    Attributes:
        folder: Where it lies.
        content: What it is.
        vectors: Float16 memory map (n, 2048) of unit vectors.
        projection: What its reduced vectors were made by.

    Args:
        searchable: False for one that is only built upon: ScaNN's part stays on disk.
    """

    def __init__(self, folder: Path, content: Content, *, searchable: bool = True) -> None:
        self.folder, self.content = folder, content
        self._first: Segment | None = None  # whose memory this one uses
        self.vectors = _mapped(folder / "vectors.npy")
        if self.vectors.shape != (content.rows, DIMENSIONS):
            raise ValueError(f"{self.vectors.shape} vectors for {content.rows} chips")
        self.projection = Projection(np.load(folder / "projection.npy"))
        if not searchable:
            return
        exact = content.parameters.kind == "exact"
        kept = "dataset.npy" if exact else "int8_dataset.npy"
        # In memory for a filter, which reads it here and there: a mapped file has no large pages.
        reduced = folder / "scann" / kept
        self._reduced = _mapped(reduced) if exact else np.load(reduced)
        scale = 1 if exact else np.load(folder / "scann" / "int8_multipliers.npy")
        self._scale = np.float32(1) / np.asarray(scale, np.float32)
        self._searcher = scann().load_searcher(str(folder / "scann"))

    @classmethod
    def open(cls, folder: Path, *, searchable: bool = True) -> Segment:
        """Open a segment's folder.

        Raises:
            DamagedError: If anything in it is missing, cut short or not ours.
        """
        content = Content.read(folder)
        try:
            for name, size in content.files.items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} is not {size} bytes long")
            if "scann/scann_docids.pkl" in files_of(folder):
                raise ValueError("a pickle, which ScaNN would open and we never write")
            if not searchable:
                return cls(folder, content, searchable=False)
            return cls._shared(folder, content)
        except (TypeError, KeyError, ValueError, OSError, RuntimeError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error

    @classmethod
    def _shared(cls, folder: Path, content: Content) -> Segment:
        """A searchable one, in the memory of the same one if another index has it open here."""
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
        """The same, searched in another way."""
        changed = copy.copy(self)
        changed.content = replace(self.content, parameters=parameters)
        return changed

    def __len__(self) -> int:
        return self.content.rows

    def search(
        self, unit: np.ndarray, k: int, eligible: Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest rows to a unit vector.

        Args:
            unit: Float32 (2048,), of length one.
            k: How many, at least 1.
            eligible: The rows that may be returned, or None for all.

        Returns:
            Rows int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        n = len(self) if eligible is None else eligible.count
        if k * 4 >= n:
            rows = np.arange(n) if eligible is None else eligible.rows
            return self.best_of(unit, rows, k)
        if self.content.parameters.kind == "exact":
            return self._proven(unit, k, eligible)
        return self._decided(unit, *self._likely(unit, k, eligible), k)

    def search_many(self, units: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 (q, k) and cosines float32 (q, k) for q unit vectors, k ≤ n.

        A tree's first stage runs on all processors at once.
        """
        if k * 4 >= len(self):
            return nearest(self.vectors, units, k)
        if self.content.parameters.kind == "exact":
            return _stacked([self._proven(unit, k, None) for unit in units], k)
        candidates, hashed, leaves = self._effort(k)
        proposed = self._searcher.search_batched_parallel(
            self.projection.of_queries(units), candidates, hashed, leaves
        )
        found = [
            self._decided(unit, rows.astype(np.int64), guesses, k)
            for unit, rows, guesses in zip(units, *proposed, strict=True)
        ]
        return _stacked(found, k)

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

    def _proven(
        self, unit: np.ndarray, k: int, eligible: Eligible | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The answer of an exact scan, from as few full vectors as its proof needs."""
        bound = self.projection.of_queries(unit[None], share=1.0)[0]
        proposed = min(max(2 * k, 64), len(self))
        among = None if eligible is None else eligible.rows
        if among is None:
            rows, bounds = self._searcher.search(bound, final_num_neighbors=proposed)
            rows = rows.astype(np.int64)
        else:
            every = self._reduced[among] @ bound
            first = np.argpartition(-every, min(proposed, len(every)) - 1)[:proposed]
            rows, bounds = among[first], every[first]
        found, scores = self.best_of(unit, rows, k)
        worst = scores[-1] - ROUNDING
        if bounds.min() < worst:
            return found, scores
        if among is None:
            return self.best_of(unit, np.flatnonzero(self._reduced @ bound >= worst), k)
        return self.best_of(unit, among[every >= worst], k)

    def _likely(
        self, unit: np.ndarray, k: int, eligible: Eligible | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows that very likely hold the k nearest of the eligible, and guesses, best first."""
        query = self.projection.of_queries(unit[None])[0]
        wanted = self._effort(k)[0]
        if eligible is None:
            return self._proposed(query, wanted)
        proposals = wanted * len(self) // eligible.count * 3 // 2
        if proposals * SCORED < eligible.count:
            rows, guesses = self._proposed(query, proposals)
            passed = eligible.mask[rows]
            if np.count_nonzero(passed) >= wanted:
                return rows[passed][:wanted], guesses[passed][:wanted]
        guesses = self._guesses(query, eligible.rows)
        # None is lost by hashing here, so fewer candidates are as sure.
        return best(eligible.rows, guesses, min(2 * k + SURE, wanted))

    def _proposed(self, query: np.ndarray, wanted: int) -> tuple[np.ndarray, np.ndarray]:
        """ScaNN's rows and guesses, best first."""
        candidates, hashed, leaves = self._effort(0, wanted)
        rows, guesses = self._searcher.search(query, candidates, hashed, leaves)
        return rows.astype(np.int64), guesses

    def _decided(
        self, unit: np.ndarray, rows: np.ndarray, guesses: np.ndarray, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k best of the candidates, reading no more full vectors than are promising.

        The first ones show how far guesses are off; of the others only those are read that an
        error of four deviations would lift above the k-th best.
        """
        first = 2 * k + 44
        scores = self.cosines(unit, rows[:first])
        if len(rows) > first:
            off = scores - guesses[:first]
            worst = np.partition(scores, -k)[-k]
            reach = guesses[first:] + off.mean() + DEVIATIONS * off.std() > worst
            rows = np.concatenate([rows[:first], rows[first:][reach]])
            scores = np.concatenate([scores, self.cosines(unit, rows[first:])])
        return best(rows, scores.round(6), k)

    def _effort(self, k: int, wanted: int = 0) -> tuple[int, int, int]:
        """Candidates, hashes and leaves for k neighbours; more than ten ask for more of each."""
        base, n = self.content.parameters, len(self)
        candidates = min(max(wanted, base.candidates, 2 * k + base.candidates // 2), n)
        grown = candidates / base.candidates
        leaves = min(round(base.leaves_searched * grown**0.5), base.leaves)
        return candidates, min(max(round(base.hashed * grown), candidates), n), leaves

    def _guesses(self, query: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """First-stage scores float32 (m,) of some rows: cosines but for a constant."""
        scaled = query * self._scale
        scores = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), PIECE):
            piece = slice(start, start + PIECE)
            scores[piece] = np.take(self._reduced, rows[piece], axis=0).astype(np.float32) @ scaled
        return scores


def _stacked(found: list[tuple[np.ndarray, np.ndarray]], k: int) -> tuple[np.ndarray, np.ndarray]:
    rows = np.array([rows for rows, _ in found], np.int64).reshape(-1, k)
    return rows, np.array([scores for _, scores in found], np.float32).reshape(-1, k)


def _mapped(path: Path) -> np.ndarray:
    """A memory-mapped array, as a plain one: each look at a piece of a `memmap` costs its class."""
    return np.asarray(np.load(path, mmap_mode="r"))


def files_of(folder: Path) -> dict[str, int]:
    """Bytes of each file of a segment but its description."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "segment.json")
    return {path.relative_to(folder).as_posix(): path.stat().st_size for path in found}
