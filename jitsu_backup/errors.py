"""The error tree. Each branch carries the exit code that the command line ends with.

    BackupError                 1  failed
    ├── UsageError              2  wrong usage: a flag, a setting, an overlay
    │   └── NoKeyError          2  an archive is encrypted, and no usable key was given
    ├── IncompleteError         3  finished, but something is missing or differs
    ├── IntegrityError          5  an archive is damaged, forged, unreadable or newer
    │   └── NewerFormatError    5  an archive has a format that only a newer version reads
    ├── AccessError             6  authentication or permission
    │   ├── KeyRejectedError    6  the console rejects the API key or token itself
    │   ├── FileAccessError     6  no permission to write a file that a flag names
    │   ├── LockedError         6  none of the given keys opens the archive
    │   └── StorageAccessError  6  no permission to read or write a file, folder or store
    ├── DiskError               1  a disk is full or read-only
    ├── BlockedError            7  the plan needs a decision
    │   └── TargetChangedError  7  the target is not what the plan was made for
    ├── MistakeError            1  a bug in jitsu-backup
    ├── LateError               1  the deadline passed
    └── ConsoleError            1  the console rejected a request, or could not be reached
        ├── NotFoundError       1  the console knows no such workspace or entity
        └── UnreachableError    1  no Jitsu console answers at the address
            └── WrongAddressError 1  something else does; retrying does not help

Messages are one line and never hold a secret. They say what happened, where, and what to do, in that order. What depends
on a console or a store, or is a bug, gets what to do from its class, where the command line ends: `alarms.remedy_for`.
"""

import errno
from pathlib import Path
from typing import ClassVar, Self

from jitsu_backup.addresses import without_secrets

_ADVICE = {
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path",
    errno.EISDIR: "name a file",
    errno.EACCES: "change its permissions",
    errno.EPERM: "change its permissions",
    errno.EROFS: "make its disk writable, or name another place",
    errno.ENAMETOOLONG: "use a shorter name",
    errno.ENOSPC: "free space on its disk",
    errno.EDQUOT: "free space on its disk, or raise the quota",
    errno.EFBIG: "raise the limit of file sizes, or name another place",
}


EMPTY_IN_CI = "in CI, a secret that the job's environment does not have is empty"
"""Why a variable or a file that holds a secret may be empty, to stand in a message about one."""


def advice_on(problem: OSError) -> str:
    """Return what to do about a problem with a file or folder, to end a message with."""
    return _ADVICE.get(problem.errno or 0, "check its disk, or name another place")


def after_sentence(text: str, more: str) -> str:
    """Return `more` with its separator: a space if `text` ends a sentence, otherwise a semicolon."""
    return f" {more}" if text.endswith(("?", ".")) else f"; {more}"


class BackupError(Exception):
    """Base class of the errors that this package raises. `str()` is one line for a person."""

    exit_code: ClassVar[int] = 1
    advice = ""
    """What to do, if the message ends with it although errors of its class usually do not say it."""
    is_of_key = False
    """Whether a malformed API key or token is the reason. The advice says where the correct one belongs."""
    archive = ""
    """The file name of the archive that this is about, if it is about one of a store."""
    profile = ""
    """The `@profile` of the settings that names the console or the key that this is about, if one does."""

    def __init__(self, message: str = "") -> None:
        """Hide the credentials of URLs, because a message may repeat what somebody wrote in the wrong place."""
        super().__init__(without_secrets(message))

    def with_remedy(self, remedy: str) -> Self:
        """Return a copy of this error whose message ends with what to do."""
        again = self.with_context(after=after_sentence(str(self), remedy))
        again.advice = without_secrets(remedy)
        return again

    def reworded(self, message: str) -> Self:
        """Return a copy of this error, attributes included, with another message."""
        again = type(self).__new__(type(self))
        again.__dict__.update(self.__dict__)
        again.args = (without_secrets(message),)
        again.__cause__ = self.__cause__
        return again

    def with_context(self, *, before: str = "", after: str = "") -> Self:
        """Return a copy of this error, attributes included, with text before and after its message."""
        return self.reworded(f"{before}{self}{after}")


