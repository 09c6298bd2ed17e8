"""Planning: a pure function of (snapshot, live state, options)."""

from dataclasses import replace

from jitsu_backup.catalogue import entity_type, find_references, redact, scrub
from jitsu_backup.catalogue.references import Form
from jitsu_backup.catalogue.table import STAGES, Route
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Snapshot, format_path, shortened, some_of
from jitsu_backup.planning.breakage import is_there, spared, uses
from jitsu_backup.planning.context import Context
from jitsu_backup.planning.deletions import braked, extras, finished, made_anew, pruned, replaced, there_twice
from jitsu_backup.planning.duplicates import refuse_doubles
from jitsu_backup.planning.fields import words_for
from jitsu_backup.planning.json_diff import differences, value_at
from jitsu_backup.planning.links import LinkPairs, pair_links, plan_link
from jitsu_backup.planning.mentions import followed, mentions
from jitsu_backup.planning.objects import BEYOND_UPDATE, plan_object
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.planning.pairing import pair_objects
from jitsu_backup.planning.plan import Action, Ids, Kind, Plan, PlanOptions
from jitsu_backup.planning.selection import choose

_LONG_ENOUGH = 4
"""Characters of a secret that is looked for in texts; what is shorter stands in any text."""


def make_plan(snapshot: Snapshot, live: Snapshot, options: PlanOptions) -> Plan:
    """Plan how `live` becomes what `snapshot` holds, as `options` say.

    Raises UsageError where an overlay, a mapping or a selector names an entity that is not there,
    and where `--prune` would delete by an incomplete snapshot.
    """
    if options.prune and not snapshot.manifest.complete:
        raise UsageError(
            "--prune needs a complete snapshot: this one lacks something, and so would the target"
        )
    context = Context(snapshot, live, options)
    pair_objects(context)
    chosen = choose(context)
    refuse_doubles(context, chosen)
    actions = _objects(context, chosen)
    aliases = {old.key.id: context.ids[key] for key, others in context.superseded.items() for old in others}
    pairs = pair_links(context, chosen, aliases)
    removals = _recreate(context, actions, pairs, chosen) if options.recreate else []
    finishing = options.recreate or options.prune
    if context.superseded and not finishing:
        context.notes.append(
            "some entities are there twice, because an earlier --recreate was stopped half-way, or two runs made them at once:"
            " --recreate or --prune deletes the older ones"
        )
    if finishing:
        removals += finished(context, pairs, chosen)
    for key in sorted(k for k in chosen if k.type == "link"):
        first, *rest = plan_link(context, key, pairs, chosen)
        actions[key] = first
        if finishing:
            removals += rest
    context.check_overlay()
    _note_missing(context, actions)
    _note_missing_images(context, actions)
    _note_secrets_in_clear(context, actions)
    _note_namesakes(context, actions)
    _note_dead(context, actions)
    _note_left_behind(context, actions, chosen)
    removals += there_twice(context, pairs, {action.key for action in removals})
    told = {action.key for action in removals}
    more = pruned(context, pairs.spare, told)
    if options.prune:
        removals = braked(context, [*removals, *more])
    removals = spared(context, actions, context.found | pairs.found, removals)
    notes = [*context.notes, *followed(context, chosen), *mentions(context, chosen)]
    builders = {
        key: actions.get(Key("profile-builder", builder))
        for function, builder in context.owned.items()
        if (key := Key("function", function)) in chosen - actions.keys()
    }
    whole = actions.keys() | {key for key, builder in builders.items() if builder is not None}
    skipped = {
        key for key, builder in builders.items() if builder is not None and builder.kind is Kind.SKIPPED
    }
    ordered = sorted(actions.values(), key=_order)
    removals.sort(key=lambda a: (-entity_type(a.key.type).stage, a.key))
    hidden = [secret for secret in options.overlay.secrets if len(secret) >= _LONG_ENOUGH]

    def shown(action: Action) -> Action:
        losses = (replace(loss, reason=scrub(loss.reason, iter(hidden))) for loss in action.losses)
        return replace(action, reason=scrub(action.reason, iter(hidden)), losses=tuple(losses))

    return Plan(
        source=snapshot.manifest.source,
        target=live.manifest.source,
        actions=tuple(map(shown, (*ordered, *removals)) if hidden else (*ordered, *removals)),
        ids=dict(context.ids),
        notes=tuple(dict.fromkeys(scrub(note, iter(hidden)) for note in notes)),
        fixed_ids=options.ids is Ids.KEEP,
        owned_functions=tuple(sorted(context.owned.items())),
        with_builders=len(whole - actions.keys() - skipped),
        skipped_with_builders=len(skipped),
        left_out=len(context.by_key.keys() - whole),
        extras=extras(context, pairs, {action.key for action in removals}, more),
        words=words_for({k.id: (k, name) for k, name in context.meant_names.items() if k.type != "link"}, {})[
            0
        ],
        selectors=overlay_selectors(context.names),
        secrets=options.overlay.secrets,
    )


def _order(action: Action) -> tuple[object, ...]:
    kind = entity_type(action.key.type)
    return kind.stage, kind.name, action.name.casefold(), action.key


