"""A simulated second human rater: the same objects, outlined with a stated error."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.ndimage import map_coordinates

from sim.generators.rendering import smooth_field
from sim.generators.validation import require_not_negative, require_positive
from sim.types import Array, Key

# Mean contour error in millimetres, and the length over which it wanders, at which raters reach the published human
# levels on these phantoms: 2 mm on the ventricle, a SLIVER07 score of 75 on the liver, a Dice score of .72 on lesions.
HUMAN_ERROR = {"ventricle": (2.0, 10.0), "liver": (2.1, 12.0), "tumour": (2.0, 4.0)}


def second_rater(
    labels: Array, key: Key, error_px: float | Array, num_labels: int, length_px: float | Array = 6.0
) -> Array:
    """The label map with every contour displaced by a smooth random field.

    Both components of the displacement are normal, with standard deviation error_px * sqrt(pi / 2) and correlation
    exp(-d^2 / (4 length_px^2)): a contour's normal displacement has mean absolute value `error_px`. Contours that meet
    move together, so a ring stays a ring.

    Args:
        labels: int32, shape (size, size), in [0, num_labels).
        error_px: mean absolute displacement of a contour, in pixels; may be traced.
        num_labels: L, static.
        length_px: length over which the displacement wanders, in pixels; with less than twice the error, contours fold.

    Returns:
        int32, shape (size, size).

    Raises:
        ValueError: a negative error, or a length that is not positive.

    Example:
        >>> import jax
        >>> square = jnp.zeros((16, 16), jnp.int32).at[4:12, 4:12].set(1)
        >>> bool(jnp.all(second_rater(square, jax.random.key(0), 0.0, 2) == square))
        True
    """
    require_not_negative("error_px", error_px)
    require_positive("length_px", length_px)
    size = labels.shape[0]
    deviation = jnp.asarray(error_px, jnp.float32) * np.float32(np.sqrt(np.pi / 2))
    length = jnp.asarray(length_px, jnp.float32) / size
    down, right = jnp.meshgrid(jnp.arange(size, dtype=jnp.float32), jnp.arange(size, dtype=jnp.float32), indexing="ij")
    first, second = jax.random.split(key)
    places = [
        down + deviation * smooth_field(first, size, size, length),
        right + deviation * smooth_field(second, size, size, length),
    ]
    shares = jax.nn.one_hot(labels, num_labels, axis=0, dtype=jnp.float32)
    moved = jax.vmap(lambda share: map_coordinates(share, places, order=1, mode="nearest"))(shares)
    return jnp.argmax(moved, axis=0).astype(jnp.int32)
