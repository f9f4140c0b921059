"""A simulated analyst: searches as a user does, marks the ten best truthfully, refines, again.

Everything goes through the search services, so that what is measured is what users get.  Hits
that were marked are taken out of both lists before the right ones among the first fifty are
counted; the first twenty are counted as they are shown, with what is marked good at their head.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from benchmarks.support.detections import Truth
from pipeline.imagery.pictures import read_windows
from pipeline.objects.objects import window_polygon
from pipeline.objects.recipe import ObjectRecipe
from pipeline.objects.service import find_objects
from pipeline.search import service, uploads
from pipeline.search.open_collections import OpenCollections
from pipeline.search.recipe import Recipe

if TYPE_CHECKING:
    from shapely.geometry import Polygon

    from pipeline.collection.collection import Collection
    from pipeline.imagery.chips import Window
    from pipeline.imagery.scene import Scene

#: Marks of a turn, turns, and hits that are compared.
TURN, TURNS, COMPARED = 10, 2, 50
#: Hits that are counted as shown.
SHOWN = 20
#: Wrong objects nearer to each other than this, in metres, are one.
SAME = 12.0


@dataclass(frozen=True)
class Seen:
    """A hit as the analyst sees it.

    Attributes:
        key: What it is: the same in every search.
        right: Whether it is what is sought.
        mark: What the search takes as a mark on it.
    """

    key: object
    right: bool
    mark: Any


#: The hits of a search with marks, good and bad, best first.
Search = Callable[[Sequence[Any], Sequence[Any]], list[Seen]]


@dataclass(frozen=True)
class Figures:
    """What refining brings, on average.

    Attributes:
        name: What was searched, and from what.
        queries: Number of searches.
        shown: Share of right ones among the first twenty shown: before, after each turn.
        gains: Change of the number of right ones among the first fifty unmarked, after each turn.
        fell: Share of searches in which that number fell after the last turn.
    """

    name: str
    queries: int
    shown: tuple[float, ...]
    gains: tuple[float, ...]
    fell: float

    def row(self) -> str:
        """A line of a Markdown table."""
        shown = " | ".join(f"{value:.3f}" for value in self.shown)
        gains = " | ".join(f"{value:+.1f}" for value in self.gains)
        return f"| {self.name} | {self.queries} | {shown} | {gains} | {self.fell:.0%} |"


HEAD = (
    "| searched, from | searches | P@20 | after 10 marks | after 20 | right of the first 50, "
    "after 10 | after 20 | fewer after 20 |\n|---|---|---|---|---|---|---|---|"
)


def refine(search: Search) -> tuple[list[float], list[int]]:
    """Shares of right ones among the first twenty, and changes among the first fifty unmarked."""
    first = current = search((), ())
    marked: dict[object, Seen] = {}
    shown, gains = [_share(first[:SHOWN])], []
    for _ in range(TURNS):
        fresh = [seen for seen in current if seen.key not in marked][:TURN]
        marked |= {seen.key: seen for seen in fresh}
        good = [seen.mark for seen in marked.values() if seen.right]
        bad = [seen.mark for seen in marked.values() if not seen.right]
        current = search(good, bad)
        liked = [seen for seen in marked.values() if seen.right]
        others = [seen for seen in current if seen.key not in marked]
        shown.append(_share([*liked, *others][:SHOWN]))
        before = [seen for seen in first if seen.key not in marked]
        gains.append(_right(others[:COMPARED]) - _right(before[:COMPARED]))
    return shown, gains


def figures(name: str, searches: Iterator[Search]) -> Figures:
    """The figures of some searches."""
    every = [refine(search) for search in searches]
    shown = np.mean([one for one, _ in every], axis=0)
    gains = np.array([gain for _, gain in every])
    fell = float((gains[:, -1] < 0).mean())
    means = tuple(gains.mean(axis=0).tolist())
    return Figures(name, len(every), tuple(shown.tolist()), means, fell)


def chips(
    opened: OpenCollections,
    name: str,
    kinds: np.ndarray,
    queries: Sequence[int],
    title: str,
    boxes: Callable[[int], tuple[float, float, float, float]] | None = None,
) -> Iterator[Figures]:
    """Chips, from a click, a box and a picture.

    Args:
        opened: Where the collection is.
        name: The collection.
        kinds: By row, what a chip shows, int (n,); a hit is right if it shows the same.
        queries: Rows to search from.
        title: What the figures are called.
        boxes: The box drawn for a row, west, south, east, north; by default the chip's.
    """
    collection = opened.collection(name)
    table, side = collection.chips, collection.manifest.chip_size

    def box(row: int) -> tuple[float, float, float, float]:
        low, high = table.corners[row].min(axis=0), table.corners[row].max(axis=0)
        return (*low.tolist(), *high.tolist())

    def picture(row: int) -> str:
        window = (*table.corner_of(row), side, side)
        scene = collection.scenes[table.scene_id_of(row)]
        return kept(collection, scene, window)

    starts: dict[str, Callable[[int], dict[str, Any]]] = {
        "click": lambda row: {"chip": table.id_of(row)},
        "box": lambda row: {"box": list((boxes or box)(row))},
        "picture": lambda row: {"picture": picture(row)},
    }

    def search(
        start: dict[str, Any], row: int, good: Sequence[Any], bad: Sequence[Any]
    ) -> list[Seen]:
        recipe = Recipe.from_fields({**start, "good": list(good), "bad": list(bad), "k": 100})
        hits = service.find(opened, name, recipe).result.hits
        return [
            Seen(hit.id, bool(kinds[hit.row] == kinds[row]), hit.id)
            for hit in hits
            if hit.row != row  # from a box or a picture, the chip under it is one of the hits
        ]

    for kind, start in starts.items():
        made = (partial(search, start(row), row) for row in queries)
        yield figures(f"{title}, {kind}", made)


def objects(
    opened: OpenCollections,
    name: str,
    truth: Truth,
    scene_ids: Sequence[str],
    size_m: float,
    queries: Sequence[int],
    title: str,
) -> Iterator[Figures]:
    """Objects, from a click, a box and a picture.

    Args:
        opened: Where the collection is; its scenes have object cells.
        name: The collection.
        truth: The objects; `truth.scenes` are rows of `scene_ids`.
        scene_ids: The scenes.
        size_m: Size of the objects in metres.
        queries: Numbers of objects to search from.
        title: What the figures are called.
    """
    collection = opened.collection(name)
    number = {scene: at for at, scene in enumerate(scene_ids)}

    def place(one: int) -> tuple[Any, float, float, float]:
        scene = collection.scenes[scene_ids[truth.scenes[one]]]
        return scene, *truth.centres[one].tolist(), size_m / scene.gsd

    def around(one: int) -> Polygon:
        scene, col, row, side = place(one)
        return window_polygon(scene, col, row, side, side)

    def click(one: int) -> dict[str, Any]:
        centre = around(one).centroid
        return {"at": [centre.x, centre.y], "object_size": size_m}

    def box(one: int) -> dict[str, Any]:
        return {"box": list(around(one).bounds)}

    def picture(one: int) -> dict[str, Any]:
        scene, col, row, side = place(one)
        window = (round(col - side / 2), round(row - side / 2), round(side), round(side))
        return {"picture": kept(collection, scene, window), "object_size": size_m}

    def search(
        start: dict[str, Any], one: int, good: Sequence[Any], bad: Sequence[Any]
    ) -> list[Seen]:
        marks = [
            {"at": list(at), "object_size": size_m, "label": label}
            for label, places in (("good", good), ("bad", bad))
            for at in places
        ]
        fields = {**start, "k": 200, **({"examples": marks} if marks else {})}
        found = find_objects(opened, [name], ObjectRecipe.from_fields(fields)).result.objects
        seen: dict[object, Seen] = {}
        for each in found:
            near = truth.near(number[each.scene_id], each.col, each.row).tolist()
            scene = collection.scenes[each.scene_id]
            cell = tuple(round(at * scene.gsd / SAME) for at in (each.col, each.row))
            key = near[0] if near else (each.scene_id, *cell)
            if key != one and key not in seen:
                seen[key] = Seen(key, bool(near), (each.lon, each.lat))
        return list(seen.values())

    for kind, start in (("click", click), ("box", box), ("picture", picture)):
        made = (partial(search, start(one), one) for one in queries)
        yield figures(f"{title}, {kind}", made)


def kept(collection: Collection, scene: Scene, window: Window) -> str:
    """A window of a scene as an uploaded picture: its id."""
    file = io.BytesIO()
    Image.fromarray(next(read_windows([(scene, window)]))).save(file, "PNG")
    return uploads.keep(collection, file.getvalue(), "query.png")


def _right(seen: Sequence[Seen]) -> int:
    return sum(each.right for each in seen)


def _share(seen: Sequence[Seen]) -> float:
    return _right(seen) / max(len(seen), 1)
