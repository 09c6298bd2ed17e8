"""What every part of planning looks at: the snapshot as meant, the target as it is, and who is whom."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from functools import cached_property
from typing import Any

from jitsu_backup.catalogue import (
    HIDDEN,
    Selector,
    check_type,
    dangling_references,
    entity_type,
    find_references,
    is_secret_path,
    link_name,
    owned_functions,
    rewrite,
)
from jitsu_backup.catalogue.references import Form
from jitsu_backup.catalogue.table import Route
from jitsu_backup.errors import UsageError
from jitsu_backup.model import (
    Entity,
    Key,
    Path,
    Snapshot,
    format_path,
    items_of,
    masked_paths,
    nearest,
    quoted,
    some_of,
)
from jitsu_backup.planning.capabilities import capabilities
from jitsu_backup.planning.fields import words_for
from jitsu_backup.planning.json_diff import value_at
from jitsu_backup.planning.plan import PlanOptions

KEY_FIELDS = ("publicKeys", "privateKeys")


class Context:
    """Both sides of a plan. Pairing fills in `ids`, `found`, `superseded`, `namesakes` and `problems`.

    `meant` is the snapshot under the overlay, and `meant_names` what its entities will be called; `found` the target's entity for a key of the
    snapshot, `superseded` older ones that it took the place of, `namesakes` those of the target that stand for
    nothing and are called as it is, `problems` why it cannot be paired.
    """

    def __init__(self, snapshot: Snapshot, live: Snapshot, options: PlanOptions) -> None:
        self.snapshot, self.live, self.options = snapshot, live, options
        source, target = snapshot.manifest.source, live.manifest.source
        self.workspace_id = target.workspace_id
        self.by_key = {entity.key: entity for entity in snapshot.entities}
        self.live_by_key = {entity.key: entity for entity in live.entities}
        same_host = source.host == target.host
        self.in_place = same_workspace(snapshot, live)
        known = options.same_console
        self.same_console = self.in_place or (same_host if known is None else known)
        self.capabilities = capabilities(live, options.schemas)
        self.names = entity_names(snapshot.entities)
        self.live_names = entity_names(live.entities)
        self.types = {*snapshot.manifest.counts, *live.manifest.counts}
        for rule in options.overlay.rules:
            check_type(rule.selector, "overlay", self.types)
        unmatched = options.overlay.unmatched({key: (e, self.names[key]) for key, e in self.by_key.items()})
        if unmatched:
            one = len(unmatched) == 1
            raise UsageError(
                f"overlay: {some_of([repr(text) for text in unmatched], 5)} {'is' if one else 'are'} not in the snapshot;"
                f" take {'it out where it is' if one else 'them out where they are'} gone for good"
                " (`jitsu-backup show SNAPSHOT '*'` lists what there is)"
            )
        twice = options.overlay.ambiguous({key: (e, self.names[key]) for key, e in self.by_key.items()})
        if twice:
            selector, keys = twice[0]
            raise UsageError(
                f"overlay: {selector!r} names {len(keys)} entities: {', '.join(map(str, keys[:4]))}; write one's id"
            )
        for key, entity in self.by_key.items():
            clash = options.overlay.contradiction(entity, self.names[key])
            if clash is not None:
                first, second, path = clash
                raise UsageError(
                    f"overlay: {first!r} and {second!r} are one entity, and both give {format_path(path)!r}; remove one of them"
                )
        self.meant = {
            key: Entity(key, options.overlay.apply(entity, self.names[key]))
            for key, entity in self.by_key.items()
        }
        secrets = options.overlay.secrets  # a name that is one is not shown
        self.meant_names = entity_names(
            [self.by_key[key] if entity.name in secrets else entity for key, entity in self.meant.items()]
        )
        self._check_moved_ends()
        self.owned = dict(owned_functions(snapshot.entities))
        self.live_owned = dict(owned_functions(live.entities))
        self.ids_of_type: dict[str, set[str]] = defaultdict(set)
        for key in self.by_key:
            self.ids_of_type[key.type].add(key.id)
        self.keys_of_id: dict[str, list[Key]] = defaultdict(list)
        for key in self.by_key:
            if entity_type(key.type).route is not Route.LINK:
                self.keys_of_id[key.id].append(key)
        self.live_ids = live_ids = {key.id for key in self.live_by_key}
        # what live references name and nothing live has was deleted, and its id is taken for ever
        self.taken_ids = {
            named_id
            for entity in live.entities
            for reference, named_id in find_references(entity_type(entity.key.type).references, entity.body)
            if reference.form not in (Form.ANYWHERE, Form.PACKAGE) and named_id not in live_ids
        }
        if self.in_place:
            self.taken_ids |= {key.id for key in self.by_key} - live_ids
        self.live_keys = {
            key_id
            for stream in live.of_type("stream")
            for name in KEY_FIELDS
            for key_id in key_ids(stream, name)
        }
        self.ids: dict[Key, str] = {}
        self.found: dict[Key, Entity] = {}
        self.superseded: dict[Key, list[Entity]] = {}
        self.namesakes: dict[Key, list[Entity]] = {}
        self.problems: dict[Key, str] = {}
        self.notes: list[str] = []
        # of the overlay, entity by entity: None where the field is known, else a hint
        self._unknown: dict[tuple[str, Path], list[str | None]] = defaultdict(list)

    def _check_moved_ends(self) -> None:
        known = {key.id for key in self.by_key if key.type != "link"}
        for key, link in self.meant.items():
            for end in ("fromId", "toId") if key.type == "link" else ():
                named = link.body.get(end)
                if named != self.by_key[key].body.get(end) and named not in known:
                    shown = HIDDEN if named in self.options.overlay.secrets else repr(named)
                    raise UsageError(
                        f"overlay: link {quoted(self.names[key])}: {end} {shown} is not an id of the snapshot"
                    )

    def note(self, text: str) -> None:
        """Note what is worth telling, once."""
        if text not in self.notes:
            self.notes.append(text)

    def note_unknown(self, key: Key, unknown: Iterable[Path], known: Iterable[str]) -> None:
        """Note which of the overlay's fields the target console does not know of an entity, beside those it knows."""
        entity, without = self.by_key[key], list(unknown)
        names = list(known)
        for rule in self.options.overlay.choosing(entity, self.names[key]):
            for path in rule.paths():
                strange = (
                    any(path[: len(one)] == one for one in without) and value_at(entity.body, path) is None
                )
                self._unknown[rule.selector.text, path].append(
                    nearest(str(path[0]), names) if strange else None
                )

    def check_overlay(self) -> None:
        """Raise UsageError for a field of the overlay that the console knows of nothing that the selector chooses."""
        for (selector, path), found in self._unknown.items():
            hints = [hint for hint in found if hint is not None]
            if len(hints) == len(found):
                raise UsageError(
                    f"overlay: {selector!r}: the target console knows no {format_path(path)!r} there{hints[0]}"
                )
        self._check_plain()

    def _check_plain(self) -> None:
        """Raise UsageError for a plain value of the overlay that stands where a secret does."""
        plain: dict[str, list[Path]] = defaultdict(list)
        for value in self.options.overlay.outside:
            if value.plain:
                plain[value.selector].append(value.path)
        for key, entity in self.by_key.items() if plain else ():
            sides = [side.body for side in (entity, self.found.get(key)) if side is not None]
            masked = {tuple(map(str, path)) for body in sides for path in masked_paths(body)}
            for rule in self.options.overlay.choosing(entity, self.names[key]):
                for path in plain.get(rule.selector.text, ()):
                    if is_secret_path(path, entity_type(key.type).secrets) or any(
                        path[: len(one)] == one[: len(path)] for one in masked
                    ):
                        raise UsageError(
                            f"overlay: {rule.selector.text!r}: {format_path(path)!r} is a secret, which is never shown;"
                            " remove its plain = true"
                        )

    def overlaid(self, key: Key, path: Path) -> bool:
        """Tell whether the overlay gives the value at `path` of an entity, or anything in it."""
        rules = self.options.overlay.choosing(self.by_key[key], self.names[key])
        return any(given[: len(path)] == path for rule in rules for given in rule.paths())

    def belongs_to_unread_builder(self, entity: Entity) -> bool:
        """Tell whether a function may be a profile builder's own, which is made with its builder alone [profile-builder/function-listed-too]."""
        builders_refused = any(
            refusal.what == "profile-builder" for refusal in self.snapshot.manifest.refused
        )
        return builders_refused and entity.key.type == "function" and entity.body.get("kind") == "profile"

    def resolve(self, types: tuple[str, ...], source_id: str) -> str | None:
        """Give the target id of what a reference names, or None where it has none."""
        for key in self.keys_of_id.get(source_id, ()):
            if (not types or key.type in types) and key in self.ids:
                return self.ids[key]
        return None

    def named(self, types: tuple[str, ...], source_id: str) -> list[Key]:
        """Give the snapshot's keys that a reference to `source_id` may mean; a custom image is named by its package."""
        if types == ("custom-image",):
            return self.images_of_package.get(source_id, [])
        return [key for key in self.keys_of_id.get(source_id, ()) if not types or key.type in types]

    def mapped(self, entity: Entity, body: Mapping[str, Any]) -> dict[str, Any]:
        """Give a body of the snapshot with the target's ids in its references."""
        return rewrite(entity_type(entity.key.type).references, body, self.resolve)

    def called(self, entity: Entity) -> str:
        """Give `type 'name'`, as notes write it, for an entity of either side."""
        names = self.meant_names if self.by_key.get(entity.key) is entity else self.live_names
        return f"{entity.key.type} {quoted(names[entity.key])}"

    @cached_property
    def words(self) -> tuple[dict[str, str], dict[str, str]]:
        """What ids of the target are called now, and will be. Only once all objects are paired."""
        now = {key.id: (key, name) for key, name in self.live_names.items() if key.type != "link"}
        later = {
            new_id: (Key(key.type, new_id), self.meant_names[key])
            for key, new_id in self.ids.items()
            if key.type != "link" and key in self.names  # a builder's deleted function is not listed
        }
        return words_for(now, now | later)

    @cached_property
    def dead_links(self) -> set[Key]:
        """The connections of the snapshot that lost an end there: nothing flows through them [delete/links-now-dangle]."""
        found = dangling_references(self.snapshot)
        return {one.key for one in found if one.dead and one.key.type == "link"}

    def is_dead(self, link: Entity) -> bool:
        """Tell whether a connection of the target lost an end."""
        ends = (link.body.get("fromId"), link.body.get("toId"))
        return link.key.type == "link" and not {*map(str, ends)} <= self.live_ids

    @cached_property
    def images_of_package(self) -> dict[str, list[Key]]:
        """The custom images of the snapshot by their packages."""
        found: dict[str, list[Key]] = defaultdict(list)
        for image in self.meant.values():
            if image.key.type == "custom-image":
                found[str(image.body.get("package"))].append(image.key)
        return found

    @cached_property
    def streams_of_domain(self) -> dict[str, set[Key]]:
        """Which streams of the snapshot are meant to have a domain, in lower case."""
        found: dict[str, set[Key]] = defaultdict(set)
        for key, entity in self.meant.items():
            domains = entity.body.get("domains") if key.type == "stream" else None
            for domain in domains if isinstance(domains, list) else ():
                found[str(domain).lower()].add(key)
        return found

    def forget_words(self) -> None:
        """Let `words` be told anew, for an entity got another id since."""
        self.__dict__.pop("words", None)

    def one(self, text: str, *, live: bool, option: str) -> Entity:
        """Give the one entity that a selector names. Raises UsageError for none or several."""
        selector = Selector(text)
        check_type(selector, option, self.types)
        entities, names = (self.live_by_key, self.live_names) if live else (self.by_key, self.names)
        found = [e for key, e in entities.items() if selector.matches(e, names[key])]
        where = "the target" if live else "the snapshot"
        if not found:
            raise UsageError(f"{option}: {text!r} is not in {where}")
        if len(found) > 1:
            some = ", ".join(str(entity.key) for entity in found[:4])
            raise UsageError(
                f"{option}: {text!r} names {len(found)} entities of {where}: {some}; write one's id"
            )
        return found[0]


