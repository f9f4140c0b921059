"""What the user has drawn and chosen on the Area page, kept over page changes and reloads.

Every choice is a value in the session under a key with our prefix.  Streamlit forgets widgets that
a page does not show, unless they say `persist_state="session"`, as all of ours do.  A reload begins
a new session: the browser then sends back what it was told to keep (`assets/draft.js`), and
`restore` takes it in.

A value is assigned only where it changes.  Streamlit sends an assigned value to the browser, where
it would undo what the user chose meanwhile.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import streamlit as st

from pipeline.errors import LookalikeError
from pipeline.geo.area import Area
from pipeline.sources.candidates import Candidate

if TYPE_CHECKING:
    from pipeline.sources.candidates import Estimate


import json
import math
import secrets
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

PREFIX = "area."
SHAPE, NOTES, DRAFT = "area.shape", "area.notes", "area.draft"
#: What was said of one build and not of the next.
ONCE = ("title", "into")
STAMP, REFUSED, SESSION, GOES = "area-stamp", "area-refused", "area-session", "area-goes"
TAKEN, BEGUN = "area-taken", "area-begun"
_LONGEST = 1_000_000

Option = TypeVar("Option")


def session() -> str:
    """A name for this session, by which the browser notices that a new one has begun."""
    return str(st.session_state.setdefault(SESSION, secrets.token_hex(8)))


def restores() -> bool:
    """Whether this session shall still take in what the browser kept.

    Once it has, or has begun with a collection's settings, it does not.
    """
    return not st.session_state.get(TAKEN)


@st.cache_resource
def _built() -> set[str]:
    """Drafts that were built: what a browser kept of them may be from before."""
    return set()


def begin() -> bool:
    """Whether Build was pressed for the first time since a run of the page ended.

    The second click of a double click ends the run of the first, which may have queued the job.
    """
    if st.session_state.get(BEGUN):
        return False
    st.session_state[BEGUN] = True
    return True


def conclude() -> None:
    """A build was begun from these choices: its name was for it alone."""
    _built().add(st.session_state.get(DRAFT, ""))
    for name in (DRAFT, *(PREFIX + once for once in ONCE)):
        st.session_state.pop(name, None)


def draft() -> dict[str, Any]:
    """Every choice, for the browser to keep; asked for at the end of a run."""
    st.session_state[BEGUN] = False
    st.session_state.setdefault(DRAFT, secrets.token_hex(8))
    return {
        key.removeprefix(PREFIX): value
        for key, value in sorted(st.session_state.items())
        if isinstance(key, str) and key.startswith(PREFIX) and _plain(value)
    }


def restore(saved: Any) -> None:
    """Take in what a browser kept; anything that is not a plain value of ours is left out."""
    st.session_state[TAKEN] = True
    if not isinstance(saved, dict) or len(json.dumps(saved)) > _LONGEST:
        return
    shape = saved.pop("shape", None)
    if saved.get("draft") in _built():
        saved = {name: value for name, value in saved.items() if name not in ("draft", *ONCE)}
    for name, value in saved.items():
        if _plain(value) and value is not None:
            st.session_state[PREFIX + str(name)] = value
    if isinstance(shape, dict):
        take_geojson(shape)


def pick(name: str, options: Sequence[Option], default: Option) -> Option:
    """The choice of this name, made sure to be one of the options."""
    key = PREFIX + name
    if st.session_state.get(key) not in options:
        st.session_state[key] = default
    chosen: Option = st.session_state[key]
    return chosen


def with_typed(name: str, options: list[str]) -> list[str]:
    """The options, and after them what was typed in where none of them would do."""
    typed = st.session_state.get(PREFIX + name)
    own = [typed] if isinstance(typed, str) and typed and typed not in options else []
    return options + own


def start(name: str, default: float) -> str:
    """The key of a number, begun at `default`.

    What comes back from a browser may have lost its type, as JSON has one kind of number.
    """
    key = PREFIX + name
    given = st.session_state.get(key, default)
    sound = isinstance(given, (int, float)) and math.isfinite(given)
    value = type(default)(given if sound else default)
    if key not in st.session_state or type(given) is not type(value) or given != value:
        st.session_state[key] = value
    return key


def area() -> Area | None:
    """The area, if there is one."""
    feature = st.session_state.get(SHAPE)
    if not feature:
        return None
    try:
        return replace(_parsed(json.dumps(feature)), notes=tuple(st.session_state.get(NOTES, ())))
    except LookalikeError as error:
        refuse(error)
        return None


def take(found: Area | None, *, drawn: bool = False) -> None:
    """Make this the area.

    Args:
        found: The area, or None for none.
        drawn: Whether the map shows it already, just so.
    """
    st.session_state.pop(REFUSED, None)
    st.session_state[SHAPE] = found.to_geojson() if found else None
    st.session_state[NOTES] = list(found.notes) if found else []
    if not drawn or (found and found.notes):
        st.session_state[STAMP] = secrets.token_hex(4)
        st.session_state[GOES] = not drawn


def goes() -> bool:
    """Whether the map shall go to the area, as one just given by other means than drawing."""
    return bool(st.session_state.get(GOES))


def stay() -> None:
    """Leave the map where it is, or to the imagery."""
    st.session_state[GOES] = False


def take_geojson(geometry: dict[str, Any], *, drawn: bool = False) -> None:
    """Make a GeoJSON geometry or feature the area, or keep why it cannot be."""
    try:
        take(Area.from_geojson(geometry, "Drawn area" if drawn else ""), drawn=drawn)
    except LookalikeError as error:
        st.session_state[SHAPE] = None
        refuse(error)


def take_text(text: str, km: float) -> None:
    """Make what was pasted the area, or keep why it cannot be."""
    try:
        take(Area.from_text(text, km))
    except LookalikeError as error:
        refuse(error)


def take_file(content: bytes, name: str) -> None:
    """Make an uploaded outline the area, or keep why it cannot be."""
    try:
        take(Area.from_bytes(content, name))
    except LookalikeError as error:
        refuse(error)


def refuse(error: LookalikeError) -> None:
    """Keep why something given could not become the area; the area stays what it was."""
    st.session_state[REFUSED] = error


def refusal() -> LookalikeError | None:
    """Why the last thing given could not become the area."""
    return st.session_state.get(REFUSED)


def shape_stamp() -> str:
    """Changes whenever the map must show another outline than it drew itself."""
    return str(st.session_state.setdefault(STAMP, secrets.token_hex(4)))


@lru_cache(maxsize=32)
def _parsed(text: str) -> Area:
    found = Area.from_geojson(text)
    feature = json.loads(text)
    return replace(found, name=str(feature.get("properties", {}).get("name") or found.name))


def _plain(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_plain(one) for one in value)
    if isinstance(value, dict):
        return "geometry" in value
    return value is None or isinstance(value, (str, int, float, bool))


@dataclass(frozen=True)
class Imagery:
    """What a collection is to be made of.

    Attributes:
        source: Key of `KINDS` to fetch from, or "" for files that lie here.
        origin: Kind of source that files which lie here came from.
        options: Options of that source.
        offered: Every candidate.
        chosen: Those to use.
        title: A name for a collection made of them.
        bands: Bands that suit it, or None for its own.
        estimate: What fetching costs, where anything is fetched.
        preview: URL template of map tiles that the service itself makes of it, or "".
    """

    source: str
    origin: str = "raster"
    options: dict[str, Any] = field(default_factory=dict)
    offered: tuple[Candidate, ...] = ()
    chosen: tuple[Candidate, ...] = ()
    title: str = ""
    bands: tuple[int, int, int] | None = None
    estimate: Estimate | None = None
    preview: str = ""

    @property
    def is_raster(self) -> bool:
        """Whether its bands and stretch can be chosen: it lies here or at an address."""
        return self.source in ("", "raster")
