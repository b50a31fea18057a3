"""Sweeps and studies. `from experiments import Sweep, run` is all that a parameter sweep of one's own needs."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from experiments.runner import run
    from experiments.spec import Sweep

__all__ = ["Sweep", "run"]


def __getattr__(name: str) -> Any:
    """Load the public names when first used, so that the command line can refuse a wrong word without loading JAX."""
    if name == "Sweep":
        from experiments.spec import Sweep

        return Sweep
    if name == "run":
        from experiments.runner import run

        return run
    raise AttributeError(f"module 'experiments' has no attribute {name!r}")
