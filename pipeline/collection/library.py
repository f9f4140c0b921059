"""The library: all collections under one home folder, and the trash.

    <home>/collections/<name>/          a collection, see `pipeline.collection.collection`
    <home>/trash/<name>.<nanoseconds>/  a deleted collection

Deleting moves a folder to the trash, from which it can be restored until the trash is emptied.
"""

from __future__ import annotations

import shutil
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pipeline import dates
from pipeline.collection.collection import Collection, build_lock
from pipeline.collection.manifest import Manifest, read_manifest
from pipeline.collection.names import NAME, check_name
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, QueryError, storage_errors
from pipeline.files import TEMPORARY, size_of

if TYPE_CHECKING:
    from pathlib import Path

TRASH_DAYS = 7
#: Parts of a collection that can be made again from the others.
DROPPABLE = ("cells", "index")
#: Folders of a collection that hold saved searches: of places, and of objects.
SEARCHES = ("searches", "object-searches")


@dataclass(frozen=True)
class Trashed:
    """A deleted collection that can be restored.

    Attributes:
        token: Argument of `Library.restore`.
        name: Its former name.
        title: Its former title.
        deleted: When, ISO 8601 UTC.
        searches: Number of its saved searches, of places and of objects.
    """

    token: str
    name: str
    title: str
    deleted: str
    searches: int


