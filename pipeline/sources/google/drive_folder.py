"""A folder of Google Drive with GeoTIFFs, such as earlier exports."""

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
from pipeline.sources.candidates import Candidate, Estimate, reporting_each
from pipeline.sources.files import safe_name
from pipeline.sources.google.drive import Drive
from pipeline.sources.google.store import StoredFile
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
        base: Seconds before the second attempt; later waits are longer.
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
        """The rasters of the folder that touch the area, by name; only their headers are read.

        Raises:
            NotFoundError: If there is no such folder, or nothing in it.
            ServiceError: If Drive refuses.
            SceneError: If a file is not a GeoTIFF or has no coordinate system.
        """
        drive = Drive(self.folder, self.base)
        described = [self._describe(drive, stored, area) for stored in drive.rasters()[:limit]]
        return [
            candidate
            for candidate in described
            if candidate.share > 0 and (dates is None or dates.holds(candidate.datetime))
        ]

    def _describe(self, drive: Drive, stored: StoredFile, area: Area | None) -> Candidate:
        try:
            with open_remote(RangeFile(drive.http, drive.address(stored), stored.size)) as dataset:
                facts = describe(dataset, stored.name)
        except SceneError as error:
            # With the name that the user knows, not the address.
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
            pixels=sum(candidate.facts["pixels"] for candidate in candidates),
            bytes=sum(candidate.facts["size"] for candidate in candidates),
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
        """Download whole files; those that exist already are not requested again."""
        drive = Drive(self.folder, self.base)
        fetched = []
        for candidate in reporting_each(candidates, progress):
            stored = StoredFile(
                candidate.id,
                candidate.facts["name"],
                candidate.facts["size"],
                candidate.facts["md5"],
            )
            name = f"{safe_name(candidate.title)}-{(stored.md5 or stored.id)[:12]}.tif"
            path = drive.fetch(stored, destination / name, progress)
            fetched.append(candidate.fetched(path))
        return fetched
