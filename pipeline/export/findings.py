"""Findings: the hits or sites of a search, with their review and provenance, ready for export.

Every format has the same columns, so that a file means the same in QGIS, in a spreadsheet and in a
notebook, and documents its own origin.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline import __version__
from pipeline.collection.chip_pictures import read_chips
from pipeline.dates import now
from pipeline.progress import OnProgress, Progress, silent
from pipeline.search.sites import Site

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.model.identity import ModelIdentity
    from pipeline.search.recipe import Recipe
    from pipeline.search.search import Hit

#: Name, type and description of each column, in the order of every format.
COLUMNS: dict[str, tuple[type, str]] = {
    "rank": (int, "1 for the best"),
    "id": (str, "chip id; of a site, its best chip"),
    "score": (float, "cosine similarity to the query, -1 to 1"),
    "chips": (int, "number of hits merged into the site"),
    "mark": (str, "review: good, bad, skip or empty"),
    "note": (str, "reviewer's note"),
    "longitude": (float, "centre, EPSG:4326"),
    "latitude": (float, "centre, EPSG:4326"),
    "date": (str, "acquisition, ISO 8601 UTC"),
    "gsd_m": (float, "ground sampling distance in metres"),
    "scene": (str, "scene id"),
    "scene_title": (str, "scene title"),
    "source_url": (str, "origin of the scene"),
    "license": (str, "licence and attribution of the scene"),
    "collection": (str, "collection searched"),
    "query": (str, "query of the search"),
    "parameters": (str, "other parameters of the search, JSON"),
    "model": (str, "embedding model"),
    "software": (str, "software that wrote this file"),
}


@dataclass(frozen=True)
class Provenance:
    """Origin of findings.

    Attributes:
        collection: Name of the collection.
        title: Title of the collection.
        version: Version of its chips.
        query: The query, in words.
        recipe: The whole search, from `Recipe.to_dict`.
        parameters: The recipe without the query.
        model: Identity of the embedding model.
        scenes: Per scene: id, title, datetime, gsd, source, source_url, license.
        software: Program and version.
        created: Time of the export, ISO 8601 UTC.
    """

    collection: str
    title: str
    version: str
    query: str
    recipe: Mapping[str, Any]
    parameters: Mapping[str, Any]
    model: ModelIdentity
    scenes: tuple[Mapping[str, Any], ...]
    software: str = f"Lookalike {__version__}"
    created: str = field(default_factory=now)

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """One hit or site with its review.

    Attributes:
        hit: The hit; of a site, its best.
        outline: Footprint of the hit or outline of the site, EPSG:4326.
        rank: 1 for the best.
        score: Cosine; of a site, the highest.
        count: Number of hits merged.
        mark: "good", "bad", "skip" or "".
        note: Reviewer's note.
    """

    hit: Hit
    outline: BaseGeometry
    rank: int
    score: float
    count: int = 1
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """The results of a search with their provenance.

    Attributes:
        collection: The collection searched.
        items: The findings, best first.
        provenance: Their origin.
    """

    collection: Collection
    items: tuple[Finding, ...]
    provenance: Provenance

    @classmethod
    def of(
        cls,
        collection: Collection,
        results: Sequence[Hit] | Sequence[Site],
        recipe: Recipe,
        *,
        name: str = "",
        marks: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Findings:
        """Findings of hits, or of the sites that they merge into.

        Args:
            collection: The collection searched.
            results: Hits or sites, best first.
            recipe: The search.
            name: Its name, if it is a saved search that has one.
            marks: Review marks by chip id.
            notes: Notes by chip id.
        """
        from shapely.geometry import shape

        marks, notes = marks or {}, notes or {}
        items = []
        for result in results:
            if isinstance(result, Site):
                hit, outline, count = result.best, result.outline, result.count
            else:
                hit, outline, count = result, shape(result.geometry), 1
            mark, note = marks.get(hit.id, ""), notes.get(hit.id, "")
            items.append(Finding(hit, outline, result.rank, result.score, count, mark, note))
        manifest = collection.manifest
        used = {item.hit.scene_id for item in items}
        provenance = Provenance(
            collection=collection.name,
            title=manifest.title,
            version=collection.version,
            query=f"{name} ({recipe.label})" if name else recipe.label,
            recipe=recipe.to_dict(),
            parameters=recipe.parameters,
            model=manifest.model,
            scenes=tuple(
                {
                    "id": scene.id,
                    "title": scene.title,
                    "datetime": scene.datetime,
                    "gsd": scene.gsd,
                    "source": scene.source,
                    "source_url": scene.source_url,
                    "license": scene.license,
                }
                for scene in collection.scenes.values()
                if scene.id in used
            ),
        )
        return cls(collection, tuple(items), provenance)

    def scene_of(self, item: Finding) -> Scene:
        """The scene of a finding."""
        return self.collection.scenes[item.hit.scene_id]

    def values(self, item: Finding) -> dict[str, Any]:
        """Values of a finding by column, in the order of `COLUMNS`."""
        scene, about = self.scene_of(item), self.provenance
        point = item.outline.centroid
        parameters = json.dumps(dict(about.parameters), ensure_ascii=False, sort_keys=True)
        return {
            "rank": item.rank,
            "id": item.hit.id,
            "score": round(item.score, 6),
            "chips": item.count,
            "mark": item.mark,
            "note": item.note,
            "longitude": round(float(point.x), 7),
            "latitude": round(float(point.y), 7),
            "date": item.hit.datetime or "",
            "gsd_m": round(float(self.collection.chips.gsd[item.hit.row]), 4),
            "scene": scene.id,
            "scene_title": scene.title,
            "source_url": scene.source_url,
            "license": scene.license,
            "collection": about.collection,
            "query": about.query,
            "parameters": parameters,
            "model": str(about.model),
            "software": about.software,
        }

    def facts(self, item: Finding) -> dict[str, str]:
        """Labels and texts of a finding's pop-up; empty values are left out."""
        values = self.values(item)
        facts = {
            "Score": f"{values['score']:.2f}",
            "Date": values["date"][:10],
            "Resolution": f"{values['gsd_m']:.3g} m",
            "Scene": values["scene_title"],
            "Place": f"{values['latitude']:.5f}, {values['longitude']:.5f}",
            "Chips": str(values["chips"]) if values["chips"] > 1 else "",
            "Mark": values["mark"],
            "Note": values["note"],
            "Query": values["query"],
        }
        return {label: text for label, text in facts.items() if text}

    def pictures(
        self, progress: OnProgress = silent, size: int = 256
    ) -> Iterator[tuple[Finding, np.ndarray]]:
        """Each finding with its chip as displayed, uint8 RGB (size, size, 3)."""
        rows = [item.hit.row for item in self.items]
        pictures = read_chips(self.collection, rows, size)
        for done, (item, picture) in enumerate(zip(self.items, pictures, strict=True), 1):
            yield item, picture
            progress(Progress("Exporting", done, len(self.items), "pictures"))