class Library:
    """All collections under one home folder.

    Open collections are reused until they change on disk, so a server reads each table once.
    Threads can share one library.
    """

    def __init__(self, home: Path) -> None:
        self.home = home
        self._opened: dict[str, tuple[object, Collection]] = {}
        self._mutex = threading.Lock()

    @property
    def root(self) -> Path:
        """Folder of the collections."""
        return self.home / "collections"

    @property
    def trash(self) -> Path:
        """Folder of deleted collections."""
        return self.home / "trash"

    def names(self) -> list[str]:
        """Names of all collections, sorted."""
        if not self.root.is_dir():
            return []
        return sorted(p.parent.name for p in self.root.glob("*/collection.json"))

    def open(self, name: str) -> Collection:
        """The collection of this name.

        Raises:
            NotFoundError: If there is none.
            DamagedError: If its manifest cannot be read.
        """
        path = self.root / check_name(name)
        state = _state(path)
        if state is None:
            raise self._missing(name)
        with self._mutex:
            kept = self._opened.get(name)
            if kept and kept[0] == state:
                return kept[1]
        collection = Collection(path, read_manifest(path))
        with self._mutex:
            self._opened[name] = (state, collection)
        return collection

    def open_all(self) -> tuple[list[Collection], list[LookalikeError]]:
        """Every collection that opens, and the errors of those that do not."""
        opened, refused = [], []
        for name in self.names():
            try:
                opened.append(self.open(name))
            except LookalikeError as error:
                refused.append(error)
        return opened, refused

    def create(self, manifest: Manifest) -> Collection:
        """A new, empty collection.

        Raises:
            QueryError: If the name cannot be used or is taken.
            StorageError: If the home cannot be written.
        """
        path = self.root / check_name(manifest.name)
        with storage_errors(path):
            try:
                path.mkdir(parents=True)
            except FileExistsError:
                if (path / "collection.json").exists():
                    raise QueryError(
                        "This name is taken", where=manifest.name, remedy="Choose another name"
                    ) from None
        return Collection(path, replace(manifest, created=dates.now())).write()

    def rename(self, name: str, new_name: str) -> Collection:
        """Rename a collection.  Its title stays, and links with the old name still find it.

        Raises:
            NotFoundError: If there is no such collection.
            QueryError: If the new name cannot be used or is taken.
            StorageError: If a build is running.
        """
        collection = self.open(name)
        target = self.root / check_name(new_name)
        if target.exists():
            raise QueryError("This name is taken", where=new_name, remedy="Choose another name")
        before = collection.manifest.former
        former = (*(old for old in before if old != new_name), name)
        with collection.lock(), storage_errors(target):
            # Before the folder moves, so that the old name can be resolved at any moment.
            collection.write(former=former)
            try:
                collection.path.rename(target)
            except OSError:
                collection.write(former=before)
                raise
        return Collection(target, collection.manifest).write(name=new_name, former=former)

    def describe(
        self, name: str, *, title: str | None = None, description: str | None = None
    ) -> Collection:
        """Change a collection's title or description."""
        changes = {"title": title, "description": description}
        return self.open(name).write(**{k: v for k, v in changes.items() if v is not None})

    def drop(self, name: str, part: str) -> int:
        """Remove a part of a collection that can be made again; returns the bytes freed.

        Args:
            name: The collection.
            part: "cells", which a build makes again, or "index", which the next search does.

        Raises:
            NotFoundError: If there is no such collection.
            QueryError: If the part cannot be made again.
            StorageError: If a build is running.
        """
        if part not in DROPPABLE:
            raise QueryError(
                "This part of a collection cannot be made again",
                where=part[:40],
                remedy=f"Drop one of {', '.join(DROPPABLE)}",
            )
        collection = self.open(name)
        folders = [collection.path / part]
        if part == "index":
            folders.append(collection.graph_folder)  # made with the index, and counted with it
        freed = 0
        with collection.lock(), storage_errors(collection.path):
            for folder in (each for each in folders if each.exists()):
                freed += size_of(folder)
                # Out of sight first, so that an interruption leaves no half of it.
                gone = folder.with_name(f"{TEMPORARY}{folder.name}")
                shutil.rmtree(gone, ignore_errors=True)
                folder.rename(gone)
                shutil.rmtree(gone)
        with self._mutex:
            self._opened.pop(name, None)
        return freed

    def delete(self, name: str, *, keep: bool = True) -> str:
        """Move a collection to the trash, or delete it permanently with `keep=False`.

        Returns:
            Its token in the trash, for `restore`; "" with `keep=False`.

        Raises:
            NotFoundError: If there is none; another user may have deleted it meanwhile.
            StorageError: If a build is running.
        """
        path = self.root / check_name(name)
        if _state(path) is None:
            raise self._missing(name)
        token = f"{name}.{time.time_ns()}"
        with build_lock(path), storage_errors(path):
            self.trash.mkdir(parents=True, exist_ok=True)
            if _state(path) is None:
                raise NotFoundError("The collection was deleted meanwhile", where=name)
            try:
                path.rename(self.trash / token)
            except FileNotFoundError:
                raise NotFoundError("The collection was deleted meanwhile", where=name) from None
        if not keep:
            with storage_errors(self.trash):
                shutil.rmtree(self.trash / token)
        self.empty_trash(older_than_days=TRASH_DAYS)
        return token if keep else ""

    def restore(self, token: str) -> Collection:
        """Restore a collection from the trash.

        Raises:
            NotFoundError: If it is not in the trash.
            QueryError: If its name has been taken.
        """
        name, _, stamp = token.rpartition(".")
        source = self.trash / f"{check_name(name)}.{int(stamp)}" if stamp.isdecimal() else None
        if source is None or not source.is_dir():
            raise NotFoundError(
                "No deleted collection has this token",
                where=token,
                remedy="It may have been restored or deleted permanently",
            )
        target = self.root / name
        if _state(target) is not None:
            raise QueryError(
                "This name was taken meanwhile", where=name, remedy="Rename that collection first"
            )
        with storage_errors(target):
            self.root.mkdir(parents=True, exist_ok=True)
            if target.exists():  # files written while it was being deleted
                shutil.rmtree(target)
            source.rename(target)
        return self.open(name)

    def trashed(self) -> list[Trashed]:
        """The collections in the trash, the last deleted first."""
        found = []
        for path in self.trash.glob("*/collection.json"):
            token = path.parent.name
            name, _, stamp = token.rpartition(".")
            if not (NAME.fullmatch(name) and stamp.isdecimal()):
                continue
            when = dates.from_timestamp(int(stamp) / 1e9)
            searches = sum(1 for kept in SEARCHES for _ in (path.parent / kept).glob("*.json"))
            found.append((int(stamp), token, name, when, searches, path.parent))
        return [
            Trashed(token, name, _title_of(folder, name), when, searches)
            for _, token, name, when, searches, folder in sorted(found, reverse=True)
        ]

    def empty_trash(self, *, older_than_days: float = 0) -> int:
        """Delete what has been in the trash for longer; returns the number of collections."""
        if not self.trash.is_dir():
            return 0
        limit = time.time_ns() - older_than_days * 86_400e9
        stamped = ((p, p.name.rpartition(".")[2]) for p in self.trash.iterdir())
        old = [path for path, stamp in stamped if stamp.isdecimal() and int(stamp) <= limit]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def current(self, name: str) -> str:
        """The current name of the collection that has or had this name, "" if there is none."""
        if name in self.names():
            return name
        for other in self.names():
            try:
                if name in self.open(other).manifest.former:
                    return other
            except (DamagedError, NotFoundError):
                continue
        return ""

    def _missing(self, name: str) -> NotFoundError:
        """The error that says what became of a name, or which collections exist."""
        if other := self.current(name):
            return NotFoundError(
                "This collection was renamed",
                where=name,
                remedy=f"Open {other} instead: {_title_of(self.root / other, other)}",
            )
        for gone in self.trashed():
            if gone.name == name:
                return NotFoundError(
                    "This collection was deleted",
                    where=name,
                    remedy="Restore it on the Collections page, or with "
                    f"`python -m pipeline restore {gone.token}`",
                )
        return NotFoundError(
            "There is no collection of this name", where=name, remedy=self._known()
        )

    def _known(self) -> str:
        names = self.names()
        if not names:
            return "There are no collections yet; run `python -m pipeline build`, or `make sample`"
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return f"Existing collections: {shown}"


def _title_of(folder: Path, name: str) -> str:
    """The title in a folder's manifest; the name if it cannot be read."""
    try:
        return read_manifest(folder).title
    except DamagedError:
        return name


def _state(path: Path) -> object | None:
    """A value that changes when the manifest is rewritten; None without a manifest."""
    try:
        stat = (path / "collection.json").stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
