"""`python -m pipeline jobs`: the jobs that the app shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.terminal import Json, plural, print_json, print_note, print_table
from pipeline.errors import LookalikeError
from pipeline.jobs.object_search import ObjectSearchRequest
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import work_through
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.build.request import BuildRequest
    from pipeline.jobs.job import Job

jobs_app = typer.Typer(
    help="Builds and object searches in the background: list, follow, cancel, resume.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

JobId = Annotated[str, typer.Argument(help="Id of a job, as printed by `jobs list`.")]


def register(app: typer.Typer) -> None:
    """Add the `jobs` commands to the command line."""
    app.add_typer(jobs_app, name="jobs")


def submit(request: BuildRequest | ObjectSearchRequest, as_json: bool) -> None:
    """Queue a build or an object search, and print how to follow it."""
    if isinstance(request, ObjectSearchRequest):
        job = _jobs().search(request)
    else:
        job = _jobs().submit(request)
    if as_json:
        print_json(job.to_dict())
    else:
        typer.echo(f"Queued {job.id}; follow it with: python -m pipeline jobs follow {job.id}")


@jobs_app.command("list")
def list_jobs(as_json: Json = False) -> None:
    """List all jobs, the newest first."""
    jobs = _jobs().all()
    if as_json:
        print_json([job.to_dict() for job in jobs])
        return
    print_table(
        ["Job", "Collection", "State", "Progress", "Time left", "Created"],
        [
            (
                job.id,
                job.collection,
                job.state,
                _progress(job),
                _left(job),
                job.created[:16].replace("T", " "),
            )
            for job in jobs
        ],
    )


@jobs_app.command()
def show(job: JobId, as_json: Json = False) -> None:
    """Show one job."""
    current = _jobs().get(job)
    if as_json:
        print_json(current.to_dict())
        return
    typer.echo(f"{current.id}  {current.collection}  {current.state}")
    if current.stage:
        typer.echo(f"{_progress(current)}  {current.note}".rstrip())
    _print_error(current)
    for failure in current.failures:
        typer.echo(f"  {failure['block']}, {failure['tries']} tries: {failure['reason']}")
    _print_saved(current)
    _print_notes(current)


@jobs_app.command()
def log(
    job: JobId,
    last: Annotated[int, typer.Option(min=1, help="Number of lines, the latest ones.")] = 200,
) -> None:
    """Show the log of a job."""
    for line in _jobs().log(job, last=last):
        typer.echo(line)


@jobs_app.command()
def follow(job: JobId) -> None:
    """Show a job's progress until it ends; interrupting this does not stop the job."""
    from rich.console import Console
    from rich.text import Text

    jobs = _jobs()
    with Console(stderr=True).status("") as status:
        while (current := jobs.get(job)).active:
            line = f"{current.state}: {_progress(current)} {_left(current)}"
            status.update(Text(line.rstrip()))
            time.sleep(0.5)
    typer.echo(f"{current.title if current.is_search else current.collection} is {current.state}.")
    _print_saved(current)
    _print_notes(current)
    if current.error:
        _print_error(current)
        raise typer.Exit(1)


@jobs_app.command()
def cancel(job: JobId) -> None:
    """Stop a job; finished blocks of a build are kept."""
    typer.echo(f"{job} is {_jobs().cancel(job).state}.")


@jobs_app.command()
def resume(job: JobId) -> None:
    """Continue a job that was cancelled, failed or interrupted."""
    typer.echo(f"{job} is {_jobs().resume(job).state}.")


@jobs_app.command()
def remove(job: JobId) -> None:
    """Remove a finished job from the list; its collection is kept."""
    _jobs().remove(job)
    typer.echo(f"Removed {job}.")


@jobs_app.command()
def run() -> None:
    """Run all queued jobs in this terminal."""
    typer.echo(f"Ran {plural(work_through(_jobs(), settings()), 'job')}.")


def _jobs() -> Jobs:
    return Jobs(settings().home)


def _progress(job: Job) -> str:
    if not job.stage:
        return ""
    if not job.total:
        return job.stage
    return f"{job.stage} {job.done} of {job.total} {job.unit} ({job.share:.0%})"


def _print_error(job: Job) -> None:
    if error := job.error:
        typer.echo(LookalikeError(error["what"], where=error["where"], remedy=error["remedy"]))


def _print_saved(job: Job) -> None:
    """What an object search found, and where it is."""
    if job.is_search and job.summary:
        found = plural(job.summary["objects"], "object")
        typer.echo(f"Saved {found} as search {job.summary['search']} of {job.collection}")


def _print_notes(job: Job) -> None:
    for note in job.notes:
        print_note(note)


def _left(job: Job) -> str:
    if job.left is None:
        return ""
    minutes, seconds = divmod(round(job.left), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
