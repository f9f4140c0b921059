"""Rasters brought in as scenes: described, checked and kept as a COG with a STAC Item."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from pipeline.errors import DamagedError, SceneError
from pipeline.imagery.nodata import (
    ambiguous,
    equals,
    measured,
    reaching_border,
    read_bands,
)

if TYPE_CHECKING:
    from rasterio import DatasetReader


import hashlib
import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import NewerError, NotFoundError
from pipeline.files import replacing, write_json
from pipeline.geo.footprint import Grounds, gsd
from pipeline.imagery.cog import write_cog
from pipeline.imagery.formats import check_whole, georeference, is_url, open_raster
from pipeline.imagery.metadata import (
    crs_text,
    date_in,
    display_bands,
    numeric_type,
    tagged_date,
    utc,
)
from pipeline.imagery.scene import Scene, Stretch, load_scene
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    pass


def open_scene(
    path: str | Path,
    *,
    bands: Sequence[int] | None = None,
    stretch: Stretch | None = None,
    datetime: str | None = None,
    title: str | None = None,
    source: str = "raster",
    source_url: str | None = None,
    license: str = "",
    crs: str | None = None,
    progress: OnProgress | None = None,
) -> Scene:
    """Describe a raster where it is, having checked that it can be used.

    Args:
        path: A GeoTIFF, COG, JPEG 2000, or PNG or JPEG with a world file; or an https address.
        bands: 1-based bands shown as red, green and blue; one is shown as grey.  By default the
            colour interpretation decides, else 1, 2, 3; a raster of one or two bands is grey.
        stretch: Display stretch; by default the 2 % and 98 % levels over the scene.
        datetime: Acquisition time, ISO 8601, UTC where no zone is given.  By default what the
            raster's acquisition tags say, else a day in its name (`…_20160816.tif`); the TIFF's
            own date, when it was written, is not used.
        title: What people call it; by default the file's name.
        source: Kind of source.
        source_url: Where it came from; by default the address, or the name of the file without
            its folder, as collections are shared.
        license: Licence and credit.
        crs: CRS to assume where the raster has none.
        progress: Told of bytes read while the content is fingerprinted.

    Raises:
        SceneError: If the raster cannot be used; says why and what to do.
    """
    from rasterio.errors import RasterioError

    place: str | Path = str(path) if is_url(str(path)) else Path(path).expanduser().absolute()
    with open_raster(place) as dataset:
        own_crs, transform, _ = georeference(dataset, place, crs)
        dtype = numeric_type(dataset, place)
        if isinstance(place, Path):
            check_whole(dataset, place)
        chosen = display_bands(dataset, bands, place)
        nodata = dataset.nodata
        nodata = None if nodata is None else float(nodata)
        try:
            data, valid = sample(dataset, chosen, nodata)
        except RasterioError as error:
            raise SceneError(
                "The raster is damaged: it cannot be read to its end",
                where=place,
                remedy="Copy or download it again",
            ) from error
        if not valid.any():
            raise SceneError(
                "No pixel of the raster holds data",
                where=place,
                remedy="Choose another scene, or correct its nodata value",
            )
        if stretch is None:
            low, high = percentiles(data, valid)
            measured = Stretch((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        else:
            measured = stretch
        if isinstance(place, Path):
            content = _fingerprint(place, progress or silent)
        else:
            content = hashlib.sha256(str(place).encode() + data.tobytes()).hexdigest()
        if stretch is not None or chosen != display_bands(dataset, None, place):
            # Shown differently it is another scene: its chips have other pixels.
            shown = f"{content} {chosen} {stretch}"
            content = hashlib.sha256(shown.encode()).hexdigest()
        grounds = Grounds(crs_text(own_crs), tuple(transform)[:6])
        stem = Path(str(place).split("?", maxsplit=1)[0]).stem
        scene = Scene(
            id=f"{_slug(stem)}-{content[:8]}",
            path=str(place),
            title=title or stem,
            crs=grounds.crs,
            transform=grounds.transform,
            width=dataset.width,
            height=dataset.height,
            dtype=dtype,
            count=dataset.count,
            bands=chosen,
            stretch=measured,
            nodata=nodata,
            gsd=0.0,
            datetime=utc(datetime or tagged_date(dataset) or date_in(stem), place),
            source=source,
            source_url=source_url if source_url is not None else _origin(place),
            license=license,
        )
    assert scene.footprint  # raises where the georeference leads nowhere
    return replace(scene, gsd=gsd(grounds, scene.width, scene.height))


def ingest(
    path: str | Path,
    folder: Path,
    *,
    progress: OnProgress | None = None,
    **described: Any,
) -> Scene:
    """Bring a raster into a folder as `<id>.tif`, a COG, with `<id>.json`, a STAC Item.

    The same content shown the same way is one scene: it is taken as it is where it exists.
    Values are kept exactly; a COG is copied byte for byte.

    Args:
        path: As `open_scene`; an address is read where it is and only described.
        folder: Folder of a collection's scenes, made if need be.
        progress: Told of bytes read and written; raising from it stops and leaves nothing.
        **described: As `open_scene`.

    Raises:
        SceneError: If the raster cannot be used.
        StorageError: If the disk is full or not writable.
    """
    told = progress or silent
    if kept := _already_in(folder, path, described):
        return kept
    found = open_scene(path, progress=told, **described)
    try:
        existing = load_scene(folder, found.id)
    except NewerError:
        raise
    except (NotFoundError, DamagedError):
        existing = None
    if existing is not None and (is_url(existing.path) or Path(existing.path).exists()):
        return existing
    if is_url(found.path):
        write_json(folder / f"{found.id}.json", found.to_item())
        return found
    target = folder / f"{found.id}.tif"
    with replacing(target) as temporary:
        write_cog(Path(found.path), temporary, crs=described.get("crs"), progress=told)
        kept = _as_kept(temporary, found, described.get("stretch"))
    write_json(folder / f"{found.id}.json", replace(kept, path=f"./{target.name}").to_item())
    return replace(kept, path=str(target.absolute()))


def _already_in(folder: Path, path: str | Path, described: Mapping[str, Any]) -> Scene | None:
    """The scene that is this very file of the folder, if it is to be shown the same way."""
    if is_url(str(path)) or Path(path).absolute().parent != folder.absolute():
        return None
    try:
        scene = load_scene(folder, Path(path).stem)
    except (NotFoundError, DamagedError):
        return None
    bands, stretch = described.get("bands"), described.get("stretch")
    same = bands in (None, scene.bands) and stretch in (None, scene.stretch)
    return scene if same else None


def _as_kept(path: Path, found: Scene, stretch: Stretch | None) -> Scene:
    """The description of what was written, whose bands differ where a palette was spelt out."""
    with open_raster(path) as dataset:
        if (dataset.width, dataset.height) != (found.width, found.height):
            raise SceneError(
                "The raster changed while it was read", where=found.path, remedy="Try again"
            )
        if dataset.count == found.count:
            return found
        nodata = dataset.nodata
        bands = display_bands(dataset, None, path)
        low, high = percentiles(*sample(dataset, bands, nodata))
        shown = stretch or Stretch((low[0], low[1], low[2]), (high[0], high[1], high[2]))
        return replace(found, count=dataset.count, bands=bands, nodata=nodata, stretch=shown)


def _slug(stem: str) -> str:
    plain = unicodedata.normalize("NFKD", stem).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:40].strip("-") or "scene"


def _origin(place: str | Path) -> str:
    return place.name if isinstance(place, Path) else place


def _fingerprint(path: Path, progress: OnProgress) -> str:
    stat = path.stat()
    return _hashed(path, stat.st_size, stat.st_mtime_ns, progress)


@lru_cache(maxsize=64)
def _remembered(path: Path, size: int, age: int) -> list[str]:
    """A place to keep the fingerprint of one state of a file."""
    return []


def _hashed(path: Path, size: int, age: int, progress: OnProgress) -> str:
    known = _remembered(path, size, age)
    if not known:
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as handle:
            while piece := handle.read(8 << 20):
                digest.update(piece)
                done += len(piece)
                progress(Progress("Reading", done, size, "bytes", path.name))
        known.append(digest.hexdigest())
    return known[0]


#: Longest side of the decimated picture from which the stretch is taken.
SAMPLE_SIDE = 1024


_PERCENTILES = (2.0, 98.0)


def sample(
    dataset: DatasetReader, bands: tuple[int, int, int], nodata: float | None
) -> tuple[np.ndarray, np.ndarray]:
    """A decimated picture of the whole raster: bands (3, h, w) as stored, and where data is."""
    step = max(1, math.ceil(max(dataset.width, dataset.height) / SAMPLE_SIDE))
    shape = (max(1, dataset.height // step), max(1, dataset.width // step))
    data, mask = read_bands(dataset, bands, None, shape)
    dtype = dataset.dtypes[0]
    valid = measured(data, mask, nodata, dtype)
    if ambiguous(nodata):
        valid &= ~reaching_border(equals(data, nodata, dtype))
    return np.broadcast_to(data, (3, *shape)), valid


def percentiles(data: np.ndarray, valid: np.ndarray) -> tuple[list[float], list[float]]:
    """The 2 % and 98 % levels of each display band over valid pixels, never equal."""
    lows, highs = [], []
    for band in data:
        low, high = (float(level) for level in np.percentile(band[valid], _PERCENTILES))
        if not high > low:
            low, high = float(band[valid].min()), float(band[valid].max())
        lows.append(low)
        highs.append(high if high > low else low + max(1.0, abs(low) * 1e-3))
    return lows, highs
