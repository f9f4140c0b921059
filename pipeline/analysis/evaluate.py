"""How well pictures find others of their class: mAP, ANMRR and precision, as the literature counts.

Every picture of a folder of classes is a query, itself excluded, all others ranked by score.
Labels are used to count, never to search.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from pipeline.errors import InputError, PictureError, QueryError
from pipeline.model import loader, pooling
from pipeline.progress import OnProgress, Progress, silent
from pipeline.search import picture
from pipeline.vectors import normalise

Method = Literal["plain", "default", "thorough"]
METHODS: dict[Method, str] = {
    "plain": "average pool and cosine, what a collection stores",
    "default": "four orientations, generalised mean, components, neighbours joined, diffusion",
    "thorough": "the same with a second scale beside the first",
}
CUTOFFS = (1, 5, 10, 20)
SMALL = 160
_BATCH = 64


@dataclass(frozen=True)
class ClassScore:
    """One class's share of the evaluation."""

    name: str
    images: int
    map: float
    p_at_10: float


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found.

    Attributes:
        method: How pictures were compared.
        queries: Pictures that have another of their class.
        map: Mean average precision.
        anmrr: Average normalised modified retrieval rank, 0 is best (Manjunath et al., 2001).
        precision: Share of right ones among the first k, by k of `CUTOFFS`.
        classes: Per class.
        confusion: (classes, classes) share of the first ten hits of a row's queries that are of
            a column's class.
        left_out: Files that could not be read, with the reason.
        seconds: Time taken.
    """

    method: str
    queries: int
    map: float
    anmrr: float
    precision: dict[int, float]
    classes: tuple[ClassScore, ...]
    confusion: np.ndarray
    left_out: tuple[str, ...]
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON, `p_at_1` and so on beside `map` and `anmrr`."""
        return {
            "method": self.method,
            "map": self.map,
            "anmrr": self.anmrr,
            **{f"p_at_{k}": value for k, value in self.precision.items()},
            "queries": self.queries,
            "classes": [vars(score) for score in self.classes],
            "confusion": self.confusion.round(4).tolist(),
            "left_out": list(self.left_out),
            "seconds": round(self.seconds, 1),
        }


def evaluate(
    folder: Path, method: Method = "default", progress: OnProgress | None = None
) -> Evaluation:
    """Evaluate retrieval on a folder with one subfolder of pictures a class.

    Args:
        folder: `folder/<class>/<picture>`; any picture Lookalike can query by.
        method: "plain", "default" or "thorough" (`METHODS`).
        progress: Told about pictures embedded.

    Raises:
        InputError: If there are not two classes with two pictures, or the folder is none.
        QueryError: If there is no such method.
        WeightsError: If there are no weights.
    """
    if method not in get_args(Method):
        raise QueryError(
            "No such method", where=method, remedy=f"Use {', '.join(get_args(Method))}"
        )
    started = time.monotonic()
    files, names = _listed(folder)
    network = loader.this_network(progress)
    vectors, kept, left_out = [], [], []
    report = progress or silent
    for start in range(0, len(files), _BATCH):
        report(Progress("Embedding pictures", start, len(files), "pictures"))
        pixels = []
        for position, file in enumerate(files[start : start + _BATCH], start):
            try:
                pixels.append(picture.load(file))
                kept.append(position)
            except PictureError as error:
                left_out.append(str(error))
        if pixels:
            vectors.append(_described(network, np.stack(pixels), method))
    report(Progress("Embedding pictures", len(files), len(files), "pictures"))
    labels = np.array([names.index(files[i].parent.name) for i in kept])
    if len(np.unique(labels)) < 2:
        raise InputError(
            "Not enough pictures could be read", where=folder, remedy="See the files left out"
        )
    scores = scorer(np.concatenate(vectors), method)
    return measure(scores, labels, names, method=method, left_out=tuple(left_out), started=started)


def _described(network: Any, pixels: np.ndarray, method: Method) -> np.ndarray:
    """What is kept of each picture: one unit vector, or one of each scale side by side."""
    if method == "plain":
        return pooling.pooled(network, pixels, power=1)
    large = pooling.pooled(network, pixels, rotate=True)
    if method == "default":
        return large
    small = np.stack([resized(one, SMALL) for one in pixels])
    return np.concatenate([large, pooling.pooled(network, small, rotate=True)], axis=1)


def resized(pixels: np.ndarray, size: int) -> np.ndarray:
    """A picture at another size, uint8 (size, size, 3)."""
    from PIL import Image

    return np.asarray(Image.fromarray(pixels).resize((size, size), Image.Resampling.BICUBIC))


