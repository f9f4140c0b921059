"""Evaluates the part of Earth Engine's expression graph that Lookalike uses.

Any other function is an error, so that a test never passes on a call that was silently ignored.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any

import numpy as np
from shapely.geometry import box, mapping, shape
from shapely.geometry.base import BaseGeometry

from tests.loopback import images
from tests.loopback.images import Asset, Grid, Img


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, code: int, message: str, status: str = "INVALID_ARGUMENT") -> None:
        super().__init__(message)
        self.code, self.message, self.status = code, message, status


@dataclass
class Collection:
    images: list[Img]
    id: str | None = None


@dataclass
class Feature:
    geometry: Any
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Features:
    features: list[Feature]


@dataclass
class PixelRectangle:
    """A rectangle in pixels of a projection, as exports with exact dimensions give it."""

    bounds: tuple[float, float, float, float]


def missing(kind: str, name: str) -> RefusedError:
    return RefusedError(
        404,
        f"{kind}.load: {kind} asset '{name}' not found "
        "(does not exist or caller does not have access).",
        "NOT_FOUND",
    )


class Catalogue:
    """Collections of assets by id."""

    def __init__(self) -> None:
        self.collections: dict[str, list[Asset]] = {}

    def add(self, collection: str, asset: Asset) -> None:
        self.collections.setdefault(collection, []).append(asset)

    def image(self, name: str) -> Img:
        for assets in self.collections.values():
            for asset in assets:
                if asset.id == name:
                    return asset.image()
        raise missing("Image", name)


def _ms(value: Any) -> int:
    if isinstance(value, (int, float)):
        return int(value)
    moment = datetime.fromisoformat(str(value).replace("Z", "+00:00"))
    return int(moment.replace(tzinfo=moment.tzinfo or timezone.utc).timestamp() * 1000)


def evaluate(catalogue: Catalogue, expression: dict[str, Any]) -> Any:
    """The value of a serialised expression."""
    values, memo = expression["values"], {}

    def ev(node: dict[str, Any], env: dict[str, Any]) -> Any:
        if "constantValue" in node:
            return node["constantValue"]
        if "integerValue" in node:
            return int(node["integerValue"])
        if "arrayValue" in node:
            return [ev(part, env) for part in node["arrayValue"].get("values", [])]
        if "dictionaryValue" in node:
            entries = node["dictionaryValue"].get("values", {})
            return {key: ev(part, env) for key, part in entries.items()}
        if "argumentReference" in node:
            return env[node["argumentReference"]]
        if "valueReference" in node:
            key = node["valueReference"]
            if env:
                return ev(values[key], env)
            if key not in memo:
                memo[key] = ev(values[key], env)
            return memo[key]
        if "functionDefinitionValue" in node:
            made = node["functionDefinitionValue"]
            names, body = made["argumentNames"], values[made["body"]]
            return lambda *given: ev(body, {**env, **dict(zip(names, given, strict=True))})
        if "functionInvocationValue" in node:
            call = node["functionInvocationValue"]
            name = call.get("functionName", "?")
            function = FUNCTIONS.get(name)
            if function is None:
                raise RefusedError(400, f"the test server has no function {name}")
            given = {key: ev(part, env) for key, part in call.get("arguments", {}).items()}
            return function(catalogue, **given)
        if node == {}:
            return None
        raise RefusedError(400, f"the test server cannot read {node}")

    return ev(values[expression["result"]], {})


FUNCTIONS: dict[str, Callable[..., Any]] = {}


def function(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Registers what answers to Earth Engine's names; arguments bear Earth Engine's own (N803)."""

    def register(body: Callable[..., Any]) -> Callable[..., Any]:
        for name in names:
            FUNCTIONS[name] = body
        return body

    return register


@function("ImageCollection.load")
def _(catalogue, id, version=None):
    if id not in catalogue.collections:
        raise missing("ImageCollection", id)
    return Collection([asset.image() for asset in catalogue.collections[id]], id)


