"""What more devices bring: the medium population on 1, 2, ... host devices, each number in a process of its own.

Strong: the same networks on all numbers of devices. Weak: as many networks a device. A number of devices above the
number of cores is simulated: it shows that sharding costs nothing, not that it gains.
"""

from collections.abc import Callable, Sequence
from typing import Any

from benchmarks.processes import VariantError, Worker
from benchmarks.workloads import WORKLOADS, Workload
from experiments.cache import num_cores

STRONG = WORKLOADS["mlp_medium"]._replace(steps=500)
EACH = 4  # networks a device in the weak form


def measure_scaling(
    counts: Sequence[int], rounds: int, weak: bool, say: Callable[[str], None], work: Workload = STRONG
) -> dict[str, Any]:
    """Rates on each number of devices against one device.

    Args:
        counts: numbers of devices, the first of them 1. rounds: of which the best counts: noise only slows down.
        weak: measure the weak form too. say: takes a line of progress.

    Returns:
        strong, weak: {devices: rate ratio}, None for a number that failed; simulated: the numbers above the cores;
        reasons: {"strong 2": why there is no number}.
    """
    forms = {"strong": work.members} | ({"weak": EACH} if weak else {})
    rates: dict[str, dict[int, float | None]] = {form: {} for form in forms}
    reasons = {}
    for devices in counts:
        say(f"scaling: {devices} device{'s' * (devices > 1)}")
        with Worker("capsim", {"JAX_NUM_CPU_DEVICES": str(devices)}) as worker:
            for form, members in forms.items():
                count = members if form == "strong" else members * devices
                try:
                    asked = work._replace(members=count)
                    rates[form][devices] = max(worker.ask("capsim", asked, 0.0)[0] for _ in range(rounds))
                except VariantError as reason:
                    rates[form][devices] = None
                    reasons[f"{form} {devices}"] = str(reason)
    ratios = {form: {str(devices): _ratio(rate, found[counts[0]]) for devices, rate in found.items()}
              for form, found in rates.items()}  # fmt: skip
    simulated = [devices for devices in counts if devices > num_cores()]
    return {**ratios, "simulated": simulated, "reasons": reasons}


def _ratio(rate: float | None, one: float | None) -> float | None:
    return rate / one if rate and one else None