def _objects(context: Context, chosen: set[Key]) -> dict[Key, Action]:
    actions: dict[Key, Action] = {}
    for stage in STAGES:
        for key in sorted(context.meant):
            kind = entity_type(key.type)
            owned = key.type == "function" and key.id in context.owned
            if kind.stage != stage or kind.route is Route.LINK or owned:
                continue
            if key in chosen:
                actions[key] = plan_object(context, key, chosen)
            made = key in actions and actions[key].kind not in (Kind.SKIPPED, Kind.BLOCKED)
            if not made and key not in context.found:
                context.ids.pop(key, None)
                if key in actions and actions[key].kind is Kind.BLOCKED:
                    context.problems.setdefault(key, actions[key].reason)
    return actions


def _recreate(
    context: Context, actions: dict[Key, Action], pairs: LinkPairs, chosen: set[Key]
) -> list[Action]:
    removals = []
    for key, action in list(actions.items()):
        if any(loss.reason in BEYOND_UPDATE for loss in action.losses) and key in context.found:
            result = made_anew(context, action, pairs, chosen)
            if isinstance(result, Action):
                actions[key] = result
            else:
                actions[key], old = result
                removals.append(replaced(context, old, key))
    if removals:  # what refers to them has to follow
        context.forget_words()
        for key, action in list(actions.items()):
            if action.kind is Kind.UNCHANGED and entity_type(key.type).references:
                actions[key] = plan_object(context, key, chosen)
    return removals


def _note_missing(context: Context, actions: dict[Key, Action]) -> None:
    """Note what uses something that the snapshot lacks: only the target has it, or it is gone there as well."""
    for key, action in sorted(actions.items()):
        for reference, named in uses(context.meant[key]) if action.writes else ():
            if not context.named(reference.types, named):
                what = f"{context.called(context.by_key[key])} uses {' or '.join(reference.types)} {named}"
                where = "only the target has" if is_there(context, reference, named) else "was deleted"
                context.notes.append(f"{what}, which {where}")


def _note_missing_images(context: Context, actions: dict[Key, Action]) -> None:
    """Note the services whose custom image is left out, and not in the target."""
    there = {image.body.get("package") for image in context.live.of_type("custom-image")}
    for key, action in sorted(actions.items()):
        for reference, package in uses(context.meant[key], Form.PACKAGE) if action.writes else ():
            images = context.named(reference.types, package)
            if images and package not in there and context.ids.keys().isdisjoint(images):
                image = context.called(context.by_key[images[0]])
                context.notes.append(
                    f"{context.called(context.by_key[key])} runs {image}, which the target lacks"
                )


def _note_secrets_in_clear(context: Context, actions: dict[Key, Action]) -> None:
    """Note the source's own secrets that another workspace gets, for the console shows them and no overlay gives others."""
    found = []
    for key, action in sorted(actions.items()):
        if action.kind is not Kind.CREATE or context.in_place or key.type in ("stream", "misc"):
            continue
        hidden = redact(Entity(key, action.body), entity_type(key.type).secrets)
        own = {
            str(path[0]) if key.type != "link" else format_path(path[:2])
            for path in differences(hidden, action.body)
            if value_at(context.by_key[key].body, path) == value_at(action.body, path)
        }
        found += [f"{name} of {context.called(context.by_key[key])}" for name in sorted(own)]
    if found:
        context.notes.append(
            f"secrets of the source come along as they are: {some_of(found, 6)}; give others with --overlay"
        )


def _note_namesakes(context: Context, actions: dict[Key, Action]) -> None:
    """Note what is made although the target has one of that name, which may be the same one."""
    found = [
        f"{context.called(context.by_key[key])} ({context.namesakes[key][0].key})"
        for key in sorted(actions)
        if _is_made(actions, key) and key in context.namesakes
    ]
    if found:
        context.notes.append(
            f"made anew beside another of the same name in the target: {some_of(found, 6)};"
            " --match-by-name or --map pairs them instead"
        )


def _note_dead(context: Context, actions: dict[Key, Action]) -> None:
    """Note the connections that are left out because they lost an end in the source."""
    found = [action.name for action in actions.values() if action.dead]
    if found:
        one = len(found) == 1
        context.notes.append(
            f"{len(found)} dead connection{' is' if one else 's are'} left out: what {'it' if one else 'they'} joined was deleted"
            f" in the source, and nothing flows there: {some_of(sorted(map(shortened, found)), 6)}"
        )


def _is_made(actions: dict[Key, Action], key: Key) -> bool:
    return key in actions and actions[key].kind is Kind.CREATE


def _note_left_behind(context: Context, actions: dict[Key, Action], chosen: set[Key]) -> None:
    """Note what names an entity that gets a new id, and is itself not part of the restore."""
    renewed = {key for key, action in actions.items() if action.kind is Kind.CREATE}
    standing = context.meant.keys() & context.live_by_key.keys()
    for key in sorted(standing - chosen) if context.in_place else ():
        entity = context.meant[key]
        for reference, source_id in find_references(entity_type(key.type).references, entity.body):
            for named in context.named(reference.types, source_id):
                if named in renewed and reference.form not in (Form.ANYWHERE, Form.PACKAGE):
                    context.notes.append(
                        f"{context.called(context.by_key[key])} still names the deleted"
                        f" {context.called(context.by_key[named])}, and is not part of this restore"
                    )
