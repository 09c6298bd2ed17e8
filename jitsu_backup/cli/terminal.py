"""Whether a person runs this."""

import sys


def at_terminal() -> bool:
    """Return whether a person sees standard error."""
    return sys.stderr is not None and sys.stderr.isatty()
