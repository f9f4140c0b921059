"""Files and URLs: rasters that the user brings.

A local file is used where it is.  Only the part of an https GeoTIFF under the area is read;
without an area the whole file is downloaded.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit

from pipeline.dates import Dates
from pipeline.errors import InputError, NotFoundError, SceneError, ServiceError
from pipeline.files import replacing
from pipeline.geo.area import Area
from pipeline.imagery.formats import open_raster
from pipeline.imagery.geotiff import readable
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.metadata import date_in
from pipeline.imagery.scene import Stretch
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings
from pipeline.sources.candidates import Candidate, Estimate, reporting_each
from pipeline.sources.http.client import Http, without_secrets
from pipeline.sources.http.download import download
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.remote_raster import copy_window, describe, open_remote, window_under
from pipeline.sources.source import fingerprint, share_of

SUFFIXES = (".tif", ".tiff", ".jp2", ".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class RasterSource:
    """Rasters named one by one, or every raster of a folder.

    Attributes:
        locations: Paths of files or folders, and https addresses.
        folders: Folders that paths must lie in, or None for no limit.  The app always sets them:
            its users do not own the machine.
        license: Licence of all of them, or empty.
        bands: 1-based bands shown as red, green and blue, or None for each raster's own.
        stretch: How these bands are shown, given as (lows, highs); None for the automatic one.
        percentile: Whether 8-bit RGB is stretched by percentiles, too.
        http: Client for the addresses, or None for the default one.
    """

    locations: tuple[str, ...]
    folders: tuple[Path, ...] | None = None
    license: str = ""
    bands: tuple[int, int, int] | None = None
    stretch: Stretch | None = None
    percentile: bool = False
    http: Http | None = field(default=None, repr=False)
    name: str = "raster"

    def __init__(
        self,
        locations: Sequence[str | Path],
        *,
        folders: Sequence[Path | str] | None = None,
        license: str = "",
        bands: Sequence[int] | None = None,
        stretch: Sequence[Sequence[float]] | None = None,
        percentile: bool = False,
        http: Http | None = None,
    ) -> None:
        object.__setattr__(self, "locations", tuple(str(location) for location in locations))
        object.__setattr__(self, "folders", None if folders is None else tuple(map(Path, folders)))
        object.__setattr__(self, "license", license)
        # In a job's record these are lists.
        object.__setattr__(self, "bands", tuple(bands) if bands else None)
        object.__setattr__(self, "stretch", Stretch.of(stretch) if stretch else None)
        object.__setattr__(self, "percentile", percentile)
        object.__setattr__(self, "http", http)

    def search(
        self,
        area: Area | None = None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """The rasters that touch the area, in the order given.

        Raises:
            NotFoundError: If a file does not exist.
            SceneError: If a file is not a raster that can be used, or lies outside the folders.
            ServiceError: If an address cannot be read.
        """
        rasters = [self._describe(location, area) for location in self._expand()]
        inside = [
            candidate
            for candidate in rasters
            if candidate.share > 0 and (dates is None or dates.holds(candidate.datetime))
        ]
        return inside[:limit]

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels of the rasters; nothing is transferred for those that are local."""
        pixels = transfer = requests = 0
        for candidate in candidates:
            width, height = candidate.facts["size"]
            if not is_url(candidate.id):
                pixels += width * height
                continue
            if area is not None:
                *_, width, height = self._window(candidate, area)
            pixels += width * height
            size = width * height * candidate.facts["bytes_per_pixel"]
            transfer += size
            requests += 1 + size // (1 << 20)
        return Estimate(pixels, transfer, requests, len(candidates))

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
        """Local files where they are; of an address the part under the area, as a GeoTIFF."""
        fetched = []
        for candidate in reporting_each(candidates, progress):
            if is_url(candidate.id):
                path = self._remote(candidate, area, destination, progress)
            else:
                path = self._check_path(candidate.id)
            fetched.append(
                candidate.fetched(
                    path, bands=self.bands, stretch=self.stretch, percentile=self.percentile
                )
            )
        return fetched

    def _expand(self) -> list[str]:
        """The locations, folders replaced by the rasters in them."""
        expanded: list[str] = []
        for location in self.locations:
            if is_url(location):
                expanded.append(location)
                continue
            path = self._check_path(location)
            if not path.is_dir():
                expanded.append(str(path))
                continue
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in SUFFIXES)
            if not inside:
                raise NotFoundError(
                    "There is no raster in this folder",
                    where=path,
                    remedy=f"Put files in it that end in {', '.join(SUFFIXES)}",
                )
            expanded += [str(p) for p in inside]
        return expanded

    def _check_path(self, location: str) -> Path:
        """The path with its links resolved, if it may be opened."""
        try:
            real = Path(location).expanduser().resolve()
        except (ValueError, RuntimeError, OSError) as error:  # a NUL, an unknown ~user, a loop
            raise SceneError(
                "This is not a path", where=repr(location[:80]), remedy="Check it"
            ) from error
        if self.folders is not None and not any(
            real.is_relative_to(folder.resolve()) for folder in self.folders
        ):
            raise SceneError(
                "This path lies outside the folders that may be opened",
                where=location,
                remedy="Have the operator add its folder to LOOKALIKE_FOLDERS, or upload the file",
            )
        if not real.exists():
            raise NotFoundError("There is no such file", where=location, remedy="Check the path")
        return real

    def _describe(self, location: str, area: Area | None) -> Candidate:
        if is_url(location):
            with open_remote(RangeFile(self._client(), location)) as dataset:
                facts = describe(dataset, without_secrets(location))
            name, url = Path(urlsplit(location).path).name, without_secrets(location)
        else:
            with open_raster(Path(location)) as dataset:
                facts = describe(dataset, Path(location))
            # Without its folder, as collections are shared.
            name = url = Path(location).name
        return Candidate(
            id=location,
            source=self.name,
            title=Path(name).stem or name,
            footprint=facts.footprint,
            datetime=facts.datetime or date_in(name),
            gsd=facts.gsd,
            share=share_of(area, facts.footprint),
            license=self.license,
            url=url,
            facts={
                "crs": facts.crs,
                "transform": list(facts.transform),
                "size": [facts.width, facts.height],
                "bytes_per_pixel": facts.bytes_per_pixel,
            },
        )

    def _client(self) -> Http:
        return self.http or Http()

    def _window(self, candidate: Candidate, area: Area) -> tuple[int, int, int, int]:
        width, height = candidate.facts["size"]
        return window_under(
            area.geometry, candidate.facts["crs"], candidate.facts["transform"], width, height
        )

    def _remote(
        self,
        candidate: Candidate,
        area: Area | None,
        destination: Path,
        progress: OnProgress,
    ) -> Path:
        http = self._client().reporting(progress)
        width, height = candidate.facts["size"]
        window = (0, 0, width, height)
        if area is not None:
            window = self._window(candidate, area)
        stem = f"{safe_name(Path(candidate.title).stem)}-{fingerprint(candidate.id, window)}"
        path = destination / f"{stem}.tif"
        if path.exists():
            return path
        if window == (0, 0, width, height):

            def check(arrived: Path) -> None:
                if not readable(arrived):
                    raise ServiceError(
                        "What arrived cannot be decoded to its end",
                        where=candidate.url,
                        remedy="Run the same command again; if it stays so, the file itself is "
                        "damaged",
                    )

            limit = settings().upload_mb * 1_000_000
            return download(http, candidate.id, path, limit=limit, check=check, progress=progress)
        with open_remote(RangeFile(http, candidate.id)) as dataset:
            return copy_window(dataset, window, path, progress)


