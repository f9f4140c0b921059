"""The imagery chosen for a collection, and the job that builds it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.build.preflight import free_name
from pipeline.build.request import BuildRequest
from pipeline.errors import LookalikeError
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import load_scene
from pipeline.jobs.job import JobRequest
from pipeline.sources.files import is_url

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.collection.collection import Collection
    from pipeline.collection.library import Library
    from pipeline.imagery.scene import Stretch
    from pipeline.model.descriptor import Quality
    from pipeline.sources.candidates import Candidate, Estimate


@dataclass(frozen=True)
class ChosenImagery:
    """What a collection is to be made of.

    Attributes:
        source: Key of `KINDS` to fetch from, or "" for files on this machine.
        origin: Kind of source that files on this machine came from.
        options: Options of the source.
        offered: Every candidate.
        chosen: The candidates to use.
        title: A name for a collection made of them.
        bands: Bands that suit the imagery, or None for its own.
        percentile: Whether it is too dark to be shown as stored, though it is 8-bit RGB.
        estimate: What fetching costs, where anything is fetched.
        preview: URL template of map tiles that the service itself renders, or "".
    """

    source: str
    origin: str = "raster"
    options: dict[str, Any] = field(default_factory=dict)
    offered: tuple[Candidate, ...] = ()
    chosen: tuple[Candidate, ...] = ()
    title: str = ""
    bands: tuple[int, int, int] | None = None
    percentile: bool = False
    estimate: Estimate | None = None
    preview: str = ""

    @property
    def is_raster(self) -> bool:
        """Whether bands and stretch can be chosen: a file on this machine or at a URL."""
        return self.source in ("", "raster")

    def outline(self) -> Area:
        """The outlines of the chosen scenes as an area.

        Raises:
            AreaError: If they make no valid area.
        """
        from shapely import union_all

        union = union_all([candidate.footprint for candidate in self.chosen])
        return Area.of(union, f"Outline of {self.chosen[0].title}")

    def job(
        self,
        title: str,
        area: Area | None,
        stride: int,
        *,
        bands: tuple[int, int, int] | None = None,
        stretch: Stretch | None = None,
        object_size: float | None = None,
        percentile: bool = False,
        quality: Quality | None = None,
        taken: Iterable[str] = (),
    ) -> JobRequest:
        """The job that builds a new collection of the chosen scenes.

        Args:
            title: What people call the collection.
            area: The area of interest, or None for whole scenes.
            stride: Pixels between the starts of neighbouring chips.
            bands: 1-based bands shown as red, green and blue, or None for each raster's own.
            stretch: Display range, or None for the automatic one.
            object_size: Size in metres of the smallest thing to look for, or None.
            percentile: Whether 8-bit RGB is stretched by percentiles, too.
            quality: Of the descriptors, or None for the default.
            taken: Names that other collections have.
        """
        name = free_name(title, taken)
        if name != free_name(title, ()):  # the number in the name tells equal titles apart, too
            title = f"{title} {name.rpartition('-')[2]}"
        build = BuildRequest(
            name=name,
            title=title,
            stride=stride,
            area=area,
            object_size=object_size,
            quality=quality,
        )
        if self.source:
            levels = (stretch.low, stretch.high) if stretch else None
            shown = {"bands": bands, "stretch": levels, "percentile": percentile}
            shown = {k: v for k, v in shown.items() if v is not False} if self.is_raster else {}
            return JobRequest(build, self.source, {**self.options, **shown}, self.chosen)
        scenes = tuple(
            SceneInput(
                path=Path(candidate.id),
                bands=bands,
                stretch=stretch,
                title=self.title if len(self.chosen) == 1 else candidate.title,
                datetime=candidate.datetime,
                source=self.origin,
                license=candidate.license,
                percentile=percentile,
            )
            for candidate in self.chosen
        )
        return JobRequest(replace(build, scenes=scenes))


def added_to(collection: Collection, request: JobRequest) -> JobRequest:
    """The request as an addition to a collection; its title, stride, model and quality stay."""
    build = replace(
        request.build,
        name=collection.name,
        title=None,
        stride=None,
        mode=collection.manifest.model.mode,
        quality=None,
    )
    return replace(request, build=build)


def with_provenance(candidate: Candidate, library: Library) -> Candidate:
    """A raster of a collection with the title, date and licence that its scene carries.

    The collection's COGs do not contain this metadata.  Other rasters stay as they are.
    """
    path = Path(candidate.id)
    if is_url(candidate.id) or library.root not in path.parents:
        return candidate
    try:
        scene = load_scene(path.parent, path.stem)
    except LookalikeError:
        return candidate
    return replace(candidate, title=scene.title, datetime=scene.datetime, license=scene.license)
