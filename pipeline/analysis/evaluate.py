"""Labelled evaluation of retrieval: mAP, ANMRR and precision at k, as defined in the literature.

Every picture of a folder of classes is a query once; the others are ranked by score, the query
itself excluded.  Labels serve to count hits, never to search.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, get_args

import numpy as np

from pipeline.build.build import build
from pipeline.build.request import BuildRequest
from pipeline.collection.library import Library
from pipeline.errors import InputError, PictureError, QueryError
from pipeline.imagery import geotiff
from pipeline.imagery.chips import CHIP
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import Stretch
from pipeline.progress import OnProgress, Progress, silent
from pipeline.search import picture, service
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import DEFAULT, PLAIN, Recipe

Method = Literal["plain", "default", "thorough"]
METHODS: dict[Method, str] = {
    "plain": "a standard collection, ranked by the cosine of its plain vectors",
    "default": "a standard collection, as every search ranks it",
    "thorough": "a collection of thorough quality: four orientations at two scales",
}
#: Values of k for precision at k.
CUTOFFS = (1, 5, 10, 20)
#: Name of the collection that an evaluation builds.
COLLECTION = "evaluation"
#: Display stretch of pictures that are ready to look at.
AS_IT_IS = Stretch((0.0, 0.0, 0.0), (255.0, 255.0, 255.0))


@dataclass(frozen=True)
class ClassScore:
    """Results of one class."""

    name: str
    images: int
    map: float
    p_at_10: float


@dataclass(frozen=True)
class Evaluation:
    """Results of an evaluation.

    Attributes:
        method: Key of `METHODS`.
        queries: Number of queries: pictures with another of their class.
        map: Mean average precision.
        anmrr: Average normalised modified retrieval rank, 0 is best (Manjunath et al., 2001).
        precision: Precision at k, for each k of `CUTOFFS`.
        classes: Results per class.
        confusion: (classes, classes), for queries of a row's class the share of a column's class
            among the first ten hits.
        left_out: Files that could not be read, with the reason.
        seconds: Duration.
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
        """JSON form, with precision as `p_at_1` and so on."""
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
    """Evaluate retrieval on a folder with one subfolder of pictures per class.

    The pictures become a mosaic, a scene whose chips they are.  A collection is built of it, and
    each chip is searched for with the search service, as a user searches.

    Args:
        folder: Contains `<class>/<picture>`, in any format that a query picture may have.
        method: Key of `METHODS`.
        progress: Called for each batch of pictures; may cancel.

    Raises:
        InputError: If the folder does not exist, or has fewer than two classes of two pictures.
        QueryError: If the method is unknown.
        WeightsError: If the weights are missing.
    """
    if method not in get_args(Method):
        raise QueryError(
            "Unknown method", where=method, remedy=f"Use one of {', '.join(get_args(Method))}"
        )
    started = time.monotonic()
    files, names = list_pictures(folder)
    pictures, labels, left_out = load_pictures(files, names)
    if np.count_nonzero(np.bincount(labels) > 1) < 2:
        raise InputError(
            "Too few pictures could be read", where=folder, remedy="See the files left out"
        )
    report = progress or silent
    with TemporaryDirectory(prefix="lookalike-evaluation-") as home:
        open_collections, chips = collect(pictures, Path(home), method, report)
        scores = searcher(open_collections, chips, method, report)
        return measure(
            scores, labels, names, method=method, left_out=tuple(left_out), started=started
        )


def load_pictures(
    files: list[Path], names: list[str]
) -> tuple[list[np.ndarray], np.ndarray, list[str]]:
    """The pictures that can be read, their classes, and why the others cannot."""
    pictures, labels, left_out = [], [], []
    for file in files:
        try:
            pictures.append(picture.load(file))
            labels.append(names.index(file.parent.name))
        except PictureError as error:
            left_out.append(str(error))
    return pictures, np.array(labels, np.int64), left_out


def pictures_across(count: int) -> int:
    """Pictures in a row of a mosaic.

    The mosaic is a full rectangle: a blank chip would be one more that can be found.
    """
    return count // max(n for n in range(1, math.isqrt(count) + 1) if count % n == 0)


