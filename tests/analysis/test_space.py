from __future__ import annotations

import numpy as np
import pytest

from pipeline.analysis.space import project_to_plane, sample_rows


def test_two_kinds_of_vectors_lie_apart():
    rng = np.random.default_rng(1)
    vectors = rng.normal(0, 0.1, (60, 32)).astype(np.float32)
    vectors[30:, 3] += 5
    points, explained = project_to_plane(vectors)
    assert points.shape == (60, 2)
    assert points[:30, 0].max() < points[30:, 0].min()
    assert explained > 0.8


def test_the_axes_are_the_principal_components():
    rng = np.random.default_rng(2)
    vectors = (rng.normal(size=(200, 40)) * np.linspace(4, 0.1, 40)).astype(np.float32)
    points, explained = project_to_plane(vectors)
    centred = vectors - vectors.mean(axis=0)
    left, values, _ = np.linalg.svd(centred, full_matrices=False)
    for axis in range(2):
        assert abs(np.corrcoef(points[:, axis], left[:, axis])[0, 1]) > 0.99
    assert explained == pytest.approx((values[:2] ** 2).sum() / (values**2).sum(), abs=0.01)


def test_points_stay_within_one_and_do_not_change_from_run_to_run():
    vectors = np.random.default_rng(3).normal(size=(50, 16)).astype(np.float32)
    first, second = project_to_plane(vectors)[0], project_to_plane(vectors)[0]
    assert np.abs(first).max() == pytest.approx(1)
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_vectors_have_a_picture_too(count):
    points, explained = project_to_plane(np.ones((count, 8), np.float32))
    assert points.shape == (count, 2)
    assert 0 <= explained <= 1


def test_one_dimension_is_drawn_on_a_line():
    points, _ = project_to_plane(np.array([[0.0], [1.0], [4.0]], np.float32))
    assert (points[:, 1] == 0).all()


def test_a_sample_is_even_and_keeps_both_ends():
    assert sample_rows(4, 10).tolist() == [0, 1, 2, 3]
    rows = sample_rows(100_000, 5_000)
    assert (rows[0], rows[-1], len(rows)) == (0, 99_999, 5_000)
    assert sample_rows(0).size == 0
