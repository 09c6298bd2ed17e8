"""Connections and syncs: the server makes their ids, so they are paired by ends and content."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from jitsu_backup.catalogue import entity_type, find_references
from jitsu_backup.catalogue.references import Form
from jitsu_backup.model import Entity, Key, format_path, quoted
from jitsu_backup.planning.breakage import without_end, without_function
from jitsu_backup.planning.context import Context, without_volatile
from jitsu_backup.planning.grants import end_granted_since, end_without_grant, switch, switched_off
from jitsu_backup.planning.json_diff import differences, value_at, without
from jitsu_backup.planning.likeness import Candidates
from jitsu_backup.planning.objects import Draft, create_or_update, is_the_targets_own
from jitsu_backup.planning.plan import Action, Kind, Loss

Ends = tuple[str, str, str]

_FIELDS = ("type", "fromId", "toId", "data")


@dataclass(slots=True)
class LinkPairs:
    """`found` gives the target's link for one of the snapshot's; `spare` the target's links that pair with none.

    `leftover` are those of them that --recreate has made again already. `doubled` gives, for a connection of the
    snapshot, another one with the same ends: a console keeps one of them [link/upsert-push-with-any-id].
    """

    found: dict[Key, Entity] = field(default_factory=dict)
    spare: list[Entity] = field(default_factory=list)
    leftover: dict[Key, list[Entity]] = field(default_factory=dict)
    doubled: dict[Key, Key] = field(default_factory=dict)


def pair_links(context: Context, chosen: set[Key], aliases: Mapping[str, str]) -> LinkPairs:
    """Pair links of equal ends; `aliases` maps ids of objects that are being replaced to the new ones."""
    pairs = LinkPairs()
    live: dict[Ends, list[Entity]] = defaultdict(list)
    for link in _in_order(context.live.of_type("link")):
        kind, source, target = ends(link.body)
        live[kind, aliases.get(source, source), aliases.get(target, target)].append(link)
    groups: dict[Ends, list[Entity]] = defaultdict(list)
    dangling: set[Key] = set()
    for link in _in_order([e for key, e in context.meant.items() if key.type == "link"]):
        if without_end(context, link, chosen) is None:
            groups[ends(context.mapped(link, link.body))].append(link)
        elif _as_it_was(context, link):
            dangling.add(link.key)
    for group, members in groups.items():
        if group[0] == "push":
            pairs.doubled |= {one.key: other.key for one, other in zip(members[1:], members, strict=False)}
        pair_group(context, group, members, live.pop(group, []), pairs)
    pairs.spare += [link for links in live.values() for link in links if link.key not in dangling]
    return pairs


def plan_link(context: Context, key: Key, pairs: LinkPairs, chosen: set[Key]) -> list[Action]:
    """Plan one link; one whose end is replaced is made again, with its cursors, and then deleted."""
    out = _left_out(context, key, pairs, chosen)
    if out is not None:
        return [out]
    link = context.meant[key]
    found = pairs.found.get(key)
    meant = link_body(link)
    moved = found if found is not None and ends(found.body) != ends(context.mapped(link, meant)) else None
    if moved is not None:
        found = None
    live = None if found is None else link_body(found)
    own = live if moved is None else link_body(moved)
    losses = _missing_functions(context, link)
    if context.options.disable_links:
        meant = _switched_off(meant, own)
    end = end_without_grant(context, link)
    if end is not None and (off := _switched_off(meant, live)) != meant:
        meant = off
        losses.append(switched_off(meant, end))
    kept: tuple[str, ...] = ()
    end = end_granted_since(context, link, own)
    if end is not None and (on := _switched_off(meant, own)) != meant:
        meant, kept = on, (format_path(switch(meant)),)
        context.notes.append(
            f"{context.called(context.by_key[key])} stays switched on: the snapshot has it off, where {end} lacks the"
            " grant that the target's has; --overlay can switch it off"
        )
    if live is not None and not context.in_place:
        meant, more = _with_own_environment(context, link, meant, live)
        kept += more
    _take_out_unknown(context, link, meant)
    blocked = without_function(context, Entity(key, meant), found or moved)
    if blocked is not None:
        return [blocked]
    if found is not None:
        context.ids[key] = found.key.id
    action = replace(create_or_update(context, Draft(link, meant, live, found, losses)), kept=kept)
    if action.kind is Kind.BLOCKED:
        return [action]
    if action.kind is Kind.CREATE and not action.body["data"] and link.body.get("data") is None:
        action = replace(action, body=without(action.body, {("data",)}))  # [link/create-without-data]
    newest = moved or next(iter(pairs.leftover.get(key, ())), None)
    actions = [_with_cursors(context, link, action, found, newest)]
    for old in [*([moved] if moved is not None else []), *pairs.leftover.get(key, ())]:
        reason = "made again for the object that took its end's place"
        actions.append(
            Action(
                Kind.DELETE, old.key, context.live_names[old.key], old.key.id, reason, old.body, after=(key,)
            )
        )
    if actions[0].kind is Kind.CREATE:
        moves = "one of its ends is made anew: it moves along" if moved is not None else "not in the target"
        actions[0] = replace(actions[0], reason=moves)
    return actions


def _left_out(context: Context, key: Key, pairs: LinkPairs, chosen: set[Key]) -> Action | None:
    """Return the action of a link that is not written: an end is missing, or another link has the same ends."""
    link = context.meant[key]
    problem = without_end(context, link, chosen)
    if problem is not None and _as_it_was(context, link):
        reason = "dangling, as in the snapshot"
        return replace(problem, kind=Kind.UNCHANGED, target_id=key.id, reason=reason, dead=False)
    if problem is not None:
        return problem
    other = pairs.doubled.get(key)
    if other is None:
        return None
    moved_there = any(ends(context.meant[k].body) != ends(context.by_key[k].body) for k in (key, other))
    reason = f"a console keeps one connection from a source to a destination, and {quoted(context.meant_names[other])} has the same"
    kind = Kind.BLOCKED if moved_there else Kind.SKIPPED
    return Action(kind, key, context.meant_names[key], None, reason)


def ends(body: Mapping[str, Any]) -> Ends:
    """Give type, source and destination of a link's body."""
    return str(body.get("type") or "push"), str(body.get("fromId")), str(body.get("toId"))


