"""Refinements that minimise an energy, held against enumeration of all label maps of tiny grids."""

import itertools

import numpy as np
import pytest
from scipy.special import softmax

from sim.segmentation.refinement.closed_contour import cheapest_cycle, closed_contour
from sim.segmentation.refinement.dense_crf import dense_crf, mean_field, pair_kernel
from sim.segmentation.refinement.graph_cut import LARGEST, alpha_expansion, binary_graph_cut, minimum_cut
from sim.segmentation.refinement.lattice import (
    contrast_weights,
    iterated_conditional_modes,
    make_lattice,
    potts_energy,
)
from sim.segmentation.refinement.max_flow import max_flow, surface_energy

MAPS = {(2, 9): list(itertools.product(range(2), repeat=9)), (3, 6): list(itertools.product(range(3), repeat=6))}


def draw_energy(seed, labels, shape, diagonals=True):
    rng = np.random.default_rng(seed)
    lattice = make_lattice(shape, diagonals)
    return rng.exponential(size=(labels, *shape)), lattice, rng.exponential(0.5, size=len(lattice.first))


@pytest.mark.parametrize("seed", range(20))
def test_a_binary_cut_is_the_least_of_all_label_maps(seed):
    unary, lattice, weights = draw_energy(seed, 2, (3, 3), diagonals=bool(seed % 2))
    least = min(potts_energy(np.reshape(x, (3, 3)), unary, lattice, weights) for x in MAPS[2, 9])
    found = potts_energy(binary_graph_cut(unary, lattice, weights), unary, lattice, weights)
    # The stated rounding: one unit a capacity, a unit being the largest sum of capacities over 2^30.
    rounding = (2 * len(weights) + 9) * (unary.sum() + 2 * weights.max()) / LARGEST
    assert least - 1e-12 <= found <= least + rounding


@pytest.mark.parametrize("seed", range(10))
def test_a_cut_with_weights_that_differ_by_direction_is_least(seed):
    rng = np.random.default_rng(seed)
    cost, first, second = rng.normal(size=7), *np.array(list(itertools.combinations(range(7), 2))).T
    forward, backward = rng.exponential(0.3, size=(2, len(first))) * rng.integers(0, 2, size=(2, len(first)))

    def energy(x):
        x = np.asarray(x, float)
        along = forward * (1 - x[first]) * x[second] + backward * x[first] * (1 - x[second])
        return cost @ x + along.sum()

    least = min(energy(x) for x in itertools.product((0, 1), repeat=7))
    assert energy(minimum_cut(cost, first, second, forward, backward)) == pytest.approx(least, abs=1e-6)


def test_weights_below_zero_are_refused():
    with pytest.raises(ValueError, match=r"weights must be >= 0, got -1\.0"):
        minimum_cut([1.0, 2.0], [0], [1], [-1.0], [0.0])
    with pytest.raises(ValueError, match="weights must be finite and >= 0"):
        binary_graph_cut(np.zeros((2, 2, 2)), make_lattice((2, 2)), -1.0)
    with pytest.raises(ValueError, match="unary must have two labels, got 3"):
        binary_graph_cut(np.zeros((3, 2, 2)), make_lattice((2, 2)), 1.0)


@pytest.mark.parametrize("seed", range(12))
def test_alpha_expansion_never_raises_the_energy_and_ends_where_no_expansion_helps(seed):
    unary, lattice, weights = draw_energy(seed, 3, (2, 3))
    start = np.random.default_rng(100 + seed).integers(0, 3, size=(2, 3))
    labels = alpha_expansion(unary, lattice, weights, start)
    found = potts_energy(labels, unary, lattice, weights)
    least = min(potts_energy(np.reshape(x, (2, 3)), unary, lattice, weights) for x in MAPS[3, 6])
    assert found <= potts_energy(start, unary, lattice, weights)
    assert least - 1e-12 <= found <= 2 * least
    for label, chosen in itertools.product(range(3), itertools.product((False, True), repeat=6)):
        grown = np.where(np.reshape(chosen, (2, 3)), label, labels)
        assert potts_energy(grown, unary, lattice, weights) >= found - 1e-6  # far above rounding, far below a weight


def test_alpha_expansion_of_two_labels_from_any_start_is_the_cut():
    unary, lattice, weights = draw_energy(5, 2, (6, 7))
    start = np.zeros((6, 7), int)
    assert np.array_equal(alpha_expansion(unary, lattice, weights, start), binary_graph_cut(unary, lattice, weights))


