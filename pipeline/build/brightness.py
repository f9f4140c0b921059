"""The display stretches of a collection: one for each sensor, fixed before the first block.

The manifest holds them, and the description of each scene repeats its own, so that a scene can be
read without its collection.  Scenes are made to follow the manifest before blocks are planned: a
build that was interrupted meanwhile ends with the same stretches.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipeline.collection.collection import Collection
from pipeline.errors import QueryError
from pipeline.files import write_json
from pipeline.imagery.brightness import AUTOMATIC, PERCENTILE, Levels, is_ready_made, settle
from pipeline.imagery.formats import open_raster
from pipeline.imagery.ingest import SceneInput, levels_of
from pipeline.imagery.scene import AS_STORED, GIVEN, SCENE, SENSOR, Scene, Stretch

if TYPE_CHECKING:
    from pipeline.cluster.storage import Storage

#: `BuildRequest.restretch`: with the kind of brightness that the collection has.
KEEP = "keep"
#: A new stretch that differs from the present one by less than this share of its range is the same.
_TOLERANCE = 0.5 / 255
#: A scene whose values cover less than this share of the display range looks empty.
_FEWEST = 0.05
PER_SCENE = "one stretch per scene, as version 0.1.0 built it"


def how_to_restretch(brightness: str | None) -> str:
    """`BuildRequest.restretch` for a brightness that the user asks for.

    Raises:
        QueryError: If it is levels: those belong to the scenes that they are given with.
    """
    if brightness is None:
        return KEEP
    if brightness in (AUTOMATIC, PERCENTILE):
        return brightness
    raise QueryError(
        "A new stretch is measured, not given",
        where=brightness[:80],
        remedy="Use restretch with brightness automatic or percentile, or build another collection "
        "with these levels",
    )


def as_collected(collection: Collection, given: SceneInput) -> SceneInput:
    """A raster as its collection shows it: one of 0.1.0 stretches each scene, 8-bit RGB too."""
    return replace(given, percentile=True) if collection.manifest.stretches is None else given


def follow(
    collection: Collection,
    brought: dict[str, SceneInput],
    restretch: str | None,
    tell: Callable[[str], None],
    storage: Storage | None = None,
) -> Collection:
    """Fix the stretch of each sensor that has none, and make every scene follow it.

    Chips of scenes whose stretch changes are removed, so that they are made again.

    Args:
        collection: The collection with all its scenes.
        brought: The rasters that this build brings, by scene id; levels are measured on them.
        restretch: As in `BuildRequest`.
        tell: Called with notes.
        storage: Shared storage, from which outdated blocks are removed as well.
    """
    known = collection.manifest.stretches
    if known is None and restretch is None:
        tell(
            f"The collection keeps {PER_SCENE}; build --restretch shows 8-bit RGB as stored, and "
            "the rest with one stretch per sensor"
        )
        return collection
    scenes = list(collection.scenes.values())
    if restretch is not None:
        scenes = [_unsettled(collection, scene, restretch) for scene in scenes]
        for scene in scenes:
            if scene.stretch_from == GIVEN:
                _write(collection, scene)
    fixed = {} if known is None or restretch is not None else known
    fresh = settle([(scene, _levels(scene, brought)) for scene in scenes], fixed)
    if known:
        fresh = {k: _same(known[k], v) if k in known else v for k, v in fresh.items()}
    if fresh or known is None:
        collection = collection.write(stretches={**(known or {}), **fresh})
    for scene_id, given in brought.items():
        _tell_unlike(collection, collection.scenes[scene_id], given, tell)
    return _update_scenes(collection, scenes, tell, storage)


def describe(collection: Collection) -> str:
    """How a collection shows its scenes, in words."""
    manifest = collection.manifest
    if manifest.stretches is None:
        return PER_SCENE
    words = []
    for scene in collection.scenes.values():
        if scene.stretch == AS_STORED and scene.dtype == "uint8":
            words.append("as stored")
        elif scene.stretch_from == GIVEN:
            words.append("levels set by hand or by the source")
        else:
            words.append("2% to 98% of all scenes of a sensor")
    return ", ".join(dict.fromkeys(words)) or "not fixed yet"


def _unsettled(collection: Collection, scene: Scene, restretch: str) -> Scene:
    """A scene as `open_scene` would describe it, without its collection."""
    if scene.stretch_from == GIVEN or (scene.stretch_from == SCENE and _was_given(scene)):
        return replace(scene, stretch_from=GIVEN)
    known = collection.manifest.stretches
    if restretch != KEEP:
        percentile = restretch == PERCENTILE
    elif known is None:
        percentile = scene.source == "sample"  # Landsat, too dark to be looked at as stored
    else:
        percentile = known.get(scene.sensor, AS_STORED) != AS_STORED
    with open_raster(Path(scene.path)) as dataset:
        as_stored = is_ready_made(dataset, scene.bands) and not percentile
    if as_stored:
        return replace(scene, stretch=AS_STORED, stretch_from=SENSOR)
    return replace(scene, stretch_from=SCENE)


def _was_given(scene: Scene) -> bool:
    """Whether 0.1.0 was given the stretch of a scene: percentiles are each band's own."""
    distinct = len(set(scene.bands)) == 3
    return distinct and len(set(scene.stretch.low)) == 1 and len(set(scene.stretch.high)) == 1


