"""Secrets of one entity: where each comes from, and which of the target's own are kept."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from jitsu_backup.catalogue import entity_type, without_volatile
from jitsu_backup.catalogue.redaction import SECRET_NAME, has_password, stands_in
from jitsu_backup.model import (
    MASK,
    Entity,
    Key,
    Path,
    format_path,
    masked_paths,
    value_at,
)
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.fields import upto_list
from jitsu_backup.planning.hidden import settle_hidden, with_hidden_of
from jitsu_backup.planning.json_diff import (
    differs,
    has_value,
    paths_that_differ,
    with_values,
    without,
)
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Loss
from jitsu_backup.planning.reasons import UnreadSecret
from jitsu_backup.planning.schema_rules import Schema, is_required
from jitsu_backup.planning.sent_empty import SentEmpty, sent_empty
from jitsu_backup.planning.take import Winner

# secrets of the table that say where data goes rather than who may send it: these are copied from staging
_OFTEN_PLAIN = ("url", "parameters", "options", "payload")


@dataclass(frozen=True, slots=True)
class Settled:
    """A candidate without masks; `missing` are the secrets that were found nowhere, `hidden` those that the target keeps.

    The `unnamed` ones among the missing are `***` in a redacted folder, which stands for the target's own value. `empty`
    are those that an earlier run sent empty.
    """

    candidate: Candidate
    missing: tuple[Path, ...]
    hidden: frozenset[Path]
    unnamed: frozenset[Path] = frozenset()
    empty: SentEmpty = field(default_factory=SentEmpty)


def settle_secrets(pairs: Pairs, candidate: Candidate, schema: Schema) -> Settled:
    """Replace or remove the masked values in what is desired.

    A secret is, in this order, the target's own, the snapshot's, or, for a re-created object, its predecessor's. A mask is
    sent only with a `cloneId`: otherwise a POST would drop it, and an old console would store it
    [destination/create-masked-elsewhere]. A field that a PUT omits stays unchanged.
    """
    in_place, secrets = pairs.sides.in_place, pairs.sides.snapshot.secrets.get(candidate.key, {})
    fill: dict[Path, Any] = {}
    own: set[Path] = set()
    missing: list[Path] = []
    candidate, unnamed = settle_hidden(pairs, candidate)
    sent = sent_empty(pairs, candidate)
    for path in masked_paths(candidate.desired):
        stored, read = value_at(candidate.live, path), format_path(path)
        there = has_value(candidate.live, path)
        if path in unnamed:
            continue
        if there and not _holds_mask(stored):
            fill[path] = secrets[read] if path in sent.still and read in secrets else stored
        elif there and not in_list(path):
            own.add(path)
            if path in sent.still and read in secrets:
                fill[path] = secrets[read]
            if in_place and _is_news(pairs, candidate, read) and not candidate.own.cover(path):
                fill[path] = secrets[read]  # restored together with any other change
        elif there:
            whole = upto_list(path)
            if differs(value_at(candidate.desired, whole), value_at(candidate.live, whole)):
                missing.append(path)  # a list is replaced as a whole, and one of its secrets is unknown
            else:
                own.add(whole)
        elif read in secrets:
            fill[path] = secrets[read]
        elif candidate.clone_id is None:
            missing.append(path)
    missing += sorted(unnamed, key=format_path)
    empty = {path for path in missing if is_required(schema, path) or in_list(path)}
    fill |= dict.fromkeys(empty, "")  # required, and an empty one is at least not a wrong one
    absent = {*missing} - empty
    desired = dict(without(with_values(candidate.desired, fill), (own | absent) - fill.keys()))
    settled = replace(candidate, desired=desired)
    return Settled(settled, tuple(missing), frozenset(own), unnamed, sent)


def _is_news(pairs: Pairs, candidate: Candidate, path: str) -> bool:
    """Return whether the snapshot has a secret that differs from that in the folder's archive: it is restored too."""
    record, key = pairs.sides.options.record, candidate.key
    secrets = pairs.sides.snapshot.secrets.get(key, {})
    before = {} if record is None else record.secrets.get(key, {})
    return path in secrets and secrets[path] != before.get(path)


def own_secrets(
    pairs: Pairs, entity: Entity, mapped: Mapping[str, Any], live: Mapping[str, Any]
) -> set[Path]:
    """Return the paths where the target's entity keeps a readable secret of its own, which no overlay replaces.

    This applies only between workspaces: in a rollback in place, secrets in plain text are restored with the rest.
    """
    if pairs.sides.in_place or not entity_type(entity.key.type).keeps_secrets:
        return set()
    own = set()
    known = tuple(s for s in entity_type(entity.key.type).secrets if s[0] not in _OFTEN_PLAIN)
    for path in paths_that_differ(mapped, live):
        at = upto_list(path)
        there = value_at(live, at)
        secret = (
            SECRET_NAME.search(str(at[-1]) if at else "") or stands_in(at, known) or has_password(there, at)
        )
        if secret and there not in (None, "", [], MASK) and not isinstance(there, Mapping):
            own.add(at)
    return {path for path in own if not from_overlay(pairs, entity, path)}


