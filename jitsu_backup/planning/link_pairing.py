"""Pairing of links: the server makes their ids, so they are paired by ends and content."""

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jitsu_backup.catalogue import Ends, ends, is_link, links_of, without_volatile
from jitsu_backup.model import Entity, Key
from jitsu_backup.planning.grants import end_granted_since, end_without_grant
from jitsu_backup.planning.json_diff import differs, paths_that_differ
from jitsu_backup.planning.likeness import LikelyLinks
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.requirements import without_end
from jitsu_backup.planning.switches import switched_as
from jitsu_backup.planning.sync_states import states_of


@dataclass(frozen=True, slots=True)
class LinkPairs:
    """`found` gives the target's link for one of the snapshot's; `spare` the target's links that pair with none.

    `leftover` is the one of them that --recreate has made again already, by the snapshot's link. `doubled` gives, for
    a link of the snapshot, another one with the same ends: a console keeps one of them
    [link/upsert-push-with-any-id].
    """

    found: Mapping[Key, Entity] = field(default_factory=dict)
    spare: Sequence[Entity] = ()
    leftover: Mapping[Key, Entity] = field(default_factory=dict)
    doubled: Mapping[Key, Key] = field(default_factory=dict)


def pair_links(pairs: Pairs, chosen: Collection[Key]) -> LinkPairs:
    """Pair links of equal ends, where the ids of objects that are being replaced count as the new ones.

    Of links that are equally like one of the target's, those that are `chosen` come first: what an earlier run has made of
    them is theirs, and so a second run makes it no more.
    """
    sides = pairs.sides
    new_ids = {old.key.id: pairs.ids[key] for key, others in pairs.superseded.items() for old in others}
    live: dict[Ends, list[Entity]] = defaultdict(list)
    for link in _in_order(links_of(sides.live)):
        kind, source, target = ends(link.body)
        live[kind, new_ids.get(source, source), new_ids.get(target, target)].append(link)
    groups: dict[Ends, list[Entity]] = defaultdict(list)
    dangling: set[Key] = set()
    for link in _in_order(e for key, e in sides.desired.items() if is_link(key)):
        if without_end(pairs, link, chosen) is None:
            groups[ends(pairs.mapped(link, link.body))].append(link)
        elif as_it_was(pairs, link):
            dangling.add(link.key)
    paired = pair_groups(pairs, groups, live, chosen)
    alone = [link for group, links in live.items() if group not in groups for link in links]
    spare = [*paired.spare, *(link for link in alone if link.key not in dangling)]
    doubled = dict(_doubled(groups, paired.found, chosen))
    return LinkPairs(paired.found, spare, paired.leftover, doubled)


def pair_groups(
    pairs: Pairs,
    groups: Mapping[Ends, list[Entity]],
    live: Mapping[Ends, list[Entity]],
    chosen: Collection[Key] = (),
) -> LinkPairs:
    """Pair the links of `groups` with `live` ones of equal ends; both mappings are by the ends in the target's ids.

    Those that are `chosen` come first among equals.
    """
    found: dict[Key, Entity] = {}
    spare: list[Entity] = []
    leftover: dict[Key, Entity] = {}
    for group, members in groups.items():
        paired = _Group(pairs, group, members, live.get(group, []), chosen).paired()
        found |= paired.found
        spare += paired.spare
        leftover |= paired.leftover
    return LinkPairs(found, spare, leftover)


def link_body(link: Entity) -> dict[str, Any]:
    """Return a link's body as it is compared and sent.

    No data is sent as empty data, because a PUT without data leaves what is there.
    """
    body = without_volatile(link)
    body.setdefault("type", "push")
    if body.get("data") is None:
        body["data"] = {}
    return body


def as_it_was(pairs: Pairs, link: Entity) -> bool:
    """Return whether a workspace restored in place still has this very link between the same ends."""
    sides = pairs.sides
    live, known = sides.live_by_key.get(link.key), sides.by_key.get(link.key)
    same = live is not None and known is not None and ends(live.body) == ends(known.body)
    return sides.in_place and same


def _doubled(
    groups: Mapping[Ends, list[Entity]], found: Mapping[Key, Entity], chosen: Collection[Key]
) -> Iterator[tuple[Key, Key]]:
    """Yield the connections that cannot be beside another one, which is there or shall be, each with that one."""
    for (kind, *_), members in groups.items():
        if kind == "push":
            rivals = [link.key for link in members if link.key in found or link.key in chosen]
            rivals.sort(key=lambda key: key not in found)
            yield from zip(rivals[1:], rivals, strict=False)


def _in_order(links: Iterable[Entity]) -> list[Entity]:
    return sorted(links, key=lambda e: (str(e.body.get("createdAt")), e.key))