def link_body(link: Entity) -> dict[str, Any]:
    """Give a link's body as it is compared and sent; no data is sent as empty, for a PUT without leaves what is there."""
    body = without_volatile(link)
    body.setdefault("type", "push")
    if body.get("data") is None:
        body["data"] = {}
    return body


def _as_it_was(context: Context, link: Entity) -> bool:
    """Tell whether a workspace restored in place still has this very link between the same ends."""
    live, known = context.live_by_key.get(link.key), context.by_key.get(link.key)
    same = live is not None and known is not None and ends(live.body) == ends(known.body)
    return context.in_place and same


def _in_order(links: list[Entity]) -> list[Entity]:
    return sorted(links, key=lambda e: (str(e.body.get("createdAt")), e.key))


def pair_group(
    context: Context, group: Ends, members: list[Entity], live: list[Entity], pairs: LinkPairs
) -> None:
    """Pair links of equal ends: by id, then of equal data and cursors, of equal data, then the likest first."""
    # those with an end that is replaced come last
    candidates = Candidates(sorted(live, key=lambda link: ends(link.body) != group))
    found: dict[Key, Entity] = {}

    def pair(key: Key, other: Entity) -> None:
        found[key] = other
        candidates.take(other)

    def likely(link: Entity) -> list[tuple[int, Entity]]:
        return candidates.of(link.key, context.mapped(link, link.body).get("data"))

    for alike in (_same_id, _same_link_and_cursors, _same_link):
        for link in members:
            if link.key not in found:
                same = next((other for _, other in likely(link) if alike(context, link, other)), None)
                if same is not None:
                    pair(link.key, same)
    unlike = sorted(
        (
            (_distance(context, group, link, other), at, link.key, other)
            for link in members
            if link.key not in found
            for at, other in likely(link)
        ),
        key=lambda pair: pair[:2],
    )
    for _, _, key, other in unlike:
        if key not in found and other.key in candidates.left:
            pair(key, other)
    rest = [link.key for link in members if link.key not in found]
    for key, (_, other) in zip(rest, list(candidates.left.values()), strict=False):
        pair(key, other)
    for link in members:
        if link.key in found and ends(found[link.key].body) == group:
            again = (other for _, other in likely(link) if ends(other.body) != group)
            same = next((other for other in again if _same_link(context, link, other)), None)
            if same is not None:
                pairs.leftover[link.key] = [same]
                candidates.take(same)
    pairs.found |= found
    pairs.spare += [other for _, other in candidates.left.values()]


