"""One step of the Area page: its container and its heading."""

from __future__ import annotations

from html import escape

import streamlit as st


def container(name: str) -> st.delta_generator.DeltaGenerator:
    """The step's own container: without it, Streamlit shows what follows twice while it resizes."""
    return st.container(key=f"area-step-{name}")


def heading(title: str, fact: str = "") -> None:
    """The heading of a step, with the choice made so far; the style numbers visible headings."""
    chosen = f"<span>{escape(fact)}</span>" if fact else ""
    st.html(f'<h2 class="lk-step"><b></b>{escape(title)}{chosen}</h2>')
