"""The manifest of a collection: what it is and how it was made (`collection.json`)."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pipeline.errors import AreaError, DamagedError, ModelMismatchError, QueryError, SceneError
from pipeline.files import check_schema, read_json
from pipeline.geo.area import Area
from pipeline.imagery.scene import Stretch
from pipeline.model.descriptor import Quality, check_quality
from pipeline.model.identity import ModelIdentity

if TYPE_CHECKING:
    from pathlib import Path

#: Version of the manifest.
SCHEMA = 1


@dataclass(frozen=True)
class CellLayer:
    """Object cells that a collection has, or is to have.

    Attributes:
        object_size: Size in metres of the smallest thing looked for, which chooses the scale of
            the cells of each scene; None for scale 1.
        area: The area that has them, or None for all of the collection.
    """

    object_size: float | None = None
    area: Area | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        area = self.area.to_geojson() if self.area else None
        return {"object_size": self.object_size, "area": area}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> CellLayer:
        """The layer that `to_dict` wrote.

        Raises:
            TypeError: If the size is no positive number.
            AreaError: If the area is malformed.
        """
        size, area = data["object_size"], data.get("area")
        if size is not None and not (isinstance(size, (int, float)) and 0 < size < math.inf):
            raise TypeError(f"{size!r} is no size in metres")
        return cls(size, Area.from_dict(area) if area is not None else None)


@dataclass(frozen=True)
class Manifest:
    """What a collection is and how it was made (`collection.json`).

    Attributes:
        name: Folder name, unique in the library.
        title: Title, any text.
        description: Free text.
        created: ISO 8601 UTC.
        updated: ISO 8601 UTC.
        stride: Pixels between the starts of neighbouring chips.
        model: Model that made the embeddings.
        area: The area its chips lie in, or None for whole scenes.
        scenes: Scene ids in the order they were added.
        complete: Whether every block of every scene is finished.
        chips: Chips in the collection when `complete`.
        left_out: Chips left out, by reason.
        seconds: Duration of all builds.
        versions: Versions of the software that built it, by package.
        block_span: Pixels between the first and last chip start of a block, None for the default.
        former: Former names, so that old links can be resolved.
        cells: Layers of object cells; none in a collection that an earlier version built.
        stretches: Display stretch of each sensor (`Scene.sensor`), fixed at its first build; None
            in a collection of 0.1.0, which has one for each scene.
        quality: Of the descriptors that its chips have beside their plain vectors; None in a
            collection that an earlier version began, which has none.
    """

    name: str
    title: str
    stride: int
    model: ModelIdentity
    description: str = ""
    created: str = ""
    updated: str = ""
    area: Area | None = None
    scenes: tuple[str, ...] = ()
    complete: bool = False
    chips: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    versions: dict[str, str] = field(default_factory=dict)
    former: tuple[str, ...] = ()
    block_span: int | None = None
    chip_size: int = 256
    cells: tuple[CellLayer, ...] = ()
    stretches: dict[str, Stretch] | None = None
    quality: Quality | None = None
    schema: int = SCHEMA

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `read_manifest` reads it back."""
        plain = {name: getattr(self, name) for name in self.__dataclass_fields__}
        area = self.area.to_geojson() if self.area else None
        cells = [layer.to_dict() for layer in self.cells]
        stretches = self.stretches
        if stretches is not None:
            plain["stretches"] = {
                sensor: [list(stretch.low), list(stretch.high)]
                for sensor, stretch in stretches.items()
            }
        return {**plain, "model": self.model.to_dict(), "area": area, "cells": cells}


def read_manifest(path: Path) -> Manifest:
    """The manifest in a collection's folder.

    Raises:
        NewerError: If a newer version wrote it.
        DamagedError: If it is missing or damaged.
    """
    remedy = (
        "Restore collection.json from a backup, or delete the collection with "
        f"`python -m pipeline delete {path.name}` and build it again"
    )
    file = path / "collection.json"
    content = read_json(file, what="The collection's manifest", remedy=remedy)
    try:
        check_schema(content["schema"], SCHEMA, what="This collection", where=path.name)
        known = {k: v for k, v in content.items() if k in Manifest.__dataclass_fields__}
        manifest = Manifest(
            **{
                **known,
                "name": path.name,
                "model": ModelIdentity.from_dict(known["model"]),
                # A Feature; the Area page of 0.1.0 wrote a plain geometry.
                "area": Area.from_dict(known["area"]) if known.get("area") is not None else None,
                "scenes": tuple(known["scenes"]),
                "former": tuple(known.get("former", ())),
                "cells": tuple(map(CellLayer.from_dict, known.get("cells", ()))),
                "stretches": _stretches(known.get("stretches")),
                "quality": _quality(known.get("quality")),
            }
        )
        _check_kinds(manifest)
        return manifest
    except (
        KeyError,
        TypeError,
        AttributeError,
        AreaError,
        ModelMismatchError,
        SceneError,
        QueryError,
    ) as error:
        raise DamagedError(
            "The collection's manifest is damaged", where=file, remedy=remedy
        ) from error


def _quality(given: str | None) -> Quality | None:
    return None if given is None else check_quality(str(given))


def _stretches(given: dict[str, Any] | None) -> dict[str, Stretch] | None:
    if given is None:
        return None
    return {sensor: Stretch.of(levels) for sensor, levels in given.items()}


def _check_kinds(manifest: Manifest) -> None:
    """Raise `TypeError` if a value is not of its field's type."""
    kinds: dict[type, tuple[object, ...]] = {
        str: (
            manifest.title,
            manifest.description,
            manifest.created,
            manifest.updated,
            manifest.model.mode,
            *manifest.scenes,
            *manifest.former,
        ),
        int: (
            manifest.chip_size,
            manifest.stride,
            manifest.chips,
            manifest.block_span or 0,
            *manifest.left_out.values(),
        ),
        bool: (manifest.complete,),
    }
    for kind, values in kinds.items():
        if wrong := [value for value in values if not isinstance(value, kind)]:
            raise TypeError(f"{wrong[0]!r} is not {kind}")
    if not isinstance(manifest.seconds, (int, float)):
        raise TypeError(f"{manifest.seconds!r} is no number")
