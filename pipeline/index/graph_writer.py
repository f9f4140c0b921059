"""Making and updating a graph: which rows of an older one stay, and which are compared anew.

Adding the five nearest with weight cosine³ is database-side augmentation (Arandjelović & Zisserman,
CVPR 2012).  A collection that grew keeps its components; only the new chips' neighbours are
searched for, and older chips whose neighbour one of them is get it.
"""

from __future__ import annotations

import logging
import os
import secrets
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.collection import parquet
from pipeline.errors import DamagedError
from pipeline.files import TEMPORARY, replace_version, write_json
from pipeline.index.graph_files import (
    ARRAYS,
    COMPARED,
    JOINED,
    NEIGHBOURS,
    Components,
    Description,
    GraphFiles,
    Key,
    weigh,
)
from pipeline.index.neighbours import EXACT_UP_TO, Clusters, Ground, nearest
from pipeline.index.scann import scann
from pipeline.progress import OnProgress, Progress
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pipeline.collection.collection import Collection

log = logging.getLogger(__name__)

#: Chips that the components are learned from.
SAMPLE = 20_000
#: The components are learned anew once a collection has grown by this factor.
GROWN = 2.0


def make(folder: Path, collection: Collection, progress: OnProgress) -> None:
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
    for name, array in zip(ARRAYS, (*arrays, degrees), strict=True):
        np.save(folder / f"{name}.npy", array)


def _key(part: parquet.Part) -> Key:
    return part.scene_id, part.path.name, part.stamp, part.rows


def _older(collection: Collection) -> GraphFiles | None:
    """The graph of an earlier version of the collection, if it can be read."""
    files = collection.graph_folder.glob("*/graph.json")
    for file in sorted(files, key=lambda path: path.stat().st_mtime, reverse=True):
        try:
            return GraphFiles.read(file.parent)
        except DamagedError as error:
            log.warning("cannot reuse an earlier graph: %s", error)
    return None


def _previous_rows(parts: Sequence[parquet.Part], older: GraphFiles | None) -> np.ndarray:
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


def _worth_keeping(previous: np.ndarray, older: GraphFiles, n: int, described: bool) -> bool:
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
    older: GraphFiles | None,
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
    older: GraphFiles,
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
        weight = np.where(found[:, place] >= 0, weigh(cosines[:, place]), 0)
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
        weights[rows[part]] = weigh(np.take_along_axis(cosines, order, 1))


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
