"""Secrets that were sent empty because nobody had them: a console shows them as any other, so only the record tells."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.model import MASK, Key, Path, Snapshot, format_path, masked_paths, value_at
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.identity import same_workspace
from jitsu_backup.planning.json_diff import has_value
from jitsu_backup.planning.lineage import Lineage
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind, Loss
from jitsu_backup.planning.reasons import UnreadSecret

_EMPTY = (UnreadSecret.SENT_EMPTY, UnreadSecret.STILL_EMPTY)
_UNSEEN = (*_EMPTY, UnreadSecret.MAY_BE_EMPTY)


@dataclass(frozen=True, slots=True)
class SentEmpty:
    """Where the target's entity hides a secret that an earlier run sent empty.

    It is `still` empty, or `may_be`, where somebody has saved the entity since, who may have given it.
    """

    still: frozenset[Path] = frozenset()
    may_be: frozenset[Path] = frozenset()

    @property
    def paths(self) -> frozenset[Path]:
        """All of them."""
        return self.still | self.may_be

    def losses(self, mapped: Mapping[str, Any]) -> Iterator[Loss]:
        """Yield what is lost where what is meant now, `mapped`, does not give the secret either."""
        for path in self.paths:
            if not has_value(mapped, path) or value_at(mapped, path) == MASK:
                still = path in self.still
                yield Loss(
                    format_path(path), UnreadSecret.STILL_EMPTY if still else UnreadSecret.MAY_BE_EMPTY
                )


def sent_empty(pairs: Pairs, candidate: Candidate) -> SentEmpty:
    """Return what an earlier run has sent empty of an entity, and this one has not sent."""
    sides, found = pairs.sides, candidate.found
    record, lineage = sides.emptied
    cloned = None if record is None else record.manifest.cloned
    if record is None or cloned is None or found is None or candidate.key in sides.options.sent:
        return SentEmpty()
    recorded = lineage.record_of(found.key)
    empty = () if recorded is None else cloned.empty.get(recorded, ())
    if not empty or sides.undoes or not same_workspace(record, sides.live):
        return SentEmpty()
    paths = frozenset(
        path
        for path in masked_paths(found.body)
        if format_path(path) in empty and not candidate.own.cover(path)
    )
    is_as_left = _saved_at(record, recorded) == _saved_at(sides.live, found.key)
    return SentEmpty(still=paths) if is_as_left else SentEmpty(may_be=paths)


def _saved_at(side: Snapshot, key: Key | None) -> object:
    """Return when an entity was saved last; None where the console does not tell."""
    return next((entity.body.get("updatedAt") for entity in side.entities if entity.key == key), None)


def is_empty(loss: Loss) -> bool:
    """Return whether a loss is a secret that is empty in the target for certain."""
    return loss.reason in _EMPTY


def empties(actions: Iterable[Action]) -> bool:
    """Return whether a secret is empty in the target once some actions are carried out."""
    return any(is_empty(loss) for action in actions for loss in action.losses)


def fills(emptied: Snapshot | None, action: Action) -> bool:
    """Return whether an action changes nothing but secrets that an earlier run has sent empty, as its record `emptied` says."""
    cloned = None if emptied is None else emptied.manifest.cloned
    empty = () if cloned is None else cloned.empty.get(Key(action.key.type, action.target_id or ""), ())
    return action.kind is ActionKind.UPDATE and {*map(format_path, action.paths)} <= {*empty}


def is_unseen(loss: Loss) -> bool:
    """Return whether a loss is one that nobody sees in what is read back: an empty secret is shown as any other."""
    return loss.reason in _UNSEEN


def left_empty(
    record: Snapshot | None, known: Lineage, reached: Mapping[Key, Key], actions: Mapping[Key, Action]
) -> dict[Key, tuple[str, ...]]:
    """Return the paths of what is empty in the target after a run, by the target's keys.

    `actions` are those that were carried out, by the source's keys, for which `reached` gives the target's. What a record
    says of other entities stays.
    """
    done = {reached[key]: action for key, action in actions.items() if key in reached}
    cloned = None if record is None else record.manifest.cloned
    earlier = {} if cloned is None else cloned.empty
    found = {known.alive.get(key, key): paths for key, paths in earlier.items()}
    kept = {key: paths for key, paths in found.items() if key not in done}
    mine = {key: tuple(loss.path for loss in a.losses if is_empty(loss)) for key, a in done.items()}
    return kept | {key: paths for key, paths in mine.items() if paths}
