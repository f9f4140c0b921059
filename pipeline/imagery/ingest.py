"""Rasters brought in as scenes: described, checked and kept as a COG with a STAC Item."""

from __future__ import annotations

import hashlib
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pipeline.errors import DamagedError, NewerError, NotFoundError, SceneError
from pipeline.files import replacing, write_json
from pipeline.geo.footprint import Georeference, footprint, gsd
from pipeline.imagery.cog import write_cog
from pipeline.imagery.formats import check_whole, georeference, open_raster
from pipeline.imagery.metadata import (
    crs_text,
    date_in,
    display_bands,
    numeric_type,
    tagged_date,
    utc,
)
from pipeline.imagery.nodata import (
    equals_nodata,
    is_ambiguous,
    reaching_border,
    read_bands,
    valid_pixels,
)
from pipeline.imagery.scene import Scene, Stretch, load_scene
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from rasterio import DatasetReader


#: Longest side, in pixels, of the decimated raster from which the stretch is taken.
DECIMATED_SIDE = 1024
_PERCENTILES = (2.0, 98.0)
#: Fingerprints by path, size and modification time: a build opens each raster twice.
_fingerprints: dict[tuple[Path, int, int], str] = {}


@dataclass(frozen=True)
class SceneInput:
    """A raster to make a scene of: what sources fetch, builds take and `ingest` describes.

    Attributes:
        path: A GeoTIFF, COG, JPEG 2000, or PNG or JPEG with a world file.
        bands: 1-based bands shown as red, green and blue; one is shown as grey.  By default the
            colour interpretation decides, else 1, 2, 3; a raster of one or two bands is grey.
        stretch: Display stretch; by default the 2% and 98% levels over the scene.
        title: What people call it; by default the file's name.
        datetime: Acquisition time, ISO 8601, UTC where no zone is given.  By default what the
            raster's acquisition tags say, else a day in its name (`…_20160816.tif`); the TIFF's
            own date, when it was written, is not used.
        source: Kind of source: "raster", "sample", "earth_engine", ...
        source_url: Where it came from, without secrets; by default the name of the file without
            its folder, as collections are shared.
        license: Licence and credit.
        crs: CRS to assume where the raster has none.
    """

    path: Path
    bands: tuple[int, ...] | None = None
    stretch: Stretch | None = None
    title: str | None = None
    datetime: str | None = None
    source: str = "raster"
    source_url: str | None = None
    license: str = ""
    crs: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        plain = {
            **vars(self),
            "path": str(self.path.absolute()),
            "bands": list(self.bands) if self.bands else None,
            "stretch": [list(self.stretch.low), list(self.stretch.high)] if self.stretch else None,
        }
        if self.crs is None:
            del plain["crs"]
        return plain

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SceneInput:
        """The value that `to_dict` wrote."""
        return cls(
            **{
                **data,
                "path": Path(data["path"]),
                "bands": tuple(data["bands"]) if data["bands"] else None,
                "stretch": Stretch.of(data["stretch"]) if data["stretch"] else None,
            }
        )


def open_scene(given: SceneInput, progress: OnProgress = silent) -> Scene:
    """Check that a raster can be used, and describe it where it is.

    Args:
        given: The raster, and how it is shown and described.
        progress: Called with the bytes read while the content is fingerprinted.

    Raises:
        SceneError: If the raster cannot be used; says why and what to do.
    """
    from rasterio.errors import RasterioError

    path = given.path.expanduser().absolute()
    with open_raster(path) as dataset:
        own_crs, transform, _ = georeference(dataset, path, given.crs)
        dtype = numeric_type(dataset, path)
        check_whole(dataset, path)
        bands = display_bands(dataset, given.bands, path)
        nodata = None if dataset.nodata is None else float(dataset.nodata)
        try:
            data, valid = read_decimated(dataset, bands, nodata)
        except RasterioError as error:
            raise SceneError(
                "The raster is damaged: it cannot be read to its end",
                where=path,
                remedy="Copy or download it again",
            ) from error
        if not valid.any():
            raise SceneError(
                "No pixel of the raster holds data",
                where=path,
                remedy="Choose another scene, or correct its nodata value",
            )
        content = _fingerprint(path, progress)
        if given.stretch is not None or bands != display_bands(dataset, None, path):
            # Shown differently it is another scene: its chips have other pixels.  Ids of existing
            # scenes depend on this text, which holds the repr of `Stretch`.
            shown = f"{content} {bands} {given.stretch}"
            content = hashlib.sha256(shown.encode()).hexdigest()
        placement = Georeference(crs_text(own_crs), tuple(transform)[:6])
        width, height = dataset.width, dataset.height
        footprint(placement, width, height)  # raises where the georeference leads nowhere
        return Scene(
            id=f"{_slug(path.stem)}-{content[:8]}",
            path=str(path),
            title=given.title or path.stem,
            crs=placement.crs,
            transform=placement.transform,
            width=width,
            height=height,
            dtype=dtype,
            count=dataset.count,
            bands=bands,
            stretch=given.stretch or percentile_stretch(data, valid),
            nodata=nodata,
            gsd=gsd(placement, width, height),
            datetime=utc(given.datetime or tagged_date(dataset) or date_in(path.stem), path),
            source=given.source,
            source_url=given.source_url if given.source_url is not None else path.name,
            license=given.license,
        )


