"""Settings, read once from the environment.  Nothing else reads `os.environ`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from pipeline.errors import QueryError


@dataclass(frozen=True)
class Settings:
    """Where data is kept, how much of the machine is used, and who has access.

    Attributes:
        home: Folder of everything Lookalike keeps (`LOOKALIKE_HOME`, default `~/.lookalike`).
        weights: ImageNet weights given by hand (`LOOKALIKE_WEIGHTS`), or None.
        threads: Processor threads for embedding (`LOOKALIKE_THREADS`, default all).
        scheduler: Address of a Dask scheduler (`LOOKALIKE_SCHEDULER`), or None for workers of our
            own; `pipeline.cluster.connection` has the forms it may take.
        storage: fsspec URL that the workers of that scheduler reach, where they do not share our
            disk (`LOOKALIKE_STORAGE`), or None.
        workers: Worker processes of the local engine (`LOOKALIKE_WORKERS`), 0 for in-process.
        folders: Folders from which users may open rasters by path
            (`LOOKALIKE_FOLDERS`, separated like PATH).
        upload_mb: Largest upload in megabytes (`LOOKALIKE_UPLOAD_MB`).
        basemap: URL template of a tile basemap, `{z}/{x}/{y}` (`LOOKALIKE_BASEMAP`), or None: the
            map then shows the scenes alone and nothing leaves the machine.
        tokens: File of bearer tokens for the REST interface (`LOOKALIKE_TOKENS`), or None.
        users: E-mail addresses or `@domain` endings that may sign in (`LOOKALIKE_USERS`, separated
            by commas); empty for everyone whom the identity provider admits.
        public: Whether to listen on public addresses without sign-in (`LOOKALIKE_PUBLIC=1`).
        private_hosts: Hosts (`name` or `name:port`) that may be requested although their address
            is private, and by plain http (`LOOKALIKE_PRIVATE_HOSTS`, separated by commas).
        google_credentials: Google credentials as JSON: a service account's key or a workload
            identity configuration (`GOOGLE_APPLICATION_CREDENTIALS`), or None.
        google_metadata: Use the identity that Google's cloud gives this machine
            (`LOOKALIKE_GOOGLE_METADATA=1`), as GKE's workload identity does.
        ee_project: Google Cloud project that Earth Engine counts against (`LOOKALIKE_EE_PROJECT`).
        ee_url: Address of the Earth Engine API (`LOOKALIKE_EE_URL`).
        drive_url: Address of the Drive API (`LOOKALIKE_DRIVE_URL`).
        storage_url: Address of the Cloud Storage API (`LOOKALIKE_STORAGE_URL`).
        stac: STAC APIs beside the built-in ones, as (name, address) (`LOOKALIKE_STAC`, written
            `name=https://…` and separated by commas); a built-in name replaces its address.
        openaerialmap_url: Address of the OpenAerialMap catalogue (`LOOKALIKE_OPENAERIALMAP_URL`).
    """

    home: Path
    weights: Path | None = None
    threads: int = field(default_factory=lambda: len(os.sched_getaffinity(0)))
    scheduler: str | None = None
    storage: str | None = None
    workers: int = 1
    folders: tuple[Path, ...] = ()
    upload_mb: int = 2048
    basemap: str | None = None
    tokens: Path | None = None
    users: tuple[str, ...] = ()
    public: bool = False
    private_hosts: tuple[str, ...] = ()
    google_credentials: Path | None = None
    google_metadata: bool = False
    ee_project: str | None = None
    ee_url: str = "https://earthengine-highvolume.googleapis.com"
    drive_url: str = "https://www.googleapis.com"
    storage_url: str = "https://storage.googleapis.com"
    stac: tuple[tuple[str, str], ...] = ()
    openaerialmap_url: str = "https://api.openaerialmap.org"


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The process's settings.

    Raises:
        QueryError: If a variable that must be a number is not one.
    """
    return from_environment(dict(os.environ))


def environment_of_child(defaults: Mapping[str, str], changes: Mapping[str, str]) -> dict[str, str]:
    """The environment of a process to be started: this one's, with defaults and with changes."""
    return {**defaults, **os.environ, **changes}


def from_environment(env: dict[str, str]) -> Settings:
    """Settings from environment variables, with defaults for unset ones."""
    defaults = Settings(home=Path())
    return Settings(
        home=Path(env.get("LOOKALIKE_HOME") or "~/.lookalike").expanduser().absolute(),
        weights=Path(env["LOOKALIKE_WEIGHTS"]).expanduser()
        if env.get("LOOKALIKE_WEIGHTS")
        else None,
        threads=_whole_number(env, "LOOKALIKE_THREADS", defaults.threads, least=1),
        scheduler=env.get("LOOKALIKE_SCHEDULER") or None,
        storage=env.get("LOOKALIKE_STORAGE") or None,
        workers=_whole_number(env, "LOOKALIKE_WORKERS", defaults.workers, least=0),
        folders=tuple(
            Path(folder).expanduser().absolute()
            for folder in env.get("LOOKALIKE_FOLDERS", "").split(os.pathsep)
            if folder
        ),
        upload_mb=_whole_number(env, "LOOKALIKE_UPLOAD_MB", defaults.upload_mb, least=1),
        basemap=env.get("LOOKALIKE_BASEMAP") or None,
        tokens=Path(env["LOOKALIKE_TOKENS"]).expanduser() if env.get("LOOKALIKE_TOKENS") else None,
        users=tuple(_split_list(env, "LOOKALIKE_USERS")),
        public=env.get("LOOKALIKE_PUBLIC", "") not in ("", "0"),
        private_hosts=tuple(_split_list(env, "LOOKALIKE_PRIVATE_HOSTS")),
        google_credentials=Path(env["GOOGLE_APPLICATION_CREDENTIALS"]).expanduser()
        if env.get("GOOGLE_APPLICATION_CREDENTIALS")
        else None,
        google_metadata=env.get("LOOKALIKE_GOOGLE_METADATA", "") not in ("", "0"),
        ee_project=env.get("LOOKALIKE_EE_PROJECT") or None,
        ee_url=_address(env, "LOOKALIKE_EE_URL", defaults.ee_url),
        drive_url=_address(env, "LOOKALIKE_DRIVE_URL", defaults.drive_url),
        storage_url=_address(env, "LOOKALIKE_STORAGE_URL", defaults.storage_url),
        stac=tuple(_split_pairs(env, "LOOKALIKE_STAC")),
        openaerialmap_url=_address(env, "LOOKALIKE_OPENAERIALMAP_URL", defaults.openaerialmap_url),
    )


def _split_list(env: dict[str, str], name: str) -> list[str]:
    return [part.strip() for part in env.get(name, "").split(",") if part.strip()]


def _address(env: dict[str, str], name: str, default: str) -> str:
    return (env.get(name) or default).rstrip("/")


def _split_pairs(env: dict[str, str], name: str) -> list[tuple[str, str]]:
    parts = [part.partition("=") for part in _split_list(env, name)]
    pairs = [(key.strip(), url.strip().rstrip("/")) for key, _, url in parts]
    for key, url in pairs:
        if not key or not url.startswith(("https://", "http://")):
            raise QueryError(
                f"{name} has an entry that is not name=https://…",
                where=key,
                remedy="Write name=https://address, several separated by commas",
            )
    return pairs


def _whole_number(env: dict[str, str], name: str, default: int, *, least: int) -> int:
    text = env.get(name)
    if not text:
        return default
    if not text.isdecimal() or int(text) < least:
        raise QueryError(
            f"{name} must be a whole number of at least {least}", where=text, remedy=f"Unset {name}"
        )
    return int(text)
