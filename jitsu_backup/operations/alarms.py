"""Alarms: which workspace, what is wrong, why, and what to do.

Standard error, the log, the monitor and the metrics all show the same values.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum
from math import inf

from jitsu_backup.addresses import without_secrets
from jitsu_backup.errors import (
    REPORT,
    AccessError,
    BackupError,
    ConsoleError,
    DiskError,
    FileAccessError,
    FolderError,
    IntegrityError,
    KeyRejectedError,
    LateError,
    LockedError,
    MistakeError,
    NotFoundError,
    StorageAccessError,
    UnreachableError,
    WrongAddressError,
    after_sentence,
)
from jitsu_backup.model import one_line, some_of, with_commands_apart

LONGEST_REASON = 600
"""Characters of a reason. Longer ones are cut in the middle: an error's beginning and end say most."""

_LONGEST_REMEDY = 2 * LONGEST_REASON
"""Characters of a remedy, whose commands may name recipients, and must not be cut."""


class What(Enum):
    """What can be wrong: its name in metrics and the log, and its words in a message."""

    FAILED = "failed", "not backed up"
    INCOMPLETE = "incomplete", "is incomplete"
    SHRUNK = "shrunk", "has shrunk"
    DAMAGED = "damaged", "had a damaged archive"
    WEAKER = "weaker", "was read with a weaker key than before"
    LOST = "lost", "has lost an archive"
    MOVED = "moved", "now names another workspace"
    UNSEEN = "unseen", "is in the store, but this key cannot see it"
    UNCOMPARED = "uncompared", "nothing was compared with the existing archives"
    NOT_PRUNED = "not_pruned", "old archives were not removed"
    NOT_PUT_ASIDE = "not_put_aside", "damaged archives were not quarantined"
    NOT_UNPACKED = "not_unpacked", "the folder is not up to date"
    UNREADABLE = "unreadable", "has an archive that cannot be read"
    NOT_RESTORABLE = "not_restorable", "cannot be restored completely"
    LACKING = "lacking", "could not be recovered completely on an empty console"
    RUN_FAILED = "run_failed", ""
    INTERRUPTED = "interrupted", ""

    def __init__(self, label: str, words: str) -> None:
        """Store the two texts of a member."""
        self.label, self.words = label, words


OF_A_WORKSPACE = (What.FAILED, What.INCOMPLETE, What.SHRUNK, What.DAMAGED, What.WEAKER, What.LOST, What.MOVED)
"""What a backup can find wrong with a workspace that it backs up."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong. `workspace` is a slug or id, or empty for the whole run. `remedy` says what to do.

    Each text is one line without secrets. Long texts are cut.
    """

    what: What
    why: str
    remedy: str = ""
    workspace: str = ""

    def __post_init__(self) -> None:
        """Cut the texts that are too long."""
        for name in ("why", "workspace"):
            object.__setattr__(self, name, cut(getattr(self, name)))
        object.__setattr__(self, "remedy", cut(self.remedy, _LONGEST_REMEDY))

    def __str__(self) -> str:
        """Return the alarm in one line."""
        return self._sentence + self._after(self.remedy)

    @property
    def for_a_person(self) -> str:
        """The alarm with each command of its remedy on a line of its own."""
        return self._sentence + self._after(with_commands_apart(self.remedy))

    @property
    def _sentence(self) -> str:
        return ": ".join(filter(None, (self._head, self.why)))

    def _after(self, remedy: str) -> str:
        return after_sentence(self._sentence, remedy) if remedy else ""

    @property
    def _head(self) -> str:
        between = ": " if self.what is What.FAILED else " "
        return between.join(filter(None, (self.workspace, self.what.words)))

    def around(self, failure: BackupError) -> BackupError:
        """Return the failure with the workspace before its message, and the remedy in place of its own advice."""
        before = f"{self._head}: " if self._head else ""
        if not self.remedy:
            return failure.with_context(before=before)
        why, _ = told_apart(failure)
        return failure.reworded(f"{before}{why}").with_remedy(self.remedy)

    def document(self) -> dict[str, str]:
        """Return the alarm for JSON."""
        why = self.why or self.what.words
        return {"workspace": self.workspace, "what": self.what.label, "why": why, "remedy": self.remedy}


