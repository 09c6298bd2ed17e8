"""Who is whom: each object of the snapshot and the one of the target that stands for it."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from itertools import chain

from jitsu_backup.catalogue import Selector, check_type, entity_type, nameable, owned_functions
from jitsu_backup.catalogue.table import Route
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, quoted
from jitsu_backup.planning.context import Context, subtype
from jitsu_backup.planning.derived_ids import KnownIds, derived_ids
from jitsu_backup.planning.plan import Ids


def pair_objects(context: Context) -> None:
    """Pair by kept or derived id, then by `--map`, then by name if asked; give new entities their ids.

    Raises UsageError for a mapping that names nothing, several, or different types.
    """
    objects = [
        entity
        for entity in context.meant.values()
        if entity_type(entity.key.type).route is not Route.LINK
        and entity.key.type in context.live.manifest.counts
    ]
    plain = [e for e in objects if not (e.key.type == "function" and e.key.id in context.owned)]
    claimed: set[Key] = set()

    def take(entity: Entity, found: Entity) -> None:
        context.found[entity.key], context.ids[entity.key] = found, found.key.id
        claimed.add(found.key)

    ids_of_type: dict[str, list[str]] = defaultdict(list)
    for key in context.live_by_key:
        ids_of_type[key.type].append(key.id)
    known = {name: KnownIds(context.workspace_id, name, ids) for name, ids in ids_of_type.items()}
    for entity in plain:
        _pair_by_id(context, entity, known.get(entity.key.type), take, claimed)
    _pair_with_origins(context, plain, take, claimed)
    _pair_by_map(context, take, claimed)
    for entity in plain:
        if entity.body.get("provisioned") is True and entity.key not in context.found:
            _pair_provisioned(context, entity, take, claimed)
    if context.options.match_by_name:
        _pair_by_name(context, plain, take, claimed)
    for _, entities, candidates in _namesakes(context, plain, claimed):
        context.namesakes |= dict.fromkeys((entity.key for entity in entities), candidates)
    for entity in plain:
        if entity.key not in context.found and entity.body.get("provisioned") is not True:
            _give_id(context, entity.key)
    for function_id, builder_id in context.owned.items():
        found = context.found.get(Key("profile-builder", builder_id))
        own = () if found is None else owned_functions([found])
        for live_id, _ in own:
            context.ids[Key("function", function_id)] = live_id
            break


Take = Callable[[Entity, Entity], None]


def _pair_by_id(
    context: Context, entity: Entity, known: KnownIds | None, take: Take, claimed: set[Key]
) -> None:
    kind, source_id = entity.key
    others = context.ids_of_type[kind]  # what the snapshot has by itself is not what came of this one
    derived = known.derived_of(source_id) if known is not None else []
    derived = [one for one in derived if one not in others]
    if known is not None and not derived and entity.key not in context.live_by_key:
        derived = known.descended_from(source_id, others)[-1:]
    same_id = context.live_by_key.get(entity.key)
    stranger = same_id is not None and _is_another(context, entity, same_id)
    # the last one alive is the newest: --recreate may have been stopped between making and deleting
    alive = [] if same_id is None or stranger else [same_id]
    alive += [context.live_by_key[Key(kind, one)] for one in derived if Key(kind, one) not in claimed]
    if alive:
        take(entity, alive[-1])
        if alive[:-1]:
            context.superseded[entity.key] = alive[:-1]
            claimed |= {old.key for old in alive[:-1]}
    elif same_id is not None and context.options.ids is not Ids.NEW:
        context.problems[entity.key] = (
            f"the target's {same_id.key} is another one, {quoted(same_id.name)}: choose with --map {entity.key}={kind}/ID,"
            " or give it a new id with --ids new"
        )


def _pair_with_origins(context: Context, objects: list[Entity], take: Take, claimed: set[Key]) -> None:
    """Pair what came of an entity of the target when that was cloned into the snapshot's workspace."""
    unpaired = {e.key: e for e in objects if e.key not in context.found and e.key not in context.problems}
    ids_of_type: dict[str, list[str]] = defaultdict(list)
    for kind, source_id in unpaired:
        ids_of_type[kind].append(source_id)
    source = context.snapshot.manifest.source.workspace_id
    known = {name: KnownIds(source, name, ids) for name, ids in ids_of_type.items()}
    for origin in context.live.entities:
        kind, live_id = origin.key
        if origin.key in claimed or kind not in known:
            continue
        derived = known[kind].derived_of(live_id) or known[kind].descended_from(live_id)
        for source_id in derived[-1:]:
            entity = unpaired.pop(Key(kind, source_id), None)
            if entity is not None:
                take(entity, origin)


