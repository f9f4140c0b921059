"""Tiles, footprints, chip pictures and assets, asked for over HTTP without a browser."""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.applications import Starlette
from starlette.testclient import TestClient

from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.frontend import assets_version
from pipeline.search.open_collections import OpenCollections
from pipeline.web import app, tiles
from tests.factories.rasters import ground, write
from tests.web import rest


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    """Real chips of a 600×500 scene whose left fifth is nodata 0 and which has a dark pond."""
    data = ground(600, 500)
    data[:, :, :120] = 0
    data[:, 200:300, 300:400] = 0
    return built(tmp_path, write(tmp_path / "scene.tif", data, nodata=0))


def built(home: Path, raster: Path, **options: Any) -> Collection:
    """A collection with a real scene and chips, and random vectors in place of the model's."""
    from pipeline.collection.manifest import Manifest
    from pipeline.collection.parquet import write_part
    from pipeline.imagery.chips import Grid, cut
    from pipeline.imagery.ingest import SceneInput, ingest
    from pipeline.imagery.reader import SceneReader
    from tests.factories.synthetic import MODEL

    library = Library(home)
    made = library.create(Manifest("made", "Made", 128, MODEL))
    scene = ingest(SceneInput(raster, **options), made.scenes_folder)
    rng = np.random.default_rng(3)
    total = 0
    with SceneReader(scene) as reader:
        for block in Grid.for_scene(scene, 128).blocks():
            chips = cut(reader, scene, block)
            vectors = rng.normal(size=(len(chips.ids), 2048)).astype(np.float32)
            path = made.path / "chips" / scene.id / f"block-{block.name}-all.parquet"
            write_part(path, scene, chips, vectors, MODEL, stride=128)
            total += len(chips.ids)
    return made.write(complete=True, chips=total, scenes=(scene.id,))


@pytest.fixture
def client(collection: Collection) -> TestClient:
    open_collections = OpenCollections(Library(collection.path.parent.parent))
    return TestClient(Starlette(routes=app.routes(rest(open_collections=open_collections))))


def pixels(content: bytes) -> np.ndarray:
    from PIL import Image

    return np.asarray(Image.open(io.BytesIO(content)))


def covering(collection: Collection, zoom: int = 13) -> tuple[str, int, int]:
    """A scene of the collection and the tile over its centre."""
    import morecantile

    (scene,) = collection.scenes.values()
    centre = scene.footprint.centroid
    tile = morecantile.tms.get("WebMercatorQuad").tile(centre.x, centre.y, zoom)
    return scene.id, tile.x, tile.y


def test_a_tile_shows_the_scene_and_is_kept_for_ever(client, collection) -> None:
    scene, x, y = covering(collection)
    answer = client.get(f"/api/collections/made/tiles/{scene}/13/{x}/{y}.png?v=1")
    assert answer.status_code == 200
    assert "immutable" in answer.headers["cache-control"]
    picture = pixels(answer.content)
    assert picture.shape == (256, 256, 4)
    assert (picture[..., 3] == 255).any()


def test_nodata_at_the_border_is_clear_and_dark_water_inside_is_not(client, collection) -> None:
    from pipeline.imagery.render import age_of
    from pipeline.web.tiles import preview_png

    (scene,) = collection.scenes.values()
    picture = pixels(preview_png(collection))
    assert age_of(scene) > 0
    assert picture.shape[:2] == (500, 600)
    assert (picture[:, 10:110, 3] == 0).all()
    assert (picture[220:280, 320:380, 3] == 255).all()
    assert (picture[220:280, 320:380, :3] < 20).all()


def test_a_tile_beside_the_scene_is_one_clear_pixel(client, collection) -> None:
    scene, *_ = covering(collection)
    answer = client.get(f"/api/collections/made/tiles/{scene}/13/0/0.png")
    assert pixels(answer.content).shape == (1, 1, 4)
    assert pixels(answer.content).max() == 0


@pytest.mark.parametrize("place", ["2/9/9", "2/-1/0", "99/0/0", "9" * 5000 + "/0/0"])
def test_an_impossible_tile_is_not_found(client, collection, place: str) -> None:
    scene, *_ = covering(collection)
    assert client.get(f"/api/collections/made/tiles/{scene}/{place}.png").status_code == 404


