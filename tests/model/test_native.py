"""Native libraries are quiet, and nobody else's standard error is lost for it."""

from __future__ import annotations

import subprocess
import sys
import textwrap

from tests import ROOT


def run(code: str) -> tuple[str, str]:
    """What a fresh process prints to its standard output and its standard error."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, done.stderr


def test_training_of_an_index_writes_nothing_to_the_terminal() -> None:
    out, err = run(
        """
        import numpy as np
        from pipeline.index.scann import scann

        vectors = np.random.default_rng(0).normal(size=(3000, 16)).astype(np.float32)
        tree = scann().builder(vectors, 5, "dot_product").tree(50, 10, training_sample_size=3000)
        print(len(tree.score_ah(2).reorder(20).build().search(vectors[0])[0]))
        """
    )
    assert (out, err) == ("5\n", "")


def test_what_other_threads_write_meanwhile_is_not_lost() -> None:
    out, err = run(
        """
        import os, threading
        from pipeline.index.scann import scann

        written, over = 0, threading.Event()

        def write():
            global written
            while not over.is_set():
                written += os.write(2, b"a line of mine\\n") > 0

        thread = threading.Thread(target=write)
        thread.start()
        scann()
        over.set()
        thread.join()
        print(written)
        """
    )
    assert err.splitlines() == ["a line of mine"] * int(out)
