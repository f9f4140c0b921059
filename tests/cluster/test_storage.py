"""Builds through shared storage: what passes through it is what was made, and only that."""

from __future__ import annotations

import pickle
import shutil
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import fsspec
import numpy as np
import pytest

from pipeline.build import shared_storage
from pipeline.build.build import build
from pipeline.build.dask_engine import BlocksFailed, DaskEngine, Failure
from pipeline.build.plan import plan
from pipeline.build.request import BuildRequest
from pipeline.cluster.storage import Storage
from pipeline.collection import parquet
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import Cancelled, QueryError, ServiceError, StorageError
from pipeline.imagery.ingest import SceneInput, ingest
from pipeline.imagery.reader import SceneReader
from pipeline.progress import Progress, silent
from tests import closed_port
from tests.factories import standin, synthetic
from tests.factories.clusters import Cluster
from tests.factories.rasters import write_raster


@pytest.fixture(params=["memory", "file"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    """A remote store, and a folder in the place of one."""
    where = {"memory": "memory://bucket/place", "file": str(tmp_path / "bucket with spaces")}
    yield Storage.at(where[request.param])
    fsspec.filesystem("memory").store.clear()


def folder_of(collection: Collection) -> str:
    return f"collections/{collection.name}"


def vectors(collection: Collection) -> bytes:
    return b"".join(read_embeddings(part).tobytes() for part in collection.parts)


def test_file_comes_back_as_it_was_sent_and_can_be_replaced(
    storage: Storage, tmp_path: Path
) -> None:
    source, back = tmp_path / "a", tmp_path / "b"
    for content in (b"first", b"second, longer"):
        source.write_bytes(content)
        storage.send(source, "deep/folder/a")
        storage.fetch("deep/folder/a", back)
        assert back.read_bytes() == content
        assert storage.sizes("deep/folder") == {"a": len(content)}
    assert storage.text("deep/folder/a") == "second, longer"
    storage.remove("deep/folder/a")
    storage.remove("deep/folder/a")
    assert (storage.sizes("deep/folder"), storage.text("deep/folder/a")) == ({}, None)


def test_sending_that_fails_leaves_nothing_and_fetching_nothing_is_told(
    storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        storage.send(tmp_path / "missing", "deep/a")
    with pytest.raises(FileNotFoundError):
        storage.fetch("deep/a", tmp_path / "b")
    assert storage.sizes("deep") == {}
    assert not list(tmp_path.glob("*b"))


def test_refusal_of_the_store_becomes_an_error_with_a_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    place = Storage.at(str(tmp_path / "file"))
    with pytest.raises((StorageError, ServiceError), match="Check"):
        place.send(tmp_path / "file", "below/a/file")


@pytest.mark.parametrize(
    "url",
    [
        "s3://key:hunter2@bucket/a",
        "az://container/a?sig=hunter2",
        "simplecache::s3://hunter2/a",
        "https://example.org/hunter2",
    ],
)
def test_address_with_a_secret_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(QueryError) as refused:
        Storage.at(url)
    assert "hunter2" not in str(refused.value)


def test_unknown_protocol_is_told() -> None:
    with pytest.raises(QueryError, match="fsspec"):
        Storage.at("nosuchstore://bucket")


def test_storage_that_no_worker_reaches_is_refused(tmp_path: Path) -> None:
    tasks, _ = plan(without_parts(synthetic.collection(tmp_path)))
    engine = DaskEngine("tcp://scheduler:8786", storage=Storage.at("memory://bucket"))
    with pytest.raises(QueryError, match="workers cannot access"):
        engine.run_tasks(tasks, 0, silent)


class Closed:
    """What a Dask client is whose scheduler has just gone."""

    loop = object()

    def nthreads(self) -> dict[str, int]:
        return {"tcp://worker": 1}

    def submit(self, *_: object, **__: object) -> None:
        from distributed.comm import CommClosedError

        raise CommClosedError("gone")


def test_block_that_could_not_be_handed_out_is_not_lost(tmp_path: Path) -> None:
    tasks, _ = plan(without_parts(synthetic.collection(tmp_path)))
    waiting = deque((task, 1) for task in tasks)
    with pytest.raises(ServiceError, match="was lost"):
        DaskEngine("tcp://scheduler:8786")._drain(Closed(), waiting, [], len(tasks), silent)
    assert [task for task, _ in waiting] == tasks


def without_parts(collection: Collection) -> Collection:
    shutil.rmtree(collection.path / "chips")
    return Collection(collection.path, collection.manifest)


def test_another_head_fetches_the_blocks_that_are_there(storage: Storage, tmp_path: Path) -> None:
    first = synthetic.collection(tmp_path / "one", sizes=(1024, 512))
    shared_storage.store_copy(storage, first)
    second = without_parts(synthetic.collection(tmp_path / "two", sizes=(1024, 512)))
    tasks, kept = plan(second)
    assert (len(tasks), kept) == (2, [])
    found = shared_storage.fetch_blocks(storage, second, tasks, silent)
    assert [part.rows for part in found] == [16, 4]
    second = Collection(second.path, second.manifest)
    assert plan(second)[0] == []
    assert vectors(second) == vectors(first)
    assert second.version == first.version


def test_copy_of_the_storages_folder_is_the_collection(tmp_path: Path) -> None:
    first = synthetic.collection(tmp_path / "one")
    storage = Storage.at(str(tmp_path / "bucket"))
    shared_storage.store_copy(storage, first)
    copied = Library(tmp_path / "bucket").open("made")
    assert copied.manifest == first.manifest
    assert copied.version == first.version


def test_block_altered_in_the_storage_is_not_taken_and_removed(
    storage: Storage, tmp_path: Path
) -> None:
    collection = synthetic.collection(tmp_path / "one")
    (part,) = collection.parts
    altered = bytearray(part.path.read_bytes())
    altered[len(altered) // 2] ^= 0xFF
    (tmp_path / "altered").write_bytes(altered)
    key = f"{folder_of(collection)}/chips/{part.scene_id}/{part.path.name}"
    storage.send(tmp_path / "altered", key)
    tasks, _ = plan(without_parts(collection))
    assert shared_storage.fetch_blocks(storage, collection, tasks, silent) == []
    assert collection.part_files(part.scene_id) == []
    assert storage.sizes(key.rpartition("/")[0]) == {}


def test_block_that_an_area_gained_later_does_not_stand_for_the_whole(
    storage: Storage, tmp_path: Path
) -> None:
    collection = synthetic.collection(tmp_path / "one")
    (part,) = collection.parts
    ids = collection.chips.ids
    shared_storage.store_copy(storage, collection)
    (task,), _ = plan(without_parts(collection))
    chips = frozenset(chip.decode() for chip in ids[:1])
    with pytest.raises(Exception, match="another model or build"):
        shared_storage.fetch_result(storage, replace(task, known=chips))
    assert not part.path.exists()
    shared_storage.fetch_result(storage, task)
    assert parquet.read_footer(task.path, task.scene_id).rows == 16


def test_another_collection_of_the_name_is_not_mixed_in(storage: Storage, tmp_path: Path) -> None:
    shared_storage.store_copy(storage, synthetic.collection(tmp_path / "one"))
    other = without_parts(synthetic.collection(tmp_path / "two", stride=128))
    with pytest.raises(QueryError, match="another collection of this name"):
        shared_storage.fetch_blocks(storage, other, plan(other)[0], silent)


def test_windows_read_from_a_store_equal_those_of_the_file(
    storage: Storage, tmp_path: Path
) -> None:
    raster = write_raster(tmp_path / "strip.tif", 900, 700, seed=8, nodata=0)
    local = ingest(SceneInput(raster), tmp_path / "scenes")
    storage.send(Path(local.path), "scenes/strip.tif")
    there = pickle.loads(pickle.dumps(replace(local, path=storage.address("scenes/strip.tif"))))
    with SceneReader(local) as one, SceneReader(there) as other:
        for window in ((0, 0, 256, 256), (600, 400, 300, 300)):
            for mine, theirs in zip(one.read(*window), other.read(*window), strict=True):
                np.testing.assert_array_equal(mine, theirs)


def test_failed_blocks_travel_between_processes() -> None:
    error = BlocksFailed([Failure("a/r0000-c0000", "no", 3)], 7)
    again = pickle.loads(pickle.dumps(error))
    assert (str(again), again.failures, again.remedy) == (str(error), error.failures, error.remedy)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    """One for each test: it is left as a test that disturbs it leaves it."""
    (tmp_path / "cluster").mkdir()
    started = Cluster(tmp_path / "cluster", workers=2)
    yield started
    started.close()


@pytest.fixture
def asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BuildRequest:
    """A build of five blocks and 66 chips."""
    monkeypatch.setattr("pipeline.model.loader.resnet50", standin.resnet50)
    raster = write_raster(tmp_path / "strip.tif", 4352, 300, seed=3)
    return BuildRequest("strip", (SceneInput(raster),), stride=128, mode="chip")


def test_build_through_storage_equals_a_local_one_and_is_never_done_twice(
    asked: BuildRequest, tmp_path: Path, cluster: Cluster
) -> None:
    library, storage = Library(tmp_path / "head"), Storage.at(str(tmp_path / "bucket"))
    engine = DaskEngine(cluster.address, storage=storage)
    summary = build(asked, library, run=engine.run_tasks, storage=storage)
    assert (summary.blocks_made, summary.blocks_kept) == (5, 0)
    assert not (cluster.folder / "home" / "collections").exists()
    assert not list((tmp_path / "bucket").rglob(".tmp-*"))
    assert_as_built_here(asked, library)
    fresh = Library(tmp_path / "another")
    again = build(asked, fresh, storage=storage)
    assert (again.blocks_made, again.blocks_kept) == (0, 5)
    assert fresh.open("strip").version == library.open("strip").version


def test_killed_worker_and_restarted_scheduler_lose_nothing_and_do_nothing_twice(
    asked: BuildRequest, tmp_path: Path, cluster: Cluster
) -> None:
    library, storage = Library(tmp_path / "head"), Storage.at(str(tmp_path / "bucket"))
    told: list[str] = []
    engine = DaskEngine(cluster.address, storage=storage, tell=told.append)
    written: set[tuple[str, int]] = set()

    cluster.hold.after(1, tmp_path / "bucket")
    first, second = cluster.workers

    def look(step: Progress) -> None:
        """Disturb the build after one block and after two; the hold waits for it."""
        for path in standin.blocks_below(tmp_path / "bucket"):
            written.add((path.name, path.stat().st_ino))
        if len(written) >= 1 and first.poll() is None:
            first.kill()
            first.wait()
            cluster.hold.after(2, tmp_path / "bucket")
        elif len(written) >= 2 and second.poll() is None:
            cluster.scheduler.kill()
            cluster.hold.let_go()
            second.wait()  # it still finishes its block, which the next worker finds
            cluster.restart_scheduler()
            cluster.add_worker()

    summary = build(asked, library, look, run=engine.run_tasks, storage=storage)
    assert len(cluster.workers) == 3
    assert any("was lost" in line for line in told)
    assert summary.blocks_made == 5 == len(written) == len({name for name, _ in written})
    assert_as_built_here(asked, library)


def test_build_that_has_lost_all_its_workers_says_so_and_can_be_cancelled(
    asked: BuildRequest, tmp_path: Path, cluster: Cluster
) -> None:
    storage = Storage.at(str(tmp_path / "bucket"))
    engine = DaskEngine(cluster.address, storage=storage)
    cluster.hold.after(1, tmp_path / "bucket")

    def look(step: Progress) -> None:
        if standin.blocks_below(tmp_path / "bucket"):
            for worker in cluster.workers:
                worker.kill()
        if step.note == "waiting for a worker" and standin.blocks_below(tmp_path / "bucket"):
            raise Cancelled("Stopped")

    with pytest.raises(Cancelled):
        build(asked, Library(tmp_path / "head"), look, run=engine.run_tasks, storage=storage)
    again = build(asked, Library(tmp_path / "another"), storage=storage)
    assert again.blocks_kept >= 1


def assert_as_built_here(asked: BuildRequest, library: Library) -> None:
    build(replace(asked, name="plain"), library)
    one, other = library.open(asked.name), library.open("plain")
    assert one.chips.ids.tolist() == other.chips.ids.tolist()
    assert vectors(one) == vectors(other)


def test_scheduler_that_is_not_there_leaves_the_scenes_sent_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = without_parts(synthetic.collection(tmp_path / "one"))
    (scene,) = collection.scenes.values()
    write_raster(Path(scene.path), 1024, 1024, seed=1)
    storage = Storage.at(str(tmp_path / "bucket"))
    monkeypatch.setattr("pipeline.build.dask_engine._CONNECT_SECONDS", 1)
    with closed_port() as port:
        engine = DaskEngine(f"tcp://127.0.0.1:{port}", storage=storage)
        with pytest.raises(ServiceError, match="not answer"):
            engine.run_tasks(plan(collection)[0], 0, silent)
    assert list(storage.sizes("collections/made/scenes")) == [f"{scene.id}.tif"]
