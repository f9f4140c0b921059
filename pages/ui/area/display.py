"""The Area page's step on display: bands and brightness, which are also what the model sees."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import streamlit as st

from pages.ui import messages
from pages.ui.area import addition, draft
from pages.ui.area.map import Layer
from pages.ui.area.step import heading
from pages.ui.server import previews
from pipeline.errors import LookalikeError
from pipeline.imagery.scene import AS_STORED, SENSOR, Stretch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pipeline.imagery.scene import Scene
    from pipeline.jobs.chosen_imagery import ChosenImagery
    from pipeline.sources.previews import Bands

#: As a draft keeps them; the last is shown as "Manual".
AUTOMATIC, PERCENTILE, FULL, BY_HAND = "Automatic", "2–98%", "Full range", "By hand"
COLOURS = ("Red", "Green", "Blue")
#: Ends of the display range as a draft keeps them, and their labels.
ENDS = {"Black": "min", "White": "max"}
#: Rasters that are drawn on the map; of any further ones it shows the outline.
MOST_DRAWN = 12


@dataclass(frozen=True)
class Display:
    """How the imagery is displayed.

    Attributes:
        bands: 1-based bands for red, green and blue, or None for each raster's own.
        stretch: Display range, or None for the automatic one.
        layers: The imagery, as the map shows it.
        readable: Whether all of it could be read.
        percentile: Whether 8-bit RGB is stretched by percentiles, too.
    """

    bands: tuple[int, int, int] | None
    stretch: Stretch | None
    layers: tuple[Layer, ...]
    readable: bool = True
    percentile: bool = False


def choose(imagery: ChosenImagery | None) -> Display:
    """Let the user choose bands and brightness, with a preview on the map."""
    if imagery is None or not imagery.chosen:
        return Display(None, None, ())
    if not imagery.is_raster:
        chosen = {candidate.id for candidate in imagery.chosen}
        return Display(
            None, None, tuple(Layer(image, image.id in chosen) for image in imagery.offered)
        )
    location, head = imagery.chosen[0].id, st.container()
    try:
        available = previews().bands(location)
        with st.expander("Bands and brightness"):
            bands = _bands(available, imagery.bands or available.shown, location)
            way = _way(available, bands, imagery.percentile)
            percentile = way == PERCENTILE or (way != FULL and imagery.percentile)
            stretch = _stretch(way, available, bands, location, percentile)
            levels = st.container()
        with st.spinner("Rendering the preview …"):
            opened = previews().open_all(
                [raster.id for raster in imagery.chosen],
                bands,
                stretch,
                percentile=percentile,
                source=imagery.source or imagery.origin,
                stretches=_fixed(),
                most=MOST_DRAWN,
            )
        layers = [
            Layer(raster, True, preview, scene)
            for raster, (preview, scene) in zip(imagery.chosen, opened, strict=False)
        ]
    except LookalikeError as error:
        with head:
            heading("Display", "imagery cannot be read")
        messages.show_error(error)
        return Display(None, None, tuple(map(Layer, imagery.chosen)), readable=False)
    with head:
        heading("Display", f"bands {', '.join(map(str, bands))}")
    levels.caption(_levels([scene for _, scene in opened]))
    layers += map(Layer, imagery.chosen[MOST_DRAWN:])
    own = available.shown == bands and imagery.bands is None
    return Display(None if own else bands, stretch, tuple(layers), percentile=percentile)


def key_of(location: str) -> str:
    """Part of the keys of the choices for one raster, so that the next one starts afresh."""
    return hashlib.sha256(location.encode()).hexdigest()[:8]


def band_choice(location: str, channel: int) -> str:
    """Name of the choice of the band shown as red (0), green (1) or blue (2)."""
    return f"band.{key_of(location)}.{channel}"


def level_choice(location: str, end: str, colour: str, band: int) -> str:
    """Name of the choice of one end of the display range."""
    return f"level.{key_of(location)}.{end}.{colour}.{band}"


def _bands(available: Bands, default: tuple[int, int, int], location: str) -> tuple[int, int, int]:
    if len(available.names) == 1:
        st.caption("This raster has one band, shown in grey.")
        return default
    numbers = list(range(1, len(available.names) + 1))
    chosen = []
    for channel, (column, colour) in enumerate(zip(st.columns(3), COLOURS, strict=True)):
        name = band_choice(location, channel)
        draft.pick(name, numbers, default[channel])
        chosen.append(
            column.selectbox(
                colour,
                numbers,
                format_func=lambda band: available.names[band - 1],
                key=draft.PREFIX + name,
                persist_state="session",
            )
        )
    return chosen[0], chosen[1], chosen[2]


def _fixed() -> Mapping[str, Stretch] | None:
    """The stretches of the collection that imagery is added to; none are fixed for a new one."""
    into = addition.target()
    return into.manifest.stretches if into else {}


def _way(available: Bands, bands: tuple[int, int, int], percentile: bool) -> str:
    """How brightness is chosen.  Automatic is the full range of 8-bit RGB, else percentiles."""
    as_stored = available.ready_made and bands == available.shown and not percentile
    middle = [PERCENTILE] if as_stored else [FULL] if available.full else []
    ways = [AUTOMATIC, *middle, BY_HAND]
    draft.pick("stretch", ways, AUTOMATIC)
    way = st.segmented_control(
        "Brightness",
        ways,
        format_func=lambda way: "Manual" if way == BY_HAND else way,
        key="area.stretch",
        persist_state="session",
        width="stretch",
        help="Automatic shows 8-bit RGB as stored. It clips the darkest and brightest 2% of other "
        "imagery, with one display range for all scenes of a sensor, so that a place looks alike "
        "in each of them.",
    )
    return way or AUTOMATIC


def _stretch(
    way: str, available: Bands, bands: tuple[int, int, int], location: str, percentile: bool
) -> Stretch | None:
    """The display range that the user asks for, or None for the automatic one."""
    if way == FULL and available.full:
        low, high = available.full
        return Stretch((low,) * 3, (high,) * 3)
    if way != BY_HAND:
        return None
    _, scene = previews().open(location, bands, percentile=percentile)
    ends = []
    for end, levels in zip(ENDS, (scene.stretch.low, scene.stretch.high), strict=True):
        row = []
        for column, colour, level, band in zip(st.columns(3), COLOURS, levels, bands, strict=True):
            key = draft.start(level_choice(location, end, colour, band), float(level))
            label = f"{colour} {ENDS[end]}"
            row.append(column.number_input(label, key=key, persist_state="session", format="%g"))
        ends.append((row[0], row[1], row[2]))
    return Stretch(ends[0], ends[1])


def _levels(scenes: Sequence[Scene]) -> str:
    """The display range of the scenes, and whose it is."""
    stretch = scenes[0].stretch
    pairs = zip(stretch.low, stretch.high, strict=True)
    levels = [f"{round(black, 4):g}–{round(white, 4):g}" for black, white in pairs]
    text = f"Display range: {levels[0] if len(set(levels)) == 1 else ', '.join(levels)}"
    if scenes[0].stretch_from == SENSOR and stretch == AS_STORED:
        return f"{text}, as stored"
    alike = all(scene.stretch == stretch for scene in scenes)
    return text if alike else f"{text}; other scenes have others"
