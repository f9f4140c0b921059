"""The tests, and what they share."""

from pathlib import Path

#: Where programs that a test starts find the project, wherever the tests are run from.
ROOT = Path(__file__).parent.parent
