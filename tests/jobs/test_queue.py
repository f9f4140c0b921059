from __future__ import annotations

import fcntl
import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from shapely.geometry import box

from pipeline.build.build import build
from pipeline.build.dask_engine import BlocksFailed, DaskEngine
from pipeline.build.request import BuildRequest
from pipeline.collection.library import Library
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import DamagedError, NotFoundError, QueryError, SceneError, ServiceError
from pipeline.files import is_locked, locked
from pipeline.geo.area import Area
from pipeline.imagery.ingest import SceneInput
from pipeline.imagery.scene import Stretch
from pipeline.jobs.job import JobRequest
from pipeline.jobs.meter import Meter
from pipeline.jobs.pace import pace_of
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import build_attended, run, work_through
from pipeline.settings import Settings, settings
from pipeline.sources.candidates import Candidate
from pipeline.sources.registry import open_source
from tests import closed_port
from tests.factories import standin
from tests.factories.clusters import Cluster
from tests.factories.rasters import ground, write


def request(name: str = "fields", **changes) -> BuildRequest:
    return BuildRequest(**{"name": name, **changes})


def wait_for(condition):
    """Look at another process until it is so far; pytest's limit ends what never happens."""
    while not (found := condition()):
        time.sleep(0.05)
    return found


def test_request_round_trips_through_its_record(tmp_path):
    asked = JobRequest(
        BuildRequest(
            "bay",
            (SceneInput(tmp_path / "a.tif", (3, 2, 1), Stretch((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))),),
            64,
            Area.from_bounds((0.0, 0.0, 1.0, 1.0)),
            "dense",
            "The Bay",
        ),
        "raster",
        {"locations": ["a.tif"]},
        (Candidate("a", "raster", "A", box(0, 0, 1, 1)),),
    )
    assert JobRequest.from_dict(json.loads(json.dumps(asked.to_dict()))) == asked


def test_submitted_job_waits_and_everybody_sees_it(tmp_path):
    job = Jobs(tmp_path).submit(request(title="Fields"), start=False)
    assert job.state == "queued"
    (seen,) = Jobs(tmp_path).all()
    assert seen == job
    assert Jobs(tmp_path).get(job.id).title == "Fields"
    assert "queued" in Jobs(tmp_path).log(job.id)[0]


def test_a_collection_has_one_job_under_way(tmp_path):
    jobs = Jobs(tmp_path)
    jobs.submit(request(), start=False)
    with pytest.raises(QueryError, match="under way"):
        jobs.submit(request(), start=False)
    jobs.submit(request("other"), start=False)
    assert [job.collection for job in jobs.queue()] == ["fields", "other"]


def test_bad_name_is_refused_before_anything_is_written(tmp_path):
    with pytest.raises(QueryError):
        Jobs(tmp_path).submit(request("No Such/Name"), start=False)
    assert Jobs(tmp_path).all() == []


@pytest.mark.parametrize("job_id", ["nothing", "../../etc", "260101-000000000", ""])
def test_unknown_job_is_told(tmp_path, job_id):
    with pytest.raises(NotFoundError):
        Jobs(tmp_path).get(job_id)


