"""The Quality page's report: figures, what they mean, and the chips they are about."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from pages.ui.formatting import count, percent, plural
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
    with st.spinner(
        "Measuring quality. This takes a few seconds and is repeated only when the collection "
        "changes."
    ):
        quality = _measured(collection.name, collection.version)
    cards = [
        _recall(quality),
        _duplicates(collection, quality),
        _scores(quality),
        _chips(collection, quality),
    ]
    st.html(f"<style>{(ASSETS / 'shared/quality.css').read_text('utf-8')}</style>")
    st.html(f'<div class="lk-quality">{"".join(cards)}</div>')


@st.cache_data(max_entries=16, show_spinner=False)
def _measured(name: str, version: str) -> Quality:
    opened = open_collections()
    return measure(opened.collection(name), opened.index(name), opened.graph(name))


def _recall(quality: Quality) -> str:
    level = GOOD if quality.recall >= 0.97 else FAIR if quality.recall >= 0.9 else POOR
    text = (
        f"Of the ten chips most similar to a query, a search finds {10 * quality.recall:.3g} on "
        "average. The reference is an exact search of all chips."
    )
    if level != GOOD:
        text += (
            " To rebuild the index, delete the collection's index folder and restart Lookalike; "
            "the next search makes it again."
        )
    return _card("Search recall", percent(quality.recall), level, text)


def _duplicates(collection: Collection, quality: Quality) -> str:
    number = len(quality.duplicates)
    share = number / max(quality.sampled, 1)
    level = GOOD if share < 0.01 else FAIR if share < 0.1 else POOR
    sample = f"In a sample of {plural(quality.sampled, 'chip')}"
    text = f"{sample}, no two places look identical."
    if number:
        text = (
            f"{sample}, {plural(number, 'pair')} of chips from different places look identical: "
            "a scene was added twice, or the places have no features."
        )
    pairs = [row for pair in quality.duplicates[: SHOWN // 2].tolist() for row in pair]
    return _card("Duplicates", count(number), level, text, _pictures(collection, pairs))


def _scores(quality: Quality) -> str:
    text = f"Two random chips typically score {quality.typical:.2f}."
    figure = "unknown"
    if quality.chance:
        middle, low, high = quality.chance
        figure = f"{middle:.2f}"
        text += (
            f" A typical search has one chip above {middle:.2f} by chance; four searches in five "
            f"have that score between {low:.2f} and {high:.2f}. Search shows for each result how "
            "many chips would score as high by chance."
        )
    most = max(int(quality.scores.max()), 1)
    first = int(np.flatnonzero(quality.scores)[0]) if quality.scores.any() else 0
    bars = "".join(
        f'<i style="height:{100 * int(number) / most:.0f}%"></i>'
        for number in quality.scores[first:]
    )
    low = -1 + 2 * first / len(quality.scores)
    chart = (
        f'<div class="lk-bars" aria-hidden="true">{bars}</div>'
        f'<div class="lk-axis"><span>{low:.2f}</span><span>score of random pairs</span>'
        "<span>1.00</span></div>"
    )
    return _card("Chance", figure, "", text, chart)


def _chips(collection: Collection, quality: Quality) -> str:
    bad = np.union1d(quality.poor, quality.blurred)
    share = 1 - len(bad) / max(quality.chips, 1)
    level = GOOD if share >= 0.95 else FAIR if share >= 0.8 else POOR
    text = "No chip lacks pixels or detail."
    if len(bad):
        text = (
            f"Of {plural(quality.chips, 'chip')}, {count(len(quality.poor))} have 10% no-data or "
            f"more, and {count(len(quality.blurred))} show little detail, as open water, cloud "
            "and blur do. Filters on the Search page exclude them."
        )
    worst = bad[np.linspace(0, len(bad) - 1, min(SHOWN, len(bad))).astype(int)]
    pictures = _pictures(collection, worst.tolist())
    return _card("Chip quality", percent(share), level, text, pictures)


def _card(title: str, figure: str, level: str, text: str, more: str = "") -> str:
    verdict = f'<span class="lk-level lk-level-{level}">{level}</span>' if level else ""
    return (
        f"<section><h2>{escape(title)}</h2><p class='lk-figure'>{escape(figure)}{verdict}</p>"
        f"<p>{escape(text)}</p>{more}</section>"
    )


def _pictures(collection: Collection, rows: Iterable[int]) -> str:
    root = f"{base_path()}/api/collections/{collection.name}/chips"
    images = "".join(
        f'<img src="{root}/{collection.chips.ids[row].decode()}.png?size=128&amp;'
        f'v={collection.version}" alt="" width="64" height="64">'
        for row in rows
    )
    return f'<div class="lk-thumbs">{images}</div>' if images else ""