def _same_id(context: Context, link: Entity, other: Entity) -> bool:
    # between the old ends it may have been made again already, by a --recreate that was stopped
    return link.key == other.key and ends(other.body) == ends(context.mapped(link, link.body))


def _same_link(context: Context, link: Entity, other: Entity) -> bool:
    mine, theirs = link_body(link), link_body(other)
    off_here = context.options.disable_links or end_without_grant(context, link) is not None
    if off_here or end_granted_since(context, link, theirs) is not None:
        mine = _switched_off(mine, theirs)
    mapped = context.mapped(link, mine)
    return not any(True for _ in differences(mapped.get("data"), theirs.get("data")))


def _same_link_and_cursors(context: Context, link: Entity, other: Entity) -> bool:
    saved = context.snapshot.cursors.get(link.key.id, {})
    present = context.live.cursors.get(other.key.id, {})
    return set(saved) == set(present) and _same_link(context, link, other)


def _distance(context: Context, group: Ends, link: Entity, other: Entity) -> tuple[bool, int]:
    """Tell how unlike two links of equal ends are; one with an end that is being replaced comes last."""
    saved, present = context.snapshot.cursors.get(link.key.id, {}), context.live.cursors.get(other.key.id, {})
    mine, theirs = context.mapped(link, link_body(link)).get("data"), link_body(other).get("data")
    return ends(other.body) != group, len(saved.keys() ^ present.keys()) + sum(
        1 for _ in differences(mine, theirs)
    )


def _take_out_unknown(context: Context, link: Entity, meant: dict[str, Any]) -> None:
    """Take out what an overlay adds that no link has: the console would drop it without a word."""
    unknown = meant.keys() - context.by_key[link.key].body.keys() - {"type", "data"}
    for name in unknown:
        del meant[name]
    context.note_unknown(link.key, [(name,) for name in unknown], _FIELDS)


def _missing_functions(context: Context, link: Entity) -> list[Loss]:
    """Give the functions of the snapshot that a link runs and the target will not have."""
    return [
        Loss("data.functions", f"runs {context.called(context.by_key[keys[0]])}, which the target lacks")
        for reference, source_id in find_references(entity_type("link").references, link.body)
        if reference.form is Form.UDF and context.resolve(reference.types, source_id) is None
        if (keys := [k for k in context.named(reference.types, source_id) if k.id not in context.owned])
    ]


