"""The user's choices on the Area page, kept over page changes and reloads.

Every choice is a value in the session under a key with our prefix.  Streamlit forgets widgets that
a page does not show, unless they say `persist_state="session"`, as all of ours do.  A reload begins
a new session: the browser then sends back the draft that it kept (`assets/area/draft.js`), and
`restore` takes it in.

A value is assigned only where it changes.  Streamlit sends an assigned value to the browser, where
it would undo what the user chose meanwhile.
"""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Sequence
from typing import Any, TypeVar

import streamlit as st

from pages.ui.area import shape

PREFIX = "area."
DRAFT = "area.draft"
#: Choices that belong to one build and not to the next.
ONCE = ("title", "into")
SESSION, TAKEN, BEGUN = "area-session", "area-taken", "area-begun"
_LONGEST = 1_000_000

Option = TypeVar("Option")


def session() -> str:
    """An id of this session, by which the browser notices that a new one has begun."""
    return str(st.session_state.setdefault(SESSION, secrets.token_hex(8)))


def restores() -> bool:
    """Whether this session still takes in the draft that the browser kept.

    Once it has, or has started from a collection's settings, it does not.
    """
    return not st.session_state.get(TAKEN)


def ignore_kept() -> None:
    """Start from choices of this session instead of the draft that the browser kept."""
    st.session_state[TAKEN] = True


@st.cache_resource
def _built() -> set[str]:
    """Drafts that were built: what a browser kept of them may be older."""
    return set()


def begin_build() -> bool:
    """Whether Build was pressed for the first time since a run of the page ended.

    The second click of a double click ends the run of the first, which may have queued the job.
    """
    if st.session_state.get(BEGUN):
        return False
    st.session_state[BEGUN] = True
    return True


def end_build() -> None:
    """A build of this draft is queued: forget the choices that were for it alone."""
    _built().add(st.session_state.get(DRAFT, ""))
    for name in (DRAFT, *(PREFIX + once for once in ONCE)):
        st.session_state.pop(name, None)


def draft() -> dict[str, Any]:
    """Every choice, for the browser to keep; called at the end of a run."""
    st.session_state[BEGUN] = False
    st.session_state.setdefault(DRAFT, secrets.token_hex(8))
    return {
        key.removeprefix(PREFIX): value
        for key, value in sorted(st.session_state.items())
        if isinstance(key, str) and key.startswith(PREFIX) and _plain(value)
    }


def restore(kept: Any) -> None:
    """Take in the draft that a browser kept, but for what is no plain value of ours."""
    ignore_kept()
    if not isinstance(kept, dict) or len(json.dumps(kept)) > _LONGEST:
        return
    outline = kept.pop("shape", None)
    if kept.get("draft") in _built():
        kept = {name: value for name, value in kept.items() if name not in ("draft", *ONCE)}
    for name, value in kept.items():
        if _plain(value) and value is not None:
            st.session_state[PREFIX + str(name)] = value
    if isinstance(outline, dict):
        shape.take_geojson(outline)


def put(**choices: Any) -> None:
    """Assign choices by name."""
    for name, value in choices.items():
        st.session_state[PREFIX + name] = value


def pick(name: str, options: Sequence[Option], default: Option) -> Option:
    """The choice of this name; `default` where it is none of the options."""
    key = PREFIX + name
    if st.session_state.get(key) not in options:
        st.session_state[key] = default
    choice: Option = st.session_state[key]
    return choice


def with_custom(name: str, options: list[str]) -> list[str]:
    """The options, followed by the one that the user typed in instead, if any."""
    typed = st.session_state.get(PREFIX + name)
    own = [typed] if isinstance(typed, str) and typed and typed not in options else []
    return options + own


def start(name: str, default: float) -> str:
    """The key of a number that starts at `default`.

    A number that comes back from a browser may have lost its type: JSON has one kind of number.
    """
    key = PREFIX + name
    given = st.session_state.get(key, default)
    valid = isinstance(given, (int, float)) and math.isfinite(given)
    value = type(default)(given if valid else default)
    if key not in st.session_state or type(given) is not type(value) or given != value:
        st.session_state[key] = value
    return key


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(map(_plain, value))
    if isinstance(value, dict):
        return "geometry" in value
    return value is None or isinstance(value, (str, int, float, bool))
