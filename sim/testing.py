"""Checks for generators, ours and yours: Hypothesis strategies, one conformance check, one statistical check.

A test of a generator of your own:

    from hypothesis import given, strategies
    from sim.testing import assert_generator_conforms, generator_specs, keys

    @given(generator_specs(MINE, noise=strategies.floats(0.5, 2)), keys())
    def test_conforms(spec, key):
        assert_generator_conforms(MINE, spec, key)
"""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from hypothesis import strategies
from hypothesis.strategies import SearchStrategy
from numpy.typing import ArrayLike
from scipy import stats

from sim.generators.blocks import BlocksSpec
from sim.generators.codebook import CodebookSpec
from sim.generators.dictionary import DictionarySpec
from sim.generators.fields import FieldsSpec
from sim.generators.scenes import ScenesSpec
from sim.types import Array, Batch, Generator, Key, Spec

# Compiled and uncompiled programs round differently: tens of float32 steps of 6e-8, relative to the largest pixel.
ROUNDING = 1e-5
MAX_COUNTED_MAPS = 64  # balanced counts are checked for tasks with at most this many label maps


def keys() -> SearchStrategy[Key]:
    """Strategy of JAX random keys."""
    return strategies.integers(0, 2**32 - 1).map(jax.random.key)


def generator_specs(generator: Generator, **fields: SearchStrategy[Any]) -> SearchStrategy[Spec]:
    """Strategy of valid, small specs of a generator.

    Args:
        generator: of this package, or your own.
        **fields: strategies for fields by name; they replace the built-in ones. Fields of your own generator that
            are not named keep their defaults. Few static shapes keep the number of compilations small.

    Example:
        >>> from sim.generators.codebook import CODEBOOK
        >>> generator_specs(CODEBOOK, outputs=strategies.just(2)).example().outputs  # doctest: +SKIP
        2
    """
    choices = _SMALL_SPECS.get(generator.spec, ({},))
    return strategies.one_of([strategies.builds(generator.spec, **{**choice, **fields}) for choice in choices])


def _fixed(**values: Any) -> dict[str, SearchStrategy[Any]]:
    return {name: strategies.just(value) for name, value in values.items()}


def _numbers(low: float, high: float) -> SearchStrategy[float]:
    return strategies.floats(low, high, width=32)


_POWERS = {"signal_power": _numbers(0, 4), "noise": _numbers(0.125, 4)}
# Few static shapes, none square and none equal to another size of its task: each costs seconds of compilation.
_SMALL_SPECS: dict[type, tuple[dict[str, SearchStrategy[Any]], ...]] = {
    CodebookSpec: (
        _fixed(max_outputs=7, image_shape=(2, 3))
        | _POWERS
        | {"outputs": strategies.integers(1, 7), "balanced": strategies.booleans()},
    ),
    BlocksSpec: (
        _fixed(tiles=2, labels=3, tile_shape=(1, 4))
        | _POWERS
        | {"similarity": _numbers(0, 1), "relabelled": strategies.booleans(), "balanced": strategies.booleans()},
    ),
    FieldsSpec: tuple(
        _fixed(grid_shape=shape, field=field, max_labels=room, sweeps=2)
        | {"labels": strategies.integers(2, room), "spacing": _numbers(-4, 4), "noise": _numbers(0.125, 4)}
        | {"stay": _numbers(0, 1), "coupling": _numbers(-1, 1)}
        for shape, field, room in (
            ((2, 3), "independent", 4),
            ((2, 3), "chain", 4),
            ((2, 3), "ising", 2),
            ((13, 13), "ising", 2),  # above the exact side: Gibbs
        )
    ),
    DictionarySpec: (
        _fixed(grid_size=16, scenes=1, frame=1, spread=False, max_labels=3)
        | {"labels": strategies.integers(2, 3), "bits": strategies.integers(2, 10)}
        | {"spacing": _numbers(-4, 4), "noise": _numbers(0.125, 4)},
    ),
    ScenesSpec: tuple(
        _fixed(kind=kind, grid_size=7 * lattice, lattice=lattice, max_labels=lattice**2, supersample=supersample)
        | {"labels": strategies.integers(2, lattice**2), "objects": strategies.just(lattice**2)}
        | {"size": _numbers(0.1875, 0.25), "size_variation": _numbers(0, 0.25)}
        | {"spacing": _numbers(-4, 4), "noise": _numbers(0.125, 4), "pose": strategies.integers(0, 7)}
        for kind, lattice, supersample in (("discs", 2, 1), ("ellipses", 2, 1), ("polygons", 2, 2), ("voronoi", 3, 1))
    ),
}


