"""Results: saved searches, their review, comparison and export."""

from __future__ import annotations

from pages.ui import results

results.show()
