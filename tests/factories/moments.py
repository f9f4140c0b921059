"""Killing a process at chosen moments.

A file is real once it is renamed, so what a killed process leaves behind differs only by the
renames it came to.  `killed_at` kills a child just before or just after each of them in turn.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: What our modules import only when they need it.  None loads TensorFlow.
PACKAGES = (
    "pytest", "pandas", "pyarrow.dataset", "pyarrow.parquet", "rio_cogeo", "shapely", "patchify",
    "ee", "googleapiclient.discovery", "rasterio",
)  # fmt: skip


class Moments:
    """Counts the moments just before and just after each rename: two of every rename.

    Args:
        last: The moment at which this process is killed, 0 for never.
    """

    def __init__(self, last: int = 0) -> None:
        self.count, self._last = 0, last

    def watch(self, patch: Callable[[object, str, Any], None] = setattr) -> None:
        """Count the renames of this process from now on."""
        for name in ("rename", "replace"):
            patch(Path, name, self._around(getattr(Path, name)))

    def _around(self, rename: Callable[..., Path]) -> Callable[..., Path]:
        def watched(path: Path, target: Path) -> Path:
            self._pass()
            renamed = rename(path, target)
            self._pass()
            return renamed

        return watched

    def _pass(self) -> None:
        self.count += 1
        if self.count == self._last:
            os.kill(os.getpid(), signal.SIGKILL)


def killed_at(moment: int, target: Callable[..., None], *arguments: Any) -> bool:
    """Call `target` in a child that is killed at one of its `Moments`; whether it came to that."""
    children = multiprocessing.get_context("forkserver")
    # The server of forks has loaded what takes time.
    ours = [name for name in sys.modules if name.startswith("pipeline.")]
    children.set_forkserver_preload([*PACKAGES, *ours, target.__module__])
    child = children.Process(target=_run, args=(moment, {**os.environ}, target, arguments))
    child.start()
    child.join()
    assert child.exitcode in (0, -signal.SIGKILL)
    return child.exitcode != 0


def _run(
    moment: int, environment: dict[str, str], target: Callable[..., None], arguments: Any
) -> None:
    os.environ.update(environment)  # the server of forks has that of its own start
    Moments(moment).watch()
    target(*arguments)
