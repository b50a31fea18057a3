"""The data of a general fit: a response with its loss, its nuisance parameter, and fresh copies of it for a bootstrap.

How a copy is drawn follows the loss. Squares and Huber: pooled residuals (of logarithms for Huber), inflated for the
parameters that were fitted. Counts: the fitted binomial or beta-binomial. Gaussian: fresh seeds and fresh misfits, as
in `fits`. All are widened by t / z, so that percentiles carry the uncertainty of the spread itself.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import special

from sim.analysis.curves import CellSummary, variance_model
from sim.analysis.losses import (
    HUBER_DELTA,
    SMALLEST_OVERDISPERSION,
    Loss,
    best_overdispersion,
    counts,
    huber_log,
    saturated_log_likelihood,
    squares,
)
from sim.analysis.optimum import FIRST_MISFIT, misfit_variance, seed_level_bic
from sim.analysis.resampling import SeedPool, pool_seeds, resample_means
from sim.types import FloatArray

LOSSES = ("gaussian", "least_squares", "huber_log", "binomial", "beta_binomial")
COUNTS = ("binomial", "beta_binomial")
NUISANCE = {"gaussian": "misfit", "least_squares": "noise", "beta_binomial": "overdispersion"}


class Data(NamedTuple):
    """What is fitted.

    Attributes:
        loss: one of `LOSSES`.
        columns: what the law reads, one value a row (a cell, for gaussian).
        response: the response; correct answers for counts; cell means for gaussian.
        total: items behind each count, else None.
        cells, pool: for gaussian, else None.
        delta: Huber's.
    """

    loss: str
    columns: dict[str, Any]
    response: FloatArray
    total: FloatArray | None = None
    cells: CellSummary | None = None
    pool: SeedPool | None = None
    delta: float = HUBER_DELTA

    @property
    def rows(self) -> int:
        """Rows, or cells for gaussian."""
        return len(self.response)


def pool_cells(cells: CellSummary) -> SeedPool:
    """Seeds of cells whose response is free: one variance for all, but a + b p (1 - p) where all lie in [0, 1]."""
    share = bool(np.all((cells.mean >= 0) & (cells.mean <= 1)))
    repeated = bool(np.any(cells.trials > 1))
    return pool_seeds(cells, variance_model(cells, proportional=share) if repeated else None)


def first_nuisance(data: Data) -> float:
    """The nuisance parameter before anything is known: a misfit of 1% of the range, no overdispersion."""
    if data.loss != "gaussian":
        return 0.0
    spread = float(np.ptp(data.response))
    return (FIRST_MISFIT * (spread if spread > 0 else 1.0)) ** 2


def make_loss(data: Data, nuisance: float, response: FloatArray | None = None) -> Loss:
    """The loss of the data, or of a fresh copy of the response; `nuisance` is misfit^2 or the overdispersion."""
    value = data.response if response is None else response
    if data.loss == "gaussian":
        assert data.pool is not None
        return squares(value, data.pool.standard_error**2 + nuisance)
    if data.loss == "least_squares":
        return squares(value)
    if data.loss == "huber_log":
        return huber_log(value, data.delta)
    assert data.total is not None
    return counts(value, data.total, nuisance)


def settle_nuisance(data: Data, mean: FloatArray, parameters: int) -> float:
    """The nuisance parameter at these means: misfit^2, noise variance, overdispersion; 0 without one."""
    degrees = max(data.rows - parameters, 1)
    if data.loss == "gaussian":
        assert data.pool is not None
        return misfit_variance(data.response - mean, data.pool.standard_error**2, degrees)
    if data.loss == "least_squares":
        return float(np.sum((data.response - mean) ** 2)) / degrees
    if data.loss == "beta_binomial":
        assert data.total is not None
        return best_overdispersion(mean, data.response, data.total)
    return 0.0


def criterion(data: Data, mean: FloatArray, objective: float, parameters: int) -> float | None:
    """BIC; None for Huber's loss, which is no likelihood."""
    rows = data.rows
    if data.loss == "huber_log":
        return None
    if data.loss == "gaussian":
        assert data.cells is not None
        assert data.pool is not None
        return seed_level_bic(data.cells, data.pool, mean - data.response, parameters)
    if data.loss == "least_squares":
        return rows * float(np.log(2 * np.pi * max(objective, 1e-300) / rows) + 1) + (parameters + 1) * np.log(rows)
    assert data.total is not None
    free = parameters + (data.loss == "beta_binomial")
    return 2 * (objective - saturated_log_likelihood(data.response, data.total)) + free * float(np.log(rows))


def fresh_responses(
    data: Data, mean: FloatArray, nuisance: float, parameters: int, resamples: int, level: float, seed: int
) -> FloatArray:
    """Copies of the response as another experiment would have given it, shape (resamples, rows)."""
    generator = np.random.default_rng(seed)
    shape = (resamples, data.rows)
    degrees = max(data.rows - parameters, 1)
    widening = float(special.stdtrit(degrees, (1 + level) / 2) / special.ndtri((1 + level) / 2))
    if data.loss == "gaussian":
        assert data.pool is not None
        misfit = np.sqrt(nuisance) * widening * generator.standard_normal(shape)
        return data.response + resample_means(data.pool, resamples, level, generator) + misfit
    if data.loss in COUNTS:
        assert data.total is not None
        return _fresh_counts(mean, data.total, nuisance * data.rows / degrees * widening**2, shape, generator)
    logs = data.loss == "huber_log"
    residual = np.log(data.response) - np.log(mean) if logs else data.response - mean
    residual = (residual - residual.mean()) * np.sqrt(data.rows / degrees) * widening
    draws = generator.choice(residual, shape)
    return np.asarray(mean * np.exp(draws) if logs else mean + draws)


def _fresh_counts(
    mean: FloatArray, total: FloatArray, rho: float, shape: tuple[int, int], generator: np.random.Generator
) -> FloatArray:
    share = np.broadcast_to(mean, shape)
    if rho > SMALLEST_OVERDISPERSION:
        strength = 1 / min(rho, 0.9) - 1
        tiny = 1e-12  # a Beta needs both its numbers above 0
        share = generator.beta(np.maximum(strength * share, tiny), np.maximum(strength * (1 - share), tiny))
    return generator.binomial(total.astype(np.int64), share).astype(np.float64)
