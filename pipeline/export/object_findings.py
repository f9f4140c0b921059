"""Findings of object search: found objects as outlines, boxes or points."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from pipeline.errors import QueryError
from pipeline.export.findings import (
    COLUMNS,
    Columns,
    Finding,
    Findings,
    Identity,
    Provenance,
    columns_of,
    facts_of,
)
from pipeline.objects.objects import window_polygon
from pipeline.search.chance import rounded

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.objects.objects import FoundObject
    from pipeline.objects.saved import SavedObjects
    from pipeline.objects.service import ObjectOutcome

#: What a format draws of an object: its outline at the threshold (else its window), its window, or
#: its centre.
Geometry = Literal["outline", "box", "point"]

_OWN: Columns = {
    "id": (str, "object id: scene, centre and size"),
    "score": (float, "cosine similarity to the examples, -1 to 1; of a detector 0 to 1"),
    "by_chance": (
        float,
        "windows that would look as much like the examples by chance; empty where unknown",
    ),
    "probability": (float, "calibrated probability, 0 to 1; empty while there are too few marks"),
    "longitude": (float, "centre, EPSG:4326"),
    "latitude": (float, "centre, EPSG:4326"),
    "width_m": (float, "size across the columns of the scene in metres"),
    "height_m": (float, "size across the rows of the scene in metres"),
    "collection": (str, "collection of the scene"),
}
_ORDER = (
    "rank", "id", "score", "by_chance", "probability", "mark", "note", "longitude", "latitude",
    "width_m", "height_m", "date", "gsd_m", "scene", "scene_title", "source_url", "license",
    "collection", "query", "parameters", "model", "estimate", "software",
)  # fmt: skip
#: As `COLUMNS`, of objects.
OBJECT_COLUMNS: Columns = {name: _OWN.get(name) or COLUMNS[name] for name in _ORDER}


def check_geometry(geometry: str) -> None:
    """Refuse what no format draws of an object.

    Raises:
        QueryError: If it is not one of `Geometry`.
    """
    if geometry not in get_args(Geometry):
        raise QueryError(
            "Unknown geometry of objects",
            where=str(geometry)[:40],
            remedy=f"Use one of {', '.join(get_args(Geometry))}",
        )


def object_findings(
    collections: Mapping[str, Collection],
    objects: Sequence[FoundObject],
    *,
    query: str,
    recipe: Mapping[str, Any],
    parameters: Mapping[str, Any],
    model: Identity,
    name: str = "",
    geometry: str = "outline",
    notes: Mapping[str, str] | None = None,
    estimate: Mapping[str, Any] | None = None,
) -> Findings:
    """Findings of objects, of one collection or of several ranked together.

    Args:
        collections: The collections searched, by name.
        objects: The objects, best first.
        query: The query, in words.
        recipe: The whole search, as JSON values.
        parameters: The recipe without the query.
        model: Identity of the cells or of the detector.
        name: Name of the saved search or detector, which names the category of COCO JSON.
        geometry: One of `Geometry`.
        notes: Reviewer's notes by object id.
        estimate: What a check of the saved search estimates, or None.

    Raises:
        QueryError: If there is no such geometry.
    """
    check_geometry(geometry)
    used = {(found.collection, found.scene_id) for found in objects}
    scenes = tuple(
        scene
        for collection_name, collection in collections.items()
        for scene in collection.scenes.values()
        if (collection_name, scene.id) in used
    )
    provenance = Provenance.of(
        list(collections.values()),
        scenes,
        query=f"{name} ({query})" if name else query,
        recipe=recipe,
        parameters=parameters,
        model=model,
        estimate=estimate,
    )
    notes, common = notes or {}, provenance.common
    items = []
    for found in objects:
        scene = collections[found.collection].scenes[found.scene_id]
        values = _values(found, scene, notes.get(found.id, ""), common)
        shape = _shape(found, scene, geometry)
        facts = facts_of(values, _own_facts(found))
        items.append(Finding(shape, scene, found.picture, values, facts, found))
    return Findings(tuple(items), scenes, provenance, OBJECT_COLUMNS, "objects", name)


def outcome_findings(outcome: ObjectOutcome, geometry: str = "outline") -> Findings:
    """Findings of an object search that was run; see `object_findings`."""
    return object_findings(
        {collection.name: collection for collection in outcome.collections},
        outcome.result.objects,
        query=outcome.label,
        recipe=outcome.recipe.to_dict(),
        parameters=outcome.recipe.parameters,
        model=outcome.model,
        geometry=geometry,
    )


def saved_findings(
    collections: Mapping[str, Collection],
    objects: Sequence[FoundObject],
    saved: SavedObjects,
    geometry: str = "outline",
    estimate: Mapping[str, Any] | None = None,
) -> Findings:
    """Findings of objects of a saved search; see `object_findings`."""
    return object_findings(
        collections,
        objects,
        query=saved.query,
        recipe=saved.recipe.to_dict(),
        parameters=saved.recipe.parameters,
        model=saved.model,
        name=saved.name,
        geometry=geometry,
        notes=saved.notes,
        estimate=estimate,
    )


def _values(
    found: FoundObject, scene: Scene, note: str, common: Mapping[str, str]
) -> dict[str, Any]:
    probability = found.probability
    return {
        "rank": found.rank,
        "id": found.id,
        "score": round(found.score, 6),
        "by_chance": rounded(found.by_chance),
        "probability": None if probability is None else round(probability, 4),
        "mark": found.mark,
        "note": note,
        "longitude": round(found.lon, 7),
        "latitude": round(found.lat, 7),
        "width_m": round(found.width_m, 2),
        "height_m": round(found.height_m, 2),
        "date": found.datetime or "",
        "gsd_m": round(scene.gsd, 4),
        **columns_of(scene),
        "collection": found.collection,
        **common,
    }


def _own_facts(found: FoundObject) -> dict[str, str]:
    probability = found.probability
    return {
        "Probability": "" if probability is None else f"{probability:.0%}",
        "Size": f"{found.width_m:.3g} × {found.height_m:.3g} m",
    }


def _shape(found: FoundObject, scene: Scene, geometry: str) -> BaseGeometry:
    from shapely.geometry import Point

    if geometry == "point":
        return Point(round(found.lon, 7), round(found.lat, 7))
    if geometry == "box":
        return window_polygon(scene, found.col, found.row, found.width, found.height)
    return found.geometry
