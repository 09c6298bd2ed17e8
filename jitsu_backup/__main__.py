"""`jitsu-backup`, and `python -m jitsu_backup`: a signal that comes before the command begins ends the process at once."""

import gc
import os
import signal
import sys
from typing import NoReturn

_INTERRUPTED = 130
_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _leave(*_: object) -> None:
    # an exception in the middle of an import may become another error, or crash a compiled module
    os._exit(_INTERRUPTED)


for _number in _ENDING:
    if signal.getsignal(_number) is not signal.SIG_IGN:
        signal.signal(_number, _leave)
if "watch" in sys.argv[1:]:  # signals end that well: they wait until the command line has been read
    signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    gc.disable()  # nothing that is loaded is garbage; `run` enables it
    from jitsu_backup.cli import main as run  # noqa: PLC0415  what is loaded takes a while

    run()


if __name__ == "__main__":
    main()
