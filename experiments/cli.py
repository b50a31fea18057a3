"""The command line: with the commands, the only place that may import everything, and does so as late as it can.

A wrong word is refused before JAX is loaded. Exit codes: 0 done; 1 some trials failed, or the machine did (a full
disk); 2 a usage error, in one line on standard error.
"""

import contextlib
import functools
import io
import itertools
import os
import re
import sys
from collections.abc import Callable, Sequence
from typing import Any

import tyro

from experiments.commands.checking import selfcheck
from experiments.commands.extrapolating import extrapolate
from experiments.commands.inspecting import replay, why
from experiments.commands.listing import list_
from experiments.commands.predicting import plan, predict
from experiments.commands.reading import export, figures, fit, report, verdict
from experiments.commands.running import bench, calibrate, run, status, tune
from experiments.commands.sheet import sheet
from experiments.commands.synthesising import synthesis
from experiments.commands.testing import selftest
from experiments.console import warn
from experiments.factors import UsageError

COMMANDS: dict[str, Callable[..., int]] = {
    "list": list_,
    "run": run,
    "status": status,
    "export": export,
    "fit": fit,
    "predict": predict,
    "plan": plan,
    "extrapolate": extrapolate,
    "verdict": verdict,
    "synthesis": synthesis,
    "figures": figures,
    "report": report,
    "sheet": sheet,
    "tune": tune,
    "calibrate": calibrate,
    "bench": bench,
    "selftest": selftest,
    "selfcheck": selfcheck,
    "why": why,
    "replay": replay,
}


def _later(command: Callable[..., int]) -> Callable[..., Callable[[], int]]:
    """A function with the same arguments that only remembers them, so that parsing and running stay apart."""

    @functools.wraps(command)
    def remember(*args: Any, **kwargs: Any) -> Callable[[], int]:
        return functools.partial(command, *args, **kwargs)

    return remember


def _parse(arguments: Sequence[str] | None) -> Callable[[], int]:
    """Read the command line; tyro's boxed complaint becomes one line.

    Raises:
        UsageError: it makes no sense. SystemExit: help was asked for and shown.
    """
    complaint = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaint):
            return tyro.extras.subcommand_cli_from_dict(
                {name: _later(command) for name, command in COMMANDS.items()},
                prog="capsim",
                description="Does the number of outputs set the accuracy of deep learning? A survey's theory, tested.",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UsageError(_one_line(complaint.getvalue())) from None


def _one_line(boxed: str) -> str:
    """The first paragraph below the title of a message in a box, drawn with line characters or in ASCII.

    Example:
        >>> _one_line("╭─ Value error ─╮\\n│ no such │\\n│ thing │\\n│ ───── │\\n│ help │")
        'no such thing'
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", boxed)
    lines = [line.strip("│ ") for line in text.splitlines() if not line.startswith(("╭", "╰"))]
    groups = itertools.groupby(lines, key=lambda line: bool(line.strip("─-")))  # rules and empty lines part paragraphs
    paragraphs = [" ".join(" ".join(group).split()) for says, group in groups if says]
    body = paragraphs if "╭" in text else paragraphs[1:]  # in ASCII the title is a paragraph of its own
    if len(body) > 1 and body[1].startswith("Available"):
        return f"{body[0]}. {body[1]}"
    return body[0] if body else "the arguments make no sense: see `capsim --help`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code.

    Args:
        arguments: without the program's name; by default those of this process.
    """
    try:
        return _parse(arguments)()
    except UsageError as error:
        warn(str(error))
        return 2
    except KeyboardInterrupt:
        warn("interrupted; what had finished is stored, and the same command goes on from there")
        return 130
    except BrokenPipeError:  # the reader of our output has closed it, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        warn(f"{error.strerror or error}: {error.filename}" if error.filename else str(error))
        return 1
