"""What a recovery on an empty console lacks, however whole the archive is: secrets, grants and write keys."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from jitsu_backup.catalogue import has_grant
from jitsu_backup.model import Key, Snapshot, quoted, unknown_secrets
from jitsu_backup.planning import Plan


class Kind(Enum):
    """What is lacking: the name that JSON and figures have for it, and what to do about it, for one and for several."""

    SECRET = "secrets", "secret to give by overlay", "secrets to give by overlay"
    GRANT = "grants", "grant to authorise again in the UI", "grants to authorise again in the UI"
    WRITE_KEY = "write_keys", "new write key for senders", "new write keys for senders"

    def __init__(self, label: str, one: str, several: str) -> None:
        self.label, self.one, self.several = label, one, several


@dataclass(frozen=True, slots=True)
class Lacking:
    """One thing that does not come back: of the entity `key`, at `path` where it is one field of it."""

    kind: Kind
    key: Key
    name: str
    path: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.key.type} {quoted(self.name)}" + (f" {self.path}" if self.path else "")


def lacking(snapshot: Snapshot, plan: Plan) -> tuple[Lacking, ...]:
    """Return what a recovery lacks that `plan` makes on an empty console: masked secrets, grants, keys of streams."""
    names = {entity.key: entity.name for entity in snapshot.entities}
    secrets = ((Key(line.type, line.id), line.path) for line in unknown_secrets(snapshot))
    slots = (
        (action.key, f"{slot.field}.{slot.source_id}") for action in plan.actions for slot in action.new_keys
    )
    return (
        *(Lacking(Kind.SECRET, key, names.get(key, key.id), path) for key, path in secrets),
        *(Lacking(Kind.GRANT, entity.key, entity.name) for entity in snapshot.entities if has_grant(entity)),
        *(Lacking(Kind.WRITE_KEY, key, names.get(key, key.id), path) for key, path in slots),
    )


def counted(found: Iterable[Lacking]) -> dict[str, int]:
    """Count what is lacking by kind, all kinds."""
    counts = Counter(one.kind for one in found)
    return {kind.label: counts[kind] for kind in Kind}


def in_words(counts: dict[str, int]) -> str:
    """Say how much is lacking; empty where nothing is."""
    told = [f"{n} {kind.one if n == 1 else kind.several}" for kind in Kind if (n := counts[kind.label])]
    return ", ".join(told)
