"""Findings: the hits or sites of a search with where they come from, ready to be written.

Every format writes the same columns, so that a file means the same in QGIS, in a spreadsheet and in
a notebook, and says by itself how it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline import __version__
from pipeline.collection.chip_pictures import read_chips
from pipeline.dates import now
from pipeline.progress import OnProgress, Progress, silent
from pipeline.search.sites import Site

if TYPE_CHECKING:
    import numpy as np
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.model.identity import ModelIdentity
    from pipeline.search.search import Hit

#: Column, kind, and what it holds; the order in which every format writes them.
COLUMNS: dict[str, tuple[type, str]] = {
    "rank": (int, "1 for the best"),
    "id": (str, "chip id, of the best chip for a site"),
    "score": (float, "cosine to the query, -1 to 1"),
    "chips": (int, "hits merged into this place"),
    "mark": (str, "good, bad or empty, as reviewed"),
    "note": (str, "the reviewer's note"),
    "longitude": (float, "of the centre, EPSG:4326"),
    "latitude": (float, "of the centre, EPSG:4326"),
    "date": (str, "acquisition, ISO 8601 UTC"),
    "gsd_m": (float, "metres a pixel"),
    "scene": (str, "scene id"),
    "scene_title": (str, "what people call the scene"),
    "source_url": (str, "where the scene came from"),
    "license": (str, "licence and credit of the scene"),
    "collection": (str, "collection searched"),
    "query": (str, "what the search started from"),
    "parameters": (str, "the rest of the search, JSON"),
    "model": (str, "what embedded the chips"),
    "software": (str, "what wrote this file"),
}


@dataclass(frozen=True)
class Provenance:
    """How findings came about.

    Attributes:
        collection: Its name.
        title: What people call it.
        version: State of its chips.
        query: What the search started from, in words.
        recipe: The whole search, as `recipe.Recipe.to_dict` gives it.
        parameters: The part of it that is not the start.
        model: Identity of the embedding model.
        scenes: Per scene: id, title, datetime, gsd, source, source_url, license.
        software: Program and version.
        created: When the findings were written, ISO 8601 UTC.
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
        hit: The hit, of a site its best.
        outline: Footprint or outline, EPSG:4326.
        rank: 1 for the best.
        count: Hits merged.
        mark: "good", "bad" or "".
        note: The reviewer's note.
    """

    hit: Hit
    outline: BaseGeometry
    rank: int
    count: int = 1
    mark: str = ""
    note: str = ""


@dataclass(frozen=True)
class Findings:
    """What a search found, with its provenance.

    Attributes:
        collection: The collection searched.
        items: Best first.
        provenance: How they came about.
    """

    collection: Collection
    items: tuple[Finding, ...]
    provenance: Provenance

    @classmethod
    def of(
        cls,
        collection: Collection,
        found: Sequence[Hit] | Sequence[Site],
        *,
        query: str,
        recipe: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
        marks: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> Findings:
        """Findings of a search's hits, or of the sites merged from them.

        Args:
            collection: Where they were found.
            found: Hits or sites, best first.
            query: What the search started from, in words.
            recipe: The whole search.
            parameters: The part of it that is not the start.
            marks: Review marks by chip id.
            notes: Notes by chip id.
        """
        from shapely.geometry import shape

        marks, notes = marks or {}, notes or {}
        items = []
        for one in found:
            hit = one.best if isinstance(one, Site) else one
            outline = one.outline if isinstance(one, Site) else shape(hit.geometry)
            count = one.count if isinstance(one, Site) else 1
            review = marks.get(hit.id, ""), notes.get(hit.id, "")
            items.append(Finding(hit, outline, one.rank, count, *review))
        manifest = collection.manifest
        used = {item.hit.scene_id for item in items}
        provenance = Provenance(
            collection=collection.name,
            title=manifest.title,
            version=collection.version,
            query=query,
            recipe=dict(recipe or {}),
            parameters=dict(parameters or {}),
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
        """The scene a finding lies in."""
        return self.collection.scenes[item.hit.scene_id]

    def values(self, item: Finding) -> dict[str, Any]:
        """One finding's values by column, in the order of `COLUMNS`."""
        scene, about = self.scene_of(item), self.provenance
        point = item.outline.centroid
        parameters = json.dumps(dict(about.parameters), ensure_ascii=False, sort_keys=True)
        return {
            "rank": item.rank,
            "id": item.hit.id,
            "score": round(item.hit.score, 6),
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

    def said(self, item: Finding) -> dict[str, str]:
        """One finding in the words of a pop-up: label and text, without what is empty."""
        values = self.values(item)
        told = {
            "Score": f"{values['score']:.2f}",
            "Date": values["date"][:10],
            "Resolution": f"{values['gsd_m']:.3g} m",
            "Scene": values["scene_title"],
            "Place": f"{values['latitude']:.5f}, {values['longitude']:.5f}",
            "Chips": str(values["chips"]) if values["chips"] > 1 else "",
            "Mark": values["mark"],
            "Note": values["note"],
            "Like": values["query"],
        }
        return {label: text for label, text in told.items() if text}

    def pictures(
        self, progress: OnProgress = silent, size: int = 256
    ) -> Iterator[tuple[Finding, np.ndarray]]:
        """Each finding with its chip as displayed: uint8 RGB (size, size, 3)."""
        rows = [item.hit.row for item in self.items]
        pictures = read_chips(self.collection, rows, size)
        for done, (item, picture) in enumerate(zip(self.items, pictures, strict=True), 1):
            yield item, picture
            progress(Progress("Exporting", done, len(self.items), "pictures"))
