"""No learner beats the bound of renamed maps: one that pools all classes by Monte Carlo, and the networks on record."""

import itertools
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from sim.theory.ceilings import composed_accuracy, lookup_accuracy
from sim.theory.renaming import renamed_match_bound
from tests.theory.test_symmetric_learner import find_codewords

RECORDS = Path(__file__).parents[2] / "results" / "heads"


def test_the_smaller_of_the_two_helpers_is_the_bound():
    few, many = (renamed_match_bound(3, 3, 8, 1.0, 0.5, inputs, 0.0, "iid") for inputs in (9, 2700))
    assert few == lookup_accuracy(27, 9, guess="unseen")
    assert many == composed_accuracy(3, 3, 8, 1.0, 0.5, 900, similarity=0.0, class_counts="iid")
    assert renamed_match_bound(3, 3, 8, 1e6, 1.0, 9, 0.0) == pytest.approx(10 / 27)  # no noise: nine names, one guess
    known = composed_accuracy(3, 3, 8, 1.0, 0.5, similarity=1.0)
    assert renamed_match_bound(3, 3, 8, 1.0, 0.5, 27, 0.3) == known
    with pytest.raises(ValueError, match="num_inputs must be a whole number >= 1, got 0"):
        renamed_match_bound(3, 3, 8, 1.0, 0.5, 0)


@pytest.mark.parametrize("inputs", [12, 96])
def test_a_learner_that_pools_all_classes_stays_below(inputs):
    """Four tiles, two labels, independent maps: never above by four standard errors (false-fail rate 3e-5)."""
    rng = np.random.default_rng(inputs)
    tiles, labels, dimension, noise_power = 4, 2, 8, 0.7
    maps = np.array(list(itertools.product(range(labels), repeat=tiles)))
    results = []
    for _ in range(60):
        codebook = rng.normal(size=(tiles, labels, dimension))
        shown = rng.integers(len(maps), size=inputs)
        images = (
            codebook[np.arange(tiles), maps[shown]] + rng.normal(size=(inputs, tiles, dimension)) * noise_power**0.5
        )
        truth = rng.integers(len(maps), size=60)
        tests = codebook[np.arange(tiles), maps[truth]] + rng.normal(size=(60, tiles, dimension)) * noise_power**0.5
        scores = np.zeros((60, len(maps)))
        for tile in range(tiles):
            centres, members = find_codewords(images[:, tile], labels, noise_power, rng)
            pooled = np.array([members[shown == name].mean(axis=0) if name in shown else np.full(labels, 0.5)
                               for name in range(len(maps))])  # fmt: skip
            fit = np.exp(-((tests[:, tile, None] - centres) ** 2).sum(axis=2) / (2 * noise_power))
            scores += np.log(fit @ pooled.T + 1e-30)
        results.append(np.mean(scores.argmax(axis=1) == truth))
    bound = renamed_match_bound(tiles, labels, dimension, 1.0, noise_power, inputs, 0.0, "iid")
    error = np.std(results, ddof=1) / np.sqrt(len(results))
    assert np.mean(results) < bound + 4 * error
    assert np.mean(results) > bound / 2


def test_no_network_on_record_is_above():
    """J-way heads never see what the maps are called, and renamed ones cannot. Five standard errors of a cell's mean,
    from the seeds' variance pooled over all cells: false-fail rate below 1e-4 for all."""
    cells = {}
    columns = ["arm", "head", "relabelled", "tiles", "labels", "tile_dimension", "similarity", "signal_power", "noise"]
    for file in RECORDS.glob("rows-*.parquet"):
        for row in pq.read_table(file).to_pylist():
            if row["status"] == "ok" and (row["relabelled"] or row["head"] == "jway"):
                key = tuple(row[name] for name in [*columns, "balanced", "inputs"])
                cells.setdefault(key, []).append(row["exact_match"])
    assert len(cells) > 20
    several = [values for values in cells.values() if len(values) > 1]
    seeds = sum(len(values) - 1 for values in several)
    spread = np.sqrt(sum((len(values) - 1) * np.var(values, ddof=1) for values in several) / seeds)
    for (_, _, _, tiles, labels, dimension, similarity, power, noise, balanced, inputs), values in cells.items():
        counts = "equal" if balanced else "iid"
        bound = renamed_match_bound(tiles, labels, dimension, power, noise**2, inputs, similarity, counts)
        assert np.mean(values) <= bound + 5 * spread / np.sqrt(len(values))
