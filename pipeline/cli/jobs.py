"""`python -m pipeline jobs …`: the same jobs that the app shows."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Annotated

import typer

from pipeline.cli.terminal import Json, print_json, print_note, print_table
from pipeline.jobs.queue import Jobs
from pipeline.jobs.runner import work_through
from pipeline.settings import settings

if TYPE_CHECKING:
    from pipeline.build.build import BuildRequest
    from pipeline.jobs.queue import Job

jobs_app = typer.Typer(
    help="Builds that run by themselves: list, follow, cancel, resume.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

JobId = Annotated[str, typer.Argument(help="Id of a job, as `jobs list` shows it.")]


def register(app: typer.Typer) -> None:
    """Add the `jobs` commands to the command line."""
    app.add_typer(jobs_app, name="jobs")


def submit(request: BuildRequest, as_json: bool) -> None:
    """Queue a build and say how to follow it."""
    job = _jobs().submit(request)
    if as_json:
        print_json(job.to_dict())
    else:
        typer.echo(f"Queued {job.id}; follow it with: python -m pipeline jobs follow {job.id}")


@jobs_app.command("list")
def list_jobs(as_json: Json = False) -> None:
    """Show all jobs, the newest first."""
    found = _jobs().all()
    if as_json:
        print_json([job.to_dict() for job in found])
        return
    print_table(
        ["Job", "Collection", "State", "Progress", "Left", "Asked for"],
        [
            (
                job.id,
                job.collection,
                job.state,
                _progress(job),
                _left(job),
                job.created[:16].replace("T", " "),
            )
            for job in found
        ],
    )


@jobs_app.command()
def show(job: JobId, as_json: Json = False) -> None:
    """Show one job."""
    found = _jobs().get(job)
    if as_json:
        print_json(found.to_dict())
        return
    typer.echo(f"{found.id}  {found.collection}  {found.state}")
    if found.stage:
        typer.echo(f"{_progress(found)}  {found.note}".rstrip())
    if found.error:
        typer.echo(f"{found.error['what']}: {found.error['where']}. {found.error['remedy']}.")
    for failure in found.failures:
        typer.echo(f"  {failure['block']}, {failure['tries']} tries: {failure['reason']}")
    _print_notes(found)


@jobs_app.command()
def log(
    job: JobId, last: Annotated[int, typer.Option(min=1, help="How many lines.")] = 200
) -> None:
    """Show what happened in a job."""
    for line in _jobs().log(job, last=last):
        typer.echo(line)


@jobs_app.command()
def follow(job: JobId) -> None:
    """Show a job's progress until it ends; the job does not need this to go on."""
    from rich.console import Console

    jobs = _jobs()
    with Console(stderr=True).status("") as status:
        while (found := jobs.get(job)).active:
            status.update(f"{found.state}: {_progress(found)} {_left(found)}".rstrip())
            time.sleep(0.5)
    typer.echo(f"{found.collection} is {found.state}.")
    _print_notes(found)
    if found.error:
        typer.echo(f"{found.error['what']}: {found.error['where']}. {found.error['remedy']}.")
        raise typer.Exit(1)


@jobs_app.command()
def cancel(job: JobId) -> None:
    """Stop a job; finished blocks are kept."""
    typer.echo(f"{job} is {_jobs().cancel(job).state}.")


@jobs_app.command()
def resume(job: JobId) -> None:
    """Continue a job that was cancelled, failed or interrupted."""
    typer.echo(f"{job} is {_jobs().resume(job).state}.")


@jobs_app.command()
def remove(job: JobId) -> None:
    """Forget a job that has ended; its collection stays."""
    _jobs().remove(job)
    typer.echo(f"Removed {job}.")


@jobs_app.command()
def run() -> None:
    """Work through the queue here, instead of in the background."""
    typer.echo(f"Ran {work_through(_jobs(), settings())} jobs.")


def _jobs() -> Jobs:
    return Jobs(settings().home)


def _progress(job: Job) -> str:
    if not job.stage:
        return ""
    if not job.total:
        return job.stage
    return f"{job.stage} {job.done} of {job.total} {job.unit} ({job.share:.0%})"


def _print_notes(job: Job) -> None:
    for note in (job.summary or {}).get("notes", ()):
        print_note(note)


def _left(job: Job) -> str:
    if job.left is None:
        return ""
    minutes, seconds = divmod(round(job.left), 60)
    return f"{minutes} min {seconds} s" if minutes else f"{seconds} s"
