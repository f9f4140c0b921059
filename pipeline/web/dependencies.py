"""What routes ask for by the type of a parameter: the collections, the jobs, an open collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import Request

from pipeline.collection.collection import Collection
from pipeline.errors import NotFoundError
from pipeline.jobs.queue import Jobs
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import Settings
from pipeline.sources.previews import Previews


@dataclass(frozen=True)
class Services:
    """What one server holds.

    Attributes:
        open_collections: The collections.
        previews: The rasters that are shown before a build.
        jobs: The builds.
        settings: What requests are checked against.
    """

    open_collections: OpenCollections
    previews: Previews
    jobs: Jobs
    settings: Settings


async def services(request: Request) -> Services:
    """Those of the application that answers."""
    held: Services = request.app.state.services
    return held


Served = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(description="Name of the collection.")]


def opened(served: Served, name: Name) -> Collection:
    """The collection of this name.

    Raises:
        NotFoundError: If there is none.
    """
    return served.open_collections.collection(name)


def opened_as_before(served: Served, name: Name) -> Collection:
    """The collection that has this name or had it before.

    A page that is open while its collection is renamed keeps its pictures.

    Raises:
        NotFoundError: If there is none that is or was called so.
    """
    try:
        return served.open_collections.collection(name)
    except NotFoundError:
        current = served.open_collections.library.current(name)
        if not current:
            raise
        return served.open_collections.collection(current)


Opened = Annotated[Collection, Depends(opened)]
OpenedAsBefore = Annotated[Collection, Depends(opened_as_before)]