class _Group:
    """The links of both sides with the same ends, while they are being paired."""

    def __init__(
        self,
        pairs: Pairs,
        group: Ends,
        members: list[Entity],
        live: list[Entity],
        chosen: Collection[Key],
    ) -> None:
        self.pairs, self.group, self.chosen = pairs, group, chosen
        self.members = sorted(members, key=lambda link: link.key not in chosen)
        # those with an end that is replaced come last
        self.likely = LikelyLinks(sorted(live, key=self._is_replaced))
        self.found: dict[Key, Entity] = {}

    def paired(self) -> LinkPairs:
        """Pair by id, then by cursors, then of equal data, then the likest first, then what is left."""
        chosen = [link for link in self.members if link.key in self.chosen]
        self._pair_where(self._same_id, self.members)
        self._pair_where(self._same_link_there, self.members)
        for links in (
            chosen,
            self.members,
        ):  # a run that was stopped has made a chosen one without its cursors
            self._pair_where(self._same_link_and_streams, links)
            self._pair_where(self._same_link, links)
        self._pair_the_likest()
        left = list(self.likely.left.values())
        for link, (_, other) in zip(self._unpaired(), left, strict=False):
            self._pair(link.key, other)
        leftover = dict(self._made_again())
        return LinkPairs(self.found, [other for _, other in self.likely.left.values()], leftover)

    def _pair_where(self, alike: Callable[[Entity, Entity], bool], links: Iterable[Entity]) -> None:
        for link in links:
            if link.key not in self.found:
                same = next((other for _, other in self._like(link) if alike(link, other)), None)
                if same is not None:
                    self._pair(link.key, same)

    def _unpaired(self) -> list[Entity]:
        return [link for link in self.members if link.key not in self.found]

    def _like(self, link: Entity) -> list[tuple[int, Entity]]:
        return self.likely.of(link.key, self.pairs.mapped(link, link.body).get("data"))

    def _pair(self, key: Key, other: Entity) -> None:
        self.found[key] = other
        self.likely.take(other)

    def _pair_the_likest(self) -> None:
        unlike = sorted(
            (
                (self._distance(link, other), link.key not in self.chosen, at, link.key, other)
                for link in self._unpaired()
                for at, other in self._like(link)
            ),
            key=lambda pair: pair[:3],
        )
        for _, _, _, key, other in unlike:
            if key not in self.found and other.key in self.likely.left:
                self._pair(key, other)

    def _made_again(self) -> Iterator[tuple[Key, Entity]]:
        """Yield the link with an end that is being replaced, where a stopped --recreate has made it again."""
        for link in self.members:
            if link.key in self.found and not self._is_replaced(self.found[link.key]):
                old = (other for _, other in self._like(link) if self._is_replaced(other))
                same = next((other for other in old if self._same_link(link, other)), None)
                if same is not None:
                    self.likely.take(same)
                    yield link.key, same

    def _is_replaced(self, live: Entity) -> bool:
        return ends(live.body) != self.group

    def _same_id(self, link: Entity, other: Entity) -> bool:
        # between the old ends it may have been made again already, by a --recreate that was stopped
        return link.key == other.key and ends(other.body) == ends(self.pairs.mapped(link, link.body))

    def _same_link(self, link: Entity, other: Entity) -> bool:
        mine, theirs = link_body(link), link_body(other)
        off_here = self.pairs.sides.options.disable_links or end_without_grant(self.pairs, link) is not None
        if off_here or end_granted_since(self.pairs, link, theirs) is not None:
            mine = switched_as(mine, theirs)
        return not differs(self.pairs.mapped(link, mine).get("data"), theirs.get("data"))

    def _same_link_there(self, link: Entity, other: Entity) -> bool:
        """Return whether both have read equally far, which tells the syncs of equal data apart."""
        saved, present = map(states_of, self._cursors(link, other))
        return any(saved.values()) and saved == present and self._same_link(link, other)

    def _same_link_and_streams(self, link: Entity, other: Entity) -> bool:
        saved, present = self._cursors(link, other)
        return set(saved) == set(present) and self._same_link(link, other)

    def _distance(self, link: Entity, other: Entity) -> tuple[bool, int]:
        """Return how unlike two links of equal ends are; one with an end that is being replaced comes last."""
        saved, present = self._cursors(link, other)
        mine, theirs = self.pairs.mapped(link, link_body(link)).get("data"), link_body(other).get("data")
        unlike = sum(1 for _ in paths_that_differ(mine, theirs))
        return self._is_replaced(other), len(saved.keys() ^ present.keys()) + unlike

    def _cursors(self, link: Entity, other: Entity) -> tuple[Mapping[str, str], Mapping[str, str]]:
        sides = self.pairs.sides
        return sides.snapshot.cursors.get(link.key.id, {}), sides.live.cursors.get(other.key.id, {})
