"""Collections: the store on disk.  One folder each; see docs/how_it_works.md.

    collections/<name>/
      collection.json            what it is and how it was made
      scenes/<scene id>.tif      imagery (COG), with <scene id>.json beside it (STAC Item)
      chips/<scene id>/block-*.parquet
      index/                     derived; can always be rebuilt
      searches/                  saved searches

Every write is a temporary file renamed when whole.  Deleting moves the folder to `trash/`, from
where it can be restored until the trash is emptied.
"""

from __future__ import annotations

import json
import re
import shutil
import threading
import time
import unicodedata
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timezone
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import parts
from pipeline.errors import DamagedError, NotFoundError, QueryError, StorageError, storage_errors
from pipeline.files import exclusive, is_locked, locked, read_json, size_of, write_json
from pipeline.table import ChipTable

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import AbstractContextManager

    from pipeline.scene import Scene

SCHEMA = 1
NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
TRASH_DAYS = 7


@dataclass(frozen=True)
class Manifest:
    """What a collection is and how it was made (`collection.json`).

    Attributes:
        name: Folder name, unique in the store.
        title: What people call it.
        description: Free text.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        stride: Pixels between neighbouring chips.
        model: Identity of the embedding model, JSON-ready.
        area: GeoJSON geometry in EPSG:4326, or None for whole scenes.
        scenes: Scene ids in the order they were added.
        complete: Whether every block of every scene has been made.
        chips: Chips in the collection when `complete`.
        left_out: Chips left out, by reason.
        seconds: Time spent building, all runs together.
        versions: Software that made it, by package.
        block_span: Pixels of chip starts a block covers each way, None for the grid's own choice.
        former: Names it had before, so that old links can say where it went.
    """

    name: str
    title: str
    stride: int
    model: dict[str, Any]
    description: str = ""
    created: str = ""
    updated: str = ""
    area: dict[str, Any] | None = None
    scenes: tuple[str, ...] = ()
    complete: bool = False
    chips: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    former: tuple[str, ...] = ()
    block_span: int | None = None
    chip_size: int = 256
    schema: int = SCHEMA


