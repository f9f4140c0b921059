"""The Quality page's report: figures in words, with the pictures they are about."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.ui.formatting import count, plural
from pages.ui.server import base_path, open_collections
from pipeline.analysis.quality import Quality, measure
from pipeline.frontend import ASSETS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pipeline.collection.collection import Collection

SHOWN = 8
GOOD, FAIR, POOR = "good", "fair", "poor"


def show(collection: Collection) -> None:
    """The report of one collection."""
    with st.spinner("Measuring: a few seconds, once for each state of the collection"):
        found = _measured(collection.name, collection.version)
    parts = [_recall(found), _doubles(collection, found), _scores(found), _chips(collection, found)]
    st.html(f"<style>{(ASSETS / 'quality.css').read_text('utf-8')}</style>")
    st.html(f'<div class="lk-quality">{"".join(parts)}</div>')


@st.cache_data(max_entries=16, show_spinner=False)
def _measured(name: str, version: str) -> Quality:
    return measure(open_collections().collection(name), open_collections().index(name))


def _recall(found: Quality) -> str:
    level = GOOD if found.recall >= 0.97 else FAIR if found.recall >= 0.9 else POOR
    words = (
        f"Of the ten chips most similar to a query, searches find {10 * found.recall:.3g}. "
        "Measured by looking at every chip one by one."
    )
    remedy = "" if level == GOOD else " Rebuild the index to find more of them."
    return _card("Does a search miss anything?", _percent(found.recall), level, words + remedy)


def _scores(found: Quality) -> str:
    words = (
        f"Two chips picked at random score {found.typical:.2f}; only one pair in a hundred scores "
        f"above {found.unusual:.2f}. A hit above {found.unusual:.2f} is a real likeness; one near "
        f"{found.typical:.2f} is chance."
    )
    most = max(int(found.scores.max()), 1)
    first = int(np.flatnonzero(found.scores)[0]) if found.scores.any() else 0
    bars = "".join(
        f'<i style="height:{100 * int(number) / most:.0f}%"></i>' for number in found.scores[first:]
    )
    low = -1 + 2 * first / len(found.scores)
    chart = (
        f'<div class="lk-bars" aria-hidden="true">{bars}</div>'
        f'<div class="lk-axis"><span>{low:.2f}</span><span>score of random pairs</span>'
        "<span>1.00</span></div>"
    )
    return _card("What does a score mean here?", f"{found.unusual:.2f}", "", words, chart)


def _chips(collection: Collection, found: Quality) -> str:
    bad = np.union1d(found.poor, found.blurred)
    share = 1 - len(bad) / max(found.chips, 1)
    level = GOOD if share >= 0.95 else FAIR if share >= 0.8 else POOR
    words = (
        f"Of {plural(found.chips, 'chip')}, {count(len(found.poor))} lack a tenth of their pixels "
        f"or more, and {count(len(found.blurred))} show hardly any detail, as open water, cloud "
        "and blur do. Filters on the Search page leave them out."
    )
    if not len(bad):
        words = "Every chip has its pixels, and detail in them."
    worst = bad[np.linspace(0, len(bad) - 1, min(SHOWN, len(bad))).astype(int)]
    pictures = _pictures(collection, worst.tolist())
    return _card("Are the chips sound?", _percent(share), level, words, pictures)


def _doubles(collection: Collection, found: Quality) -> str:
    number = len(found.doubles)
    share = number / max(found.sampled, 1)
    level = GOOD if share < 0.01 else FAIR if share < 0.1 else POOR
    words = (
        f"Among {plural(found.sampled, 'chip')} looked at, {plural(number, 'pair')} from different "
        "places look the same: a scene that is in the collection twice, or places without features."
    )
    if not number:
        words = f"Among {plural(found.sampled, 'chip')} looked at, no two places look the same."
    pairs = [row for pair in found.doubles[: SHOWN // 2].tolist() for row in pair]
    pictures = _pictures(collection, pairs)
    return _card("Is anything in it twice?", count(number), level, words, pictures)


def _percent(share: float) -> str:
    return f"{100 * share:.3g}\u202f%"


def _card(title: str, figure: str, level: str, words: str, more: str = "") -> str:
    verdict = f'<span class="lk-level lk-level-{level}">{level}</span>' if level else ""
    return (
        f"<section><h2>{escape(title)}</h2><p class='lk-figure'>{escape(figure)}{verdict}</p>"
        f"<p>{escape(words)}</p>{more}</section>"
    )


def _pictures(collection: Collection, rows: Iterable[int]) -> str:
    root = f"{base_path()}/api/collections/{collection.name}/chips"
    images = "".join(
        f'<img src="{root}/{collection.chips.ids[row].decode()}.png?size=128&amp;'
        f'v={collection.version}" alt="" width="64" height="64">'
        for row in rows
    )
    return f'<div class="lk-thumbs">{images}</div>' if images else ""
