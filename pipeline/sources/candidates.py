"""Candidates of a source, how much of an area they cover, and what fetching them costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipeline.errors import QueryError
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import Stretch
from pipeline.progress import OnProgress, Progress

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry


def check_scale(scale: float | None) -> None:
    """Refuse a pixel size in metres that no imagery has; None is the imagery's own.

    Raises:
        QueryError: If it is out of range.
    """
    if scale is not None and not 0.01 <= scale <= 10_000:
        raise QueryError(
            "The pixel size must be between 0.01 and 10,000 metres",
            where=scale,
            remedy="Choose one in this range",
        )


@dataclass(frozen=True)
class Candidate:
    """A scene that a source could fetch.

    Attributes:
        id: Unique within its source: an asset id, an item id, a path.
        source: Name of the source, a key of `KINDS`.
        title: What a list shows.
        footprint: Outline of the pixels, EPSG:4326.
        datetime: Acquisition time, ISO 8601 UTC, or None.
        gsd: Metres per pixel on the ground, or None while unknown.
        cloud: Cloud cover in percent, or None where the service states none.
        thumbnail: Address of a small picture, or empty.
        share: Part of the area inside the footprint, 0 to 1.
        license: Name of the licence, or empty.
        url: Page or asset for the provenance record; never carries a signature.
        facts: What its source needs to fetch it, JSON-serialisable.
    """

    id: str
    source: str
    title: str
    footprint: BaseGeometry
    datetime: str | None = None
    gsd: float | None = None
    cloud: float | None = None
    thumbnail: str = ""
    share: float = 1.0
    license: str = ""
    url: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict, hash=False)

    def fetched(
        self,
        path: Path,
        *,
        bands: tuple[int, int, int] | None = None,
        stretch: Stretch | None = None,
        percentile: bool = False,
    ) -> SceneInput:
        """The candidate's raster, brought to a path, and how to show it."""
        return SceneInput(
            path,
            bands=bands,
            stretch=stretch,
            title=self.title,
            datetime=self.datetime,
            source=self.source,
            source_url=self.url or None,
            license=self.license,
            percentile=percentile,
        )

    @property
    def day(self) -> str:
        """The date of acquisition, `YYYY-MM-DD`, or "undated"."""
        return self.datetime[:10] if self.datetime else "undated"

    def to_dict(self) -> dict[str, Any]:
        """JSON form; `from_dict` reads it back."""
        from shapely.geometry import mapping

        plain = {name: getattr(self, name) for name in _PLAIN}
        return {**plain, "footprint": mapping(self.footprint), "facts": dict(self.facts)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Candidate:
        """The candidate that `to_dict` wrote."""
        from shapely.geometry import shape

        plain = {name: data[name] for name in _PLAIN}
        return cls(**plain, footprint=shape(data["footprint"]), facts=data["facts"])


_PLAIN = (
    "id", "source", "title", "datetime", "gsd", "cloud", "thumbnail", "share", "license", "url",
)  # fmt: skip


@dataclass(frozen=True)
class Coverage:
    """How much of an area its candidates cover.

    Attributes:
        count: Number of candidates.
        area_km2: Size of the area.
        covered_km2: Size of the part under at least one candidate.
        first: Earliest date, or None.
        last: Latest date, or None.
        footprint: Union of the candidates inside the area, EPSG:4326.
    """

    count: int
    area_km2: float
    covered_km2: float
    first: str | None
    last: str | None
    footprint: BaseGeometry

    @property
    def share(self) -> float:
        """Covered part of the area, 0 to 1."""
        return min(1.0, self.covered_km2 / self.area_km2) if self.area_km2 else 0.0

    def __str__(self) -> str:
        if not self.count:
            return "No images here"
        dates = "" if not self.first else f", {self.first} to {self.last}"
        images = "1 image" if self.count == 1 else f"{self.count} images"
        return f"{images}{dates}, {self.share:.0%} of {self.area_km2:.1f} km²"


class Refusal(NamedTuple):
    """Why a fetch is refused, and what to do; both without their full stop."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}. {self.remedy}."


@dataclass(frozen=True)
class Estimate:
    """What a fetch will cost, before it starts.

    Attributes:
        pixels: Pixels of all scenes together.
        bytes: Bytes to transfer, uncompressed.
        requests: Requests, tiles or tasks.
        scenes: Rasters that come out.
        limits: Limits of the service that matter here, one sentence each.
        refusal: Why the fetch would be refused, or None.
    """

    pixels: int
    bytes: int
    requests: int
    scenes: int
    limits: tuple[str, ...] = ()
    refusal: Refusal | None = None

    def check(self, where: str) -> None:
        """Raise `QueryError` where the fetch would be refused."""
        if self.refusal:
            raise QueryError(self.refusal.what, where=where, remedy=self.refusal.remedy)


def reporting_each(candidates: Sequence[Candidate], progress: OnProgress) -> Iterator[Candidate]:
    """The candidates in turn, each reported before it is fetched."""
    for number, candidate in enumerate(candidates):
        progress(Progress("Fetching scenes", number, len(candidates), "scenes", candidate.title))
        yield candidate
    progress(Progress("Fetching scenes", len(candidates), len(candidates), "scenes"))
