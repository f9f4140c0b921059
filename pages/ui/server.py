"""What the server keeps between requests, and its routes."""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st

from pipeline.errors import LookalikeError
from pipeline.jobs import Jobs
from pipeline.looks import Looks
from pipeline.settings import settings
from pipeline.shelf import Shelf
from pipeline.store import Store

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

log = logging.getLogger(__name__)

_PAINT_SECONDS = 1.5
#: Their modules import one another: two threads that begin to load one at once get halves of it.
_LOADED_BEFORE_THREADS = ("pyproj", "rasterio", "shapely")


@lru_cache(maxsize=1)
def shelf() -> Shelf:
    """The collections this server holds open; one for the pages and the routes together."""
    return Shelf(Store(settings().home))


@lru_cache(maxsize=1)
def looks() -> Looks:
    """The rasters this server shows before anything is built from them."""
    return Looks(settings().home)


@lru_cache(maxsize=1)
def jobs() -> Jobs:
    """The builds of this home."""
    return Jobs(settings().home)


def base_path() -> str:
    """The prefix under which the app is served ("" or "/lookalike"), as a proxy may want it."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}" if prefix else ""


def our_routes() -> list[BaseRoute]:
    """Every route of ours, under the base path: Streamlit does not prefix them itself.

    All but the empty document of a page, which leads to the sign-in, stand behind the wall.
    """
    for package in _LOADED_BEFORE_THREADS:
        import_module(package)
    from pages.ui import document, identity
    from pipeline import (
        api,
        api_jobs,
        api_lost,
        api_scores,
        api_searches,
        api_space,
        openapi,
        tiles,
    )
    from pipeline.access import protect

    routes = [
        *tiles.routes(shelf()),
        *api.routes(shelf()),
        *api_scores.routes(shelf()),
        *looks().routes(),
        *api_searches.routes(shelf()),
        *api_space.routes(shelf()),
        *api_jobs.routes(jobs(), settings()),
        *openapi.routes(base_path()),
    ]
    routes += api_lost.routes(tuple(routes), base_path())
    below = [_below(base_path(), route) for route in routes]
    documents = [_below(base_path(), route) for route in document.routes(base_path())]
    lost = _below(base_path(), document.lost(base_path()))
    return [*documents, *protect(below, identity.access), lost]


def _below(prefix: str, route: BaseRoute) -> BaseRoute:
    """The route under a prefix.  One `Mount` for all would also swallow Streamlit's own routes."""
    from starlette.routing import Mount, Route

    if isinstance(route, Mount):
        return Mount(prefix + route.path, app=route.app)
    assert isinstance(route, Route)
    return Route(prefix + route.path, route.endpoint, methods=list(route.methods or []))


@lru_cache(maxsize=1)
def warm_soon() -> None:
    """Resume what was interrupted, and load the newest index, once the first page was painted.

    The libraries behind it take seconds to import; begun earlier they would delay that paint.
    """
    timer = threading.Timer(_PAINT_SECONDS, _warm_newest)
    timer.daemon = True
    timer.start()


def _warm_newest() -> None:
    try:
        jobs().start_runner()
        opened = [shelf().collection(name) for name in shelf().store.names()]
        if opened:
            shelf().index(max(opened, key=lambda found: found.manifest.updated).name)
    except LookalikeError as error:
        log.warning("not warmed: %s", error)
