"""Signals end a run. If an event loop is running, they cancel its task."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_cancel: list[Callable[[], object]] = []


def handle_signals() -> None:
    """Let Ctrl-C, and SIGTERM and SIGHUP, which cron and Kubernetes send, end the command that begins now as an exception.

    Before, when modules are loaded, they end the process, because nothing has been begun.
    """
    with suppress(ValueError):  # not the main thread
        if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, interrupt)
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # else nohup asked to ignore it
            signal.signal(signal.SIGHUP, interrupt)


def let_in() -> None:
    """Unblock the signals that waited until the command line was read. Raise KeyboardInterrupt if one arrived."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)


@contextmanager
def heard_by(hear: Callable[[], object]) -> Iterator[None]:
    """Let signals call `hear` within this context, and do nothing afterwards."""
    for number in _ENDING:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup has set it
            signal.signal(number, lambda *_: hear())
    try:
        yield
    finally:
        ignore_signals()


@contextmanager
def cancelled_by(cancel: Callable[[], object]) -> Iterator[None]:
    """Let the first signal call `cancel` within this context."""
    _cancel.append(cancel)
    try:
        yield
    finally:
        _cancel.clear()


def interrupt(*_: object) -> None:
    """Handle SIGTERM and SIGHUP: end the run as Ctrl-C does, even if Ctrl-C is ignored."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in a background job of a script
        if _cancel:
            _cancel.pop()()
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.raise_signal(signal.SIGINT)


def ignore_signals() -> None:
    """Let no signal change how the process ends, because everything is done and reported."""
    for number in _ENDING:
        with suppress(ValueError):  # not the main thread
            signal.signal(number, signal.SIG_IGN)
