"""The layers of object cells that a request asks for."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from pipeline.collection.manifest import CellLayer
from pipeline.errors import QueryError
from pipeline.geo.area import Area

if TYPE_CHECKING:
    from pipeline.build.request import BuildRequest
    from pipeline.collection.manifest import Manifest

#: Sizes of things in metres that can be looked for.
SMALLEST, LARGEST = 0.1, 100_000.0


def check_object_size(size: float | None) -> None:
    """Refuse a size that no thing in imagery has.

    Raises:
        QueryError: If it is not between 0.1 m and 100 km.
    """
    if size is not None and not (math.isfinite(size) and SMALLEST <= size <= LARGEST):
        raise QueryError(
            "The object size must be between 0.1 m and 100 km",
            where=f"{size:g} m",
            remedy="Give the size in metres of the smallest thing that you look for",
        )


def first_layers(size: float | None, mode: str) -> tuple[CellLayer, ...]:
    """The layers of a new collection.

    In the dense mode the pass over the chips yields cells at scale 1, too, so that it has them
    beside those for smaller or larger things.
    """
    layers = (CellLayer(size),)
    return (CellLayer(), *layers) if size is not None and mode == "dense" else layers


def with_layer(manifest: Manifest, request: BuildRequest) -> tuple[CellLayer, ...]:
    """The layers of a collection after a request.

    A collection of an earlier version gets a layer for all of it.  A request without scenes adds
    its layer to the part of the collection that lies in its area.
    """
    layers = manifest.cells
    if request.object_size is None:
        return layers or ((CellLayer(),) if request.cells else ())
    part = None if request.scenes else request.area
    same = [layer for layer in layers if layer.object_size == request.object_size]
    if any(layer.area is None for layer in same):
        return layers
    others = tuple(layer for layer in layers if layer not in same)
    for layer in same:
        if part is not None and layer.area is not None:
            own, added = layer.area.geometry, part.geometry
            part = layer.area if own.covers(added) else Area(own.union(added), part.name)
    return (*others, CellLayer(request.object_size, part))
