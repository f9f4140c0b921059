"""Training of detectors: from marks, here or in several places, a ranking that is kept."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import dates
from pipeline.errors import QueryError
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encode_image
from pipeline.model.cells import identity_of
from pipeline.objects import detector_file as files
from pipeline.objects.detector import Detector, TrainedOn, mean_window, with_title
from pipeline.objects.examples import see, spots_of
from pipeline.objects.find import best_hits, learn, self_trained
from pipeline.objects.learning import unmarked_windows
from pipeline.objects.open_cells import missing
from pipeline.objects.places import Example
from pipeline.objects.score_maps import opened
from pipeline.progress import OnProgress, silent
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.objects.examples import Seen
    from pipeline.objects.find import Learned
    from pipeline.objects.places import Spot

#: Side of an example's picture in a file, in pixels.
_PICTURE = 48
#: Maximum number of marks that train a detector, all places together: its file stays small.
MOST_TRAINED = 3_000


@dataclass(frozen=True, eq=False)
class Trained:
    """A detector that was trained.

    Attributes:
        detector: The detector.
        spots: The marks that trained it now, as windows of scenes.
        notes: What is to be known of marks that were left out.
    """

    detector: Detector
    spots: tuple[Spot, ...]
    notes: tuple[str, ...] = ()


def train_detector(
    collection: Collection,
    examples: Sequence[Example],
    title: str,
    *,
    origins: Sequence[Collection] = (),
    size_m: float | None = None,
    before: Detector | None = None,
    progress: OnProgress = silent,
) -> Trained:
    """A detector that marks train.

    Args:
        collection: Where the marks lie.
        examples: The marks, good and bad.
        title: What it is called.
        origins: Further collections in which marks lie.
        size_m: Width in metres of marks that are points.
        before: A detector whose marks count, too: it is trained further.
        progress: Called for every mark; may raise `Cancelled`.

    Raises:
        QueryError: If marks cannot be used, or none is good, those of `before` included.
        NotFoundError: If no mark lies on imagery with object cells.
    """
    found: Learned | Seen
    if before is None:
        found = learn([collection], examples, origins=origins, size_m=size_m, progress=progress)
        vectors, ranking = found.examples, found.ranking
    else:
        size_m = size_m or before.ranking.size_m
        found = see([collection], examples, origins=origins, size_m=size_m, bad_alone=True,
                    progress=progress)  # fmt: skip
        vectors, ranking = found.vectors, before.ranking
    maps = opened([collection], ranking.size_m)
    if not maps:
        raise missing(collection, collection.manifest.title)
    unmarked = unmarked_windows([each.mapped for each in maps])
    if before is not None:
        vectors = before.examples.joined(vectors)
        if len(vectors.good) + len(vectors.bad) > MOST_TRAINED:
            raise QueryError(
                f"A detector learns from at most {MOST_TRAINED:,} marks",
                where=title,
                remedy="Train another one from the marks of this place",
            )
        spots = (*spots_of(collection, map(_example, before.marks)), *found.spots)
        size = before.ranking.size_m
        look = partial(best_hits, collections=[collection], spots=spots, progress=progress)
        ranking = self_trained(vectors, size, unmarked, look)
    made = Detector(
        title=title,
        ranking=ranking,
        cells=identity_of(collection.manifest.model.weights_sha256),
        origin=_origin(collection, found.spots, before),
        examples=vectors,
        background=_background(mean_window(unmarked), found.spots, before),
        marks=(*(before.marks if before else ()), *map(_mark, found.spots)),
        pictures=_pictures(found.spots) or (before.pictures if before else ()),
        created=dates.now(),
    )
    return Trained(with_title(made, title), found.spots, found.notes)


def _origin(collection: Collection, spots: Sequence[Spot], before: Detector | None) -> TrainedOn:
    """Where marks lie, and those of the detector that they train further."""
    scenes = {spot.scene.id: spot.scene for spot in spots} or collection.scenes
    gsd = float(np.median([scene.gsd for scene in scenes.values()]))
    days = {scene.datetime[:10] for scene in scenes.values() if scene.datetime}
    sensors = {scene.source for scene in scenes.values()}
    title = collection.manifest.title
    if before is not None:
        earlier = before.origin
        days |= set(earlier.dates)
        sensors |= set(earlier.sensors)
        known = f", {title}, " in f", {earlier.collection}, "
        title = earlier.collection if known else f"{earlier.collection}, {title}"
        share = _share(spots, before)
        gsd = round(earlier.gsd * (gsd / earlier.gsd) ** share, 6)
    return TrainedOn(title[:500], gsd, tuple(sorted(sensors)), tuple(sorted(days)[:50]))


def _background(here: np.ndarray, spots: Sequence[Spot], before: Detector | None) -> np.ndarray:
    """The mean window of this place, and of those where a detector was trained before."""
    if before is None:
        return here
    share = _share(spots, before)
    return normalise(share * here + (1 - share) * before.background)


def _share(spots: Sequence[Spot], before: Detector) -> float:
    """The share of new marks in all marks of a detector."""
    return len(spots) / max(len(spots) + len(before.marks), 1)


def _example(mark: Mapping[str, Any]) -> Example:
    """A mark of a detector as an example."""
    return Example(
        float(mark["lon"]),
        float(mark["lat"]),
        float(mark["width_m"]),
        float(mark["height_m"]),
        good=mark["label"] == "good",
    )


def _mark(spot: Spot) -> dict[str, object]:
    lon, lat = spot.scene.georeference.lonlat(spot.col, spot.row)
    gsd = spot.scene.gsd
    return {
        "lon": round(float(lon), 7),
        "lat": round(float(lat), 7),
        "width_m": round(spot.width * gsd, 2),
        "height_m": round(spot.height * gsd, 2),
        "label": "good" if spot.good else "bad",
        "scene": spot.scene.title[:200],
    }


def _pictures(spots: Sequence[Spot]) -> tuple[str, ...]:
    """Small pictures of the first good examples, PNG as base64."""
    made = []
    for spot in [spot for spot in spots if spot.good][: files.MOST_PICTURES]:
        side = max(round(1.25 * spot.size), 16)
        with SceneReader(spot.scene) as reader:
            corner = round(spot.col - side / 2), round(spot.row - side / 2)
            pixels = reader.thumbnail(*corner, side, side, _PICTURE)
        text = base64.b64encode(encode_image(pixels, "PNG")).decode()
        if len(text) <= files.MOST_PICTURE:
            made.append(text)
    return tuple(made)


def check_labels(examples: Sequence[Example]) -> None:
    """Refuse marks of which none is bad: a detector learns from both.

    Raises:
        QueryError: If none is.
    """
    if all(example.good for example in examples):
        raise QueryError(
            "All marks are good; a detector learns from bad ones, too",
            remedy="Mark some hits that are wrong as bad; `objects ask` proposes what to judge",
        )