def ingest(given: SceneInput, folder: Path, progress: OnProgress = silent) -> Scene:
    """Bring a raster into a folder as `<id>.tif`, a COG, with `<id>.json`, a STAC Item.

    The same content shown the same way is one scene: one that exists is returned as it is.
    Values are kept exactly; a COG is copied byte for byte.

    Args:
        given: The raster, and how it is shown and described.
        folder: Folder of a collection's scenes, made if need be.
        progress: Called with the bytes read and written; raising from it stops and leaves nothing.

    Raises:
        SceneError: If the raster cannot be used.
        StorageError: If the disk is full or not writable.
    """
    if existing := _already_in(folder, given):
        return existing
    scene = open_scene(given, progress)
    try:
        existing = load_scene(folder, scene.id)
    except NewerError:
        raise
    except (NotFoundError, DamagedError):
        existing = None
    if existing is not None and Path(existing.path).exists():
        return existing
    target = folder / f"{scene.id}.tif"
    with replacing(target) as temporary:
        write_cog(Path(scene.path), temporary, crs=given.crs, progress=progress)
        kept = _describe_stored(temporary, scene, given.stretch)
    write_json(folder / f"{scene.id}.json", replace(kept, path=f"./{target.name}").to_item())
    return replace(kept, path=str(target.absolute()))


def _already_in(folder: Path, given: SceneInput) -> Scene | None:
    """The scene that is this very file of the folder, if it is to be shown the same way."""
    if given.path.absolute().parent != folder.absolute():
        return None
    try:
        scene = load_scene(folder, given.path.stem)
    except NewerError:
        raise
    except (NotFoundError, DamagedError):
        return None
    same = given.bands in (None, scene.bands) and given.stretch in (None, scene.stretch)
    return scene if same else None


def _describe_stored(path: Path, scene: Scene, stretch: Stretch | None) -> Scene:
    """The description of what was written: a palette has become bands of its own."""
    with open_raster(path) as dataset:
        if (dataset.width, dataset.height) != (scene.width, scene.height):
            raise SceneError(
                "The raster changed while it was read", where=scene.path, remedy="Try again"
            )
        if dataset.count == scene.count:
            return scene
        nodata = dataset.nodata
        bands = display_bands(dataset, None, path)
        shown = stretch or percentile_stretch(*read_decimated(dataset, bands, nodata))
        return replace(scene, count=dataset.count, bands=bands, nodata=nodata, stretch=shown)


def _slug(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "scene"


def _fingerprint(path: Path, progress: OnProgress) -> str:
    """SHA-256 of a file, computed once for each state of it."""
    stat = path.stat()
    key = path, stat.st_size, stat.st_mtime_ns
    if key not in _fingerprints:
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as handle:
            while piece := handle.read(8 << 20):
                digest.update(piece)
                done += len(piece)
                progress(Progress("Reading", done, stat.st_size, "bytes", path.name))
        _fingerprints[key] = digest.hexdigest()
    return _fingerprints[key]


def read_decimated(
    dataset: DatasetReader, bands: tuple[int, int, int], nodata: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """The whole raster, decimated: bands (3, h, w) as stored, and where they hold data (h, w)."""
    step = max(1, math.ceil(max(dataset.width, dataset.height) / DECIMATED_SIDE))
    shape = (max(1, dataset.height // step), max(1, dataset.width // step))
    data, mask = read_bands(dataset, bands, None, shape)
    dtype = dataset.dtypes[0]
    valid = valid_pixels(data, mask, nodata, dtype)
    if is_ambiguous(nodata):
        valid &= ~reaching_border(equals_nodata(data, nodata, dtype))
    return np.broadcast_to(data, (3, *shape)), valid


def percentile_stretch(data: np.ndarray, valid: np.ndarray) -> Stretch:
    """From the 2% to the 98% level of each display band over valid pixels, never equal."""
    lows, highs = [], []
    for band in data:
        low, high = (float(level) for level in np.percentile(band[valid], _PERCENTILES))
        if not high > low:
            low, high = float(band[valid].min()), float(band[valid].max())
        lows.append(low)
        highs.append(high if high > low else low + max(1.0, abs(low) * 1e-3))
    return Stretch.of((lows, highs))
