"""Starting a census: its population is frozen, and its first round designed."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import dates
from pipeline.census import scores
from pipeline.census.census import Census, District, Round, SceneFacts, district_of
from pipeline.census.censuses import Censuses, Kept, new_id
from pipeline.census.design import FLOOR, unit_weights
from pipeline.census.scores import Scored, expectation
from pipeline.census.units import UNIT, Unit, day_of, units_of
from pipeline.errors import InputError, QueryError
from pipeline.geo import antimeridian
from pipeline.geo.area import area_km2
from pipeline.objects.detector import Detector
from pipeline.objects.detectors import Detectors
from pipeline.objects.places import Example
from pipeline.objects.recipe import ObjectRecipe
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.geo.area import Area
    from pipeline.imagery.scene import Scene
    from pipeline.search.open_collections import OpenCollections

#: Wanted half-width of the interval, as a share of the total, if nobody says otherwise.
ERROR = 0.1
#: Maximum number of districts.
MOST_DISTRICTS = 1_000


@dataclass(frozen=True)
class Sought:
    """What a census or a round looks for: exactly one of detector, labels, saved and recipe.

    Attributes:
        detector: Name or file of a detector.
        applied: The detector itself, if it was read already.
        labels: Examples of a label file.
        saved: Id of a saved search.
        recipe: An object search.
        threshold: Minimum score of the list, 0 to 1; by default that of the search, or 0.5.
        floor: Least weight of a unit, as a share of the mean weight.
    """

    detector: str = ""
    applied: Detector | None = None
    labels: tuple[Example, ...] = ()
    saved: str = ""
    recipe: ObjectRecipe | None = None
    threshold: float | None = None
    floor: float = FLOOR

    def __post_init__(self) -> None:
        """Refuse what says nothing, or too much.

        Raises:
            QueryError: If it does.
        """
        given = (self.detector, self.labels, self.saved, self.recipe)
        if sum(bool(each) for each in given) != 1:
            raise QueryError(
                "A census looks for what exactly one of a detector, labels and a saved search "
                "describes",
                remedy="Give --detector, --labels or --saved",
            )
        _check_share("floor", self.floor, 0.01, 1.0)
        if self.threshold is not None:
            _check_share("threshold", self.threshold, 0.0, 1.0)


@dataclass(frozen=True)
class Plan:
    """What a census is to be.

    Attributes:
        collection: Name of the collection.
        sought: What it looks for.
        title: Its title; by default what is looked for.
        within: The area, or None for all imagery.
        scenes: Ids of the scenes, or empty for all of the day.
        date: Day of the imagery, or "" for the latest.
        unit: Side of a unit in pixels.
        error: Wanted half-width of the interval, as a share of the total.
        double: Share of units that a second reviewer judges.
        seed: Seed, or None for one that is drawn.
        districts: Names and polygons in EPSG:4326.
    """

    collection: str
    sought: Sought
    title: str = ""
    within: Area | None = None
    scenes: tuple[str, ...] = ()
    date: str = ""
    unit: int = UNIT
    error: float = ERROR
    double: float = 0.0
    seed: int | None = None
    districts: tuple[tuple[str, BaseGeometry], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is out of range.

        Raises:
            QueryError: If something is.
        """
        _check_share("error", self.error, 0.001, 1.0)
        _check_share("double", self.double, 0.0, 1.0)
        if len(self.districts) > MOST_DISTRICTS:
            raise QueryError(
                f"A census has at most {MOST_DISTRICTS:,} districts", where=len(self.districts)
            )
        if len(self.title) > 200:
            raise QueryError("The title is longer than 200 characters", where=self.title[:40])


