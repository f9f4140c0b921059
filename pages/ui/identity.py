"""Who uses the app: Streamlit's sign-in (OIDC), for pages and our routes alike."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import streamlit as st

from pipeline.settings import settings
from pipeline.web.access import Access, name_of


@lru_cache(maxsize=1)
def access() -> Access:
    """The access rules of this server."""
    return Access.of(settings(), sign_in=sign_in_configured(), session=session)


def sign_in_configured() -> bool:
    """Whether `.streamlit/secrets.toml` has an `[auth]` section."""
    from streamlit.auth_util import get_secrets_auth_section

    return bool(get_secrets_auth_section())


def session(cookies: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The user named by Streamlit's signed cookie; None without a cookie, or with a forged one.

    Streamlit guards only its own connection and has no public function that reads the cookie.
    """
    from streamlit.web.server.server_util import AUTH_COOKIE_NAME
    from streamlit.web.server.starlette.starlette_websocket import _get_signed_cookie_with_chunks

    raw = _get_signed_cookie_with_chunks(dict(cookies), AUTH_COOKIE_NAME)
    if not raw:
        return None
    try:
        user = json.loads(raw)
    except ValueError:
        return None
    return user if isinstance(user, dict) else None


def person() -> str:
    """The signed-in person, by whom routes keep what they judge; "" where nobody signs in."""
    return name_of(st.user.to_dict()) if access().sign_in and st.user.is_logged_in else ""


def gate() -> None:
    """Stop the run unless this user may use the app; called before any page runs."""
    rules = access()
    if not rules.required:
        return
    if not rules.sign_in:
        st.info("This server has no pages, only a REST interface for programs: see /api/docs.")
        st.stop()
    if not st.user.is_logged_in:
        st.title("Lookalike")
        st.write("Sign in to see the collections of this server.")
        st.button("Sign in", type="primary", on_click=st.login)
        st.stop()
    if not rules.may_sign_in(st.user.get("email")):
        st.error(
            f"{st.user.get('email') or 'This account'} may not use this server. "
            "Ask the operator to add the address to LOOKALIKE_USERS."
        )
        st.button("Sign out", on_click=st.logout)
        st.stop()