@pytest.mark.parametrize("diagonals", [False, True])
def test_conditional_modes_end_where_no_pixel_can_gain(diagonals):
    unary, lattice, weights = draw_energy(3, 3, (5, 6), diagonals)
    labels = iterated_conditional_modes(unary, lattice, weights)
    found = potts_energy(labels, unary, lattice, weights)
    assert found < potts_energy(unary.argmin(axis=0), unary, lattice, weights)
    for pixel, label in itertools.product(np.ndindex(5, 6), range(3)):
        other = labels.copy()
        other[pixel] = label
        assert potts_energy(other, unary, lattice, weights) >= found - 1e-12


def test_without_weights_every_refinement_is_the_argmin():
    unary, lattice, _ = draw_energy(8, 3, (5, 4))
    best = unary.argmin(axis=0)
    assert np.array_equal(iterated_conditional_modes(unary, lattice, 0.0), best)
    assert np.array_equal(alpha_expansion(unary, lattice, 0.0), best)
    assert np.array_equal(dense_crf(unary, np.zeros((5, 4)), bilateral=0.0, spatial=0.0), best)


def test_contrast_weights_fall_across_an_edge_and_with_length():
    image = np.repeat([[0.0, 0.0, 1.0, 1.0]], 3, axis=0)
    lattice = make_lattice((3, 4))
    weights = contrast_weights(image, lattice, 2.0)
    step = np.abs(image.ravel()[lattice.first] - image.ravel()[lattice.second]) > 0
    assert np.allclose(weights[~step], 2.0 / lattice.length[~step])
    assert weights[step].max() < 0.5
    assert np.allclose(contrast_weights(np.ones((3, 4)), lattice, 2.0), 2.0 / lattice.length)


def enumerate_marginals(unary, kernel):
    labels, pixels = unary.shape[0], unary[0].size
    flat = unary.reshape(labels, pixels)
    maps = np.array(list(itertools.product(range(labels), repeat=pixels)))
    differ = maps[:, :, None] != maps[:, None, :]
    energy = flat[maps, np.arange(pixels)].sum(axis=1) + (np.triu(kernel) * differ).sum(axis=(1, 2))
    weight = softmax(-energy)
    return np.array([[weight[maps[:, p] == label].sum() for p in range(pixels)] for label in range(labels)])


@pytest.mark.parametrize("labels", [2, 3])
def test_mean_field_differs_from_the_exact_marginals_by_the_square_of_the_coupling(labels):
    rng = np.random.default_rng(labels)
    unary, image = rng.normal(size=(labels, 2, 3)), rng.normal(size=(2, 3))
    errors = []
    for strength in (0.04, 0.02):
        kernel = pair_kernel(image, strength, 3.0, 1.0, strength, 1.5).astype(float)
        exact = enumerate_marginals(unary, kernel)
        errors.append(np.abs(mean_field(unary, kernel, 50).reshape(labels, -1) - exact).max())
    # Exact to first order: half the coupling, a quarter of the error; a third order of a tenth moves that by a tenth.
    assert 3.5 < errors[0] / errors[1] < 4.5
    assert errors[1] < 1e-3


def test_mean_field_keeps_its_symmetries():
    rng = np.random.default_rng(0)
    unary, image = rng.normal(size=(3, 4, 5)), rng.normal(size=(4, 5))
    kernel = pair_kernel(image, 0.3, 2.0, 1.0, 0.2, 1.0)
    shares = mean_field(unary, kernel)
    rounding = 1e-5  # of the float32 kernel over ten steps
    assert np.allclose(shares.sum(axis=0), 1)
    assert np.allclose(mean_field(unary[[2, 0, 1]], kernel), shares[[2, 0, 1]], atol=rounding)
    assert np.allclose(mean_field(unary + rng.normal(size=(1, 4, 5)), kernel), shares, atol=rounding)
    turned = pair_kernel(image[::-1], 0.3, 2.0, 1.0, 0.2, 1.0)
    assert np.allclose(mean_field(unary[:, ::-1], turned), shares[:, ::-1], atol=rounding)
    assert np.allclose(mean_field(unary, np.zeros((20, 20))), softmax(-unary, axis=0))


