"""Run the suite again and again beside busy processes, and report which tests failed.

    python .ci/soak.py [--runs 10] [--busy 2] [--jobs 3] [pytest's own arguments]

Every other run is in a random order of files and of tests within a file, of another seed each
time; files that drive a browser stay before the others.  Finished runs are kept in `.cache/soak/`,
one file for each state of the code and each choice of tests: the same command goes on after the
last run that ended, and a change of the code begins anew.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".cache" / "soak"
SLOWEST = 15
STOPPED = "Stopped. Run the same command to continue; finished runs are kept."


def state_of_code() -> str:
    """Changes with every commit and with every change that is not committed."""

    def git(*arguments: str) -> bytes:
        return subprocess.run(["git", *arguments], cwd=ROOT, check=True, capture_output=True).stdout

    commit = git("rev-parse", "--short=12", "HEAD").decode().strip()
    changes = git("diff", "HEAD")
    for name in git("ls-files", "-z", "--others", "--exclude-standard").split(b"\0"):
        path = ROOT / name.decode()
        if path.is_file():
            changes += name + path.read_bytes()
    return f"{commit}-{hashlib.sha256(changes).hexdigest()[:8]}" if changes else commit


@contextmanager
def busy(number: int) -> Iterator[None]:
    """This many processes that take a processor's time and do nothing, while this one lives."""
    code = f"import os\nwhile os.getppid() == {os.getpid()}: pass"
    command = [sys.executable, "-c", code]
    processes = [subprocess.Popen(command) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def named(seed: int | None) -> str:
    """The order of a run, in words."""
    return "written order" if seed is None else f"random order {seed}"


def run(number: int, seed: int | None, jobs: int, chosen: list[str]) -> dict[str, object]:
    """One run of the suite: its order, its seconds, and each test's seconds and failure."""
    order = [] if seed is None else ["-p", "randomly", f"--randomly-seed={seed}"]
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-n", str(jobs), f"--junitxml={report}"]
        started = time.monotonic()
        done = subprocess.run([*command, *order, *chosen], cwd=ROOT, stdin=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        cases = ElementTree.parse(report).getroot().iter("testcase") if report.is_file() else ()
        tests = {
            f"{case.get('classname')}::{case.get('name')}": {
                "seconds": float(case.get("time") or 0),
                "failed": any(case.find(kind) is not None for kind in ("failure", "error")),
            }
            for case in cases
        }
    ended = {"seconds": round(seconds, 1), "exit code": done.returncode}
    return {"run": number, "seed": seed, **ended, "tests": tests}


def tell(runs: list[dict], busy_processes: int) -> bool:
    """Print what the runs came to; returns whether all tests passed in all of them."""
    failures: Counter[str] = Counter()
    seconds: defaultdict[str, list[float]] = defaultdict(list)
    green = 0
    print(f"\n{len(runs)} runs beside {busy_processes} busy processes")
    for one in runs:
        failed = [name for name, test in one["tests"].items() if test["failed"]]
        green += one["exit code"] == 0
        failures.update(failed)
        for name, test in one["tests"].items():
            seconds[name].append(test["seconds"])
        print(
            f"  run {one['run']}: {len(one['tests'])} tests, {len(failed)} failed,"
            f" pytest's exit code {one['exit code']}, {one['seconds']:.0f} s, {named(one['seed'])}"
        )
    for name, times in failures.most_common():
        took = ", ".join(f"{value:.0f}" for value in seconds[name])
        print(f"  failed {times} of {len(runs)}: {name} (seconds: {took})")
    print("Slowest tests, in seconds (median, longest):")
    for name in sorted(seconds, key=lambda name: -statistics.median(seconds[name]))[:SLOWEST]:
        print(f"  {statistics.median(seconds[name]):6.1f} {max(seconds[name]):6.1f}  {name}")
    print(f"{green} of {len(runs)} runs green; every test's seconds: {FOLDER}")
    return green == len(runs)


def at_least(least: int) -> Callable[[str], int]:
    """A whole number that is not below `least`, from the command line."""

    def number(given: str) -> int:
        if int(given) < least:
            raise argparse.ArgumentTypeError(f"{given} is below {least}")
        return int(given)

    return number


def main() -> None:
    """Run what is missing of the runs asked for, then tell of all."""
    parser = argparse.ArgumentParser(description=__doc__)
    for name, least, usual in (("runs", 1, 10), ("busy", 0, 2), ("jobs", 0, 3)):
        parser.add_argument(f"--{name}", type=at_least(least), default=usual)
    asked, chosen = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(STOPPED))  # which ends the suite too
    state = state_of_code()
    tests = f"-{hashlib.sha256(repr(chosen).encode()).hexdigest()[:8]}" if chosen else ""
    tally = FOLDER / f"{state}-busy{asked.busy}-jobs{asked.jobs}{tests}.json"
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        runs = json.loads(tally.read_text()) if tally.is_file() else []
    except ValueError:
        sys.exit(f"The tally of earlier runs is damaged: {tally}. Delete it to start over.")
    if len(runs) >= asked.runs:
        print(f"All {asked.runs} runs are already recorded")
    with busy(asked.busy):
        for number in range(len(runs) + 1, asked.runs + 1):
            seed = secrets.randbelow(2**32) if number % 2 == 0 else None
            print(f"Run {number} of {asked.runs}, {named(seed)}", flush=True)
            runs.append(run(number, seed, asked.jobs, chosen))
            if state_of_code() != state:
                sys.exit("The code changed during this run, which is not counted. Run it again.")
            new = tally.with_suffix(".new")
            new.write_text(json.dumps(runs))
            new.replace(tally)
    sys.exit(not tell(runs, asked.busy))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(STOPPED)
