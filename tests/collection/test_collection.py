"""The store: what is written opens elsewhere, survives damage with a message, can be undone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import geopandas
import numpy as np
import pyarrow.parquet as pq
import pytest

from pipeline.build.request import BuildRequest
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.collection.names import proposed_name
from pipeline.collection.parquet import read_embeddings
from pipeline.errors import DamagedError, NotFoundError, QueryError, StorageError
from pipeline.jobs.queue import Jobs
from tests import ROOT
from tests.factories import synthetic


def test_part_opens_in_geopandas_with_its_footprints(home: Path) -> None:
    collection = synthetic.collection(home)
    frame = geopandas.read_parquet(collection.parts[0].path)
    assert frame.crs.to_epsg() == 4326
    assert len(frame) == 16
    ring = np.array(frame.geometry.iloc[3].exterior.coords)[:4]
    assert ring == pytest.approx(collection.chips.corners[3])
    assert set(frame.geometry.geom_type) == {"Polygon"}


def test_part_opens_in_duckdb_with_its_embeddings(home: Path) -> None:
    collection = synthetic.collection(home)
    path = collection.parts[0].path
    sql = f"select id, embedding, bbox.xmin, pixel_bbox from '{path}' order by row, col"
    rows = duckdb.sql(sql).fetchall()
    assert len(rows) == 16
    assert [row[0].encode() for row in rows] == collection.chips.ids.tolist()
    assert rows[5][1] == pytest.approx(read_embeddings(collection.parts[0])[5].tolist(), abs=1e-6)
    assert list(rows[5][3]) == [256, 256, 512, 512]


def test_part_metadata_names_the_model_and_the_geometry(home: Path) -> None:
    metadata = pq.read_metadata(synthetic.collection(home).parts[0].path).metadata
    geo, emb = json.loads(metadata[b"geo"]), json.loads(metadata[b"emb"])
    assert geo["version"] == "1.1.0"
    assert geo["columns"]["geometry"]["covering"]["bbox"]["xmin"] == ["bbox", "xmin"]
    assert (emb["dimensions"], emb["dtype"], emb["chip_size"]) == (2048, "float16", 256)
    assert emb["model"] == synthetic.MODEL.to_dict()


@pytest.mark.parametrize(
    "name", ["", "a/b", "../up", "a.b", "Bay", "mañana", "-x", "x-", "x" * 65, "x" * 300, "a b"]
)
def test_a_name_that_cannot_be_used_comes_back_with_one_that_can(home: Path, name: str) -> None:
    library = Library(home)
    with pytest.raises(QueryError, match="1 to 64 lowercase letters"):
        library.create(Manifest(name, name, 256, synthetic.MODEL))
    assert not (home / "collections").exists()
    assert Library(home).create(Manifest(proposed_name(name), name, 256, synthetic.MODEL))


def test_a_taken_name_is_refused(home: Path) -> None:
    synthetic.collection(home)
    with pytest.raises(QueryError, match="taken"):
        Library(home).create(Manifest("made", "again", 256, synthetic.MODEL))


def test_unknown_name_lists_those_that_exist(home: Path) -> None:
    synthetic.collection(home)
    with pytest.raises(NotFoundError, match="Existing collections: made"):
        Library(home).open("other")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"schema": 1}', '{"schema": "x"}', "\xff"])
def test_damaged_manifest_says_what_to_do(home: Path, content: str) -> None:
    synthetic.collection(home)
    file = home / "collections" / "made" / "collection.json"
    file.write_text(content, encoding="latin-1")
    with pytest.raises(DamagedError, match=r"collection\.json.*(backup|delete)"):
        Library(home).open("made")
    Library(home).delete("made")
    assert Library(home).names() == []


@pytest.mark.parametrize(
    "change",
    [
        {"stride": "x"},
        {"model": None},
        {"model": {}},
        {"area": 3},
        {"scenes": [1]},
        {"title": 5},
        {"title": "\ud800"},
        {"created": None},
        {"complete": "yes"},
        {"seconds": []},
        {"chip_size": "256"},
        {"block_span": "x"},
    ],
)
def test_manifest_of_the_wrong_kinds_is_damaged(home: Path, change: dict[str, object]) -> None:
    synthetic.collection(home)
    file = home / "collections" / "made" / "collection.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(DamagedError, match=r"collection\.json.*(backup|delete)"):
        Library(home).open("made")


def test_manifest_that_a_killed_process_left_half_written_goes_with_the_next(home: Path) -> None:
    collection = synthetic.collection(home)
    (collection.path / ".tmp-0123456789ab-collection.json").write_text("{")
    Library(home).describe("made", title="Salt ponds")
    assert not list(collection.path.glob(".tmp-*"))


def test_title_given_during_a_build_outlives_it(home: Path) -> None:
    building = synthetic.collection(home)
    Library(home).describe("made", title="Salt ponds")
    assert building.write(complete=True, chips=16).manifest.title == "Salt ponds"
    assert Library(home).open("made").manifest.title == "Salt ponds"


def test_what_others_leave_in_the_trash_does_not_stop_a_deletion(home: Path) -> None:
    synthetic.collection(home)
    (home / "trash").mkdir()
    (home / "trash" / ".DS_Store").touch()
    assert Library(home).delete("made")
    assert (home / "trash" / ".DS_Store").exists()


def test_manifest_of_a_newer_version_is_not_guessed_at(home: Path) -> None:
    synthetic.collection(home)
    file = home / "collections" / "made" / "collection.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 99}))
    with pytest.raises(DamagedError, match="newer Lookalike"):
        Library(home).open("made")


def test_truncated_part_is_named(home: Path) -> None:
    collection = synthetic.collection(home)
    path = collection.parts[0].path
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(DamagedError, match=r"block-r0000-c0000-all\.parquet.*build command again"):
        _ = Library(home).open("made").chips


def test_rename_keeps_everything_but_the_name(home: Path) -> None:
    before = synthetic.collection(home)
    ids = before.chips.ids.tolist()
    after = Library(home).rename("made", "renamed")
    assert after.name == "renamed"
    assert after.manifest.title == before.manifest.title
    assert after.chips.ids.tolist() == ids
    assert Library(home).names() == ["renamed"]


def test_an_old_name_leads_to_the_new_one(home: Path) -> None:
    synthetic.collection(home)
    library = Library(home)
    library.rename("made", "second")
    library.rename("second", "third")
    for old in ("made", "second"):
        with pytest.raises(NotFoundError, match=r"renamed.*Open third instead: Made"):
            library.open(old)
    assert [library.current(name) for name in ("made", "third", "never")] == ["third", "third", ""]
    assert Library(home).rename("third", "made").manifest.former == ("second", "third")


def test_a_collection_whose_build_waits_keeps_its_name(home: Path) -> None:
    synthetic.collection(home)
    jobs = Jobs(home)
    job = jobs.submit(BuildRequest("made", stride=256, scenes=()), start=False)
    with pytest.raises(StorageError, match=r"is queued.*cancel it"):
        jobs.rename_collection(Library(home), "made", "other")
    jobs.cancel(job.id)
    assert jobs.rename_collection(Library(home), "made", "other").name == "other"


def test_rename_to_a_taken_name_changes_nothing(home: Path) -> None:
    synthetic.collection(home)
    synthetic.collection(home, "second")
    with pytest.raises(QueryError, match="taken"):
        Library(home).rename("made", "second")
    assert Library(home).names() == ["made", "second"]


def test_deleted_collection_can_be_restored(home: Path) -> None:
    ids = synthetic.collection(home).chips.ids.tolist()
    library = Library(home)
    token = library.delete("made")
    assert library.names() == []
    with pytest.raises(NotFoundError, match=f"was deleted.*restore {token}"):
        library.open("made")
    assert library.restore(token).chips.ids.tolist() == ids


def test_second_of_two_deletions_is_told(home: Path) -> None:
    synthetic.collection(home)
    Library(home).delete("made")
    with pytest.raises(NotFoundError):
        Library(home).delete("made")


@pytest.mark.parametrize("token", ["made", "made.x", "../made.1", "made.12"])
def test_restoring_what_is_not_in_the_trash_is_refused(home: Path, token: str) -> None:
    synthetic.collection(home)
    with pytest.raises((NotFoundError, QueryError)):
        Library(home).restore(token)


def test_what_was_written_to_a_deleted_collection_does_not_bar_its_return(home: Path) -> None:
    found = synthetic.collection(home)
    token = Library(home).delete(found.name)
    (found.path / "pictures").mkdir(parents=True)  # of a search saved while it was deleted
    assert Library(home).restore(token).chips.ids.tolist() == found.chips.ids.tolist()
    assert not (found.path / "pictures").exists()


def test_restore_does_not_overwrite_a_collection_made_meanwhile(home: Path) -> None:
    synthetic.collection(home)
    token = Library(home).delete("made")
    synthetic.collection(home, seed=1)
    with pytest.raises(QueryError, match="taken meanwhile"):
        Library(home).restore(token)


def test_old_trash_is_emptied_and_young_trash_kept(home: Path) -> None:
    synthetic.collection(home)
    library = Library(home)
    library.delete("made")
    assert library.empty_trash(older_than_days=1) == 0
    assert library.empty_trash() == 1


def test_delete_for_good_leaves_nothing(home: Path) -> None:
    synthetic.collection(home)
    assert Library(home).delete("made", keep=False) == ""
    assert list((home / "trash").iterdir()) == []


def test_collection_being_built_cannot_be_deleted_or_renamed(home: Path) -> None:
    collection = synthetic.collection(home)
    code = (
        "import sys; from pathlib import Path; from pipeline.collection.library import Library\n"
        "with Library(Path(sys.argv[1])).open('made').lock():\n"
        "    print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(home)],
        cwd=ROOT,
        stdin=subprocess.PIPE,  # which ends with this process, if not before
        stdout=subprocess.PIPE,
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        assert collection.busy
        for action in (Library(home).delete, lambda n: Library(home).rename(n, "other")):
            with pytest.raises(StorageError, match="Another build"):
                action("made")
        holder.kill()
    assert not collection.busy
    Library(home).delete("made")


def test_store_sees_what_another_process_changed(home: Path) -> None:
    library = Library(home)
    synthetic.collection(home)
    first = library.open("made")
    assert library.open("made") is first
    Library(home).describe("made", title="Salt ponds")
    assert library.open("made").manifest.title == "Salt ponds"


def test_unwritable_home_says_so(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    with pytest.raises(StorageError, match="LOOKALIKE_HOME"):
        Library(blocked / "home").create(Manifest("x", "x", 256, synthetic.MODEL))


def test_full_disk_leaves_no_half_part(home: Path) -> None:
    """A write that the system refuses half-way (a file size limit stands in for a full disk)."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from tests.factories import synthetic\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "synthetic.collection(Path(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(home)],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode != 0
    assert "StorageError" in done.stderr
    chips = home / "collections" / "made" / "chips"
    assert [p for p in chips.rglob("*") if p.is_file()] == []


def test_disk_use_is_the_size_of_its_files(home: Path) -> None:
    collection = synthetic.collection(home)
    before = collection.disk_bytes()
    (collection.path / "extra").write_bytes(bytes(1000))
    assert collection.disk_bytes() == before + 1000
    shutil.rmtree(collection.path)
    assert collection.disk_bytes() == 0
