"""Errors and hints as users see them: what, where and the remedy; never a traceback."""

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
        show_error(error)
        return True
    reference = secrets.token_hex(3)
    log.error("unexpected error %s", reference, exc_info=error)
    show_error(
        LookalikeError(
            "Something went wrong",
            remedy="Reload the page. If the error returns, search the server's log for "
            f"{reference}",
        )
    )
    return True


def show_error(error: LookalikeError) -> None:
    """An error box with the remedy set apart."""
    where = f"\n\n`{error.where}`" if error.where else ""
    remedy = f"\n\n{error.remedy}." if error.remedy else ""
    st.error(f"**{error.what}.**{where}{remedy}", icon=":material/error:")


def hint(text: str) -> None:
    """A quiet box: what is missing, or worth knowing."""
    st.info(text, icon=":material/info:")