class Collection:
    """One collection on disk.  Cheap to open; its table is read when first asked for."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest = path, manifest

    @property
    def name(self) -> str:
        """The name it is opened by."""
        return self.manifest.name

    @property
    def scenes_folder(self) -> Path:
        """Folder of the imagery."""
        return self.path / "scenes"

    @property
    def index_folder(self) -> Path:
        """Folder of everything derived from the parts."""
        return self.path / "index"

    @property
    def busy(self) -> bool:
        """Whether a build is writing to it now."""
        return is_locked(self.path / ".lock")

    @cached_property
    def scenes(self) -> dict[str, Scene]:
        """The scenes by id, in the order they were added."""
        from pipeline.scene import load_scene

        return {scene: load_scene(self.scenes_folder, scene) for scene in self.manifest.scenes}

    def part_files(self, scene_id: str) -> list[Path]:
        """The Parquet files of one scene, in row order."""
        return sorted((self.path / "chips" / scene_id).glob("block-*.parquet"))

    @cached_property
    def parts(self) -> tuple[parts.Part, ...]:
        """All parts in row order.

        Raises:
            DamagedError: If a part is not a whole file of ours.
        """
        return tuple(
            parts.read_footer(path, scene)
            for scene in self.manifest.scenes
            for path in self.part_files(scene)
        )

    @cached_property
    def version(self) -> str:
        """16 hexadecimal digits that change whenever the chips or the model do."""
        import hashlib

        digest = hashlib.sha256(json.dumps(self.manifest.model, sort_keys=True).encode())
        for part in self.parts:
            digest.update(f"{part.scene_id}/{part.path.name}:{part.stamp}\n".encode())
        return digest.hexdigest()[:16]

    @cached_property
    def chips(self) -> ChipTable:
        """Every chip, without its embedding.

        Raises:
            DamagedError: If a part is damaged.
        """
        import pyarrow as pa
        import shapely

        columns = ["id", "geometry", "row", "col", "gsd", "nodata_percent", "sharpness"]
        tables = [parts.read_columns(part, columns) for part in self.parts]
        empty = parts.schema().empty_table().select(columns)
        table = pa.concat_tables([empty, *(t.replace_schema_metadata(None) for t in tables)])
        rings = shapely.get_coordinates(shapely.from_wkb(table["geometry"].to_numpy()))
        order = {scene: place for place, scene in enumerate(self.manifest.scenes)}
        counts = [part.rows for part in self.parts]
        places = [order[part.scene_id] for part in self.parts]

        def numbers(name: str) -> np.ndarray:
            return table[name].to_numpy()

        return ChipTable(
            ids=np.array(table["id"].to_pylist(), dtype="S16"),
            scene=np.repeat(np.array(places, np.int32), counts),
            scene_ids=self.manifest.scenes,
            corners=np.ascontiguousarray(rings.reshape(-1, 5, 2)[:, :4]),
            cols=numbers("col"),
            rows=numbers("row"),
            gsd=numbers("gsd"),
            nodata_percent=numbers("nodata_percent"),
            sharpness=numbers("sharpness"),
            datetimes=tuple(scene.datetime for scene in self.scenes.values()),
        )

    def disk_bytes(self) -> int:
        """Bytes on disk."""
        return size_of(self.path)

    def write(self, **changes: Any) -> Collection:
        """Write the manifest with `changes` and return the collection as it then is."""
        file = self.path / "collection.json"
        with exclusive(self.path / ".manifest"):
            # As it is on disk: somebody may have given it a title since a build began.
            present = _read_manifest(self.path) if file.exists() else self.manifest
            manifest = replace(present, **changes, updated=now())
            write_json(file, asdict(manifest))
        return Collection(self.path, manifest)

    def lock(self) -> AbstractContextManager[None]:
        """Held by the one process that builds this collection.

        Raises:
            StorageError: If another process holds it.
        """
        busy = StorageError(
            "Another build of this collection is running",
            where=self.name,
            remedy="Wait for it to end, or cancel it",
        )
        return locked(self.path / ".lock", busy)


@dataclass(frozen=True)
class Trashed:
    """A deleted collection that can still be brought back.

    Attributes:
        token: What `Store.restore` takes.
        name: The name it had.
        title: The title it had.
        deleted: When, ISO 8601 UTC.
        searches: Saved searches that lie in it.
    """

    token: str
    name: str
    title: str
    deleted: str
    searches: int


class Store:
    """All collections under one home folder.

    Opened collections are kept and reused while nothing on disk changed, so that a server reads
    each table once.  Safe to use from several threads.
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
        collection = Collection(path, _read_manifest(path))
        with self._mutex:
            self._opened[name] = (state, collection)
        return collection

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
        return Collection(path, replace(manifest, created=now())).write()

    def rename(self, name: str, new_name: str) -> Collection:
        """Give a collection another name; its title stays, and the old name leads to it.

        Raises:
            NotFoundError: If there is no such collection.
            QueryError: If the new name cannot be used or is taken.
            StorageError: If a build is running.
        """
        collection = self.open(name)
        target = self.root / check_name(new_name)
        if target.exists():
            raise QueryError("This name is taken", where=new_name, remedy="Choose another name")
        with collection.lock(), storage_errors(target):
            collection.path.rename(target)
        former = (*(old for old in collection.manifest.former if old != new_name), name)
        return Collection(target, collection.manifest).write(name=new_name, former=former)

    def describe(
        self, name: str, *, title: str | None = None, description: str | None = None
    ) -> Collection:
        """Change a collection's title or description."""
        changes = {"title": title, "description": description}
        return self.open(name).write(**{k: v for k, v in changes.items() if v is not None})

    def delete(self, name: str, *, keep: bool = True) -> str:
        """Delete a collection: to the trash, or for good with `keep=False`.

        Returns:
            Its token in the trash, for `restore`; empty with `keep=False`.

        Raises:
            NotFoundError: If there is none (somebody else may have deleted it meanwhile).
            StorageError: If a build is running.
        """
        path = self.root / check_name(name)
        if _state(path) is None:
            raise self._missing(name)
        token = f"{name}.{time.time_ns()}"
        with Collection(path, Manifest(name, name, 256, {})).lock(), storage_errors(path):
            self.trash.mkdir(parents=True, exist_ok=True)
            if _state(path) is None:
                raise NotFoundError("It was deleted meanwhile", where=name)
            try:
                path.rename(self.trash / token)
            except FileNotFoundError:
                raise NotFoundError("It was deleted meanwhile", where=name) from None
        if not keep:
            with storage_errors(self.trash):
                shutil.rmtree(self.trash / token)
        self.empty_trash(older_than_days=TRASH_DAYS)
        return token if keep else ""

    def restore(self, token: str) -> Collection:
        """Bring a collection back from the trash.

        Raises:
            NotFoundError: If it is no longer there.
            QueryError: If its name was taken meanwhile.
        """
        name, _, stamp = token.rpartition(".")
        source = self.trash / f"{check_name(name)}.{int(stamp)}" if stamp.isdecimal() else None
        if source is None or not source.is_dir():
            raise NotFoundError("It is no longer in the trash", where=token)
        target = self.root / name
        if target.exists():
            raise QueryError(
                "This name was taken meanwhile", where=name, remedy="Rename the other one first"
            )
        with storage_errors(target):
            self.root.mkdir(parents=True, exist_ok=True)
            source.rename(target)
        return self.open(name)

    def trashed(self) -> list[Trashed]:
        """What lies in the trash, the last deleted first."""
        found = []
        for path in self.trash.glob("*/collection.json"):
            token = path.parent.name
            name, _, stamp = token.rpartition(".")
            if not (NAME.fullmatch(name) and stamp.isdecimal()):
                continue
            when = datetime.fromtimestamp(int(stamp) / 1e9, timezone.utc)
            searches = sum(1 for _ in (path.parent / "searches").glob("*.json"))
            found.append((int(stamp), token, name, when, searches, path.parent))
        return [
            Trashed(token, name, _title_of(folder, name), f"{when:%Y-%m-%dT%H:%M:%SZ}", searches)
            for _, token, name, when, searches, folder in sorted(found, reverse=True)
        ]

    def empty_trash(self, *, older_than_days: float = 0) -> int:
        """Remove what has lain in the trash for longer; returns how many collections went."""
        if not self.trash.is_dir():
            return 0
        limit = time.time_ns() - older_than_days * 86_400e9
        stamped = ((p, p.name.rpartition(".")[2]) for p in self.trash.iterdir())
        old = [path for path, stamp in stamped if stamp.isdecimal() and int(stamp) <= limit]
        for path in old:
            shutil.rmtree(path, ignore_errors=True)
        return len(old)

    def _missing(self, name: str) -> NotFoundError:
        """That there is no such collection, and where it went or which there are."""
        for other in self.names():
            try:
                manifest = self.open(other).manifest
            except (DamagedError, NotFoundError):
                continue
            if name in manifest.former:
                return NotFoundError(
                    "This collection has another name now",
                    where=name,
                    remedy=f"Open {other} instead: {manifest.title}",
                )
        return NotFoundError(
            "There is no collection of this name", where=name, remedy=self._known()
        )

    def _known(self) -> str:
        names = self.names()
        if not names:
            return "There is none yet; make one with `python -m pipeline build`, or `make sample`"
        shown = ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
        return f"Those that exist: {shown}"