def is_the_targets_own(pairs: Pairs, key: Key) -> bool:
    """Return whether the counterpart of a source or warehouse is a different one.

    It is one provisioned by Jitsu, or one with secrets of its own.
    """
    sides, found = pairs.sides, pairs.found.get(key)
    if found is None or sides.in_place:
        return False
    if found.body.get("provisioned") is True:
        return found.key != key
    desired = sides.desired[key]
    mapped = pairs.mapped(desired, without_volatile(desired))
    return bool(own_secrets(pairs, desired, mapped, without_volatile(found)))


def with_own_secrets(pairs: Pairs, candidate: Candidate) -> dict[str, Any]:
    """Return what is desired with the secrets of the target's entity; hidden ones are masks, to be filled in by `cloneId`."""
    live, candidate = candidate.live or {}, with_hidden_of(pairs, candidate)
    own = own_secrets(pairs, candidate.entity, pairs.mapped(candidate.entity, candidate.desired), live)
    masked = {p for p in hidden_in(live) if has_value(candidate.desired, p)}
    own |= {path for path in masked if not from_overlay(pairs, candidate.entity, path)}
    return dict(with_values(candidate.desired, {path: value_at(live, path) for path in own}))


def from_overlay(pairs: Pairs, entity: Entity, path: Path) -> bool:
    """Return whether the overlay changes the value at `path`; `entity` has the overlay applied."""
    original, desired = pairs.sides.by_key[entity.key].body, entity.body
    same = has_value(original, path) == has_value(desired, path)
    return not same or bool(value_at(original, path) != value_at(desired, path))


def replacing_hidden(
    pairs: Pairs, candidate: Candidate, mapped: Mapping[str, Any], live: Mapping[str, Any]
) -> list[Path]:
    """Return the paths where a known secret replaces one that the target hides, so the two cannot be compared.

    The known secret comes from the overlay or, in place, from the archive.
    """
    sides = pairs.sides
    read = sides.snapshot.secrets.get(candidate.key, ())
    # in place, the snapshot may have secrets in plain text that an older console showed and the current one masks
    shown = given_for_hidden(sides.by_key[candidate.key].body, live) if sides.in_place else set()
    there = given_for_hidden(mapped, live)
    # secrets that the run being undone did not replace are unchanged
    known = {path for path in there if path in shown or format_path(path) in read}
    known &= _replaced_by_run(pairs, candidate) if sides.undoes else known
    return [
        path
        for path in sorted(there, key=str)
        if path in known or from_overlay(pairs, candidate.entity, path)
    ]


def lost_by_run(pairs: Pairs, candidate: Candidate, resent: Iterable[Path]) -> Iterator[Loss]:
    """Yield the secrets that the run being undone replaced, and that are not sent again."""
    for path in _replaced_by_run(pairs, candidate).difference(resent):
        yield Loss(format_path(path), UnreadSecret.REPLACED)


def _replaced_by_run(pairs: Pairs, candidate: Candidate) -> set[Path]:
    """Return the paths where the run being undone replaced a hidden secret, unless the target's value is to be kept."""
    sides, found = pairs.sides, candidate.found
    cloned = None if sides.options.record is None else sides.options.record.manifest.cloned
    if found is None or cloned is None:
        return set()
    replaced = cloned.secrets.get(sides.lineage.record_of(found.key) or found.key, ())
    return {
        path
        for path in hidden_in(found.body)
        if format_path(path) in replaced
        and not candidate.own.cover(path)
        and sides.take.winner(sides.sides_of(candidate.key, found), path) is not Winner.TARGET
    }


def given_for_hidden(mapped: Mapping[str, Any], live: Mapping[str, Any]) -> set[Path]:
    """Return the paths where there is a value, even an empty one or null, for one that the target hides."""
    return {p for p in hidden_in(live) if has_value(mapped, p) and value_at(mapped, p) != MASK}


def hidden_in(live: Mapping[str, Any]) -> set[Path]:
    """Return the paths, outside of lists, where the target hides a secret."""
    return {path for path in masked_paths(live) if not in_list(path)}


def without_hidden(body: Mapping[str, Any], live: Mapping[str, Any], resent: Collection[Path]) -> Any:
    """Return a body without what the target hides, except the secrets that are sent again."""
    return without(body, hidden_in(live) - set(resent))


def in_list(path: Path) -> bool:
    """Return whether a path leads into a list, which is sent as a whole."""
    return any(isinstance(part, int) for part in path)


def _holds_mask(value: Any) -> bool:
    return any(True for _ in masked_paths(value))
