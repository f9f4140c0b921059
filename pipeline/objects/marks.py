"""Marks of object search as examples, and examples as marks."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import dates
from pipeline.collection.marks import Mark
from pipeline.objects.places import Example


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
