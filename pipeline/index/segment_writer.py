"""Writing a segment: its vectors, what finds the nearest of them, and the least effort that does.

`pipeline.index.segment` says what the files are and reads them.
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
from pipeline.index.exact import BLOCK, NEIGHBOURS, Truth, merged, probes
from pipeline.index.projection import Projection
from pipeline.index.scann import scann
from pipeline.index.segment import Content, Parameters, Segment, files_of
from pipeline.model.identity import DIMENSIONS
from pipeline.vectors import normalise, widen

#: Below so many chips an answer is proven equal to an exact scan.
EXACT_BELOW = 20_000
#: Recall that the self-check asks for.
WANTED = 0.997
#: What the self-check may choose from: candidates, hashes scored again.
EFFORTS = ((200, 1000), (300, 2000), (400, 4000), (600, 6000), (1000, 8000))
#: At least so many leaves are searched and one in sixteen, however easy the probes were.
FEWEST = 64
#: Threads that convert and write vectors while more are read.
WRITERS = 2


def write(
    folder: Path,
    rows: int,
    pieces: Iterable[np.ndarray],
    made_of: Iterable[tuple[str, str, str, int]],
    done: Callable[[int], None],
    projection: Projection | None = None,
) -> None:
    """Write a segment.

    Args:
        folder: An empty folder.
        rows: How many vectors there are.
        pieces: The vectors in row order, float arrays (m, 2048) of any length, piece by piece.
        made_of: Where they come from, as `Content.parts`.
        done: Told how many vectors have been written so far.
        projection: Of a larger segment, for one that is too small to be worth its own; None to
            find the axes that suit these vectors.
    """
    (folder / "scann").mkdir(parents=True)
    shape = (rows, DIMENSIONS)
    vectors = np.lib.format.open_memmap(
        folder / "vectors.npy", mode="w+", dtype=np.float16, shape=shape
    )
    with (folder / "vectors.npy").open("r+b") as file:
        # Else a full disk would be told by a signal that ends the process, at some page's writing.
        os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
    fill(vectors, pieces, done)
    vectors.flush()
    if projection is None or rows >= EXACT_BELOW:
        projection = Projection.fit(vectors)
    np.save(folder / "projection.npy", projection.axes)
    reduced, truth = _reduce(vectors, projection)
    parameters = suited(rows)
    searcher = _built(reduced, parameters)
    searcher.serialize(str(folder / "scann"), relative_path=True)
    del reduced, searcher
    content = Content(rows, tuple(made_of), parameters, 0.0, files_of(folder))
    found = tuned(Segment(folder, content), truth)
    write_json(folder / "segment.json", asdict(found))


def suited(n: int) -> Parameters:
    """What suits n chips before the self-check."""
    if n < EXACT_BELOW:
        return Parameters("exact")
    leaves = round(n**0.5)
    candidates, hashed = EFFORTS[0]
    return Parameters("tree", leaves, leaves, hashed, candidates)


def tuned(segment: Segment, truth: Truth) -> Content:
    """What a segment is with the least effort whose recall on the probes is as wanted."""

    def tried(parameters: Parameters) -> Content:
        changed = segment.with_parameters(parameters)
        return replace(changed.content, recall_at_10=round(truth.recall(changed.search), 4))

    parameters = segment.content.parameters
    if parameters.kind == "exact":
        return tried(parameters)
    efforts = iter(EFFORTS)
    for candidates, hashed in efforts:
        parameters = replace(parameters, candidates=candidates, hashed=hashed)
        found = tried(parameters)
        if found.recall_at_10 >= WANTED:
            break
    fewest = min(max(parameters.leaves // 16, FEWEST), parameters.leaves)
    while parameters.leaves_searched > fewest:
        parameters = replace(
            parameters, leaves_searched=max(parameters.leaves_searched // 2, fewest)
        )
        fewer = tried(parameters)
        if fewer.recall_at_10 < min(WANTED, found.recall_at_10):
            break
        found = fewer
    # Queries from elsewhere are harder than the probes: a step more than these ask for.
    candidates, hashed = next(efforts, EFFORTS[-1])
    return tried(replace(found.parameters, candidates=candidates, hashed=hashed))


def fill(vectors: np.ndarray, pieces: Iterable[np.ndarray], done: Callable[[int], None]) -> None:
    """Write unit vectors piece by piece, the next pieces being read meanwhile.

    Args:
        vectors: Float16 (n, 2048), written.
        pieces: Float arrays (m, 2048), in row order.
        done: Told how many have been written so far.
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
    """Reduced vectors float32 (n, 128) and the self-check's truth, in one pass over the vectors."""
    n, queries = len(vectors), probes(vectors)
    k = min(NEIGHBOURS, n)
    reduced = np.empty((n, projection.axes.shape[1] + 1), np.float32)
    rows = np.empty((len(queries), 0), np.int64)
    scores = np.empty((len(queries), 0), np.float32)
    for start in range(0, n, BLOCK):
        block = widen(vectors[start : start + BLOCK])
        reduced[start : start + BLOCK] = projection.of_chips(block)
        rows, scores = merged(rows, scores, queries @ block.T, start, k)
    return reduced, Truth(queries, scores)


def _built(reduced: np.ndarray, parameters: Parameters) -> Any:
    """ScaNN's searcher of reduced vectors, which are changed."""
    exact = parameters.kind == "exact"
    if not exact:
        # A shift leaves the order alone, and codes spend no digits on what all chips share.
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
