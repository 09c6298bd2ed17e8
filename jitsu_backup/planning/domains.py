"""Host names of streams: a console gives each to one workspace alone."""

from collections.abc import Mapping
from typing import Any

from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.pairs import Pairs
from jitsu_backup.planning.plan import Loss


def with_domains(pairs: Pairs, candidate: Candidate) -> Candidate:
    """Return the candidate of a stream with the domains that it can have.

    Within one console no other workspace's domains can come along: the target's own stay, but for those that move to
    another of its streams.
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
            losses.append(Loss("domains", f"domain {domain} belongs to workspace {owner}"))
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
    return candidate.losing(losses, desired={**candidate.desired, "domains": kept})


def _owner(domain: Any, domains_elsewhere: Mapping[str, str]) -> str | None:
    """Return the other workspace that has a host name, or a wildcard above it."""
    parts = str(domain).split(".")
    above = ("*." + ".".join(parts[n:]) for n in range(1, len(parts)))
    return next(
        (domains_elsewhere[name] for name in (str(domain), *above) if name in domains_elsewhere), None
    )
