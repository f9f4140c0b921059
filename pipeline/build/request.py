"""The request of a build: rasters, an area, and how chips are cut and embedded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput


@dataclass(frozen=True)
class BuildRequest:
    """The request of a build.

    Attributes:
        name: Name of the collection, which is continued or enlarged if it exists.
        scenes: Rasters to add; empty to continue with the existing ones.
        stride: Pixels between the starts of neighbouring chips; None for the collection's, or 128.
        area: Chips whose centre lies outside are left out; None for whole scenes.
        mode: How chips are embedded, "chip" or "dense"; None for the default at this stride.
        quality: Of the descriptors, "standard" or "thorough"; None for the collection's, or the
            standard one.
        title: Title of the collection, by default its name.
        object_size: Size in metres of the smallest thing to be looked for, which chooses the scale
            of the object cells; None for scale 1.  A collection that exists gets a further layer of
            cells; without new scenes, `area` is then the part that gets it.
        cells: Whether a new collection gets object cells.
        restretch: Whether to fix the display stretches anew, from all scenes, and embed again what
            changes: "keep" for the kind of brightness it has, "automatic" or "percentile" for
            another, None to leave them.
        description: Description of a collection that this build creates.
    """

    name: str
    scenes: tuple[SceneInput, ...] = ()
    stride: int | None = None
    area: Area | None = None
    mode: str | None = None
    quality: str | None = None
    title: str | None = None
    object_size: float | None = None
    cells: bool = True
    restretch: str | None = None
    description: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        return {
            "name": self.name,
            "scenes": [scene.to_dict() for scene in self.scenes],
            "stride": self.stride,
            "area": self.area.to_geojson() if self.area else None,
            "area_notes": self.area.notes if self.area else (),
            "mode": self.mode,
            "quality": self.quality,
            "title": self.title,
            "object_size": self.object_size,
            "cells": self.cells,
            "restretch": self.restretch,
            "description": self.description,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> BuildRequest:
        """The request that `to_dict` wrote; the Area page of 0.1.0 wrote a plain geometry as area.

        Raises:
            AreaError: If the area is malformed.
        """
        given = dict(data)
        notes = tuple(given.pop("area_notes", ()))
        area = replace(Area.from_dict(data["area"]), notes=notes) if data["area"] else None
        scenes = tuple(map(SceneInput.from_dict, data["scenes"]))
        return cls(**{**given, "scenes": scenes, "area": area})
