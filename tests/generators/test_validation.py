"""A spec that breaks a rule is refused where it enters, with the field, the rule and the value."""

import dataclasses

import jax
import jax.numpy as jnp
import pytest

from sim.generators.blocks import BlocksSpec
from sim.generators.codebook import CodebookSpec
from sim.generators.dictionary import DictionarySpec
from sim.generators.fields import FieldsSpec
from sim.generators.registry import GENERATORS

WRONG = [
    (CodebookSpec, {"outputs": 17}, r"outputs must be a whole number in \[1, 16\], got 17"),
    (CodebookSpec, {"outputs": 2.5}, r"outputs must be a whole number in \[1, 16\], got 2.5"),
    (CodebookSpec, {"noise": -1.0}, "noise must be > 0 and finite, got -1.0"),
    (CodebookSpec, {"noise": float("nan")}, "noise must be > 0 and finite, got nan"),
    (CodebookSpec, {"signal_power": -0.5}, "signal_power must be >= 0 and finite, got -0.5"),
    (CodebookSpec, {"image_shape": (0, 8)}, r"image_shape must be two whole numbers .* got \(0, 8\)"),
    (CodebookSpec, {"max_outputs": 0}, "max_outputs must be a whole number"),
    (BlocksSpec, {"similarity": 1.5}, r"similarity must be in \[0, 1\], got 1.5"),
    (BlocksSpec, {"tiles": 11, "labels": 4}, r"labels\*\*tiles must be <= 1048576, got 4194304"),
    (BlocksSpec, {"labels": 1}, "labels must be a whole number"),
    (FieldsSpec, {"field": "potts"}, r"field must be one of \['independent', 'chain', 'ising'\], got 'potts'"),
    (FieldsSpec, {"labels": 3}, r"labels must be a whole number in \[2, 2\], got 3"),
    (FieldsSpec, {"field": "ising", "max_labels": 3, "labels": 3}, "labels must be 2 for an ising field, got 3"),
    (FieldsSpec, {"stay": -0.1}, r"stay must be in \[0, 1\], got -0.1"),
    (FieldsSpec, {"coupling": float("inf")}, "coupling must be finite, got inf"),
    (FieldsSpec, {"sweeps": 0}, "sweeps must be a whole number"),
    (DictionarySpec, {"grid_size": 34, "scenes": 2}, "scenes must be a multiple of 8, >= 16, got 17"),
    (DictionarySpec, {"bits": 11}, r"bits must be a whole number in \[2, 10\], got 11"),
    (DictionarySpec, {"labels": 3}, r"labels must be a whole number in \[2, 2\], got 3"),
]


@pytest.mark.parametrize(("spec", "fields", "message"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong_specs_are_refused_with_field_rule_and_value(spec, fields, message):
    wrong = spec(**fields)  # a constructor must not check: JAX rebuilds specs with tracers and axes in them
    with pytest.raises(ValueError, match=message):
        wrong.validated()


@pytest.mark.parametrize("name", sorted(GENERATORS))
def test_make_world_checks(name):
    generator = GENERATORS[name]
    with pytest.raises(ValueError, match="noise must be > 0"):
        generator.make_world(jax.random.key(0), dataclasses.replace(generator.spec(), noise=0.0))


def test_a_batch_of_specs_is_checked_element_by_element():
    with pytest.raises(ValueError, match="noise must be > 0"):
        CodebookSpec(noise=jnp.array([1.0, -1.0])).validated()
    assert CodebookSpec(noise=jnp.array([1.0, 2.0])).validated().noise.shape == (2,)


@pytest.mark.parametrize("generator", GENERATORS.values(), ids=GENERATORS)
def test_specs_are_pytrees_whose_static_fields_are_their_shapes(generator):
    spec = generator.spec()
    static = {field.name for field in dataclasses.fields(spec) if field.metadata.get("static")}
    assert len(jax.tree.leaves(spec)) == len(dataclasses.fields(spec)) - len(static)
    rebuilt = jax.tree.map(lambda leaf: 0, spec)  # the axes of a vmap: no valid noise, and no error
    assert rebuilt.noise == 0
    assert all(getattr(rebuilt, name) == getattr(spec, name) for name in static)
