"""The history of a workspace: what changed between its snapshots, step by step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from jitsu_backup.archive import ArchiveName
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning.changes import EntityChange


@dataclass(frozen=True, slots=True)
class Author:
    """Who made a change, as the console's audit log tells it.

    `at` is in UTC. `key` is the id of the API key, None for a change in the user interface; `way` is how the console
    calls the way the change came ("ui", "api", "cli", "mcp"), None where it does not say. `ours` are changes that this tool made.
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

    `lineage` identifies the entity over renames and over new ids that restores gave it: it is the same text in all its
    changes. `selector` names the entity in the archive of before, as SELECTOR does, or in that of after where it was added.
    `way_back` are the arguments of `restore` that bring back the state of before; there are none where it is the state of
    now, because what was added is gone again. `authors` are those who changed it in that time, newest first, where the audit
    log tells.
    """

    change: EntityChange
    lineage: str
    selector: str
    authors: tuple[Author, ...] = ()
    way_back: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Step:
    """What changed between two archives: `before` is the last with the earlier state, `after` the first with the later.

    `console` is the address of its console where several have a workspace of that id, else empty.
    """

    before: ArchiveName
    after: ArchiveName
    changes: tuple[HistoryChange, ...]
    console: str = ""


@dataclass(frozen=True, slots=True)
class Passing:
    """An entity that the audit log knows and no snapshot saw: it was made and deleted between two of them."""

    type: str
    id: str
    name: str | None
    authors: tuple[Author, ...]


@dataclass(frozen=True, slots=True)
class History:
    """The history of one workspace, newest step first.

    `archives` are those that count, oldest first; `unread` are those that could not be read, each with the reason.
    `newest` is the state at the end, None where nothing could be read; `lineages` gives the lineage of each key in it.
    `notes` tell what does not count, and why. `console` is the address of its console where several have a workspace of that
    id, else empty.
    """

    workspace_id: str
    slug: str
    steps: tuple[Step, ...] = field(repr=False)  # thousands, and asyncio may write out what a task returns
    archives: tuple[ArchiveName, ...] = field(repr=False)
    unread: tuple[tuple[ArchiveName, str], ...] = field(default=(), repr=False)
    newest: Snapshot | None = field(default=None, repr=False)
    passing: tuple[Passing, ...] = ()
    notes: tuple[str, ...] = ()
    lineages: Mapping[Key, str] = field(default_factory=dict, repr=False)
    console: str = ""

    @property
    def called(self) -> str:
        """What the workspace is called: by its slug, and its console where that is not clear."""
        return f"{self.slug} on {self.console}" if self.console else self.slug
