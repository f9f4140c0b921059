"""Settings, read once from the environment; the only reader of `os.environ`."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pipeline.errors import QueryError


@dataclass(frozen=True)
class Settings:
    """Where things are kept and how much of the machine may be used.

    Attributes:
        home: Folder of everything Lookalike keeps (`LOOKALIKE_HOME`, default `~/.lookalike`).
        weights: ImageNet weights given by hand (`LOOKALIKE_WEIGHTS`), or None.
        threads: Processor threads for embedding (`LOOKALIKE_THREADS`, default all).
        scheduler: Address of a Dask scheduler (`LOOKALIKE_SCHEDULER`), or None for a local one.
        workers: Worker processes of the local engine (`LOOKALIKE_WORKERS`), 0 for in-process.
        folders: Folders from which rasters may be opened by path in the app
            (`LOOKALIKE_FOLDERS`, separated like PATH).
        upload_mb: Largest upload in megabytes (`LOOKALIKE_UPLOAD_MB`).
        basemap: URL template of a tile basemap, `{z}/{x}/{y}` (`LOOKALIKE_BASEMAP`), or None: the
            map then shows the scenes alone and nothing leaves the machine.
    """

    home: Path
    weights: Path | None = None
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    scheduler: str | None = None
    workers: int = 1
    folders: tuple[Path, ...] = ()
    upload_mb: int = 2048
    basemap: str | None = None

    @property
    def collections(self) -> Path:
        """Folder with one subfolder a collection."""
        return self.home / "collections"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings.

    Raises:
        QueryError: If a number in the environment is not one.
    """
    return from_environment(dict(os.environ))


def from_environment(env: dict[str, str]) -> Settings:
    """Settings from a mapping of environment variables; unset ones take their defaults."""
    defaults = Settings(home=Path())
    return Settings(
        home=Path(env.get("LOOKALIKE_HOME") or "~/.lookalike").expanduser().absolute(),
        weights=Path(env["LOOKALIKE_WEIGHTS"]).expanduser()
        if env.get("LOOKALIKE_WEIGHTS")
        else None,
        threads=_whole(env, "LOOKALIKE_THREADS", defaults.threads, least=1),
        scheduler=env.get("LOOKALIKE_SCHEDULER") or None,
        workers=_whole(env, "LOOKALIKE_WORKERS", defaults.workers, least=0),
        folders=tuple(
            Path(folder).expanduser().absolute()
            for folder in env.get("LOOKALIKE_FOLDERS", "").split(os.pathsep)
            if folder
        ),
        upload_mb=_whole(env, "LOOKALIKE_UPLOAD_MB", defaults.upload_mb, least=1),
        basemap=env.get("LOOKALIKE_BASEMAP") or None,
    )


def _whole(env: dict[str, str], name: str, default: int, *, least: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise QueryError(
            f"{name} must be a whole number of at least {least}", where=text, remedy=f"Unset {name}"
        )
    return int(text)
