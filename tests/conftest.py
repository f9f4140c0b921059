"""Fixtures for every test: a home of its own, the real weights, small generated rasters."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# OpenBLAS has a thread spin on each core between two products, which takes it from another test.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
SHARED_HOME = Path(os.environ.get("LOOKALIKE_HOME") or "~/.lookalike").expanduser()
#: Weights given by hand, which `make setup` then used where they lie.
GIVEN_WEIGHTS = os.environ.get("LOOKALIKE_WEIGHTS")
# No other setting of ours, of Streamlit's or of a cloud's reaches a test.
_PREFIXES = ("LOOKALIKE_", "STREAMLIT_", "DASK_", "GOOGLE_", "AWS_")
for _name in {name for name in os.environ if name.startswith(_PREFIXES)}:
    if _name not in ("LOOKALIKE_HOME", "LOOKALIKE_WEIGHTS"):
        del os.environ[_name]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that drive a browser first: they take longest, and none shall be alone at the end."""
    items.sort(key=lambda item: item.get_closest_marker("browser") is None)


@pytest.fixture(autouse=True)
def _no_outside_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail any test that reaches for a host that is not this one."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if isinstance(address, tuple) and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(autouse=True)
def _settings_of_this_test() -> Iterator[None]:
    """The environment is read anew by each test: the one before may have had another."""
    from pipeline.settings import settings

    settings.cache_clear()
    yield
    settings.cache_clear()


@pytest.fixture(scope="session")
def shared_weights() -> Path:
    """The real ImageNet weights, as `make setup` fetched or was given them."""
    from pipeline.model.weights.cache import cache_path

    given = Path(GIVEN_WEIGHTS).expanduser() if GIVEN_WEIGHTS else None
    for path in (given, cache_path(SHARED_HOME)):
        if path and path.suffix == ".npz" and path.exists():
            return path
    raise AssertionError("the weights are missing: run `make setup` first")


@pytest.fixture(scope="session")
def shared_forest() -> Path:
    """The home in which `make test` has put the imagery of the forest sample."""
    from pipeline.sources.forest import picture

    if picture(SHARED_HOME).is_file():
        return SHARED_HOME
    raise AssertionError("the forest sample is missing: run `make forest` first")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared_weights: Path) -> Path:
    """An empty LOOKALIKE_HOME that has the weights, for this process and its children."""
    return _furnish(tmp_path / "home", monkeypatch, shared_weights)


@pytest.fixture(scope="module")
def module_home(tmp_path_factory: pytest.TempPathFactory, shared_weights: Path) -> Iterator[Path]:
    """As `home`, shared by the tests of one module."""
    with pytest.MonkeyPatch.context() as patch:
        yield _furnish(tmp_path_factory.mktemp("module") / "home", patch, shared_weights)


@pytest.fixture(scope="session")
def ponds_home(
    tmp_path_factory: pytest.TempPathFactory, shared_weights: Path, worker_id: str
) -> Path:
    """A home with one collection, `ponds`, of 49 chips, which is copied by who uses it.

    It is built once by whichever process of the suite needs it first.
    """
    from pipeline.files import exclusive
    from pipeline.settings import settings
    from tests.browser.driver import build, ponds
    from tests.factories.rasters import write

    own = tmp_path_factory.getbasetemp()
    folder = (own if worker_id == "master" else own.parent) / "ponds"
    home, built = folder / "home", folder / "built"
    with exclusive(folder / ".lock"), pytest.MonkeyPatch.context() as patch:
        if not built.exists():
            shutil.rmtree(home, ignore_errors=True)  # of a build that failed
            _furnish(home, patch, shared_weights)
            scene = write(folder / "ponds.tif", ponds())
            build(home, scene, "ponds", "--stride", "128", "--title", "Fields and ponds")
            built.touch()
    settings.cache_clear()
    return home


def _furnish(home: Path, patch: pytest.MonkeyPatch, weights: Path) -> Path:
    from pipeline.settings import settings

    home.mkdir()
    patch.setenv("LOOKALIKE_HOME", str(home))
    patch.setenv("LOOKALIKE_WEIGHTS", str(weights))
    settings.cache_clear()
    return home
