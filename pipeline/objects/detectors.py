"""The detectors of a home: kept, listed, renamed, removed; trained and applied.

<home>/detectors/<name>.json
<home>/detectors/trash/<name>.<nanoseconds>.json    removed
"""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import dates
from pipeline.collection.library import TRASH_DAYS
from pipeline.collection.names import check_name, proposed_name
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, QueryError, storage_errors
from pipeline.files import exclusive
from pipeline.imagery.reader import SceneReader
from pipeline.imagery.render import encode_image
from pipeline.model.cells import identity_of
from pipeline.objects import detector as files
from pipeline.objects.detector import (
    Detector,
    TrainedOn,
    check_cells,
    mean_window,
    notes_on_looks,
    suited_scenes,
    with_title,
)
from pipeline.objects.eligible import scene_passes
from pipeline.objects.examples import see, spots_of
from pipeline.objects.find import learn, self_trained
from pipeline.objects.learning import unmarked_windows
from pipeline.objects.open_cells import missing, scales_of
from pipeline.objects.places import Example
from pipeline.objects.score_maps import opened
from pipeline.progress import OnProgress, silent
from pipeline.search.filters import Filters
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

_NAME = "A detector's name"


@dataclass(frozen=True, eq=False)
class Kept:
    """A detector under its name.

    Attributes:
        name: Name of its file, in links and commands.
        detector: The detector; None if its file is damaged.
        error: Why not, or None.
    """

    name: str
    detector: Detector | None
    error: LookalikeError | None = None


class Detectors:
    """The detectors of a home.

    Args:
        home: The home folder.
    """

    def __init__(self, home: Path) -> None:
        self.folder = home / "detectors"

    @property
    def trash(self) -> Path:
        """Folder of removed detectors."""
        return self.folder / "trash"

    def all(self) -> list[Kept]:
        """Every detector by name; one that cannot be read with the reason."""
        found = []
        for path in sorted(self.folder.glob("*.json")):
            try:
                found.append(Kept(path.stem, files.read(path)))
            except DamagedError as error:
                found.append(Kept(path.stem, None, error))
        return found

    def path(self, name: str) -> Path:
        """The file of a detector.

        Raises:
            NotFoundError: If there is none of this name.
        """
        path = self.folder / f"{check_name(name, _NAME)}.json"
        if not path.is_file():
            names = ", ".join(sorted(each.stem for each in self.folder.glob("*.json"))[:8])
            raise NotFoundError(
                "There is no detector of this name",
                where=name,
                remedy=f"Existing detectors: {names}" if names else "Train one from marks first",
            )
        return path

    def open(self, name: str) -> Detector:
        """The detector of this name.

        Raises:
            NotFoundError: If there is none.
            DamagedError: If its file is damaged.
        """
        return files.read(self.path(name))

    def find(self, name_or_file: str) -> Detector:
        """The detector in a file, or the one that is kept under a name.

        Raises:
            NotFoundError: If there is neither.
            DamagedError: If the file is damaged.
        """
        path = Path(name_or_file)
        if path.suffix == ".json" or "/" in name_or_file:
            if not path.is_file():
                raise NotFoundError(
                    "There is no such file", where=name_or_file, remedy="Check the path"
                )
            return files.read(path)
        return self.open(name_or_file)

    def keep(self, detector: Detector) -> str:
        """Keep a detector under a free name made of its title; returns the name."""
        base = proposed_name(detector.title)[:56].rstrip("-") or "detector"
        with exclusive(self.folder / ".lock"):
            name = self._free(base)
            files.write(self.folder / f"{name}.json", detector)
        return name

    def rename(self, name: str, title: str) -> Detector:
        """Change a detector's title."""
        # Under the lock, so that one that is removed meanwhile does not come back.
        with exclusive(self.folder / ".lock"):
            changed = with_title(self.open(name), title)
            files.write(self.path(name), changed)
        return changed

    def remove(self, name: str) -> str:
        """Move a detector to the trash, from which it can be restored for `TRASH_DAYS` days.

        Returns:
            Its token in the trash, for `restore`.

        Raises:
            NotFoundError: If there is none.
        """
        path = self.path(name)
        token = f"{name}.{time.time_ns()}"
        with exclusive(self.folder / ".lock"), storage_errors(path):
            self.trash.mkdir(exist_ok=True)
            try:
                path.rename(self.trash / f"{token}.json")
            except FileNotFoundError:
                raise NotFoundError("The detector was removed meanwhile", where=name) from None
            self._empty_trash()
        return token

    def restore(self, token: str) -> str:
        """Take a detector out of the trash, under a free name; returns the name.

        Raises:
            NotFoundError: If it is not in the trash.
        """
        name, _, stamp = token.rpartition(".")
        source = self.trash / f"{check_name(name, _NAME)}.{stamp}.json"
        if not (stamp.isdecimal() and source.is_file()):
            raise NotFoundError(
                "No removed detector has this token",
                where=token[:80],
                remedy="It may have been restored or deleted permanently",
            )
        with exclusive(self.folder / ".lock"), storage_errors(source):
            free = self._free(name)
            source.rename(self.folder / f"{free}.json")
        return free

    def _free(self, base: str) -> str:
        """The name, or with a number if it is taken."""
        taken = {path.stem for path in self.folder.glob("*.json")}
        name, number = base, 2
        while name in taken:
            name, number = f"{base}-{number}", number + 1
        return name

    def _empty_trash(self) -> None:
        """Delete what has been in the trash for too long."""
        limit = time.time_ns() - TRASH_DAYS * 86_400e9
        for path in self.trash.glob("*.json"):
            stamp = path.stem.rpartition(".")[2]
            if stamp.isdecimal() and int(stamp) < limit:
                path.unlink(missing_ok=True)


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
        ranking = self_trained([collection], vectors, size, unmarked, spots, None, progress)
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


def suited(
    detector: Detector, collections: Sequence[Collection], filters: Filters | None = None
) -> tuple[Filters | None, tuple[str, ...]]:
    """The scenes that a detector can be applied to, as filters, and what to know before.

    Scenes of a resolution too far from that of its training are left out.

    Args:
        detector: The detector.
        collections: Where it is to be applied.
        filters: Which scenes count.

    Raises:
        ModelMismatchError: If another basis or other weights made the cells.
        QueryError: If all imagery is too fine or too coarse.
    """
    check_cells(detector, collections)
    scenes = [
        scene
        for collection in collections
        for scene in collection.scenes.values()
        if scene_passes(scene, filters)
    ]
    kept, notes = suited_scenes(detector, scenes)
    if len(kept) < len(scenes):
        filters = replace(filters or Filters(), scenes=tuple(scene.id for scene in kept))
    maps = opened(collections, detector.ranking.size_m, filters)
    background = mean_window(unmarked_windows([each.mapped for each in maps]))
    return filters, (*notes, *notes_on_looks(detector, background))


def warnings_for(detector: Detector, collection: Collection) -> tuple[str, ...]:
    """What to know before a detector is applied to a collection; sentences without full stops."""
    if not any(scales_of(collection, scene) for scene in collection.scenes.values()):
        return ("This collection has no object cells yet",)
    try:
        return suited(detector, [collection])[1]
    except LookalikeError as error:
        return tuple(text for text in (error.what, error.remedy) if text)


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
        if not f", {earlier.collection}, ".count(f", {title}, "):
            title = f"{earlier.collection}, {title}"
        else:
            title = earlier.collection
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
