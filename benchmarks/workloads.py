"""The work that is timed, described once for all: a network, a batch, a number of steps, and how many are trained.

Every variant (the population engine, Flax, PyTorch) starts from `initial_weights` and learns `make_data`.
"""

import math
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

LEARNING_RATE = 1e-3  # of Adam, with the constants 0.9, 0.999 and 1e-8 that all libraries share
Weights = list[tuple[np.ndarray, np.ndarray]]  # (kernel, bias) a layer, from the image to the logits


class Workload(NamedTuple):
    """A network shape and how many networks are trained for how long.

    Attributes:
        name: row of the table.
        network: "mlp" (dense layers, one J-way answer an image) or "conv" (3x3 convolutions, one answer a pixel).
        image_shape: (rows, columns), in pixels.
        width, depth: hidden units or channels, hidden layers.
        classes: J of the mlp, labels of a pixel of the conv.
        batch_size: images a step. inputs: training images that a network draws its batches from.
        members: networks in the population. steps: steps of each.
    """

    name: str
    network: str
    image_shape: tuple[int, int]
    width: int
    depth: int
    classes: int
    batch_size: int
    inputs: int
    members: int
    steps: int

    @property
    def units(self) -> int:
        """Answers an image."""
        return 1 if self.network == "mlp" else math.prod(self.image_shape)


# Steps as studies take them or somewhat fewer: 4,600 on average with the network of `mlp_medium` in `codebook`, 1,400
# with conv nets in `grid`. Our rate includes drawing and scoring, which the others do not do, and which take 6% of
# 1,000 steps of the one and 3% of 200 of the other.
WORKLOADS = {
    work.name: work
    for work in (
        Workload("mlp_medium", "mlp", (8, 8), 128, 2, 256, 64, 4096, 16, 4000),
        Workload("mlp_small", "mlp", (8, 8), 32, 2, 16, 16, 4096, 64, 2000),
        Workload("conv", "conv", (16, 16), 32, 3, 2, 16, 256, 8, 800),
    )
}
# A whole study, with the network of `mlp_medium`: 32 trials, one a seed.
STUDY = WORKLOADS["mlp_medium"]._replace(name="study", members=32, steps=1500)


def kernel_shapes(work: Workload) -> list[tuple[int, ...]]:
    """Shapes of the layers' kernels: (inputs, outputs), or (3, 3, channels, features) of a convolution.

    Example:
        >>> kernel_shapes(WORKLOADS["mlp_small"])
        [(64, 32), (32, 32), (32, 16)]
    """
    first = math.prod(work.image_shape) if work.network == "mlp" else 1
    side = () if work.network == "mlp" else (3, 3)
    hidden = [(*side, first if layer == 0 else work.width, work.width) for layer in range(work.depth)]
    return [*hidden, (work.width, work.classes)]


def step_operations(work: Workload) -> float:
    """Floating-point operations of a training step: 6 * batch * uses * kernel entries (forward 2, backward 4).

    The usual count. The gradient with respect to the image, which nobody computes, is in it: 5% of the medium mlp,
    1% of the conv. Biases, the optimiser, data and evaluation are not.

    Example:
        >>> round(step_operations(WORKLOADS["mlp_medium"]) / 1e6, 2)
        22.02
    """
    return 6.0 * work.batch_size * work.units * sum(math.prod(shape) for shape in kernel_shapes(work))


def initial_weights(work: Workload, seed: int = 0) -> Weights:
    """He-normal kernels and zero biases, float32; convolution kernels in the order (rows, columns, in, out)."""
    generator = np.random.default_rng(seed)
    weights = []
    for shape in kernel_shapes(work):
        kernel = generator.standard_normal(shape) * math.sqrt(2.0 / math.prod(shape[:-1]))
        weights.append((kernel.astype(np.float32), np.zeros(shape[-1], np.float32)))
    return weights


def make_data(work: Workload, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Noise images, float32 (inputs, rows, columns), and labels, int32 (inputs, units): speed does not ask for more."""
    generator = np.random.default_rng(seed)
    images = generator.standard_normal((work.inputs, *work.image_shape)).astype(np.float32)
    return images, generator.integers(0, work.classes, (work.inputs, work.units)).astype(np.int32)


def steps_a_second(step: Callable[[], Any], steps: int, limit: float, finish: Callable[[Any], Any]) -> float:
    """Calls of `step` a second: `steps` of them, or as many as begin within `limit` seconds.

    Args:
        step: may return before its work is done. finish: waits for what the last call returned.
    """
    started, done, last = time.perf_counter(), 0, None
    while done < steps and time.perf_counter() - started < limit:
        last = step()
        done += 1
    finish(last)
    return done / (time.perf_counter() - started)
