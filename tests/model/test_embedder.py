"""Embedding: the fast paths give what Keras gives, and blockings do not show."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import ModelMismatchError, QueryError
from pipeline.model import dense, embedder, loader, resnet
from pipeline.model import runtime as runtimes
from pipeline.model.identity import ModelIdentity
from pipeline.model.weights import cache
from pipeline.search import chip_match
from tests import ROOT
from tests.factories.keras_reference import keras_model

pytestmark = pytest.mark.model


def texture(seed: int, height: int, width: int) -> np.ndarray:
    """Fields, lines and speckle at several scales, uint8 (height, width, 3)."""
    rng = np.random.default_rng(seed)
    pixels = np.zeros((height, width, 3))
    for size in (8, 24, 64, 160):
        patches = rng.normal(size=(height // size + 2, width // size + 2, 3))
        pixels += np.kron(patches, np.ones((size, size, 1)))[:height, :width]
    pixels[:: rng.integers(20, 60)] += 3
    return np.clip(128 + 30 * pixels, 0, 255).astype(np.uint8)


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(-1) / np.linalg.norm(a, axis=-1) / np.linalg.norm(b, axis=-1)


@pytest.fixture(scope="module")
def loaded(shared_weights: Path) -> cache.Weights:
    return cache.load(shared_weights)


@pytest.fixture(scope="module")
def chips() -> np.ndarray:
    return np.stack([texture(seed, 256, 256) for seed in range(6)])


@pytest.fixture(scope="module")
def reference(loaded: cache.Weights, chips: np.ndarray) -> np.ndarray:
    """Keras's own float32 answer."""
    import keras

    pixels = keras.applications.resnet50.preprocess_input(chips.astype(np.float32))
    return keras_model(loaded).predict(pixels, verbose=0)


@pytest.fixture(scope="module")
def dense_embedder(loaded: cache.Weights) -> dense.DenseEmbedder:
    return dense.DenseEmbedder(loaded, runtimes.network(loaded, 2))