def test_the_kernel_is_its_formula_and_has_its_limit():
    image = np.array([[0.0, 1.0], [3.0, -1.0]])
    kernel = pair_kernel(image, 0.7, 2.0, 1.5, 0.4, 1.0)
    square, level = 2.0, 1.0  # of pixels (0, 0) and (1, 1)
    expected = 0.7 * np.exp(-square / 8 - level / (2 * 1.5**2)) + 0.4 * np.exp(-square / 2)
    assert kernel[0, 3] == pytest.approx(expected, rel=1e-6)
    assert np.array_equal(kernel, kernel.T)
    assert not kernel.diagonal().any()
    with pytest.raises(ValueError, match=r"at most 4096 pixels, got shape \(65, 64\)"):
        dense_crf(np.zeros((2, 65, 64)), np.zeros((65, 64)))
    with pytest.raises(ValueError, match="contrast must be > 0, got 0"):
        pair_kernel(image, 1, 1, 0, 1, 1)


@pytest.mark.parametrize("seed", range(15))
@pytest.mark.parametrize("step", [0, 1, 2])
def test_the_cheapest_cycle_is_the_least_of_all_cycles(seed, step):
    cost = np.random.default_rng(seed).normal(size=(5, 4))
    cycles = np.array(list(itertools.product(range(4), repeat=5)))
    cycles = cycles[(np.abs(cycles - np.roll(cycles, 1, axis=1)) <= step).all(axis=1)]
    best = cycles[cost[np.arange(5), cycles].sum(axis=1).argmin()]
    assert np.array_equal(cheapest_cycle(cost, step), best)


def test_a_cycle_does_not_know_where_its_table_begins():
    cost = np.random.default_rng(1).normal(size=(30, 12))
    path = cheapest_cycle(cost)
    assert np.array_equal(cheapest_cycle(np.roll(cost, 7, axis=0)), np.roll(path, 7))


def test_a_closed_contour_finds_a_ring_around_another():
    distance = np.hypot(*(np.mgrid[:48, :48] - np.array([25.0, 22.0]).reshape(2, 1, 1)))
    edge = np.exp(-((distance - 14) ** 2)) + 0.8 * np.exp(-((distance - 6) ** 2))
    found = closed_contour(edge, (24.0, 23.0), 3.0, 20.0)
    truth = distance <= 14
    assert 2 * (found & truth).sum() / (found.sum() + truth.sum()) > 0.97  # half a pixel around is .965
    with pytest.raises(ValueError, match="got 5 and 5"):
        closed_contour(edge, (24.0, 23.0), 5, 5)


def noisy_disc(noise=1.0, size=40):
    truth = np.hypot(*(np.mgrid[:size, :size] - (size - 1) / 2)) <= size / 4
    return truth, 2.0 * truth - 1 + noise * np.random.default_rng(0).normal(size=truth.shape)


def test_max_flow_does_not_depend_on_its_start():
    truth, image = noisy_disc()
    rng = np.random.default_rng(1)
    starts = [np.zeros_like(image), np.ones_like(image), rng.uniform(size=image.shape), ~truth, None]
    found = [max_flow(-image, 0.8, start, tolerance=1e-4, steps=3000) for start in starts]
    gap = max(one.gap for one in found)
    assert min(one.gap for one in found) >= 0
    assert gap <= 1e-4 * np.abs(image).sum()
    energies = [one.energy for one in found]
    assert max(energies) - min(energies) <= gap  # each lies within its gap of the one minimum
    masks = [one.shares > 0.5 for one in found]
    assert max((mask != masks[0]).mean() for mask in masks) < 0.005  # pixels whose shares are near 1/2 may differ


def test_max_flow_on_a_line_is_the_minimum_cut():
    rng = np.random.default_rng(2)
    for _ in range(5):
        force, weight = rng.normal(size=(1, 30)), rng.uniform(0.1, 1.0, size=(1, 30))
        found = max_flow(force, weight, tolerance=1e-6, steps=20_000)
        cut = binary_graph_cut(np.stack([np.zeros_like(force), force]), make_lattice((1, 30)), weight[0, :-1])
        least = surface_energy(cut, force, weight)
        # On a line the length of a level set is the number of its ends, so the relaxation is tight.
        assert found.energy == pytest.approx(least, abs=2 * found.gap + 1e-6)
        assert surface_energy(found.shares > 0.5, force, weight) == pytest.approx(least, abs=1e-2)


def test_max_flow_beats_thresholding_and_refuses_nonsense():
    truth, image = noisy_disc(1.5)
    found = max_flow(-image, 1.5).shares > 0.5
    assert (found == truth).mean() > (truth == (image > 0)).mean() + 0.1
    assert np.array_equal(max_flow(-image, 0.0).shares > 0.5, image > 0)
    with pytest.raises(ValueError, match=r"smoothness must be finite and >= 0, got a smallest of -1\.0"):
        max_flow(-image, -1.0)
