"""Censuses on disk.

    collections/<name>/censuses/<id>/census.json          population, districts, seed, what it is of
    collections/<name>/censuses/<id>/round-<n>.json       scores of a round; only ever added
    collections/<name>/censuses/<id>/judgements.jsonl     who was asked and answered what; appended
    collections/<name>/censuses/trash/<id>.<nanoseconds>/ deleted ones

A census lies in its collection's folder: it is renamed, deleted and restored with it.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.census.census import Census, Round
from pipeline.census.judgements import Judgements
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, storage_errors
from pipeline.files import read_versioned, write_versioned

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library

#: Version of the files of a census.
SCHEMA = 1
FOLDER = "censuses"
_ID = re.compile(r"[0-9a-f]{12}")
_DAMAGED = {
    "what": "A census",
    "remedy": "Restore its folder from a backup; its certificate, if you kept one, can be read by "
    "`census report FILE`",
}


@dataclass(frozen=True, eq=False)
class Kept:
    """A census where it lies.

    Attributes:
        folder: Its folder.
        census: The census.
        collection: The collection in whose folder it lies.
    """

    folder: Path
    census: Census
    collection: Collection

    @property
    def judgements(self) -> Judgements:
        """Its journal."""
        return Judgements(self.folder / "judgements.jsonl")


@dataclass(frozen=True, eq=False)
class Unreadable:
    """A census that cannot be read, and why."""

    id: str
    collection: str
    error: LookalikeError


class Censuses:
    """The censuses of a home.

    Args:
        library: The collections.
    """

    def __init__(self, library: Library) -> None:
        self.library = library

    def all(self, collection: str = "") -> list[Kept | Unreadable]:
        """Every census, the latest first; of one that cannot be read, why.

        Args:
            collection: Only those of this collection.
        """
        found: list[Kept | Unreadable] = []
        for folder in self._folders(collection):
            try:
                found.append(self.open(folder.name))
            except LookalikeError as error:
                found.append(Unreadable(folder.name, folder.parent.parent.name, error))
        return sorted(found, key=lambda each: each.census.created if isinstance(each, Kept) else "",
                      reverse=True)  # fmt: skip

    def open(self, census_id: str) -> Kept:
        """The census of this id.

        Raises:
            NotFoundError: If there is none, or its collection was deleted.
            DamagedError: If its files cannot be read.
        """
        folder = self._folder(census_id)
        collection = self.library.open(folder.parent.parent.name)
        return Kept(folder, _read(folder), collection)

    def create(self, collection: Collection, census: Census) -> Kept:
        """Write a new census.

        Raises:
            StorageError: If it cannot be written.
        """
        folder = collection.path / FOLDER / census.id
        for each in census.rounds:
            write_versioned(folder / f"round-{each.number}.json", _plain(each.to_dict()), SCHEMA)
        # Last: a folder without it is no census.
        write_versioned(folder / "census.json", _plain(census.to_dict()), SCHEMA)
        return Kept(folder, census, collection)

    def add_round(self, kept: Kept, added: Round) -> Kept:
        """Write a further round.  The caller holds the lock of its journal."""
        path = kept.folder / f"round-{added.number}.json"
        write_versioned(path, _plain(added.to_dict()), SCHEMA)
        return replace(kept, census=replace(kept.census, rounds=(*kept.census.rounds, added)))

    def change(self, kept: Kept, **changes: Any) -> Kept:
        """Write a census with another title or wanted error."""
        changed = replace(kept.census, **changes)
        write_versioned(kept.folder / "census.json", _plain(changed.to_dict()), SCHEMA)
        return replace(kept, census=changed)

    def delete(self, census_id: str) -> str:
        """Move a census to the trash of its collection; returns the token that restores it."""
        folder = self._folder(census_id)
        trash = folder.parent / "trash"
        token = f"{census_id}.{time.time_ns()}"
        with storage_errors(trash):
            trash.mkdir(exist_ok=True)
            folder.rename(trash / token)
        return token

    def restore(self, token: str) -> Kept:
        """Take a census out of the trash.

        Raises:
            NotFoundError: If it is not there.
        """
        census_id, _, stamp = token.rpartition(".")
        if _ID.fullmatch(census_id) and stamp.isdecimal():
            for source in self.library.root.glob(f"*/{FOLDER}/trash/{token}"):
                with storage_errors(source):
                    source.rename(source.parent.parent / census_id)
                return self.open(census_id)
        raise NotFoundError("No deleted census has this token", where=token[:80])

    def _folders(self, collection: str = "") -> list[Path]:
        found = self.library.root.glob(f"{collection or '*'}/{FOLDER}/*/census.json")
        return [path.parent for path in found if _ID.fullmatch(path.parent.name)]

    def _folder(self, census_id: str) -> Path:
        if _ID.fullmatch(census_id):
            for path in self.library.root.glob(f"*/{FOLDER}/{census_id}/census.json"):
                return path.parent
            for path in self.library.root.glob(f"*/{FOLDER}/trash/{census_id}.*/census.json"):
                token = path.parent.name
                raise NotFoundError(
                    "This census was deleted",
                    where=census_id,
                    remedy=f"Restore it with `python -m pipeline census restore {token}`",
                )
            for path in self.library.trash.glob(f"*/{FOLDER}/{census_id}/census.json"):
                token = path.parent.parent.parent.name
                raise NotFoundError(
                    "The collection of this census was deleted",
                    where=token.rpartition(".")[0],
                    remedy="Restore it on the Collections page, or with "
                    f"`python -m pipeline restore {token}`; the census comes back with it",
                )
        raise NotFoundError(
            "There is no census of this id",
            where=census_id[:40],
            remedy="`python -m pipeline census list` lists them",
        )


def new_id() -> str:
    """An id that no census has."""
    return secrets.token_hex(6)


_cache: dict[Path, tuple[object, Census]] = {}


def _read(folder: Path) -> Census:
    """The census in a folder; read again only when its files changed."""
    paths = sorted(folder.glob("round-*.json"), key=lambda path: (len(path.name), path.name))
    try:
        stats = [path.stat() for path in (folder / "census.json", *paths)]
    except FileNotFoundError:
        raise NotFoundError("The census was deleted meanwhile", where=folder.name) from None
    state = tuple((stat.st_mtime_ns, stat.st_size, stat.st_ino) for stat in stats)
    if (known := _cache.get(folder)) and known[0] == state:
        return known[1]
    plain = read_versioned(folder / "census.json", newest=SCHEMA, **_DAMAGED)
    rounds = [read_versioned(path, newest=SCHEMA, **_DAMAGED) for path in paths]
    census = of_content(plain, rounds, folder)
    while len(_cache) > 8:
        _cache.pop(next(iter(_cache)), None)
    _cache[folder] = (state, census)
    return census


def of_content(
    plain: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]], where: object
) -> Census:
    """The census of some files' content.

    Raises:
        DamagedError: If it is none.
    """
    try:
        census = Census.from_dict(plain, rounds)
        if not census.rounds or not census.units:
            raise ValueError("nothing to draw from")
        _ = census.designs
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise DamagedError("A census is damaged", where=where, remedy=_DAMAGED["remedy"]) from error
    return census


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(content)))
