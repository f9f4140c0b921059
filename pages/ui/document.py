"""The HTML document of every page: Streamlit's own, with the base path and the title set.

On a deep link Streamlit's front end guesses the server's base from the address and probes
`/search/_stcore/…` first; setting the base avoids two 404s in every console.
The title and icon are ours from the first byte, and a font we do not use is not preloaded.

A component hears of Back and Forward before Streamlit does, as `lookalike:travel`, and may keep a
step to itself.  Chromium calls the listeners of a window in the order of their registration, and
Streamlit's is there before any component, so our listener has to be in the document.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st
from starlette.convertors import Convertor, register_url_convertor
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from pipeline.web.problems import not_found

if TYPE_CHECKING:
    from starlette.requests import Request

#: Addresses of the pages in `pages/main.py`.
PATHS = (
    "/", "/area", "/search", "/changes", "/results", "/census", "/collections", "/quality", "/jobs",
)  # fmt: skip


class Name(Convertor[str]):
    """One part of a URL path, as pages have: no file, and not the address a sign-in returns to."""

    regex = "(?!oauth2callback$)[^/.]+"

    def convert(self, value: str) -> str:
        """As it is."""
        return value

    def to_string(self, value: str) -> str:
        """As it is."""
        return value


register_url_convertor("name", Name())


def routes(base_path: str) -> list[Route]:
    """One route per page, and one that answers 404 below it."""

    def page(request: Request) -> HTMLResponse:
        return HTMLResponse(_html(base_path), headers={"Cache-Control": "no-cache"})

    def below(request: Request) -> Response:
        if not request.path_params["rest"]:
            return RedirectResponse(request.url.path.rstrip("/") + _fields(request), 301)
        # Streamlit's own document would look for its scripts here, and stay blank.
        return not_found(request, base_path)

    beneath = [Route(f"{path}/{{rest:path}}", below) for path in PATHS if path != "/"]
    return [*(Route(path, page) for path in PATHS), *beneath]


def lost(base_path: str) -> Route:
    """A 404 instead of Home under a name that no page has; comes after every other route."""

    def answer(request: Request) -> Response:
        return not_found(request, base_path)

    return Route("/{name:name}", answer)


def _fields(request: Request) -> str:
    return f"?{request.url.query}" if request.url.query else ""


#: Streamlit hears of a step of the browser's history only if no component has taken it.
_TRAVEL = """addEventListener("popstate", (step) => {
      const travel = new CustomEvent("lookalike:travel", { cancelable: true });
      if (!dispatchEvent(travel)) step.stopImmediatePropagation();
    });"""


@lru_cache(maxsize=1)
def _html(base_path: str) -> str:
    original = (Path(st.__file__).parent / "static" / "index.html").read_text("utf-8")
    without_font = re.sub(r"<link\s+rel=\"preload\"[^>]*as=\"font\"[^>]*>", "", original)
    titled = without_font.replace("<title>Streamlit</title>", "<title>Lookalike</title>")
    base = f"window.__streamlit = {{ BACKEND_BASE_URL: location.origin + {json.dumps(base_path)} }}"
    return titled.replace("<head>", f"<head>\n    <script>{base};\n    {_TRAVEL}</script>", 1)
