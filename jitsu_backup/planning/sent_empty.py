"""Secrets that were sent empty because they were missing. Most consoles mask them like others; only the record lists them."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from jitsu_backup.model import MASK, Key, Path, Snapshot, format_path, paths_inside, value_at
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
    """The paths where the target's entity has a secret that an earlier run sent empty.

    It is `still` empty, or `may_be` if the entity has been saved since, because the secret may have been set then. A console
    of 2024 has `shown` that it is empty, and nothing provides another value.
    """

    still: frozenset[Path] = frozenset()
    may_be: frozenset[Path] = frozenset()
    shown: frozenset[Path] = frozenset()

    @property
    def paths(self) -> frozenset[Path]:
        """All of them."""
        return self.still | self.may_be

    def losses(self, mapped: Mapping[str, Any]) -> Iterator[Loss]:
        """Yield the losses for secrets that the desired body `mapped` does not provide either."""
        for path in self.paths:
            lacking = "" if path in self.shown else MASK
            if not has_value(mapped, path) or value_at(mapped, path) == lacking:
                still = path in self.still
                yield Loss(
                    format_path(path), UnreadSecret.STILL_EMPTY if still else UnreadSecret.MAY_BE_EMPTY
                )


def sent_empty(pairs: Pairs, candidate: Candidate) -> SentEmpty:
    """Return the secrets of an entity that an earlier run sent empty and that this one has not sent."""
    sides, found = pairs.sides, candidate.found
    record, lineage = sides.emptied
    cloned = None if record is None else record.manifest.cloned
    if record is None or cloned is None or found is None or candidate.key in sides.options.sent:
        return SentEmpty()
    recorded = lineage.record_of(found.key)
    empty = () if recorded is None else cloned.empty.get(recorded, ())
    if not empty or sides.undoes or not same_workspace(record, sides.live):
        return SentEmpty()
    there = {
        path: value_at(found.body, path)
        for path in paths_inside(found.body)
        if format_path(path) in empty and not candidate.own.cover(path)
    }
    hidden = frozenset(path for path, value in there.items() if value == MASK)
    shown = frozenset(
        path for path, value in there.items() if value == "" and value_at(candidate.desired, path) == MASK
    )
    is_as_left = _saved_at(record, recorded) == _saved_at(sides.live, found.key)
    return SentEmpty(hidden | shown, shown=shown) if is_as_left else SentEmpty(shown, hidden, shown)


def _saved_at(side: Snapshot, key: Key | None) -> object:
    """Return when an entity was last saved; None if the console does not say."""
    return next((entity.body.get("updatedAt") for entity in side.entities if entity.key == key), None)


def is_empty(loss: Loss) -> bool:
    """Return whether a loss is a secret that is certainly empty in the target."""
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
    """Return whether reading back cannot show a loss, because an empty secret is masked like any other."""
    return loss.reason in _UNSEEN


def left_empty(
    record: Snapshot | None, known: Lineage, reached: Mapping[Key, Key], actions: Mapping[Key, Action]
) -> dict[Key, tuple[str, ...]]:
    """Return the paths of what is empty in the target after a run, by the target's keys.

    `actions` are those that were carried out, by the source's keys; `reached` maps these to the target's. Entries of the
    record for other entities are kept.
    """
    done = {reached[key]: action for key, action in actions.items() if key in reached}
    cloned = None if record is None else record.manifest.cloned
    earlier = {} if cloned is None else cloned.empty
    found = {known.alive.get(key, key): paths for key, paths in earlier.items()}
    kept = {key: paths for key, paths in found.items() if key not in done}
    mine = {key: tuple(loss.path for loss in a.losses if is_empty(loss)) for key, a in done.items()}
    return kept | {key: paths for key, paths in mine.items() if paths}
