"""Measured family `random_labels`: networks and planes meet what is known, and results ignore batching."""

import numpy as np
import pytest

from experiments.measures.random_labels import count_inputs, draw, measure, settings_of
from experiments.spec import Sweep
from sim.networks.registry import num_parameters

BASE = {
    "generator": "random_labels", "learning_rate": 0.01, "weight_decay": 0.0, "input_noise": 0.0, "batch_size": 16,
    "max_steps": 1000, "dimension": 8,
}  # fmt: skip


def sweep(**factors):
    return Sweep(**(BASE | {"seeds": [900_300, 900_301]} | factors)).trials()


@pytest.mark.parametrize(
    ("answer", "outputs", "parameters", "images"),
    [("bits", 16, 200, 53), ("jway", 16, 200, 54), ("plane", 2, 9, 9), ("programme", 2, 9, 9)],
)
def test_the_load_is_bits_of_labels_a_parameter(answer, outputs, parameters, images):
    """By hand: 13 w + 4 >= 200 at w = 16 (212 parameters, four bits a label); 25 w + 16 at w = 8 (216); 8 + 1."""
    (trial, _) = sweep(answer=answer, outputs=outputs, parameters=parameters, load=1.0)
    factors = dict(trial.factors)
    count = count_inputs(factors)
    assert count == images
    assert num_parameters(settings_of(factors)) >= parameters
    drawn_images, labels = draw(trial)
    assert drawn_images.shape == (count, 1, 8)
    assert labels.shape == (count,)
    assert labels.min() >= 0
    assert labels.max() < outputs


def test_little_is_given_back_whole_and_too_much_is_not():
    """A fifth of a bit a parameter, and four bits: twice Cover's two, and a thousand steps."""
    rows = measure(sweep(answer="bits", outputs=16, parameters=200, load=[0.2, 4.0]))
    assert [row["fits"] for row in rows] == [1.0, 1.0, 0.0, 0.0]
    for row in rows:
        assert (row["train_accuracy"] == 1.0) == (row["fits"] == 1.0)
        assert row["train_accuracy"] <= row["unit_accuracy"]
        assert row["bits_per_parameter"] == pytest.approx(row["num_inputs"] * 4 / 212)


def test_a_trained_plane_fits_only_what_the_programme_finds_separable():
    """Loads well below and above two: both kinds of answer occur, and where a plane was trained it exists."""
    loads = [1.0, 2.0, 3.5]
    trained = measure(sweep(answer="plane", outputs=2, parameters=9, load=loads))
    exact = measure(sweep(answer="programme", outputs=2, parameters=9, load=loads))
    assert {row["fits"] for row in exact} == {0.0, 1.0}
    assert all(one["fits"] <= other["fits"] for one, other in zip(trained, exact, strict=True))
    assert trained[0]["fits"] == 1.0


def test_results_do_not_depend_on_the_batch():
    """The same program on the same numbers: no tolerance is needed."""
    trials = sweep(answer="bits", outputs=16, parameters=200, load=[0.2, 4.0])
    assert measure(trials) == [measure([trial])[0] for trial in reversed(trials)][::-1]


def test_a_plane_and_the_programme_see_the_same_images():
    trials = sweep(answer=["plane", "programme"], outputs=2, parameters=9, load=1.0, seeds=[900_300])
    assert len({trial.data_identity for trial in trials}) == 1
    first, second = (draw(trial) for trial in trials)
    np.testing.assert_array_equal(first[0], second[0])
    np.testing.assert_array_equal(first[1], second[1])


@pytest.mark.parametrize(
    ("factors", "message"),
    [
        ({"answer": "bits", "outputs": 6, "parameters": 200}, "outputs must be a power of two"),
        ({"answer": "plane", "outputs": 4, "parameters": 9}, "a hyperplane must have outputs 2 and parameters 9"),
    ],
)
def test_wrong_factors_are_named(factors, message):
    with pytest.raises(ValueError, match=message):
        measure(sweep(**factors))
