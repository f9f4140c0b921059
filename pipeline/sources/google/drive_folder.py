"""A folder of Google Drive with GeoTIFFs that somebody exported earlier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.dates import Dates
from pipeline.errors import SceneError
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.metadata import date_in
from pipeline.progress import OnProgress, silent
from pipeline.sources.candidates import Candidate, Estimate, one_by_one
from pipeline.sources.files import safe_name
from pipeline.sources.google.files import Drive, Stored
from pipeline.sources.http.range_file import RangeFile
from pipeline.sources.http.retry import FIRST_WAIT
from pipeline.sources.remote_raster import describe, open_remote
from pipeline.sources.source import share_of


@dataclass(frozen=True)
class DriveSource:
    """The GeoTIFFs of one folder.

    Attributes:
        folder: Name, id or address of the folder; it must be shared with the account in use.
        license: Licence of all of them, or empty.
        base: Seconds of the first wait between two tries.
    """

    folder: str
    license: str = ""
    base: float = FIRST_WAIT
    name: str = "drive"

    def search(
        self,
        area: Area | None = None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """The rasters of the folder that touch the area, by name; only their heads are read.

        Raises:
            NotFoundError: If there is no such folder, or nothing in it.
            ServiceError: If Drive refuses.
            SceneError: If a file is not a GeoTIFF or has no coordinate system.
        """
        drive = Drive(self.folder, self.base)
        found = [self._describe(drive, stored, area) for stored in drive.rasters()[:limit]]
        return [
            one for one in found if one.share > 0 and (dates is None or dates.holds(one.datetime))
        ]

    def _describe(self, drive: Drive, stored: Stored, area: Area | None) -> Candidate:
        try:
            with open_remote(RangeFile(drive.http, drive.address(stored), stored.size)) as dataset:
                facts = describe(dataset, stored.name)
        except SceneError as error:
            # By the name that the user knows, not by its address.
            raise SceneError(
                error.what, where=stored.name, remedy="Replace it, or move it out of the folder"
            ) from error
        return Candidate(
            id=stored.id,
            source=self.name,
            title=Path(stored.name).stem,
            footprint=facts.footprint,
            datetime=facts.datetime or date_in(stored.name),
            gsd=facts.gsd,
            share=share_of(area, facts.footprint),
            license=self.license,
            url=f"https://drive.google.com/file/d/{stored.id}",
            facts={
                "name": stored.name, "size": stored.size, "md5": stored.md5,
                "pixels": facts.width * facts.height,
            },
        )  # fmt: skip

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Whole files are downloaded."""
        return Estimate(
            pixels=sum(one.facts["pixels"] for one in candidates),
            bytes=sum(one.facts["size"] for one in candidates),
            requests=len(candidates),
            scenes=len(candidates),
        )

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
        """Download the files whole; those that are here already are not asked for again."""
        drive = Drive(self.folder, self.base)
        fetched = []
        for one in one_by_one(candidates, progress):
            stored = Stored(one.id, one.facts["name"], one.facts["size"], one.facts["md5"])
            name = f"{safe_name(one.title)}-{(stored.md5 or stored.id)[:12]}.tif"
            path = drive.bring(stored, destination / name, progress)
            fetched.append(one.fetched(path))
        return fetched
