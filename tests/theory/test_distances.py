"""The noncentral chi density and its integral against SciPy's independent implementation."""

import numpy as np
import pytest
from scipy import stats

from sim.theory import distances


@pytest.mark.parametrize("dimension", [1, 2, 3, 8, 15, 16, 17, 32, 64])
def test_density_and_distribution_agree_with_scipy(dimension: int) -> None:
    """SciPy's logpdf overflows its Bessel function above D of some hundreds: compared where it works.

    1e-8: the uniform expansion at its lowest order, 7 (D = 16), errs by 3e-9.
    """
    centres = np.sqrt(np.array([1e-8, 0.5, dimension, 5.0 * dimension]))[:, None]
    squared = stats.ncx2.ppf(np.linspace(0.001, 0.999, 25), dimension, centres**2)
    expected = stats.ncx2.logpdf(squared, dimension, centres**2) + np.log(2 * np.sqrt(squared))
    got = distances.noncentral_chi_log_density(np.sqrt(squared), centres, dimension)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-8)
    distribution = distances.noncentral_chi_distribution(
        np.sqrt(squared).ravel(), np.broadcast_to(centres, squared.shape).ravel(), dimension
    )
    np.testing.assert_allclose(
        distribution.reshape(squared.shape), np.tile(np.linspace(0.001, 0.999, 25), (4, 1)), atol=1e-6
    )


@pytest.mark.parametrize("dimension", [1, 2, 5, 16, 1024, 4096])
@pytest.mark.parametrize("centre", [0.0, 1e-9, 1.0, 1e3, 1e6])
def test_density_integrates_to_one(dimension: int, centre: float) -> None:
    total = distances.noncentral_chi_distribution(np.array([1e9]), np.array([centre]), dimension)
    assert total[0] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("dimension", [1, 2, 64, 4096])
def test_norm_nodes_have_the_moments_of_the_chi_distribution(dimension: int) -> None:
    norms, weights = distances.norm_nodes(dimension)
    assert weights @ norms**2 == pytest.approx(dimension, rel=1e-9)
    assert weights @ norms**4 == pytest.approx(dimension * (dimension + 2), rel=1e-9)


def test_panels_integrate_polynomials_exactly() -> None:
    nodes, widths = distances.panel_nodes(np.array([[0.0, 0.5, 2.0]]))
    np.testing.assert_allclose(distances.cumulative(nodes**5, widths), nodes**6 / 6, rtol=0, atol=1e-13)