def cut(text: str, most: int = LONGEST_REASON) -> str:
    """Return a text as one line of at most `most` characters."""
    line = one_line(without_secrets(text))
    if len(line) <= most:
        return line
    start = most * 2 // 3
    return f"{line[:start]}…{line[start + 1 - most :]}"


Again = Callable[..., str]
"""A function that takes a command's arguments and returns its command line, quoted for a shell."""

FOR_EVER = inf
"""How long a service waits for a console, because it tries again by itself."""


_REMEDIES: tuple[tuple[type[object], str], ...] = (
    (LockedError, "look for the key where you keep your keys; no archive contains it"),
    (FileAccessError, "correct its permissions, or name another place"),
    (StorageAccessError, "correct the permissions, then test the store with {check}"),
    (DiskError, "the next run tries again"),
    (KeyRejectedError, "{new_key}; then test it with {check}"),
    (AccessError, "check the key, and see what it may read with {check}"),
    (NotFoundError, "it may have been deleted, or its slug changed; see what exists with {all}"),
    (WrongAddressError, "check the host, its certificate and the proxy with {check}"),
    (LateError, "set a later --deadline, or split the workspaces with --shard"),
    (UnreachableError, "give {longer} to wait until the console is back; {later}"),
    (ConsoleError, "{later}"),
    (FolderError, "correct the folder, or run `unpack` again"),
    (IntegrityError, "list the other snapshots with {snapshots}"),
    (MistakeError, REPORT),
    (OSError, "check whether the disk is full, and whether the program that reads the output still runs"),
    (object, "test settings, console and store with {check}"),
)
"""What to do about a failure, by its type. The first match counts."""


_OF_CHECK: tuple[tuple[type[object], str], ...] = (
    (StorageAccessError, "correct the permissions"),
    (KeyRejectedError, "{new_key}"),
    (
        AccessError,
        "use an API key of a member: everybody creates their own on the user settings page of the console",
    ),
    (NotFoundError, "see what the key can read with {check}"),
    (WrongAddressError, "correct the host, its certificate or the proxy"),
    (UnreachableError, "check host and network, or give {longer} to wait until the console is back"),
    (ConsoleError, "try again later, or ask who runs the console"),
)
"""The same for `check` itself, to which the others refer."""


_OF_A_SERVICE: tuple[tuple[type[object], str], ...] = (
    (DiskError, "the watch tries again by itself"),
    (KeyRejectedError, "{new_key}; test it with {check}"),
    (WrongAddressError, "check the host, its certificate and the proxy with {check}"),
    (LateError, "{later}"),
    (UnreachableError, "{later}"),
    *_REMEDIES,
)
"""The same for a service, which continues by itself."""


_BY_CLASS = (StorageAccessError, AccessError, ConsoleError, LateError, MistakeError)
"""Errors that depend on a console, a store or a clock, or are bugs: their remedy is that of their class."""


_BOTH = (AccessError, DiskError, IntegrityError)
"""Errors whose class says what to do after what their message says."""


def advised(
    failure: BackupError, again: Again, waits: float | None = None, *, checks: bool = False
) -> BackupError:
    """Return the failure of a command that a person ran, with what to do about it unless its message says it.

    `again` and `waits` are as in `remedy_for`. `checks` says that the command was `check`.
    """
    if failure.is_of_key and "`" not in failure.advice and not checks:
        why, remedy = why_and_remedy(failure, again)
        return failure.reworded(why).with_remedy(remedy)
    if failure.advice or isinstance(failure, LockedError) or not isinstance(failure, _BY_CLASS):
        return failure
    remedies = (*_OF_CHECK, *_REMEDIES) if checks else _REMEDIES
    later = "try again later, or test the console now"
    return failure.with_remedy(_remedy(failure, remedies, later, again, waits=waits))