def _with_own_environment(
    context: Context, link: Entity, meant: dict[str, Any], live: Mapping[str, Any]
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Give a link's body with the target's own `functionsEnv`, but for what an overlay gives or the target lacks."""
    own = value_at(live, ("data", "functionsEnv"))
    if not isinstance(own, Mapping) or not own:
        return meant, ()
    original = value_at(context.by_key[link.key].body, ("data", "functionsEnv")) or {}
    wanted = value_at(meant, ("data", "functionsEnv")) or {}
    if not isinstance(original, Mapping) or not isinstance(wanted, Mapping):
        return meant, ()
    given = {name for name, value in wanted.items() if value != original.get(name)}
    merged = {**wanted, **{name: value for name, value in own.items() if name not in given}}
    kept = tuple(sorted(f"data.functionsEnv.{name}" for name in merged if merged[name] != wanted.get(name)))
    data: Mapping[str, Any] = meant["data"] if isinstance(meant.get("data"), Mapping) else {}
    return {**meant, "data": {**data, "functionsEnv": merged}}, kept


def _switched_off(meant: dict[str, Any], live: Mapping[str, Any] | None) -> dict[str, Any]:
    """Give a link's body switched off, or as the target's own one is switched."""
    data = meant.get("data")
    data = dict(data) if isinstance(data, Mapping) else {}
    name = switch(meant)[-1]
    own = live.get("data") if live is not None else None
    data.pop(name, None)
    if live is None and name == "disabled":
        data[name] = True
    elif isinstance(own, Mapping) and name in own:
        data[name] = own[name]
    return {**meant, "data": data} if data or meant.get("data") is not None else meant


def _with_cursors(
    context: Context, link: Entity, action: Action, found: Entity | None, newest: Entity | None
) -> Action:
    cursors, reason = _cursors(context, link, found, newest)
    if reason is not None:
        action = replace(action, losses=tuple(sorted([*action.losses, Loss("cursor", reason)])))
    if not cursors:
        return action
    changes = (*action.changes, *(f"cursor of {stream}" for stream in sorted(cursors)))
    if action.kind is Kind.UNCHANGED:
        action = replace(action, kind=Kind.UPDATE, reason="its cursors are not set")
    return replace(action, cursors=cursors, changes=changes)


def _cursors(
    context: Context, link: Entity, found: Entity | None, newest: Entity | None
) -> tuple[dict[str, Any], str | None]:
    """Give the cursors to put on a sync, by stream, and why some stay behind.

    They come from the link that it takes the place of, `newest`, or else from the snapshot. A sync that
    was never made again keeps what it has: somebody may have reset a stream on purpose.
    """
    if found is not None and found.key == link.key:
        return {}, None
    saved = (context.live.cursors.get(newest.key.id) if newest is not None else None) or {}
    saved = saved or context.snapshot.cursors.get(link.key.id, {})
    present = context.live.cursors.get(found.key.id, {}) if found is not None else {}
    lacking = {stream: text for stream, text in saved.items() if stream not in present}
    if not lacking or not context.options.cursors:
        return {}, None
    if "sync-cursor" in context.live.manifest.not_offered:
        return {}, "the target console keeps no cursors: the source starts over"
    if newest is None and _has_other_ends(context, link):  # the old cursor would leave a gap there
        if found is None:
            context.notes.append(
                f"sync {quoted(context.meant_names[link.key])} begins without cursors: its source or destination is another one here"
            )
        return {}, None
    states, broken = {}, []
    for stream, text in lacking.items():
        try:
            states[stream] = orjson.loads(text)
        except orjson.JSONDecodeError:
            broken.append(stream)
    reason = f"the cursor of {', '.join(sorted(broken))} is not JSON" if broken else None
    return {stream: state for stream, state in states.items() if state != {}}, reason


def _has_other_ends(context: Context, link: Entity) -> bool:
    """Tell whether a sync reads from or writes to something else than in the snapshot."""
    for end in ("fromId", "toId"):
        if link.body.get(end) != context.by_key[link.key].body.get(end):
            return True
        for key in context.keys_of_id.get(str(link.body.get(end)), ()):
            changed = differences(context.by_key[key].body, context.meant[key].body)
            if any(path[:1] != ("name",) for path in changed) or is_the_targets_own(context, key):
                return True
    return False
