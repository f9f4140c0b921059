"""Jobs: what is being built, how far it is, and what to do about it."""

from __future__ import annotations

from pages.ui.jobs import queue as job_list

job_list.show()
