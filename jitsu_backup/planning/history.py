"""The history of a workspace: what changed between its snapshots, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jitsu_backup.archive import ArchiveName
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning.changes import EntityChange


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change, according to the console's audit log.

    `at` is in UTC. `key` is the id of the API key, None for a change in the user interface; `way` is the console's word for
    how the change was made ("ui", "api", "cli", "mcp"), None if unknown. `ours` marks changes that this tool made.
    """

    who: str
    at: datetime
    key: str | None = None
    way: str | None = None
    ours: bool = False
    email: str | None = None


@dataclass(frozen=True, slots=True)
class HistoryChange:
    """One change of one entity.

    `lineage` identifies the entity across renames and new ids that restores gave it: all its changes have the same text.
    `selector` selects the entity in the archive before the change, or in the one after it if it was added. `way_back` are
    the arguments of `restore` that bring back the previous state; empty if that is the current state, because what was
    added no longer exists. `authors` are those who changed it in that time, newest first, if the audit log lists them.
    """

    change: EntityChange
    lineage: str
    selector: str
    authors: tuple[Author, ...] = ()
    way_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What changed between two archives: `before` is the last with the earlier state, `after` the first with the later.

    `console` is the address of the console if several consoles have a workspace of that id, else empty.
    """

    before: ArchiveName
    after: ArchiveName
    changes: tuple[HistoryChange, ...]
    console: str = ""


@dataclass(frozen=True, slots=True)
class Passing:
    """An entity that only the audit log lists: it was created and deleted between two snapshots."""

    type: str
    id: str
    name: str | None
    authors: tuple[Author, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The history of one workspace, newest step first.

    `archives` are those that count, oldest first; `unread` are those that could not be read, each with the reason.
    `newest` is the state at the end, None if nothing could be read; `lineages` gives the lineage of each key in it.
    `notes` say what does not count, and why. `console` is the address of the console if several consoles have a workspace
    of that id, else empty.
    """

    workspace_id: str
    slug: str
    steps: tuple[Step, ...] = field(
        repr=False
    )  # there are thousands, and asyncio may log what a task returns
    archives: tuple[ArchiveName, ...] = field(repr=False)
    unread: tuple[tuple[ArchiveName, str], ...] = field(default=(), repr=False)
    newest: Snapshot | None = field(default=None, repr=False)
    passing: tuple[Passing, ...] = ()
    notes: tuple[str, ...] = ()
    lineages: Mapping[Key, str] = field(default_factory=dict, repr=False)
    console: str = ""

    @property
    def called(self) -> str:
        """The name to show: the slug, with the console if the slug is ambiguous."""
        return f"{self.slug} on {self.console}" if self.console else self.slug
