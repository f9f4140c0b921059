"""What the server keeps between requests, and its routes."""

from __future__ import annotations

import logging
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import streamlit as st

from pipeline.collection import Store
from pipeline.errors import LookalikeError
from pipeline.settings import settings
from pipeline.shelf import Shelf

if TYPE_CHECKING:
    from starlette.routing import BaseRoute

log = logging.getLogger(__name__)


@lru_cache(maxsize=1)
def shelf() -> Shelf:
    """The collections this server holds open; one for the pages and the routes together."""
    return Shelf(Store(settings().home))


def base_path() -> str:
    """The prefix under which the app is served ("" or "/lookalike"), as a proxy may want it."""
    prefix = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{prefix}" if prefix else ""


def our_routes() -> list[BaseRoute]:
    """Every route of ours, under the base path: Streamlit does not prefix them itself."""
    from starlette.routing import Mount

    from pages.ui import document
    from pipeline import api, tiles

    routes = [
        *document.routes(base_path()),
        *tiles.routes(shelf()),
        *api.routes(shelf()),
    ]
    return [Mount(base_path(), routes=routes)] if base_path() else routes


@asynccontextmanager
async def lifespan(_: st.App) -> AsyncIterator[dict[str, Any]]:
    """Warm the newest collection's index while the first page is being looked at."""
    threading.Thread(target=_warm_newest, name="warm", daemon=True).start()
    yield {}


def _warm_newest() -> None:
    try:
        names = shelf().store.names()
        if names:
            shelf().index(max(names, key=lambda name: shelf().collection(name).manifest.updated))
    except LookalikeError as error:
        log.warning("the index could not be warmed: %s", error)