def test_queued_job_is_cancelled_at_once_and_can_be_resumed(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    assert jobs.cancel(job.id).state == "cancelled"
    assert jobs.queue() == []
    with pytest.raises(QueryError, match="cancelled already"):
        jobs.cancel(job.id)
    assert jobs.resume(job.id, start=False).state == "queued"
    with pytest.raises(QueryError, match="queued"):
        jobs.resume(job.id, start=False)
    with pytest.raises(QueryError, match="under way"):
        jobs.remove(job.id)


def test_job_whose_process_is_gone_is_interrupted_and_waits_for_a_runner(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    jobs.write(replace(job, state="running", attempts=1))
    assert jobs.get(job.id).state == "interrupted"
    assert [waiting.id for waiting in jobs.queue()] == [job.id]
    with locked(jobs.root / job.id / ".running", RuntimeError()):
        assert jobs.get(job.id).state == "running"
        jobs.cancel(job.id)
        assert jobs.get(job.id).state == "cancelling"
    assert jobs.get(job.id).state == "cancelled"


def test_interrupted_job_is_continued_by_a_new_one_and_not_twice(tmp_path):
    jobs = Jobs(tmp_path)
    first = jobs.submit(request(), start=False)
    jobs.write(replace(first, state="running", attempts=1))
    second = jobs.submit(request(), start=False)
    assert [job.id for job in jobs.queue()] == [second.id]
    assert jobs.get(first.id).state == "cancelled"
    assert jobs.get(first.id).ended


def test_attended_job_is_cancelled_by_control_c_and_says_so(tmp_path, monkeypatch):
    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("pipeline.jobs.runner.build", interrupted)
    jobs = Jobs(tmp_path)
    present = Settings(home=tmp_path, workers=0)
    with pytest.raises(KeyboardInterrupt):
        build_attended(request(), present)
    assert jobs.all()[0].state == "cancelled"
    with pytest.raises(KeyboardInterrupt):
        run(jobs, jobs.resume(jobs.all()[0].id, start=False), present)
    assert jobs.all()[0].state == "interrupted"


def test_a_build_that_finds_all_made_leaves_no_job(home, jobs, tmp_path):
    scene = SceneInput(write(tmp_path / "small.tif", ground(300, 300)))
    asked, present = request(scenes=(scene,)), Settings(home=home, workers=0)
    assert build_attended(asked, present).blocks_made
    first = jobs.all()
    assert build_attended(asked, present).blocks_kept
    assert jobs.all() == first


def test_attended_job_raises_what_ended_it(tmp_path):
    with pytest.raises(SceneError):
        build_attended(
            request(scenes=(SceneInput(tmp_path / "no.tif"),)), Settings(home=tmp_path, workers=0)
        )
    assert Jobs(tmp_path).all()[0].error["kind"] == "SceneError"


def test_paths_are_those_of_whoever_asks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    asked = JobRequest(request(scenes=(SceneInput(Path("a.tif")),)))
    assert JobRequest.from_dict(asked.to_dict()).build.scenes[0].path == tmp_path / "a.tif"


def test_background_build_is_queued_and_seen_by_every_command(home, monkeypatch):
    from typer.testing import CliRunner

    from pipeline.cli.app import app

    monkeypatch.setattr(Jobs, "start_runner", lambda self: False)
    called = CliRunner().invoke(app, ["build", "--name", "fields", "--background"])
    assert called.exit_code == 0, called.output
    (job,) = Jobs(home).all()
    assert job.id in called.output
    listed = CliRunner().invoke(app, ["jobs", "list"], env={"COLUMNS": "30"})
    assert job.id in listed.output  # into a pipe nothing is folded
    shown = CliRunner().invoke(app, ["jobs", "show", job.id, "--json"])
    assert json.loads(shown.output)["state"] == "queued"
    assert "cancelled" in CliRunner().invoke(app, ["jobs", "cancel", job.id]).output
    assert "queued" in CliRunner().invoke(app, ["jobs", "resume", job.id]).output
    assert "queued again" in CliRunner().invoke(app, ["jobs", "log", job.id]).output
    CliRunner().invoke(app, ["jobs", "cancel", job.id])
    assert CliRunner().invoke(app, ["jobs", "remove", job.id]).exit_code == 0
    assert Jobs(home).all() == []


def test_job_that_is_interrupted_again_and_again_waits_for_a_person(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    jobs.write(replace(job, state="running", attempts=5))
    assert jobs.queue() == []
    assert jobs.resume(job.id, start=False).attempts == 0
    assert len(jobs.queue()) == 1


@pytest.mark.parametrize("content", ["{", "[]", "{}", '{"id": 5, "failures": null}'])
def test_damaged_record_does_not_hide_the_others(tmp_path, content):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    other = jobs.root / "200101-000000000"
    other.mkdir()
    (other / "job.json").write_text(content)
    assert [seen.id for seen in jobs.all()] == [job.id]
    with pytest.raises(DamagedError, match="Remove the folder"):
        jobs.get(other.name)


@pytest.mark.parametrize(
    "change",
    [{"title": 5}, {"done": None}, {"request": {}}, {"state": "asleep"}, {"failures": [1]}],
)
def test_a_record_of_the_wrong_kinds_does_not_hide_the_others(tmp_path, change):
    jobs = Jobs(tmp_path)
    sound = jobs.submit(request(), start=False)
    other = jobs.submit(request("other"), start=False)
    file = jobs.root / other.id / "job.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    assert [seen.id for seen in jobs.all()] == [sound.id]
    with pytest.raises(DamagedError, match="Remove the folder"):
        jobs.get(other.id)


def test_a_log_of_other_bytes_is_shown_as_far_as_it_can_be_read(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    (jobs.folder(job.id) / "log.txt").write_bytes(b"caf\xe9\n")
    jobs.tell(job.id, "queued again")
    first, last = jobs.log(job.id)
    assert first == "caf\ufffd"
    assert last.endswith("queued again")


def test_a_job_whose_log_is_a_folder_has_none_and_can_be_resumed(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    (jobs.folder(job.id) / "log.txt").unlink()
    (jobs.folder(job.id) / "log.txt").mkdir()
    jobs.cancel(job.id)
    assert jobs.resume(job.id, start=False).state == "queued"
    assert jobs.log(job.id) == []


def test_ended_job_can_be_forgotten(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(), start=False)
    jobs.cancel(job.id)
    jobs.remove(job.id)
    assert jobs.all() == []


def test_build_that_cannot_start_fails_with_the_reason_and_the_remedy(tmp_path):
    jobs = Jobs(tmp_path)
    job = jobs.submit(request(scenes=(SceneInput(tmp_path / "no.tif"),)), start=False)
    ended = run(jobs, job, Settings(home=tmp_path, workers=0))
    assert ended.state == "failed"
    assert ended.error["kind"] == "SceneError"
    assert ended.error["remedy"]
    assert "failed" in jobs.log(job.id)[-1]
    assert jobs.get(job.id) == ended


def test_meter_tells_rate_and_time_left():
    meter = Meter()
    assert meter.read("Embedding", 0, 100, at=0) == (None, None)
    assert meter.read("Embedding", 20, 100, at=2) == (10.0, 8.0)
    rate, left = meter.read("Embedding", 20, 100, at=4)
    assert (rate, left) == (5.0, 16.0)
    assert meter.read("Indexing", 0, 10, at=5) == (None, None)


def test_meter_forgets_a_slow_beginning():
    meter = Meter()
    for second in range(100):
        meter.read("Embedding", second, 0, at=second)
    for second in range(100, 150):
        rate, left = meter.read("Embedding", 100 + (second - 99) * 10, 0, at=second)
    assert rate == pytest.approx(10, rel=0.05)
    assert left is None


def test_scheduler_that_does_not_answer_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("pipeline.build.dask_engine._CONNECT_SECONDS", 1)
    with closed_port() as port:
        engine = DaskEngine(scheduler=f"tcp://127.0.0.1:{port}")
        with pytest.raises(ServiceError, match="does not answer"), engine._client():
            pass


@pytest.mark.parametrize("address", ["foo", "http://127.0.0.1:8786", "tcp://nowhere", ""])
def test_what_is_no_address_of_a_scheduler_is_refused_before_anything_is_made(address):
    with pytest.raises(QueryError, match="tcp://host:8786"):
        DaskEngine(scheduler=address)


@pytest.fixture(scope="module")
def raster(tmp_path_factory):
    """A strip of five blocks and 66 chips at stride 128."""
    return write(tmp_path_factory.mktemp("raster") / "fields.tif", ground(4400, 300))


@pytest.fixture
def quick(home, monkeypatch):
    """Workers embed with the stand-in; gives the hold that stops them."""
    import importlib

    from dask import config

    importlib.import_module("distributed")  # brings the defaults of what is set here

    monkeypatch.setenv(standin.HOLD, str(home / "hold"))
    monkeypatch.setenv("DASK_DISTRIBUTED__WORKER__PRELOAD", standin.__name__)
    with config.set({"distributed.worker.preload": [standin.__name__]}):
        hold = standin.Hold(home / "hold")
        yield hold
        hold.let_go()


@contextmanager
def working(jobs, present, hold):
    """`work_through` in a thread, which gets past the hold also when the block fails."""
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(work_through, jobs, present)
        try:
            wait_for(lambda: blocks(jobs.home) or running.done())
            yield running
        finally:
            hold.let_go()


@pytest.fixture
def present(home) -> Settings:
    return replace(settings(), home=home, workers=1, threads=2)


@pytest.fixture
def jobs(home):
    """Jobs whose runner, if one was started, does not outlive the test."""
    jobs = Jobs(home)
    yield jobs
    end(jobs)


def end(jobs: Jobs) -> None:
    if jobs._runner is not None:
        jobs._runner.kill()
        jobs._runner.wait()


def blocks(home: Path) -> list[Path]:
    """The finished blocks of `fields`."""
    return standin.blocks_below(home / "collections" / "fields" / "chips")


def ended(job):
    return None if job.active or job.state == "interrupted" else job


@pytest.mark.model
def test_job_on_dask_makes_the_same_collection_as_a_plain_build(home, present, raster):
    scenes = (SceneInput(raster),)
    build(request("plain", scenes=scenes, stride=128), Library(home))
    jobs = Jobs(home)
    found = open_source("raster", locations=[str(raster)]).search(None)
    fetched = JobRequest(
        request("dask", stride=128),
        "raster",
        {"locations": [str(raster)]},
        tuple(found),
    )
    jobs.submit(fetched, start=False)
    assert work_through(jobs, present) == 1
    (job,) = jobs.all()
    assert job.state == "done", job.error
    assert job.engine == "1 worker"
    assert jobs.preview(job.id).stat().st_size > 1000
    one, other = Library(home).open("plain"), Library(home).open("dask")
    assert one.chips.ids.tolist() == other.chips.ids.tolist()
    for mine, theirs in zip(one.parts, other.parts, strict=True):
        np.testing.assert_array_equal(read_embeddings(mine), read_embeddings(theirs))
    assert job.summary["made"] == len(one.chips)
    mode, stride = job.summary["mode"], job.summary["stride"]
    pace = pace_of(jobs, Library(home / "empty"), present, mode, stride)
    assert pace.known, "from the job, as there is no collection"
    assert pace.seconds > 0


def test_killed_runner_loses_nothing_and_the_next_one_finishes(home, jobs, raster, quick):
    quick.after(1, home)
    job = jobs.submit(request(scenes=(SceneInput(raster),), stride=128))
    wait_for(lambda: blocks(home))
    end(jobs)
    assert jobs.get(job.id).state == "interrupted"
    before = blocks(home)
    quick.let_go()
    assert jobs.start_runner()
    jobs._runner.wait()
    done = jobs.get(job.id)
    assert done.state == "done", done.error
    assert done.attempts == 2
    assert done.summary["blocks_kept"] >= len(before) > 0
    assert not is_locked(jobs.root / ".runner")


def test_job_submitted_while_the_last_runner_leaves_gets_one_of_its_own(jobs, tmp_path):
    runners = []
    for name in ("one", "two", "three"):  # the process lives on for a second after its lock is free
        job = jobs.submit(BuildRequest(name, (SceneInput(tmp_path / "missing.tif"),)))
        runners.append(jobs._runner)
        wait_for(lambda at=job.id: not jobs.get(at).active)
        wait_for(lambda: not is_locked(jobs.root / ".runner"))
    for runner in runners:
        runner.wait()


def test_a_look_at_a_lock_neither_takes_it_nor_is_taken_for_its_holder(tmp_path, monkeypatch):
    path, busy = tmp_path / ".lock", QueryError("busy")
    tries = itertools.count()
    with path.open("a+") as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        assert not is_locked(path)

        def look_away(_: float) -> None:
            if next(tries) == 1000:  # however long it takes
                fcntl.flock(looking, fcntl.LOCK_UN)

        monkeypatch.setattr(
            "pipeline.files.time", SimpleNamespace(sleep=look_away, monotonic=lambda: 0)
        )
        with locked(path, busy):
            assert is_locked(path)
            with pytest.raises(QueryError), locked(path, busy):
                pass


def test_runner_leaves_a_job_that_a_terminal_has_taken(tmp_path, present):
    jobs = Jobs(tmp_path)
    taken = jobs.submit(request(), start=False)
    other = jobs.submit(request("other"), start=False)
    with locked(jobs.folder(taken.id) / ".running", QueryError("busy")):
        assert work_through(jobs, present) == 1
    assert [jobs.get(one.id).state for one in (taken, other)] == ["queued", "failed"]


def test_running_job_stops_between_two_pieces_and_keeps_its_blocks(home, present, raster, quick):
    jobs = Jobs(home)
    job = jobs.submit(request(scenes=(SceneInput(raster),), stride=128), start=False)
    quick.after(1, home)
    with working(jobs, present, quick) as running:
        jobs.cancel(job.id)
    assert running.result() == 1
    assert jobs.get(job.id).state == "cancelled"
    kept = len(blocks(home))
    assert 1 <= kept < 5
    jobs.resume(job.id, start=False)
    work_through(jobs, present)
    done = jobs.get(job.id)
    assert done.state == "done"
    assert done.summary["blocks_kept"] >= kept


def test_killed_worker_is_replaced_and_no_block_is_lost(home, present, raster, quick):
    import psutil

    jobs = Jobs(home)
    job = jobs.submit(request(scenes=(SceneInput(raster),), stride=128), start=False)
    quick.after(1, home)
    with working(jobs, present, quick) as running:
        killed = 0
        for child in psutil.Process().children(recursive=True):
            with suppress(psutil.Error):  # it may end meanwhile
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    killed += 1
        assert killed
    assert running.result() == 1
    done = jobs.get(job.id)
    assert done.state == "done", done.error
    assert done.failures == ()


@pytest.mark.usefixtures("quick")
def test_block_that_keeps_failing_is_told_and_a_retry_makes_only_it(home, present, raster):
    jobs = Jobs(home)
    job = jobs.submit(request(scenes=(SceneInput(raster),), stride=128), start=False)

    # A folder in the place of a part: the worker cannot write it, whatever it tries.
    def block_the_second(step) -> None:
        for folder in (home / "collections" / "fields" / "scenes").glob("*.json"):
            (home / "collections/fields/chips" / folder.stem / _SECOND).mkdir(
                parents=True, exist_ok=True
            )

    failed = run(jobs, job, present, block_the_second)
    assert failed.state == "failed", failed.error
    assert failed.error["kind"] == BlocksFailed.__name__
    assert sum(", try " in line for line in jobs.log(job.id)) == 2
    (failure,) = failed.failures
    assert failure["tries"] == 3
    assert failure["block"].endswith("r0000-c0001")
    next((home / "collections/fields/chips").glob(f"*/{_SECOND}")).rmdir()
    done = run(jobs, jobs.resume(job.id, start=False), present)
    assert done.state == "done"
    assert done.summary["blocks_made"] == 1


_SECOND = "block-r0000-c0001-all.parquet"


def test_cluster_of_ones_own_is_used_by_its_address(home, present, raster, monkeypatch):
    cluster = Cluster(home)
    try:
        jobs = Jobs(home)
        job = jobs.submit(request(scenes=(SceneInput(raster),), stride=128), start=False)
        done = run(jobs, job, replace(present, scheduler=cluster.address))
        assert done.state == "done", done.error
        assert done.engine == cluster.address
        cluster.scheduler.kill()
        cluster.scheduler.wait()
        monkeypatch.setattr("pipeline.build.dask_engine._CONNECT_SECONDS", 1)
        blocks(home)[0].unlink()
        job = jobs.submit(request(stride=128), start=False)
        lost = run(jobs, job, replace(present, scheduler=cluster.address))
        assert lost.state == "failed"
        assert lost.error["kind"] == "ServiceError"
    finally:
        cluster.close()


def test_the_terminal_shows_jobs_in_every_state(home):
    from typer.testing import CliRunner

    from pipeline.cli.app import app

    def say(*arguments: str) -> str:
        called = CliRunner().invoke(app, ["jobs", *arguments], env={"COLUMNS": "200"})
        assert called.exit_code == 0, called.output
        return called.output

    jobs = Jobs(home)
    assert json.loads(say("list", "--json")) == []
    job = jobs.submit(request(title="Fields"), start=False)
    under_way = replace(job, stage="Embedding", done=30, total=120, unit="chips", left=75.0)
    jobs.write(under_way)
    assert "Embedding 30 of 120 chips (25%)" in say("list")
    assert "1 min 15 s" in say("list")
    assert "Embedding 30 of 120 chips (25%)" in say("show", job.id)
    jobs.write(replace(under_way, total=0, left=9.4))
    assert "9 s" in say("list")
    assert json.loads(say("list", "--json"))[0]["id"] == job.id
    why = {"kind": "X", "what": "A block failed", "where": "r1", "remedy": "Retry it"}
    failed = {"block": "fields/r1", "reason": "No memory", "tries": 3}
    jobs.write(replace(job, state="failed", error=why, failures=(failed,)))
    told = say("show", job.id)
    assert "A block failed: r1. Retry it." in told
    assert "fields/r1, 3 tries: No memory" in told
    followed = CliRunner().invoke(app, ["jobs", "follow", job.id])
    assert followed.exit_code == 1
    assert "fields is failed." in followed.output
    assert "Retry it" in followed.output
    jobs.write(replace(job, state="done"))
    assert "fields is done." in say("follow", job.id)
    assert "Ran 0 jobs." in say("run")
