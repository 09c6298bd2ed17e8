"""Protection: entities of the target that are neither deleted nor re-created unless the operator asks for it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from jitsu_backup.catalogue import Selector, check_type, entity_names, spelt
from jitsu_backup.model import Entity, Key, Snapshot, flag, nearest, some_of
from jitsu_backup.planning.ignored import idle_fields
from jitsu_backup.planning.lineage import former_names
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.overlays import overlay_selectors
from jitsu_backup.planning.plan import Action, ActionKind
from jitsu_backup.planning.reasons import ALSO
from jitsu_backup.planning.sides import Sides

Named = tuple[Entity, str]
"""An entity, with one of its names."""

_NAMED = 3


class Names(tuple[Named, ...]):
    """Many entities with their names, in which an exact selector is looked up."""

    @cached_property
    def called(self) -> frozenset[tuple[str, str]]:
        """Types with ids and names, as `Selector.named` gives them."""
        both = ((entity.key.type, (entity.key.id, name or entity.name)) for entity, name in self)
        return frozenset((kind, spelt(text)) for kind, texts in both for text in texts)


def check_protection(sides: Sides) -> None:
    """Raise UsageError for a selector of an unknown type."""
    for option, texts in (("protect", sides.options.protect), ("--unprotect", sides.options.unprotect)):
        for text in texts:
            check_type(Selector(text), option, sides.types)


@dataclass(frozen=True)  # without slots, because what follows from the fields is cached
class Protection:
    """What the settings protect in the target of a plan.

    The names that entities had earlier count too, so that renaming an entity does not lift its protection. A selector that
    matches nothing may be misspelt, or mean an entity by a name that is unknown here. Then what it may mean is not deleted.
    """

    sides: Sides

    def blocked(self, deletions: Iterable[Action]) -> list[Action]:
        """Return deletions, blocked if they would delete or re-create a protected entity.

        The reason of one that was already blocked says so too, because one run has to say all that it needs.
        """
        return [self._blocked(action) for action in deletions]

    def vain_flags(self, deletions: Iterable[Action]) -> Iterator[str]:
        """Yield a note for each `unprotect` that matches nothing, because an earlier run may have deleted its entity."""
        if not self.sides.options.unprotect:
            return
        protected = [entity for entity in self.sides.live.entities if self._named_by(entity)]
        going = [entity for action in deletions for entity in self._taken(action)]
        doubts = {text for entity in going for text in self._doubts(entity)}
        protected += [entity for entity in going if self._meant_by(entity)]
        for text in self.sides.options.unprotect:
            if text not in doubts and not any(self._frees(text, entity) for entity in protected):
                kind, _, name = text.partition("/")
                known = {self.sides.live_names[entity.key] for entity in protected if entity.key.type == kind}
                yield f"--unprotect {text!r} matches no protected entity of the target{nearest(name, known)}"

    def notes(self, deletions: Iterable[Action]) -> Iterator[tuple[str, bool]]:
        """Yield a note for each selector of `protect` that matches nothing on any side, or nothing by its present name.

        With each comes whether the selector matches nothing although the plan deletes entities of its type. In a recovery
        there is none, because settings may be about several workspaces, nor if selectors are not checked.
        """
        sides, options = self.sides, self.sides.options
        if not options.checks_selectors or sides.since is Since.RECOVERY or not options.protect:
            return
        own = "snapshot" if sides.in_place else "source"
        recorded = len(sides.earlier) > sides.in_place
        where = f"the target, the {own} or the last record" if recorded else f"the target or the {own}"
        deleted = {action.key.type for action in deletions if action.kind is ActionKind.DELETE}
        for text in options.protect:
            for note in idle_protection([text], self._present, self._earlier, self._elsewhere, where):
                ends_here = text in self._idle and text not in options.unprotect
                yield note, ends_here and any(Selector(text).may_be_of(kind) for kind in deleted)

    @cached_property
    def _present(self) -> Names:
        return _named(self.sides.live_by_key, self.sides.live_names)

    @cached_property
    def _earlier(self) -> Names:
        live = self.sides.live_by_key
        return Names((live[key], name) for key, names in self.sides.earlier_names.items() for name in names)

    @cached_property
    def _elsewhere(self) -> Names:
        """What the source, the snapshot and the records have."""
        sides = self.sides
        before = [(e, name) for one in sides.earlier for e, name in _of(one)]
        here = (*_named(sides.by_key, sides.names), *_named(sides.by_key, sides.desired_names))
        return Names((*before, *here))

    @cached_property
    def _idle(self) -> list[str]:
        """The selectors that match nothing now or earlier, and that may therefore mean something else.

        The names of another workspace do not count without a record of what was cloned from there.
        """
        sides = self.sides
        if not needs_names(sides.options.protect):  # otherwise nothing has to be followed
            return []
        found = [self._present, self._earlier]
        found += [self._elsewhere] if sides.in_place or sides.options.record is not None else []
        texts = [text for text in sides.options.protect if _names_some(text)]
        return [text for text in texts if not any(_any(text, names) for names in found)]

    def _blocked(self, action: Action) -> Action:
        for entity in self._taken(action):
            why = self._why(entity)
            if why and not any(self._frees(text, entity) for text in self.sides.options.unprotect):
                reason = self._reason(action, entity, why)
                if action.kind is ActionKind.BLOCKED:
                    reason = f"{action.reason}{ALSO}{reason}"
                return replace(action, kind=ActionKind.BLOCKED, reason=reason)
        return action

    def _why(self, entity: Entity) -> str:
        rule, doubt = self._named_by(entity), self._meant_by(entity)
        if rule:
            return f"protected by {rule!r} in the setting protect: "
        return doubt and (
            f"possibly meant by {doubt!r} in the setting protect, which matches nothing in the target: correct or remove that"
            " selector, or "
        )

    def _reason(self, action: Action, entity: Entity, why: str) -> str:
        """Return why a deletion is blocked, with all that there is to decide."""
        sides = self.sides
        itself = entity.key == action.key
        what = "" if itself else f"{sides.called(entity)}, which would be deleted with it, is "
        how = "re-create it" if action.after else "delete it"
        left = sides.selectors[action.after[0]] if action.after else sides.live_selectors[action.key]
        allow = flag("--unprotect", sides.live_selectors[entity.key])
        if action.disputed:
            return f"{what}{why}use {allow} as well to delete it; keeping it needs no other flag"
        return f"{what}{why}use {allow} to {how}, or {flag('--skip', left)} to leave it unchanged"

    def _taken(self, action: Action) -> Iterator[Entity]:
        """Yield everything that a deletion removes: a profile builder is deleted with its functions [maintenance/read]."""
        sides, key = self.sides, action.key
        if action.kind not in (ActionKind.DELETE, ActionKind.BLOCKED):
            return
        yield sides.live_by_key[key]
        for function, builder in sides.live_owned.items() if key.type == "profile-builder" else ():
            owned = sides.live_by_key.get(Key("function", function))
            if builder == key.id and owned is not None:
                yield owned

    def _named_by(self, entity: Entity) -> str:
        """Return the first selector of `protect` that matches an entity of the target; an empty text if none does."""
        texts = self.sides.options.protect
        return next((text for text in texts if _any(text, self._names_of(entity))), "")

    def _meant_by(self, entity: Entity) -> str:
        """Return the first selector that matches nothing and may mean an entity; an empty text if there is none."""
        lifted = self.sides.options.unprotect
        return next((text for text in self._doubts(entity) if text not in lifted), "")

    def _doubts(self, entity: Entity) -> tuple[str, ...]:
        """Return the selectors that match nothing and may mean an entity: its name is near, or it is no copy of the source.

        What was copied had the source's name, and what a run created had no name before it is undone. A rollback knows the
        names of all that existed at its snapshot.
        """
        if entity.key not in self._doubted:  # comparing names takes long
            self._doubted[entity.key] = tuple(self._found_doubts(entity))
        return self._doubted[entity.key]

    @cached_property
    def _doubted(self) -> dict[Key, tuple[str, ...]]:
        return {}

    def _found_doubts(self, entity: Entity) -> Iterator[str]:
        sides = self.sides
        idle = [text for text in self._idle if Selector(text).may_be_of(entity.key.type)]
        if not idle or (sides.undoes and sides.lineage.record_of(entity.key) is not None):
            return
        own = not sides.in_place and sides.lineage.base_of(entity.key) is None
        names = {entity.key.id, *(name for _, name in self._names_of(entity))}
        yield from (text for text in idle if own or nearest(text.partition("/")[2], names))

    def _frees(self, text: str, entity: Entity) -> bool:
        """Return whether an `unprotect` selects an entity of the target.

        An earlier name counts if nothing has it now, and it is written in full.
        """
        selector = Selector(text)
        if selector.matches(entity, self.sides.live_names[entity.key]):
            return True
        return selector.exact and _any(text, self._names_of(entity)) and not _any(text, self._present)

    def _names_of(self, entity: Entity) -> list[Named]:
        names = [self.sides.live_names[entity.key]]
        if needs_names(self.sides.options.protect):
            names += self.sides.earlier_names.get(entity.key, ())
        return [(entity, name) for name in names]


def idle_guards(sides: Sides) -> Iterator[str]:
    """Yield a note for each field of `ignore` that no entity of either side has."""
    options = sides.options
    if options.checks_selectors and sides.since is not Since.RECOVERY:
        here = [*_named(sides.by_key, sides.names), *_named(sides.by_key, sides.desired_names)]
        there, own = _named(sides.live_by_key, sides.live_names), "snapshot" if sides.in_place else "source"
        yield from idle_fields(options.ignored, [*there, *here], options.schemas, f"the target or the {own}")


def protects_little(
    texts: Iterable[str], live: Snapshot, record: Snapshot | None, where: str, *, unread: bool = False
) -> list[str]:
    """Return a warning for each selector that protects nothing in a workspace, or only by a name at the last clone.

    `unread` says that the record of the last clone exists and could not be read, so its names are unknown.
    """
    entities = {entity.key: entity for entity in live.entities}
    earlier = [] if record is None else [(entities[key], name) for key, name in former_names(record, live)]
    return [*idle_protection(texts, _of(live), earlier, (), where, unread=unread)]


def needs_names(texts: Iterable[str]) -> bool:
    """Return whether a selector of `protect` depends on names, and not only on a type."""
    return any(_names_some(text) for text in texts)


_MAYBE_EARLIER = "it may be an earlier name, which only that record knows, so check it with the record before you correct or remove it"


def idle_protection(
    texts: Iterable[str],
    present: Collection[Named],
    earlier: Collection[Named],
    elsewhere: Collection[Named],
    where: str,
    *,
    unread: bool = False,
) -> Iterator[str]:
    """Yield a warning for each selector that matches nothing, or nothing by its `present` name.

    Entities of the target are given with their present and `earlier` names; `elsewhere` is what else may be meant. With
    `unread`, earlier names are unknown. A selector of a whole type is meant for what will exist.
    """
    for text in texts:
        if not _names_some(text) or _any(text, present):
            continue
        once = {entity.key for entity, name in earlier if Selector(text).matches(entity, name)}
        if once:
            selectors = overlay_selectors({entity.key: name for entity, name in present})
            now = some_of([repr(selectors[key]) for key in sorted(once)], _NAMED)
            yield f"protect: {text!r} protects {now} by an earlier name; replace that selector"
        elif unread:
            yield f"protect: {text!r} is not in {where}; {_MAYBE_EARLIER}"
        elif not _any(text, elsewhere):
            kind, _, name = text.partition("/")
            known = {other for entity, other in [*present, *elsewhere] if entity.key.type == kind}
            yield f"protect: {text!r} is not in {where}{nearest(name, known) or '; correct or remove it'}"


def _names_some(text: str) -> bool:
    """Return whether a selector chooses among the entities of a type."""
    return text.partition("/")[2] not in ("", "*")


def _any(text: str, named: Iterable[Named]) -> bool:
    selector = Selector(text)
    if isinstance(named, Names) and selector.exact:
        return selector.named in named.called
    return any(selector.matches(*one) for one in named)


def _of(snapshot: Snapshot) -> Names:
    names = entity_names(snapshot.entities)
    return Names((entity, names[entity.key]) for entity in snapshot.entities)


def _named(entities: Mapping[Key, Entity], names: Mapping[Key, str]) -> Names:
    return Names((entity, names[key]) for key, entity in entities.items())
