"""Marks: what a user can say of a hit."""

from __future__ import annotations

GOOD, BAD, SKIP = "good", "bad", "skip"
MARKS = (GOOD, BAD, SKIP)
