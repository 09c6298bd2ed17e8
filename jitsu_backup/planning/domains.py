"""Host names of streams: only one workspace of a console can use each, and a subscription may not include them."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.model import Key, items_of
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.entitlements import NO_CUSTOM_DOMAINS
from jitsu_backup.planning.options import Since
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Action, CopiedAddress, Loss


def with_domains(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate of a stream with the domains that it can have.

    Within one console another workspace's domains cannot be copied: the target keeps its own, except those that move to
    another of its streams. If the subscription does not include custom domains, none is added.
    """
    wanted = candidate.desired.get("domains")
    if not isinstance(wanted, list):
        return candidate
    sides = pairs.sides
    kept, losses = [], []
    for domain in (d.lower() if isinstance(d, str) else d for d in wanted):  # [stream/get]
        owner = _owner(domain, sides.options.domains_elsewhere)
        if owner is None:
            kept.append(domain)
        else:
            losses.append(Loss("domains", f"domain {domain} not set: in use by workspace {owner}"))
    given = sides.overlaid(candidate.key, ("domains",))
    own_stay = not (sides.in_place or given) and (losses or sides.same_console)
    if candidate.found is not None and own_stay:
        live = candidate.found.body.get("domains")
        own = [
            domain
            for domain in (live if isinstance(live, list) else [])
            if not sides.streams_of_domain.get(domain, set()) - {candidate.key}
        ]
        kept = [*own, *(domain for domain in kept if domain not in own)]
    candidate = candidate.losing(losses, desired={**candidate.desired, "domains": kept})
    return _without_new(pairs, candidate) if sides.options.entitlements.custom_domains is False else candidate


def taken_domains(pairs: Pairs, actions: Mapping[Key, Action]) -> dict[Key, tuple[CopiedAddress, ...]]:
    """Return the domains of the source that other workspaces of the target's console use, by the snapshot's keys.

    The list of a stream is whole, because an overlay replaces it as a whole.
    """
    sides, found = pairs.sides, dict[Key, tuple[CopiedAddress, ...]]()
    if sides.in_place or sides.since is Since.RECOVERY:
        return found
    for key in actions:
        path = {"stream": ("domains",), "domain": ("name",)}.get(key.type)
        if path is None or (key.type == "domain" and key in pairs.found) or sides.overlaid(key, path):
            continue
        value = sides.by_key[key].body.get(path[0])
        names = [name.lower() for name in (items_of(value) or [value]) if isinstance(name, str)]
        if any(_owner(name, sides.options.domains_elsewhere) is not None for name in names):
            found[key] = (CopiedAddress(path, value),)
    return found


def _without_new(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate of a stream without the domains that its subscription does not let it add.

    A domain that another stream cannot take over stays where it is, because the workspace could not get it back.
    """
    wanted, own = candidate.desired["domains"], _live_domains(pairs, candidate.key)
    kept = [domain for domain in wanted if str(domain).lower() in own]
    stay = [domain for domain in own if domain not in _in_lower_case(wanted) and _cannot_move(pairs, domain)]
    losses = [
        Loss("domains", f"domain {domain} cannot {done}: {NO_CUSTOM_DOMAINS}")
        for done, domains in (("be added", [d for d in wanted if d not in kept]), ("move", stay))
        for domain in domains
    ]
    return candidate.losing(losses, desired={**candidate.desired, "domains": [*kept, *stay]})


def _cannot_move(pairs: Pairs, domain: str) -> bool:
    """Return whether streams of the snapshot should have a domain, and none of those in the target has it already."""
    streams = pairs.sides.streams_of_domain.get(domain, ())
    return bool(streams) and not any(domain in _live_domains(pairs, key) for key in streams)


def _live_domains(pairs: Pairs, key: Key) -> list[str]:
    """Return the domains of the target's counterpart of one of the snapshot's streams, in lower case."""
    found = pairs.found.get(key)
    return [] if found is None else _in_lower_case(found.body.get("domains"))


def _in_lower_case(domains: Any) -> list[str]:
    return [str(domain).lower() for domain in items_of(domains)]


def _owner(domain: Any, domains_elsewhere: Mapping[str, str]) -> str | None:
    """Return the other workspace that uses a host name, or a wildcard above it."""
    parts = str(domain).split(".")
    above = ("*." + ".".join(parts[n:]) for n in range(1, len(parts)))
    return next(
        (domains_elsewhere[name] for name in (str(domain), *above) if name in domains_elsewhere), None
    )
