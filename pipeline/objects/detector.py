"""Detectors: rankings that are kept under a name and applied elsewhere.

A detector is one JSON file.  It holds everything to apply it to another collection and to train it
further there: the model as plain numbers, the vectors of its marks, what made the cells, the size
of the thing, and pictures of examples.  Nothing in it is executable; `detector_file` writes and
reads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import __version__, dates
from pipeline.errors import ModelMismatchError, QueryError
from pipeline.model.basis import COMPONENTS
from pipeline.model.cells import CellIdentity, identity_of
from pipeline.objects.ranking import Ranking
from pipeline.objects.training import Examples
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Version of a detector's file.
SCHEMA = 1
KIND = "lookalike-detector"
#: Ratio of ground sampling distances from which on a detector warns, and from which it refuses.
FAR_GSD, TOO_FAR_GSD = 2.0, 16.0
#: Cosine of the mean windows of two places below which they look different.
ALIKE = 0.6


@dataclass(frozen=True)
class TrainedOn:
    """Where a detector comes from.

    Attributes:
        collection: Title of the collection.
        gsd: Ground sampling distance in metres.
        sensors: Kinds of source of the scenes.
        dates: Days on which they were taken.
    """

    collection: str
    gsd: float
    sensors: tuple[str, ...] = ()
    dates: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Detector:
    """A ranking that is kept.

    Attributes:
        title: What people call it.
        ranking: Ranks windows.
        cells: What made the cells that it ranks.
        origin: Where it was trained.
        examples: Vectors of its marks, from which it is trained further.
        background: float32 (64,), the mean of windows drawn at random where it was trained.
        marks: Its marks: lon, lat, width_m, height_m, label.
        pictures: PNG of good examples as base64.
        created: When it was trained, ISO 8601.
    """

    title: str
    ranking: Ranking
    cells: CellIdentity
    origin: TrainedOn
    examples: Examples
    background: np.ndarray
    marks: tuple[dict[str, Any], ...] = ()
    pictures: tuple[str, ...] = ()
    created: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON form without the checksum."""
        ranking, curve = self.ranking, self.ranking.calibration
        return {
            "kind": KIND,
            "schema": SCHEMA,
            "title": self.title,
            "created": self.created,
            "software": f"Lookalike {__version__}",
            "object_size": round(ranking.size_m, 3),
            "trained": ranking.trained,
            "good": ranking.good,
            "bad": ranking.bad,
            "cells": self.cells.to_dict(),
            "origin": {
                "collection": self.origin.collection,
                "gsd": self.origin.gsd,
                "sensors": list(self.origin.sensors),
                "dates": list(self.origin.dates),
            },
            "model": ranking.model.to_dict(),
            "calibration": None
            if curve is None
            else {
                "slope": curve.slope,
                "offset": curve.offset,
                "marks": curve.marks,
                "accuracy": curve.accuracy,
            },
            "background": _listed(self.background),
            "vectors": {"good": _listed(self.examples.good), "bad": _listed(self.examples.bad)},
            "marks": list(self.marks),
            "pictures": list(self.pictures),
        }

    def card(self) -> dict[str, Any]:
        """What people read of it: all but the numbers."""
        values = self.to_dict()
        return {key: values[key] for key in values if key not in ("model", "background", "vectors")}


def check_cells(detector: Detector, collections: Sequence[Collection]) -> None:
    """Refuse collections whose cells a detector cannot rank.

    Raises:
        ModelMismatchError: If another basis or other weights made the cells.
    """
    for collection in collections:
        weights = collection.manifest.model.weights_sha256
        if identity_of(weights) == detector.cells:
            continue
        other = weights != detector.cells.weights_sha256
        raise ModelMismatchError(
            "The detector was trained with other weights of the network"
            if other
            else "The detector was trained on cells of another basis",
            where=f"{detector.title}, {collection.name}",
            remedy="Train it again from this collection's marks",
        )


def suited_scenes(
    detector: Detector, scenes: Sequence[Scene]
) -> tuple[list[Scene], tuple[str, ...]]:
    """The scenes whose resolution suits a detector, and what to know of the others.

    Raises:
        QueryError: If all imagery is so much finer or coarser that the thing cannot be seen.
    """
    trained = detector.origin.gsd
    ratios = [max(scene.gsd / trained, trained / scene.gsd) for scene in scenes]
    kept = [scene for scene, ratio in zip(scenes, ratios, strict=True) if ratio < TOO_FAR_GSD]
    if scenes and not kept:
        raise QueryError(
            f"The imagery has {scenes[0].gsd:.3g} m a pixel; the detector was trained at "
            f"{trained:.3g} m",
            where=f"{detector.title}, {scenes[0].title}",
            remedy="Use imagery of a similar resolution, or train a detector on this one",
        )
    notes = []
    if len(kept) < len(scenes):
        notes.append(
            f"{len(scenes) - len(kept)} of {len(scenes)} scenes left out: the detector was trained "
            f"at {trained:.3g} m a pixel, and they are too far from it"
        )
    far = [scene.gsd for scene, ratio in zip(scenes, ratios, strict=True) if ratio >= FAR_GSD]
    far = [gsd for gsd in far if max(gsd / trained, trained / gsd) < TOO_FAR_GSD]
    if far:
        gsds = f"{min(far):.3g}" if min(far) == max(far) else f"{min(far):.3g} to {max(far):.3g}"
        notes.append(
            f"The imagery has {gsds} m a pixel, the detector was trained at {trained:.3g} m; check "
            "its hits"
        )
    sensors = {scene.source for scene in kept}
    if kept and detector.origin.sensors and not sensors & set(detector.origin.sensors):
        notes.append(
            "The imagery is from another kind of source than that of the detector's training; "
            "check its hits"
        )
    return kept, tuple(notes)


def notes_on_looks(detector: Detector, background: np.ndarray) -> tuple[str, ...]:
    """What to know of imagery that looks different from that of a detector's training.

    Args:
        detector: The detector.
        background: float32 (64,), the mean of windows drawn at random from the imagery.
    """
    if not np.any(background) or float(detector.background @ background) >= ALIKE:
        return ()
    return (
        "This imagery looks different from that of the detector's training; mark some hits here "
        "to train it further",
    )


def mean_window(windows: np.ndarray) -> np.ndarray:
    """The mean, of length one, of windows float32 (n, 64); zeros of none."""
    if not len(windows):
        return np.zeros(COMPONENTS, np.float32)
    return normalise(windows.mean(0))


def with_title(detector: Detector, title: str) -> Detector:
    """The detector under another title.

    Raises:
        QueryError: If it is empty or too long.
    """
    if not title.strip() or len(title) > 200:
        raise QueryError(
            "A detector needs a title of 1 to 200 characters",
            where=title[:40],
            remedy="Name what it finds, for instance: Standing dead trees",
        )
    return replace(detector, title=title.strip(), created=detector.created or dates.now())


def _listed(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), 5).tolist()
