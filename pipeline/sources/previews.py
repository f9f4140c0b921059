"""Previews: rasters shown on a map before anything is built from them.

A preview is a scene with its bands and stretch.  The map requests its tiles by the preview's id,
which only this server issues; no path or address of a request is ever opened.

A raster that is quick to read is drawn from its own file.  A large raster without overviews, or one
at an address, is first copied once at a coarser resolution.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import shutil
import threading
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from pipeline.errors import NotFoundError, SceneError
from pipeline.imagery import geotiff
from pipeline.imagery.brightness import is_ready_made, settle
from pipeline.imagery.cog import write_cog
from pipeline.imagery.formats import open_raster
from pipeline.imagery.ingest import SceneInput, levels_of, open_scene
from pipeline.imagery.metadata import display_bands
from pipeline.imagery.scene import GIVEN, SCENE, SENSOR
from pipeline.sources.files import is_url, receive
from pipeline.sources.http.client import Http
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.remote_raster import open_remote

if TYPE_CHECKING:
    from rasterio import DatasetReader

    from pipeline.imagery.scene import Scene, Stretch

#: Previews that can be drawn at a time.
MOST = 64
#: Longest side in pixels of a copy.
SIDE = 3072
#: A raster of up to this many pixels is drawn from its own file, tiled or not.
SMALL = 50_000_000
#: Uploads and copies that have not been changed for this long are removed.
EXPIRY_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Bands:
    """The bands of a raster that a user can choose from.

    Attributes:
        names: A name for each band, the first one first.
        shown: 1-based bands that the raster itself suggests.
        full: Smallest and largest value of its type, or None for floating point.
        ready_made: Whether the suggested bands are 8-bit RGB or grey, which is shown as stored.
    """

    names: tuple[str, ...]
    shown: tuple[int, int, int]
    full: tuple[float, float] | None
    ready_made: bool = False


class Previews:
    """The previews that this server draws, the latest `MOST` of them.

    Args:
        home: Lookalike's home; copies and uploads are stored below it.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self._scenes: OrderedDict[str, Scene] = OrderedDict()
        self._mutex = threading.Lock()

    @property
    def uploads(self) -> Path:
        """Folder of what users upload."""
        return self._home / "uploads"

    def keep_uploads(self, files: Sequence[tuple[BinaryIO, str]]) -> list[Path]:
        """Write uploads to one folder, so that world files are beside their rasters.

        Args:
            files: The content of each and its name.

        Raises:
            InputError: If one is empty or larger than the operator allows.
            StorageError: If the disk is full.
        """
        _remove_old(self.uploads)
        folder = self.uploads / secrets.token_hex(8)
        return [receive(stream, name, folder) for stream, name in files]

    def bands(self, location: str) -> Bands:
        """The bands of a raster.

        Raises:
            SceneError: If it cannot be used.
            ServiceError: If its address cannot be read.
        """
        with _open(location) as dataset:
            kind = np.dtype(dataset.dtypes[0])
            limits = None if kind.kind == "f" else np.iinfo(kind)
            shown = display_bands(dataset, None, Path(location).name)
            return Bands(
                names=tuple(_band_name(dataset, band) for band in dataset.indexes),
                shown=shown,
                full=(float(limits.min), float(limits.max)) if limits else None,
                ready_made=is_ready_made(dataset, shown),
            )

    def open_all(
        self,
        locations: Sequence[str],
        bands: Sequence[int] | None = None,
        stretch: Stretch | None = None,
        *,
        percentile: bool = False,
        source: str = "raster",
        stretches: Mapping[str, Stretch] | None = None,
        most: int = MOST,
    ) -> list[tuple[str, Scene]]:
        """Start previews of rasters as one collection of them shows them.

        Args:
            locations: Paths or addresses; the caller has checked that they may be opened.
            bands: 1-based bands to show, or None for the default.
            stretch: How to show them, or None for the automatic one.
            percentile: Whether 8-bit RGB is stretched by percentiles, too.
            source: Kind of source that they come from.
            stretches: Stretches of the collection that they are added to, by sensor; None if it
                stretches each scene.
            most: Number of previews; the other local files only have a part in the stretch.

        Returns:
            Each preview's id and its scene, which may be a coarser copy.

        Raises:
            SceneError: If one cannot be used.
            ServiceError: If an address cannot be read.
        """
        # A collection of 0.1.0 stretches each of its scenes, 8-bit RGB too.
        percentile = percentile or stretches is None
        look = partial(self._scene, bands=bands, stretch=stretch, percentile=percentile)
        scenes = [look(location, source=source) for location in locations[:most]]
        if stretches is not None and any(scene.stretch_from == SCENE for scene in scenes):
            others = [location for location in locations[most:] if not is_url(location)]
            pool = {s.id: s for s in [*scenes, *(look(other, source=source) for other in others)]}
            measured = [(scene, partial(levels_of, scene)) for scene in pool.values()]
            stretches = {**stretches, **settle(measured, stretches)}
        shown = [_following(scene, stretches or {}) for scene in scenes]
        return [(self._keep(*each), each[1]) for each in zip(locations, shown, strict=False)]

    def open(
        self,
        location: str,
        bands: Sequence[int] | None = None,
        stretch: Stretch | None = None,
        *,
        percentile: bool = False,
    ) -> tuple[str, Scene]:
        """Start a preview of one raster, as a collection of it alone shows it.

        Args:
            location: Path or address; the caller has checked that it may be opened.
            bands: 1-based bands to show, or None for the default.
            stretch: How to show them, or None for the automatic one.
            percentile: Whether 8-bit RGB is stretched by percentiles, too.

        Returns:
            The preview's id and its scene, which may be a coarser copy.

        Raises:
            SceneError: If it cannot be used.
            ServiceError: If its address cannot be read.
        """
        return self.open_all([location], bands, stretch, percentile=percentile, stretches={})[0]

    def _scene(
        self,
        location: str,
        *,
        bands: Sequence[int] | None,
        stretch: Stretch | None,
        percentile: bool,
        source: str,
    ) -> Scene:
        return open_scene(
            SceneInput(
                self._readable(location),
                bands=tuple(bands) if bands else None,
                stretch=stretch,
                title=Path(location).stem,
                source=source,
                percentile=percentile,
            )
        )

    def _keep(self, location: str, scene: Scene) -> str:
        """Keep a scene to draw, and return the preview's id."""
        preview_id = hashlib.sha256(repr((location, scene)).encode()).hexdigest()[:16]
        with self._mutex:
            self._scenes[preview_id] = scene
            self._scenes.move_to_end(preview_id)
            while len(self._scenes) > MOST:
                self._scenes.popitem(last=False)
        return preview_id

    def scene(self, preview_id: str) -> Scene:
        """The scene of a preview.

        Raises:
            NotFoundError: If no preview has this id, or later ones replaced it.
        """
        scene = self._scenes.get(preview_id)
        if scene is None:
            raise NotFoundError(
                "This preview has expired", where=preview_id[:40], remedy="Reload the page"
            )
        return scene

    def _readable(self, location: str) -> Path:
        """The file to draw from: the raster's own, or a coarser or coloured copy of it."""
        from rasterio.enums import ColorInterp

        with _open(location) as dataset:
            pixels = dataset.width * dataset.height
            small = pixels <= SMALL or dataset.overviews(1)
            palette = not is_url(location) and ColorInterp.palette in dataset.colorinterp
            if not is_url(location) and small and not palette:
                return Path(location)
            stamp = "" if is_url(location) else str(Path(location).stat().st_mtime_ns)
            key = hashlib.sha256(f"{location} {stamp}".encode()).hexdigest()[:16]
            folder = self._home / "looks"  # the folder's name in version 0.1.0
            path = folder / f"{key}.tif"
            if not path.exists():
                _remove_old(folder)
                if palette:  # the copy that a build makes has colours in place of numbers
                    write_cog(Path(location), path)
                else:
                    _copy(dataset, path)
            return path


