"""A worker that has two threads: one block is embedded, another is read and written meanwhile."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Lock

import numpy as np
import pytest

from pipeline.build import blocks
from pipeline.build.blocks import BlockTask, Read, make_block
from pipeline.build.plan import plan
from tests.factories import synthetic
from tests.factories.rasters import write_raster
from tests.factories.standin import Colours


class OneAtATime(Colours):
    """Embeds the first block only once the second has been read."""

    def __init__(self, second_read: Event) -> None:
        super().__init__()
        self.second_read, self.busy = second_read, Lock()

    def embed(self, pixels: np.ndarray) -> np.ndarray:
        assert self.busy.acquire(blocking=False), "two blocks were embedded at once"
        try:
            assert self.second_read.wait(120), "the second block was not read meanwhile"
            return super().embed(pixels)
        finally:
            self.busy.release()


def test_a_block_is_read_while_another_is_embedded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    collection = synthetic.collection(tmp_path / "one", sizes=(1024, 512))
    for scene in collection.scenes.values():
        write_raster(Path(scene.path), scene.width, scene.height, seed=1)
        for part in collection.part_files(scene.id):
            part.unlink()
    tasks, _ = plan(collection)
    assert len(tasks) == 2
    both = Event()
    read: list[BlockTask] = []

    def noted(task: BlockTask) -> Read:
        found = real(task)
        read.append(task)
        if len(read) == 2:
            both.set()
        return found

    real = blocks.read_block
    monkeypatch.setattr(blocks, "read_block", noted)
    embedder = OneAtATime(both)
    with ThreadPoolExecutor(2) as threads:
        summaries = list(threads.map(lambda task: make_block(task, embedder), tasks))
    assert [summary.chips for summary in summaries] == [
        len(t.block.rows) * len(t.block.cols) for t in tasks
    ]
    assert all(task.path.is_file() for task in tasks)
