"""A process that times variants when asked: one JSON request a line in, one JSON answer a line out.

    python -m benchmarks.worker capsim|plain

`capsim` gives JAX its devices as the command does; `plain` leaves JAX and PyTorch as they come. A variant is prepared
(imported, compiled, warmed up) on its first request. Whatever libraries print goes to standard error.
"""

import importlib
import json
import os
import sys
from typing import Any

from benchmarks.workloads import Workload

VARIANTS = {
    "capsim": ("benchmarks.engine", "prepare"),
    "study": ("benchmarks.study", "prepare"),
    "flax_step": ("benchmarks.flax_step", "prepare"),
    "jit_vmap": ("benchmarks.jit_vmap", "prepare"),
    "torch_eager": ("benchmarks.torch_loops", "prepare_eager"),
    "torch_channels_last": ("benchmarks.torch_loops", "prepare_channels_last"),
    "torch_func": ("benchmarks.torch_loops", "prepare_func"),
}


def answer(request: dict[str, Any], prepared: dict[Any, Any]) -> dict[str, Any]:
    """{"variant", "work", "limit"} -> {"value", "note"}, or {"error": reason}; never raises."""
    try:
        fields = dict(request["work"])
        work = Workload(**{**fields, "image_shape": tuple(fields["image_shape"])})
        key = request["variant"], work._replace(steps=0)
        if key not in prepared:
            module, name = VARIANTS[request["variant"]]
            prepared[key] = getattr(importlib.import_module(module), name)(work)
        measure, note = prepared[key]
        return {"value": measure(work.steps, request["limit"]), "note": note}
    except Exception as error:  # whatever a library does, the table goes on without this variant
        return {"error": " ".join(f"{type(error).__name__}: {error}".split())[:300]}


def main() -> None:
    """Serve requests until standard input ends."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    if sys.argv[1] == "capsim":
        from experiments.cache import configure_devices, enable_compilation_cache

        configure_devices()
        enable_compilation_cache()
    prepared: dict[Any, Any] = {}
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line), prepared)), file=answers, flush=True)


if __name__ == "__main__":
    main()