@function("Image.load")
def _(catalogue, id, version=None):
    return catalogue.image(id)


@function("ImageCollection.fromImages")
def _(catalogue, images):
    return Collection(list(images))


@function("Collection.filter")
def _(catalogue, collection, filter):
    return Collection([image for image in collection.images if filter(image)], collection.id)


@function("Collection.size")
def _(catalogue, collection):
    return len(collection.images)


@function("Collection.first")
def _(catalogue, collection):
    return collection.images[0] if collection.images else None


@function("Collection.limit")
def _(catalogue, collection, limit=None, key=None, ascending=True):
    found = collection.images
    if key:
        found = sorted(found, key=lambda image: image.props[key], reverse=not ascending)
    return Collection(found[:limit], collection.id)


@function("Collection.map")
def _(catalogue, collection, baseAlgorithm, dropNulls=False):  # noqa: N803
    mapped = [baseAlgorithm(image) for image in collection.images]
    if mapped and isinstance(mapped[0], Feature):
        return Features(mapped)
    return Collection(mapped, collection.id)


@function("Feature")
def _(catalogue, geometry=None, metadata=None):
    return Feature(geometry, metadata or {})


@function("Element.get")
def _(catalogue, object, property):
    return object.props.get(property)


@function("Image.geometry")
def _(catalogue, feature, **_):
    return feature.footprint


@function("Filter.intersects")
def _(catalogue, rightValue=None, **_):  # noqa: N803
    geometry = rightValue.geometry if isinstance(rightValue, Feature) else rightValue
    return lambda image: image.footprint.intersects(geometry)


@function("DateRange")
def _(catalogue, start, end=None, timeZone=None):  # noqa: N803
    return _ms(start), _ms(end)


@function("Filter.dateRangeContains")
def _(catalogue, leftValue=None, rightField=None, **_):  # noqa: N803
    return lambda image: leftValue[0] <= image.props[rightField] < leftValue[1]


@function("Filter.greaterThan")
def _(catalogue, leftField=None, rightValue=None, **_):  # noqa: N803
    return lambda image: image.props.get(leftField, 1e99) > rightValue


@function("Filter.not")
def _(catalogue, filter):
    return lambda image: not filter(image)


@function("Filter.and")
def _(catalogue, filters):
    return lambda image: all(check(image) for check in filters)


@function("GeometryConstructors.Polygon", "GeometryConstructors.MultiPolygon")
def _(catalogue, coordinates, **_):
    deep = isinstance(coordinates[0][0][0], list)
    kind = "MultiPolygon" if deep else "Polygon"
    return shape({"type": kind, "coordinates": coordinates})


@function("GeometryConstructors.Rectangle")
def _(catalogue, coordinates, crs=None, **_):
    flat = [float(n) for part in coordinates for n in (part if isinstance(part, list) else [part])]
    if isinstance(crs, tuple):
        return PixelRectangle(tuple(flat))
    return box(*flat)


@function("Projection")
def _(catalogue, crs, transform=None, transformWkt=None):  # noqa: N803
    return crs, tuple(transform or (1, 0, 0, 0, 1, 0))


@function("Image.projection")
def _(catalogue, image):
    return image.projection


@function("Image.select")
def _(catalogue, input, bandSelectors, newNames=None):  # noqa: N803
    names = bandSelectors if isinstance(bandSelectors, list) else [bandSelectors]
    for name in names:
        if name not in input.bands:
            raise RefusedError(
                400,
                f"Image.select: Band pattern '{name}' did not match any bands. "
                f"Available bands: {list(input.bands)}",
            )
    return images.select(input, names, newNames)


@function("ImageCollection.mosaic")
def _(catalogue, collection):
    if not collection.images:
        return Img((), lambda grid: (np.zeros((0, grid.height, grid.width)), None))
    return images.mosaic(collection.images)


@function("reduce.median")
def _(catalogue, collection):
    return images.median(collection.images)


@function("Image.constant")
def _(catalogue, value):
    return images.constant(value)


