"""The other end of `benchmarks.worker`: starts it, asks it, and turns whatever goes wrong into a reason."""

import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from benchmarks.workloads import Workload

PATIENCE = 180.0  # seconds for one answer, compilation included
PLAIN = ("XLA_FLAGS", "JAX_NUM_CPU_DEVICES")  # what a baseline's process must not inherit


class VariantError(Exception):
    """A variant gave no number; the message is the reason."""


class Worker:
    """A process that times variants, started at its first request and again after a crash. A context manager.

    Args:
        kind: "capsim" or "plain".
        environment: variables to set.
        patience: seconds to wait for an answer.
    """

    def __init__(self, kind: str, environment: Mapping[str, str] | None = None, patience: float = PATIENCE) -> None:
        self.kind, self.patience = kind, patience
        self.environment = {name: value for name, value in os.environ.items() if name not in PLAIN}
        self.environment |= environment or {}
        self._process: subprocess.Popen[str] | None = None
        self._errors: Any = None

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def ask(self, variant: str, work: Workload, limit: float) -> tuple[Any, str]:
        """What the variant measures on this workload, and its note.

        Raises:
            VariantError: with the reason.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            print(json.dumps({"variant": variant, "work": work._asdict(), "limit": limit}), file=process.stdin)
            process.stdin.flush()
            if not select.select([process.stdout], [], [], self.patience)[0]:
                self._stop()
                raise VariantError(f"no answer within {self.patience:.0f} s")
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise VariantError(self._last_words())
        reply = json.loads(line)
        if "error" in reply:
            raise VariantError(reply["error"])
        return reply["value"], reply["note"]

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - it lives as long as the process
            self._process = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.worker", self.kind], env=self.environment, text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
            )  # fmt: skip
        return self._process

    def _last_words(self) -> str:
        assert self._process is not None
        code = self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines()
        self._stop()
        return f"its process ended with code {code}" + (f": {lines[-1][:200]}" if lines else "")

    def _stop(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._errors.close()
            self._process = None
