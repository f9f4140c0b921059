"""What several benchmarks share; nothing here is a benchmark itself."""

from __future__ import annotations

from pathlib import Path

#: The repository's folder.
ROOT = Path(__file__).resolve().parent.parent.parent
