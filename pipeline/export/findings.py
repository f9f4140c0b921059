"""Findings: the results of a search, with their review and provenance, ready for export.

Every format has the same columns, so that a file means the same in QGIS, in a spreadsheet and in a
notebook, and documents its own origin.  Formats know neither hits nor objects: a finding is a
record of its columns, its geometry and the window of its picture.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

from pipeline import __version__
from pipeline.collection.parquet import read_embeddings
from pipeline.dates import now
from pipeline.imagery.pictures import read_windows
from pipeline.model.identity import DIMENSIONS
from pipeline.progress import OnProgress, Progress, silent
from pipeline.search.chance import in_words, rounded
from pipeline.search.sites import Site

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

    from pipeline.collection.collection import Collection
    from pipeline.imagery.chips import Window
    from pipeline.imagery.scene import Scene
    from pipeline.objects.objects import FoundObject
    from pipeline.search.recipe import Recipe
    from pipeline.search.search import Hit

Columns = Mapping[str, tuple[type, str]]
Kind = Literal["chips", "objects"]

#: Name, type and description of each column, in the order of every format.
COLUMNS: Columns = {
    "rank": (int, "1 for the best"),
    "id": (str, "chip id; of a site, its best chip"),
    "score": (float, "cosine similarity to the query, -1 to 1"),
    "by_chance": (float, "chips that would score this high by chance; empty where unknown"),
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
    "estimate": (str, "share of right hits, estimated from a check; empty without one"),
    "software": (str, "software that wrote this file"),
}


class Identity(Protocol):
    """Identity of a model: a dataclass that names itself."""

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""


@dataclass(frozen=True)
class Provenance:
    """Origin of findings.

    Attributes:
        collection: Name of the collection; of several, with commas.
        title: Title of the collection.
        version: Version of its chips.
        query: The query, in words.
        recipe: The whole search, from `Recipe.to_dict`.
        parameters: The recipe without the query.
        model: Identity of what made the vectors.
        scenes: Per scene: id, title, datetime, gsd, source, source_url, license.
        estimate: What a check of the saved search estimates, from `Checked.record`, or None.
        software: Program and version.
        created: Time of the export, ISO 8601 UTC.
    """

    collection: str
    title: str
    version: str
    query: str
    recipe: Mapping[str, Any]
    parameters: Mapping[str, Any]
    model: Identity
    scenes: tuple[Mapping[str, Any], ...]
    estimate: Mapping[str, Any] | None = None
    software: str = f"Lookalike {__version__}"
    created: str = field(default_factory=now)

    @classmethod
    def of(
        cls,
        collections: Sequence[Collection],
        scenes: Sequence[Scene],
        *,
        query: str,
        recipe: Mapping[str, Any],
        parameters: Mapping[str, Any],
        model: Identity,
        estimate: Mapping[str, Any] | None = None,
    ) -> Provenance:
        """The origin of results of one collection, or of several ranked together.

        Args:
            collections: The collections searched.
            scenes: The scenes of the results.
            query: The query, in words.
            recipe: The whole search.
            parameters: The recipe without the query.
            model: Identity of what made the vectors.
            estimate: What a check of the saved search estimates, or None.
        """
        return cls(
            collection=", ".join(collection.name for collection in collections),
            title=", ".join(collection.manifest.title for collection in collections),
            version=", ".join(collection.version for collection in collections),
            query=query,
            recipe=recipe,
            parameters=parameters,
            model=model,
            estimate=estimate,
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
                for scene in scenes
            ),
        )

    @property
    def common(self) -> dict[str, str]:
        """The columns that are the same for every finding."""
        return {
            "query": self.query,
            "parameters": json.dumps(dict(self.parameters), ensure_ascii=False, sort_keys=True),
            "model": str(self.model),
            "estimate": _in_words(self.estimate),
            "software": self.software,
        }

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """One hit, site or object with its review.

    Attributes:
        geometry: What the formats draw, EPSG:4326.
        scene: Its scene.
        window: Column, row, width and height of its square picture in pixels of the scene.
        values: Values by column, in the order of the columns.
        facts: Labels and texts of its pop-up.
        object: The object, if it is one.
    """

    geometry: BaseGeometry
    scene: Scene
    window: Window
    values: Mapping[str, Any]
    facts: Mapping[str, str]
    object: FoundObject | None = None

    @property
    def id(self) -> str:
        """Id of the chip or object; of a site, of its best chip."""
        return str(self.values["id"])

    @property
    def rank(self) -> int:
        """1 for the best."""
        return int(self.values["rank"])

    @property
    def score(self) -> float:
        """The score, rounded as in every format; of a site, the highest."""
        return float(self.values["score"])


@dataclass(frozen=True)
class Findings:
    """The results of a search with their provenance.

    Attributes:
        items: The findings, best first.
        scenes: The scenes that they lie in.
        provenance: Their origin.
        columns: Names, types and descriptions of their values.
        kind: What they are.
        name: Name of the saved search or detector, or "".
        embeddings: Reads the float16 (n, 2048) embeddings of their chips, or None.
    """

    items: tuple[Finding, ...]
    scenes: tuple[Scene, ...]
    provenance: Provenance
    columns: Columns = field(default_factory=lambda: COLUMNS)
    kind: Kind = "chips"
    name: str = ""
    embeddings: Callable[[], np.ndarray] | None = None

    @classmethod
    def of(
        cls,
        collection: Collection,
        results: Sequence[Hit | Site],
        recipe: Recipe,
        *,
        name: str = "",
        marks: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
        estimate: Mapping[str, Any] | None = None,
    ) -> Findings:
        """Findings of hits, or of the sites that they merge into.

        Args:
            collection: The collection searched.
            results: Hits or sites, best first.
            recipe: The search.
            name: Its name, if it is a saved search that has one.
            marks: Review marks by chip id.
            notes: Notes by chip id.
            estimate: What a check of the saved search estimates, or None.
        """
        hits = [result.best if isinstance(result, Site) else result for result in results]
        used = {hit.scene_id for hit in hits}
        scenes = tuple(scene for scene in collection.scenes.values() if scene.id in used)
        provenance = Provenance.of(
            [collection],
            scenes,
            query=f"{name} ({recipe.label})" if name else recipe.label,
            recipe=recipe.to_dict(),
            parameters=recipe.parameters,
            model=collection.manifest.model,
            estimate=estimate,
        )
        marks, notes = marks or {}, notes or {}
        items = tuple(
            _finding(
                collection, result, marks.get(hit.id, ""), notes.get(hit.id, ""), provenance.common
            )
            for result, hit in zip(results, hits, strict=True)
        )
        rows = np.array([hit.row for hit in hits])
        return cls(
            items, scenes, provenance, name=name, embeddings=lambda: _embeddings(collection, rows)
        )

    @property
    def noun(self) -> str:
        """What titles and layers call them."""
        return "lookalikes" if self.kind == "chips" else self.kind

    def pictures(
        self, progress: OnProgress = silent, size: int | None = 256
    ) -> Iterator[tuple[Finding, np.ndarray]]:
        """Each finding with its picture as displayed, uint8 RGB (size, size, 3).

        Args:
            progress: Called for each finding; may cancel.
            size: Side in pixels, or None for the pixels of the scene.
        """
        windows = ((item.scene, item.window) for item in self.items)
        pictures = read_windows(windows, size)
        for done, (item, picture) in enumerate(zip(self.items, pictures, strict=True), 1):
            yield item, picture
            progress(Progress("Exporting", done, len(self.items), "pictures"))


def _finding(
    collection: Collection, result: Hit | Site, mark: str, note: str, common: Mapping[str, str]
) -> Finding:
    from shapely.geometry import shape

    if isinstance(result, Site):
        hit, outline, count = result.best, result.outline, result.count
    else:
        hit, outline, count = result, shape(result.geometry), 1
    scene, side = collection.scenes[hit.scene_id], collection.manifest.chip_size
    point = outline.centroid
    values = {
        "rank": result.rank,
        "id": hit.id,
        "score": round(result.score, 6),
        "by_chance": rounded(result.by_chance),
        "chips": count,
        "mark": mark,
        "note": note,
        "longitude": round(float(point.x), 7),
        "latitude": round(float(point.y), 7),
        "date": hit.datetime or "",
        "gsd_m": round(float(collection.chips.gsd[hit.row]), 4),
        **columns_of(scene),
        "collection": collection.name,
        **common,
    }
    own = {"Chips": str(count) if count > 1 else ""}
    window = (*collection.chips.corner_of(hit.row), side, side)
    return Finding(outline, scene, window, values, facts_of(values, own))


def _in_words(estimate: Mapping[str, Any] | None) -> str:
    """A check's estimate as the text of a column, within the 254 bytes of a Shapefile's."""
    if estimate is None:
        return ""
    low, high = estimate["precision_interval"]
    return (
        f"{estimate['precision']:.1%} right (95% interval {low:.1%} to {high:.1%}) of the "
        f"{estimate['hits']} hits scoring {estimate['minimum_score']:.2f} or higher; "
        f"{estimate['judged']} judged blind, drawn at random in {len(estimate['strata'])} strata "
        f"of score, seed {estimate['seed']}"
    )


def columns_of(scene: Scene) -> dict[str, str]:
    """The columns of a finding that describe its scene."""
    return {
        "scene": scene.id,
        "scene_title": scene.title,
        "source_url": scene.source_url,
        "license": scene.license,
    }


def facts_of(values: Mapping[str, Any], own: Mapping[str, str]) -> dict[str, str]:
    """Labels and texts of a pop-up; empty ones are left out.

    Args:
        values: Values by column.
        own: Facts of this kind of finding alone.
    """
    facts = {
        "Score": f"{values['score']:.2f}",
        "By chance": in_words(values["by_chance"]),
        "Date": values["date"][:10],
        "Resolution": f"{values['gsd_m']:.3g} m",
        "Scene": values["scene_title"],
        "Place": f"{values['latitude']:.5f}, {values['longitude']:.5f}",
        **own,
        "Mark": values["mark"],
        "Note": values["note"],
        "Query": values["query"],
    }
    return {label: text for label, text in facts.items() if text}


def _embeddings(collection: Collection, rows: np.ndarray) -> np.ndarray:
    """Float16 (n, 2048): the embeddings of chips as stored, not normalised."""
    vectors = np.empty((len(rows), DIMENSIONS), np.float16)
    start = 0
    for part in collection.parts:
        in_part = np.flatnonzero((rows >= start) & (rows < start + part.rows))
        if len(in_part):
            vectors[in_part] = read_embeddings(part)[rows[in_part] - start]
        start += part.rows
    return vectors
