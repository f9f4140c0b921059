"""Quiet imports: native chatter is kept away, failures are shown, standard error comes back."""

from __future__ import annotations

import os
import threading

import pytest

from pipeline.model.native import hushed


def test_what_is_written_within_is_not_shown(capfd: pytest.CaptureFixture[str]) -> None:
    with hushed():
        os.write(2, b"chatter\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "after\n"


def test_what_was_written_before_a_failure_is_shown(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        with hushed():
            os.write(2, b"why it failed\n")
            raise ImportError

    with pytest.raises(ImportError):
        fail()
    assert capfd.readouterr().err == "why it failed\n"


def test_standard_error_returns_after_overlapping_blocks(
    capfd: pytest.CaptureFixture[str],
) -> None:
    inside, outside = threading.Event(), threading.Event()

    def long_block() -> None:
        with hushed():
            inside.set()
            outside.wait()

    thread = threading.Thread(target=long_block, daemon=True)
    with hushed():
        thread.start()
        inside.wait()
    os.write(2, b"still quiet\n")
    outside.set()
    thread.join()
    os.write(2, b"heard\n")
    assert capfd.readouterr().err == "heard\n"