def is_url(location: str) -> bool:
    """Whether a location is an http or https address; other schemes are refused later."""
    return bool(re.match(r"(?i)https?://", location))


def safe_name(name: str) -> str:
    """A file name of letters, digits, dots, dashes and underscores, 1 to 80 long."""
    plain = unicodedata.normalize("NFKD", Path(name.replace("\\", "/")).name)
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", plain.encode("ascii", "ignore").decode())
    return plain.strip(".-_")[-80:].lstrip(".-_") or "scene"


def receive(
    stream: BinaryIO,
    name: str,
    folder: Path,
    *,
    limit: int | None = None,
    progress: OnProgress = silent,
) -> Path:
    """Write an upload to disk; it appears under its name only when whole.

    Args:
        stream: The content.
        name: Name of the user's file; only its safe characters are kept.
        folder: Where to.
        limit: Largest size in bytes, by default the operator's.
        progress: Called with the bytes; may cancel.

    Raises:
        InputError: If it is larger than the limit, or empty.
        StorageError: If the disk is full.
    """
    limit = settings().upload_mb * 1_000_000 if limit is None else limit
    path = folder / safe_name(name)
    with replacing(path) as temporary, temporary.open("wb") as out:
        done = 0
        while chunk := stream.read(1 << 20):
            done += len(chunk)
            if done > limit:
                raise InputError(
                    f"The file is larger than the {limit / 1e6:.0f} MB allowed",
                    where=name,
                    remedy="Have the operator raise LOOKALIKE_UPLOAD_MB, or enter the path of the "
                    "file on the server",
                )
            out.write(chunk)
            progress(Progress("Receiving", done, 0, "bytes", path.name))
        if not done:
            raise InputError("The file is empty", where=name, remedy="Choose another one")
    return path
