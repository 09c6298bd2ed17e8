"""Planning: a pure function of (snapshot, live state, options), stage by stage."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from jitsu_backup.catalogue import entity_type, is_link, scrub
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key, Snapshot
from jitsu_backup.planning.bindings import with_bindings
from jitsu_backup.planning.candidate import Actions, Planned
from jitsu_backup.planning.copied_addresses import copied_addresses
from jitsu_backup.planning.copied_secrets import copied_secrets
from jitsu_backup.planning.deletions import (
    blocked_where_emptied_there,
    braked,
    extras,
    pruned,
    spared,
    there_twice,
)
from jitsu_backup.planning.domains import taken_domains
from jitsu_backup.planning.duplicates import duplicates
from jitsu_backup.planning.fields import words_for
from jitsu_backup.planning.ignored import check_against_overlay, check_types
from jitsu_backup.planning.link_pairing import LinkPairs, pair_links
from jitsu_backup.planning.links import plan_links
from jitsu_backup.planning.mentions import followed, mentions
from jitsu_backup.planning.notes import notes_on
from jitsu_backup.planning.objects import plan_objects
from jitsu_backup.planning.options import Ids, PlanOptions
from jitsu_backup.planning.overlay_checks import check_fields, check_overlay, check_plain
from jitsu_backup.planning.pairing import pair_objects
from jitsu_backup.planning.plan import Action, ActionKind, Extra, Plan
from jitsu_backup.planning.protection import Protection, check_protection, idle_guards
from jitsu_backup.planning.recreation import finished, recreate
from jitsu_backup.planning.selection import choose
from jitsu_backup.planning.sides import Sides
from jitsu_backup.planning.take import check_take
from jitsu_backup.planning.write_keys import copied_keys, standing_keys

_LONG_ENOUGH = 4
"""Minimum length of a secret that is searched for in texts; a shorter one occurs in any text."""

_HALF_RECREATED = (
    "some entities exist twice, because an earlier --recreate was interrupted or two runs created them at the same time:"
    " --recreate or --prune deletes the older ones"
)


def make_plan(snapshot: Snapshot, live: Snapshot, options: PlanOptions) -> Plan:
    """Plan how `live` becomes what `snapshot` holds, as `options` say.

    Raise UsageError if an overlay, a mapping or a selector names an entity that does not exist, and if `--prune` is used
    with an incomplete snapshot.
    """
    if options.prune and not snapshot.manifest.complete:
        raise UsageError(
            "--prune needs a complete snapshot: this one is incomplete, and --prune would delete what it lacks; choose"
            " another snapshot, or leave out --prune"
        )
    sides = Sides(snapshot, live, options)
    check_overlay(sides)
    check_types(options.ignored, sides.types)
    check_protection(sides)
    pairs = pair_objects(sides)
    selection = choose(pairs)
    chosen = selection.keys
    objects = plan_objects(pairs.with_problems(duplicates(pairs, chosen)), chosen)
    links = pair_links(objects.pairs, chosen)
    found = {**pairs.found, **links.found}
    check_against_overlay(sides, found)
    if options.checks_selectors:
        check_take(sides.take, sides.all_called(found), sides.types)
    bound = _recreated(objects, links, chosen) if options.recreate else with_bindings(objects, chosen)
    if pairs.superseded and not options.recreate and not options.prune:
        bound = replace(bound, notes=(*bound.notes, _HALF_RECREATED))
    actions = blocked_where_emptied_there(plan_links(bound, links, chosen))
    check_fields(sides, actions.overlay_fields, chosen)
    check_plain(pairs)
    protection = Protection(sides)
    deletions = _deletions(actions, links, chosen, protection)
    guards = [*protection.notes(deletions.actions)]
    notes = [
        *(*pairs.notes, *selection.notes, *actions.notes),
        *(*notes_on(actions.pairs, actions.by_key, chosen, deletions.deleted), *deletions.notes),
        *(*followed(actions.pairs, chosen), *mentions(actions.pairs, chosen)),
        *protection.vain_flags(deletions.actions),
        *(*(note for note, alarming in guards if not alarming), *idle_guards(sides)),
    ]
    return _plan(actions, chosen, deletions, notes, [note for note, alarming in guards if alarming])


def _recreated(objects: Actions, links: LinkPairs, chosen: Collection[Key]) -> Actions:
    """Return the actions with objects re-created, except those that a reverse sync prevents, with their consequences."""
    recreated = recreate(objects, links, chosen)
    bound = with_bindings(recreated, chosen)
    forbidden = {
        key: Planned(action)
        for key, action in bound.by_key.items()
        if action.kind is ActionKind.BLOCKED
        and key in objects.pairs.found
        and recreated.by_key[key].kind is ActionKind.CREATE
    }
    if not forbidden:
        return bound
    left = with_bindings(recreate(objects, links, chosen, without=forbidden), chosen)
    return left.after(forbidden, left.pairs)


@dataclass(frozen=True, slots=True)
class _Deletions:
    """The deletions, in order; the entities that only the target has and keeps; and notes about both."""

    actions: tuple[Action, ...]
    extras: tuple[Extra, ...]
    notes: tuple[str, ...]

    @property
    def deleted(self) -> set[Key]:
        """The entities that are deleted."""
        return {action.key for action in self.actions if action.kind is ActionKind.DELETE}


def _deletions(
    actions: Actions, links: LinkPairs, chosen: Collection[Key], protection: Protection
) -> _Deletions:
    """Return what is deleted: re-created entities and, with `--prune`, what the snapshot lacks."""
    pairs, options = actions.pairs, actions.pairs.sides.options
    found = [action for action in actions.deletions if entity_type(action.key.type).deleted_first]
    if options.recreate or options.prune:
        found = [*actions.deletions, *finished(pairs, links, chosen)]
    found += there_twice(pairs.sides, links, {action.key for action in found})
    prunable = protection.blocked(pruned(pairs, links, {action.key for action in found}))
    found = protection.blocked(found)
    if options.prune:
        found = braked(pairs.sides, [*found, *prunable])
    found, notes = spared(pairs, actions.by_key, {**pairs.found, **links.found}, found)
    found.sort(key=lambda action: (-entity_type(action.key.type).stage, action.key))
    only_there = extras(pairs, links, {action.key for action in found}, prunable)
    return _Deletions(tuple(found), only_there, tuple(notes))


def _plan(
    actions: Actions,
    chosen: Collection[Key],
    deletions: _Deletions,
    notes: Iterable[str],
    attention: Iterable[str],
) -> Plan:
    """Return the plan, with its actions in order and the overlay's secrets hidden in everything that is shown."""
    sides = actions.pairs.sides
    hidden = [secret for secret in sides.options.overlay.secrets if len(secret) >= _LONG_ENOUGH]
    with_builders = _with_builders(actions, chosen)
    made = len([builder for builder in with_builders.values() if builder.kind is not ActionKind.SKIPPED])
    names = {k.id: (k, name) for k, name in sides.desired_names.items() if not is_link(k)}
    ordered = (*sorted(actions.by_key.values(), key=_order), *deletions.actions)
    return Plan(
        source=sides.snapshot.manifest.source,
        target=sides.live.manifest.source,
        actions=tuple(_without_secrets(action, hidden) for action in ordered) if hidden else ordered,
        ids=dict(actions.pairs.ids),
        notes=tuple(dict.fromkeys(type(note)(scrub(note, iter(hidden))) for note in notes)),
        fixed_ids=sides.options.ids is Ids.KEEP,
        owned_functions=tuple(sorted(sides.owned.items())),
        with_builders=made,
        skipped_with_builders=len(with_builders) - made,
        left_out=len(sides.by_key.keys() - actions.by_key.keys() - with_builders.keys()),
        attention=tuple(scrub(note, iter(hidden)) for note in attention),
        extras=deletions.extras,
        write_keys=dict(_write_keys(actions)),
        words=words_for(names, {})[0],
        selectors=sides.selectors,
        secrets=sides.options.overlay.secrets,
        since=sides.since,
        addresses=copied_addresses(actions.pairs, actions.by_key)
        | taken_domains(actions.pairs, actions.by_key),
        copied_secrets=copied_secrets(actions.pairs, actions.by_key),
    )


