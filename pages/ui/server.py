"""Services that the server keeps between requests, and its routes."""

from __future__ import annotations

import logging
import threading
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING

import streamlit as st
from starlette.routing import Route

from pages.ui import document, identity
from pipeline.collection.library import Library
from pipeline.errors import LookalikeError
from pipeline.jobs.queue import Jobs
from pipeline.search.open_collections import OpenCollections
from pipeline.settings import settings
from pipeline.sources.previews import Previews
from pipeline.web import app
from pipeline.web.access import protect
from pipeline.web.dependencies import Services

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

log = logging.getLogger(__name__)

_PAINT_SECONDS = 1.5
#: Loaded at start: two threads that begin to import one of these at once get half-loaded modules.
_LOADED_BEFORE_THREADS = ("pyproj", "rasterio", "shapely")


@lru_cache(maxsize=1)
def open_collections() -> OpenCollections:
    """The collections this server holds open, shared by pages and routes."""
    return OpenCollections(Library(settings().home))


@lru_cache(maxsize=1)
def previews() -> Previews:
    """The rasters this server shows before a collection is built from them."""
    return Previews(settings().home)


@lru_cache(maxsize=1)
def jobs() -> Jobs:
    """The jobs of this home."""
    return Jobs(settings().home)


def base_path() -> str:
    """The prefix under which the app is served, behind a proxy for instance: "" or "/lookalike"."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}" if prefix else ""


def our_routes() -> list[BaseRoute]:
    """Every route of ours, under the base path: Streamlit does not prefix them itself.

    All are protected but the empty document of a page, which leads to the sign-in.
    """
    for package in _LOADED_BEFORE_THREADS:
        import_module(package)
    base = base_path()
    rest = app.Rest(Services(open_collections(), previews(), jobs(), settings()), base)
    documents = [_below(base, route) for route in document.routes(base)]
    lost = _below(base, document.lost(base))
    return [*documents, *protect(app.routes(rest, base), identity.access), lost]


def _below(prefix: str, route: Route) -> Route:
    return Route(prefix + route.path, route.endpoint, methods=list(route.methods or []))


@lru_cache(maxsize=1)
def warm_soon() -> None:
    """Resume interrupted jobs and load the newest index, once the first page was painted.

    Their libraries take seconds to import and would delay that paint.
    """
    timer = threading.Timer(_PAINT_SECONDS, _warm_newest)
    timer.daemon = True
    timer.start()


def _warm_newest() -> None:
    try:
        jobs().start_runner()
        opened, _ = open_collections().library.open_all()
        if opened:
            open_collections().index(max(opened, key=lambda made: made.manifest.updated).name)
    except LookalikeError as error:
        log.warning("The newest index is not loaded: %s", error)