def assert_generator_conforms(generator: Generator, spec: Spec, key: Key, num_images: int = 24) -> None:
    """Check that a generator keeps the contract of `sim.types.Generator` at one spec and key.

    Checked: shapes and types; finite pixels; labels in [0, num_labels); if the spec has a true field `balanced`,
    counts of the label maps that differ by at most one; the same key gives the same images and another key others;
    image i depends on (key, spec, i) alone, in any order and in a shorter stream; compiled equals uncompiled; a
    vmapped batch of specs, every non-static field traced, equals a loop over them. Labels must be bit-equal, pixels
    equal within `ROUNDING` times the largest pixel.

    Args:
        generator: the generator; its functions must be hashable (plain functions are).
        spec: a task, with numbers in its traced fields.
        key: key of the task.
        num_images: images to draw, at most as many as the stream has.

    Raises:
        AssertionError: naming the property that fails.
    """
    world = generator.make_world(jax.random.split(key)[0], spec)
    num_images = min(num_images, int(generator.available(spec, world)))
    draw, draw_many = _programs(generator)
    indices = jnp.arange(num_images)
    try:
        batch = draw(key, spec, indices)
        jax.eval_shape(lambda each: generator.generate(each, spec, num_images), key)  # numbers inside a trace
    except jax.errors.ConcretizationTypeError as error:
        raise AssertionError(f"{generator.name}: a field that is not static cannot be traced") from error
    _assert_valid(generator, spec, batch)
    _assert_same(generator, "the same key must give the same images", draw(key, spec, indices), batch)
    other = draw(jax.random.fold_in(key, 1), spec, indices)
    assert not np.array_equal(batch.images, other.images), f"{generator.name}: another key must give other images"
    backwards = jax.tree.map(lambda leaf: leaf[::-1], draw(key, spec, indices[::-1]))
    _assert_same(generator, "image i must depend on (key, spec, i) alone, not on its neighbours", backwards, batch)
    shorter = generator.generate(key, spec, num_images - num_images // 3)
    prefix = jax.tree.map(lambda leaf: leaf[: len(shorter.labels)], batch)
    _assert_same(generator, "an uncompiled, shorter draw must start the compiled, longer one", shorter, prefix)
    many_keys = jax.random.split(key, 2)
    many_specs = jax.tree.map(lambda number: jnp.stack([jnp.asarray(number)] * 2), spec)
    many = draw_many(many_keys, many_specs, indices)
    for member in range(2):
        packed = jax.tree.map(lambda leaf, member=member: leaf[member], many)
        alone = draw(many_keys[member], spec, indices)
        _assert_same(generator, "a task in a vmapped batch must equal the task alone", packed, alone)


@functools.lru_cache(maxsize=64)
def _programs(generator: Generator) -> tuple[Callable[..., Batch], Callable[..., Batch]]:
    """`Generator.generate` at given indices, compiled once a static shape: alone, and vmapped over keys and specs."""

    def draw(key: Key, spec: Spec, indices: Array) -> Batch:
        world_key, image_key = jax.random.split(key)
        return generator.draw(image_key, spec, generator.make_world(world_key, spec), indices)

    # The checks compile far longer than they run; without optimisation they compile three times faster.
    quickly = functools.partial(jax.jit, compiler_options={"xla_backend_optimization_level": "0"})
    return quickly(draw), quickly(jax.vmap(draw, in_axes=(0, 0, None)))


def _assert_valid(generator: Generator, spec: Spec, batch: Batch) -> None:
    name, number, units = generator.name, len(batch.images), generator.units(spec)
    num_labels = int(generator.num_labels(spec))
    images, labels = np.asarray(batch.images), np.asarray(batch.labels)
    shape = (number, *generator.image_shape(spec))
    assert images.shape == shape, f"{name}: images must have shape {shape}, got {images.shape}"
    assert images.dtype == np.float32, f"{name}: images must be float32, got {images.dtype}"
    assert labels.shape == (number, units), f"{name}: labels must have shape {(number, units)}, got {labels.shape}"
    assert labels.dtype == np.int32, f"{name}: labels must be int32, got {labels.dtype}"
    assert np.isfinite(images).all(), f"{name}: pixels must be finite"
    most = generator.max_labels(spec)
    assert num_labels <= most, f"{name}: num_labels must be at most max_labels = {most}, got {num_labels}"
    in_range = (labels >= 0) & (labels < num_labels)
    assert in_range.all(), f"{name}: labels must be in [0, {num_labels}), got {labels[~in_range][:3]}"
    num_maps = num_labels**units
    if getattr(spec, "balanced", False) and num_maps <= MAX_COUNTED_MAPS:
        counts = np.bincount(labels @ num_labels ** np.arange(units), minlength=num_maps)
        assert np.ptp(counts) <= 1, f"{name}: balanced counts must differ by at most one, got {counts}"


def _assert_same(generator: Generator, rule: str, batch: Batch, expected: Batch) -> None:
    message = f"{generator.name}: {rule}"
    np.testing.assert_array_equal(batch.labels, expected.labels, err_msg=message)
    largest = float(np.abs(expected.images).max(initial=0.0))
    np.testing.assert_allclose(batch.images, expected.images, rtol=0, atol=ROUNDING * largest, err_msg=message)


def assert_mean_within(samples: ArrayLike, expected: ArrayLike, false_fail_rate: float = 1e-8) -> float:
    """Check means against exact values, by t intervals that together fail a right program at a stated rate.

    An entry fails if |mean - expected| > h, h = t_{1 - p/2} sd / sqrt(repeats), p = false_fail_rate / entries. The
    rate is exact for normal samples and holds nearly for sums of thousands. A true difference of 2 h is seen with
    probability 1 - p/2.

    Args:
        samples: shape (repeats, ...), independent along the first axis; the other entries may depend on one another.
        expected: the exact means, of the shape of one sample or a scalar.
        false_fail_rate: probability of a false failure, over all entries together.

    Returns:
        2 h of the widest entry: the smallest difference that the check is sure to see. Assert that it is small.

    Raises:
        AssertionError: with the entry that is furthest out.

    Example:
        >>> assert_mean_within([0.0, 1.0, 0.0, 1.0] * 1000, 0.5) < 0.1
        True
    """
    values = np.asarray(samples, np.float64)
    repeats, mean = len(values), values.mean(axis=0)
    quantile = stats.t.isf(false_fail_rate / (2 * mean.size), repeats - 1)
    half_width = quantile * values.std(axis=0, ddof=1) / np.sqrt(repeats)
    excess = np.abs(mean - np.asarray(expected, np.float64)) - half_width
    worst = np.unravel_index(np.argmax(excess), mean.shape)
    # Samples without variance must agree to float64 rounding.
    assert excess[worst] <= 1e-12, (
        f"mean {mean[worst]:.6g} must be within {half_width[worst]:.3g} of "
        f"{np.broadcast_to(expected, mean.shape)[worst]:.6g} (entry {worst}, {repeats} repeats)"
    )
    return float(2 * half_width.max())


def assert_counts_match(counts: ArrayLike, probabilities: ArrayLike, false_fail_rate: float = 1e-8) -> float:
    """Check counts of independent draws against exact probabilities, by Pearson's chi-square test.

    The test fails if X = sum (count - n p)^2 / (n p) is above the chi-square quantile 1 - false_fail_rate. Cells with
    n p < 20 are pooled into one, so that the quantile holds.

    Args:
        counts: whole numbers, one a cell.
        probabilities: exact probabilities of the cells; they sum to 1.
        false_fail_rate: probability of a false failure.

    Returns:
        The root-mean-square relative error of the probabilities, sqrt(sum (q - p)^2 / p), that the test is 99% sure
        to see. Assert that it is small.

    Raises:
        AssertionError: with the statistic and its quantile.

    Example:
        >>> assert_counts_match([5030, 4970], [0.5, 0.5]) < 0.1
        True
    """
    seen, exact = np.asarray(counts, np.float64).ravel(), np.asarray(probabilities, np.float64).ravel()
    number = seen.sum()
    assert abs(exact.sum() - 1) < 1e-9, f"probabilities must sum to 1, got {exact.sum()}"
    rare = number * exact < 20
    if rare.any():
        seen, exact = (np.append(cells[~rare], cells[rare].sum()) for cells in (seen, exact))
    impossible = exact == 0
    assert not seen[impossible].any(), "a cell of probability 0 was drawn"
    seen, exact = seen[~impossible], exact[~impossible]
    freedom = len(seen) - 1
    statistic = float(np.sum((seen - number * exact) ** 2 / (number * exact)))
    quantile = float(stats.chi2.isf(false_fail_rate, freedom))
    assert statistic <= quantile, f"chi-square {statistic:.1f} must be at most {quantile:.1f} ({freedom} degrees)"
    # Power 99%: the noncentrality whose lower 1% point, 2.33 standard deviations down, is the quantile.
    excess = quantile - freedom
    noncentrality = excess + 4.66 * (2.33 + np.sqrt(2.33**2 + freedom / 2 + excess))
    return float(np.sqrt(noncentrality / number))
