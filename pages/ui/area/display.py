"""The Area page's third step: how the imagery is shown, which is what the model sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages as trouble
from pages.ui.area import state as area_state
from pages.ui.area.map import Shown
from pages.ui.formatting import heading
from pages.ui.server import previews
from pipeline.errors import LookalikeError
from pipeline.imagery.scene import Stretch

if TYPE_CHECKING:
    from pages.ui.area.state import Imagery
    from pipeline.imagery.scene import Scene
    from pipeline.sources.previews import Bands

AUTOMATIC, FULL, BY_HAND = "Automatic", "Full range", "By hand"
COLOURS = ("Red", "Green", "Blue")
#: So many rasters are drawn on the map; of more only the outlines are.
MOST_DRAWN = 12


@dataclass(frozen=True)
class Display:
    """How the rasters are shown.

    Attributes:
        bands: 1-based bands for red, green and blue, or None for each raster's own.
        stretch: Levels of black and white, or None for each raster's own.
        shown: The rasters, as the map shows them.
        sound: Whether all of it could be read.
    """

    bands: tuple[int, int, int] | None
    stretch: Stretch | None
    shown: tuple[Shown, ...]
    sound: bool = True


def choose(imagery: Imagery | None) -> Display:
    """Let the user choose bands and stretch, with what comes of it on the map."""
    if imagery is None or not imagery.chosen:
        return Display(None, None, ())
    if not imagery.is_raster:
        chosen = {one.id for one in imagery.chosen}
        return Display(None, None, tuple(Shown(one, one.id in chosen) for one in imagery.offered))
    place, head = imagery.chosen[0].id, st.container()
    try:
        known = previews().bands(place)
        with st.expander("Bands and brightness"):
            bands = _bands(known, imagery.bands or known.shown, place)
            stretch = _stretch(known, bands, place)
            levels = st.container()
        shown = []
        with st.spinner("Drawing it …"):
            for one in imagery.chosen[:MOST_DRAWN]:
                look, scene = previews().open(one.id, bands, stretch)
                shown.append(Shown(one, True, look, scene))
    except LookalikeError as error:
        with head:
            heading("Colours", "cannot be read")
        trouble.show(error)
        return Display(None, None, tuple(Shown(one) for one in imagery.chosen), sound=False)
    with head:
        heading("Colours", f"bands {', '.join(map(str, bands))}")
    levels.caption(_levels(shown[0].scene))
    shown += [Shown(one) for one in imagery.chosen[MOST_DRAWN:]]
    own = known.shown == bands and imagery.bands is None
    return Display(None if own else bands, stretch, tuple(shown))


def key_of(place: str) -> str:
    """Part of the keys of what is chosen for one raster, so that the next one starts afresh."""
    return hashlib.sha256(place.encode()).hexdigest()[:8]


def _bands(known: Bands, default: tuple[int, int, int], place: str) -> tuple[int, int, int]:
    if len(known.names) == 1:
        st.caption("One band: shown in grey.")
        return default
    numbers = list(range(1, len(known.names) + 1))
    chosen = []
    for i, (column, colour) in enumerate(zip(st.columns(3), COLOURS, strict=True)):
        name = f"band.{key_of(place)}.{i}"
        area_state.pick(name, numbers, default[i])
        chosen.append(
            column.selectbox(
                colour,
                numbers,
                format_func=lambda band: known.names[band - 1],
                key=area_state.PREFIX + name,
                persist_state="session",
            )
        )
    return chosen[0], chosen[1], chosen[2]


def _stretch(known: Bands, bands: tuple[int, int, int], place: str) -> Stretch | None:
    ways = [AUTOMATIC, *([FULL] if known.full else []), BY_HAND]
    area_state.pick("stretch", ways, AUTOMATIC)
    way = st.segmented_control(
        "Brightness",
        ways,
        key="area.stretch",
        persist_state="session",
        width="stretch",
        help="Automatic cuts the darkest and the brightest 2 % of the scene. The whole scene has "
        "one setting, so that neighbouring chips look alike.",
    )
    if way == FULL and known.full:
        low, high = known.full
        return Stretch((low,) * 3, (high,) * 3)
    if way != BY_HAND:
        return None
    _, scene = previews().open(place, bands)
    given = []
    for end, levels in (("Black", scene.stretch.low), ("White", scene.stretch.high)):
        row = []
        for column, colour, level, band in zip(st.columns(3), COLOURS, levels, bands, strict=True):
            key = area_state.start(f"level.{key_of(place)}.{end}.{colour}.{band}", float(level))
            row.append(
                column.number_input(
                    f"{end}, {colour.lower()}", key=key, persist_state="session", format="%g"
                )
            )
        given.append((row[0], row[1], row[2]))
    return Stretch(given[0], given[1])


def _levels(scene: Scene | None) -> str:
    if scene is None:
        return ""
    low, high = scene.stretch.low, scene.stretch.high
    levels = [f"{black:g}–{white:g}" for black, white in zip(low, high, strict=True)]
    same = len(set(levels)) == 1
    return f"Black to white: {levels[0] if same else ', '.join(levels)}"
