"""Imagery from Google Earth Engine, by three download methods with the same pixels.

`direct` requests the pixels tile by tile; `drive` has Earth Engine write tiles of 5000×5000 to
Google Drive and downloads them; `storage` does the same through a Cloud Storage bucket.  All three
compute the same expression on the same grid.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipeline.dates import Dates, from_timestamp
from pipeline.errors import LookalikeError, QueryError, StorageError
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import Stretch
from pipeline.progress import OnProgress, silent
from pipeline.sources.candidates import Candidate, Estimate, Refusal, check_scale
from pipeline.sources.earth_engine.catalogue import ALTERNATIVES, CATALOGUE, Product
from pipeline.sources.earth_engine.client import ask, connect
from pipeline.sources.earth_engine.direct import fetch_tiles
from pipeline.sources.earth_engine.exports import fetch_exports
from pipeline.sources.earth_engine.plan import (
    EXPORT_TILE,
    EarthEnginePlan,
    plans,
    product_of,
    tile_side,
)
from pipeline.sources.google.cloud_storage import Bucket
from pipeline.sources.google.drive import Drive
from pipeline.sources.http.retry import CONNECTIONS, FIRST_WAIT
from pipeline.sources.mosaic import make
from pipeline.sources.pixel_grid import Tile
from pipeline.sources.plan import cost_of
from pipeline.sources.source import geometry_of, share_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

log = logging.getLogger(__name__)
DOWNLOAD_METHODS = ("direct", "drive", "storage")
MOST_TASKS = 3000


@dataclass(frozen=True)
class EarthEngine:
    """Scenes of one collection of Earth Engine.

    Attributes:
        collection: Id of a collection of `CATALOGUE`, or of any image or collection.
        composite: Key of `COMPOSITES`, or None for the collection's default.
        road: Download method, one of `DOWNLOAD_METHODS`.
        scale: Metres per pixel, or None for the collection's own.
        workers: Requests at once of direct download, at most 40.
        side: Pixels a side of a tile, or None for the best.
        drive_folder: Name of the folder in Drive, for `drive`.
        bucket: Bucket, for `storage`.
        tidy: Remove the exported files once they are downloaded.
        poll: Seconds between the first queries of running exports; grows to a minute.
        patience: Hours to wait for an export.
        base: Seconds before the second attempt; later waits are longer.
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
        if self.road not in DOWNLOAD_METHODS:
            raise QueryError(
                "Unknown download method",
                where=self.road,
                remedy=f"Choose one of {', '.join(DOWNLOAD_METHODS)}",
            )
        if self.road == "storage" and not self.bucket:
            raise QueryError(
                "Export to Cloud Storage needs a bucket",
                remedy="Name one on the Area page, or with --bucket NAME",
            )
        check_scale(self.scale)

    def search(
        self,
        area: Area | None,
        dates: Dates | None = None,
        *,
        cloud: float | None = None,
        limit: int = 500,
    ) -> list[Candidate]:
        """Images of the collection that touch the area, those that cover most of it first.

        Args:
            area: Where.
            dates: When.
            cloud: Maximum cloud cover in percent, where the collection states it.
            limit: Maximum number, the latest first.

        Raises:
            ServiceError: If there is no sign-in, or Earth Engine refuses.
        """
        import ee

        geometry = geometry_of(area)
        product = self._product()
        if product.single:
            collection = ee.ImageCollection.fromImages([ee.Image(product.id)])
        else:
            collection = self._filter(product.id, geometry, dates, cloud)
            collection = collection.limit(limit, "system:time_start", False)

        def summary(image: Any) -> Any:
            properties = {
                "index": image.get("system:index"),
                "start": image.get("system:time_start"),
            }
            if product.cloud:
                properties["cloud"] = image.get(product.cloud)
            return ee.Feature(image.geometry(), properties)

        answer = ask(lambda: collection.map(summary).getInfo(), base=self.base)
        candidates = [self._candidate(product, area, feature) for feature in answer["features"]]
        inside = [candidate for candidate in candidates if candidate.share > 0]
        # The latest first among those that cover the same share, to the percent.
        inside.sort(key=lambda candidate: candidate.datetime or "", reverse=True)
        inside.sort(key=lambda candidate: (-round(candidate.share, 2), candidate.cloud or 0.0))
        return inside

    def alternatives(
        self, area: Area | None, dates: Dates | None = None
    ) -> list[tuple[Product, int]]:
        """Other collections that have images of the area, with how many.

        Raises:
            ServiceError: If Earth Engine refuses.
        """
        import ee

        connect()
        others = [name for name in ALTERNATIVES if name != self.collection]
        geometry = geometry_of(area)
        sizes = ee.List([self._filter(name, geometry, dates, None).size() for name in others])
        counts = ask(sizes.getInfo, base=self.base)
        return [(CATALOGUE[name], int(n)) for name, n in zip(others, counts, strict=True) if n]

    def explain(self, area: Area | None, dates: Dates | None = None) -> str:
        """Why there is no candidate, and what there is instead."""
        product = self._product()
        between = dates.phrase if dates else ""
        short = product.short_title
        if product.cloud:
            cloudy = self._filter(product.id, geometry_of(area), dates, None).size()
            if number := ask(cloudy.getInfo, base=self.base):
                images = f"{number} image{'s' * (number > 1)}"
                return (
                    f"{short} has {images} here{between}, but each exceeds the cloud limit. "
                    "Raise it to see them."
                )
        try:
            others = self.alternatives(area, dates)
        except LookalikeError as error:
            log.info("no alternatives: %s", error)
            others = []
        best = ", ".join(f"{other.short_title} has {n}" for other, n in others[:3])
        return f"{short} has no image here{between}" + (f"; {best}." if best else ".")

    def estimate(self, area: Area | None, candidates: Sequence[Candidate]) -> Estimate:
        """Pixels, bytes and requests of a fetch, and what Earth Engine would refuse."""
        product = self._product()
        side = self._side(product)
        cost = cost_of(
            self._plans(area, candidates, product),
            side,
            bytes_per_pixel=product.bytes_per_pixel,
            nothing="Choose other dates, area or collection",
        )
        if self.road == "direct":
            limits = (
                f"Earth Engine sends at most 48 MiB per request: {cost.requests} tiles of "
                f"{side}×{side} pixels",
                f"Earth Engine computes at most {CONNECTIONS} requests at once for a project",
            )
            return replace(cost, limits=limits)
        limits = (
            f"Earth Engine runs {cost.requests} export tasks of {side}×{side} pixels, a few at "
            "once; expect minutes to hours",
            "At most 3,000 tasks may wait",
        )
        refusal = cost.refusal
        if not refusal and cost.requests > MOST_TASKS:
            refusal = Refusal(
                "More than 3,000 export tasks", "Draw a smaller area or fetch directly"
            )
        return replace(cost, limits=limits, refusal=refusal)

    def fetch(
        self,
        area: Area | None,
        candidates: Sequence[Candidate],
        destination: Path,
        progress: OnProgress = silent,
    ) -> list[SceneInput]:
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
        scenes = []
        for scene in self._plans(area, candidates, product):
            path = destination / f"{scene.stem}.tif"
            if not path.exists():
                self._make(scene, path, progress)
            scenes.append(_scene_input(scene, path))
        return scenes

    def preview(self, area: Area | None, candidates: Sequence[Candidate]) -> str:
        """URL template (`{z}/{x}/{y}`) of map tiles of these candidates, before any fetch.

        It is that of geemap's tile layer; the address is valid for some hours and needs no sign-in.

        Raises:
            ServiceError: If Earth Engine refuses.
        """
        from geemap.ee_tile_layers import EEFoliumTileLayer

        product = self._product()
        image = self._plans(area, candidates, product)[-1].image()
        display = {"min": product.low, "max": product.high or 1.0, "bands": list(product.bands)}
        layer = ask(lambda: EEFoliumTileLayer(image.selfMask(), display), base=self.base)
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

    def _plans(
        self, area: Area | None, candidates: Sequence[Candidate], product: Product
    ) -> list[EarthEnginePlan]:
        composite = self.composite or product.composite
        return plans(product, composite, geometry_of(area), candidates)

    def _filter(
        self, name: str, geometry: BaseGeometry, dates: Dates | None, cloud: float | None
    ) -> Any:
        import ee
        from shapely.geometry import mapping

        collection = ee.ImageCollection(name)
        collection = collection.filterBounds(ee.Geometry(mapping(geometry), None, False))
        if dates and (dates.start or dates.end):
            collection = collection.filterDate(
                dates.start or "1970-01-01", dates.day_after or "2100-01-01"
            )
        product = CATALOGUE.get(name)
        if cloud is not None and product and product.cloud:
            collection = collection.filter(ee.Filter.lte(product.cloud, cloud))
        return collection

    def _candidate(
        self, product: Product, area: Area | None, feature: Mapping[str, Any]
    ) -> Candidate:
        from shapely.geometry import shape

        properties = feature["properties"]
        milliseconds = properties.get("start")
        acquired = None if milliseconds is None else from_timestamp(milliseconds / 1000)
        footprint = shape(feature["geometry"])
        if footprint.geom_type in ("LinearRing", "LineString"):
            from shapely.geometry import Polygon

            footprint = Polygon(footprint)
        index = properties.get("index", "")
        return Candidate(
            id=product.id if product.single else f"{product.id}/{index}",
            source=self.name,
            title=f"{product.short_title} {index}".strip(),
            footprint=footprint.buffer(0),
            datetime=acquired,
            gsd=product.scale,
            cloud=properties.get("cloud"),
            share=share_of(area, footprint.buffer(0)),
            license=product.license,
            url=product.page,
        )

    def _make(self, plan: EarthEnginePlan, path: Path, progress: OnProgress) -> None:
        product, side = plan.product, self._side(plan.product)
        folder = path.with_name(f"{plan.stem}.{self.road}-{side}")

        def fetch(tiles: Sequence[Tile]) -> None:
            if self.road == "direct":
                fetch_tiles(
                    plan, folder, tiles, workers=self.workers, progress=progress, base=self.base
                )
                return
            store = (
                Drive(self.drive_folder, self.base)
                if self.road == "drive"
                else Bucket(str(self.bucket), self.base)
            )
            fetch_exports(
                plan,
                folder,
                tiles,
                store=store,
                tidy=self.tidy,
                poll=self.poll,
                patience=self.patience * 3600,
                progress=progress,
                base=self.base,
            )

        make(
            plan, path, folder, side, fetch, dtype=product.dtype, bands=product.bands,
            progress=progress,
        )  # fmt: skip


def _scene_input(plan: EarthEnginePlan, path: Path) -> SceneInput:
    product = plan.product
    known = product.high > product.low
    return SceneInput(
        path,
        title=plan.title,
        source="earth_engine",
        datetime=plan.datetime,
        source_url=product.page or None,
        license=product.license,
        bands=(1, 2, 3),
        stretch=Stretch((product.low,) * 3, (product.high,) * 3) if known else None,
        sensor=product.id,
    )


def _check_room(folder: Path, size: int) -> None:
    """Refuse a fetch whose uncompressed pixels exceed the free disk space."""
    free = shutil.disk_usage(folder).free
    if size > free:
        raise StorageError(
            f"The imagery needs up to {size / 1e9:.1f} GB, {free / 1e9:.1f} GB are free",
            where=folder,
            remedy="Free some space, draw a smaller area or choose a coarser scale",
        )
