"""The detectors of a home: kept, listed, renamed, removed, and applied with warnings.

<home>/detectors/<name>.json
<home>/detectors/trash/<name>.<nanoseconds>.json    removed
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.collection.library import TRASH_DAYS
from pipeline.collection.names import check_name, proposed_name
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, storage_errors
from pipeline.files import exclusive
from pipeline.objects import detector_file as files
from pipeline.objects.detector import (
    Detector,
    check_cells,
    mean_window,
    notes_on_looks,
    suited_scenes,
    with_title,
)
from pipeline.objects.eligible import scene_passes
from pipeline.objects.learning import unmarked_windows
from pipeline.objects.open_cells import scales_of
from pipeline.objects.score_maps import opened
from pipeline.search.filters import Filters

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection

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
