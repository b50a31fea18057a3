"""The public checks accept a right generator of a user's own, and name what is wrong with a broken one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sim.testing import assert_counts_match, assert_generator_conforms, assert_mean_within, generator_specs, keys
from sim.types import UNLIMITED, Batch, Generator


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class StripeSpec:
    columns: int = dataclasses.field(default=3, metadata={"static": True})
    outputs: int = 4
    noise: float = 1.0
    balanced: bool = True


def draw_stripes(key, spec, world, indices):
    """A column of grey value y and of length 1, under noise; class i mod J."""

    def one(index):
        label = index % jnp.asarray(spec.outputs, jnp.int32)
        pixels = jax.random.normal(jax.random.fold_in(key, index), (1, spec.columns))
        return Batch(label.astype(jnp.float32) + jnp.asarray(spec.noise, jnp.float32) * pixels, label[None])

    return jax.vmap(one)(indices)


STRIPES = Generator(
    name="stripes",
    summary="a generator of a user's own",
    spec=StripeSpec,
    make_world=lambda key, spec: None,
    draw=draw_stripes,
    image_shape=lambda spec: (1, spec.columns),
    units=lambda spec: 1,
    max_labels=lambda spec: 5,
    num_labels=lambda spec: spec.outputs,
    available=lambda spec, world: UNLIMITED,
)


@settings(max_examples=8)
@given(generator_specs(STRIPES, outputs=st.integers(1, 5), noise=st.floats(0.5, 2, width=32)), keys())
def test_a_generator_of_a_users_own_conforms(spec, key):
    assert spec.columns == 3  # a field without a strategy keeps its default
    assert_generator_conforms(STRIPES, spec, key)


def test_no_more_images_are_drawn_than_the_stream_has():
    asked = []

    def draw(key, spec, world, indices):
        asked.append(len(indices))
        return draw_stripes(key, spec, world, indices)

    assert_generator_conforms(
        STRIPES._replace(draw=draw, available=lambda spec, world: 6), StripeSpec(), jax.random.key(0)
    )
    assert max(asked) == 6


def change(**changes):
    """A draw whose batch is spoilt: field -> function of (batch, key, spec, indices)."""

    def draw(key, spec, world, indices):
        batch = draw_stripes(key, spec, world, indices)
        return batch._replace(**{name: spoil(batch, key, spec, indices) for name, spoil in changes.items()})

    return draw


BROKEN = {
    "images must have shape": change(images=lambda batch, *rest: batch.images[:, 0]),
    "images must be float32": change(images=lambda batch, *rest: batch.images.astype(jnp.float16)),
    "labels must be int32": change(labels=lambda batch, *rest: batch.labels.astype(jnp.int8)),
    "pixels must be finite": change(images=lambda batch, *rest: batch.images.at[0, 0, 0].set(jnp.nan)),
    r"labels must be in \[0, 4\)": change(labels=lambda batch, *rest: batch.labels + 1),
    "balanced counts must differ by at most one": change(labels=lambda batch, *rest: 0 * batch.labels),
    "another key must give other images": lambda key, *rest: draw_stripes(jax.random.key(7), *rest),
    "image i must depend on": change(
        images=lambda batch, key, *rest: batch.images + jax.random.normal(key, batch.images.shape)
    ),
    "shorter draw must start the compiled, longer one": change(
        images=lambda batch, *rest: batch.images + jnp.mean(batch.images).astype(jnp.float32)
    ),
    "cannot be traced": change(
        images=lambda batch, key, spec, indices: batch.images * (2.0 if spec.noise > 1 else 1.0)
    ),
}


@pytest.mark.parametrize("message", BROKEN)
def test_a_broken_generator_is_refused(message):
    with pytest.raises(AssertionError, match=message):
        assert_generator_conforms(STRIPES._replace(draw=BROKEN[message]), StripeSpec(), jax.random.key(0))


def test_more_labels_than_room_are_refused():
    with pytest.raises(AssertionError, match="num_labels must be at most max_labels = 3, got 4"):
        assert_generator_conforms(STRIPES._replace(max_labels=lambda spec: 3), StripeSpec(), jax.random.key(0))


def test_mean_check_fails_wrong_means_at_about_the_stated_rate():
    """500 normal samples of size 50 at a rate of .1: 50 +- 6.7 failures; false-fail rate 1e-8 beyond 5.7 deviations."""
    generator = np.random.default_rng(0)

    def fails(expected):
        try:
            assert_mean_within(generator.normal(size=(50, 3)), expected, false_fail_rate=0.1)
        except AssertionError:
            return 1
        return 0

    assert 12 <= sum(fails(0.0) for _ in range(500)) <= 90
    samples = generator.normal(size=(50, 3))
    seen = assert_mean_within(samples, samples.mean(axis=0), false_fail_rate=0.1)
    assert sum(fails(seen) for _ in range(100)) >= 99


def test_mean_check_of_constant_samples_is_exact():
    assert assert_mean_within(np.ones((10, 2)), 1.0) == 0
    with pytest.raises(AssertionError, match="mean 1 must be within 0 of 2"):
        assert_mean_within(np.ones((10, 2)), [1.0, 2.0])


def test_count_check_fails_wrong_counts_at_about_the_stated_rate():
    """500 tables at a rate of .1: 50 +- 6.7 failures; false-fail rate 1e-8 beyond 5.7 deviations."""
    generator = np.random.default_rng(0)
    exact = np.array([0.5, 0.3, 0.1, 0.0999, 0.0001, 0.0])

    def fails(probabilities):
        try:
            assert_counts_match(generator.multinomial(1000, probabilities), exact, false_fail_rate=0.1)
        except AssertionError:
            return 1
        return 0

    assert 12 <= sum(fails(exact) for _ in range(500)) <= 90
    seen = assert_counts_match(1000 * exact, exact, false_fail_rate=0.1)
    shift = seen / np.sqrt(1 / 0.5 + 1 / 0.3)  # sum (q - p)^2 / p = seen^2
    assert sum(fails(exact + shift * np.array([1, -1, 0, 0, 0, 0])) for _ in range(200)) >= 190


def test_count_check_refuses_impossible_cells_and_improper_probabilities():
    with pytest.raises(AssertionError, match="probability 0 was drawn"):
        assert_counts_match([50, 50, 1], [0.5, 0.5, 0.0])
    with pytest.raises(AssertionError, match="must sum to 1"):
        assert_counts_match([50, 50], [0.5, 0.6])
