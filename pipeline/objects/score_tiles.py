"""Score maps as Web Mercator tiles of grey values, which the page colours and cuts.

A search has a token, under which its ranking is kept for a while.  The map of a scene is made again
where it is no longer in memory.
"""

from __future__ import annotations

import hashlib
import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import NotFoundError
from pipeline.geo.antimeridian import wrap_longitude
from pipeline.imagery.render import TILE, empty_png, encode_image
from pipeline.objects import scan
from pipeline.objects.open_cells import MappedCells, best_scale, open_cells, scales_of
from pipeline.objects.outlines import outlines
from pipeline.objects.ranking import to_logit, to_scores
from pipeline.objects.score_maps import logits_of

if TYPE_CHECKING:
    from shapely.geometry import Polygon

    from pipeline.collection.collection import Collection
    from pipeline.objects.ranking import Ranking
    from pipeline.objects.score_maps import SceneScores

#: Searches whose ranking is kept.
KEPT = 256
#: Bytes of score maps that are kept in memory; a larger one is kept alone.
MOST_BYTES = 512 * 2**20
#: Points along a tile's edge whose place in the scene is computed; between them it is interpolated.
_KNOTS = 9


@dataclass(frozen=True, eq=False)
class KeptRanking:
    """A ranking under its token.

    Attributes:
        ranking: The ranking.
        low: Score drawn as 1.
        high: Score drawn as 255.
        query: What was looked for, in words.
        recipe: How to repeat the search, as JSON values.
    """

    ranking: Ranking
    low: float
    high: float
    query: str = ""
    recipe: Mapping[str, Any] = field(default_factory=dict)


_rankings: OrderedDict[str, KeptRanking] = OrderedDict()
_maps: OrderedDict[tuple[object, ...], np.ndarray] = OrderedDict()
_lock = threading.Lock()
#: Held while a map is made, for which all cores are used.
_making = threading.Lock()


def keep(
    ranking: Ranking,
    low: float,
    high: float,
    query: str = "",
    recipe: Mapping[str, Any] | None = None,
    maps: Sequence[SceneScores] = (),
) -> str:
    """Keep a ranking, and the whole maps that it has made.

    Returns:
        Its token, the same for the same ranking and range.
    """
    model = ranking.model
    numbers = f"{model.bias} {ranking.size_m} {low} {high}"
    token = hashlib.sha256(model.weights.tobytes() + numbers.encode()).hexdigest()[:16]
    with _lock:
        _rankings[token] = KeptRanking(ranking, low, high, query, recipe or {})
        _rankings.move_to_end(token)
        while len(_rankings) > KEPT:
            _rankings.popitem(last=False)
        for scored in maps:
            if scored.tiles is None:
                _remember(_key(scored.mapped, token), scored.logits)
    return token


def kept(token: str) -> KeptRanking:
    """The ranking of a token.

    Raises:
        NotFoundError: If it is no longer kept.
    """
    with _lock:
        if token in _rankings:
            return _rankings[token]
    raise NotFoundError(
        "This score map is no longer kept", where=token[:40], remedy="Run the search again"
    )


def tile_png(collection: Collection, scene_id: str, token: str, z: int, x: int, y: int) -> bytes:
    """One tile: grey 1 to 255 over the range of scores, 0 where there is none.

    Args:
        collection: The collection.
        scene_id: A scene in it.
        token: Of the search.
        z: Zoom level, 0 to 24.
        x: Column.
        y: Row, from the north.

    Raises:
        NotFoundError: If there is no such tile, scene, map or cells.
    """
    if not (0 <= z <= 24 and 0 <= x < 2**z and 0 <= y < 2**z):
        raise NotFoundError("There is no such tile", where=f"{z}/{x}/{y}")
    found = kept(token)
    mapped, logits = scene_logits(collection, scene_id, token)
    cols, rows = _places(mapped, z, x, y)
    values = to_scores(_sampled(logits, rows, cols))
    if not np.isfinite(values).any():
        return empty_png()
    grey = 1 + 254 * (values - found.low) / max(found.high - found.low, 1e-9)
    shown = np.where(np.isfinite(values), grey.clip(1, 255), 0)
    return encode_image(np.rint(shown).astype(np.uint8), "PNG", compress_level=1)


def scene_logits(
    collection: Collection, scene_id: str, token: str
) -> tuple[MappedCells, np.ndarray]:
    """The cells of a scene and its score map under a token, as logits.

    Raises:
        NotFoundError: If there is no such scene, map or cells.
    """
    mapped = cells_of(collection, scene_id, token)
    return mapped, _map_of(mapped, token)


