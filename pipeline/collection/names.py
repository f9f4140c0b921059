"""Names of collections: which are valid, and proposals."""

from __future__ import annotations

import re
import unicodedata

from pipeline.errors import QueryError

NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")


def check_name(name: str, what: str = "A collection's name") -> str:
    """Return `name` if it is valid for a collection, or for what else is said.

    Raises:
        QueryError: If it is not; the message proposes a valid name.
    """
    if NAME.fullmatch(name):
        return name
    proposal = proposed_name(name)
    raise QueryError(
        f"{what} is 1 to 64 lowercase letters, digits and hyphens",
        where=repr(name if len(name) <= 60 else name[:57] + "…"),
        remedy=f"Try '{proposal}'; the title can be any text",
    )


def proposed_name(title: str) -> str:
    """A valid collection name made from any text."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:64].strip("-") or "my-area"
