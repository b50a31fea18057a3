"""Complete monotonicity: score functions keep it, planted faults are found, and it is said which laws break it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from sim.theory.ceilings import gaussian_codebook_accuracy, orthogonal_accuracy
from sim.theory.laws import LAWS
from sim.theory.monotone import law_violation, monotone_violation

ORDERS = range(9)
OUTPUTS = np.arange(2.0, 41.0)


@given(
    atoms=st.lists(st.floats(0, 1), min_size=1, max_size=12),
    seed=st.integers(0, 2**32 - 1),
    last=st.integers(10, 60),
    first=st.integers(1, 5),
)
def test_random_score_functions_keep_the_rule(atoms: list[float], seed: int, last: int, first: int) -> None:
    """A_k = E[U^(k-1)] for any U, and the size is -E[U^(k-1) (1-U)^m] in closed form."""
    beaten = np.array(atoms)
    weights = np.random.default_rng(seed).dirichlet(np.ones(len(atoms)))
    classes = np.arange(first, last + 1)
    with np.errstate(under="ignore"):
        accuracy = beaten ** (classes[:, None] - 1.0) @ weights
        for order in range(min(9, len(classes))):
            worst = monotone_violation(accuracy, order, first)
            # the sum over 12 atoms is rounded, too: 14 half ulps instead of one
            error = 14 * worst.rounding
            exact = -(beaten ** (classes[: len(classes) - order, None] - 1.0) * (1 - beaten) ** order @ weights)
            assert worst.size <= error
            assert worst.size == pytest.approx(exact.max(), abs=error)
            assert first <= worst.num_classes <= last - order


def test_average_over_class_sets_keeps_the_rule() -> None:
    """Accuracy on k classes drawn from 50 with a fixed noisy score, by the ranks of the true ones: exact for every k,
    since the ratio of binomials is the probability that k - 1 rivals are all among the classes beaten."""
    rng = np.random.default_rng(3)
    scores = rng.standard_normal((200, 50))
    scores[:, 0] += 1.5  # column 0: the true class
    beaten = np.sum(scores[:, :1] > scores[:, 1:], axis=1)
    classes = np.arange(2, 51)
    log_ratio = special.gammaln(beaten[:, None] + 1) - special.gammaln(50) + special.gammaln(51 - classes)
    with np.errstate(under="ignore"):
        lost = beaten[:, None] < classes - 1  # more rivals than classes beaten
        log_ratio = log_ratio - special.gammaln(np.where(lost, 1, beaten[:, None] - classes + 2))
        accuracy = np.where(lost, 0.0, np.exp(log_ratio)).mean(axis=0)
    assert accuracy[0] == pytest.approx(beaten.mean() / 49)
    for order in ORDERS:
        worst = monotone_violation(accuracy, order)
        assert worst.size <= 2.0**order * 2e-13  # ln of 50! = 148 is rounded to 3e-14, a few times


def test_exact_ceilings_keep_the_rule() -> None:
    """Orthogonal codewords, and learned ones at a fixed number of images a class, score each class by itself."""
    classes = range(2, 30)
    orthogonal = [orthogonal_accuracy(k, 2.0) for k in classes]
    learned = [gaussian_codebook_accuracy(k, 64, 0.25, 1.0, samples_per_class=4) for k in classes]
    for curve in (orthogonal, learned):
        for order in ORDERS:
            # every curve is one quadrature with fixed nodes: a mixture of powers of U but for rounding of 1e-13
            assert monotone_violation(curve, order).size <= 2.0**order * 1e-13


def test_a_planted_fault_is_found() -> None:
    accuracy = 0.9 ** np.arange(1, 40)
    accuracy[20] += 0.02  # k = 22
    assert monotone_violation(accuracy, 0).size < 0
    rise = monotone_violation(accuracy, 1)
    assert rise.num_classes == 21
    assert rise.size == pytest.approx(0.02 + accuracy[19] * (0.9 - 1), rel=1e-9)
    bend = monotone_violation(accuracy, 2)
    assert bend.num_classes == 21
    assert bend.size == pytest.approx(0.04 - accuracy[19] * 0.1**2, rel=1e-9)


def _first_order_broken(name: str, parameters: list[float], inputs: np.ndarray) -> int | None:
    columns = {
        "inputs": inputs,
        "outputs": OUTPUTS,
        "chance": 1 / OUTPUTS,
        "dimension": np.full(39, 64.0),
        "signal_power": np.full(39, 0.25),
        "noise": np.ones(39),
    }
    for order in range(7):
        worst = law_violation(LAWS[name], parameters, columns, order)
        if worst.size > max(1e-8, 4 * worst.rounding):  # the theorem's table is smooth to 1e-10; true breaks are larger
            return order
    return None


@pytest.mark.parametrize(
    ("name", "parameters", "fixed_inputs", "fixed_samples"),
    [
        ("coverage", [0.0], 2, None),
        ("hill", [0.0, 0.8], None, None),  # Stieltjes functions of k: slopes up to one keep the rule
        ("hill", [0.0, 1.5], 2, None),
        ("clipped_power", [-0.5, 0.6], 2, None),  # the clip
        ("logistic", [1.0, 0.5, 0.8], None, None),
        ("logistic", [1.0, 0.5, 1.5], 2, None),
        ("probit", [1.0, 0.7, 1.2], 2, 1),
        ("power", [-1.0, 0.4, 0.6], None, None),
        ("power_floor", [0.0, 0.6, 0.9, 0.1], None, None),
        ("broken_power", [1.0, 1.2, 0.8, 4.0], 3, None),  # a sharp break
        ("exponential", [-0.5, 1.0], None, None),
        ("shifted_power", [-1.0, 0.4, 0.6, 0.1], None, None),
        ("shifted_power", [1.0, 0.4, 1.5, 0.1], 2, 2),
        ("factorised", [3.0], None, 1),  # at n images a class n k / log k grows with k, and accuracy with it
        ("theorem", [0.0], 2, None),  # at fixed inputs each class has fewer images: another score at every k
    ],
)
def test_which_laws_break_the_rule(
    name: str, parameters: list[float], fixed_inputs: int | None, fixed_samples: int | None
) -> None:
    """The lowest order up to 6 that a law breaks between 2 and 40 classes, at 40 images and at 4 images a class."""
    assert _first_order_broken(name, parameters, np.full(39, 40.0)) == fixed_inputs
    assert _first_order_broken(name, parameters, 4 * OUTPUTS) == fixed_samples


@given(
    rate=st.floats(-3, 3),
    inputs=st.floats(5, 500),
)
def test_the_surveys_coverage_breaks_it_wherever_inputs_suffice(rate: float, inputs: float) -> None:
    """1 - exp(-x/k) + exp(-x/k)/k bends down until about x/2 = k: seen from k = 2 where x > 8."""
    x = np.exp(rate) * inputs
    columns = {"inputs": np.full(60, inputs), "outputs": np.arange(2.0, 62.0), "chance": 1 / np.arange(2.0, 62.0)}
    worst = law_violation(LAWS["coverage"], [rate], columns, 2)
    if 8 < x < 100:
        assert worst.size > worst.rounding
    if x < 2:
        assert worst.size <= worst.rounding


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"accuracy must be of shape \(> 2,\), got \(2,\)"):
        monotone_violation([0.5, 0.4], 2)
    with pytest.raises(ValueError, match="order must be a whole number >= 0, got -1"):
        monotone_violation([0.5, 0.4], -1)
    with pytest.raises(ValueError, match="accuracy must be finite"):
        monotone_violation([0.5, np.nan], 1)
    with pytest.raises(ValueError, match="first_classes must be a whole number >= 1, got 0"):
        monotone_violation([0.5, 0.4], 1, first_classes=0)
    columns = {"inputs": np.ones(2), "outputs": np.array([2.0, 4.0]), "chance": np.array([0.5, 0.25])}
    with pytest.raises(ValueError, match="outputs must be consecutive whole numbers"):
        law_violation(LAWS["hill"], [0.0, 1.0], columns, 1)
