"""What a build of thorough quality will cost, told in the terminal before it runs."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipeline.build.build import check_request, default_mode, enlarge_area
from pipeline.build.preflight import chip_bytes, chip_seconds, count_chips, preflight
from pipeline.imagery.ingest import open_scene
from pipeline.jobs.pace import pace_of
from pipeline.jobs.queue import Jobs
from pipeline.model.descriptor import check_quality
from pipeline.sources.candidates import Candidate

if TYPE_CHECKING:
    from pipeline.build.preflight import Preflight
    from pipeline.build.request import BuildRequest
    from pipeline.collection.library import Library
    from pipeline.imagery.scene import Scene
    from pipeline.settings import Settings


def thorough_price(request: BuildRequest, library: Library, settings: Settings) -> Preflight | None:
    """The pre-flight of a build of local rasters, without the chips that the collection has.

    None if the build is not of thorough quality: that of the collection, or what is asked for.

    Args:
        request: The build.
        library: The library of its collection.
        settings: Home folder and engine.

    Raises:
        LookalikeError: What `check_request` and `open_scene` raise.
    """
    existing, stride = check_request(request, library)
    quality = check_quality(
        (existing.manifest.quality if existing else request.quality) or "standard"
    )
    if quality != "thorough":
        return None
    mode = existing.manifest.model.mode if existing else request.mode or default_mode(stride)
    pace = pace_of(Jobs(settings.home), library, settings, mode, stride)
    area = enlarge_area(existing.manifest, request) if existing else request.area
    kept = existing.scenes if existing else {}
    opened = {scene.id: scene for scene in map(open_scene, request.scenes)}
    new = [_candidate(scene) for name, scene in opened.items() if name not in kept]
    result = preflight(
        area,
        new,
        stride=stride,
        pace=pace,
        home=settings.home,
        mode=mode,
        object_size=request.object_size,
        quality=quality,
    )
    if existing is None:
        return result
    geometry = area.geometry if area else None
    expected = sum(count_chips(_candidate(scene), geometry, stride) for scene in kept.values())
    missing = max(expected - sum(part.size for part in existing.parts), 0)
    return replace(
        result,
        chips=result.chips + missing,
        seconds=result.seconds + missing * chip_seconds(pace, quality),
        disk=result.disk + missing * chip_bytes(quality),
    )


def _candidate(scene: Scene) -> Candidate:
    """A scene as a source would offer it."""
    import numpy as np

    return Candidate(
        id=str(scene.path),
        source=scene.source,
        title=scene.title,
        footprint=scene.footprint,
        gsd=scene.gsd,
        facts={
            "crs": scene.crs,
            "transform": list(scene.transform),
            "size": [scene.width, scene.height],
            "bytes_per_pixel": np.dtype(scene.dtype).itemsize * scene.count,
        },
    )
