"""Writing a segment: its vectors, ScaNN's searcher, and the search parameters.

`pipeline.index.segment` describes and reads the files.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.files import write_json
from pipeline.index.exact import BLOCK, NEIGHBOURS, Truth, make_probes, merge_block
from pipeline.index.projection import Projection
from pipeline.index.scann import scann
from pipeline.index.segment import Content, Parameters, Segment, file_sizes
from pipeline.model.identity import DIMENSIONS
from pipeline.vectors import normalise, widen

#: Below this number of chips, results are proven equal to an exact scan.
EXACT_BELOW = 20_000
#: Recall that the self-check requires.
TARGET_RECALL = 0.997
#: Choices of the self-check: candidates, and hashes re-scored.
EFFORTS = ((200, 1000), (300, 2000), (400, 4000), (600, 6000), (1000, 8000))
#: Minimum number of leaves searched (and one in sixteen), however easy the probes were.
FEWEST = 64
#: Threads that convert and write vectors while more are read.
WRITERS = 2


def write(
    folder: Path,
    rows: int,
    pieces: Iterable[np.ndarray],
    origins: Iterable[tuple[str, str, str, int]],
    done: Callable[[int], None],
    projection: Projection | None = None,
) -> None:
    """Write a segment.

    Args:
        folder: An empty folder.
        rows: Number of vectors.
        pieces: The vectors in row order, float arrays (m, 2048), not normalised.
        origins: Where they come from, as `Content.parts`.
        done: Called with the number of vectors written so far.
        projection: Projection to reuse if the segment is small; None to fit one.
    """
    (folder / "scann").mkdir(parents=True)
    shape = (rows, DIMENSIONS)
    vectors = np.lib.format.open_memmap(
        folder / "vectors.npy", mode="w+", dtype=np.float16, shape=shape
    )
    with (folder / "vectors.npy").open("r+b") as file:
        # Otherwise a full disk would kill the process with SIGBUS when a page is written.
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    fill(vectors, pieces, done)
    vectors.flush()
    if projection is None or rows >= EXACT_BELOW:
        projection = Projection.fit(vectors)
    np.save(folder / "projection.npy", projection.axes)
    reduced, truth = _reduce(vectors, projection)
    parameters = initial_parameters(rows)
    searcher = _build_searcher(reduced, parameters)
    searcher.serialize(str(folder / "scann"), relative_path=True)
    del reduced, searcher
    content = Content(rows, tuple(origins), parameters, 0.0, file_sizes(folder))
    found = tune(Segment(folder, content), truth)
    write_json(folder / "segment.json", asdict(found))


def initial_parameters(n: int) -> Parameters:
    """Parameters for n chips before the self-check."""
    if n < EXACT_BELOW:
        return Parameters("exact")
    leaves = round(n**0.5)
    candidates, hashed = EFFORTS[0]
    return Parameters("tree", leaves, leaves, hashed, candidates)


def tune(segment: Segment, truth: Truth) -> Content:
    """The segment's description with tuned parameters.

    One step above the cheapest that reach the target recall; the largest effort if none does.
    """

    def attempt(parameters: Parameters) -> Content:
        changed = segment.with_parameters(parameters)
        return replace(changed.content, recall_at_10=round(truth.recall(changed.search), 4))

    parameters = segment.content.parameters
    if parameters.kind == "exact":
        return attempt(parameters)
    efforts = iter(EFFORTS)
    for candidates, hashed in efforts:
        parameters = replace(parameters, candidates=candidates, hashed=hashed)
        found = attempt(parameters)
        if found.recall_at_10 >= TARGET_RECALL:
            break
    fewest = min(max(parameters.leaves // 16, FEWEST), parameters.leaves)
    while parameters.leaves_searched > fewest:
        parameters = replace(
            parameters, leaves_searched=max(parameters.leaves_searched // 2, fewest)
        )
        fewer = attempt(parameters)
        if fewer.recall_at_10 < min(TARGET_RECALL, found.recall_at_10):
            break
        found = fewer
    # Pictures from elsewhere are harder than the probes, so one step more than these need.
    candidates, hashed = next(efforts, EFFORTS[-1])
    return attempt(replace(found.parameters, candidates=candidates, hashed=hashed))


def fill(vectors: np.ndarray, pieces: Iterable[np.ndarray], done: Callable[[int], None]) -> None:
    """Write unit vectors piece by piece while the next pieces are read.

    Args:
        vectors: Float16 (n, 2048), written.
        pieces: Float arrays (m, 2048), in row order.
        done: Called with the number written so far.
    """

    def put(start: int, piece: np.ndarray) -> int:
        end = start + len(piece)
        vectors[start:end] = normalise(piece)
        return end

    start = 0
    writing: deque[Future[int]] = deque()
    with ThreadPoolExecutor(WRITERS, thread_name_prefix="vectors") as pool:
        for piece in pieces:
            if len(writing) > WRITERS:
                done(writing.popleft().result())
            writing.append(pool.submit(put, start, piece))
            start += len(piece)
        for each in writing:
            done(each.result())


def _reduce(vectors: np.ndarray, projection: Projection) -> tuple[np.ndarray, Truth]:
    """Reduced vectors float32 (n, 128) and the truth of the self-check, in one pass."""
    n, queries = len(vectors), make_probes(vectors)
    k = min(NEIGHBOURS, n)
    reduced = np.empty((n, projection.axes.shape[1] + 1), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, n, BLOCK):
        block = widen(vectors[start : start + BLOCK])
        reduced[start : start + BLOCK] = projection.of_chips(block)
        rows, scores = merge_block(rows, scores, queries @ block.T, start, k)
    return reduced, Truth(queries, scores)


def _build_searcher(reduced: np.ndarray, parameters: Parameters) -> Any:
    """ScaNN's searcher of reduced vectors, which are changed in place."""
    exact = parameters.kind == "exact"
    if not exact:
        # A shift does not change the order, and the hash codes then only encode differences.
        reduced -= reduced.mean(axis=0)
    builder = scann().builder(reduced, NEIGHBOURS, "dot_product")
    builder = builder.set_n_training_threads(len(os.sched_getaffinity(0)))
    if exact:
        return builder.score_brute_force().build()
    builder = builder.tree(
        num_leaves=parameters.leaves,
        num_leaves_to_search=parameters.leaves_searched,
        training_sample_size=min(len(reduced), 100_000),
    )
    hashed = builder.score_ah(2, anisotropic_quantization_threshold=0.2)
    return hashed.reorder(parameters.hashed, quantize=True).build()