def start(open_collections: OpenCollections, plan: Plan, progress: OnProgress = silent) -> Kept:
    """Begin a census.

    Raises:
        NotFoundError: If there is no such collection, detector, saved search or scene.
        QueryError: If there is no imagery in the area, or the plan cannot be used.
    """
    collection = open_collections.collection(plan.collection)
    scenes, notes = _scenes(collection, plan)
    areas = [each.geometry for each in (plan.within, collection.manifest.area) if each]
    progress(Progress("Cutting units", 0, 0, "scenes"))
    units = units_of(scenes, plan.unit, areas)
    held = {unit.scene_id for unit in units}
    scenes = [scene for scene in scenes if scene.id in held]
    scored = _scored(open_collections, collection, scenes, plan.sought, len(units), progress)
    centres = _centres(units, scenes)
    districts, warned = _districts(plan.districts, centres)
    first = _round(1, scored, plan, units, scenes, ())
    by_id = {scene.id: scene for scene in scenes}
    census = Census(
        id=new_id(),
        title=plan.title.strip() or scored.query,
        collection=collection.name,
        collection_title=collection.manifest.title,
        created=dates.now(),
        date=day_of(scenes[0]),
        side=plan.unit,
        error=plan.error,
        double=plan.double,
        seed=secrets.randbelow(2**31) if plan.seed is None else plan.seed,
        area=_geojson(plan.within.geometry) if plan.within else None,
        area_km2=round(float(sum(_km2(unit, by_id[unit.scene_id]) for unit in units)), 6),
        model=str(collection.manifest.model),
        scenes=tuple(_facts(scene) for scene in scenes),
        present=tuple(collection.manifest.scenes),
        units=tuple(units),
        districts=districts,
        rounds=(first,),
        notes=(*notes, *warned),
    )
    return Censuses(open_collections.library).create(collection, census)


def add_round(
    open_collections: OpenCollections,
    census_id: str,
    sought: Sought,
    progress: OnProgress = silent,
) -> Kept:
    """Go on with a better detector: a new round draws from the units that nobody judged.

    Raises:
        NotFoundError: If the collection lost a scene of the census.
        QueryError: If every unit is judged.
    """
    censuses = Censuses(open_collections.library)
    kept = censuses.open(census_id)
    census = kept.census
    lost = [each.id for each in census.scenes if each.id not in kept.collection.scenes]
    if lost:
        raise QueryError(
            "The collection lost scenes of this census, so that they cannot be scored again",
            where=", ".join(lost),
            remedy="Go on with the round that there is, or start another census",
        )
    scenes = [kept.collection.scenes[each.id] for each in census.scenes]
    scored = _scored(open_collections, kept.collection, scenes, sought, len(census.units), progress)
    plan = Plan(census.collection, sought, unit=census.side)
    with kept.judgements.lock():
        kept = censuses.open(census_id)
        answers = kept.judgements.state().answers
        judged = tuple(row for row, unit in enumerate(kept.census.units) if unit.id in answers)
        if len(judged) == len(kept.census.units):
            raise QueryError(
                "Every unit is judged", where=census_id, remedy="The total is exact already"
            )
        number = kept.census.latest.number + 1
        return censuses.add_round(
            kept, _round(number, scored, plan, kept.census.units, scenes, judged)
        )


def _scenes(collection: Collection, plan: Plan) -> tuple[list[Scene], tuple[str, ...]]:
    """The scenes of one day, in the collection's order."""
    unknown = [each for each in plan.scenes if each not in collection.scenes]
    if unknown:
        raise QueryError(
            "No such scene in this collection",
            where=unknown[0][:80],
            remedy=f"`python -m pipeline info {collection.name} --json` lists its scenes",
        )
    scenes = [
        scene
        for scene in collection.scenes.values()
        if (not plan.scenes or scene.id in plan.scenes)
        and (plan.within is None or antimeridian.intersects(scene.footprint, plan.within.geometry))
    ]
    days = sorted({day_of(scene) for scene in scenes})
    if not scenes:
        raise QueryError(
            "There is no imagery in this area",
            where=collection.manifest.title,
            remedy="Choose an area that the collection's scenes cover",
        )
    if plan.date and plan.date not in days:
        raise QueryError(
            "There is no imagery of this date in the area",
            where=plan.date,
            remedy=f"Its dates: {', '.join(day or 'unknown' for day in days)}",
        )
    day = plan.date or days[-1]
    notes: tuple[str, ...] = ()
    if len(days) > 1 and not plan.date:
        others = ", ".join(other or "unknown" for other in days[:-1])
        notes = (f"Counted on the latest date, {day}; the area has others: {others}",)
    return [scene for scene in scenes if day_of(scene) == day], notes


