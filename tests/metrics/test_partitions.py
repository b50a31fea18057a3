"""Partitions and detections: by hand, against scikit-image, networkx-free brute force, and by invariance."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from skimage.metrics import adapted_rand_error, variation_of_information
from sklearn.metrics import normalized_mutual_info_score

from sim.metrics import detection_scores, partition_scores

labels = hnp.arrays(np.int64, (5, 6), elements=st.integers(0, 3))


@given(labels, labels)
def test_partitions_against_scikit_image_and_scikit_learn(found, truth):
    scores = partition_scores(found, truth)
    inside = truth > 0
    if not inside.any():
        assert all(np.isnan(value) for value in scores.values())
        return
    split, merge = variation_of_information(truth[inside], found[inside])
    # scikit-image gives H(found | truth), then H(truth | found)
    assert scores["vi_split"] == pytest.approx(split, abs=1e-9)
    assert scores["vi_merge"] == pytest.approx(merge, abs=1e-9)
    if len(set(found[inside])) > 1 or len(set(truth[inside])) > 1:
        expected = normalized_mutual_info_score(truth[inside], found[inside], average_method="arithmetic")
        assert scores["v_info"] == pytest.approx(expected, abs=1e-9)
    count = int(inside.sum())
    if count > 1:  # scikit-image counts pairs of different pixels: add the pairs of each pixel with itself
        tables = [np.unique(np.stack(pair), axis=1, return_counts=True)[1].astype(float)
                  for pair in ((found[inside], truth[inside]), (found[inside],), (truth[inside],))]  # fmt: skip
        pairs = [np.sum(table * (table - 1)) for table in tables]
        if pairs[1] + pairs[2] > 0 and pairs[0] > 0:
            error, _, _ = adapted_rand_error(truth[inside], found[inside] + 1, ignore_labels=())
            assert error == pytest.approx(1 - pairs[0] / ((pairs[1] + pairs[2]) / 2))
        whole = [pair + count for pair in pairs]
        assert scores["v_rand"] == pytest.approx(whole[0] / ((whole[1] + whole[2]) / 2))
    assert scores["rand_error"] == pytest.approx(1 - scores["v_rand"])


@given(labels, st.permutations(range(4)))
def test_names_of_segments_do_not_matter(found, order):
    truth = np.arange(30).reshape(5, 6) % 3 + 1
    renamed = np.array(order)[found] * 7 + 2
    assert partition_scores(renamed, truth) == pytest.approx(partition_scores(found, truth))
    perfect = partition_scores(np.array([3, 1, 2, 9])[truth], truth)
    assert perfect["v_rand"] == pytest.approx(1)
    assert perfect["v_info"] == pytest.approx(1)
    assert perfect["vi_split"] == perfect["vi_merge"] == pytest.approx(0, abs=1e-9)


def test_partition_errors():
    with pytest.raises(ValueError, match="must have one shape"):
        partition_scores(np.zeros((2, 2)), np.zeros((2, 3)))
    with pytest.raises(ValueError, match="prediction must be whole numbers >= 0"):
        partition_scores(np.array([[-1]]), np.array([[1]]))


points = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=4)


@given(points, points, st.sampled_from([1.0, 1.5, 3.0]))
def test_detections_against_all_matchings(found, true, tolerance):
    near = {
        (i, j)
        for i, p in enumerate(found)
        for j, q in enumerate(true)
        if np.hypot(p[0] - q[0], p[1] - q[1]) <= tolerance
    }
    best = 0
    if found and true:
        small, large = (found, true) if len(found) <= len(true) else (true, found)
        for chosen in itertools.permutations(range(len(large)), len(small)):
            pairs = [(i, j) if small is found else (j, i) for i, j in enumerate(chosen)]
            best = max(best, sum(pair in near for pair in pairs))
    scores = detection_scores(found, true, tolerance)
    if found:
        assert scores["precision"] == pytest.approx(best / len(found))
    else:
        assert np.isnan(scores["precision"])
    if true:
        assert scores["recall"] == pytest.approx(best / len(true))
    if found or true:
        assert scores["f1"] == pytest.approx(2 * best / (len(found) + len(true)))
    else:
        assert np.isnan(scores["f1"])


def test_a_second_hit_is_false():
    scores = detection_scores([[0, 0], [0, 1]], [[0, 0]], tolerance=5)
    assert (scores["precision"], scores["recall"]) == (0.5, 1.0)
    with pytest.raises(ValueError, match="tolerance must be > 0 and finite, got 0"):
        detection_scores([], [], 0)
    with pytest.raises(ValueError, match="points must be finite rows"):
        detection_scores([[np.nan, 0]], [[0, 0]], 1)