@pytest.mark.parametrize(
    "scene", ["nowhere-00000000", "..%2F..%2Fetc%2Fpasswd", "https:%2F%2Fexample.org%2Fa.tif"]
)
def test_only_registered_scenes_are_opened(client, scene: str) -> None:
    answer = client.get(f"/api/collections/made/tiles/{scene}/3/1/1.png")
    assert answer.status_code == 404


def test_a_missing_scene_file_is_explained_with_a_remedy(client, collection) -> None:
    scene, x, y = covering(collection)
    Path(next(iter(collection.scenes.values())).path).unlink()
    answer = client.get(f"/api/collections/made/tiles/{scene}/13/{x}/{y}.png")
    assert answer.status_code == 500
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert "build it again" in answer.json()["remedy"]


def test_footprints_are_the_table_in_row_order(client, collection) -> None:
    answer = client.get(f"/api/collections/made/footprints.f64?v={collection.version}")
    corners = np.frombuffer(answer.content, "<f8").reshape(-1, 4, 2)
    assert (corners == collection.chips.corners).all()


def test_a_chip_picture_is_its_window(client, collection) -> None:
    from pipeline.imagery.reader import SceneReader

    table, (scene,) = collection.chips, collection.scenes.values()
    chip = table.ids[5].decode()
    picture = pixels(client.get(f"/api/collections/made/chips/{chip}.png").content)
    with SceneReader(scene) as reader:
        window, _ = reader.read(int(table.cols[5]), int(table.rows[5]), 256, 256)
    assert (picture == window).all()
    small = client.get(f"/api/collections/made/chips/{chip}.png?size=64")
    assert pixels(small.content).shape == (64, 64, 3)


def test_a_chip_picture_of_another_size_or_chip_is_refused(client, collection) -> None:
    chip = collection.chips.ids[0].decode()
    assert client.get(f"/api/collections/made/chips/{chip}.png?size=9999").status_code == 400
    assert client.get("/api/collections/made/chips/0000.png").status_code == 404
    assert client.get("/api/collections/other/preview.png").status_code == 404


def test_a_page_open_while_its_collection_is_renamed_keeps_its_pictures(client, collection) -> None:
    chip = collection.chips.ids[0].decode()
    places = [f"chips/{chip}.png", "preview.png", "footprints.f64"]
    before = [client.get(f"/api/collections/made/{place}").content for place in places]
    Library(collection.path.parent.parent).rename("made", "waters")
    after = [client.get(f"/api/collections/made/{place}") for place in places]
    assert [answer.status_code for answer in after] == [200, 200, 200]
    assert [answer.content for answer in after] == before
    assert client.get("/api/collections/never/preview.png").status_code == 404


def test_assets_carry_their_version_and_nothing_else_is_served(client) -> None:
    version = assets_version()
    answer = client.get(f"/lookalike/assets/{version}/search/search.js")
    assert answer.status_code == 200
    assert "javascript" in answer.headers["content-type"]
    assert "immutable" in answer.headers["cache-control"]
    outside = client.get(f"/lookalike/assets/{version}/..%2Fpyproject.toml")
    assert outside.status_code == 404


@pytest.mark.parametrize("name", ["package.json", "map/leaflet.js", "map/map.css"])
def test_the_version_of_the_assets_changes_with_a_file_of_any_folder(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.parent.mkdir(exist_ok=True)
    file.write_text("before")
    os.utime(file, ns=(0, 1))
    before = assets_version(tmp_path)
    os.utime(file, ns=(0, 2))
    assert assets_version(tmp_path) != before


@pytest.mark.parametrize(("dtype", "count"), [("uint16", 1), ("float32", 4), ("int16", 2)])
def test_tiles_of_other_types_and_band_counts(tmp_path: Path, dtype: str, count: int) -> None:
    data = ground(320, 300, count, dtype)
    if dtype == "float32":
        data[:, :40] = np.nan
    collection = built(tmp_path, write(tmp_path / "scene.tif", data))
    picture = pixels(tiles.preview_png(collection))
    assert picture[..., :3].std() > 10
    assert (picture[..., 3] == 0).any() == (dtype == "float32")


def test_many_threads_ask_for_tiles_at_once(client, collection) -> None:
    from concurrent.futures import ThreadPoolExecutor

    scene, x, y = covering(collection, 15)
    tiles.tile_png.cache_clear()
    addresses = [
        f"/api/collections/made/tiles/{scene}/15/{x + i % 4}/{y + i // 4}.png" for i in range(16)
    ]
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda address: client.get(address).status_code, addresses))
    assert codes == [200] * 16
