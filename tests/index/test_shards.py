"""Search by several workers: the answer of a single index, also when a worker is lost."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from distributed import Client, LocalCluster

from pipeline.cluster.storage import Storage
from pipeline.collection.collection import Collection
from pipeline.index.index import Index
from pipeline.index.shards import Shards
from tests.factories import synthetic

QUERIES = np.random.default_rng(5).normal(size=(6, 2048))


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_HOME", str(tmp_path_factory.mktemp("workers")))
        with (
            LocalCluster(
                n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
            ) as cluster,
            Client(cluster) as connected,
        ):
            yield connected


@pytest.fixture
def kill(client: Client) -> Iterator[Callable[[str], None]]:
    """Kills a worker by its address; the next test meets two again."""
    killed: set[str] = set()

    def kill(address: str) -> None:
        pid = client.run(os.getpid, workers=[address])[address]
        killed.add(address)
        os.kill(pid, signal.SIGKILL)

    yield kill
    while killed & (there := addresses(client)) or len(there) < 2:
        time.sleep(0.05)


def addresses(client: Client) -> set[str]:
    """Where the workers are that the scheduler knows."""
    return set(client.scheduler_info(n_workers=-1)["workers"])


@pytest.fixture
def collection(tmp_path: Path) -> Collection:
    return synthetic.collection(tmp_path, sizes=(1536, 1024, 1024, 512))


def test_sharded_search_equals_a_single_index(
    collection: Collection, client: Client, tmp_path: Path
) -> None:
    single = Index.open(synthetic.collection(tmp_path / "single", sizes=(1536, 1024, 1024, 512)))
    shards = Shards.open(collection, client)
    assert len(single.segments) == 1
    assert len(shards.index.segments) == len(set(shards.owners)) == 2
    mask = np.arange(len(single)) % 3 == 0
    for query in QUERIES:
        for k in (1, 7, 40, 1000):
            for eligible in (None, mask):
                expected, got = single.search(query, k, eligible), shards.search(query, k, eligible)
                assert got[0].tolist() == expected[0].tolist()
                assert got[1] == pytest.approx(expected[1], abs=2e-6)


def test_many_queries_in_one_round_equal_one_by_one(collection: Collection, client: Client) -> None:
    shards = Shards.open(collection, client)
    for query, (rows, scores) in zip(QUERIES, shards.search_many(QUERIES, 5), strict=True):
        alone = shards.search(query, 5)
        assert (rows.tolist(), scores.tolist()) == (alone[0].tolist(), alone[1].tolist())


def test_nothing_asked_for_is_nothing(collection: Collection, client: Client) -> None:
    shards = Shards.open(collection, client)
    assert len(shards.search(QUERIES[0], 0)[0]) == 0
    assert [len(rows) for rows, _ in shards.search_many(QUERIES, 0)] == [0] * 6


def test_workers_that_do_not_see_the_disk_copy_their_shard(
    collection: Collection, client: Client, tmp_path: Path
) -> None:
    near = Shards.open(collection, client)
    far = Shards.open(collection, client, Storage.at(str(tmp_path / "bucket")))
    folder = near.index.segments[0].folder.parent
    folder.rename(tmp_path / "away")
    for query in QUERIES:
        expected, got = near.index.search(query, 9), far.search(query, 9)
        assert (got[0].tolist(), got[1].tolist()) == (expected[0].tolist(), expected[1].tolist())


def test_a_lost_worker_is_replaced_and_the_answer_is_the_same(
    collection: Collection, client: Client, kill: Callable[[str], None]
) -> None:
    shards = Shards.open(collection, client)
    before = shards.search(QUERIES[0], 9)[0].tolist()
    kill(shards.owners[0])
    assert shards.search(QUERIES[0], 9)[0].tolist() == before
