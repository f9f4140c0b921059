"""Errors as people should meet them: what, where, and what to do; never a traceback."""

from __future__ import annotations

import logging
import secrets

import streamlit as st

from pipeline.errors import LookalikeError

log = logging.getLogger("lookalike.app")


def explain(error: Exception) -> bool:
    """Show an error that a page did not handle; the details of an unexpected one go to the log."""
    if isinstance(error, LookalikeError):
        log.info("%s", error)
        show(error)
        return True
    reference = secrets.token_hex(3)
    log.error("unexpected error %s", reference, exc_info=error)
    show(
        LookalikeError(
            "Something went wrong that should not have",
            remedy=f"Reload the page; if it comes back, look for {reference} in the server's log",
        )
    )
    return True


def show(error: LookalikeError) -> None:
    """An error box with the remedy set apart."""
    place = f"\n\n`{error.where}`" if error.where else ""
    remedy = f"\n\n{error.remedy}." if error.remedy else ""
    st.error(f"**{error.what}.**{place}{remedy}", icon=":material/error:")


def hint(text: str) -> None:
    """What is missing or worth knowing, in a quiet box."""
    st.info(text, icon=":material/info:")
