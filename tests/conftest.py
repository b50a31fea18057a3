"""Strict JAX for every test: no silent promotion of types or ranks; two host devices so that sharding is real."""

import os
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
from hypothesis import HealthCheck, settings

jax.config.update("jax_num_cpu_devices", 2)
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

settings.register_profile(
    "capsim", deadline=None, derandomize=True, max_examples=25, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("capsim")

BROWSER = Path(__file__).parent / "browser"


def pytest_ignore_collect(collection_path, config):
    """Leave tests/browser, which needs a browser, to those who ask for it by its path: `make test-browser`."""
    if collection_path != BROWSER:
        return None
    asked = [Path(config.invocation_params.dir, argument.split("::")[0]).resolve() for argument in config.args]
    return None if any(path == BROWSER or BROWSER in path.parents for path in asked) else True
