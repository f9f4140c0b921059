"""The graph of a collection: its chips' descriptors, reduced, and the most similar chips of each.

Made with the index from the chips' descriptors, or from their plain vectors where an older
collection has none; `pipeline.search.ranking` ranks by it.

    graph/<version>/graph.json       description, with the size of every other file; written last
    graph/<version>/components.npz   what reduces a descriptor to 128 numbers
    graph/<version>/reduced.npy      float16 (n, 128), unit vectors: principal components
    graph/<version>/joined.npy       float32 (n, 128): the same with their neighbours added
    graph/<version>/neighbours.npy   int32 (n, 20): rows of the most similar chips, -1 for none
    graph/<version>/weights.npy      float16 (n, 20): their cosines cubed
    graph/<version>/degrees.npy      float32 (n,): sum of each chip's weights in the symmetric graph
    graph/<version>/scann/           ScaNN over the joined vectors of more than 20,000 chips

Components are those of Jégou & Chum (ECCV 2012), partly centred and partly whitened, which docs/
quality.md measures.  Adding the five nearest with weight cosine³ is database-side augmentation
(Arandjelović & Zisserman, CVPR 2012).  A collection that grew keeps its components; only the new
chips' neighbours are searched for, and older chips whose neighbour one of them is get it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.collection import parquet
from pipeline.errors import DamagedError, storage_errors
from pipeline.files import TEMPORARY, read_json, replace_version, write_json
from pipeline.index.exact import best
from pipeline.index.neighbours import EXACT_UP_TO, Clusters, Ground, nearest
from pipeline.index.scann import scann
from pipeline.progress import OnProgress, Progress, silent
from pipeline.vectors import leading_axes, normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.collection.collection import Collection
    from pipeline.index.rows import Eligible

log = logging.getLogger(__name__)

SCHEMA = 1
COMPONENTS = 128
#: Share of the mean that is subtracted, and degree of whitening: 0 is none, 1 is full.
CENTRING, EVENING = 0.8, 0.4
#: Neighbours that are added to a chip's vector, of its neighbours in the graph, and of those that
#: are compared to find them.
JOINED, NEIGHBOURS, COMPARED = 5, 20, 32
#: Chips that the components are learned from.
SAMPLE = 20_000
#: Chips by whose scores chance is judged.
SAMPLED = 20_000
#: The components are learned anew once a collection has grown by this factor.
GROWN = 2.0
#: Rounds of subspace iteration: more change mAP on labelled pictures by less than 0.005.
_ROUNDS = 2
_REMEDY = "It is made again from the chips by the next search"
_FILES = ("reduced", "joined", "neighbours", "weights", "degrees")

Key = tuple[str, str, str, int]


@dataclass(frozen=True)
class Components:
    """What reduces a descriptor to its components.

    Attributes:
        mean: float32 (d,), already multiplied by `CENTRING`.
        axes: float32 (d, c).
        scales: float32 (c,), divisor of each component.
    """

    mean: np.ndarray
    axes: np.ndarray
    scales: np.ndarray

    @classmethod
    def learn(cls, sample: np.ndarray) -> Components:
        """Learn from unit vectors (n, d); there are fewer components if n is small."""
        mean = np.float32(CENTRING) * sample.mean(0)
        centred = sample - mean
        axes = leading_axes(centred, min(COMPONENTS, *centred.shape), _ROUNDS)
        spread = np.linalg.norm(centred @ axes, axis=0)
        kept = spread > 1e-6 * max(float(spread[0]), 1e-12)
        kept[0] = True
        scales = (spread[kept] / max(float(spread[0]), 1e-12)) ** EVENING
        return cls(mean, axes[:, kept], np.maximum(scales, 1e-12).astype(np.float32))

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """Unit vectors (n, c) of vectors (n, d), of any length."""
        return normalise((normalise(vectors) - self.mean) @ self.axes / self.scales)


@dataclass(frozen=True)
class Description:
    """`graph.json`.

    Attributes:
        chips: Rows.
        learned: Rows when the components were learned.
        described: Whether it was made of descriptors, not of plain vectors.
        parts: Parts that the rows come from, in order: scene id, file name, stamp, rows.
        files: Size of each other file in bytes.
    """

    chips: int
    learned: int
    described: bool
    parts: tuple[Key, ...]
    files: dict[str, int]
    schema: int = SCHEMA


@dataclass
class Graph:
    """An open graph.  Rows are those of the collection's table.

    Attributes:
        folder: Its folder.
        description: What it was made of.
        components: What reduces a descriptor.
        reduced: float16 (n, c), memory-mapped.
        joined: float32 (n, c), memory-mapped.
        neighbours: int32 (n, 20), memory-mapped.
        weights: float16 (n, 20), memory-mapped.
        degrees: float32 (n,), memory-mapped.
    """

    folder: Path
    description: Description
    components: Components
    reduced: np.ndarray = field(repr=False)
    joined: np.ndarray = field(repr=False)
    neighbours: np.ndarray = field(repr=False)
    weights: np.ndarray = field(repr=False)
    degrees: np.ndarray = field(repr=False)

    def __len__(self) -> int:
        return len(self.joined)

    @classmethod
    def exists(cls, collection: Collection) -> bool:
        """Whether the graph of the collection as it is was made."""
        return (collection.graph_folder / collection.version / "graph.json").exists()

    @classmethod
    def open(cls, collection: Collection, progress: OnProgress = silent) -> Graph:
        """Open a collection's graph, making or updating it first if necessary.

        Args:
            collection: The collection.
            progress: Called while it is made; may raise to cancel.

        Raises:
            DamagedError: If the parts themselves are damaged.
            StorageError: If it must be made and the disk is full or not writable.
        """
        folder = collection.graph_folder / collection.version
        if folder.is_dir():
            try:
                return cls._load(folder)
            except DamagedError as error:
                log.warning("making the graph of %s again: %s", collection.name, error)
                shutil.rmtree(folder, ignore_errors=True)
        with storage_errors(collection.graph_folder):
            _make(folder, collection, progress)
        return cls._load(folder)

    @classmethod
    def _load(cls, folder: Path, *, every: bool = True) -> Graph:
        content = read_json(folder / "graph.json", what="The graph", remedy=_REMEDY)
        try:
            if content["schema"] != SCHEMA:
                raise ValueError(f"schema {content['schema']}")
            parts = tuple((str(s), str(f), str(t), int(n)) for s, f, t, n in content["parts"])
            description = Description(**{**content, "parts": parts})
            for name, size in description.files.items():
                if (folder / name).stat().st_size != size:
                    raise ValueError(f"{name} is not {size} bytes long")
            with np.load(folder / "components.npz", allow_pickle=False) as file:
                components = Components(*(file[name] for name in ("mean", "axes", "scales")))
            arrays = [np.asarray(np.load(folder / f"{name}.npy", mmap_mode="r")) for name in _FILES]
            if any(len(array) != description.chips for array in arrays):
                raise ValueError("an array has another number of rows")
            return cls(folder, description, components, *arrays)
        except (TypeError, KeyError, ValueError, OSError) as error:
            raise DamagedError("The graph is damaged", where=folder, remedy=_REMEDY) from error

    @cached_property
    def _searcher(self) -> Any:
        return scann().load_searcher(str(self.folder / "scann"))

    @cached_property
    def sample(self) -> np.ndarray:
        """Joined vectors of at most 20,000 chips drawn at random, float32 (s, c)."""
        rows = np.random.default_rng(0).permutation(len(self))[:SAMPLED]
        return np.asarray(self.joined[np.sort(rows)])

    def place(self, vectors: np.ndarray, without: np.ndarray) -> np.ndarray:
        """Where descriptors lie among the joined vectors: float32 (m, c), unit vectors.

        Args:
            vectors: Descriptors (m, d) of what is not in the collection.
            without: Rows that share ground with them, which are not added to them.
        """
        own = self.components(vectors)
        places = np.empty_like(own)
        for i, unit in enumerate(own):
            rows, _ = self.nearest(unit, 2 * COMPARED + len(without))
            rows = rows[~np.isin(rows, without)]
            around = self.reduced[rows].astype(np.float32)
            cosines = around @ unit
            first = np.argsort(-cosines, kind="stable")[:JOINED]
            places[i] = unit + _weights(cosines[first]) @ around[first]
        return normalise(places)

    def similarity(self, units: np.ndarray, rows: np.ndarray | None = None) -> np.ndarray:
        """Cosine of chips to the best of some unit vectors (m, c): float32 (r,).

        Args:
            units: Unit vectors among the joined ones.
            rows: The chips, or None for all.
        """
        vectors = self.joined if rows is None else self.joined[rows]
        if len(units) == 1:
            return vectors @ units[0]
        return np.asarray((vectors @ units.T).max(axis=1))

    def nearest(
        self, unit: np.ndarray, k: int, eligible: Eligible | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Rows int64 and cosines float32 of the k chips nearest to a unit vector (c,).

        Of more than 20,000 chips ScaNN proposes them, unless a filter applies.
        """
        if eligible is not None:
            rows = eligible.rows
            return best(rows, self.similarity(unit[None], rows).round(6), k)
        if len(self) <= EXACT_UP_TO or k * 4 >= len(self):
            return best(np.arange(len(self)), self.similarity(unit[None]).round(6), k)
        proposed, _ = self._searcher.search(unit, min(k + k // 2 + 100, len(self)))
        rows = np.sort(proposed.astype(np.int64))
        return best(rows, self.similarity(unit[None], rows).round(6), k)


def _weights(cosines: np.ndarray) -> np.ndarray:
    """Weights of neighbours: their cosines cubed (Radenović, Tolias & Chum, TPAMI 2019)."""
    kept = np.clip(cosines, 0, 1)
    return np.asarray(kept * kept * kept)


def _make(folder: Path, collection: Collection, progress: OnProgress) -> None:
    """Make the graph in a temporary folder and rename it when it is complete."""
    n = len(collection.chips)
    progress(Progress("Comparing", 0, n, "chips"))
    temporary = collection.graph_folder / f"{TEMPORARY}{secrets.token_hex(6)}"
    temporary.mkdir(parents=True)
    try:
        described = _is_described(collection)
        older = _older(collection)
        previous = _previous_rows(collection.parts, older)
        if older is None or not _worth_keeping(previous, older, n, described):
            older, previous = None, np.full(n, -1, np.int64)
        components = older.components if older else _learn(collection, described)
        reduced = _reduce(collection, components, older, previous, described)
        ground, clusters = Ground(collection.chips), Clusters.of(reduced)
        fresh = np.flatnonzero(previous < 0)
        found, cosines = nearest(
            reduced,
            COMPARED,
            ground,
            clusters,
            rows=fresh,
            done=lambda done: progress(Progress("Comparing", n - len(fresh) + done, n, "chips")),
        )
        neighbours = np.full((n, NEIGHBOURS), -1, np.int32)
        weights = np.zeros((n, NEIGHBOURS), np.float16)
        joined = np.array(reduced)
        if older is not None:
            _carry_over(older, previous, neighbours, weights, joined)
        joined[fresh] = _join(reduced, fresh, found[:, :JOINED], cosines[:, :JOINED])
        _link(joined, fresh, found, neighbours, weights)
        if older is not None:
            _link_back(joined, fresh, neighbours, weights)
        arrays = (reduced.astype(np.float16), joined, neighbours, weights)
        degrees = _degrees(neighbours, weights)
        np.savez(temporary / "components.npz", **vars(components))
        _save(temporary, arrays, degrees)
        if n > EXACT_UP_TO:
            (temporary / "scann").mkdir()
            _searcher_of(joined).serialize(str(temporary / "scann"), relative_path=True)
        files = {
            path.relative_to(temporary).as_posix(): path.stat().st_size
            for path in temporary.rglob("*")
            if path.is_file()
        }
        learned = older.description.learned if older else n
        description = Description(n, learned, described, tuple(map(_key, collection.parts)), files)
        write_json(temporary / "graph.json", asdict(description))
        replace_version(temporary, folder, "graph.json")
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    progress(Progress("Comparing", n, n, "chips"))


def _save(folder: Path, arrays: Sequence[np.ndarray], degrees: np.ndarray) -> None:
    for name, array in zip(_FILES, (*arrays, degrees), strict=True):
        np.save(folder / f"{name}.npy", array)


def _key(part: parquet.Part) -> Key:
    return part.scene_id, part.path.name, part.stamp, part.rows


def _older(collection: Collection) -> Graph | None:
    """The graph of an earlier version of the collection, if it can be read."""
    files = collection.graph_folder.glob("*/graph.json")
    for file in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return Graph._load(file.parent)
        except DamagedError as error:
            log.warning("cannot reuse an earlier graph: %s", error)
    return None


def _previous_rows(parts: Sequence[parquet.Part], older: Graph | None) -> np.ndarray:
    """For each row its row in the older graph, int64 (n,), -1 for new ones."""
    first: dict[Key, int] = {}
    start = 0
    for key in older.description.parts if older else ():
        first[key] = start
        start += key[3]
    rows = [
        np.arange(first[_key(part)], first[_key(part)] + part.rows)
        if _key(part) in first
        else np.full(part.rows, -1)
        for part in parts
    ]
    return np.concatenate([np.empty(0, np.int64), *rows])


def _worth_keeping(previous: np.ndarray, older: Graph, n: int, described: bool) -> bool:
    kept = int(np.count_nonzero(previous >= 0))
    return (
        older.description.described == described
        and 2 * kept >= len(older) > 0
        and n <= GROWN * older.description.learned
    )


def _is_described(collection: Collection) -> bool:
    """Whether every part has descriptors, all of one length."""
    return len({part.descriptor for part in collection.parts}) == 1 and all(
        part.descriptor for part in collection.parts
    )


def _read(part: parquet.Part, described: bool) -> np.ndarray:
    return parquet.read_descriptors(part) if described else parquet.read_embeddings(part)


def _learn(collection: Collection, described: bool) -> Components:
    """Components of an even sample of the chips."""
    n = sum(part.rows for part in collection.parts)
    step = max(1, -(-n // SAMPLE))
    sample, start = [], 0
    for part in collection.parts:
        picked = np.arange(-start % step, part.rows, step)
        if len(picked):
            sample.append(normalise(_read(part, described)[picked]))
        start += part.rows
    return Components.learn(np.concatenate(sample))


def _reduce(
    collection: Collection,
    components: Components,
    older: Graph | None,
    previous: np.ndarray,
    described: bool,
) -> np.ndarray:
    """Reduced vectors float32 (n, c), those of an older graph where they are the same."""
    reduced = np.empty((len(previous), components.axes.shape[1]), np.float32)
    start = 0
    for part in collection.parts:
        rows = slice(start, start + part.rows)
        if older is not None and part.rows and previous[start] >= 0:
            reduced[rows] = older.reduced[previous[rows]]
        else:
            reduced[rows] = components(_read(part, described))
        start += part.rows
    return reduced


def _carry_over(
    older: Graph,
    previous: np.ndarray,
    neighbours: np.ndarray,
    weights: np.ndarray,
    joined: np.ndarray,
) -> None:
    """Copy rows of an older graph; its neighbours that are gone are left out."""
    now = np.full(len(older) + 1, -1, np.int32)  # the last one is for -1
    kept = np.flatnonzero(previous >= 0)
    now[previous[kept]] = kept
    neighbours[kept] = now[older.neighbours[previous[kept]]]
    weights[kept] = np.where(neighbours[kept] >= 0, older.weights[previous[kept]], 0)
    joined[kept] = older.joined[previous[kept]]


def _join(
    reduced: np.ndarray, rows: np.ndarray, found: np.ndarray, cosines: np.ndarray
) -> np.ndarray:
    """Vectors of some rows with their neighbours added, float32 (m, c), unit vectors."""
    sums = reduced[rows].copy()
    for place in range(found.shape[1]):
        weight = np.where(found[:, place] >= 0, _weights(cosines[:, place]), 0)
        sums += weight[:, None] * reduced[found[:, place]]
    return normalise(sums)


def _link(
    joined: np.ndarray,
    rows: np.ndarray,
    found: np.ndarray,
    neighbours: np.ndarray,
    weights: np.ndarray,
) -> None:
    """Keep for some rows the nearest of the chips found, by their joined vectors."""
    for start in range(0, len(rows), 4_096):
        part = slice(start, start + 4_096)
        near = found[part]
        cosines = np.einsum("nd,nkd->nk", joined[rows[part]], joined[near])
        cosines[near < 0] = -1
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS]
        neighbours[rows[part]] = np.take_along_axis(near, order, 1)
        weights[rows[part]] = _weights(np.take_along_axis(cosines, order, 1))


def _link_back(
    joined: np.ndarray, fresh: np.ndarray, neighbours: np.ndarray, weights: np.ndarray
) -> None:
    """Give chips of an older graph the new chips that have them as a neighbour."""
    is_fresh = np.zeros(len(joined), bool)
    is_fresh[fresh] = True
    new, place = np.nonzero((neighbours[fresh] >= 0) & ~is_fresh[neighbours[fresh]])
    old = neighbours[fresh[new], place]
    weight = weights[fresh[new], place]
    pairs = zip(old.tolist(), fresh[new].tolist(), weight.tolist(), strict=True)
    for target, source, value in sorted(pairs):
        last = int(np.argmin(np.where(neighbours[target] < 0, -1, weights[target])))
        if neighbours[target, last] < 0 or weights[target, last] < value:
            neighbours[target, last], weights[target, last] = source, value


def _degrees(neighbours: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Sums of each row's weights in the symmetric graph (W + Wᵀ) / 2, float32 (n,)."""
    there = neighbours >= 0
    values = np.where(there, weights, 0).astype(np.float64)
    given = np.bincount(neighbours[there], weights=values[there], minlength=len(neighbours))
    return ((values.sum(axis=1) + given) / 2).astype(np.float32)


def _searcher_of(joined: np.ndarray) -> Any:
    """ScaNN's searcher of the joined vectors: a tree with asymmetric hashing."""
    leaves = round(len(joined) ** 0.5)
    builder = scann().builder(joined, 10, "dot_product")
    builder = builder.set_n_training_threads(len(os.sched_getaffinity(0)))
    builder = builder.tree(
        num_leaves=leaves,
        num_leaves_to_search=max(leaves // 10, 32),
        training_sample_size=min(len(joined), 100_000),
    )
    return builder.score_ah(2, anisotropic_quantization_threshold=0.2).build()
