"""The expressions that Earth Engine computes, and their division into requests."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from pipeline.errors import QueryError, ServiceError
from pipeline.imagery.chips import CHIP
from pipeline.sources.candidates import Candidate
from pipeline.sources.earth_engine.catalogue import CATALOGUE, COMPOSITES, Product
from pipeline.sources.earth_engine.client import ask
from pipeline.sources.pixel_grid import PixelGrid
from pipeline.sources.plan import Plan, group_images, span_of

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

MAX_BYTES = 48 * 2**20  # of one computePixels request, uncompressed
MAX_SIDE = 32768
BEST_TILE = 4096  # 16 × 16 chips; with three bands of uint8 exactly MAX_BYTES
EXPORT_TILE = 5000


@dataclass(frozen=True)
class EarthEnginePlan(Plan):
    """One scene that Earth Engine computes.

    Attributes:
        product: The image collection.
        composite: Key of `COMPOSITES`.
    """

    product: Product
    composite: str

    @property
    def names(self) -> tuple[str, ...]:
        """Asset ids of the images."""
        return tuple(image.id for image in self.images)

    @property
    def content(self) -> tuple[Any, ...]:
        """See `Plan.content`."""
        product = self.product
        return product.id, product.bands, product.dtype, self.composite, self.names

    def image(self) -> Any:
        """The `ee.Image` of this plan: three bands of the product's type, 0 where there is none."""
        import ee

        parts = [_part(ee.Image(name), self.product, self.composite) for name in self.names]
        together = ee.ImageCollection.fromImages(parts)
        image = together.median() if self.composite == "median" else together.mosaic()
        cast = {
            "uint8": "toUint8",
            "uint16": "toUint16",
            "int16": "toInt16",
            "float32": "toFloat",
        }[self.product.dtype]
        return getattr(image.unmask(0, False), cast)()


def _part(image: Any, product: Product, composite: str) -> Any:
    if composite in ("median", "clearest"):
        if product.mask == "scl":
            classes = image.select("SCL")
            keep = classes.neq(3)  # shadow, then cloud of medium and high probability, cirrus
            for cloud in (8, 9, 10):
                keep = keep.And(classes.neq(cloud))
            image = image.updateMask(keep)
        elif product.mask == "qa_pixel":
            image = image.updateMask(image.select("QA_PIXEL").bitwiseAnd(0b11110).eq(0))
    return image.select(list(product.bands))


def plans(
    product: Product, composite: str, outline: BaseGeometry, candidates: Sequence[Candidate]
) -> list[EarthEnginePlan]:
    """The scenes made of these candidates, oldest first.

    Raises:
        QueryError: If the composite does not exist.
        AreaError: If the area does not fit into one map projection.
    """
    if composite not in COMPOSITES:
        raise QueryError(
            "Unknown composite", where=composite, remedy=f"Choose one of {', '.join(COMPOSITES)}"
        )
    grid = PixelGrid.over(outline, product.scale)
    return [
        EarthEnginePlan(
            images, grid, outline, f"{product.short_title} {span_of(images)}", product, composite
        )
        for images in group_images(candidates, composite)
    ]


def tile_side(product: Product) -> int:
    """Pixels a side of the largest tile, in whole chips, that one request may have."""
    largest = math.isqrt(MAX_BYTES // product.bytes_per_pixel) // CHIP * CHIP
    return min(BEST_TILE, largest, MAX_SIDE)


def product_of(asset: str, scale: float | None = None) -> Product:
    """The catalogue's entry, or for an asset that a user typed in what its metadata state.

    Raises:
        ServiceError: If Earth Engine does not know the asset or has no pixels of it.
    """
    known = CATALOGUE.get(asset)
    if known:
        return known.at(scale)
    import ee

    kind = ask(lambda: ee.data.getAsset(asset)["type"])
    if kind not in ("IMAGE", "IMAGE_COLLECTION"):
        raise ServiceError(
            f"This asset is a {str(kind).lower().replace('_', ' ')}, not imagery",
            where=asset,
            remedy="Enter the id of an image or of an image collection",
        )
    single = kind == "IMAGE"
    image = ee.Image(asset) if single else ee.ImageCollection(asset).first()
    content = ask(image.getInfo)
    if not content or not content.get("bands"):
        raise ServiceError(
            "This collection is empty", where=asset, remedy="Choose another collection"
        )
    return replace(_product_from_bands(asset, content["bands"]), single=single).at(scale)


def _product_from_bands(asset: str, bands: list[dict[str, Any]]) -> Product:
    names = [band["id"] for band in bands]
    chosen = next(
        (
            triple
            for triple in (("R", "G", "B"), ("red", "green", "blue"), ("B4", "B3", "B2"))
            if set(triple) <= set(names)
        ),
        tuple(names[:3]) if len(names) >= 3 else (names[0],) * 3,
    )
    first = bands[names.index(chosen[0])]
    kind = first["data_type"]
    low, high = kind.get("min", 0), kind.get("max", 0)
    if kind["precision"] != "int":
        dtype = "float32"
    elif low >= 0 and high <= 255:
        dtype = "uint8"
    elif low >= 0 and high <= 65535:
        dtype = "uint16"
    else:
        dtype = "int16" if low >= -32768 and high <= 32767 else "float32"
    size = abs(float(first["crs_transform"][0]))
    metres = size * 111_320 if first["crs"] in ("EPSG:4326", "OGC:CRS84") else size
    shown = (0.0, 255.0) if dtype == "uint8" else (0.0, 0.0)  # 0, 0: the scene's own stretch
    return Product(
        asset, asset.rsplit("/", 1)[-1], chosen, dtype, metres, *shown, "", "", ""
    )  # fmt: skip