def scorer(vectors: np.ndarray, method: Method) -> Callable[[np.ndarray], np.ndarray]:
    """From query indices to their scores (queries, n) against all `vectors` (n, d)."""
    if method == "plain":
        vectors = normalise(vectors)
        return lambda queries: vectors[queries] @ vectors.T
    projected = pooling.Projection.learn(vectors)(vectors)
    edges = pooling.graph(pooling.joined(projected))
    return lambda queries: pooling.diffused(edges, queries)


def measure(
    scores: Callable[[np.ndarray], np.ndarray],
    labels: np.ndarray,
    names: list[str],
    *,
    method: str = "",
    left_out: tuple[str, ...] = (),
    started: float | None = None,
    queries: np.ndarray | None = None,
) -> Evaluation:
    """Count what a scorer finds.

    Args:
        scores: From query indices to scores (queries, n).
        labels: (n,) class of every picture, an index into `names`.
        names: The classes.
        method: To name in the result.
        left_out: To repeat in the result.
        started: `time.monotonic()` when the work began.
        queries: Indices of the pictures to query with, default all.
    """
    started = time.monotonic() if started is None else started
    sizes = np.bincount(labels, minlength=len(names))
    queries = np.arange(len(labels)) if queries is None else queries
    queries = queries[sizes[labels[queries]] > 1]
    count = len(labels)
    average, rank_scores = np.empty(len(queries)), np.empty(len(queries))
    right = {k: np.empty(len(queries)) for k in CUTOFFS}
    confusion = np.zeros((len(names), len(names)))
    places = np.arange(1, count)
    for at, relevant, found in _ranked(scores, labels, queries):
        wanted = sizes[labels[queries[at]]] - 1
        hits = np.cumsum(relevant, axis=1)
        average[at] = (hits / places * relevant).sum(1) / wanted
        # Manjunath's modified rank: what is not among the first 2·NG counts as 1.25·2·NG.
        limit = 2 * wanted[:, None]
        rank = np.where(places <= limit, places, 1.25 * limit)
        mean_rank = (rank * relevant).sum(1) / wanted
        best = 0.5 * (1 + wanted)
        rank_scores[at] = (mean_rank - best) / np.maximum(1.25 * 2 * wanted - best, 1e-12)
        for k in CUTOFFS:
            right[k][at] = relevant[:, :k].mean(1)
        for query, row in zip(queries[at], found, strict=True):
            np.add.at(confusion, (labels[query], labels[row[:10]]), 1)
    classes = tuple(
        ClassScore(
            name,
            int(sizes[number]),
            float(average[mine].mean()),
            float(right[10][mine].mean()),
        )
        for number, name in enumerate(names)
        if (mine := labels[queries] == number).any()
    )
    totals = confusion.sum(1, keepdims=True)
    return Evaluation(
        method=method,
        queries=len(queries),
        map=float(average.mean()),
        anmrr=float(rank_scores.mean()),
        precision={k: float(values.mean()) for k, values in right.items()},
        classes=classes,
        confusion=confusion / np.maximum(totals, 1),
        left_out=left_out,
        seconds=time.monotonic() - started,
    )


def _ranked(
    scores: Callable[[np.ndarray], np.ndarray], labels: np.ndarray, queries: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Query positions, which hits are right, and the hits, best first, a bounded part at a time."""
    step = max(1, min(512, 2**25 // len(labels)))
    for start in range(0, len(queries), step):
        at = slice(start, min(start + step, len(queries)))
        these = queries[at]
        values = scores(these).copy()
        values[np.arange(len(these)), these] = -np.inf
        found = np.argsort(-values, axis=1, kind="stable")[:, :-1]
        yield at, labels[found] == labels[these][:, None], found


def _listed(folder: Path) -> tuple[list[Path], list[str]]:
    if not folder.is_dir():
        raise InputError(
            "No such folder", where=folder, remedy="Give a folder with one subfolder a class"
        )
    classes = {
        child.name: files
        for child in sorted(folder.iterdir())
        if child.is_dir()
        and not child.name.startswith(".")
        and (files := sorted(f for f in child.iterdir() if _is_picture(f)))
    }
    if sum(len(files) > 1 for files in classes.values()) < 2:
        raise InputError(
            "An evaluation needs at least two classes of at least two pictures",
            where=folder,
            remedy="Put the pictures of each class into a subfolder named after it",
        )
    return [file for files in classes.values() for file in files], list(classes)


def _is_picture(file: Path) -> bool:
    suffixes = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp"}
    return file.suffix.lower() in suffixes and not file.name.startswith(".")