def _write_keys(actions: Actions) -> Iterator[tuple[str, str]]:
    """Yield the ids of the snapshot's write keys, each with its current or future id in the target."""
    pairs = actions.pairs
    for key, action in actions.by_key.items():
        if key.type == "stream" and action.kind in (
            ActionKind.CREATE,
            ActionKind.UPDATE,
            ActionKind.UNCHANGED,
        ):
            desired, found = pairs.sides.desired[key].body, pairs.found.get(key)
            yield from standing_keys(pairs, key, desired, found).items()
            yield from ((one, one) for one in (copied_keys(action.body) if found is None else ()))
            yield from ((slot.source_id, slot.id) for slot in action.new_keys)


def _order(action: Action) -> tuple[object, ...]:
    return entity_type(action.key.type).stage, action.key.type, action.name.casefold(), action.key


def _with_builders(actions: Actions, chosen: Collection[Key]) -> Mapping[Key, Action]:
    """Return the chosen functions that are written with their profile builders, each with the builder's action."""
    owned = {
        Key("function", function): actions.by_key.get(Key("profile-builder", builder))
        for function, builder in actions.pairs.sides.owned.items()
    }
    return {
        key: builder
        for key, builder in owned.items()
        if builder is not None and key in chosen and key not in actions.by_key
    }


def _without_secrets(action: Action, secrets: Collection[str]) -> Action:
    losses = (replace(loss, reason=_scrubbed(loss.reason, secrets)) for loss in action.losses)
    return replace(action, reason=_scrubbed(action.reason, secrets), losses=tuple(losses))


def _scrubbed(text: str, secrets: Collection[str]) -> str:
    scrubbed = scrub(text, iter(secrets))
    return text if scrubbed == text else scrubbed  # the type of a reason matters to later steps
