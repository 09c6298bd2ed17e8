"""The error tree. Each branch carries the exit code that the command line ends with.

    BackupError                 1  failed
    ├── UsageError              2  wrong usage: a flag, a setting, an overlay
    ├── IncompleteError         3  finished, but something is missing or differs
    ├── IntegrityError          5  an archive is damaged, forged, unreadable or newer
    ├── AccessError             6  authentication or permission
    ├── BlockedError            7  the plan needs a decision
    └── ConsoleError            1  the console refused, or could not be reached
        ├── NotFoundError       1  the console knows no such workspace or entity
        └── UnreachableError    1  no Jitsu console answers there

Messages are one line, fit to be shown, and never hold a secret.
"""

from typing import ClassVar


class BackupError(Exception):
    """Anything this package raises on purpose. `str()` is one line for a person."""

    exit_code: ClassVar[int] = 1


class UsageError(BackupError):
    """A flag, setting or input file is wrong; says which and what to do."""

    exit_code = 2


class IncompleteError(BackupError):
    """The work ended, but something is missing or differs; the report lists it."""

    exit_code = 3


class IntegrityError(BackupError):
    """An archive is damaged, forged, unreadable or of a newer format."""

    exit_code = 5


class AccessError(BackupError):
    """The key is wrong, expired or has no access."""

    exit_code = 6


class BlockedError(BackupError):
    """The plan cannot be carried out without a decision of the operator."""

    exit_code = 7


class ConsoleError(BackupError):
    """The console refused a request for good, or kept failing."""


class NotFoundError(ConsoleError):
    """The console knows no such workspace or entity."""


class UnreachableError(ConsoleError):
    """No Jitsu console answers at that address."""
