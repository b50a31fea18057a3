"""AdamW against optax's own."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from sim.adam import adamw, start_moments


def test_steps_are_those_of_optax():
    """Fifty steps under gradients between 1e-6 and 1e3. Each rounds weights below 4 by at most 2.4e-7 in either code,
    so 2.4e-5 at the end; a step is .01 long, and a correction left out moves weights by a tenth of one or more."""
    rng = np.random.default_rng(0)
    parameters = {"kernel": jnp.asarray(rng.normal(size=(5, 3)), jnp.float32), "bias": jnp.zeros(3)}
    ours, theirs = parameters, parameters
    optimizer = optax.adamw(0.01, weight_decay=0.1)
    moments, state = start_moments(parameters), optimizer.init(parameters)
    for _ in range(50):
        size = 10 ** rng.uniform(-6, 3)
        gradient = jax.tree.map(lambda p: jnp.asarray(size * rng.normal(size=p.shape), jnp.float32), parameters)  # noqa: B023
        ours, moments = adamw(ours, moments, gradient, 0.01, 0.1)
        with jax.numpy_dtype_promotion("standard"):
            update, state = optimizer.update(gradient, state, theirs)
        theirs = optax.apply_updates(theirs, update)
        for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
            np.testing.assert_allclose(one, other, rtol=0, atol=2.4e-5)
    assert float(jnp.abs(ours["kernel"] - parameters["kernel"]).max()) > 0.1  # it has moved
    assert int(moments.steps) == 50
