"""Every route of the REST interface, in the order in which they are tried."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipeline.web import (
    collections,
    jobs,
    lost,
    openapi,
    previews,
    saved_searches,
    search,
    space,
    tiles,
)

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

    from pipeline.jobs.queue import Jobs
    from pipeline.search.open_collections import OpenCollections
    from pipeline.settings import Settings
    from pipeline.sources.previews import Previews


def routes(
    open_collections: OpenCollections,
    shown: Previews,
    queue: Jobs,
    settings: Settings,
    base_path: str,
) -> list[BaseRoute]:
    """The routes, without the base path.

    Args:
        open_collections: The collections that are served.
        shown: The rasters that are shown before a build.
        queue: The jobs.
        settings: What requests are checked against.
        base_path: The prefix under which the app is served ("" or "/lookalike").
    """
    found = [
        *tiles.routes(open_collections),
        *collections.routes(open_collections),
        *search.routes(open_collections),
        *previews.routes(shown),
        *saved_searches.routes(open_collections),
        *space.routes(open_collections),
        *jobs.routes(queue, settings),
        *openapi.routes(base_path),
    ]
    return [*found, *lost.routes(tuple(found), base_path)]
