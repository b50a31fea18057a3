"""Phantoms by name, and their specs by difficulty."""

from typing import Any

from sim.generators.phantoms.cells import CELLS
from sim.generators.phantoms.imaging import Phantom, as_generator
from sim.generators.phantoms.liver import LIVER
from sim.generators.phantoms.membranes import MEMBRANES
from sim.generators.phantoms.mitosis import MITOSIS
from sim.generators.phantoms.tumour import TUMOUR
from sim.generators.phantoms.ventricle import VENTRICLE
from sim.types import Generator

PHANTOMS: dict[str, Phantom] = {
    phantom.name: phantom for phantom in (VENTRICLE, LIVER, TUMOUR, CELLS, MEMBRANES, MITOSIS)
}
PHANTOM_GENERATORS: dict[str, Generator] = {name: as_generator(phantom) for name, phantom in PHANTOMS.items()}


def _spec(name: str, difficulty: str | None, fields: dict[str, Any]) -> Any:
    if name not in PHANTOMS:
        raise ValueError(f"phantom must be one of {', '.join(PHANTOMS)}, got {name!r}")
    phantom = PHANTOMS[name]
    preset = phantom.difficulties[difficulty] if difficulty else {}
    return phantom.spec(**{**preset, **fields}).validated()


def reference(name: str, **fields: Any) -> Any:
    """The spec of a phantom at the difficulty of clinical or laboratory images.

    Args:
        name: a key of `PHANTOMS`.
        **fields: replace fields of the spec by name.

    Raises:
        ValueError: an unknown phantom, or a field that breaks its rule.

    Example:
        >>> reference("ventricle", noise=0.1).noise, easy("ventricle").noise < hard("ventricle").noise
        (0.1, True)
    """
    return _spec(name, None, fields)


def easy(name: str, **fields: Any) -> Any:
    """As `reference`, with little noise and bias and clear contrast."""
    return _spec(name, "easy", fields)


def hard(name: str, **fields: Any) -> Any:
    """As `reference`, with contrast against noise at or below what a reader needs."""
    return _spec(name, "hard", fields)


def shifted(name: str, **fields: Any) -> Any:
    """As `reference`, from another distribution: contrast, blur and the family of shapes are changed."""
    return _spec(name, "shifted", fields)
