"""Print which share of lines and of branches was run, by module, and fail below the least.

python .ci/covered.py report.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

LINES, BRANCHES = 92.0, 85.0


def share(part: int, whole: int) -> float:
    """Per cent; all of nothing is 100."""
    return 100 * part / whole if whole else 100.0


def shares(summary: dict[str, int]) -> tuple[float, float]:
    """Per cent of the lines, and per cent of the branches."""
    return (
        share(summary["covered_lines"], summary["num_statements"]),
        share(summary["covered_branches"], summary["num_branches"]),
    )


def main() -> None:
    """Read coverage's own JSON report."""
    report = json.loads(Path(sys.argv[1]).read_text())
    print("  lines  branches")
    for path, file in sorted(report["files"].items(), key=lambda item: shares(item[1]["summary"])):
        lines, branches = shares(file["summary"])
        if (lines, branches) != (100, 100):
            print(f"{lines:6.1f} % {branches:6.1f} %  {path}")
    lines, branches = shares(report["totals"])
    print(f"{lines:6.1f} % {branches:6.1f} %  in all")
    if lines < LINES or branches < BRANCHES:
        sys.exit(
            f"Coverage is too low: {LINES:.0f} % of lines and {BRANCHES:.0f} % of branches are"
            " required. Add tests for the modules listed first."
        )


if __name__ == "__main__":
    main()
