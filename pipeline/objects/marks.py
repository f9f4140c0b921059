"""Marks of object search as examples and as judgements of what it found, and examples as marks."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipeline import dates
from pipeline.collection.marks import Judgement, Mark, present, read
from pipeline.objects.places import Example

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.objects.objects import FoundObject

#: Metres in a degree of latitude.
_DEGREE = 111_320


def example_of(mark: Mark) -> Example:
    """A good or bad mark as an example."""
    size = (mark.width_m or None, mark.height_m or None)
    return Example(mark.lon, mark.lat, *size, mark.label == "good", scene_id=mark.scene_id or None)


def of_examples(examples: Sequence[Example], key: str, author: str = "") -> tuple[Mark, ...]:
    """Examples as marks.

    Args:
        examples: The examples.
        key: Where they come from: the same examples of the same origin are the same marks.
        author: Who gave them.
    """
    now = dates.now()
    return tuple(
        Mark(
            key=f"{key}-{number}",
            lon=each.lon,
            lat=each.lat,
            width_m=each.width_m or 0,
            height_m=each.height_m or 0,
            label="good" if each.good else "bad",
            scene_id=each.scene_id or "",
            time=now,
            author=author,
        )
        for number, each in enumerate(examples)
    )


def judgements_of(
    home: Collection, key: str, objects: Sequence[FoundObject]
) -> tuple[Judgement, ...]:
    """The marks that a search learned from, with their authors: of each object the nearest one.

    Args:
        home: The collection with the marks.
        key: Their set.
        objects: Objects with their marks.
    """
    kept = [mark for mark in present(read(home, key)) if mark.label]
    lon, lat = (np.array([getattr(mark, axis) for mark in kept], float) for axis in ("lon", "lat"))
    labels, scenes = (
        np.array([getattr(mark, name) for mark in kept], str) for name in ("label", "scene_id")
    )
    given = []
    for found in objects:
        if not found.mark:
            continue
        across = (lon - found.lon) * math.cos(math.radians(found.lat))
        apart = np.hypot(across, lat - found.lat) * _DEGREE
        same = (labels == found.mark) & ((scenes == found.scene_id) | (scenes == ""))
        near = np.where(same & (apart <= max(found.width_m, found.height_m)), apart, np.inf)
        mark = kept[int(np.argmin(near))] if np.isfinite(near).any() else None
        # An example that was drawn has no author.
        who = (mark.author, mark.time) if mark else ("", "")
        given.append(Judgement(found.id, found.mark, *who))
    return tuple(given)
