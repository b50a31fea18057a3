"""What the command line prints: tables or one JSON object on standard output, all else on standard error."""

import json
import math
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

LINE_SECONDS = 10.0  # between two progress lines where there is no terminal


class Report(Protocol):
    """Where a run stands: trials done and in all, trials a second, seconds left."""

    @property
    def done(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def rate(self) -> float: ...
    @property
    def seconds_left(self) -> float: ...


def warn(text: str) -> None:
    """One line on standard error."""
    print(f"capsim: {' '.join(text.split())}", file=sys.stderr, flush=True)


def plain(value: Any) -> Any:
    """A value as JSON knows it: NumPy scalars as Python's, NaN and infinity as null, tuples as lists."""
    value = value.item() if hasattr(value, "item") and getattr(value, "ndim", 0) == 0 else value
    value = value.tolist() if hasattr(value, "tolist") else value
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if value is None or isinstance(value, (bool, int, float, str)) else str(value)


def print_json(value: Mapping[str, Any]) -> None:
    """The one object of `--json`."""
    print(json.dumps(plain(value), indent=2, allow_nan=False))


def show(value: Any) -> str:
    """A value as a cell of a table: four digits, nothing for missing.

    Example:
        >>> show(0.123456), show(None), show([0.1, 0.25]), show({"kappa": 0.5})
        ('0.1235', '', '[0.1, 0.25]', 'kappa 0.5')
    """
    value = plain(value)
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return f"[{', '.join(show(item) for item in value)}]"
    if isinstance(value, dict):
        return ", ".join(f"{name} {show(item)}" for name, item in value.items())
    return str(value)


def print_table(rows: Iterable[Mapping[str, Any]], columns: Sequence[str] | None = None, title: str = "") -> None:
    """Rows as a table; columns default to the keys of the first row."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listed = list(rows)
    names = list(columns or (listed[0] if listed else []))
    table = Table(title=title or None, title_justify="left", box=box.SIMPLE, pad_edge=False)
    for name in names:
        table.add_column(Text(name.replace("_", " ")), overflow="fold")
    for row in listed:
        table.add_row(*(Text(show(row.get(name))) for name in names))
    console = Console(width=None if sys.stdout.isatty() else 160)
    console.print(table)


def print_facts(facts: Mapping[str, Any]) -> None:
    """Names and values, one a line."""
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        print(f"{name.replace('_', ' '):<{width}}  {show(value)}")


class ProgressLine:
    """Shows a run's reports: a bar on a terminal, elsewhere a line every ten seconds.

    Use as a context manager; the object is the callable that takes the reports.
    """

    def __init__(self) -> None:
        self._bar: Any = None
        self._task: Any = None
        self._said = -math.inf

    def __enter__(self) -> "ProgressLine":
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

            columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
            self._bar = Progress(*columns, console=Console(stderr=True), transient=True)
            self._bar.start()
            self._task = self._bar.add_task("starting", total=None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def __call__(self, report: Report) -> None:
        pace = f"{report.rate:.2f} trials/s, {duration(report.seconds_left)} left"
        if self._bar is not None:
            self._bar.update(self._task, completed=report.done, total=report.total, description=pace)
        elif time.monotonic() - self._said > LINE_SECONDS or report.done == report.total:
            self._said = time.monotonic()
            print(f"{report.done}/{report.total} trials, {pace}", file=sys.stderr, flush=True)


def duration(seconds: float) -> str:
    """Seconds as people say them.

    Example:
        >>> duration(42.4), duration(400), duration(9000)
        ('42 s', '7 min', '2.5 h')
    """
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
