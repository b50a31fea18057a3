"""`capsim selfcheck`: whether this machine's devices give the committed results, and how fast they are."""

import tempfile
from typing import Annotated

from tyro.conf import arg

from experiments.commands.options import Json, find_study, start_jax
from experiments.console import ProgressLine, print_facts, print_json, print_table, warn


def selfcheck(
    *,
    studies: Annotated[tuple[str, ...], arg(metavar="STUDY", help="which smoke studies to run")] = (
        "codebook",
        "heads",
        "grid",
    ),
    no_throughput: Annotated[bool, arg(help="leave out the measurement of speed")] = False,
    json: Json = False,
) -> int:
    """Run the smoke studies on this machine's devices, compare them with the committed CPU records, measure speed.

    Some ten minutes on two cores. Exit code 1: a trial failed or differs beyond the tolerance.

    Example: capsim selfcheck
    """
    found = [find_study(name) for name in studies]
    start_jax()
    import jax

    from experiments.records import TOLERANCE
    from experiments.selfcheck import UNMEASURED, check_study, measure_widths
    from experiments.store import Store

    devices = [f"{device.platform} {device.device_kind}" for device in jax.local_devices()]
    with tempfile.TemporaryDirectory() as folder, ProgressLine() as progress:
        checks = [check_study(study, Store(folder), progress=progress) for study in found]
    speeds = [] if no_throughput else list(measure_widths())
    agrees = all(check["agreeing"] == check["trials"] for check in checks)
    if json:
        print_json({"devices": devices, "note": UNMEASURED, "tolerance": TOLERANCE, "agrees": agrees, "studies": checks,
                    "throughput": speeds})  # fmt: skip
        return int(not agrees)
    print_facts({"devices": ", ".join(devices), "note": UNMEASURED, "tolerance": TOLERANCE})
    print_table(checks, ("study", "trials", "agreeing", "largest_difference"), title="against the committed records")
    for check in checks:
        for trial in check["differing"][:10]:
            name = f"{check['study']} trial {trial['identity'][:12]} ({trial['arm']}, seed {trial['seed']})"
            warn(f"{name}: {trial['reason']}")
        if len(check["differing"]) > 10:
            warn(f"and {len(check['differing']) - 10} more trials of {check['study']}: --json has them all")
    if speeds:
        print_table(speeds, title="network-steps a second, by networks vmapped together")
    print("agrees with the records within tolerance" if agrees else "differs from the records beyond tolerance")
    return int(not agrees)
