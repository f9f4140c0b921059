"""Rasters brought in as scenes: described, checked and kept as a COG with a STAC Item."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.errors import DamagedError, NewerError, NotFoundError, SceneError
from pipeline.files import replacing, write_json
from pipeline.geo.footprint import Georeference, footprint, gsd
from pipeline.imagery.brightness import Levels, is_ready_made, measure, read_decimated
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
from pipeline.imagery.scene import (
    AS_STORED,
    GIVEN,
    SCENE,
    SENSOR,
    Scene,
    Stretch,
    load_scene,
    sensor_text,
)
from pipeline.progress import OnProgress, Progress, silent

if TYPE_CHECKING:
    from rasterio import DatasetReader

#: Fingerprints by path, size and modification time: a build opens each raster twice.
_fingerprints: dict[tuple[Path, int, int], str] = {}
#: Levels by path, size, modification time and bands, for the same reason.
_levels: dict[tuple[Path, int, int, tuple[int, int, int]], Levels] = {}


@dataclass(frozen=True)
class SceneInput:
    """A raster to make a scene of: what sources fetch, builds take and `ingest` describes.

    Attributes:
        path: A GeoTIFF, COG, JPEG 2000, or PNG or JPEG with a world file.
        bands: 1-based bands shown as red, green and blue; one is shown as grey.  By default the
            colour interpretation decides, else 1, 2, 3; a raster of one or two bands is grey.
        stretch: Display stretch; by default 8-bit RGB is shown as stored, and the rest from the 2%
            to the 98% level, in a collection that of all scenes of its sensor.
        title: What people call it; by default the file's name.
        datetime: Acquisition time, ISO 8601, UTC where no zone is given.  By default what the
            raster's acquisition tags say, else a day in its name (`…_20160816.tif`); the TIFF's
            own date, when it was written, is not used.
        source: Kind of source: "raster", "sample", "earth_engine", ...
        source_url: Where it came from, without secrets; by default the name of the file without
            its folder, as collections are shared.
        license: Licence and credit.
        crs: CRS to assume where the raster has none.
        percentile: Whether 8-bit RGB is stretched by percentiles, too.
        sensor: The sensor, or the service's collection of its images; by default what the raster's
            tags name.  Scenes of one sensor share a stretch.
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
    percentile: bool = False
    sensor: str = ""

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        plain = {
            **vars(self),
            "path": str(self.path.absolute()),
            "bands": list(self.bands) if self.bands else None,
            "stretch": [list(self.stretch.low), list(self.stretch.high)] if self.stretch else None,
        }
        optional = {"crs": None, "percentile": False, "sensor": ""}
        return {k: v for k, v in plain.items() if k not in optional or v != optional[k]}

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
    path = given.path.expanduser().absolute()
    with open_raster(path) as dataset:
        own_crs, transform, _ = georeference(dataset, path, given.crs)
        dtype = numeric_type(dataset, path)
        check_whole(dataset, path)
        bands = display_bands(dataset, given.bands, path)
        nodata = None if dataset.nodata is None else float(dataset.nodata)
        levels = _levels_in(dataset, path, bands, nodata)
        stretch, stretch_from = _shown(dataset, given, bands, levels)
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
            stretch=stretch,
            nodata=nodata,
            gsd=gsd(placement, width, height),
            datetime=utc(given.datetime or tagged_date(dataset) or date_in(path.stem), path),
            source=given.source,
            source_url=given.source_url if given.source_url is not None else path.name,
            license=given.license,
            sensor=_sensor(dataset, given, bands),
            stretch_from=stretch_from,
        )


def levels_of(scene: Scene) -> Levels:
    """The values of a scene's display bands.

    Raises:
        SceneError: If its raster cannot be read.
    """
    path = Path(scene.path)
    with open_raster(path) as dataset:
        return _levels_in(dataset, path, scene.bands, scene.nodata)


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
        kept = _describe_stored(temporary, scene)
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


def _describe_stored(path: Path, scene: Scene) -> Scene:
    """The description of what was written: a palette has become bands of its own."""
    with open_raster(path) as dataset:
        if (dataset.width, dataset.height) != (scene.width, scene.height):
            raise SceneError(
                "The raster changed while it was read", where=scene.path, remedy="Try again"
            )
        if dataset.count == scene.count:
            return scene
        bands = display_bands(dataset, None, path)
        return replace(scene, count=dataset.count, bands=bands, nodata=dataset.nodata)


def _levels_in(
    dataset: DatasetReader, path: Path, bands: tuple[int, int, int], nodata: float | None
) -> Levels:
    """The levels of an open raster, measured once for each state of its file."""
    from rasterio.errors import RasterioError

    stat = path.stat()
    key = path, stat.st_size, stat.st_mtime_ns, bands
    if key not in _levels:
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
        _levels[key] = measure(data, valid)
    return _levels[key]


def _shown(
    dataset: DatasetReader, given: SceneInput, bands: tuple[int, int, int], levels: Levels
) -> tuple[Stretch, str]:
    """The stretch of a raster by itself, and where it comes from."""
    if given.stretch is not None:
        return given.stretch, GIVEN
    if is_ready_made(dataset, bands) and not (given.percentile and not _has_palette(dataset)):
        return AS_STORED, SENSOR
    return levels.own, SCENE


def _sensor(dataset: DatasetReader, given: SceneInput, bands: tuple[int, int, int]) -> str:
    name = given.sensor or dataset.tags(ns="IMAGERY").get("SATELLITEID", "").strip()
    kind = "palette" if _has_palette(dataset) else dataset.dtypes[0]
    return sensor_text(given.source, name, kind, bands, dataset.count)


def _has_palette(dataset: DatasetReader) -> bool:
    from rasterio.enums import ColorInterp

    return ColorInterp.palette in dataset.colorinterp


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