def collect(
    pictures: Sequence[np.ndarray],
    home: Path,
    method: Method,
    progress: OnProgress,
    *,
    stride: int = CHIP,
    mode: Literal["chip", "dense"] = "chip",
) -> tuple[OpenCollections, list[str]]:
    """A collection of a mosaic of the pictures, and the id of each picture's chip."""
    count = len(pictures)
    side = pictures_across(count)
    mosaic = np.empty((count // side * CHIP, side * CHIP, 3), np.uint8)
    for place, pixels in enumerate(pictures):
        row, col = divmod(place, side)
        mosaic[row * CHIP : (row + 1) * CHIP, col * CHIP : (col + 1) * CHIP] = pixels
    path = home / "mosaic.tif"
    height, width = mosaic.shape[:2]
    grid = {"crs": "EPSG:32631", "transform": (1, 0, 400_000, 0, -1, 5_400_000)}
    with geotiff.write(
        path, width=width, height=height, count=3, dtype="uint8", photometric="RGB", **grid
    ) as dataset:
        dataset.write(mosaic.transpose(2, 0, 1))
    library = Library(home)
    build(
        BuildRequest(
            COLLECTION,
            (SceneInput(path, stretch=AS_IT_IS),),
            stride=stride,
            mode=mode,
            quality="thorough" if method == "thorough" else "standard",
            cells=False,
        ),
        library,
        progress,
    )
    open_collections = OpenCollections(library)
    table = open_collections.collection(COLLECTION).chips
    whole = np.flatnonzero((table.rows % CHIP == 0) & (table.cols % CHIP == 0))
    places = table.rows[whole] // CHIP * side + table.cols[whole] // CHIP
    rows = dict(zip(places.tolist(), whole.tolist(), strict=True))
    return open_collections, [table.id_of(rows[place]) for place in range(count)]


def searcher(
    open_collections: OpenCollections,
    chips: list[str],
    method: Method,
    progress: OnProgress = silent,
) -> Callable[[np.ndarray], np.ndarray]:
    """A function from query indices to scores (queries, n): each search's ranks, negated.

    Args:
        open_collections: Where the collection of the pictures is.
        chips: The id of each picture's chip.
        method: How it is searched.
        progress: Called after each search.
    """
    index = {chip: place for place, chip in enumerate(chips)}
    ranking = PLAIN if method == "plain" else DEFAULT

    def scores(queries: np.ndarray) -> np.ndarray:
        ranks = np.full((len(queries), len(chips)), -len(chips), np.float32)
        for row, query in enumerate(queries.tolist()):
            recipe = Recipe(
                chip=chips[query], k=max(len(chips) - 1, 1), suppress=False, ranking=ranking
            )
            found = service.find(open_collections, COLLECTION, recipe, most=max(len(chips), 1))
            for hit in found.result.hits:
                ranks[row, index[hit.id]] = -hit.rank
            progress(Progress("Searching", query + 1, len(chips), "pictures"))
        return ranks

    return scores


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
    """Compute the measures of a scorer.

    Args:
        scores: Function from query indices to scores (queries, n).
        labels: (n,) class of each picture, an index into `names`.
        names: Names of the classes.
        method: For the result.
        left_out: For the result.
        started: `time.monotonic()` at the start of the evaluation.
        queries: Indices of the queries, by default all pictures.
    """
    started = time.monotonic() if started is None else started
    sizes = np.bincount(labels, minlength=len(names))
    queries = np.arange(len(labels)) if queries is None else queries
    queries = queries[sizes[labels[queries]] > 1]
    count = len(labels)
    average, rank_scores = np.empty(len(queries)), np.empty(len(queries))
    right = {k: np.empty(len(queries)) for k in CUTOFFS}
    confusion = np.zeros((len(names), len(names)))
    ranks = np.arange(1, count)
    for at, relevant, hits in _rank(scores, labels, queries):
        others = sizes[labels[queries[at]]] - 1
        precision = np.cumsum(relevant, axis=1) / ranks
        average[at] = (precision * relevant).sum(1) / others
        # Modified rank: a relevant picture beyond the first 2·NG counts as rank 1.25 · 2·NG.
        limit = 2 * others[:, None]
        rank = np.where(ranks <= limit, ranks, 1.25 * limit)
        mean_rank = (rank * relevant).sum(1) / others
        best = 0.5 * (1 + others)
        rank_scores[at] = (mean_rank - best) / np.maximum(1.25 * 2 * others - best, 1e-12)
        for k in CUTOFFS:
            right[k][at] = relevant[:, :k].mean(1)
        for query, row in zip(queries[at], hits, strict=True):
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


def _rank(
    scores: Callable[[np.ndarray], np.ndarray], labels: np.ndarray, queries: np.ndarray
) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
    """Batches: a slice of the queries, which hits are relevant, and the hits, best first."""
    step = max(1, min(512, 2**25 // len(labels)))  # at most 2²⁵ scores at a time
    for start in range(0, len(queries), step):
        at = slice(start, min(start + step, len(queries)))
        batch = queries[at]
        values = scores(batch).copy()
        values[np.arange(len(batch)), batch] = -np.inf  # the query is the last hit, and dropped
        hits = np.argsort(-values, axis=1, kind="stable")[:, :-1]
        yield at, labels[hits] == labels[batch][:, None], hits


def list_pictures(folder: Path) -> tuple[list[Path], list[str]]:
    """The pictures of a folder of classes, and the classes.

    Raises:
        InputError: If there is no such folder, or it has too few classes or pictures.
    """
    if not folder.is_dir():
        raise InputError(
            "The folder does not exist",
            where=folder,
            remedy="Give a folder with one subfolder per class",
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
            "An evaluation needs at least two classes with two or more pictures each",
            where=folder,
            remedy="Put the pictures of each class into a subfolder named after it",
        )
    return [file for files in classes.values() for file in files], list(classes)


def _is_picture(file: Path) -> bool:
    suffixes = {".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".gif", ".bmp"}
    return file.suffix.lower() in suffixes and not file.name.startswith(".")
