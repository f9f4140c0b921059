"""Square windows of scenes as pictures: red, green and blue after their scene's stretch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING

from pipeline.imagery.reader import SceneReader

if TYPE_CHECKING:
    import numpy as np

    from pipeline.imagery.chips import Window
    from pipeline.imagery.scene import Scene

#: Scenes kept open at a time: a process can open only a limited number of files.
MOST_OPEN = 16
#: Maximum side of a picture in the pixels of its scene; a larger window is reduced to it.
MOST_SIDE = 1024


def read_windows(
    windows: Iterable[tuple[Scene, Window]], size: int | None = None
) -> Iterator[np.ndarray]:
    """Square windows one after another; scenes stay open from window to window.

    Args:
        windows: Scenes and windows (column, row, width, height), which may reach beyond the scene.
        size: Side of a picture in pixels; None for the pixels of the scene, at most `MOST_SIDE`.

    Yields:
        uint8 (size, size, 3), black beyond the scene.

    Raises:
        DamagedError: If a scene's file cannot be read.
    """
    with ExitStack() as opened:
        readers: dict[str, SceneReader] = {}
        for scene, window in windows:
            if scene.path not in readers:
                if len(readers) == MOST_OPEN:
                    opened.close()
                    readers.clear()
                readers[scene.path] = opened.enter_context(SceneReader(scene))
            side = size or min(max(window[2:]), MOST_SIDE)
            yield readers[scene.path].thumbnail(*window, side)
