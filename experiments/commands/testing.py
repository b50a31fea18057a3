"""The command that tries the program on this machine: `capsim selftest`."""

import sys
import time
from typing import Annotated

from tyro.conf import arg

from experiments.commands.options import Json
from experiments.console import print_json, print_table, warn


def selftest(
    *, quick: Annotated[bool, arg(help="a minute instead of ten: fewer kills")] = False, json: Json = False
) -> int:
    """Kill runs at random moments, fill the disk, damage files: does the store lose or double anything here?

    Works in a temporary folder, on the CPU. Exit code 1 if anything was lost, done twice, or went otherwise wrong.

    Example: capsim selftest --quick
    """
    from experiments.selftest.whole import FULL, QUICK, run_parts, summarise

    parts, started = [], time.perf_counter()
    for part in run_parts(QUICK if quick else FULL, warn):
        parts.append(part)
        print(f"{part.part}: {part.seconds:g} s", file=sys.stderr, flush=True)
    summary = summarise(parts, started)
    if json:
        print_json(summary)
    else:
        total = {"part": "all", **{name: value for name, value in summary.items() if name != "parts"}}
        print_table([*summary["parts"], total], columns=list(parts[0]._fields))
    return 0 if summary["passed"] else 1