@function("Image.unmask")
def _(catalogue, input, value=None, sameFootprint=True):  # noqa: N803
    number = 0.0
    if value is not None:
        number = float(value.draw(Grid("EPSG:4326", (1, 0, 0, 0, -1, 0), 1, 1))[0][0, 0, 0])
    return images.unmask(input, number)


@function("Image.updateMask")
def _(catalogue, image, mask):
    return images.update_mask(image, mask)


@function("Image.selfMask")
def _(catalogue, image):
    return images.update_mask(image, image)


@function("Image.clip")
def _(catalogue, input, geometry):
    return images.clip(input, geometry)


@function("Image.visualize")
def _(catalogue, image, bands=None, min=0, max=255, **_):
    chosen = images.select(image, list(bands or image.bands[:3]))
    return images.visualize(chosen, float(np.ravel(min)[0]), float(np.ravel(max)[0]))


for _name, _operation in {
    "Image.neq": np.not_equal,
    "Image.eq": np.equal,
    "Image.and": np.logical_and,
    "Image.or": np.logical_or,
    "Image.bitwiseAnd": lambda a, b: a.astype(int) & b.astype(int),
}.items():
    FUNCTIONS[_name] = lambda catalogue, image1, image2, _operation=_operation: images.binary(
        image1, image2, _operation
    )

for _name in ("Uint8", "Uint16", "Int16", "Float"):
    FUNCTIONS[f"Image.to{_name}"] = (
        lambda catalogue, value, _dtype=_name.lower().replace("float", "float32"): images.cast(
            value, _dtype
        )
    )


@function("Image.reproject", "Image.setDefaultProjection")
def _(catalogue, image, crs, crsTransform=None, scale=None):  # noqa: N803
    name, transform = crs if isinstance(crs, tuple) else (crs, None)
    if crsTransform:
        transform = tuple(crsTransform)
    return image.but(projection=(name, transform))


@function("Image.clipToBoundsAndScale")
def _(catalogue, input, geometry=None, **_):
    if not isinstance(geometry, PixelRectangle) or input.projection is None:
        raise RefusedError(400, "the test server only exports exact grids")
    crs, (a, _b, c, _d, e, f) = input.projection
    left, top, right, bottom = geometry.bounds
    grid = Grid(
        crs,
        (a, 0, c + a * left, 0, e, f + e * top),
        round(right - left),
        round(bottom - top),
    )
    return input.but(fixed=grid)


def described(asset: Asset) -> dict[str, Any]:
    """An asset as `getInfo` and `value:compute` describe it."""
    _, height, width = asset.data.shape
    precision = "float" if asset.data.dtype.kind == "f" else "int"
    limits = {} if precision == "float" else {"min": 0, "max": int(np.iinfo(asset.data.dtype).max)}
    return {
        "type": "Image",
        "id": asset.id,
        "properties": asset.image().props,
        "bands": [
            {
                "id": name,
                "data_type": {"type": "PixelType", "precision": precision, **limits},
                "dimensions": [width, height],
                "crs": asset.crs,
                "crs_transform": list(asset.transform),
            }
            for name in asset.bands
        ],
    }


def as_json(value: Any) -> Any:
    """A value as `value:compute` returns it."""
    if isinstance(value, Img):
        if value.asset is not None:
            return described(value.asset)
        return {"type": "Image", "bands": [{"id": name} for name in value.bands]}
    if isinstance(value, Collection):
        return {
            "type": "ImageCollection",
            "id": value.id,
            "features": [as_json(image) for image in value.images],
        }
    if isinstance(value, Features):
        return {"type": "FeatureCollection", "features": [as_json(f) for f in value.features]}
    if isinstance(value, Feature):
        properties = {k: v for k, v in value.properties.items() if v is not None}
        return {
            "type": "Feature",
            "geometry": as_json(value.geometry),
            "properties": as_json(properties),
        }
    if isinstance(value, BaseGeometry):
        return mapping(value)
    if isinstance(value, dict):
        return {key: as_json(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(part) for part in value]
    return value