def _levels(scene: Scene, brought: dict[str, SceneInput]) -> Callable[[], Levels]:
    """What measures a scene: on the raster that was brought where there is one, as previews do."""
    given = brought.get(scene.id)
    path = scene.path if given is None else str(given.path.expanduser().absolute())
    return partial(levels_of, replace(scene, path=path))


def _same(present: Stretch, fresh: Stretch) -> Stretch:
    """The present stretch if the fresh one hardly differs, so that nothing is embedded again."""
    low, high = np.array(present.low), np.array(present.high)
    off = np.abs([fresh.low - low, fresh.high - high]) / (high - low)
    return present if off.max() < _TOLERANCE else fresh


def _tell_unlike(
    collection: Collection, scene: Scene, given: SceneInput, tell: Callable[[str], None]
) -> None:
    """Tell if the stretch of its sensor is not what a raster was brought for, or hides it."""
    stretch = (collection.manifest.stretches or {}).get(scene.sensor)
    if scene.stretch_from == GIVEN or stretch is None:
        return
    name = given.path.name
    if stretch == AS_STORED:
        if given.percentile:
            tell(
                f"{name} is shown as stored, like the other scenes of its sensor; "
                "build --restretch --brightness percentile changes that"
            )
        return
    own = _levels(scene, {scene.id: given})().own
    low, high = np.array(stretch.low), np.array(stretch.high)
    seen = np.minimum(own.high, high) - np.maximum(own.low, low)
    if (seen < _FEWEST * (high - low)).all():
        tell(
            f"{name} shows hardly anything at the display range of its sensor; build it as a "
            "collection of its own, or use build --restretch"
        )


def _update_scenes(
    collection: Collection,
    scenes: Sequence[Scene],
    tell: Callable[[str], None],
    storage: Storage | None,
) -> Collection:
    """Write the stretch of the manifest to every scene that has another one."""
    stretches = collection.manifest.stretches or {}
    changed = 0
    for scene in scenes:
        present, stretch = collection.scenes[scene.id], stretches.get(scene.sensor)
        if scene.stretch_from == GIVEN or stretch is None:
            continue
        wanted = replace(present, stretch=stretch, stretch_from=SENSOR)
        if wanted == present:
            continue
        if stretch != present.stretch and _has_chips(collection, scene.id):
            collection = collection.write(complete=False)
            _remove_blocks(collection, scene.id, storage)
            changed += 1
        _write(collection, wanted)
    if changed:
        tell(f"{changed} {'scene is' if changed == 1 else 'scenes are'} shown with another stretch")
    return Collection(collection.path, collection.manifest)


def _write(collection: Collection, scene: Scene) -> None:
    item = replace(scene, path=f"./{Path(scene.path).name}").to_item()
    write_json(collection.scenes_folder / f"{scene.id}.json", item)


def _has_chips(collection: Collection, scene_id: str) -> bool:
    return any((collection.path / kind / scene_id).exists() for kind in ("chips", "cells"))


def _remove_blocks(collection: Collection, scene_id: str, storage: Storage | None) -> None:
    """Remove what was made of a scene's pixels, before its description says otherwise."""
    for kind in ("chips", "cells"):
        shutil.rmtree(collection.path / kind / scene_id, ignore_errors=True)
    if storage is not None:
        base = f"collections/{collection.path.name}"
        for kind in ("chips", "cells"):
            storage.remove_folder(f"{base}/{kind}/{scene_id}")
        storage.remove(f"{base}/scenes/{scene_id}.json")
