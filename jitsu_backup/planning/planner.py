"""Planning: a pure function of (snapshot, live state, options)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

import orjson

from jitsu_backup.catalogue import entity_type, find_references, link_name, owned_functions, rewrite
from jitsu_backup.catalogue.references import Form
from jitsu_backup.catalogue.table import Route
from jitsu_backup.errors import UsageError
from jitsu_backup.model import Entity, Key, Path, Snapshot, format_path, masked_paths
from jitsu_backup.planning.defaults import default_at, dropped, is_required, schema_name
from jitsu_backup.planning.differences import differences, value_at, with_values, without
from jitsu_backup.planning.identity import ATTEMPTS, derived_id, live_attempt
from jitsu_backup.planning.plan import Action, KeySlot, Kind, Loss, Plan, PlanOptions

KEY_FIELDS = ("publicKeys", "privateKeys")

# A builder's own bookkeeping: must be sent [profile-builder/incomplete], says nothing about a difference.
_BUILDER_BOOKKEEPING = ("version", "createdAt", "updatedAt")

# What the console notes of its last try to connect; sent along, but no difference.
_NOTES = ("testConnectionError",)


def make_plan(snapshot: Snapshot, live: Snapshot, options: PlanOptions) -> Plan:
    """Plan how `live` becomes what `snapshot` holds, as `options` say.

    Raises UsageError where an overlay names an entity that the snapshot lacks.
    """
    return _Planner(snapshot, live, options).plan()


class _Planner:
    def __init__(self, snapshot: Snapshot, live: Snapshot, options: PlanOptions) -> None:
        self.snapshot, self.live, self.options = snapshot, live, options
        self.workspace_id = live.manifest.source.workspace_id
        plain_names = {e.key.id: e.name for e in snapshot.entities}
        self.names = {
            e.key: link_name(e, plain_names) if e.key.type == "link" else e.name for e in snapshot.entities
        }
        unmatched = options.overlay.unmatched({e.key: (e, self.names[e.key]) for e in snapshot.entities})
        if unmatched:
            raise UsageError(
                f"overlay: {unmatched[0]!r} is not in the snapshot; `jitsu-backup show` lists what is"
            )
        self.meant = {
            e.key: Entity(e.key, options.overlay.apply(e, self.names[e.key])) for e in snapshot.entities
        }
        self.live_by_key = {e.key: e for e in live.entities}
        self.live_ids: dict[str, set[str]] = defaultdict(set)
        for entity in live.entities:
            self.live_ids[entity.key.type].add(entity.key.id)
        live_any = {entity.key.id for entity in live.entities}
        self.owned = dict(owned_functions(snapshot.entities))
        # what live references name and nothing live has was deleted, and its id is taken for ever
        self.deleted_ids = {
            source_id
            for entity in live.entities
            for reference, source_id in find_references(entity_type(entity.key.type).references, entity.body)
            if reference.form is not Form.ANYWHERE and source_id not in live_any
        }
        self.keys_of_id: dict[str, list[Key]] = defaultdict(list)
        for entity in snapshot.entities:
            if entity_type(entity.key.type).route is not Route.LINK:
                self.keys_of_id[entity.key.id].append(entity.key)
        self.ids: dict[Key, str] = {}
        self.actions: dict[Key, Action] = {}
        self.notes: list[str] = []

    def plan(self) -> Plan:
        ordered = sorted(self.meant.values(), key=lambda e: (entity_type(e.key.type).stage, e.key))
        objects = [e for e in ordered if entity_type(e.key.type).route is not Route.LINK]
        paired = {e.key: self._pair(e) for e in objects}  # all ids first: references may point anywhere
        for entity in objects:
            if not (entity.key.type == "function" and entity.key.id in self.owned):
                self.actions[entity.key] = self._plan_object(entity, paired[entity.key])
        self._plan_links([e for e in ordered if entity_type(e.key.type).route is Route.LINK])
        return Plan(
            source=self.snapshot.manifest.source,
            target=self.live.manifest.source,
            actions=tuple(self.actions.values()),
            ids=dict(self.ids),
            notes=tuple(self.notes),
        )

    # -- identity ------------------------------------------------------------

    def resolve(self, types: tuple[str, ...], source_id: str) -> str | None:
        """Give the target id of what a reference names, or None where the snapshot lacks it."""
        for key in self.keys_of_id.get(source_id, ()):
            if (not types or key.type in types) and key in self.ids:
                return self.ids[key]
        return None

    def _pair(self, entity: Entity) -> Entity | None:
        key = entity.key
        if key.type == "function" and key.id in self.owned:
            live_id = self._live_owned(self.owned[key.id])
            if live_id is not None:
                self.ids[key] = live_id
            return None
        if entity.body.get("provisioned") is True:
            found = self._live_provisioned(entity)
        else:
            attempt = live_attempt(self.workspace_id, key.type, key.id, self.live_ids[key.type])
            free = (n for n in range(ATTEMPTS) if self._derived(key, n) not in self.deleted_ids)
            self.ids[key] = self._derived(key, next(free, 0) if attempt is None else attempt)
            found = None if attempt is None else self.live_by_key[Key(key.type, self.ids[key])]
        if found is not None:
            self.ids[key] = found.key.id
        return found

    def _derived(self, key: Key, attempt: int) -> str:
        return derived_id(self.workspace_id, key.type, key.id, attempt)

    def _live_owned(self, builder_source_id: str) -> str | None:
        type_name = "profile-builder"
        attempt = live_attempt(self.workspace_id, type_name, builder_source_id, self.live_ids[type_name])
        if attempt is None:
            return None
        builder_id = derived_id(self.workspace_id, type_name, builder_source_id, attempt)
        owned = owned_functions([self.live_by_key[Key(type_name, builder_id)]])
        return next((function_id for function_id, _ in owned), None)

    def _live_provisioned(self, entity: Entity) -> Entity | None:
        candidates = [
            other
            for other in self.live.of_type(entity.key.type)
            if other.body.get("provisioned") is True
            and other.body.get("destinationType") == entity.body.get("destinationType")
        ]
        return candidates[0] if len(candidates) == 1 else None

    # -- objects -------------------------------------------------------------

    def _plan_object(self, entity: Entity, found: Entity | None) -> Action:
        key, name = entity.key, self.names[entity.key]
        if key.type not in self.live.manifest.counts:
            return Action(Kind.SKIPPED, key, name, None, "the target console does not know this type")
        if entity.body.get("provisioned") is True:
            if found is not None:
                return Action(Kind.UNCHANGED, key, name, found.key.id, "the target's own provisioned one")
            return Action(
                Kind.SKIPPED, key, name, None, "provisioned by Jitsu: it cannot be created through the API"
            )
        if key.type == "domain":
            owner = self.options.domains_elsewhere.get(str(entity.body.get("name")).lower())
            if owner is not None and found is None:
                return Action(Kind.SKIPPED, key, name, None, f"the domain belongs to workspace {owner}")
        same_console = self.snapshot.manifest.source.host == self.live.manifest.source.host
        if key.type == "misc" and found is None and same_console:
            self.notes.append(
                f"misc {name!r}: its classic keys will name a stream in each workspace of this console;"
                " give them other values with --overlay"
            )
        losses: list[Loss] = []
        if entity_type(key.type).route is Route.PROFILE_BUILDER:
            meant, live = self._builder_bodies(entity, found, losses)
        else:
            meant = self._object_body(entity, found, losses)
            live = None if found is None else self._without_volatile(found)
        return self._create_or_update(entity, meant, live, found, losses)

    def _create_or_update(
        self,
        entity: Entity,
        meant: dict[str, Any],
        live: dict[str, Any] | None,
        found: Entity | None,
        losses: list[Loss],
    ) -> Action:
        key, name, kind_of = entity.key, self.names[entity.key], entity_type(entity.key.type)
        schema = self.options.schemas.get(schema_name(key.type, entity.body) or "")
        meant, missing = self._settle_secrets(meant, live, schema)
        target_id = self.ids[key]
        lost = [Loss(format_path(path), "the snapshot could not read this secret") for path in missing]
        losses = sorted([*losses, *lost])
        if missing and not self.options.allow_missing_secrets:
            paths = ", ".join(format_path(path) for path in missing)
            reason = f"secret not in the snapshot: {paths}; give it with --overlay"
            return Action(Kind.BLOCKED, key, name, target_id, reason, losses=tuple(losses))
        if found is None or live is None:
            slots = self._key_slots(key, meant, ())
            return Action(
                Kind.CREATE, key, name, target_id, "not in the target", meant,
                losses=tuple(losses), new_keys=slots,
            )  # fmt: skip
        mapped = rewrite(kind_of.references, meant, self.resolve)
        if key.type == "stream":
            slots = self._key_slots(key, meant, self._live_key_ids(live))
            mapped = without(mapped, {(f,) for f in KEY_FIELDS})  # compared by id, above
            live = without(live, {(f,) for f in KEY_FIELDS})
        else:
            slots = ()
        unimportant = _BUILDER_BOOKKEEPING if kind_of.route is Route.PROFILE_BUILDER else _NOTES
        skip = {p for p in missing if not is_required(schema, p)} | {(name,) for name in unimportant}
        changed, removals = self._changes(mapped, live, kind_of.name, schema, skip, losses)
        changed_keys = {str(path[0]) for path in changed} | {slot.field for slot in slots}
        changes = tuple(sorted({*map(format_path, changed), *removals, *(s.field for s in slots)}))
        if not changes:
            return Action(
                Kind.UNCHANGED, key, name, target_id, "already as meant", losses=tuple(sorted(losses))
            )
        body = meant
        if kind_of.route is Route.OBJECT:
            body = {field: value for field, value in meant.items() if field in changed_keys}
            # a stream's PUT clears this one where it is absent [stream/put-known-key]
            if key.type == "stream" and "authorizedJavaScriptDomains" in meant:
                body["authorizedJavaScriptDomains"] = meant["authorizedJavaScriptDomains"]
            if key.type == "stream":
                body |= {s.field: self._all_keys(key, meant, found, s.field) for s in slots}
        return Action(
            Kind.UPDATE, key, name, target_id, "differs: " + ", ".join(changes), body,
            changes=changes, removals=removals, losses=tuple(sorted(losses)), new_keys=slots,
        )  # fmt: skip

    def _changes(
        self,
        mapped: Mapping[str, Any],
        live: Mapping[str, Any],
        type_name: str,
        schema: Mapping[str, Any] | None,
        skip: set[Path],
        losses: list[Loss],
    ) -> tuple[list[Path], tuple[str, ...]]:
        """Sort the differences into those to send, keys to remove, and losses (added to `losses`)."""
        kind_of = entity_type(type_name)
        replaced_whole = kind_of.route is not Route.OBJECT or type_name == "stream"
        changed: list[Path] = []
        removals: list[str] = []
        for path in differences(mapped, live):
            if path in skip:
                continue
            extra = value_at(mapped, path) is None and value_at(live, path) is not None
            if extra and default_at(schema, path) == value_at(live, path):
                continue  # filled in by the console
            if not extra or (replaced_whole and len(path) > 1):
                changed.append(path)
            elif len(path) == 1 and kind_of.marker_removes:
                removals.append(str(path[0]))
            elif kind_of.route is not Route.OBJECT:
                changed.append(path)
            else:
                losses.append(
                    Loss(format_path(path), "only the target has it, and the console cannot remove it")
                )
        return changed, tuple(sorted(removals))

    def _without_volatile(self, entity: Entity) -> dict[str, Any]:
        volatile = entity_type(entity.key.type).volatile
        return {name: value for name, value in entity.body.items() if name not in volatile}

    def _object_body(self, entity: Entity, found: Entity | None, losses: list[Loss]) -> dict[str, Any]:
        body = self._without_volatile(entity)
        schema = self.options.schemas.get(schema_name(entity.key.type, entity.body) or "")
        unknown = set(dropped(schema, body))
        losses.extend(
            Loss(format_path(path), "the target console does not know this field") for path in unknown
        )
        body = dict(without(body, unknown))
        if entity.key.type == "domain" and isinstance(body.get("name"), str):
            body["name"] = body["name"].lower()  # as the console does [domain/list]
        if entity.key.type == "stream" and isinstance(body.get("domains"), list):
            body["domains"] = self._domains(body["domains"], found, losses)
        return body

    def _domains(self, domains: list[Any], found: Entity | None, losses: list[Loss]) -> list[Any]:
        domains = [d.lower() if isinstance(d, str) else d for d in domains]  # [stream/get]
        taken = [d for d in domains if d in self.options.domains_elsewhere]
        for domain in taken:
            owner = self.options.domains_elsewhere[domain]
            losses.append(Loss("domains", f"domain {domain} belongs to workspace {owner}"))
        kept = [d for d in domains if d not in taken]
        if taken and found is not None:  # the stream's own domains in the target stay
            own = found.body.get("domains")
            kept = [*(own if isinstance(own, list) else []), *(d for d in kept if d not in (own or ()))]
        return kept

    def _builder_bodies(
        self, entity: Entity, found: Entity | None, losses: list[Loss]
    ) -> tuple[dict[str, Any], dict[str, Any] | None]:
        meant = self._without_volatile(entity)
        meant |= {n: entity.body[n] for n in _BUILDER_BOOKKEEPING if n in entity.body}
        codes = _builder_codes(entity)
        meant["code"] = codes[0] if codes else ""
        if len(codes) > 1:
            losses.append(Loss("functions", "the API can write only the first of several functions"))
        if found is None:
            return meant, None
        live = self._without_volatile(found)
        live |= {n: found.body[n] for n in _BUILDER_BOOKKEEPING if n in found.body}
        live["code"] = next(iter(_builder_codes(found)), "")
        return meant, live

    # -- secrets and write keys ------------------------------------------------

    def _settle_secrets(
        self, meant: dict[str, Any], live: Mapping[str, Any] | None, schema: Mapping[str, Any] | None
    ) -> tuple[dict[str, Any], list[Path]]:
        """Take masked values out of `meant`; give it with the paths of the secrets that nobody has.

        A mask is never sent: a POST would drop it, an old console would store it
        [destination/create-masked-elsewhere]. What is left out of a PUT stays as it is.
        """
        fill: dict[Path, Any] = {}
        kept: set[Path] = set()
        missing: list[Path] = []
        for path in masked_paths(meant):
            stored = value_at(live, path)
            in_list = any(isinstance(part, int) for part in path)
            if stored not in (None, "") and not _holds_mask(stored):
                fill[path] = stored
            elif stored not in (None, "") and not in_list:
                kept.add(path)
            elif stored not in (None, ""):
                whole = next(path[:n] for n, part in enumerate(path) if isinstance(part, int))
                if any(True for _ in differences(value_at(meant, whole), value_at(live, whole))):
                    missing.append(path)  # a list is replaced whole, and one of its secrets is unknown
                else:
                    kept.add(whole)
            else:
                missing.append(path)
        for path in missing:
            if is_required(schema, path) or any(isinstance(part, int) for part in path):
                fill[path] = ""  # refused without it; an empty one is at least no false one
            else:
                kept.add(path)
        settled: dict[str, Any] = without(with_values(meant, fill), kept)
        return settled, missing

    def _live_key_ids(self, live: Mapping[str, Any]) -> set[str]:
        return {
            str(item.get("id"))
            for name in KEY_FIELDS
            for item in live.get(name) or ()
            if isinstance(item, Mapping)
        }

    def _key_slots(self, key: Key, meant: Mapping[str, Any], live_ids: Iterable[str]) -> tuple[KeySlot, ...]:
        """Give the write keys to generate: none ever comes back from a console [stream/get]."""
        if key.type != "stream":
            return ()
        slots = []
        for name in KEY_FIELDS:
            for item in meant.get(name) or ():
                source_id = str(item.get("id")) if isinstance(item, Mapping) else ""
                new_id = derived_id(self.workspace_id, name, f"{key.id}/{source_id}")
                if source_id and not has_key_material(item) and new_id not in live_ids:
                    slots.append(KeySlot(name, source_id, new_id))
                elif source_id and has_key_material(item) and source_id not in live_ids and live_ids:
                    slots.append(KeySlot(name, source_id, source_id))
        return tuple(slots)

    def _all_keys(self, key: Key, meant: Mapping[str, Any], found: Entity, name: str) -> list[Any]:
        """Give a stream's key list for a PUT: those it has, by id [stream/put-known-key], and the new ones."""
        own = [{"id": item["id"]} for item in found.body.get(name) or () if isinstance(item, Mapping)]
        known = {item["id"] for item in own}
        new = [
            item
            for item in meant.get(name) or ()
            if isinstance(item, Mapping)
            and item.get("id") not in known
            and derived_id(self.workspace_id, name, f"{key.id}/{item.get('id')}") not in known
        ]
        return [*own, *new]

    # -- links -----------------------------------------------------------------

    def _plan_links(self, links: list[Entity]) -> None:
        groups: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
        for link in sorted(links, key=lambda e: (str(e.body.get("createdAt")), e.key)):
            problem = self._link_problem(link)
            if problem is not None:
                kind, reason = problem
                self.actions[link.key] = Action(kind, link.key, self.names[link.key], None, reason)
                continue
            body = rewrite(entity_type("link").references, link.body, self.resolve)
            groups[_link_group(body)].append(link)
        live_groups: dict[tuple[str, str, str], list[Entity]] = defaultdict(list)
        for link in sorted(self.live.of_type("link"), key=lambda e: (str(e.body.get("createdAt")), e.key)):
            live_groups[_link_group(link.body)].append(link)
        for group, members in groups.items():
            for link, found in self._pair_links(members, live_groups.get(group, [])):
                self.actions[link.key] = self._plan_link(link, found)

    def _link_problem(self, link: Entity) -> tuple[Kind, str] | None:
        for reference, source_id in find_references(entity_type("link").references, link.body):
            keys = [
                k
                for k in self.keys_of_id.get(source_id, ())
                if not reference.types or k.type in reference.types
            ]
            if reference.form is Form.UDF:
                if not keys:
                    self.notes.append(
                        f"{self.names[link.key]}: runs function {source_id}, not in the snapshot"
                    )
                continue
            if not keys:
                return (
                    Kind.SKIPPED,
                    f"dangling: its {_end(reference.path)} {source_id} is not in the snapshot",
                )
            action = next((self.actions[k] for k in keys if k in self.actions), None)
            if action is not None and action.kind in (Kind.SKIPPED, Kind.BLOCKED):
                return action.kind, f"{action.key.type} {action.name!r} is {action.kind.value}"
        return None

    def _pair_links(self, links: list[Entity], live: list[Entity]) -> list[tuple[Entity, Entity | None]]:
        """Pair links of equal ends: of equal data and cursors, of equal data, then in the order they were made."""
        left = list(live)
        pairs: dict[Key, Entity] = {}
        for alike in (self._same_link_and_cursors, self._same_link):
            for link in links:
                same = next((other for other in left if alike(link, other)), None)
                if link.key not in pairs and same is not None:
                    pairs[link.key] = same
                    left.remove(same)
        for link in links:
            if link.key not in pairs and left:
                pairs[link.key] = left.pop(0)
        return [(link, pairs.get(link.key)) for link in links]

    def _same_link(self, link: Entity, other: Entity) -> bool:
        mapped = rewrite(entity_type("link").references, self._link_body(link), self.resolve)
        return not any(True for _ in differences(mapped, self._link_body(other)))

    def _same_link_and_cursors(self, link: Entity, other: Entity) -> bool:
        saved, present = self.snapshot.cursors.get(link.key.id, {}), self.live.cursors.get(other.key.id, {})
        return set(saved) == set(present) and self._same_link(link, other)

    def _link_body(self, link: Entity) -> dict[str, Any]:
        body = self._without_volatile(link)
        body.setdefault("type", "push")
        if body.get("data") is None:
            body.pop("data", None)  # [link/create-without-data]
        return body

    def _plan_link(self, link: Entity, found: Entity | None) -> Action:
        if found is not None:
            self.ids[link.key] = found.key.id
        else:
            self.ids.setdefault(link.key, "")
        losses: list[Loss] = []
        live = None if found is None else self._link_body(found)
        action = self._create_or_update(link, self._link_body(link), live, found, losses)
        if found is None:
            self.ids.pop(link.key)
            action = replace(action, target_id=None)
        if action.kind is Kind.BLOCKED:
            return action
        cursors, reason = self._cursors(link, found)
        if reason is not None:
            action = replace(action, losses=tuple(sorted([*action.losses, Loss("cursor", reason)])))
        if not cursors:
            return action
        changes = (*action.changes, *(f"cursor of {stream}" for stream in sorted(cursors)))
        if action.kind is Kind.UNCHANGED:
            action = replace(action, kind=Kind.UPDATE, reason="its cursors are not set", body={})
        return replace(action, cursors=cursors, changes=changes)

    def _cursors(self, link: Entity, found: Entity | None) -> tuple[dict[str, Any], str | None]:
        """Give the cursors to put on a sync, by stream, and why some stay behind."""
        saved = self.snapshot.cursors.get(link.key.id) or {}
        present = self.live.cursors.get(found.key.id, {}) if found is not None else {}
        lacking = {stream: text for stream, text in saved.items() if stream not in present}
        if not lacking or not self.options.cursors:
            return {}, None
        if "sync-cursor" in self.live.manifest.not_offered:
            return {}, "the target console keeps no cursors: the source starts over"
        if self._overlay_moves(link):
            return {}, None  # another source or warehouse: the old cursor would leave a gap there
        states = {}
        for stream, text in lacking.items():
            try:
                states[stream] = orjson.loads(text)
            except orjson.JSONDecodeError:
                return states, f"the cursor of {stream} is not JSON"
        return {stream: state for stream, state in states.items() if state != {}}, None

    def _overlay_moves(self, link: Entity) -> bool:
        originals = {e.key: e for e in self.snapshot.entities}
        for end in ("fromId", "toId"):
            for key in self.keys_of_id.get(str(link.body.get(end)), ()):
                changed = differences(originals[key].body, self.meant[key].body)
                if any(path[:1] != ("name",) for path in changed):
                    return True
        return False


def has_key_material(item: Any) -> bool:
    """Tell whether a stream's key can be sent as it is: with its hash or its plain text."""
    return isinstance(item, Mapping) and any(item.get(name) for name in ("plaintext", "hash"))


def _holds_mask(value: Any) -> bool:
    return any(True for _ in masked_paths(value))


def _builder_codes(builder: Entity) -> list[str]:
    codes = []
    for owned in builder.body.get("functions") or ():
        code = value_at(owned, ("function", "config", "code"))
        if isinstance(code, str):
            codes.append(code)
    return codes


def _link_group(body: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(body.get("type") or "push"), str(body.get("fromId")), str(body.get("toId"))


def _end(path: tuple[str, ...]) -> str:
    return {"fromId": "source", "toId": "destination"}.get(path[-1], path[-1])
