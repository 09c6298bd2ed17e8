"""Notes of a plan: what an operator should know about its actions and cannot see in them."""

from collections.abc import Collection, Iterator, Mapping

from jitsu_backup.catalogue import Form, entity_type, find_references
from jitsu_backup.model import Key, Source, format_path, plural, shortened, some_of
from jitsu_backup.planning.copied_addresses import copied_addresses
from jitsu_backup.planning.copied_secrets import copied_secrets, in_words
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.overlays import Overlay
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.requirements import is_there, uses
from jitsu_backup.planning.reverse_syncs import notes_on_syncs
from jitsu_backup.planning.sides import Sides


class CopiedHosts(str):
    """The note that lists the addresses that a clone copies."""

    __slots__ = ()


class Unsent(str):
    """The note that lists the hidden secrets of the overlay that are not sent."""

    __slots__ = ()


COPIED_HOSTS = "Hosts copied unchanged from the source"
"""The beginning of a CopiedHosts."""

_MOST_SECRETS = 100  # somebody has to replace each
_MOST_HOSTS = 10


def notes_on(
    pairs: Pairs, actions: Mapping[Key, Action], chosen: Collection[Key], deleted: Collection[Key]
) -> list[str]:
    """Return notes on the actions of a plan, in the order in which they are shown.

    `deleted` are the entities of the target that the plan deletes.
    """
    return [
        *notes_on_syncs(pairs, actions),
        *_unrecorded(pairs, actions),
        *_missing(pairs, actions),
        *_missing_images(pairs, actions),
        *_secrets_in_clear(pairs, actions),
        *_hosts(pairs, actions),
        *_of_others(pairs.sides.options.overlay, pairs.sides.snapshot.manifest.source),
        *_unsent(pairs, actions),
        *_namesakes(pairs, actions, deleted if pairs.sides.undoes else ()),
        *_dead(actions),
        *_left_behind(pairs, actions, chosen),
    ]


