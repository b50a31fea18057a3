"""What a run will cost: operations of a trial, and from them seconds and memory, before anything is trained."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np

from experiments.cache import num_cores
from experiments.families.registry import predicted_measuring
from experiments.spec import Study, Trial, trial_of
from experiments.store import COMMITTED, Store, settled
from experiments.tasks import Task, make_task
from sim.member import EVALUATION_CHUNK, Settings, draw_member
from sim.networks.registry import NetworkSettings, num_parameters

OVERHEAD = 5e9  # operations in the time that drawing, scoring and storing a trial take, about a twentieth of a second
PACE_ROWS = 64
PACE_COLUMNS = ("factors_json", "seed", "status", "seconds")
DEFAULT_RATE = 1.6e11  # operations of the budget a second where nothing was measured: the reference run on two cores
MOST_COMPILING = 0.8  # of the seconds that trials took: programs that the cache held were not compiled
COMPILE_SECONDS = 6.0  # a program that the cache does not hold: 4 to 8 seconds on one core
WEIGHT_COPIES = 5  # weights, their gradient, two moments and an update
IMAGE_COPIES = 4  # an image, and the random words, uniform and normal numbers that it is made of
SCORE_COPIES = 2  # log probabilities of all images, and what is made of them

Kind = tuple[
    str, str, str
]  # generator, network, head: trials that share their pace and the part of the budget they use


class Planned(Protocol):
    """What is asked of a batch; see `experiments.runner.Batch`."""

    @property
    def settings(self) -> Settings: ...
    @property
    def trials(self) -> tuple[Trial, ...]: ...
    @property
    def tasks(self) -> tuple[Task, ...]: ...
    @property
    def slots(self) -> int: ...


Group = Callable[[Sequence[Trial], Iterable[str], int], Sequence[Planned]]


def predicted_cost(trial: Trial, task: Task) -> float:
    """Operations of a trial that uses its whole budget of steps: for the order of trials and the time that is left.

    A step costs 6 operations a weight and image (forward 2, backward 4); a weight that is shared over pixels or tiles
    is used once for each, at the scale where it stands.
    """
    learner, factors = task.settings.learner, dict(trial.factors)
    if isinstance(learner, str):
        return OVERHEAD
    images = 6.0 * factors["batch_size"] * factors["max_steps"] + 2.0 * factors["test_items"]
    return OVERHEAD + images * _products(learner)


def _products(learner: NetworkSettings) -> float:
    """Weights of a network, each as often as one image uses it; biases of a U-Net are left out."""
    rows, columns = learner.image_shape
    if learner.network != "unet":
        shared = learner.head in ("shared", "placed")
        uses = rows * columns if learner.network == "conv" else learner.units if shared else 1
        return float(uses * num_parameters(learner))
    total = float(rows * columns * learner.width * learner.classes)
    for level in range(learner.levels + 1):
        pixels, width = rows * columns / 4**level, learner.width * 2**level
        deeper = 9 * width**2 * (learner.depth - 1)
        total += pixels * (9 * width * (width // 2 if level else 1) + deeper)
        if level < learner.levels:  # on the way up: growing, 8 width^2 a coarse pixel, and a convolution of both parts
            total += pixels * (2 * width**2 + 18 * width**2 + deeper)
    return total


def _kind(trial: Trial) -> Kind:
    factors = dict(trial.factors)
    return factors["generator"], factors["network"], factors.get("head", "")


def _kinds(batches: Iterable[Planned]) -> set[Kind]:
    return {_kind(trial) for batch in batches for trial in batch.trials}


def measure_pace(store: Store, kinds: Iterable[Kind]) -> dict[Kind, tuple[float, float]]:
    """Seconds that stored trials of some kinds took, and the operations that were predicted for them.

    A trial's seconds are its share of its batch on all devices of the machine that ran it. At most `PACE_ROWS` trials
    of a kind and study are looked at, spread over all of them; compiling their programs is taken off, up to
    `MOST_COMPILING` of the seconds.
    """
    wanted, found = set(kinds), dict[Kind, tuple[float, float]]()
    # What begins with a dot is a running or killed run's own folder.
    names = sorted(path.name for path in store.path.glob("[!.]*") if path.is_dir())
    for name in names:
        if not store.holds(name):
            continue
        stored: dict[Kind, list[tuple[Trial, float]]] = {}
        for row in store.read(name, PACE_COLUMNS).table.select(PACE_COLUMNS).to_pylist():
            if row["status"] != "failed" and row["seconds"] and row["factors_json"]:
                trial = trial_of(row)
                if not trial.is_measured and _kind(trial) in wanted:
                    stored.setdefault(_kind(trial), []).append((trial, row["seconds"]))
        for kind, pairs in stored.items():
            sample = pairs[:: -(-len(pairs) // PACE_ROWS)]
            tasks = [make_task(trial) for trial, _ in sample]
            seconds = sum(spent for _, spent in sample)
            compiling = COMPILE_SECONDS * len({task.settings for task in tasks}) * len(sample) / len(pairs)
            seconds -= min(compiling, MOST_COMPILING * seconds)
            operations = sum(predicted_cost(trial, task) for (trial, _), task in zip(sample, tasks, strict=True))
            before = found.get(kind, (0.0, 0.0))
            found[kind] = before[0] + seconds, before[1] + operations
    return found


def _pace(store: Store, kinds: Iterable[Kind]) -> tuple[dict[Kind, tuple[float, float]], str]:
    wanted = list(kinds)
    for source, name in ((store, str(store)), (Store(COMMITTED), "the committed results")):
        measured = measure_pace(source, wanted)
        if measured:
            return measured, f"measured seconds in {name}"
    return {}, f"an assumed {DEFAULT_RATE:.0e} operations a second"


def predicted_seconds(batches: Iterable[Planned], store: Store) -> float:
    """Seconds that batches will take: operations times the measured seconds an operation of trials of their kind, and
    `COMPILE_SECONDS` for each program.

    Measured is the store itself, else the committed results; a kind without a record goes at the pace of the other
    kinds of these batches, and where none has one, at `DEFAULT_RATE`.

    Args:
        batches: what is to be run; see `experiments.batches.make_batches`.
        store: where the run will write.
    """
    listed = list(batches)
    return _seconds(listed, _pace(store, _kinds(listed))[0])


def _seconds(batches: Iterable[Planned], measured: Mapping[Kind, tuple[float, float]]) -> float:
    sums = np.sum(list(measured.values()), axis=0) if measured else (1.0, DEFAULT_RATE)
    listed = list(batches)
    total = COMPILE_SECONDS * len({(batch.settings, batch.slots) for batch in listed})
    for batch in listed:
        for trial, task in zip(batch.trials, batch.tasks, strict=True):
            seconds, operations = measured.get(_kind(trial), sums)
            total += predicted_cost(trial, task) * float(seconds / operations)
    return total


def member_bytes(settings: Settings, task: Task) -> int:
    """Bytes of the arrays that one member holds while it is trained and scored: an estimate from their sizes.

    Images, labels and task are counted `IMAGE_COPIES` times, weights `WEIGHT_COPIES` times, and the log probabilities
    of the test images `SCORE_COPIES` times; what the compiler adds or saves is not known.
    """
    member = task.member._replace(data_key=jax.random.key(0), model_key=jax.random.key(0))
    drawn = jax.eval_shape(lambda member: draw_member(settings, member), member)
    weights = _bytes(drawn.parameters)
    generator, spec = settings.generator, task.member.spec
    network = settings.learner if isinstance(settings.learner, NetworkSettings) else None
    units = network.units if network else generator.units(spec)
    classes = network.classes if network else generator.max_labels(spec)
    scored = max(settings.test_items, EVALUATION_CHUNK) * units * classes * 4
    images = _bytes((drawn.world, drawn.train, drawn.test))
    return IMAGE_COPIES * images + WEIGHT_COPIES * weights + SCORE_COPIES * scored


def _bytes(tree: Any) -> int:
    return sum(leaf.size * leaf.dtype.itemsize for leaf in jax.tree.leaves(tree))


def plan(
    study: Study,
    preset: str,
    store: Store,
    overrides: Mapping[str, Sequence[Any]],
    seeds: int | None,
    group: Group,
) -> dict[str, Any]:
    """What `run` would do, without doing it.

    Args:
        group: how trials become batches: `experiments.batches.make_batches`.

    Returns:
        trials, pending, batches, compiled programs, predicted seconds and what they are taken from, and the peak
        memory in megabytes, estimated from the sizes of the arrays of one member on each device.
    """
    trials = study.trials(preset, overrides, seeds)
    done = settled(store.read(study.name, ("identity", "status")).table)
    pending = [trial.identity for trial in trials if trial.identity not in done]
    devices = len(jax.local_devices())
    measured_seconds = predicted_measuring(trial for trial in trials if trial.identity not in done) / num_cores()
    batches = group(trials, pending, devices)
    largest = {(batch.settings, batch.slots): batch for batch in batches}
    measured, source = _pace(store, _kinds(batches))
    return {
        "study": study.name,
        "preset": preset,
        "trials": len(trials),
        "pending": len(pending),
        "batches": len(batches),
        "programs": len(largest),
        "predicted_seconds": round(_seconds(batches, measured) + measured_seconds, 1),
        "predicted_from": source,
        "peak_megabytes": round(
            max((member_bytes(b.settings, b.tasks[0]) for b in largest.values()), default=0) * devices / 1e6, 1
        ),
        "store": str(store.path),
    }
