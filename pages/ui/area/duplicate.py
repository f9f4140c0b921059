"""The settings of a collection, taken to the Area page: area, overlap, imagery, colours."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import streamlit as st

from pages.ui.area import display as area_display
from pages.ui.area import state as area_state
from pages.ui.server import jobs, open_collections, previews
from pipeline.errors import LookalikeError
from pipeline.imagery.scene import load_scene
from pipeline.sources.files import is_url
from pipeline.sources.registry import KINDS
from pipeline.sources.sample import samples

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene
    from pipeline.sources.candidates import Candidate

#: Where the Area page keeps the options of a service.
KEYS = {
    "earth_engine": {
        "collection": "ee-collection",
        "composite": "ee-composite",
        "road": "ee-road",
        "bucket": "ee-bucket",
    },
    "stac": {"api": "stac-api", "collection": "stac-collection"},
    "drive": {"folder": "folder"},
}


def take(collection: Collection, into: str = "") -> None:
    """Make the Area page begin with a collection's settings.

    Args:
        collection: Whose settings.
        into: The collection that imagery is added to, "" for a new one.
    """
    st.session_state[area_state.TAKEN] = True
    manifest = collection.manifest
    if manifest.area:
        area_state.take_geojson(manifest.area)
    else:
        area_state.take(None)
    _set(stride=manifest.stride, into=into)
    scenes = list(collection.scenes.values())
    if not scenes:
        return
    kind = scenes[0].source
    if kind == "sample":
        _take_sample(scenes[0])
    elif kind == "raster":
        _take_rasters(scenes)
    elif kind in KINDS:
        _set(kind=kind)
        _take_options(collection.name, kind)


def described(candidate: Candidate) -> Candidate:
    """A raster that a collection keeps, as that collection describes it; others as they are."""
    path = Path(candidate.id)
    if is_url(candidate.id) or open_collections().library.root not in path.parents:
        return candidate
    try:
        scene = load_scene(path.parent, path.stem)
    except LookalikeError:
        return candidate
    told = {"title": scene.title, "datetime": scene.datetime, "license": scene.license}
    return replace(candidate, **told)


def _set(**choices: Any) -> None:
    for name, value in choices.items():
        st.session_state[area_state.PREFIX + name] = value


def _take_sample(scene: Scene) -> None:
    for name, sample in samples().items():
        if sample.path.name == Path(scene.source_url).name:
            _set(kind="sample", sample=name)
            _take_colours(scene, str(sample.path))


def _take_rasters(scenes: list[Scene]) -> None:
    """At their address, or, of files, the copies that the collection keeps."""
    _set(kind="raster")
    if is_url(scenes[0].source_url):
        _set(**{"from": "Web address"}, url=scenes[0].source_url)
        _take_colours(scenes[0], scenes[0].source_url)
        return
    _set(**{"from": "Upload"}, uploaded=[str(scene.path) for scene in scenes])
    for scene in scenes:
        _take_colours(scene, str(scene.path))


def _take_colours(scene: Scene, place: str) -> None:
    """Bands and stretch, of a raster that the Area page shows from `place`."""
    key = area_display.key_of(place)
    _set(**{f"band.{key}.{i}": band for i, band in enumerate(scene.bands)})
    own = None
    try:
        full = previews().bands(place).full
        own = previews().open(place, scene.bands)[1].stretch
    except LookalikeError:  # the Area page shows why; the levels are known all the same
        full = None
    low, high = scene.stretch.low, scene.stretch.high
    if scene.stretch == own:
        _set(stretch=area_display.AUTOMATIC)
    elif full and (low, high) == ((full[0],) * 3, (full[1],) * 3):
        _set(stretch=area_display.FULL)
    else:
        _set(stretch=area_display.BY_HAND)
        for end, levels in (("Black", low), ("White", high)):
            for colour, level, band in zip(area_display.COLOURS, levels, scene.bands, strict=True):
                _set(**{f"level.{key}.{end}.{colour}.{band}": float(level)})


def _take_options(name: str, kind: str) -> None:
    """What a service was asked, as the latest build of the collection has it."""
    asked = (job.request for job in jobs().all() if job.collection == name)
    options = next((one["options"] for one in asked if one.get("source") == kind), {})
    for option, key in KEYS.get(kind, {}).items():
        if options.get(option):
            _set(**{key: options[option]})
