"""Writes a census of the home of version 0.1.0: two rounds, two reviewers, an answer taken back.

    python tests/data/census_1/make.py TARGET

`tests/test_formats.py` opens what version 1 of its formats looks like.  It is never written anew: a
format that changes is read in both forms, and this folder gets a neighbour.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from pathlib import Path

from shapely.geometry import box

sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from pipeline.census import certificate, review
from pipeline.census.censuses import Kept
from pipeline.census.start import Plan, Sought, add_round, start
from pipeline.collection.library import Library
from pipeline.search.open_collections import OpenCollections

HOME = Path(__file__).resolve().parent.parent / "home_0_1_0" / "lookalike"
SEARCH = "3b9f930bc2aa"


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(shutil.copytree(HOME, Path(scratch) / "home"))
        opened = OpenCollections(Library(home))
        west, south, east, north = next(
            iter(opened.collection("fields").scenes.values())
        ).bounds4326
        plan = Plan(
            "fields",
            Sought(saved=SEARCH, floor=0.4),
            title="Fields",
            unit=64,
            error=0.2,
            double=0.5,
            seed=4,
            districts=(("west", box(west, south, (west + east) / 2, north)),),
        )
        kept = start(opened, plan)
        for reviewer, count in (("ada", 8), ("bo", 4)):
            judge(kept, reviewer, count)
        review.undo(kept, "bo")
        review.answer(kept, {review.hand_out(kept, 1, "bo").units[0].id: None}, "bo")
        kept = add_round(opened, kept.census.id, Sought(saved=SEARCH))
        judge(kept, "ada", 6)
        review.hand_out(kept, 3, "ada")
        ignore = shutil.ignore_patterns("*.lock")
        shutil.copytree(kept.folder, target / kept.census.id, ignore=ignore)
        certificate.export(kept, target / "certificate.json")


def judge(kept: Kept, reviewer: str, count: int) -> None:
    """A unit holds a thing for each 128 pixels that it lies to the right."""
    units = review.hand_out(kept, count, reviewer).units
    review.answer(kept, {unit.id: unit.left // 128 for unit in units}, reviewer)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
