"""Where groups of trials run: any `concurrent.futures.Executor`; here, this process."""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class LocalExecutor(Executor):
    """Runs each call at once, in this thread: JAX already spreads one group over all local devices.

    An error is kept in the future; an interrupt from the keyboard is not, it ends the run.
    """

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """Run `fn` now and return its finished future."""
        future: Future[Any] = Future()
        future.set_running_or_notify_cancel()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:
            future.set_exception(error)
        return future


def local_engine() -> Executor:
    """The engine of a single machine.

    Example:
        >>> with local_engine() as engine:
        ...     [future.result() for future in [engine.submit(pow, 2, n) for n in (1, 2, 3)]]
        [2, 4, 8]
    """
    return LocalExecutor()
