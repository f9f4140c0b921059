"""Jobs: builds that run, wait or have ended, and what to do about them."""

from __future__ import annotations

from pages.ui.jobs import queue

queue.show()
