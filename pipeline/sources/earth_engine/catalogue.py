"""Collections of Earth Engine that suit a visual search, with what is needed to show them."""

from __future__ import annotations

from dataclasses import dataclass, replace

COMPOSITES = {
    "mosaic": "one scene, later images on top",
    "day": "one scene per day",
    "year": "one scene per year",
    "clearest": "one scene, the least cloudy image on top",
    "median": "one scene, the median of all cloud-free pixels",
}


@dataclass(frozen=True)
class Product:
    """A collection, or a single image, of Earth Engine.

    Attributes:
        id: Asset id.
        title: Name for people.
        bands: Bands for red, green and blue.
        dtype: Data type that pixels are fetched in.
        scale: Metres per pixel.
        low: Value shown black.
        high: Value shown white.
        where: What it covers.
        when: First and last day, or year; open where it goes on.
        license: Name of the licence.
        composite: Key of `COMPOSITES` that suits it.
        cloud: Property with the cloud cover in percent, or empty.
        mask: Recipe for removing clouds pixel by pixel, "scl" or "qa_pixel", or empty.
        single: Whether the id is that of one image.
    """

    id: str
    title: str
    bands: tuple[str, str, str]
    dtype: str
    scale: float
    low: float
    high: float
    where: str
    when: str
    license: str
    composite: str = "mosaic"
    cloud: str = ""
    mask: str = ""
    single: bool = False

    @property
    def short_title(self) -> str:
        """The title up to its first comma."""
        return self.title.partition(",")[0]

    @property
    def itemsize(self) -> int:
        """Bytes of one value."""
        return {"uint8": 1, "uint16": 2, "int16": 2, "float32": 4}[self.dtype]

    @property
    def bytes_per_pixel(self) -> int:
        """Bytes of the three bands of one pixel."""
        return self.itemsize * len(self.bands)

    @property
    def page(self) -> str:
        """Its page in Google's catalogue; empty for an asset of a user."""
        if self.id not in CATALOGUE:
            return ""
        return "https://developers.google.com/earth-engine/datasets/catalog/" + self.id.replace(
            "/", "_"
        )

    def at(self, scale: float | None) -> Product:
        """The same at another pixel size."""
        return self if scale is None else replace(self, scale=scale)


RGB = ("R", "G", "B")
LANDSAT = ("SR_B4", "SR_B3", "SR_B2")

CATALOGUE: dict[str, Product] = {
    product.id: product
    for product in (
        Product(
            "SKYSAT/GEN-A/PUBLIC/ORTHO/RGB",
            "SkySat, Planet's public scenes",
            RGB, "uint8", 0.8, 11, 190,
            "scattered places, including New York", "2014-07-03 to 2016-12-24",
            "© Planet; see its catalogue page",
        ),
        Product(
            "USDA/NAIP/DOQQ", "NAIP, aerial photographs",
            RGB, "uint8", 1.0, 0, 255, "the 48 contiguous states of the USA",
            "2002 on", "Public domain (USDA)", "year",
        ),
        Product(
            "COPERNICUS/S2_SR_HARMONIZED", "Sentinel-2, surface reflectance",
            ("B4", "B3", "B2"), "uint16", 10.0, 0, 3000, "the world's land", "2017-03-28 on",
            "Copernicus Sentinel data", "median", "CLOUDY_PIXEL_PERCENTAGE", "scl",
        ),
        Product(
            "LANDSAT/LC09/C02/T1_L2", "Landsat 9, surface reflectance",
            LANDSAT, "uint16", 30.0, 7300, 18200, "the world's land", "2021-10-31 on",
            "Public domain (USGS)", "median", "CLOUD_COVER", "qa_pixel",
        ),
        Product(
            "LANDSAT/LC08/C02/T1_L2", "Landsat 8, surface reflectance",
            LANDSAT, "uint16", 30.0, 7300, 18200, "the world's land", "2013-03-18 on",
            "Public domain (USGS)", "median", "CLOUD_COVER", "qa_pixel",
        ),
        Product(
            "Switzerland/SWISSIMAGE/orthos/10cm", "SWISSIMAGE, Switzerland",
            RGB, "uint8", 0.1, 0, 255, "Switzerland", "2017 to 2021",
            "swisstopo, open government data",
        ),
        Product(
            "Spain/PNOA/PNOA10", "PNOA, Spain",
            RGB, "uint8", 0.1, 0, 255, "parts of Spain", "2004 to 2019", "CC-BY 4.0, scne.es",
            "year",
        ),
        Product(
            "Netherlands/Beeldmateriaal/LUCHTFOTO_RGB", "Beeldmateriaal, the Netherlands",
            RGB, "uint8", 0.08, 0, 255, "the Netherlands", "2021 to 2022",
            "CC-BY 4.0, beeldmateriaal.nl", "year",
        ),
        Product(
            "Germany/Brandenburg/orthos/20cm", "Brandenburg, Germany",
            RGB, "uint8", 0.2, 0, 255, "Brandenburg", "2012 to 2022",
            "GeoBasis-DE/LGB, dl-de/by-2-0", "year",
        ),
    )
}  # fmt: skip

#: What to offer when a collection has no image of an area, in this order.
ALTERNATIVES = (
    "USDA/NAIP/DOQQ",
    "Switzerland/SWISSIMAGE/orthos/10cm",
    "Spain/PNOA/PNOA10",
    "Netherlands/Beeldmateriaal/LUCHTFOTO_RGB",
    "Germany/Brandenburg/orthos/20cm",
    "COPERNICUS/S2_SR_HARMONIZED",
)
