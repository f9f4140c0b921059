"""The tasks of a build, of whichever kind: blocks of chips and files of object cells.

Engines run tasks without knowing their kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from pipeline.build.blocks import (
    BlockSummary,
    BlockTask,
    Read,
    existing_block,
    make_block,
    read_block,
)
from pipeline.build.cells import CellPixels, CellTask, make_cells, read_cells
from pipeline.collection import cell_files
from pipeline.model import loader

Task = BlockTask | CellTask
Pixels = Read | CellPixels


def stage_of(task: Task) -> tuple[str, str]:
    """The stage that a task belongs to and the unit of its size, for progress."""
    return ("Embedding", "chips") if isinstance(task, BlockTask) else ("Object cells", "cells")


def name_of(task: Task) -> str:
    """The task's scene and block, for messages."""
    block = task.block.name if isinstance(task, BlockTask) else task.name
    return f"{task.scene_id}/{block}"


def files_of(task: Task) -> list[Path]:
    """The files that a task writes; the last one is its checkpoint."""
    if isinstance(task, BlockTask) and task.cells is not None:
        return [task.cells.path, task.path]
    return [task.path]


def existing(task: Task) -> BlockSummary | None:
    """The result of a task whose file exists, because its worker was lost after writing it."""
    if isinstance(task, BlockTask):
        return existing_block(task)
    if not task.path.is_file():
        return None
    cell_files.read(task.path)
    return BlockSummary(0, {}, 0.0)


def read(task: Task) -> Pixels:
    """The pixels of a task."""
    return read_block(task) if isinstance(task, BlockTask) else read_cells(task)


def make(
    task: Task,
    progress: Callable[[int], None] | None = None,
    *,
    threads: int | None = None,
    pixels: Pixels | None = None,
) -> BlockSummary:
    """Do a task: embed its pixels and write its files.

    Args:
        task: The task.
        progress: Called with what is done of it so far; may raise `Cancelled`.
        threads: Processor threads of the network, as of `loader.resnet50`.
        pixels: Its pixels, if they were read ahead.
    """
    if isinstance(task, BlockTask):
        block = pixels if isinstance(pixels, Read) else None
        return make_block(task, loader.resnet50(task.mode, threads=threads), progress, read=block)
    cells = pixels if isinstance(pixels, CellPixels) else None
    seconds = make_cells(task, loader.cells(threads=threads), progress, read=cells)
    return BlockSummary(0, {}, seconds)


def read_ahead(tasks: Sequence[Task]) -> Iterator[tuple[Task, Pixels]]:
    """Each task with its pixels; the next one's are read meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="reader") as pool:
        coming: Future[Pixels] = pool.submit(read, tasks[0])
        for task, following in zip(tasks, [*tasks[1:], None], strict=True):
            pixels = coming.result()
            if following is not None:
                coming = pool.submit(read, following)
            yield task, pixels
