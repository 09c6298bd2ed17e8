"""`jitsu-backup`, and `python -m jitsu_backup`: a signal that comes while the program is loaded ends it as later ones do."""

import gc
import os
import signal
from typing import NoReturn

_INTERRUPTED = 130


def _leave(*_: object) -> None:
    os._exit(_INTERRUPTED)  # nothing has been begun


for _number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    if signal.getsignal(_number) is not signal.SIG_IGN:
        signal.signal(_number, _leave)


def main() -> NoReturn:
    """Run the command line and end the process with its exit code."""
    gc.disable()  # nothing that is loaded is garbage; `run` enables it
    from jitsu_backup.cli import main as run  # noqa: PLC0415  what is loaded takes a while

    if signal.getsignal(signal.SIGINT) is _leave:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    run()


if __name__ == "__main__":
    main()
