"""Hosts for a cluster on one machine: each in a network and mount namespace of its own.

A host has its own network stack, joined to the others by a bridge, and an empty file system in the
place of the head's folder: what a worker there needs must reach it through the network and the
storage.  Namespaces want root; without it hosts are plain processes, and `isolated` says so.
"""

from __future__ import annotations

import os
import secrets
import shlex
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.support import ROOT

#: Of the range for private networks, rarely used by others.
NETWORK = "10.231.77"


@dataclass(frozen=True)
class Host:
    """A place where processes run.

    Attributes:
        address: Its address on the bridge.
        namespace: Name of its network namespace, or "" for a plain process.
        hidden: Folder it must not see.
    """

    address: str
    namespace: str
    hidden: Path

    @property
    def isolated(self) -> bool:
        """Whether it has namespaces of its own."""
        return bool(self.namespace)

    def start(
        self, arguments: list[str], core: int, log: Path, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start a Python process there, on one core; its id is that of the process itself."""
        command = [sys.executable, *arguments]
        if self.isolated:
            script = (
                f"mount -t tmpfs none {shlex.quote(str(self.hidden))} && exec {shlex.join(command)}"
            )
            command = ["ip", "netns", "exec", self.namespace, "unshare", "-m", "sh", "-c", script]
        cores = sorted(os.sched_getaffinity(0))
        with log.open("ab") as file:
            return subprocess.Popen(
                command,
                env={**os.environ, **environment, "PYTHONPATH": str(ROOT)},
                cwd="/",
                stdout=file,
                stderr=file,
                preexec_fn=lambda: os.sched_setaffinity(0, {cores[core % len(cores)]}),
            )


@contextmanager
def hosts(number: int, hidden: Path) -> Iterator[tuple[list[Host], str]]:
    """So many hosts, and the address at which they reach this process."""
    name = f"lk{secrets.token_hex(3)}"
    try:
        made = _namespaces(number, name) if _possible() else []
        if made:
            found = [Host(f"{NETWORK}.{10 + i}", n, hidden) for i, n in enumerate(made)]
            yield found, f"{NETWORK}.1"
        else:
            yield [Host("127.0.0.1", "", hidden)] * number, "127.0.0.1"
    finally:
        for i in range(number):
            _quietly("link", "del", f"{name}h{i}")
            _quietly("netns", "del", f"{name}{i}")
        _quietly("link", "del", name)


def free_port(address: str) -> int:
    """A port that nobody listens on at an address of this machine."""
    with socket.create_server((address, 0)) as server:
        return int(server.getsockname()[1])


def _possible() -> bool:
    if os.geteuid() != 0 or not shutil.which("ip") or not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-mn", "true"], capture_output=True).returncode == 0


def _namespaces(number: int, name: str) -> list[str]:
    """Network namespaces joined by a bridge that this process is on; none where it is refused."""
    try:
        _ip("link", "add", name, "type", "bridge")
        _ip("addr", "add", f"{NETWORK}.1/24", "dev", name)
        _ip("link", "set", name, "up")
        for i in range(number):
            space, here, there = f"{name}{i}", f"{name}h{i}", f"{name}t{i}"
            _ip("netns", "add", space)
            _ip("link", "add", here, "type", "veth", "peer", "name", there)
            _ip("link", "set", here, "master", name)
            _ip("link", "set", here, "up")
            _ip("link", "set", there, "netns", space)
            _ip("-n", space, "addr", "add", f"{NETWORK}.{10 + i}/24", "dev", there)
            _ip("-n", space, "link", "set", there, "up")
            _ip("-n", space, "link", "set", "lo", "up")
    except subprocess.CalledProcessError:
        return []
    return [f"{name}{i}" for i in range(number)]


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


def _quietly(*arguments: str) -> None:
    if shutil.which("ip"):
        subprocess.run(["ip", *arguments], capture_output=True)
