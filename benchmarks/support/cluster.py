"""A Dask cluster on hosts of one machine, whose processes can be killed and measured."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import Popen

from benchmarks.support.hosts import Host

WAIT_SECONDS = 240


@dataclass
class Cluster:
    """A scheduler and workers that are started again when they end, as an orchestrator does.

    Attributes:
        address: The scheduler's.
        places: Where each worker runs.
        folder: For logs and what workers keep; nothing of the head is in it.
        weights: The model's weights.
    """

    address: str
    places: list[Host]
    folder: Path
    weights: Path
    scheduler: Popen[bytes] | None = None
    workers: list[Popen[bytes]] = field(default_factory=list)
    starts: int = 0

    def start(self) -> None:
        """Start everything, and wait until every worker has loaded the model."""
        self.start_scheduler()
        self.workers = [self.start_worker(number) for number in range(len(self.places))]
        self.ready()

    def start_scheduler(self) -> None:
        """Start the scheduler at its address, in this process's own namespaces."""
        host, _, port = self.address.removeprefix("tcp://").rpartition(":")
        arguments = ["-m", "distributed.cli.dask_scheduler", "--host", host, "--port", port]
        here = Host(host, "", self.folder)
        self.scheduler = here.start(
            [*arguments, "--no-dashboard"], -1, self.folder / "scheduler.log"
        )

    def start_worker(self, number: int) -> Popen[bytes]:
        """Start a worker on its host and core."""
        place, self.starts = self.places[number], self.starts + 1
        own = self.folder / f"worker{self.starts}"
        own.mkdir()
        arguments = ["-m", "distributed.cli.dask_worker", self.address, "--nthreads", "1"]
        arguments += ["--host", place.address, "--no-nanny", "--no-dashboard"]
        arguments += ["--memory-limit", "0", "--local-directory", str(own)]
        return place.start(
            arguments,
            number,
            self.folder / "workers.log",
            LOOKALIKE_HOME=str(own),
            LOOKALIKE_WEIGHTS=str(self.weights),
            LOOKALIKE_THREADS="1",
            OMP_NUM_THREADS="1",
        )

    def ready(self) -> None:
        """Wait for all workers, and for the model in each of them."""
        from distributed import Client

        with Client(self.address, timeout=WAIT_SECONDS, set_as_default=False) as client:
            client.wait_for_workers(len(self.places), timeout=WAIT_SECONDS)
            client.run(_load)

    @contextmanager
    def supervised(self) -> Iterator[None]:
        """Start workers again that ended, for the length of the block."""
        over = threading.Event()

        def watch() -> None:
            while not over.wait(0.2):
                for number, worker in enumerate(self.workers):
                    if worker.poll() is not None:
                        self.workers[number] = self.start_worker(number)

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            over.set()
            thread.join()

    def others_seconds(self) -> float:
        """What the workers' cores have spent so far on anything but the workers."""
        import psutil

        used = [psutil.Process(worker.pid).cpu_times() for worker in self.workers]
        cores, every = sorted(os.sched_getaffinity(0)), psutil.cpu_times(percpu=True)
        busy = [every[cores[i % len(cores)]] for i in range(len(self.workers))]
        return sum(sum(t) - t.idle - t.iowait - t.guest - t.guest_nice for t in busy) - sum(
            t.user + t.system for t in used
        )

    def memory(self) -> float:
        """Bytes that the largest worker holds."""
        import psutil

        return max(float(psutil.Process(worker.pid).memory_info().rss) for worker in self.workers)

    def processor_seconds(self) -> float:
        """What the scheduler, the workers and this process have used so far."""
        import psutil

        processes = [p.pid for p in (self.scheduler, *self.workers) if p is not None]
        times = [psutil.Process(pid).cpu_times() for pid in (*processes, os.getpid())]
        return sum(t.user + t.system for t in times)

    def stop(self) -> None:
        """End everything."""
        for process in (*self.workers, self.scheduler):
            if process is not None:
                process.kill()
                process.wait()


def _load() -> None:
    """Have the model in memory and its graph made; runs in a worker."""
    import numpy

    from pipeline.model.loader import resnet50

    resnet50("chip").embed(numpy.zeros((32, 256, 256, 3), numpy.uint8))