def _following(scene: Scene, stretches: Mapping[str, Stretch]) -> Scene:
    """A scene with the stretch of its sensor."""
    stretch = stretches.get(scene.sensor)
    if scene.stretch_from == GIVEN or stretch is None:
        return scene
    return replace(scene, stretch=stretch, stretch_from=SENSOR)


def _open(location: str) -> AbstractContextManager[DatasetReader]:
    """A raster at a path or an address, opened with the checks of its source."""
    if is_url(location):
        return open_remote(RangeFile(Http(), location))
    return open_raster(Path(location))


def _copy(dataset: DatasetReader, path: Path) -> None:
    """Write a coarser copy of all bands, with the same values and nodata, and with overviews."""
    from affine import Affine
    from rasterio.enums import MaskFlags, Resampling

    step = max(1.0, max(dataset.width, dataset.height) / SIDE)
    width, height = (max(1, math.floor(n / step)) for n in (dataset.width, dataset.height))
    if dataset.crs is None:
        raise SceneError(
            "This raster has no coordinate reference system",
            where=path.name,
            remedy="Give it a coordinate system, for example with gdal_edit.py -a_srs",
        )
    masked = MaskFlags.per_dataset in dataset.mask_flag_enums[0]
    with geotiff.write(
        path,
        width=width,
        height=height,
        count=dataset.count,
        dtype=dataset.dtypes[0],
        crs=dataset.crs,
        transform=dataset.transform @ Affine.scale(dataset.width / width, dataset.height / height),
        nodata=dataset.nodata,
    ) as out:
        out.colorinterp = dataset.colorinterp
        for band in dataset.indexes:
            out.write(dataset.read(band, out_shape=(height, width)), band)
            out.set_band_description(band, dataset.descriptions[band - 1] or "")
        if masked:
            out.write_mask(dataset.dataset_mask(out_shape=(height, width)))
        out.build_overviews([2, 4, 8], Resampling.average)


def _band_name(dataset: DatasetReader, band: int) -> str:
    from rasterio.enums import ColorInterp

    given = dataset.descriptions[band - 1]
    kind = dataset.colorinterp[band - 1]
    unnamed = kind in (ColorInterp.undefined, ColorInterp.gray) and dataset.count > 1
    name = given or ("" if unnamed else kind.name)
    return f"{band} · {name}" if name else str(band)


def _remove_old(folder: Path) -> None:
    """Remove what is in a folder and has not been changed for `EXPIRY_SECONDS`."""
    if not folder.is_dir():
        return
    for path in folder.iterdir():
        with suppress(FileNotFoundError):  # another session cleans up, too
            if time.time() - path.stat().st_mtime > EXPIRY_SECONDS:
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()
