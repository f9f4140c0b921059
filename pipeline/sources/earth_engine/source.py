"""Imagery from Google Earth Engine, on three roads to the same pixels.

`direct` (road A) asks for the pixels tile by tile; `drive` (road B) has Earth Engine write tiles
of 5000×5000 to Google Drive and downloads them; `storage` (road C) does the same by a Cloud Storage
bucket.  All three compute the same expression on the same grid.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline import dates as moments
from pipeline.dates import Dates
from pipeline.errors import LookalikeError, QueryError, StorageError
from pipeline.files import remove_temporaries
from pipeline.progress import OnProgress, silent
from pipeline.sources.candidates import Candidate, Coverage, Estimate, Fetched, check_scale
from pipeline.sources.earth_engine.catalogue import ALTERNATIVES, CATALOGUE, Product
from pipeline.sources.earth_engine.client import Check, ask, check, connect
from pipeline.sources.earth_engine.direct import fetch_tiles
from pipeline.sources.earth_engine.exports import fetch_exports
from pipeline.sources.earth_engine.plan import (
    EXPORT_TILE,
    Plan,
    folder_of,
    plans,
    product_of,
    tile_side,
)
from pipeline.sources.google.files import Bucket, Drive
from pipeline.sources.google.identity import Identity, identity
from pipeline.sources.http.retry import FIRST_WAIT
from pipeline.sources.mosaic import assemble, discard
from pipeline.sources.source import cover, geometry_of, share_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

log = logging.getLogger(__name__)
ROADS = ("direct", "drive", "storage")
MOST_PIXELS = 20_000_000_000  # of one fetch; beyond it is a mistake rather than an area


@dataclass(frozen=True)
class EarthEngine:
    """Scenes of one collection of Earth Engine.

    Attributes:
        collection: Id of a collection of `CATALOGUE`, or of any image or collection.
        composite: Key of `COMPOSITES`, or None for what suits the collection.
        road: One of `ROADS`.
        scale: Metres a pixel, or None for the collection's own.
        workers: Requests at once on road A, at most 40.
        side: Pixels a side of a tile, or None for the best.
        drive_folder: Name of the folder in Drive for road B.
        bucket: Bucket for road C.
        tidy: Remove the exported files once they are downloaded.
        poll: Seconds between the first looks at running exports; grows to a minute.
        patience: Hours to wait for an export.
        base: Seconds of the first wait between two tries.
    """

    collection: str = "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB"
    composite: str | None = None
    road: str = "direct"
    scale: float | None = None
    workers: int = 16
    side: int | None = None
    drive_folder: str = "lookalike"
    bucket: str | None = None
    tidy: bool = False
    poll: float = 2.0
    patience: float = 24.0
    base: float = FIRST_WAIT
    name: str = "earth_engine"

    def __post_init__(self) -> None:
        if self.road not in ROADS:
            raise QueryError(
                "There is no such road", where=self.road, remedy=f"One of {', '.join(ROADS)}"
            )
        if self.road == "storage" and not self.bucket:
            raise QueryError(
                "The road through Cloud Storage needs a bucket",
                remedy="Name one on the Area page, or with --bucket NAME",
            )
        check_scale(self.scale)

    def identity(self) -> Identity:
        """Whose credentials are used, without asking anybody."""
        return identity()

    def check(self) -> Check:
        """Test the sign-in; never raises for what a user can mend."""
        return check()

    def search(
        self,
        area: Any,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Images of the collection that touch the area, those that cover most of it first.

        Args:
            area: Where.
            dates: When.
            cloud: Highest cloud cover in percent, where the collection tells it.
            limit: At most so many, the latest.

        Raises:
            ServiceError: If there is no sign-in, or Earth Engine refuses.
        """
        import ee

        geometry = geometry_of(area)
        product = self._product()
        if product.single:
            found = ee.ImageCollection.fromImages([ee.Image(product.id)])
        else:
            found = self._filtered(product.id, geometry, dates, cloud)
            found = found.limit(limit, "system:time_start", False)

        def summary(image: Any) -> Any:
            told = {"index": image.get("system:index"), "start": image.get("system:time_start")}
            if product.cloud:
                told["cloud"] = image.get(product.cloud)
            return ee.Feature(image.geometry(), told)

        answer = ask(lambda: found.map(summary).getInfo(), base=self.base)
        candidates = [self._candidate(product, geometry, one) for one in answer["features"]]
        inside = [one for one in candidates if one.share > 0]
        # The latest first among equals; footprints equal to the percent are equal.
        inside.sort(key=lambda one: one.datetime or "", reverse=True)
        inside.sort(key=lambda one: (-round(one.share, 2), one.cloud or 0.0))
        return inside

    def coverage(self, area: Any, candidates: Sequence[Candidate]) -> Coverage:
        """See `Source.coverage`."""
        return cover(area, candidates)

    def alternatives(self, area: Any, dates: Dates | None = None) -> list[tuple[Product, int]]:
        """Other collections that have images of the area, with how many.

        Raises:
            ServiceError: If Earth Engine refuses.
        """
        import ee

        connect()
        others = [name for name in ALTERNATIVES if name != self.collection]
        geometry = geometry_of(area)
        sizes = ee.List([self._filtered(name, geometry, dates, None).size() for name in others])
        counts = ask(sizes.getInfo, base=self.base)
        return [(CATALOGUE[name], int(n)) for name, n in zip(others, counts, strict=True) if n]

    def explain(self, area: Any, dates: Dates | None = None) -> str:
        """Why there is no candidate, and where there is one."""
        product = self._product()
        between = f" between {dates.start} and {dates.end}" if dates and dates.start else ""
        short = product.title.partition(",")[0]
        if product.cloud:
            cloudy = self._filtered(product.id, geometry_of(area), dates, None).size()
            if number := ask(cloudy.getInfo, base=self.base):
                images = f"{number} image{'s' * (number > 1)}"
                return (
                    f"{short} has {images} here{between}, each under more clouds than allowed. "
                    "Allow more."
                )
        try:
            others = self.alternatives(area, dates)
        except LookalikeError as error:
            log.info("no alternatives: %s", error)
            others = []
        best = ", ".join(f"{other.title.partition(',')[0]} has {n}" for other, n in others[:3])
        return f"{short} has no image here{between}" + (f"; {best}." if best else ".")

    def estimate(self, area: Any, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels, bytes and requests of a fetch, and what Earth Engine would refuse."""
        product = self._product()
        made = self._plans(area, candidates, product)
        side = self._side(product)
        tiles = [tile for plan in made for tile in plan.tiles(side)]
        pixels = sum(tile.width * tile.height for tile in tiles)
        size = pixels * product.bytes_per_pixel
        if self.road == "direct":
            limits = (
                f"Earth Engine sends at most 48 MiB a request: {len(tiles)} tiles of "
                f"{side}×{side} pixels",
                "Earth Engine computes at most 40 requests at once for a project",
            )
        else:
            limits = (
                f"Earth Engine runs {len(tiles)} export tasks of {side}×{side} pixels, a few at "
                "once; expect minutes to hours",
                "At most 3 000 tasks may wait",
            )
        refusal = ""
        if not candidates:
            refusal = "There is no image to fetch. Choose other dates, area or collection."
        elif pixels > MOST_PIXELS:
            refusal = (
                f"{pixels / 1e9:.0f} billion pixels are more than one fetch may have "
                f"({MOST_PIXELS / 1e9:.0f}). Draw a smaller area or choose a coarser scale."
            )
        elif self.road != "direct" and len(tiles) > 3000:
            refusal = "More than 3 000 export tasks. Draw a smaller area or fetch directly."
        return Estimate(pixels, size, len(tiles), len(made), limits, refusal)

    def fetch(
        self,
        area: Any,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[Fetched]:
        """One COG for each scene of the composite, on an exact UTM grid.

        Raises:
            ServiceError: If Earth Engine refuses, or keeps failing; what was fetched is kept.
            StorageError: If the disk is full.
            Cancelled: If `progress` raises it.
        """
        estimate = self.estimate(area, candidates)
        estimate.check(self.collection)
        destination.mkdir(parents=True, exist_ok=True)
        _check_room(destination, estimate.bytes)
        product = self._product()
        fetched = []
        for plan in self._plans(area, candidates, product):
            path = destination / f"{plan.stem}.tif"
            if not path.exists():
                self._make(plan, path, progress)
            fetched.append(_fetched(plan, path))
        return fetched

    def preview(self, area: Any, candidates: Sequence[Candidate]) -> str:
        """URL template (`{z}/{x}/{y}`) of map tiles of these candidates, before any fetch.

        It is that of geemap's tile layer.  The address is good for some hours and needs no sign-in.

        Raises:
            ServiceError: If Earth Engine refuses.
        """
        from geemap.ee_tile_layers import EEFoliumTileLayer

        product = self._product()
        plan = self._plans(area, candidates, product)[-1]
        seen = {"min": product.low, "max": product.high or 1.0, "bands": list(product.bands)}
        layer = ask(lambda: EEFoliumTileLayer(plan.image().selfMask(), seen), base=self.base)
        return str(layer.url_format)

    def thumbnail(self, candidate: Candidate, size: int = 160) -> bytes:
        """A PNG of one candidate, `size` pixels on its longer side.

        Raises:
            ServiceError: If Earth Engine refuses.
        """
        import ee

        product = self._product()
        west, south, east, north = candidate.footprint.bounds
        step = max(east - west, north - south) / size
        image = ee.Image(candidate.id).select(list(product.bands))
        request = {
            "expression": image.visualize(min=product.low, max=product.high or 1.0),
            "fileFormat": "PNG",
            "grid": {
                "dimensions": {
                    "width": max(1, round((east - west) / step)),
                    "height": max(1, round((north - south) / step)),
                },
                "crsCode": "EPSG:4326",
                "affineTransform": {
                    "scaleX": step, "shearX": 0, "translateX": west,
                    "shearY": 0, "scaleY": -step, "translateY": north,
                },
            },
        }  # fmt: skip
        data: bytes = ask(lambda: ee.data.computePixels(request), base=self.base)
        return data

    def _product(self) -> Product:
        connect()
        return product_of(self.collection, self.scale)

    def _side(self, product: Product) -> int:
        return self.side or (tile_side(product) if self.road == "direct" else EXPORT_TILE)

    def _plans(self, area: Any, candidates: Sequence[Candidate], product: Product) -> list[Plan]:
        composite = self.composite or product.composite
        return plans(product, composite, geometry_of(area), candidates)

    def _filtered(
        self, name: str, geometry: BaseGeometry, dates: Dates | None, cloud: float | None
    ) -> Any:
        import ee
        from shapely.geometry import mapping

        found = ee.ImageCollection(name)
        found = found.filterBounds(ee.Geometry(mapping(geometry), None, False))
        if dates and (dates.start or dates.end):
            found = found.filterDate(dates.start or "1970-01-01", dates.day_after or "2100-01-01")
        product = CATALOGUE.get(name)
        if cloud is not None and product and product.cloud:
            found = found.filter(ee.Filter.lte(product.cloud, cloud))
        return found

    def _candidate(
        self, product: Product, geometry: BaseGeometry, one: Mapping[str, Any]
    ) -> Candidate:
        from shapely.geometry import shape

        told = one["properties"]
        start = told.get("start")
        moment = None if start is None else moments.at(start / 1000)
        footprint = shape(one["geometry"])
        if footprint.geom_type in ("LinearRing", "LineString"):
            from shapely.geometry import Polygon

            footprint = Polygon(footprint)
        index = told.get("index", "")
        return Candidate(
            id=product.id if product.single else f"{product.id}/{index}",
            source=self.name,
            title=f"{product.title.partition(',')[0]} {index}".strip(),
            footprint=footprint.buffer(0),
            datetime=moment,
            gsd=product.scale,
            cloud=told.get("cloud"),
            share=share_of(geometry, footprint.buffer(0)),
            license=product.license,
            url=product.page,
        )

    def _make(self, plan: Plan, path: Path, progress: OnProgress) -> None:
        side = self._side(plan.product)
        folder = folder_of(path.parent, plan, self.road, side)
        folder.mkdir(parents=True, exist_ok=True)
        remove_temporaries(folder)
        if self.road == "direct":
            fetch_tiles(plan, folder, side, workers=self.workers, progress=progress, base=self.base)
        else:
            store = (
                Drive(self.drive_folder, self.base)
                if self.road == "drive"
                else Bucket(str(self.bucket), self.base)
            )
            fetch_exports(
                plan,
                folder,
                side,
                store=store,
                tidy=self.tidy,
                poll=self.poll,
                patience=self.patience * 3600,
                progress=progress,
                base=self.base,
            )
        product = plan.product
        assemble(
            folder, plan.grid, plan.tiles(side), path, outline=plan.outline,
            count=len(product.bands), dtype=product.dtype, names=product.bands, progress=progress,
        )  # fmt: skip
        discard(folder)


def _fetched(plan: Plan, path: Path) -> Fetched:
    product = plan.product
    known = product.high > product.low
    return Fetched(
        path,
        plan.title,
        source="earth_engine",
        datetime=plan.datetime,
        source_url=product.page or None,
        license=product.license,
        bands=(1, 2, 3),
        stretch=((product.low,) * 3, (product.high,) * 3) if known else None,
    )


def _check_room(folder: Path, size: int) -> None:
    """Refuse a fetch that cannot fit: tiles and result lie side by side for a while."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StorageError(
            f"The imagery needs up to {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            where=folder,
            remedy="Free some space, draw a smaller area or choose a coarser scale",
        )


__all__ = ["ROADS", "EarthEngine"]
