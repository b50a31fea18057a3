"""Baselines in PyTorch: an eager loop, the same with channels last, and an ensemble under `torch.func`.

PyTorch belongs to the `bench` extra alone. Each loop gets the fused Adam, and one thread or all cores, whichever is
faster in a short trial.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from benchmarks.workloads import LEARNING_RATE, Weights, Workload, initial_weights, make_data, steps_a_second
from experiments.cache import num_cores

TRIAL_SECONDS = 0.4  # for the choice of threads


class Pixels(nn.Module):
    """(batch, classes, rows, columns) -> (batch * pixels, classes)."""

    def forward(self, logits: Any) -> Any:
        return logits.permute(0, 2, 3, 1).flatten(0, 2)


def make_network(work: Workload, weights: Weights) -> Any:
    """The workload's network: images (batch, rows, columns) -> logits (batch * units, classes)."""
    layers: list[Any] = [nn.Flatten()] if work.network == "mlp" else [nn.Unflatten(1, (1, work.image_shape[0]))]
    for number, (kernel, bias) in enumerate(weights):
        if work.network == "mlp":
            part: Any = nn.Linear(*kernel.shape)
            ordered = kernel.T
        else:
            kernel = kernel.reshape((1,) * (4 - kernel.ndim) + kernel.shape)
            side, _, channels, features = kernel.shape
            part = nn.Conv2d(channels, features, side, padding=side // 2)
            ordered = kernel.transpose(3, 2, 0, 1)
        with torch.no_grad():
            part.weight.copy_(torch.tensor(np.ascontiguousarray(ordered)))
            part.bias.copy_(torch.tensor(bias))
        layers += [part] if number == len(weights) - 1 else [part, nn.ReLU()]
    return nn.Sequential(*layers) if work.network == "mlp" else nn.Sequential(*layers, Pixels())


def _as_weights(named: dict[str, Any], kernels: Sequence[np.ndarray]) -> Weights:
    values = [value.detach().numpy() for value in named.values()]
    pairs = zip(values[::2], values[1::2], strict=True)
    orders = [(1, 0) if value.ndim == 2 else (2, 3, 1, 0) for value in values[::2]]
    found = [(kernel.transpose(order), bias) for (kernel, bias), order in zip(pairs, orders, strict=True)]
    return [(kernel.reshape(like.shape), bias) for (kernel, bias), like in zip(found, kernels, strict=True)]


class Eager:
    """One network, one step a call."""

    def __init__(self, work: Workload, weights: Weights, channels_last: bool = False) -> None:
        self.network: Any = make_network(work, weights)
        if channels_last:
            self.network = self.network.to(memory_format=torch.channels_last)
        self.optimizer: Any = torch.optim.Adam(self.network.parameters(), lr=LEARNING_RATE, fused=True)
        self.kernels = [kernel for kernel, _ in weights]

    def step(self, images: Any, targets: Any) -> Any:
        """One Adam step; returns the loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss = nn.functional.cross_entropy(self.network(images), targets.flatten())
        loss.backward()
        self.optimizer.step()
        return loss

    def weights(self) -> Weights:
        """The current weights, in the order of `initial_weights`."""
        return _as_weights(dict(self.network.named_parameters()), self.kernels)


class Ensemble:
    """Many networks: stacked parameters, `vmap` of the functional network, one backward pass and one Adam for all."""

    def __init__(self, work: Workload, populations: Sequence[Weights]) -> None:
        networks: list[Any] = [make_network(work, weights) for weights in populations]
        self.stacked: Any
        self.stacked, _ = torch.func.stack_module_state(networks)
        self.optimizer: Any = torch.optim.Adam(self.stacked.values(), lr=LEARNING_RATE, fused=True)
        self.kernels = [kernel for kernel, _ in populations[0]]
        base = networks[0].to("meta")

        def loss_of(parameters: Any, images: Any, targets: Any) -> Any:
            logits = torch.func.functional_call(base, parameters, (images,))
            return nn.functional.cross_entropy(logits, targets.flatten())

        self.losses_of = torch.func.vmap(loss_of)

    def step(self, images: Any, targets: Any) -> Any:
        """One Adam step of every network on its own batch (members, batch, ...); returns the losses."""
        self.optimizer.zero_grad(set_to_none=True)
        losses = self.losses_of(self.stacked, images, targets)
        losses.sum().backward()
        self.optimizer.step()
        return losses

    def weights(self, member: int) -> Weights:
        """The current weights of one network, in the order of `initial_weights`."""
        return _as_weights({name: value[member] for name, value in self.stacked.items()}, self.kernels)


def _prepare(work: Workload, loop: Eager | Ensemble, members: int) -> tuple[Callable[[int, float], float], str]:
    images, targets = (torch.tensor(values) for values in make_data(work))
    targets = targets.long()
    shape = (work.batch_size,) if isinstance(loop, Eager) else (members, work.batch_size)

    def one() -> Any:
        chosen = torch.randint(work.inputs, shape)
        return loop.step(images[chosen], targets[chosen])

    rates = {}
    for threads in sorted({1, num_cores()}):
        torch.set_num_threads(threads)
        steps_a_second(one, 3, 5.0, lambda _: None)
        rates[threads] = steps_a_second(one, work.steps, TRIAL_SECONDS, lambda _: None)
    chosen_threads = max(rates, key=lambda threads: rates[threads])

    def measure(steps: int, limit: float) -> float:
        torch.set_num_threads(chosen_threads)
        return steps_a_second(one, steps, limit, lambda _: None) * members

    tried = ", ".join(f"{rate * members:.0f} with {threads}" for threads, rate in rates.items())
    return measure, f"torch {torch.__version__}, {chosen_threads} threads (network-steps a second tried: {tried})"


def prepare_eager(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """measure(steps, limit) -> network-steps a second, and a note on how it runs."""
    return _prepare(work, Eager(work, initial_weights(work)), 1)


def prepare_channels_last(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """As `prepare_eager`, with images and kernels in the memory order that convolutions on CPU prefer."""
    return _prepare(work, Eager(work, initial_weights(work), channels_last=True), 1)


def prepare_func(work: Workload) -> tuple[Callable[[int, float], float], str]:
    """The whole population as one ensemble."""
    populations = [initial_weights(work, seed) for seed in range(work.members)]
    return _prepare(work, Ensemble(work, populations), work.members)
