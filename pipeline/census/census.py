"""A census: its population, its rounds, and their form on disk.

Everything that the estimate depends on is here and in the journal of judgements, none of it in the
collection: imagery that is added or lost later changes no number.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import __version__
from pipeline.census import design as designs
from pipeline.census.scores import Expectation
from pipeline.census.units import Unit

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.census.design import Design


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
        floor: Least weight of a unit, as a share of the mean weight.
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


def district_of(name: str, geometry: BaseGeometry, inside: np.ndarray) -> District:
    """A district of the units for which `inside`, bool (n,), holds."""
    from shapely.geometry import mapping

    shape = json.loads(json.dumps(mapping(geometry)))
    return District(name, tuple(np.flatnonzero(inside).tolist()), shape)