def cells_of(collection: Collection, scene_id: str, token: str) -> MappedCells:
    """The cells of a scene that a token's search compared.

    Raises:
        NotFoundError: If there is no such scene, map or cells.
    """
    scene = collection.scenes.get(scene_id)
    if scene is None:
        raise NotFoundError("No such scene in this collection", where=scene_id[:80])
    ranking = kept(token).ranking
    available = scales_of(collection, scene)
    if not available:
        raise NotFoundError("This scene has no object cells", where=scene.title)
    return open_cells(collection, scene, best_scale(available, ranking.size_m / scene.gsd))


def outlines_at(
    collection: Collection,
    token: str,
    threshold: float,
    places: Sequence[tuple[str, float, float]],
) -> list[Polygon | None]:
    """The outlines that objects of a search have at another threshold.

    Args:
        collection: The collection.
        token: Of the search.
        threshold: The score at the outline, 0 to 1.
        places: Scene, and column and row of the centre in pixels, of each object.

    Returns:
        A polygon in EPSG:4326 for each place; None where its score is below the threshold.

    Raises:
        NotFoundError: If there is no such scene, map or cells.
    """
    found: list[Polygon | None] = [None] * len(places)
    by_scene: dict[str, list[int]] = {}
    for i, (scene_id, _, _) in enumerate(places):
        by_scene.setdefault(scene_id, []).append(i)
    for scene_id, members in by_scene.items():
        mapped, logits = scene_logits(collection, scene_id, token)
        peaks = np.array([mapped.window_at(*places[i][1:]) for i in members])
        least = to_logit(threshold)
        shapes = outlines(logits, peaks, least, mapped.scene, mapped.scale, window=scan.WINDOW)
        for i, shape in zip(members, shapes, strict=True):
            found[i] = shape
    return found


def _map_of(mapped: MappedCells, token: str) -> np.ndarray:
    """The score map of a scene under a token, made once however many tiles are asked for."""
    key = _key(mapped, token)
    with _lock:
        if key in _maps:
            _maps.move_to_end(key)
            return _maps[key]
    with _making:
        with _lock:
            found = _maps.get(key)
        if found is not None:
            return found
        made = logits_of(mapped, kept(token).ranking)
        with _lock:
            _remember(key, made)
    return made


def _key(mapped: MappedCells, token: str) -> tuple[object, ...]:
    return mapped.folder, mapped.cells.stamp, token


def _remember(key: tuple[object, ...], made: np.ndarray) -> None:
    _maps[key] = made
    _maps.move_to_end(key)
    while len(_maps) > 1 and sum(each.nbytes for each in _maps.values()) > MOST_BYTES:
        _maps.popitem(last=False)


def _places(mapped: MappedCells, z: int, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """Column and row in the score map, float (256, 256), of a tile's pixels."""
    from scipy.ndimage import map_coordinates

    edge = np.linspace(0, 1, _KNOTS)
    lon = (x + edge) / 2**z * 360 - 180
    north = np.pi * (1 - 2 * (y + edge) / 2**z)
    lat = np.degrees(np.arctan(np.sinh(north)))
    scene = mapped.scene
    turned = wrap_longitude(lon, scene.centre_lon)
    grid_lon, grid_lat = np.meshgrid(turned, lat)
    knots = scene.georeference.pixels(grid_lon, grid_lat)
    at = (np.arange(TILE) + 0.5) / TILE * (_KNOTS - 1)
    where = np.meshgrid(at, at, indexing="ij")
    half = scan.WINDOW / 2
    cols, rows = (
        map_coordinates(np.asarray(axis), where, order=1, mode="nearest") / mapped.side - half
        for axis in knots
    )
    return cols, rows


def _sampled(scores: np.ndarray, rows: np.ndarray, cols: np.ndarray) -> np.ndarray:
    """Scores between windows, bilinear; NaN outside the map and beside windows not scored."""
    height, width = scores.shape
    top, left = np.floor(rows), np.floor(cols)
    down, across = (rows - top).astype(np.float32), (cols - left).astype(np.float32)
    inside = (rows >= -0.5) & (cols >= -0.5) & (rows <= height - 0.5) & (cols <= width - 0.5)
    upper, lower = (np.clip(top + i, 0, height - 1).astype(np.intp) for i in (0, 1))
    west, east = (np.clip(left + i, 0, width - 1).astype(np.intp) for i in (0, 1))
    above = scores[upper, west] * (1 - across) + scores[upper, east] * across
    below = scores[lower, west] * (1 - across) + scores[lower, east] * across
    return np.where(inside, above * (1 - down) + below * down, math.nan)