class UsageError(BackupError):
    """A flag, a setting or an input file is wrong. The message says which one, and what to do."""

    exit_code = 2


class SeveralWorkspacesError(UsageError):
    """A SNAPSHOT could be of several workspaces. `workspace_ids` are theirs, spelled as in file names."""

    workspace_ids: tuple[str, ...] = ()


class SeveralConsolesError(UsageError):
    """The store has archives of several consoles. `newest` is the address of the one with the newest archive of a missing workspace."""

    newest: str = ""


class NoKeyError(UsageError):
    """An archive is encrypted, and no identity or passphrase was given that could open it."""


class IncompleteError(BackupError):
    """The work is finished, but something is missing or differs. The report lists it."""

    exit_code = 3


class IntegrityError(BackupError):
    """An archive is damaged, forged, unreadable or of a newer format."""

    exit_code = 5
    misnamed = False
    """Whether the archive is undamaged, and only not what its name says."""

    @classmethod
    def of_misnamed(cls, message: str) -> Self:
        """Return the error about an archive that was renamed or replaced."""
        problem = cls(message)
        problem.misnamed = True
        return problem


class NewerFormatError(IntegrityError):
    """An archive has a format that only a newer version reads. It is not damaged."""


class FolderError(IntegrityError):
    """A folder of `unpack` has a file that cannot be read. The message names it."""


class AccessError(BackupError):
    """The key is wrong, expired or has no access."""

    exit_code = 6


class KeyRejectedError(AccessError):
    """The console rejects the API key or the operator's token itself, so no other request with it can succeed."""

    new_key = "create a new API key on the user settings page of the console"
    """What to do about it, without secrets."""


class LockedError(AccessError):
    """An archive is encrypted, and the identity or passphrase that was given does not open it."""


class FileAccessError(AccessError):
    """The user who runs this has no permission to write a file that a flag names, outside of any store."""


class StorageAccessError(AccessError):
    """The user who runs this has no permission to read or write a file, a folder or a store."""


class DiskError(BackupError):
    """A file could not be written, because its disk is full or read-only. The message says what to do."""


class BlockedError(BackupError):
    """The plan cannot be applied until the operator makes a decision.

    `flags` are added to the same command to decide as the message advises first. They are empty if a person has to find out
    something before.
    """

    exit_code = 7
    flags: tuple[str, ...] = ()

    def with_flags(self, *flags: str) -> Self:
        """Return a copy of this error with `flags`."""
        again = self.with_context()
        again.flags = flags
        return again


class TargetChangedError(BlockedError):
    """The target has changed since the plan was made. Nothing was written."""


REPORT = "remove secrets from the details, and report them to the developers"
"""What to do about a bug."""


class MistakeError(BackupError):
    """A bug in jitsu-backup. The text of the original exception is not shown, because it may hold a secret."""

    @classmethod
    def of(cls, bug: BaseException) -> Self:
        """Return the error for a bug. Its message says where the bug was raised."""
        where = bug.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        at = f" at {Path(where.tb_frame.f_code.co_filename).name}:{where.tb_lineno}" if where else ""
        error = cls(
            f"bug in jitsu-backup ({type(bug).__name__}{at}); run it again with JITSU_BACKUP_DEBUG=1 for details"
        )
        error.__cause__ = bug
        return error


class LateError(BackupError):
    """The deadline passed before the work was done.

    `away` is true if a console had not answered by then, `limited` if its rate limit was being waited for.
    """

    away = limited = False


class ConsoleError(BackupError):
    """The console rejected a request, or kept failing."""


class NotFoundError(ConsoleError):
    """The console has no such workspace or entity."""


class UnreachableError(ConsoleError):
    """No Jitsu console answers at that address."""


class WrongAddressError(UnreachableError):
    """Something other than a Jitsu console answers at that address, or this machine may not connect to it."""
