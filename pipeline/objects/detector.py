"""Detectors: rankings that are kept under a name and applied elsewhere.

A detector is one JSON file.  It holds everything to apply it to another collection and to train it
further there: the model as plain numbers, the vectors of its marks, what made the cells, the size
of the thing, and pictures of examples.  Nothing in it is executable, and what is read is checked
under limits.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import __version__, dates
from pipeline.errors import DamagedError, ModelMismatchError, NewerError, QueryError
from pipeline.files import check_schema, write_json
from pipeline.model.basis import COMPONENTS
from pipeline.model.cells import CellIdentity, identity_of
from pipeline.objects.calibration import Calibration
from pipeline.objects.model import ObjectModel
from pipeline.objects.ranking import Ranking
from pipeline.objects.training import Examples
from pipeline.vectors import normalise

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Version of a detector's file.
SCHEMA = 1
KIND = "lookalike-detector"
MAX_BYTES = 10 * 2**20
#: Maximum number of marks and of pictures in a file.
MOST_MARKS, MOST_PICTURES = 5_000, 12
#: Smallest and largest size of a thing in metres, and the largest number of a file.
SIZES, _MOST = (0.01, 1e5), 1e9
#: Longest picture of an example in a file, as base64, and what it looks like: a PNG.
MOST_PICTURE = 12_000
_PICTURE = re.compile(rf"iVBORw0KGgo[A-Za-z0-9+/]{{0,{MOST_PICTURE}}}={{0,2}}")
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


def write(path: Path, detector: Detector) -> None:
    """Write a detector's file, completely or not at all.

    Raises:
        StorageError: If the disk is full or the folder cannot be written.
    """
    content = detector.to_dict()
    write_json(path, {**content, "sha256": _checksum(content)})


def read(source: Path | bytes, *, name: str = "") -> Detector:
    """The detector in a file.

    Args:
        source: The file, or its content.
        name: Its name, for messages about content.

    Raises:
        DamagedError: If it is none, cut short, edited, too large, or holds what no model does.
        NewerError: If a newer version wrote it.
    """
    where = source.name if isinstance(source, Path) else name
    content = _content(source, where)
    try:
        check_schema(content["schema"], SCHEMA, what="This detector", where=where)
        stated = content.pop("sha256")
        if stated != _checksum(content):
            raise _damaged("The detector was edited or damaged", where)
        return _detector(content)
    except NewerError:
        raise
    except DamagedError as error:
        inside = "" if error.where == where else f": {error.where}"
        raise DamagedError(error.what, where=f"{where}{inside}", remedy=_REMEDY) from error
    except (
        AttributeError, LookupError, OverflowError, TypeError, ValueError, QueryError,
    ) as error:  # fmt: skip
        raise _damaged("The detector's file is damaged", where) from error


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


_REMEDY = "Get the file again from where it was trained, or train anew"


def _content(source: Path | bytes, where: str) -> dict[str, Any]:
    if isinstance(source, Path):
        try:
            if source.stat().st_size > MAX_BYTES:
                raise _damaged(f"The detector's file is larger than {MAX_BYTES >> 20} MB", where)
            source = source.read_bytes()
        except OSError as error:
            raise _damaged("The detector's file cannot be opened", where) from error
    if len(source) > MAX_BYTES:
        raise _damaged(f"The detector's file is larger than {MAX_BYTES >> 20} MB", where)
    try:
        content = json.loads(source, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise _damaged("The detector's file is not JSON, or cut short", where) from error
    if not isinstance(content, dict) or content.get("kind") != KIND:
        raise _damaged("This file is not a detector", where)
    return content


def _no_constant(text: str) -> float:
    raise ValueError(f"{text} is no number of a detector")


def _detector(content: Mapping[str, Any]) -> Detector:
    origin, curve = content["origin"], content["calibration"]
    good, bad = (_vectors(content["vectors"][key]) for key in ("good", "bad"))
    ranking = Ranking(
        ObjectModel.from_dict(content["model"]),
        # Rounded as it is written, so that what is read can be read again.
        _number(round(_number(content["object_size"]), 3), *SIZES),
        bool(content["trained"]),
        None
        if curve is None
        else Calibration(
            _number(curve["slope"]),
            _number(curve["offset"], least=-_MOST),
            _count(curve["marks"]),
            _number(curve["accuracy"], least=-1),
        ),
        _count(content["good"]),
        _count(content["bad"]),
    )
    background = np.asarray(content["background"], np.float32)
    if background.shape != (COMPONENTS,) or not np.isfinite(background).all():
        raise ValueError("background")
    marks, pictures = content["marks"], content["pictures"]
    if len(marks) > MOST_MARKS or len(pictures) > MOST_PICTURES:
        raise ValueError("marks")
    if not all(isinstance(each, str) and _PICTURE.fullmatch(each) for each in pictures):
        raise ValueError("pictures")
    return Detector(
        title=_title(content["title"]),
        ranking=ranking,
        cells=CellIdentity.from_dict({key: _plain(each) for key, each in content["cells"].items()}),
        origin=TrainedOn(
            _text(origin["collection"]),
            _number(origin["gsd"]),
            tuple(map(_text, origin["sensors"])),
            tuple(map(_text, origin["dates"])),
        ),
        examples=Examples(good, bad),
        background=background,
        marks=tuple(map(_mark, marks)),
        pictures=tuple(pictures),
        created=_text(content["created"]),
    )


def _mark(given: Mapping[str, Any]) -> dict[str, Any]:
    if given["label"] not in ("good", "bad"):
        raise ValueError(given["label"])
    places = {key: _number(given[key], least=-_MOST) for key in ("lon", "lat")}
    sizes = {key: _number(given[key]) for key in ("width_m", "height_m")}
    return {**places, **sizes, "label": given["label"], "scene": _text(given["scene"])}


def _vectors(values: Any) -> np.ndarray:
    """float32 (n, v, 64)."""
    given = np.asarray(values)
    if not given.size:
        return np.zeros((0, 4, COMPONENTS), np.float32)
    found = given.astype(np.float32)
    if (
        given.dtype.kind not in "iuf"
        or found.ndim != 3
        or found.shape[2] != COMPONENTS
        or not np.isfinite(found).all()
    ):
        raise ValueError("vectors")
    if len(found) > MOST_MARKS:
        raise ValueError("marks")
    return found


def _number(value: Any, least: float = 0.0, most: float = _MOST) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(value)
    if not least < value <= most:  # nor is what is not a number
        raise ValueError(value)
    return float(value)


def _count(value: Any) -> int:
    return int(_number(value, least=-1))


def _text(value: Any) -> str:
    if not isinstance(value, str) or len(value) > 500:
        raise TypeError(value)
    value.encode()  # JSON can spell unpaired surrogates, which nothing else can hold
    return value


def _plain(value: Any) -> Any:
    return _text(value) if isinstance(value, str) else value


def _title(value: Any) -> str:
    if not _text(value).strip():
        raise ValueError("title")
    return str(value)


def _listed(values: np.ndarray) -> Any:
    return np.round(values.astype(np.float64), 5).tolist()


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _damaged(what: str, where: str) -> DamagedError:
    return DamagedError(what, where=where, remedy=_REMEDY)


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
