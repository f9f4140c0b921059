"""Censuses on disk.

    collections/<name>/censuses/<id>/census.json          population, districts, seed, what it is of
    collections/<name>/censuses/<id>/round-<n>.json       scores of a round; only ever added
    collections/<name>/censuses/<id>/judgements.jsonl     who was asked and answered what; appended
    collections/<name>/censuses/trash/<id>.<nanoseconds>/ deleted ones

A census lies in its collection's folder: it is renamed, deleted and restored with it.  Everything
that the estimate depends on is in these files, none of it in the collection: imagery that is added
or lost later changes no number.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import __version__
from pipeline.census import design as designs
from pipeline.census.judgements import Judgements
from pipeline.census.scores import Expectation
from pipeline.census.units import Unit
from pipeline.errors import DamagedError, LookalikeError, NotFoundError, storage_errors
from pipeline.files import read_versioned, write_versioned

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.census.design import Design
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


@dataclass(frozen=True)
class SceneFacts:
    """What a census keeps of a scene.

    Attributes:
        id: Its id, which holds a checksum of its content.
        title: What people call it.
        datetime: When it was taken, ISO 8601, or None.
        crs: Of its pixels.
        transform: From pixels to the CRS.
        width: Pixels across.
        height: Pixels down.
        gsd: Metres per pixel.
        source_url: Where it came from.
        license: Licence and credit.
    """

    id: str
    title: str
    datetime: str | None
    crs: str
    transform: tuple[float, ...]
    width: int
    height: int
    gsd: float
    source_url: str = ""
    license: str = ""


@dataclass(frozen=True)
class District:
    """A part of the area with a count of its own.

    Attributes:
        name: What people call it.
        units: Rows of the units that lie in it, by their centres.
        geometry: GeoJSON, EPSG:4326.
    """

    name: str
    units: tuple[int, ...]
    geometry: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, eq=False)
class Round:
    """One round: scores, and the design that they make.

    Attributes:
        number: 1 for the first.
        created: ISO 8601 UTC.
        query: What was looked for, in words.
        source: How the scores were made, JSON.
        floor: Share of the weights that all units have alike.
        threshold: Minimum score of the list, or None.
        judged: Rows of the units that were judged before it began.
        weights: float (n,), of the draw: kept, so that later versions may choose others.
        expectation: The scores.
        notes: What to know, sentences without their full stops.
    """

    number: int
    created: str
    query: str
    source: Mapping[str, Any]
    floor: float
    threshold: float | None
    judged: tuple[int, ...]
    weights: np.ndarray
    expectation: Expectation
    notes: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        rows, levels = np.nonzero(self.expectation.mass)
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["expectation"]
        return {
            **values,
            "weights": self.weights.tolist(),
            "mass": {
                "unit": rows.tolist(),
                "level": levels.tolist(),
                "things": self.expectation.mass[rows, levels].tolist(),
            },
            "list": [list(item) for item in self.expectation.items],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], units: int) -> Round:
        """The round that `to_dict` wrote."""
        mass = np.zeros((units, len(designs.LEVELS)))
        given = data["mass"]
        mass[given["unit"], given["level"]] = given["things"]
        items = tuple(
            (int(unit), float(lon), float(lat), float(width), float(score))
            for unit, lon, lat, width, score in data["list"]
        )
        listed = np.bincount([item[0] for item in items], minlength=units)
        plain = {key: data[key] for key in ("number", "created", "query", "source", "threshold")}
        return cls(
            **plain,
            floor=float(data["floor"]),
            judged=tuple(map(int, data["judged"])),
            weights=_weights(data["weights"], units),
            expectation=Expectation(mass, listed[:units], items),
            notes=tuple(data["notes"]),
        )


@dataclass(frozen=True, eq=False)
class Census:
    """A census: its population, rounds and judgements.

    Attributes:
        id: Twelve hex digits.
        title: What people call it.
        collection: Name of the collection when it began.
        collection_title: Its title then.
        created: ISO 8601 UTC.
        date: The day of the imagery, or "" where it is not known.
        side: Side of a unit in pixels.
        error: Wanted half-width of the interval, as a share of the total.
        double: Share of units that a second reviewer judges, 0 to 1.
        seed: Seed of all that is drawn.
        area: GeoJSON geometry, EPSG:4326, or None for all imagery of the day.
        area_km2: Ground of all units.
        model: Identity of the collection's model.
        scenes: The scenes.
        present: Ids of all scenes that the collection had.
        units: The population.
        districts: Its districts.
        rounds: The rounds.
        software: What made it.
        notes: What to know, sentences without their full stops.
    """

    id: str
    title: str
    collection: str
    collection_title: str
    created: str
    date: str
    side: int
    error: float
    double: float
    seed: int
    area: dict[str, Any] | None
    area_km2: float
    model: str
    scenes: tuple[SceneFacts, ...]
    present: tuple[str, ...]
    units: tuple[Unit, ...]
    districts: tuple[District, ...] = ()
    rounds: tuple[Round, ...] = ()
    software: str = f"Lookalike {__version__}"
    notes: tuple[str, ...] = ()

    @cached_property
    def rows(self) -> dict[str, int]:
        """Row of each unit by its id."""
        return {unit.id: row for row, unit in enumerate(self.units)}

    @property
    def latest(self) -> Round:
        """The round that goes on."""
        return self.rounds[-1]

    @cached_property
    def designs(self) -> tuple[Design, ...]:
        """The design of each round, made from its scores and the seed."""
        ids = [unit.id for unit in self.units]
        made = []
        for each in self.rounds:
            judged = np.zeros(len(ids), bool)
            judged[list(each.judged)] = True
            uniform = designs.uniforms(ids, self.seed, f"round {each.number}")
            expected = each.expectation
            made.append(
                designs.design(expected.mass, expected.listed, uniform, each.weights, judged)
            )
        return tuple(made)

    @cached_property
    def judged_twice(self) -> frozenset[str]:
        """Ids of the units that a second reviewer judges."""
        ids = [unit.id for unit in self.units]
        drawn = designs.uniforms(ids, self.seed, "second reviewer") <= self.double
        return frozenset(unit for unit, twice in zip(ids, drawn, strict=True) if twice)

    @cached_property
    def insides(self) -> tuple[np.ndarray, ...]:
        """For each district bool (n,), the units that lie in it."""
        found = []
        for district in self.districts:
            inside = np.zeros(len(self.units), bool)
            inside[list(district.units)] = True
            found.append(inside)
        return tuple(found)

    def to_dict(self) -> dict[str, Any]:
        """JSON form without the rounds."""
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        del values["rounds"]
        scenes = {scene.id: number for number, scene in enumerate(self.scenes)}
        units = [
            [each.id, scenes[each.scene_id], each.left, each.top, each.width, each.height,
             *([each.cut] if each.cut else [])]
            for each in self.units
        ]  # fmt: skip
        plain = {
            "scenes": [asdict(scene) for scene in self.scenes],
            "districts": [asdict(district) for district in self.districts],
            "units": units,
        }
        return {**values, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any], rounds: Sequence[Mapping[str, Any]]) -> Census:
        """The census that `to_dict` wrote, and its rounds.

        Raises:
            KeyError, TypeError, ValueError, IndexError: If they are something else.
        """
        scenes = tuple(
            SceneFacts(**{**each, "transform": tuple(each["transform"])}) for each in data["scenes"]
        )
        units = tuple(
            Unit(
                str(each[0]),
                scenes[each[1]].id,
                int(each[2]),
                int(each[3]),
                int(each[4]),
                int(each[5]),
                _cut(each[6:]),
            )
            for each in data["units"]
        )
        plain = {each.name: data[each.name] for each in fields(cls) if each.name in data}
        return cls(
            **{
                **plain,
                "scenes": scenes,
                "units": units,
                "present": tuple(data["present"]),
                "notes": tuple(data["notes"]),
                "districts": tuple(
                    District(each["name"], tuple(each["units"]), each["geometry"])
                    for each in data["districts"]
                ),
                "rounds": tuple(Round.from_dict(each, len(units)) for each in rounds),
            }
        )


def _weights(given: Sequence[float], units: int) -> np.ndarray:
    weights = np.array(given, float)
    if weights.shape != (units,) or not (np.isfinite(weights) & (weights > 0)).all():
        raise ValueError("not a positive weight for each unit")
    return weights


def _cut(given: Sequence[Any]) -> tuple[tuple[tuple[float, float], ...], ...]:
    rings = given[0] if given else ()
    return tuple(tuple((float(x), float(y)) for x, y in ring) for ring in rings)


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


def district_of(name: str, geometry: BaseGeometry, inside: np.ndarray) -> District:
    """A district of the units for which `inside`, bool (n,), holds."""
    from shapely.geometry import mapping

    shape = json.loads(json.dumps(mapping(geometry)))
    return District(name, tuple(np.flatnonzero(inside).tolist()), shape)


def _plain(content: dict[str, Any]) -> dict[str, Any]:
    return dict(json.loads(json.dumps(content)))
