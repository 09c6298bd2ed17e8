"""What is wrong, for a person who was asleep: which workspace, what, why and what to do.

An alarm is one value for standard error, the log, the monitor and the figures.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from jitsu_backup.errors import (
    AccessError,
    BackupError,
    ConsoleError,
    FolderError,
    IntegrityError,
    LateError,
    LockedError,
    MistakeError,
    NotFoundError,
    StorageAccessError,
    UnreachableError,
    WrongAddressError,
)
from jitsu_backup.model import one_line, some_of

LONGEST_REASON = 600
"""Characters of a reason or a remedy. Longer ones are cut in the middle, because an error's beginning and end say most."""


class What(Enum):
    """What can be wrong: its name in figures and the log, and the words for a person."""

    FAILED = "failed", "not backed up"
    INCOMPLETE = "incomplete", "is incomplete"
    SHRUNK = "shrunk", "has shrunk"
    DAMAGED = "damaged", "had a damaged archive"
    WEAKER = "weaker", "was read with a weaker key than before"
    LOST = "lost", "has lost an archive"
    MOVED = "moved", "names another workspace now"
    UNSEEN = "unseen", "is in the store, but this key does not see it"
    UNCOMPARED = "uncompared", "nothing was compared with the archives that are there"
    NOT_PRUNED = "not_pruned", "old archives stay"
    NOT_PUT_ASIDE = "not_put_aside", "damaged archives stay where they are"
    NOT_UNPACKED = "not_unpacked", "the folder is not up to date"
    UNREADABLE = "unreadable", "has an archive that cannot be read"
    NOT_RESTORABLE = "not_restorable", "does not come back whole"
    LACKING = "lacking", "would lack something on an empty console"
    RUN_FAILED = "run_failed", ""
    INTERRUPTED = "interrupted", ""

    def __init__(self, label: str, words: str) -> None:
        """Hold the member's two texts."""
        self.label, self.words = label, words


OF_A_WORKSPACE = (What.FAILED, What.INCOMPLETE, What.SHRUNK, What.DAMAGED, What.WEAKER, What.LOST, What.MOVED)
"""What a backup can find wrong with a workspace that it was asked for."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """One thing that is wrong. `workspace` is a slug or id, empty where the whole run is meant; `remedy` says what to do.

    Texts are one line without secrets, and are cut where they are long.
    """

    what: What
    why: str
    remedy: str = ""
    workspace: str = ""

    def __post_init__(self) -> None:
        """Cut the texts that are too long."""
        for name in ("why", "remedy", "workspace"):
            object.__setattr__(self, name, cut(getattr(self, name)))

    def __str__(self) -> str:
        """Return it in one line."""
        told = ": ".join(filter(None, (self._head, self.why)))
        return told + (after_sentence(told, self.remedy) if self.remedy else "")

    @property
    def _head(self) -> str:
        between = ": " if self.what is What.FAILED else " "
        return between.join(filter(None, (self.workspace, self.what.words)))

    def around(self, failure: BackupError) -> BackupError:
        """Return the failure that this alarm is about, with whose it is before its message, and what to do after it."""
        before = f"{self._head}: " if self._head else ""
        after = after_sentence(str(failure), self.remedy) if self.remedy else ""
        return failure.with_context(before=before, after=after)

    def document(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"workspace": self.workspace, "what": self.what.label, "why": self.why, "remedy": self.remedy}


def cut(text: str) -> str:
    """Return a text in one line of LONGEST_REASON characters at most."""
    line = one_line(text)
    if len(line) <= LONGEST_REASON:
        return line
    start = LONGEST_REASON * 2 // 3
    return f"{line[:start]}…{line[start + 1 - LONGEST_REASON :]}"


def after_sentence(text: str, more: str) -> str:
    """Return `more` with what joins it to a text: a space after a question mark or a full stop, else a semicolon."""
    return f" {more}" if text.endswith(("?", ".")) else f"; {more}"


Again = Callable[..., str]
"""A function that takes a command's arguments and returns the command line to run later, quoted for a shell."""


_REMEDIES: tuple[tuple[type[object], str], ...] = (
    (LockedError, "look for that key where keys are kept: no archive holds it"),
    (StorageAccessError, "{check} tries the store once its rights are mended"),
    (AccessError, "{check} shows what the key may read"),
    (NotFoundError, "was it deleted, or its slug changed? {check}"),
    (WrongAddressError, "look at the host, its certificate and the proxy on the way; {check} tries them"),
    (LateError, "give it a later --deadline, or --shard the workspaces"),
    (
        UnreachableError,
        "the next run tries again; {check} tries now, and {longer} waits for a console that restarts",
    ),
    (ConsoleError, "the next run tries again; {check} tries now"),
    (FolderError, "mend the folder, or run `unpack` again"),
    (IntegrityError, "{snapshots} lists the others"),
    (MistakeError, "report it, with what JITSU_BACKUP_DEBUG=1 shows"),
    (OSError, "is the disk full, or did the program end that reads the output?"),
    (object, "{check} tries settings, console and store"),
)
"""What to do about a failure, by its kind: the first that fits."""


def remedy_for(
    failure: BaseException | None, again: Again, workspace: str = "", waits: float | None = None
) -> str:
    """Say what to do about a failure whose message does not.

    `waits` is how many seconds the run waited for a console that was away, None where it only tried a few times.
    """
    check = f"`{again('check', *filter(None, [workspace]))}`"
    if isinstance(failure, LateError) and failure.away:
        return f"the console does not answer as it should; {check} tries now, and the next run tries again"
    longer = "--retry-for 10m" if waits is None else f"a --retry-for of more than {waits:.0f}s"
    remedy = next(words for kind, words in _REMEDIES if isinstance(failure, kind))
    return remedy.format(check=check, longer=longer, snapshots=f"`{again('snapshots')}`")


def reason_of(failure: BaseException | None) -> str:
    """Say why something failed, in one line without secrets."""
    if failure is None:
        return ""
    return str(failure if isinstance(failure, BackupError) else MistakeError.of(failure))


def reasons_in_words(reasons: Iterable[tuple[str, str]], most: int = 3) -> str:
    """Say what could not be read and why, grouped by reason. Each of `reasons` is (what, why)."""
    by_reason: dict[str, list[str]] = defaultdict(list)
    for what, why in reasons:
        by_reason[why].append(what)
    told = [f"{some_of(_counted(whats), most)} could not be read: {why}" for why, whats in by_reason.items()]
    return some_of(told, most, "; ")


def _counted(names: list[str]) -> list[str]:
    return [f"{name} ({count} of that name)" if count > 1 else name for name, count in Counter(names).items()]


def reasons_for(failures: Collection[str]) -> str:
    """Say how many things could not be done, and why not. `failures` has a reason for each."""
    return f"{len(failures)} of them: {some_of(list(dict.fromkeys(failures)), 3, '; ')}"


def told_in(alarms: Iterable[Alarm], room: int) -> Iterator[str]:
    """Yield alarms in words while they fit into `room` bytes, line ends included, then how many are left."""
    left = list(map(str, alarms))
    while left:
        rest = f"… and {len(left)} more"
        size = len(left[0].encode()) + 1
        if size + len(rest.encode()) > room and (len(left) > 1 or size > room):
            yield rest
            return
        room -= size
        yield left.pop(0)