def test_folded_float32_graph_equals_keras(
    loaded: cache.Weights, chips: np.ndarray, reference: np.ndarray
) -> None:
    network = resnet.TensorFlowNetwork(loaded, 2, "float32")
    vectors = embedder.average_pool(network, chips)
    np.testing.assert_allclose(vectors, reference, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_every_runtime_agrees_with_keras(
    runtime: runtimes.Runtime, loaded: cache.Weights, chips: np.ndarray, reference: np.ndarray
) -> None:
    vectors = embedder.average_pool(runtimes.network(loaded, 2, runtime), chips)
    assert vectors.shape == (6, 2048)
    assert vectors.dtype == np.float32
    assert cosine(vectors, reference).min() > 0.999


def test_embedding_twice_gives_the_same_bits(home: Path, chips: np.ndarray) -> None:
    ours = loader.resnet50()
    np.testing.assert_array_equal(ours.embed(chips), ours.embed(chips))


def test_no_chips_give_no_vectors(home: Path) -> None:
    assert loader.resnet50().embed(np.zeros((0, 256, 256, 3), np.uint8)).shape == (0, 2048)


def test_anything_but_uint8_rgb_is_refused(home: Path) -> None:
    with pytest.raises(QueryError, match="uint8 RGB"):
        loader.resnet50().embed(np.zeros((1, 256, 256, 3), np.float32))


def test_an_unknown_mode_is_refused() -> None:
    for asked in (loader.resnet50, loader.identity):
        with pytest.raises(QueryError, match="mode"):
            asked("sparse")


def test_identity_names_weights_and_mode_and_survives_json(home: Path) -> None:
    chip, region = loader.resnet50("chip").identity, loader.resnet50("dense").identity
    assert chip.weights_sha256 == cache.TRUNK_SHA256
    assert (chip.mode, region.mode) == ("chip", "dense")
    assert (loader.identity("chip"), loader.identity("dense")) == (chip, region)
    assert ModelIdentity.from_dict(chip.to_dict()) == chip
    with pytest.raises(ModelMismatchError):
        ModelIdentity.from_dict({"name": "keras/resnet50"})
    with pytest.raises(ModelMismatchError):
        ModelIdentity.from_dict({**chip.to_dict(), "mode": "sparse"})


def test_threads_share_the_network(loaded: cache.Weights, chips: np.ndarray) -> None:
    network = runtimes.network(loaded, 1)
    parts = [chips[i : i + 1] for i in range(len(chips))] * 4
    alone = [network.maps(part) for part in parts]
    with ThreadPoolExecutor(len(parts)) as pool:
        for expected, found in zip(alone, pool.map(network.maps, parts), strict=True):
            np.testing.assert_array_equal(expected, found)


def test_a_chip_alone_in_its_region_gets_its_chip_vector(
    dense_embedder: dense.DenseEmbedder, chips: np.ndarray
) -> None:
    alone = dense_embedder.embed_region(chips[0], np.array([0]), np.array([0]))
    assert cosine(alone[0], embedder.average_pool(dense_embedder.network, chips[:1])[0]) > 0.99999


def test_seams_between_blockings_do_not_show(dense_embedder: dense.DenseEmbedder) -> None:
    scene = texture(7, 960, 1184)
    size = (scene.shape[1], scene.shape[0])
    # The shifted last column starts at 928, a multiple of 32; 901 does not.
    cols, rows = np.array([416, 448, 512, 901]), np.array([320, 384, 320, 416])
    whole = dense_embedder.embed_region(scene, cols, rows)
    for col, row, expected in zip(cols, rows, whole, strict=True):
        left, top, width, height = dense.region((int(col), int(row), 256, 256), size)
        part = scene[top : top + height, left : left + width]
        alone = dense_embedder.embed_region(part, np.array([col - left]), np.array([row - top]))
        assert 1 - cosine(alone[0], expected) < 1e-3


def test_regions_are_aligned_grown_and_clipped() -> None:
    assert dense.region((512, 256, 448, 448), (4000, 4000)) == (320, 64, 832, 832)
    assert dense.region((100, 0, 256, 256), (300, 260)) == (0, 0, 300, 260)
    assert dense.region((900, 900, 256, 256), (1156, 1156))[:2] == (704, 704)


def test_box_means_equal_the_plain_mean_on_cells_and_interpolate_between() -> None:
    cells = np.random.default_rng(0).normal(size=(12, 14, 5)).astype(np.float32)
    on_cell = dense.box_means(cells, np.array([64]), np.array([96]))[0]
    np.testing.assert_allclose(on_cell, cells[3:11, 2:10].mean((0, 1)), rtol=1e-5, atol=1e-6)
    left, right = dense.box_means(cells, np.array([32, 64]), np.array([0, 0]))
    between = dense.box_means(cells, np.array([48]), np.array([0]))[0]
    np.testing.assert_allclose(between, (left + right) / 2, rtol=1e-5, atol=1e-6)


def test_pixels_without_data_do_not_pass_for_black_ground(
    dense_embedder: dense.DenseEmbedder, chips: np.ndarray
) -> None:
    valid = np.ones((256, 256), bool)
    valid[:, 200:] = False
    holed = np.where(valid[..., None], chips[0], 0).astype(np.uint8)
    at = np.array([0])
    full = dense_embedder.embed_region(chips[0], at, at)[0]
    told = dense_embedder.embed_region(holed, at, at, valid)[0]
    black = dense_embedder.embed_region(holed, at, at)[0]
    assert cosine(told, full) > cosine(black, full)


def test_a_picture_finds_its_own_place_in_a_dense_scene(
    dense_embedder: dense.DenseEmbedder,
) -> None:
    scene = texture(11, 768, 768)
    cols, rows = (a.ravel() for a in np.meshgrid(np.arange(0, 513, 128), np.arange(0, 513, 128)))
    vectors = dense_embedder.embed_region(scene, cols, rows)
    picture = scene[256:512, 256:512]
    scores = cosine(dense_embedder.embed(picture[None]), vectors)
    assert (cols[scores.argmax()], rows[scores.argmax()]) == (256, 256)


def test_cell_scores_point_at_the_part_that_matches(dense_embedder: dense.DenseEmbedder) -> None:
    rng = np.random.default_rng(5)
    left, right = texture(1, 256, 256), rng.integers(0, 255, (256, 256, 3), np.uint8)
    half = left.copy()
    half[:, 128:] = right[:, 128:]
    network = dense_embedder.network
    (scores,) = chip_match.cosines(
        network.maps(half[None]), embedder.average_pool(network, left[None])[0]
    )
    assert scores.shape == (8, 8)
    assert scores[:, :3].mean() > scores[:, 5:].mean()


def test_importing_the_module_and_asking_who_it_is_loads_no_runtime(home: Path) -> None:
    code = (
        "import sys; import pipeline.model.loader, pipeline.model.runtime; "
        "assert pipeline.model.loader.identity('dense').mode == 'dense'; "
        "sys.exit('tensorflow' in sys.modules or 'openvino' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize("runtime", ["tensorflow", "openvino"])
def test_no_runtime_calls_home_or_prints_when_it_is_loaded(runtime: str, tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "calls = []\n"
        "outward = 'socket.connect', 'socket.getaddr'\n"
        "sys.addaudithook(lambda event, given: event.startswith(outward) and calls.append(given))\n"
        "from pipeline.model import native\n"
        f"native.load({runtime!r})\n"
        "sys.exit(f'{calls}' if calls else 0)"
    )
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "nor does it say anything"
    assert not (tmp_path / "intel").exists(), "nor does it count how often it was used"
