"""`python -m pipeline`: builds, searches, compares, exports and manages collections."""

from __future__ import annotations

import logging
import warnings

import typer

from pipeline.cli import (
    build,
    census,
    changes,
    check,
    chips,
    collections,
    detector,
    doctor,
    evaluate,
    export,
    jobs,
    objects,
    search,
    sources,
)
from pipeline.cli.terminal import fail
from pipeline.errors import Cancelled

app = typer.Typer(
    help="Lookalike: reverse visual search over satellite imagery.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
for commands in (
    jobs, sources, search, objects, detector, census, changes,
    export, check, evaluate, build, collections, doctor, chips,
):  # fmt: skip
    commands.register(app)


def main() -> None:
    """Run the command line; every error of ours becomes one message and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # Google's client warns when it will drop this Python version; a user here cannot act on that.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"google\.api_core")
    try:
        app()
    except KeyboardInterrupt:
        fail(Cancelled("Stopped"))
    except Exception as error:
        fail(error)