def check_name(name: str) -> str:
    """`name` itself, if a collection may be called so.

    Raises:
        QueryError: If it may not; the message proposes a name that may.
    """
    if NAME.fullmatch(name):
        return name
    proposal = proposed_name(name)
    raise QueryError(
        "A collection's name is 1 to 64 small letters, digits and hyphens",
        where=repr(name if len(name) <= 60 else name[:57] + "…"),
        remedy=f"For instance '{proposal}'; the title may be anything",
    )


def proposed_name(title: str) -> str:
    """A valid collection name made from any text."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-") or "my-area"


def now() -> str:
    """The present, ISO 8601 UTC, to the second."""
    return datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def merged_counts(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    """The sum of several tallies, by reason; reasons that count nothing are dropped."""
    total: dict[str, int] = {}
    for tally in counts:
        for reason, number in tally.items():
            total[reason] = total.get(reason, 0) + number
    return {reason: number for reason, number in total.items() if number}


def _read_manifest(path: Path) -> Manifest:
    remedy = (
        "Restore collection.json from a backup, or delete the collection with "
        f"`python -m pipeline delete {path.name}` and build it again"
    )
    file = path / "collection.json"
    content = read_json(file, what="The collection's manifest", remedy=remedy)
    try:
        if content["schema"] > SCHEMA:
            raise DamagedError(
                "This collection was made by a newer Lookalike", where=path.name, remedy="Update"
            )
        known = {k: v for k, v in content.items() if k in Manifest.__dataclass_fields__}
        lists = {"scenes": tuple(known["scenes"]), "former": tuple(known.get("former", ()))}
        manifest = Manifest(**{**known, **lists, "name": path.name})
        _check_kinds(manifest)
        return manifest
    except (KeyError, TypeError, AttributeError) as error:
        raise DamagedError(
            "The collection's manifest is damaged", where=file, remedy=remedy
        ) from error


def _check_kinds(manifest: Manifest) -> None:
    """Raise `TypeError` where a value is not of the kind its field holds."""
    kinds: dict[type | tuple[type, ...], tuple[object, ...]] = {
        str: (
            manifest.title,
            manifest.description,
            manifest.model["mode"],
            *manifest.scenes,
            *manifest.former,
        ),
        int: (manifest.stride, manifest.chips, *manifest.left_out.values()),
        (dict, type(None)): (manifest.area,),
    }
    for kind, values in kinds.items():
        if wrong := [value for value in values if not isinstance(value, kind)]:
            raise TypeError(f"{wrong[0]!r} is not {kind}")


def _title_of(folder: Path, name: str) -> str:
    """The title in a folder's manifest; the name if it cannot be read."""
    try:
        return _read_manifest(folder).title
    except DamagedError:
        return name


def _state(path: Path) -> object | None:
    """Something that differs whenever the manifest was rewritten; None without a manifest."""
    try:
        stat = (path / "collection.json").stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_size
