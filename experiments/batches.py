"""Batches: pending trials of one compiled shape that run, and are lost or stored, together."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import jax

from experiments.cost import predicted_cost
from experiments.records import check_ranks_fit
from experiments.spec import Trial, UsageError
from experiments.tasks import Task, make_task
from sim.member import Settings

MEMBERS_PER_DEVICE = 8  # members of a batch on each device: some ten seconds of work, so a kill loses little


class Batch(NamedTuple):
    """Trials that run as one population, and the number of slots that their program is compiled for."""

    settings: Settings
    trials: tuple[Trial, ...]
    tasks: tuple[Task, ...]
    slots: int


def make_batches(trials: Sequence[Trial], pending: Iterable[str], devices: int) -> list[Batch]:
    """Group trials by compiled shape and cut the pending ones into batches; measured families are left out.

    Args:
        trials: the whole plan; it alone decides the shapes, so a resumed run compiles what the first one did.
        pending: identities still to run.
        devices: local devices.

    Raises:
        UsageError: a trial that describes no possible task, or more ranks than a store may hold.
    """
    check_ranks_fit(trials)
    wanted = set(pending)
    groups: dict[Any, list[tuple[Trial, Task]]] = {}
    for trial in trials:
        if trial.is_measured:
            continue  # see `experiments.measuring`
        try:
            task = make_task(trial)
        except UsageError:
            raise
        except ValueError as error:  # a part of `sim` refused its settings: still the user's mistake
            raise UsageError(str(error)) from error
        settings = task.settings
        static = (
            settings.generator.name, settings.learner, settings.test_items, settings.training, settings.keep_ranks
        )  # fmt: skip
        groups.setdefault((static, jax.tree.structure(task.member)), []).append((trial, task))
    batches = []
    for group in groups.values():
        max_inputs = max(task.settings.max_inputs for _, task in group)
        settings = replace(group[0][1].settings, max_inputs=max_inputs)
        slots = min(MEMBERS_PER_DEVICE * devices, len(group) + len(group) % devices)
        # Members of a batch should end together, and those with large J and I take the most of their budget.
        todo = sorted(
            (pair for pair in group if pair[0].identity in wanted),
            key=lambda p: (predicted_cost(*p), dict(p[0].factors)["inputs"], p[0].identity),
        )
        for start in range(0, len(todo), slots):
            part = todo[start : start + slots]
            batches.append(Batch(settings, tuple(trial for trial, _ in part), tuple(task for _, task in part), slots))
    return batches


def halves(batch: Batch) -> list[Batch]:
    """The batch in two, each with as many slots as trials; one trial with idle slots loses those; else nothing.

    What does not fit into memory fits in part, and one bad trial of n is found in about 2 log2 n further runs.
    """
    size = len(batch.trials)
    if size == 1:
        return [batch._replace(slots=1)] if batch.slots > 1 else []
    cut = (size + 1) // 2
    return [
        Batch(batch.settings, batch.trials[part], batch.tasks[part], len(batch.trials[part]))
        for part in (slice(cut), slice(cut, size))
    ]
