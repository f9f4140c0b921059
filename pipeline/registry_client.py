"""Clients of package registries, run as processes of their own: npm's and pip's."""

from __future__ import annotations

import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def run_client(
    command: Sequence[str],
    folder: Path,
    seconds: float,
    on_wait: Callable[[float], None] | None = None,
    environment: Mapping[str, str] | None = None,
) -> tuple[int, list[str]]:
    """Run a client, which is killed if it takes too long or the caller is interrupted.

    Args:
        command: The program and its arguments.
        folder: Working directory.
        seconds: Time limit.
        on_wait: Called about once a second with the seconds elapsed; the client is stopped if it
            raises.
        environment: Environment variables; by default those of this process.

    Returns:
        The exit code, and the lines of output and errors.

    Raises:
        TimeoutError: If the client exceeds the time limit.
    """
    started = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while True:
                try:
                    code = process.wait(timeout=1)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if elapsed > seconds:
                        raise TimeoutError(f"more than {seconds:.0f} s") from None
                    if on_wait:
                        on_wait(elapsed)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        output.seek(0)
        return code, output.read().decode(errors="replace").splitlines()


def error_line(client: str, lines: Sequence[str]) -> str:
    """The first line of a client's output that names an error, else its first line."""
    errors = [line for line in lines if "error" in line.lower() or "ERR!" in line] or lines
    return errors[0].strip()[:200] if errors else f"{client} failed without a message"
