"""`python -m pipeline check`: a sample is drawn, judged from a file, and estimated and exported."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import geopandas
import pytest

from pipeline.collection.collection import Collection
from pipeline.search.recipe import Recipe
from pipeline.search.saved import Saved, Searches
from pipeline.search.search import Hit, Result
from pipeline.settings import settings
from tests.cli.test_app import answer, run
from tests.factories import synthetic


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    home = tmp_path_factory.mktemp("checked")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LOOKALIKE_HOME", str(home))
        settings.cache_clear()
        yield synthetic.collection(home)
    settings.cache_clear()


@pytest.fixture
def saved(made: Collection) -> Iterator[Saved]:
    table, searches = made.chips, Searches(made)
    hits = tuple(Hit.of(table, row, 0.9 - row / 20, row + 1) for row in range(12))
    kept = searches.save("Ponds", Recipe(chip=hits[0].id), Result(hits, 16, 16, 0.0))
    yield kept
    searches.delete(kept.id)


def test_check_is_drawn_judged_and_estimated(
    made: Collection, saved: Saved, tmp_path: Path
) -> None:
    drawn = answer("check", made.name, saved.id, "--n", "6", "--seed", "5eed", "--json")
    assert (drawn["size"], drawn["judged"], drawn["population"]) == (6, 0, 12)
    assert (drawn["seed"], drawn["strata"]) == ("5eed", [12])
    assert not {"score", "rank"} & set(drawn["next"][0])
    ids = [item["id"] for item in drawn["next"]]
    answers = tmp_path / "answers.json"
    answers.write_text(json.dumps(dict(zip(ids, ["good", "good", "bad", "skip"], strict=False))))
    judged = answer(
        "check", made.name, saved.id, "--answers", str(answers), "--reviewer", "Ada",
        "--threshold", "0", "--json",
    )  # fmt: skip
    assert [item["id"] for item in judged["next"]] == ids[4:]
    (whole,) = judged["estimates"]
    assert (whole["judged"], whole["unsure"], whole["good"]) == (3, 1, 2)
    assert {each.author for each in Searches(made).get(saved.id).check.judgements} == {"Ada"}
    shown = run("check", made.name, saved.id).stdout
    assert "67%" in shown
    assert "4 of 6 judged" in shown
    path = tmp_path / "ponds.geojson"
    assert run("export", made.name, "--saved", saved.id, "--to", str(path)).returncode == 0
    estimate = json.loads(path.read_text())["provenance"]["estimate"]
    assert (estimate["seed"], estimate["judged"], estimate["hits"]) == ("5eed", 3, 12)
    assert set(geopandas.read_file(path)["estimate"].str[:11]) == {"66.7% right"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--n", "5", "--error", "0.1"], "exclude each other"),
        (["--n", "0"], "at least one hit"),
        (["--error", "nan"], "finite number"),
        (["--seed", "pond"], "hex digits"),
        (["--answers", "nosuch.json"], "cannot be read"),
        (["--answers", "[1]"], "not ids with marks"),
        (["--answers", '{"nosuch": "good"}'], "did not draw"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_drawn(
    made: Collection, saved: Saved, tmp_path: Path, options: list[str], words: str
) -> None:
    if options[-1][0] in "[{":
        (path := tmp_path / "answers.json").write_text(options[-1])
        options = [options[0], str(path)]
    done = run("check", made.name, saved.id, *options)
    assert done.returncode != 0
    assert words in done.stderr
    assert Searches(made).get(saved.id).check is None
    assert run("check", made.name, "0" * 12).returncode != 0
