"""The cheapest closed contour around a point: dynamic programming in polar coordinates, over all starting radii."""

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

Floats = NDArray[np.float64]


def cheapest_cycle(cost: ArrayLike, step: int = 1) -> NDArray[np.intp]:
    """The r_0..r_{A-1} that minimises sum_a cost[a, r_a] with |r_a - r_{a+1}| <= step, and |r_{A-1} - r_0| <= step.

    One shortest path for each r_0, all at once: the minimum is global, in O(A R^2 step).

    Args:
        cost: float, shape (angles >= 1, radii).
        step: whole number >= 0.

    Returns:
        int, shape (angles,).

    Raises:
        ValueError: costs are no finite table or the step is negative.

    Example:
        >>> cheapest_cycle([[0, 5, 9], [9, 5, 0], [9, 5, 9]]).tolist()
        [0, 1, 1]
    """
    table = np.asarray(cost, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all():
        raise ValueError(f"cost must be finite, of shape (angles, radii), got shape {table.shape}")
    if step < 0:
        raise ValueError(f"step must be >= 0, got {step}")
    angles, radii = table.shape
    best = np.full((radii, radii), np.inf)  # of paths from the start in the row to the radius in the column
    np.fill_diagonal(best, table[0])
    came = np.zeros((angles, radii, radii), dtype=np.intp)
    for angle in range(1, angles):
        padded = np.pad(best, ((0, 0), (step, step)), constant_values=np.inf)
        options = np.stack([padded[:, move : move + radii] for move in range(2 * step + 1)])
        choice = options.argmin(axis=0)
        came[angle] = choice - step
        best = np.take_along_axis(options, choice[None], axis=0)[0] + table[angle]
    index = np.arange(radii)
    best[np.abs(index[:, None] - index[None]) > step] = np.inf
    start, last = np.unravel_index(best.argmin(), best.shape)
    path = np.empty(angles, dtype=np.intp)
    path[-1] = last
    for angle in range(angles - 1, 0, -1):
        path[angle - 1] = path[angle] + came[angle, start, path[angle]]
    return path


def polar_grid(centre: tuple[float, float], radii: ArrayLike, angles: int) -> Floats:
    """Places (row, column) on rays from a centre: float64, shape (2, angles, radii)."""
    turn = 2 * np.pi * np.arange(angles) / angles
    distance = np.asarray(radii, dtype=np.float64)
    return np.stack([
        centre[0] + np.sin(turn)[:, None] * distance[None],
        centre[1] + np.cos(turn)[:, None] * distance[None],
    ])  # fmt: skip


def inside_contour(shape: tuple[int, int], centre: tuple[float, float], radius: ArrayLike) -> NDArray[np.bool_]:
    """Pixels whose centres lie within a contour given by its radius at equally spaced angles."""
    down, right = np.indices(shape, dtype=np.float64) - np.reshape(centre, (2, 1, 1))
    edge = np.asarray(radius, dtype=np.float64)
    turn = np.mod(np.arctan2(down, right), 2 * np.pi)
    limit = np.interp(turn, np.linspace(0, 2 * np.pi, len(edge) + 1), np.append(edge, edge[0]))
    return np.asarray(np.hypot(down, right) <= limit)


def closed_contour(
    edge: ArrayLike, centre: tuple[float, float], smallest: float, largest: float, angles: int = 64, step: int = 1
) -> NDArray[np.bool_]:
    """The region within the closed contour around `centre` with the largest sum of `edge`.

    Args:
        edge: float, shape (rows, columns): how much each pixel looks like the contour.
        centre: (row, column) in pixels.
        smallest, largest: radii between which the contour lies, in pixels; half a pixel apart.
        angles: rays. step: half pixels by which the radius may change from ray to ray.

    Returns:
        mask, shape (rows, columns).

    Raises:
        ValueError: 0 <= smallest < largest does not hold.

    Source: dynamic programming for the epicardium as in Hu et al., "Automatic segmentation of the left ventricle in
    cardiac MRI using local binary fitting model and dynamic programming techniques", PLOS ONE 9, 2014 [unchecked]; the
    path is made closed by trying every start.
    """
    values = np.asarray(edge, dtype=np.float64)
    if not 0 <= smallest < largest:
        raise ValueError(f"0 <= smallest < largest must hold, got {smallest} and {largest}")
    radii = np.linspace(smallest, largest, int(np.ceil(2 * (largest - smallest))) + 1)
    rays = ndimage.map_coordinates(values, polar_grid(centre, radii, angles), order=1, mode="nearest")
    path = cheapest_cycle(-rays, step)
    return inside_contour((values.shape[0], values.shape[1]), centre, radii[path])
