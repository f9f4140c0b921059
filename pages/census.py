"""Census: how many there are in an area, from judged units, with an interval."""

from __future__ import annotations

from pages.ui import census

census.show()