def subtype(entity: Entity) -> str:
    """Give what a destination or service is of: one of another kind has other fields and other secrets."""
    name = {"destination": "destinationType", "service": "package"}.get(entity.key.type)
    return str(entity.body.get(name)) if name else ""


def same_workspace(snapshot: Snapshot, live: Snapshot) -> bool:
    """Tell whether `live` is the workspace that `snapshot` was read from, under whatever host name.

    When it was made tells it from another one of the same id, on a console set up anew.
    """
    source, target = snapshot.manifest.source, live.manifest.source
    if source.workspace_id != target.workspace_id:
        return False
    before, now = snapshot.workspace.get("createdAt"), live.workspace.get("createdAt")
    return before == now if before and now else source.host == target.host


def without_volatile(entity: Entity) -> dict[str, Any]:
    """Give a body without what the server makes."""
    volatile = entity_type(entity.key.type).volatile
    return {name: value for name, value in entity.body.items() if name not in volatile}


def key_ids(stream: Entity | None, name: str) -> list[str]:
    """Give the ids of a stream's write keys, `name` being one of KEY_FIELDS."""
    items: Iterable[Any] = () if stream is None else items_of(stream.body.get(name))
    return [item["id"] for item in items if isinstance(item, Mapping) and isinstance(item.get("id"), str)]


def builder_code(builder: Entity) -> tuple[str, str]:
    """Give code and draft of the function that a profile builder owns; a published draft is the code [profile-builder/list]."""
    first = next(iter(items_of(builder.body.get("functions"))), None)
    code, draft = (value_at(first, ("function", "config", name)) for name in ("code", "draft"))
    code = code if isinstance(code, str) else ""
    return code, draft if isinstance(draft, str) else code


def entity_names(entities: Collection[Entity]) -> dict[Key, str]:
    """Return what people call each entity: a link by its ends."""
    plain = {entity.key.id: entity.name for entity in entities}
    return {e.key: link_name(e, plain) if e.key.type == "link" else e.name for e in entities}