def _scored(
    open_collections: OpenCollections,
    collection: Collection,
    scenes: Sequence[Scene],
    sought: Sought,
    units: int,
    progress: OnProgress,
) -> Scored:
    threshold = sought.threshold
    if sought.saved:
        return scores.saved_scores(
            open_collections, collection, scenes, sought.saved, units, threshold=threshold,
            progress=progress,
        )  # fmt: skip
    detector = sought.applied
    source: dict[str, Any]
    recipe = sought.recipe or ObjectRecipe()
    if sought.detector and detector is None:
        detector = Detectors(open_collections.library.home).find(sought.detector)
    if detector is not None:
        source = {"detector": sought.detector, "card": _card(detector)}
    elif sought.labels:
        source = {"labels": [_example(each) for each in sought.labels]}
    else:
        source = {"recipe": recipe.to_dict()}
    return scores.object_scores(
        open_collections, collection.name, scenes, recipe, units, examples=sought.labels,
        detector=detector, threshold=threshold, source=source, progress=progress,
    )  # fmt: skip


def _card(detector: Detector) -> dict[str, Any]:
    """What the certificate says of a detector: all but pictures and marks."""
    card = detector.card()
    return {key: value for key, value in card.items() if key not in ("pictures", "marks")}


def _example(example: Example) -> dict[str, Any]:
    return {each.name: getattr(example, each.name) for each in fields(example)}


def _round(
    number: int,
    scored: Scored,
    plan: Plan,
    units: Sequence[Unit],
    scenes: Sequence[Scene],
    judged: tuple[int, ...],
) -> Round:
    expected = expectation(scored, units, scenes, plan.unit)
    notes = list(scored.notes)
    if not expected.mass.any() and not notes:
        notes.append("The scores tell units not apart: they are drawn at random")
    threshold = scored.source.get("threshold")
    source: Mapping[str, Any] = scored.source
    floor = plan.sought.floor
    # As they are read back.
    weights = np.array([float(f"{each:.10g}") for each in unit_weights(expected.mass, floor)])
    return Round(number, dates.now(), scored.query, source, floor, threshold, judged, weights,
                 expected, tuple(notes))  # fmt: skip


def _centres(units: Sequence[Unit], scenes: Sequence[Scene]) -> np.ndarray:
    """float (n, 2): longitude and latitude of a point within each unit, its centre if it is one."""
    by_id = {scene.id: scene for scene in scenes}
    found = np.empty((len(units), 2))
    for row, unit in enumerate(units):
        point = unit.outline.centroid
        if unit.cut and not unit.outline.contains(point):
            point = unit.outline.representative_point()
        lon, lat = by_id[unit.scene_id].georeference.lonlat(point.x, point.y)
        found[row] = float(lon), float(lat)
    return found


def _districts(
    given: Sequence[tuple[str, BaseGeometry]], centres: np.ndarray
) -> tuple[tuple[District, ...], list[str]]:
    """The districts, and those that hold no unit.

    Raises:
        InputError: If none holds a unit.
    """
    made = [
        district_of(name, shape, antimeridian.contains(shape, centres[:, 0], centres[:, 1]))
        for name, shape in given
    ]
    empty = [district.name for district in made if not district.units]
    if made and len(empty) == len(made):
        raise InputError(
            "No district holds a unit of this census",
            where=", ".join(empty[:4]),
            remedy="Check the file's coordinate reference system and the area",
        )
    warned = []
    if empty:
        warned.append(f"{len(empty)} districts hold no unit: {', '.join(empty[:8])}")
    return tuple(made), warned


def _facts(scene: Scene) -> SceneFacts:
    return SceneFacts(**{each.name: getattr(scene, each.name) for each in fields(SceneFacts)})


def _km2(unit: Unit, scene: Scene) -> float:
    """Ground of a unit; squares by the scene's resolution, as thousands are measured."""
    if not unit.cut:
        return unit.width * unit.height * scene.gsd**2 / 1e6
    return area_km2(unit.geometry(scene))


def _geojson(geometry: BaseGeometry) -> dict[str, Any]:
    from shapely.geometry import mapping

    return dict(mapping(geometry))


def _check_share(name: str, value: float, least: float, most: float) -> None:
    if not least <= value <= most:  # false for what is not a number
        raise QueryError(
            f"{name} must be between {least:g} and {most:g}", where=value, remedy="For instance 0.1"
        )