def _is_another(context: Context, entity: Entity, other: Entity) -> bool:
    """Tell whether an entity of another console has the id by chance: of another kind, and called otherwise."""
    by_chance = not context.in_place and entity.key == other.key
    return by_chance and subtype(entity) != subtype(other) and entity.name != other.name


def _pair_by_map(context: Context, take: Take, claimed: set[Key]) -> None:
    sources = [source for source, _ in context.options.mapping]
    for source_text, target_text in context.options.mapping:
        option = f"--map {source_text}={target_text}"
        source = context.one(source_text, live=False, option=option)
        if sources.count(source_text) > 1:
            raise UsageError(f"{option}: {source_text!r} is mapped twice")
        check_type(Selector(target_text), option, context.types)
        if target_text.partition("/")[0] != source.key.type:
            raise UsageError(
                f"{option}: a {source.key.type} cannot stand for a {target_text.partition('/')[0]}"
            )
        paired = context.found.get(source.key)
        if paired is not None:
            if not Selector(target_text).matches(paired, context.live_names[paired.key]):
                context.notes.append(
                    f"{option} is not used: {paired.key} of the target stands for it already"
                )
            continue
        target = context.one(target_text, live=True, option=option)
        if subtype(context.meant[source.key]) != subtype(target):
            raise UsageError(
                f"{option}: a {subtype(source)} {source.key.type} cannot become a {subtype(target)} one"
            )
        if entity_type(source.key.type).route is Route.LINK:
            raise UsageError(f"{option}: links are paired by their ends; map those")
        if target.key in claimed:
            raise UsageError(f"{option}: the target's {target.key} stands for another entity already")
        context.problems.pop(source.key, None)
        take(context.meant[source.key], target)


def _pair_provisioned(context: Context, entity: Entity, take: Take, claimed: set[Key]) -> None:
    same_kind = [
        other
        for other in context.live.of_type(entity.key.type)
        if other.body.get("provisioned") is True
        and other.body.get("destinationType") == entity.body.get("destinationType")
        and other.key not in claimed
    ]
    if len(same_kind) == 1:
        take(entity, same_kind[0])
        return
    option = f"--map {entity.key}=destination/ID"
    context.problems[entity.key] = (
        "provisioned by Jitsu: it cannot be created through the API; "
        + (
            f"the target has {len(same_kind)}: choose one with {option}"
            if same_kind
            else f"pair it with {option}"
        )
        + f", or leave it out with --skip {entity.key}"
    )


def _pair_by_name(context: Context, objects: list[Entity], take: Take, claimed: set[Key]) -> None:
    for name, entities, candidates in list(_namesakes(context, objects, claimed)):
        if len(entities) == len(candidates) == 1:
            take(entities[0], candidates[0])
            continue
        some = " and ".join(str(e.key) for e in (candidates if len(candidates) > 1 else entities)[:4])
        side = "the target" if len(candidates) > 1 else "the snapshot"
        for entity in entities:
            context.problems[entity.key] = (
                f"the name {quoted(name)} is ambiguous: {side} has {some};"
                f" choose with --map {entity.key}={entity.key.type}/ID"
            )


def _namesakes(
    context: Context, objects: list[Entity], claimed: set[Key]
) -> Iterator[tuple[str, list[Entity], list[Entity]]]:
    """Give each name that both sides have in one type and kind, with all of that name that stand for nothing yet."""
    wanted: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
    for entity in objects:
        if entity.key not in context.found and entity.key not in context.problems:
            wanted[entity.key.type, subtype(entity), entity.name].append(entity)
    offered: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
    for entity in context.live.entities:
        if entity.key not in claimed and entity.body.get("provisioned") is not True:
            offered[entity.key.type, subtype(entity), entity.name].append(entity)
    for alike, entities in wanted.items():
        if alike in offered:
            yield alike[2], entities, offered[alike]


def _give_id(context: Context, key: Key) -> None:
    ids = context.options.ids
    if ids is Ids.KEEP:
        context.ids[key] = key.id
        if not nameable(key.id):
            problem = f"nothing could change or delete it under its id {key.id!r}; leave out --ids keep"
            context.problems.setdefault(key, problem)
        if context.same_console:
            context.problems.setdefault(
                key,
                "its id is taken on this console for ever, even by what was deleted; leave out --ids keep",
            )
        return
    keep = ids is Ids.AUTO and not context.same_console and nameable(key.id)
    choice = key.id
    for choice in chain([key.id] if keep else (), derived_ids(context.workspace_id, key.type, key.id)):
        of_another = choice != key.id and choice in context.ids_of_type[key.type]
        if (
            choice not in context.taken_ids
            and Key(key.type, choice) not in context.live_by_key
            and not of_another
        ):
            break
    context.ids[key] = choice  # the last one where all are taken: acting tells what is
