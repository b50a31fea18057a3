"""Writes the lock files of the `bench` extra, which `make bench` installs on top of requirements.lock.

    python -m benchmarks.locks

For Linux the package index has a build of PyTorch that needs gigabytes of CUDA libraries even to compute on a CPU;
PyTorch's project also publishes a build for CPU alone, as version 2.13.0+cpu, on a page of its own. A machine whose
pip is set up to find that build installs it from `requirements-bench-cpu.lock`. Every other machine fails there at once
and goes on to `requirements-bench.lock`, which holds what the package index has, CUDA libraries on Linux included.
"""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

# torch-2.13.0+cpu-cp311-cp311-manylinux_2_28_x86_64.whl, as PyTorch's project publishes it
CPU_BUILD = {"torch==2.13.0": "6746dbcbeb526eb61330b76b41ff1b4eb848951103a892eeb080dfa2b264667b"}
ACCELERATOR = re.compile(r"(nvidia|cuda)-|triton=")
LOCK, CPU_LOCK = "requirements-bench.lock", "requirements-bench-cpu.lock"


def cpu_lock(text: str) -> str:
    """The lock `text` without accelerator libraries, and with the CPU build in the place of the index's PyTorch.

    Raises:
        ValueError: a version of PyTorch whose CPU build's hash is not known here.

    Example:
        >>> print(cpu_lock("torch==2.13.0 --hash=sha256:00\\ntriton==3.7.1 --hash=sha256:11\\n")[:19])
        torch==2.13.0+cpu \\
    """
    entries = re.findall(r"^\S.*\n(?:[ \t].*\n)*", text, flags=re.MULTILINE)
    kept = []
    for entry in entries:
        pin = entry.split()[0]
        if pin.startswith("torch=="):
            if pin not in CPU_BUILD:
                raise ValueError(f"torch must be one of {', '.join(CPU_BUILD)}, got {pin}")
            entry = f"{pin}+cpu \\\n    --hash=sha256:{CPU_BUILD[pin]}\n"
        if not ACCELERATOR.match(entry):
            kept.append(entry)
    return "".join(kept)


def main() -> None:
    """Compile the `bench` extra of pyproject.toml against requirements.lock and write both files."""
    root = Path(__file__).resolve().parents[1]
    extra = tomllib.loads((root / "pyproject.toml").read_text())["project"]["optional-dependencies"]["bench"]
    command = [sys.executable, "-m", "uv", "pip", "compile", "--quiet", "--universal", "--generate-hashes",
               "--no-emit-index-url", "--no-header", "--python-version", "3.11", "--constraint", "requirements.lock",
               "-"]  # fmt: skip
    done = subprocess.run(command, cwd=root, input="\n".join(extra), stdout=subprocess.PIPE, text=True, check=True)
    (root / LOCK).write_text(done.stdout)
    (root / CPU_LOCK).write_text(cpu_lock(done.stdout))


if __name__ == "__main__":
    main()
