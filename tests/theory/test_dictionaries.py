"""Disc scenes: printed values, bounds, and the Dice map against all maps of a tiny grid."""

import itertools

import numpy as np
import pytest

from sim.theory import bounds, dictionaries
from sim.theory.ceilings import disc_ceilings


@pytest.mark.parametrize(
    ("noise", "pixel", "joint", "errors"),
    [(1.0, 0.98033, 0.63788, (12e-5, 192e-5)), (2.0, 0.91855, 0.14762, (17e-5, 93e-5))],
)
def test_printed_values(noise: float, pixel: float, joint: float, errors: tuple[float, float]) -> None:
    """4.5 joint standard errors, false-fail rate 7e-6 a comparison over seeds; the seed is fixed."""
    ceilings = disc_ceilings(16, (2, 3, 4, 5), noise, num_draws=2000)
    assert ceilings.label_entropy_bits == 10
    assert abs(ceilings.pixel_accuracy - pixel) < 4.5 * np.hypot(errors[0], 4e-4)
    assert abs(ceilings.joint_exact_match - joint) < 4.5 * np.hypot(errors[1], ceilings.standard_error)
    if noise == 1:
        assert abs(ceilings.dice - 0.8671) < 4.5 * np.hypot(17e-4, 3e-3)
        assert 0.5 < ceilings.marginal_exact_match < 0.58
    # the bounds hold for every posterior and, by convexity, for any mean of them
    left = ceilings.conditional_entropy_bits
    assert bounds.entropy_floor_accuracy(left) <= ceilings.joint_exact_match
    assert ceilings.joint_exact_match <= bounds.fano_accuracy_entropy(10 * np.log(2), left * np.log(2))


def test_dice_map_is_the_best_of_all_maps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dictionaries, "_DICE_SIZES", 1000)  # every size
    maps = dictionaries.disc_maps(3, (1.0, 1.5))
    posterior = np.random.default_rng(0).dirichlet(np.full(len(maps), 0.3), size=4)
    dice = dictionaries._scores(maps, posterior)[3]
    candidates = np.array(list(itertools.product((0.0, 1.0), repeat=9)))
    overlap = 2 * candidates @ maps.T / (candidates.sum(axis=1)[:, None] + maps.sum(axis=1))
    np.testing.assert_allclose(dice, (overlap @ posterior.T).max(axis=0), rtol=1e-12)


def test_errors_give_rule_and_value() -> None:
    with pytest.raises(ValueError, match=r"grid_size\*\*4 \* len\(radii\) must be <= 2\^23 \(maps x pixels\)"):
        disc_ceilings(64, (3,), 1.0)
    with pytest.raises(ValueError, match=r"radii must be one or more numbers > 0, got \(\)"):
        disc_ceilings(8, (), 1.0)