def _unrecorded(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield entities that are updated although no clone has recorded them, because earlier ones were about other entities."""
    sides = pairs.sides
    updated = [
        (key, Key(key.type, a.target_id))
        for key, a in sorted(actions.items())
        if a.kind is ActionKind.UPDATE and a.target_id
    ]
    found = [
        sides.called(sides.by_key[key])
        for key, live in updated
        if sides.lineage.stood(live) and sides.lineage.base_of(live) is None
    ]
    if found:
        yield (
            f"no earlier clone recorded {some_of(found, 6)}, so changes made in the target cannot be distinguished from"
            " changes made in the source"
        )


def _missing(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield entities that use something that the snapshot lacks: only the target has it, or it was deleted there too."""
    sides = pairs.sides
    for key, action in sorted(actions.items()):
        for reference, named in uses(sides.desired[key]) if action.writes else ():
            if not sides.named(reference.types, named):
                what = f"{sides.called(sides.by_key[key])} uses {' or '.join(reference.types)} {named}"
                where = "exists only in the target" if is_there(pairs, reference, named) else "was deleted"
                yield f"{what}, which {where}"


def _missing_images(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield the services whose custom image is left out and not in the target."""
    sides = pairs.sides
    there = {str(image.body.get("package")) for image in sides.live.of_type("custom-image")}
    for key, action in sorted(actions.items()):
        for reference, package in uses(sides.desired[key], Form.PACKAGE) if action.writes else ():
            images = sides.named(reference.types, package)
            if images and package not in there and pairs.ids.keys().isdisjoint(images):
                image = sides.called(sides.by_key[images[0]])
                yield f"{sides.called(sides.by_key[key])} runs {image}, which the target lacks"


def _secrets_in_clear(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield the source's secrets that are copied to another workspace: shown by the console, and not in the overlay."""
    sides = pairs.sides
    found = [
        f"{name} of {sides.called(sides.by_key[key])}"
        for key, paths in copied_secrets(pairs, actions).items()
        if actions[key].kind is ActionKind.CREATE
        for name in in_words(key, paths)
    ]
    if found:
        named = some_of(found, _MOST_SECRETS)
        yield f"secrets copied unchanged from the source: {named}; replace them with --overlay{_unless(sides)}"


def _hosts(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield the source's addresses that are copied to another workspace, because the overlay does not give them."""
    found = [
        f"{format_path(address.path)} of {pairs.sides.called(pairs.sides.by_key[key])}"
        for key, addresses in sorted(copied_addresses(pairs, actions).items())
        for address in addresses
    ]
    if found:
        yield CopiedHosts(
            f"{COPIED_HOSTS}: {some_of(found, _MOST_HOSTS)}; give the target's own with --overlay{_unless(pairs.sides)}"
        )


def _unless(sides: Sides) -> str:
    """Return when to leave what is copied as it is: a workspace of that slug on another console may be the same, recovered."""
    return ", unless it is the same workspace, recovered" if sides.since is Since.EITHER else ""


def _of_others(overlay: Overlay, source: Source) -> Iterator[str]:
    """Yield that an overlay, or all of it but its tables for every workspace, is not used, because it is for other workspaces."""
    others, own = some_of(list(overlay.elsewhere), 3), source.slug or source.workspace_id
    if others and overlay.rules:
        yield f"of {overlay.called}, only the tables for all workspaces are used: the others are for {others}, and none for {own}"
    elif others:
        yield (
            f"{overlay.called} is not used: its tables are for {others}, and the snapshot is of {own}; add tables for that one, or"
            " leave out --overlay"
        )


def _unsent(pairs: Pairs, actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield the hidden secrets that the overlay gives and that are not sent, because nothing else of their entities changes."""
    sides = pairs.sides
    found = [
        f"{path} of {sides.called(sides.by_key[key])}"
        for key, action in sorted(actions.items())
        for path in action.unseen
        if not action.writes and sides.overlaid(key, tuple(path.split(".")))
    ]
    if found:
        one = len(found) == 1
        yield Unsent(
            f"{plural(len(found), 'hidden secret')} of the overlay {'is' if one else 'are'} not sent, because nothing else of"
            f" {'its entity' if one else 'their entities'} changes: {some_of(found, 3)}; to send new values, add --resend-secrets"
        )


def _namesakes(pairs: Pairs, actions: Mapping[Key, Action], replaced: Collection[Key]) -> Iterator[str]:
    """Yield entities that are created although the target has one of that name, which may be the same.

    `replaced` are those that the undone run created instead, and that are deleted again.
    """
    found = [
        f"{pairs.sides.called(pairs.sides.by_key[key])} ({others[0]})"
        for key, action in sorted(actions.items())
        if action.kind is ActionKind.CREATE
        and (others := [one.key for one in pairs.namesakes.get(key, ()) if one.key not in replaced])
    ]
    if found:
        yield (
            f"created although the target has another of the same name: {some_of(found, 6)};"
            " use --match-by-name or --map to pair them instead"
        )


def _dead(actions: Mapping[Key, Action]) -> Iterator[str]:
    """Yield the connections that are left out because they lost an end in the source."""
    found = [action.name for action in actions.values() if action.dead]
    if found:
        one = len(found) == 1
        count, of = plural(len(found), "dead connection"), "its" if one else "their"
        yield (
            f"{count} {'is' if one else 'are'} left out, because {of} source or destination was deleted and no data flows"
            f" through {'it' if one else 'them'}: {some_of(sorted(map(shortened, found)), 6)}"
        )


def _left_behind(pairs: Pairs, actions: Mapping[Key, Action], chosen: Collection[Key]) -> Iterator[str]:
    """Yield entities outside the restore that refer to an entity which gets a new id."""
    sides = pairs.sides
    renewed = {key for key, action in actions.items() if action.kind is ActionKind.CREATE}
    standing = sides.desired.keys() & sides.live_by_key.keys()
    for key in sorted(standing.difference(chosen)) if sides.in_place else ():
        for reference, source_id in find_references(
            entity_type(key.type).references, sides.desired[key].body
        ):
            for named in sides.named(reference.types, source_id):
                if named in renewed and reference.form not in (Form.ANYWHERE, Form.PACKAGE):
                    yield (
                        f"{sides.called(sides.by_key[key])} still refers to the deleted"
                        f" {sides.called(sides.by_key[named])} and is not part of this restore"
                    )
