"""The index: ScaNN over a collection's normalised embeddings.

Everything here is derived from the parts and rebuilt whenever it is missing, stale, damaged or of
another model.  ScaNN: Guo et al., "Accelerating Large-Scale Inference with Anisotropic Vector
Quantization", ICML 2020; the sizes at which the method changes follow its own advice
(https://github.com/google-research/google-research/blob/master/scann/docs/algorithms.md).
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import native, parts
from pipeline.errors import DamagedError, ModelMismatchError, storage_errors
from pipeline.files import TEMPORARY, read_json, write_json
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from pipeline.collection import Collection

log = logging.getLogger(__name__)

EXACT_BELOW = 20_000
TREE_FROM = 100_000
CANDIDATES = 200
REBUILD = "It is rebuilt from the chips by the next search"


@dataclass(frozen=True)
class Parameters:
    """How an index of a given size is built, recorded beside it.

    Attributes:
        kind: "exact", "hashed" (asymmetric hashing) or "tree" (tree + asymmetric hashing).
        leaves: Leaves of the tree, about √n.
        leaves_searched: Leaves looked at for a query.
        candidates: Nearest by hash that are scored again on the full vectors.
    """

    kind: str
    leaves: int = 0
    leaves_searched: int = 0
    candidates: int = 0

    @classmethod
    def for_size(cls, n: int) -> Parameters:
        """What suits n chips."""
        if n < EXACT_BELOW:
            return cls("exact")
        if n < TREE_FROM:
            return cls("hashed", candidates=CANDIDATES)
        leaves = round(n**0.5)
        return cls("tree", leaves, max(leaves // 8, 1), CANDIDATES)


@dataclass(frozen=True)
class Header:
    """`index.json`: what an index is of."""

    version: str
    model: dict[str, Any]
    chips: int
    parameters: Parameters
    scann: str
    schema: int = 1


@dataclass
class Index:
    """An open index.

    Attributes:
        header: What it is of.
        vectors: Float16 memory map (n, 2048), L2-normalised, in the collection's row order.
    """

    header: Header
    vectors: np.ndarray
    _searcher: Any = field(repr=False, default=None)

    @classmethod
    def open(cls, collection: Collection, progress: OnProgress = silent) -> Index:
        """Load a collection's index, building it first when that is needed.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be built and the disk is full or not writable.
        """
        folder = collection.index_folder / collection.version
        if folder.is_dir():
            try:
                return cls._load(folder, collection)
            except DamagedError as error:
                log.warning("rebuilding the index of %s: %s", collection.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        _build(folder, collection, progress)
        return cls._load(folder, collection)

    @classmethod
    def _load(cls, folder: Path, collection: Collection) -> Index:
        scann = native.load("scann")

        content = read_json(folder / "index.json", what="The index", remedy=REBUILD)
        try:
            header = Header(**{**content, "parameters": Parameters(**content["parameters"])})
            if header.model != collection.manifest.model:
                raise ModelMismatchError(
                    "The index was made by another model", where=folder, remedy=REBUILD
                )
            vectors = np.load(folder / "vectors.npy", mmap_mode="r")
            if vectors.shape != (header.chips, parts.DIMENSIONS):
                raise ValueError(f"{vectors.shape} vectors for {header.chips} chips")
            searcher = None
            if header.chips:
                searcher = scann.scann_ops_pybind.load_searcher(str(folder / "scann"))
        except (TypeError, KeyError, ValueError, OSError, RuntimeError) as error:
            raise DamagedError("The index is damaged", where=folder, remedy=REBUILD) from error
        return cls(header, vectors, searcher)

    def __len__(self) -> int:
        return self.header.chips

    def search(
        self, query: np.ndarray, k: int, eligible: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The k chips nearest to a query vector by cosine.

        Args:
            query: Float array (2048,), of any length.
            k: How many are wanted; fewer come back only when fewer are eligible.
            eligible: Bool (n,) of the rows that may be returned, or None for all.  The filter is
                applied before the search: k rows come back whenever k are eligible.

        Returns:
            Row numbers int64 (m,) and cosines float32 (m,), best first, m = min(k, eligible).
        """
        unit = normalised(query[None])[0]
        n = len(self)
        if eligible is not None:
            return self._among(unit, np.flatnonzero(eligible), k)
        if not n or k < 1:
            return np.empty(0, np.int64), np.empty(0, np.float32)
        parameters = self.header.parameters
        if k * 4 > n and parameters.kind != "exact":
            return self._among(unit, np.arange(n), k)
        widened = max(k * 2, parameters.candidates)
        rows, _ = self._searcher.search(
            unit,
            final_num_neighbors=min(widened if parameters.candidates else k, n),
        )
        return self._among(unit, rows.astype(np.int64), k)

    def cosines(self, query: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Exact cosine of the query (2048,) to the given rows, or to all: float32 (m,)."""
        unit = normalised(query[None])[0]
        chosen = np.arange(len(self)) if rows is None else rows
        scores = np.empty(len(chosen), np.float32)
        for start in range(0, len(chosen), 8192):
            piece = slice(start, start + 8192)
            block = self.vectors[piece] if rows is None else self.vectors[chosen[piece]]
            scores[piece] = block.astype(np.float32) @ unit
        return scores

    def _among(self, unit: np.ndarray, rows: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """The k best of `rows` by exact cosine; ties go to the lower row, so it is repeatable."""
        scores = self.cosines(unit, rows)
        if k < len(rows):
            best = np.argpartition(-scores, k - 1)[:k] if k > 0 else np.empty(0, np.int64)
            rows, scores = rows[best], scores[best]
        order = np.lexsort((rows, -scores))
        return rows[order], scores[order]


def normalised(vectors: np.ndarray) -> np.ndarray:
    """Float32 copy of (n, 2048) vectors, each of length one; a zero vector stays zero."""
    wide = np.asarray(vectors, np.float32)
    return wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12)


def _build(folder: Path, collection: Collection, progress: OnProgress) -> None:
    """Make the index in a temporary folder and rename it when whole."""
    n = sum(part.rows for part in collection.parts)
    parameters = Parameters.for_size(n)
    progress(Progress("Indexing", 0, n, "chips"))
    temporary = collection.index_folder / f"{TEMPORARY}{secrets.token_hex(6)}"
    with storage_errors(collection.index_folder):
        try:
            (temporary / "scann").mkdir(parents=True)
            vectors = _write_vectors(temporary / "vectors.npy", collection, n, progress)
            if n:
                searcher = _searcher(np.asarray(vectors, np.float32), parameters)
                searcher.serialize(str(temporary / "scann"), relative_path=True)
            header = Header(
                collection.version,
                collection.manifest.model,
                n,
                parameters,
                importlib.metadata.version("scann"),
            )
            write_json(temporary / "index.json", asdict(header))
            _swap(temporary, folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    progress(Progress("Indexing", n, n, "chips"))


def _searcher(vectors: np.ndarray, parameters: Parameters) -> Any:
    scann = native.load("scann")

    builder = scann.scann_ops_pybind.builder(vectors, 10, "dot_product")
    builder = builder.set_n_training_threads(len(os.sched_getaffinity(0)))
    if parameters.kind == "exact":
        return builder.score_brute_force().build()
    if parameters.kind == "tree":
        builder = builder.tree(
            num_leaves=parameters.leaves,
            num_leaves_to_search=parameters.leaves_searched,
            training_sample_size=min(len(vectors), 250_000),
        )
    hashed = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
    return hashed.reorder(parameters.candidates, quantize=True).build()


def _write_vectors(path: Path, collection: Collection, n: int, progress: OnProgress) -> np.ndarray:
    """Write all vectors normalised, in row order, part by part; returns the memory map."""
    if not n:
        np.save(path, np.empty((0, parts.DIMENSIONS), np.float16))
        return np.load(path)
    shape = (n, parts.DIMENSIONS)
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float16, shape=shape)
    start = 0
    for part in collection.parts:
        vectors[start : start + part.rows] = normalised(parts.read_embeddings(part))
        start += part.rows
        progress(Progress("Indexing", start, n, "chips"))
    vectors.flush()
    return vectors


def _swap(temporary: Path, folder: Path) -> None:
    """Put the new index in place and drop those of earlier versions.

    Another process may have built the same index meanwhile: then its one stays.
    """
    try:
        temporary.rename(folder)
    except OSError:
        if not (folder / "index.json").exists():
            raise
        log.info("another process built %s first", folder)
    for other in folder.parent.iterdir():
        if other != folder and not other.name.startswith(TEMPORARY) and other.is_dir():
            shutil.rmtree(other, ignore_errors=True)
