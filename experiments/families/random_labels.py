"""Family `random_labels`: can a learner give back random labels of its own training images?

Images are independent normal numbers, labels are drawn independently of them, so nothing is there but what is stored.
"""

from collections.abc import Mapping
from typing import Any

from experiments.factor import Factor, Rule, at_least, one_of
from experiments.families.family import Family

ANSWERS = {
    "bits": "one hidden layer, one binary output for each bit of the label's number",
    "jway": "one hidden layer, one output a label",
    "plane": "a hyperplane, trained; two labels, `parameters` = dimension + 1",
    "programme": "does any hyperplane exist? Exact, by a linear programme; two labels, `parameters` = dimension + 1",
}
MAX_LOAD = 4.0


def _seconds(factors: Mapping[str, Any]) -> float:
    """Measured on one core: an Adam step costs about 20 microseconds, and 4.5e-11 s a weight and image."""
    if factors["answer"] == "programme":
        return 0.1
    work = factors["parameters"] * factors["batch_size"]
    softmax = 1e-9 * factors["outputs"] * factors["batch_size"] if factors["answer"] == "jway" else 0.0
    return float(factors["max_steps"] * (2e-5 + 4.5e-11 * work + softmax))


FAMILY = Family(
    name="random_labels",
    summary="random labels of random images: what can be given back of the training set itself",
    factors=(
        "outputs",
        "dimension",
        Factor("answer", str, "bits", one_of(ANSWERS), "form of the answer: " + ", ".join(ANSWERS)),
        Factor("parameters", int, 10_240, at_least(3), "parameters P wanted: the narrowest network that has them"),
        Factor(
            "load", float, 1.0, Rule(lambda v: 0 < v <= MAX_LOAD, lambda: f"must be > 0 and <= {MAX_LOAD:g}"),
            "bits of random labels a parameter, I log2(J) / P: sets the number of training images I",
        ),
        "learning_rate", "weight_decay", "input_noise", "max_steps", "batch_size", "init_seed",
    ),
    data=("outputs", "dimension", "parameters", "load"),
    arm=("answer",),
    together=("answer", "outputs", "dimension", "parameters", "batch_size", "max_steps"),
    batch=10,
    seconds=_seconds,
)  # fmt: skip
