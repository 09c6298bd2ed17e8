"""How a signal ends a run: where a loop runs, by cancelling what it does, and never in the middle of other code."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_cancel: list[Callable[[], object]] = []


@contextmanager
def cancelled_by(cancel: Callable[[], object]) -> Iterator[None]:
    """Let the first signal call `cancel` while this lasts."""
    _cancel.append(cancel)
    try:
        yield
    finally:
        _cancel.clear()


def interrupt(*_: object) -> None:
    """Be the handler of SIGTERM and SIGHUP: they end a run as Ctrl-C does, also where Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a script
        if _cancel:
            _cancel.pop()()
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)
