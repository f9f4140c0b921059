"""Dependencies that routes declare by the type of a parameter: services, an open collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Path
from starlette.requests import Request

from pipeline.census.censuses import Censuses, Kept
from pipeline.collection.collection import Collection
from pipeline.errors import NotFoundError
from pipeline.jobs.queue import Jobs
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import Settings
from pipeline.sources.previews import Previews
from pipeline.web.access import TOKEN


@dataclass(frozen=True)
class Services:
    """The shared services of a server.

    Attributes:
        open_collections: The collections and their indexes.
        previews: Rasters shown before a build.
        jobs: The queue of builds.
        settings: The settings.
    """

    open_collections: OpenCollections
    previews: Previews
    jobs: Jobs
    settings: Settings


async def services(request: Request) -> Services:
    """The services of the application that answers the request."""
    held: Services = request.app.state.services
    return held


Served = Annotated[Services, Depends(services)]
Name = Annotated[str, Path(description="Name of the collection.")]
CensusId = Annotated[str, Path(alias="census", description="Id of the census.")]


def opened(served: Served, name: Name) -> Collection:
    """The collection of this name.

    Raises:
        NotFoundError: If there is none.
    """
    return served.open_collections.collection(name)


def opened_or_renamed(served: Served, name: Name) -> Collection:
    """The collection that has this name or had it before.

    A page that is open while its collection is renamed keeps its pictures.

    Raises:
        NotFoundError: If no collection has or had this name.
    """
    try:
        return served.open_collections.collection(name)
    except NotFoundError:
        current = served.open_collections.library.current(name)
        if not current:
            raise
        return served.open_collections.collection(current)


def opened_census(served: Served, census: CensusId) -> Kept:
    """The census of this id.

    Raises:
        NotFoundError: If there is none.
    """
    return Censuses(served.open_collections.library).open(census)


async def signed_in(request: Request) -> str:
    """The signed-in person, or "" if nobody is; a token is no person."""
    user = getattr(request.state, "user", "")
    return "" if user == TOKEN else user


#: The signed-in person, who is the author of what a request judges whatever name it gives.
Person = Annotated[str, Depends(signed_in)]
Opened = Annotated[Collection, Depends(opened)]
OpenedOrRenamed = Annotated[Collection, Depends(opened_or_renamed)]
OpenedCensus = Annotated[Kept, Depends(opened_census)]
