"""Search: who is a hit, who is not, and how many come back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from shapely.geometry import Polygon, box

from pipeline.collection.chip_table import ChipTable
from pipeline.collection.collection import Collection
from pipeline.collection.library import Library
from pipeline.collection.manifest import Manifest
from pipeline.errors import ModelMismatchError, NotFoundError, QueryError
from pipeline.index.index import Index
from pipeline.search import feedback
from pipeline.search.filters import Filters, eligible_chips, metres_from
from pipeline.search.queries import Query, by_chip, by_examples, by_point, refine
from pipeline.search.search import search
from tests.factories import synthetic


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> tuple[Collection, Index]:
    collection = synthetic.collection(tmp_path_factory.mktemp("plain"), stride=64, sizes=(768,))
    return collection, Index.open(collection)


@pytest.fixture(scope="module")
def dated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Collection, Index]:
    collection = synthetic.collection(
        tmp_path_factory.mktemp("dated"),
        sizes=(1024, 1024, 1024),
        datetimes=("2012-07-31T00:00:00Z", "2016-08-16T00:00:00Z", None),
    )
    return collection, Index.open(collection)


def overlap(a: np.ndarray, b: np.ndarray) -> float:
    first, second = Polygon(a), Polygon(b)
    return first.intersection(second).area / second.area


def test_the_query_chip_is_never_a_hit(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    for chip in collection.chips.ids[:5]:
        query = by_chip(collection, index, chip.decode())
        for suppress in (True, False):
            hits = search(collection, index, query, k=1000, suppress=suppress).hits
            assert chip.decode() not in {hit.id for hit in hits}


def test_without_suppression_every_other_chip_comes_back_in_order_of_cosine(
    plain: tuple[Collection, Index],
) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[40].decode())
    hits = search(collection, index, query, k=1000, suppress=False).hits
    assert len(hits) == len(collection.chips) - 1
    scores = np.array([hit.score for hit in hits])
    assert (np.diff(scores) <= 0).all()
    unit = query.vector / np.linalg.norm(query.vector)
    vectors = np.asarray(index.vectors, np.float32)
    assert scores == pytest.approx(vectors[[hit.row for hit in hits]] @ unit, abs=1e-5)
    assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))


def test_no_hit_lies_by_more_than_a_quarter_under_a_better_one(
    plain: tuple[Collection, Index],
) -> None:
    collection, index = plain
    chip = collection.chips.ids[40].decode()
    hits = search(collection, index, by_chip(collection, index, chip), k=1000).hits
    assert len(hits) > 5
    kept = [collection.chips.corners[40], *(hit.corners for hit in hits)]
    for i, later in enumerate(kept):
        assert all(overlap(better, later) <= 0.25 for better in kept[:i])


def test_suppression_drops_only_what_a_better_hit_covers(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    everything = search(collection, index, query, k=1000, suppress=False).hits
    hits = search(collection, index, query, k=1000).hits
    kept: list[np.ndarray] = [query.corners[0]]
    expected = []
    for hit in everything:
        if all(overlap(better, hit.corners) <= 0.25 for better in kept):
            kept.append(hit.corners)
            expected.append(hit.id)
    assert [hit.id for hit in hits] == expected


def test_k_hits_come_back_whenever_k_survive(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[7].decode())
    most = len(search(collection, index, query, k=1000).hits)
    for k in range(1, most + 1):
        assert len(search(collection, index, query, k=k).hits) == k


def test_threshold_cuts_and_keeps_the_order(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[7].decode())
    hits = search(collection, index, query, k=1000).hits
    cut = hits[3].score
    assert search(collection, index, query, k=1000, threshold=cut).hits == hits[:4]
    assert search(collection, index, query, k=10, threshold=1.0).hits == ()


@pytest.mark.parametrize("k", [0, -1, 1001])
def test_k_out_of_range_is_refused(plain: tuple[Collection, Index], k: int) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    with pytest.raises(QueryError, match="between 1 and 1000"):
        search(collection, index, query, k=k)


def test_k_above_the_number_of_chips_returns_them_all(dated: tuple[Collection, Index]) -> None:
    collection, index = dated
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    result = search(collection, index, query, k=1000, suppress=False)
    assert len(result.hits) == result.eligible == len(collection.chips) - 1


def test_unknown_chip_is_named_in_the_message(plain: tuple[Collection, Index]) -> None:
    with pytest.raises(NotFoundError, match="deadbeef"):
        by_chip(*plain, "deadbeef")
    with pytest.raises(NotFoundError, match="ud800"):
        by_chip(*plain, "\ud800")


def test_point_finds_the_chip_whose_centre_is_nearest(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    table = collection.chips
    for row in (0, 17, len(table) - 1):
        lon, lat = table.centres[row]
        assert by_point(collection, index, lon, lat).chips == (table.ids[row].decode(),)


@pytest.mark.parametrize("lon", [179.97, 180.03, -179.97, -180.03])
def test_point_is_found_across_the_antimeridian_however_it_is_written(lon: float) -> None:
    edges = np.array([[179.8, 180.0], [180.0, 180.2], [179.9, 180.1]])
    corners = np.array([[(w, 0.1), (e, 0.1), (e, -0.1), (w, -0.1)] for w, e in edges])
    nothing = np.zeros(3, np.float32)
    ids = np.array([b"west", b"east", b"both"], "S16")
    rows = np.zeros(3, np.int32)
    table = ChipTable(ids, rows, ("s",), corners, rows, rows, nothing, nothing, nothing, (None,))
    assert table.row_at(lon, 0.0) == 2
    assert table.nearest_at(lon, 0.0, np.array([0, 1])) == (lon in (180.03, -179.97))
    assert table.nearest_at(lon, 0.5, np.array([0, 1])) is None


def test_bad_start_is_left_out_once(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    chip = collection.chips.ids[0].decode()
    start = by_chip(collection, index, chip)
    query = Query(start.vector, start.model, (chip, chip), start.corners)
    result = search(collection, index, query, k=1000, suppress=False)
    assert result.eligible == len(result.hits) == len(collection.chips) - 1


def test_point_outside_says_where_the_imagery_is(plain: tuple[Collection, Index]) -> None:
    with pytest.raises(NotFoundError, match="longitudes"):
        by_point(*plain, 100.0, 10.0)
    with pytest.raises(QueryError, match="longitude"):
        by_point(*plain, 6.0, 460.0)


def test_examples_search_from_the_mean_and_are_no_hits(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    chips = [chip.decode() for chip in collection.chips.ids[[0, 30, 60]]]
    query = by_examples(collection, index, chips)
    assert query.vector == pytest.approx(
        np.asarray(index.vectors[[0, 30, 60]], np.float32).mean(axis=0), abs=1e-3
    )
    hits = search(collection, index, query, k=1000, suppress=False).hits
    assert not set(chips) & {hit.id for hit in hits}


def test_marks_order_the_hits_and_leave_their_scores(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    ids = [chip.decode() for chip in collection.chips.ids]
    query = refine(collection, index, by_chip(collection, index, ids[0]), (ids[9],), (ids[20],))
    result = search(collection, index, query, k=1000, suppress=False)
    found = [hit.id for hit in result.hits]
    assert found[0] == ids[9]
    assert len(found) == result.eligible == len(ids) - 2
    assert not {ids[0], ids[20]} & set(found)
    rows = [hit.row for hit in result.hits]
    scores = np.array([hit.score for hit in result.hits])
    assert scores == pytest.approx(index.cosines(query.vector, rows), abs=2e-6)
    assert (np.diff(scores) > 0).any()
    for k in (1, 4, 30):
        fewer = search(collection, index, query, k=k, suppress=False).hits
        assert fewer == result.hits[:k]
    cut = sorted(hit.score for hit in result.hits)[40]
    above = search(collection, index, query, k=1000, suppress=False, threshold=cut).hits
    assert [hit.id for hit in above] == [hit.id for hit in result.hits if hit.score >= cut]


def test_filters_and_suppression_hold_among_refined_hits(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    ids = [chip.decode() for chip in collection.chips.ids]
    query = refine(collection, index, None, (ids[2], ids[40]), (ids[50],))
    result = search(collection, index, query, k=1000, filters=Filters(min_sharpness=50))
    assert all(collection.chips.sharpness[hit.row] >= 50 for hit in result.hits)
    for place, later in enumerate(result.hits):
        assert all(overlap(better.corners, later.corners) <= 0.25 for better in result.hits[:place])


def test_beyond_the_candidates_hits_follow_by_score(
    plain: tuple[Collection, Index], monkeypatch: pytest.MonkeyPatch
) -> None:
    collection, index = plain
    monkeypatch.setattr(feedback, "CANDIDATES", 12)
    ids = [chip.decode() for chip in collection.chips.ids]
    query = refine(collection, index, by_chip(collection, index, ids[0]), (), (ids[20],))
    hits = search(collection, index, query, k=1000, suppress=False).hits
    assert len(hits) == len(ids) - 2
    scores = [hit.score for hit in hits]
    assert scores[12:] == sorted(scores[12:], reverse=True)
    assert min(scores[:12]) >= scores[12]


def test_of_several_views_the_best_one_counts(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    views = np.asarray(index.vectors[[3, 30, 50]], np.float32)
    query = Query(views, collection.manifest.model)
    filters = Filters(max_nodata=39)
    for chosen in (None, filters):
        hits = search(collection, index, query, k=40, suppress=False, filters=chosen).hits
        assert {hit.row for hit in hits[:3]} == {3, 30, 50}
        rows = [hit.row for hit in hits]
        each = np.stack([index.cosines(view, rows) for view in views])
        assert [hit.score for hit in hits] == pytest.approx(each.max(axis=0), abs=1e-6)
        assert index.cosines(views, rows) == pytest.approx(each.max(axis=0), abs=1e-6)


def test_polygon_filter_returns_k_hits_inside_it(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    table = collection.chips
    west, south = table.centres.min(axis=0)
    east, north = table.centres.max(axis=0)
    within = box(west, south, (west + east) / 2, (south + north) / 2)
    query = by_chip(collection, index, table.ids[-1].decode())
    result = search(collection, index, query, k=12, suppress=False, filters=Filters(within=within))
    assert len(result.hits) == 12
    assert all(within.contains(Polygon(hit.corners).centroid) for hit in result.hits)
    assert 12 <= result.eligible < len(table)


def test_filtered_search_equals_an_exact_scan_of_the_eligible(
    plain: tuple[Collection, Index],
) -> None:
    collection, index = plain
    table = collection.chips
    filters = Filters(min_sharpness=50, max_nodata=30)
    query = by_chip(collection, index, table.ids[0].decode())
    hits = search(collection, index, query, k=9, suppress=False, filters=filters).hits
    fits = np.flatnonzero((table.sharpness >= 50) & (table.nodata_percent <= 30))
    scores = index.cosines(query.vector, fits)
    assert [hit.row for hit in hits] == fits[np.argsort(-scores, kind="stable")[:9]].tolist()


def test_date_filter_leaves_out_scenes_without_a_date(dated: tuple[Collection, Index]) -> None:
    collection, index = dated
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    filters = Filters(since=date(2015, 1, 1))
    hits = search(collection, index, query, k=1000, filters=filters).hits
    assert {hit.datetime for hit in hits} == {"2016-08-16T00:00:00Z"}
    older = search(collection, index, query, k=1000, filters=Filters(until=date(2012, 12, 31)))
    assert {hit.scene_id for hit in older.hits} == {collection.manifest.scenes[0]}


def test_scene_filter_admits_only_its_chips(dated: tuple[Collection, Index]) -> None:
    collection, index = dated
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    wanted = collection.manifest.scenes[2]
    result = search(collection, index, query, k=1000, filters=Filters(scenes=(wanted,)))
    assert {hit.scene_id for hit in result.hits} == {wanted}
    assert result.eligible == 16


def test_hits_keep_the_asked_distance_from_the_query(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    lon, lat = query.corners[0].mean(axis=0)
    hits = search(collection, index, query, k=1000, filters=Filters(away=3000)).hits
    assert hits
    centres = np.array([hit.centre for hit in hits])
    assert (metres_from(centres, lon, lat) >= 3000).all()


def test_searches_under_one_filter_in_turn_with_others_give_what_each_gives_alone(
    plain: tuple[Collection, Index],
) -> None:
    collection, index = plain
    west = box(*collection.chips.centres.min(axis=0), *collection.chips.centres.mean(axis=0))
    several = [Filters(within=west), Filters(within=west, away=2000), Filters(away=2000)]
    chips = [chip.decode() for chip in collection.chips.ids[:40:13]]
    queries = [by_chip(collection, index, chip) for chip in chips]

    def found(table: Collection) -> list[tuple[list[str], int]]:
        results = [
            search(table, index, query, k=9, filters=filters)
            for query in queries
            for filters in several
        ]
        return [([hit.id for hit in result.hits], result.eligible) for result in results]

    alone = []
    for query in queries:
        for filters in several:
            fresh = Collection(collection.path, collection.manifest)  # remembers nothing
            result = search(fresh, index, query, k=9, filters=filters)
            alone.append(([hit.id for hit in result.hits], result.eligible))
    assert found(collection) == found(collection) == alone


def test_a_collection_without_chips_says_so(home: Path) -> None:
    empty = Library(home).create(Manifest("empty", "Empty", 128, synthetic.MODEL))
    index = Index.open(empty)
    with pytest.raises(NotFoundError, match="no chips"):
        by_point(empty, index, 7.0, 46.0)
    assert eligible_chips(empty.chips, Filters(since=date(2020, 1, 1), scenes=("any",))).count == 0
    query = Query(np.ones(2048, np.float32), synthetic.MODEL)
    assert search(empty, index, query, filters=Filters(max_nodata=5)).hits == ()


def test_a_query_of_another_model_is_refused(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = Query(np.ones(2048, np.float32), replace(synthetic.MODEL, mode="dense"))
    with pytest.raises(ModelMismatchError, match="another model"):
        search(collection, index, query)


def test_geometry_is_a_closed_counter_clockwise_ring(plain: tuple[Collection, Index]) -> None:
    collection, index = plain
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    ring = search(collection, index, query, k=1).hits[0].to_dict()["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1]
    assert Polygon(ring).exterior.is_ccw


def test_distances_match_the_geodesic_within_half_a_percent() -> None:
    from pyproj import Geod

    points = np.array([[6.5, 46.5], [7.0, 46.0], [-170.0, -30.0]])
    _, _, expected = Geod(ellps="WGS84").inv([6.0] * 3, [46.0] * 3, points[:, 0], points[:, 1])
    assert metres_from(points, 6.0, 46.0) == pytest.approx(expected, rel=0.005)


def test_same_search_twice_gives_the_same_answer(home: Path) -> None:
    collection = synthetic.collection(home, sizes=(512, 512))
    index = Index.open(collection)
    query = by_chip(collection, index, collection.chips.ids[0].decode())
    assert [h.id for h in search(collection, index, query).hits] == [
        h.id for h in search(collection, index, query).hits
    ]
