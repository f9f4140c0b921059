"""What the server keeps between requests, and its routes."""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from typing import TYPE_CHECKING

import streamlit as st

from pipeline.collection import Store
from pipeline.errors import LookalikeError
from pipeline.jobs import Jobs
from pipeline.looks import Looks
from pipeline.settings import settings
from pipeline.shelf import Shelf

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

log = logging.getLogger(__name__)

_PAINT_SECONDS = 1.5


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
    """Every route of ours, under the base path: Streamlit does not prefix them itself."""
    from pages.ui import document
    from pipeline import api, api_searches, tiles

    routes = [
        *document.routes(base_path()),
        *tiles.routes(shelf()),
        *api.routes(shelf()),
        *looks().routes(),
        *api_searches.routes(shelf()),
    ]
    return [_below(base_path(), route) for route in routes]


def _below(prefix: str, route: BaseRoute) -> BaseRoute:
    """The route under a prefix.  One `Mount` for all would also swallow Streamlit's own routes."""
    from starlette.routing import Mount, Route

    if isinstance(route, Mount):
        return Mount(prefix + route.path, app=route.app)
    assert isinstance(route, Route)
    return Route(prefix + route.path, route.endpoint, methods=list(route.methods or []))


@lru_cache(maxsize=1)
def warm_soon() -> None:
    """Load the newest collection's index once the first page has been painted.

    The libraries behind it take seconds to import; begun earlier they would delay that paint.
    """
    timer = threading.Timer(_PAINT_SECONDS, _warm_newest)
    timer.daemon = True
    timer.start()


def _warm_newest() -> None:
    try:
        opened = [shelf().collection(name) for name in shelf().store.names()]
        if opened:
            shelf().index(max(opened, key=lambda found: found.manifest.updated).name)
    except LookalikeError as error:
        log.warning("the index could not be warmed: %s", error)
