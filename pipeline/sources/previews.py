"""Looks: rasters shown on a map before anything is built from them.

A look is a scene with its bands and stretch.  The map asks for its tiles by the look's id, which
only this server hands out; no path or address from a request is ever opened.

What is quick to draw from where it lies is drawn from there.  A large raster without overviews,
or one at an address, is first copied at a coarser resolution, once.
"""

from __future__ import annotations

import hashlib
import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from pipeline.errors import NotFoundError, SceneError
from pipeline.imagery import geotiff
from pipeline.imagery.formats import open_raster
from pipeline.imagery.ingest import SceneInput, open_scene
from pipeline.imagery.metadata import display_bands
from pipeline.sources.files import is_url, receive
from pipeline.sources.http.client import Http
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.remote_raster import open_remote

if TYPE_CHECKING:
    from rasterio import DatasetReader

    from pipeline.imagery.scene import Scene, Stretch

KEPT = 64
#: Longest side in pixels of a copy.
SIDE = 3072
#: A raster of up to this many pixels is drawn from where it lies, tiled or not.
SMALL = 50_000_000
#: Uploads and copies nobody has used for so long are removed.
KEPT_SECONDS = 7 * 86_400


@dataclass(frozen=True)
class Bands:
    """What a user can choose from.

    Attributes:
        names: A name for each band, the first one first.
        shown: 1-based bands that the raster itself suggests.
        full: Least and greatest value of its type, or None for floating point.
    """

    names: tuple[str, ...]
    shown: tuple[int, int, int]
    full: tuple[float, float] | None


class Previews:
    """The looks this server shows, the latest `KEPT` of them.

    Args:
        home: Folder of everything; copies and uploads lie below it.
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
        """Write uploads to disk, in one folder, so that world files lie beside their pictures.

        Args:
            files: The content of each and its name.

        Raises:
            InputError: If one is empty or larger than the operator allows.
            StorageError: If the disk is full.
        """
        _remove_old(self.uploads)
        folder = self.uploads / secrets.token_hex(8)
        return [receive(stream, name, folder) for stream, name in files]

    def bands(self, place: str) -> Bands:
        """The bands of a raster.

        Raises:
            SceneError: If it cannot be used.
            ServiceError: If its address cannot be read.
        """
        import numpy as np

        with _opened(place) as dataset:
            kind = np.dtype(dataset.dtypes[0])
            limits = None if kind.kind == "f" else np.iinfo(kind)
            return Bands(
                names=tuple(_band_name(dataset, band) for band in dataset.indexes),
                shown=display_bands(dataset, None, Path(place).name),
                full=(float(limits.min), float(limits.max)) if limits else None,
            )

    def open(
        self, place: str, bands: Sequence[int] | None = None, stretch: Stretch | None = None
    ) -> tuple[str, Scene]:
        """Take a raster into the looks.

        Args:
            place: Path or address; the caller has checked that it may be opened.
            bands: 1-based bands to show, or None for the default.
            stretch: How to show them, or None for the scene's own levels.

        Returns:
            The look's id and its scene, which may be a coarser copy.

        Raises:
            SceneError: If it cannot be used.
            ServiceError: If its address cannot be read.
        """
        quick = self._quick(place)
        scene = open_scene(
            SceneInput(
                quick,
                bands=tuple(bands) if bands else None,
                stretch=stretch,
                title=Path(place).stem,
            )
        )
        token = hashlib.sha256(repr((place, scene)).encode()).hexdigest()[:16]
        with self._mutex:
            self._scenes[token] = scene
            self._scenes.move_to_end(token)
            while len(self._scenes) > KEPT:
                self._scenes.popitem(last=False)
        return token, scene

    def scene(self, token: str) -> Scene:
        """The scene of a look.

        Raises:
            NotFoundError: If there is none, or it was long ago.
        """
        scene = self._scenes.get(token)
        if scene is None:
            raise NotFoundError(
                "This picture is no longer kept", where=token[:40], remedy="Reload the page"
            )
        return scene

    def _quick(self, place: str) -> Path:
        """The file to draw from: the raster's own, or a coarser copy of it."""
        with _opened(place) as dataset:
            pixels = dataset.width * dataset.height
            if not is_url(place) and (pixels <= SMALL or dataset.overviews(1)):
                return Path(place)
            stamp = "" if is_url(place) else str(Path(place).stat().st_mtime_ns)
            key = hashlib.sha256(f"{place} {stamp}".encode()).hexdigest()[:16]
            folder = self._home / "looks"
            path = folder / f"{key}.tif"
            if not path.exists():
                _remove_old(folder)
                _copy(dataset, path)
            return path


def _opened(place: str) -> AbstractContextManager[DatasetReader]:
    """A raster at a path or an address, opened with every guard its source has."""
    if not is_url(place):
        return open_raster(Path(place))
    return _remote(place)


def _remote(place: str) -> AbstractContextManager[DatasetReader]:
    return open_remote(RangeFile(Http(), place))


def _copy(dataset: DatasetReader, path: Path) -> None:
    """A coarser copy of all bands, as values and nodata are, tiled and with overviews."""
    from affine import Affine
    from rasterio.enums import MaskFlags, Resampling

    step = max(1.0, max(dataset.width, dataset.height) / SIDE)
    width, height = (max(1, math.floor(n / step)) for n in (dataset.width, dataset.height))
    if dataset.crs is None:
        raise SceneError(
            "This raster does not say where on Earth it is",
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
    plain = kind in (ColorInterp.undefined, ColorInterp.gray) and dataset.count > 1
    name = given or ("" if plain else kind.name)
    return f"{band} · {name}" if name else str(band)


def _remove_old(folder: Path) -> None:
    """Remove what lies in a folder and has not been touched for long."""
    import shutil

    if not folder.is_dir():
        return
    for path in folder.iterdir():
        if time.time() - path.stat().st_mtime > KEPT_SECONDS:
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
