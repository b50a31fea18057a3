"""How long a command takes to its first training steps: `capsim run` in a fresh process, first with an empty cache.

The trial ends after its first block of steps, so the process's whole life is an upper bound on the time to the first.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHANGES = {  # 50 steps are one block, the least that can be asked for
    "network": "mlp", "recipe": "plain", "outputs": "16", "max_steps": "50", "test_items": "100",
    "learning_rate": ".001", "weight_decay": "0", "input_noise": "0",
}  # fmt: skip


def start_seconds() -> dict[str, float]:
    """Seconds of `capsim run` on one small cell with an empty cache of programs ("cold") and a filled one ("warm").

    Raises:
        subprocess.CalledProcessError: the command failed.
    """
    seconds = {}
    sets = [word for name, value in CHANGES.items() for word in ("--set", f"{name}={value}")]
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "CAPSIM_CACHE": str(Path(folder) / "cache")}
        for state in ("cold", "warm"):
            store = ["--seeds", "1", "--store", str(Path(folder) / state), "--json"]
            command = [sys.executable, "-m", "experiments", "run", "codebook", "--preset", "smoke", *sets, *store]
            started = time.perf_counter()
            subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
            seconds[state] = time.perf_counter() - started
    return seconds