def remedy_for(
    failure: BaseException | None,
    again: Again,
    workspace: str = "",
    waits: float | None = None,
) -> str:
    """Return what to do about a failure of an unattended run, whose message may not say it.

    `waits` is how many seconds the run waited for an unreachable console, None if it only tried a few times, or FOR_EVER.
    """
    if waits == FOR_EVER:
        return _remedy(
            failure, _OF_A_SERVICE, "the watch tries again by itself; test the console now", again, workspace
        )
    return _remedy(failure, _REMEDIES, "the next run tries again; try now", again, workspace, waits)


def _remedy(
    failure: BaseException | None,
    remedies: Iterable[tuple[type[object], str]],
    later: str,
    again: Again,
    workspace: str = "",
    waits: float | None = None,
) -> str:
    profile = failure.profile if isinstance(failure, BackupError) else ""
    check = f"`{again('check', *filter(None, [profile or workspace]))}`"
    if isinstance(failure, LateError) and failure.away:
        return f"the console did not answer in time; {later} with {check}"
    if isinstance(failure, LateError) and failure.limited:
        return "set a later --deadline, or use a key that nothing else uses"
    if isinstance(failure, StorageAccessError) and failure.advice:
        return f"test the store with {check}"
    if isinstance(failure, AccessError) and failure.advice:
        return f"then test it with {check}"
    if isinstance(failure, IntegrityError) and failure.advice:
        return ""
    longer = "--retry-for 10m" if waits is None else f"a --retry-for of more than {waits:.0f}s"
    remedy = next(words for kind, words in remedies if isinstance(failure, kind))
    new_key = failure.new_key if isinstance(failure, KeyRejectedError) else ""
    return remedy.format(
        check=check,
        all=f"`{again('check')}`",
        later=f"{later} with {check}",
        longer=longer,
        snapshots=f"`{again('snapshots')}`",
        new_key=new_key,
    )


def why_and_remedy(
    failure: BaseException | None, again: Again, workspace: str = "", waits: float | None = None
) -> tuple[str, str]:
    """Return why something failed, and what to do: what its message says, then what its class does.

    `again` and `waits` are as in `remedy_for`.
    """
    why, advice = told_apart(failure)
    if advice and not isinstance(failure, _BOTH):
        return why, advice
    return why, "; ".join(filter(None, (advice, remedy_for(failure, again, workspace, waits))))


def told_apart(failure: BaseException | None) -> tuple[str, str]:
    """Return why something failed, and what its message says to do about it, which may be nothing."""
    text = reason_of(failure)
    advice = failure.advice if isinstance(failure, BackupError) else ""
    if advice and text.endswith(advice):
        return text.removesuffix(advice).rstrip().removesuffix(";"), advice
    if advice or isinstance(failure, _BY_CLASS) or not isinstance(failure, BackupError):
        return text, ""
    why, _, advice = text.partition("; ")
    return why, advice


def reason_of(failure: BaseException | None) -> str:
    """Return why something failed, in one line without secrets."""
    if failure is None:
        return ""
    return str(failure if isinstance(failure, BackupError) else MistakeError.of(failure))


def reasons_in_words(reasons: Iterable[tuple[str, str]], most: int = 3) -> str:
    """Return what could not be read and why, grouped by reason. Each of `reasons` is (what, why)."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for what, why in reasons:
        by_reason[why].append(what)
    lines = [f"{some_of(_counted(whats), most)} could not be read: {why}" for why, whats in by_reason.items()]
    return some_of(lines, most, "; ")


def _counted(names: list[str]) -> list[str]:
    return [
        f"{name} ({count} with this name)" if count > 1 else name for name, count in Counter(names).items()
    ]


def reasons_for(failures: Collection[str]) -> str:
    """Return how many things could not be done, and why. `failures` has a reason for each."""
    return f"{len(failures)} of them: {some_of(list(dict.fromkeys(failures)), 3, '; ')}"


def told_in(alarms: Iterable[Alarm], room: int) -> Iterator[str]:
    """Yield the lines of the alarms that fit into `room` bytes (line ends included), then how many are left out."""
    left = list(map(str, alarms))
    while left:
        rest = f"… and {len(left)} more"
        size = len(left[0].encode()) + 1
        if size + len(rest.encode()) > room and (len(left) > 1 or size > room):
            yield rest
            return
        room -= size
        yield left.pop(0)
