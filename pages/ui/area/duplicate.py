"""The settings of a collection, taken to the Area page: area, chips, imagery, display."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pages.ui.area import draft, shape
from pages.ui.area.display import (
    AUTOMATIC,
    BY_HAND,
    COLOURS,
    ENDS,
    FULL,
    PERCENTILE,
    band_choice,
    level_choice,
)
from pages.ui.server import jobs, previews
from pipeline.errors import LookalikeError
from pipeline.imagery.scene import AS_STORED, SCENE, SENSOR
from pipeline.sources.files import is_url
from pipeline.sources.registry import KINDS
from pipeline.sources.sample import samples

if TYPE_CHECKING:
    from pipeline.collection.collection import Collection
    from pipeline.imagery.scene import Scene

#: Choices of the Area page that hold the options of a service.
CHOICES = {
    "earth_engine": {
        "collection": "ee-collection",
        "composite": "ee-composite",
        "road": "ee-road",
        "bucket": "ee-bucket",
    },
    "stac": {"api": "stac-api", "collection": "stac-collection"},
    "drive": {"folder": "folder"},
}


def start_from(collection: Collection, into: str = "") -> None:
    """Make the Area page start from a collection's settings.

    Args:
        collection: The collection with the settings.
        into: The collection that imagery is added to, "" for a new one.
    """
    draft.ignore_kept()
    manifest = collection.manifest
    shape.take(manifest.area)
    draft.put(stride=manifest.stride, quality=manifest.quality or "standard", into=into)
    scenes = list(collection.scenes.values())
    if not scenes:
        return
    kind = scenes[0].source
    if kind == "sample":
        _put_sample(scenes[0])
    elif kind == "raster":
        _put_rasters(scenes)
    elif kind in KINDS:
        draft.put(kind=kind)
        _put_options(collection.name, kind)


def _put_sample(scene: Scene) -> None:
    for name, sample in samples().items():
        if sample.path.name == Path(scene.source_url).name:
            draft.put(kind="sample", sample=name)
            _put_display(scene, str(sample.path))


def _put_rasters(scenes: list[Scene]) -> None:
    """Rasters at their URL, or, of files, the copies that the collection keeps."""
    draft.put(kind="raster")
    if is_url(scenes[0].source_url):
        draft.put(**{"from": "Web address"}, url=scenes[0].source_url)
        _put_display(scenes[0], scenes[0].source_url)
        return
    draft.put(**{"from": "Upload"}, uploaded=[str(scene.path) for scene in scenes])
    for scene in scenes:
        _put_display(scene, str(scene.path))


def _put_display(scene: Scene, location: str) -> None:
    """Bands and display range of a raster that the Area page shows from `location`."""
    draft.put(**{band_choice(location, i): band for i, band in enumerate(scene.bands)})
    available = own = None
    try:
        available = previews().bands(location)
        if scene.stretch_from == SCENE:  # the level of a scene by itself, or one given to 0.1.0
            own = previews().open(location, scene.bands, percentile=True)[1].stretch
    except LookalikeError:  # the Area page shows why; the levels are known all the same
        pass
    full = available.full if available else None
    low, high = scene.stretch.low, scene.stretch.high
    if scene.stretch == own:
        draft.put(stretch=AUTOMATIC)
    elif scene.stretch_from == SENSOR:
        # Of what is shown by percentiles anyway, the Area page takes this for Automatic.
        draft.put(stretch=AUTOMATIC if scene.stretch == AS_STORED else PERCENTILE)
    elif full and (low, high) == ((full[0],) * 3, (full[1],) * 3):
        draft.put(stretch=FULL)
    else:
        draft.put(stretch=BY_HAND)
        for end, levels in zip(ENDS, (low, high), strict=True):
            for colour, level, band in zip(COLOURS, levels, scene.bands, strict=True):
                draft.put(**{level_choice(location, end, colour, band): float(level)})


def _put_options(name: str, kind: str) -> None:
    """The options of a service, from the latest job of the collection."""
    requests = (job.request for job in jobs().all() if job.collection == name)
    options = next(
        (request["options"] for request in requests if request.get("source") == kind), {}
    )
    for option, choice in CHOICES.get(kind, {}).items():
        if options.get(option):
            draft.put(**{choice: options[option]})
