"""Profile builders: each owns a function whose code is written with it."""

from typing import Any

from jitsu_backup.catalogue import entity_type
from jitsu_backup.model import Entity, items_of, value_at
from jitsu_backup.planning.candidate import Candidate
from jitsu_backup.planning.plan import Loss
from jitsu_backup.planning.reasons import BeyondUpdate


def builder_code(builder: Entity) -> tuple[str, str]:
    """Return the code and the draft of the function that a profile builder owns.

    Once published, the draft equals the code [profile-builder/list].
    """
    code, draft = (value_at(_function(builder), ("config", name)) for name in ("code", "draft"))
    code = code if isinstance(code, str) else ""
    return code, draft if isinstance(draft, str) else code


def with_code(candidate: Candidate) -> Candidate:
    """Return the candidate of a profile builder with its function's code on both sides, and its bookkeeping."""
    entity, found = candidate.entity, candidate.found
    code, unpublished = builder_code(entity)
    given = entity.body.get("code")  # no console lists this field: it comes from an overlay
    if isinstance(given, str):
        code, unpublished = given, given
    bookkeeping = {n: entity.body[n] for n in entity_type(entity.key.type).bookkeeping if n in entity.body}
    desired = {**candidate.desired, **bookkeeping, "code": code}
    live_code, live_unpublished = ("", "") if found is None else builder_code(found)
    if unpublished != code or live_unpublished != live_code:
        desired["draft"] = unpublished
    losses = []
    if len(items_of(entity.body.get("functions"))) > 1:
        losses.append(Loss("functions", "the API can write only the first of several functions"))
    live = candidate.live
    if found is not None and live is not None:
        live = {**live, "code": live_code, **({"draft": live_unpublished} if "draft" in desired else {})}
        if not code and live_code:
            desired["code"] = live_code
            losses.append(
                Loss("code", "it is unpublished in the snapshot, and an update cannot unpublish it")
            )
        if _function_gone(found) and not _function_gone(entity):
            losses.append(Loss("code", BeyondUpdate.FUNCTION_GONE))
    return candidate.losing(losses, desired=desired, live=live)


def _function(builder: Entity) -> Any:
    return value_at(next(iter(items_of(builder.body.get("functions"))), None), ("function",))


def _function_gone(builder: Entity) -> bool:
    """Return whether the function of a profile builder was deleted without the builder."""
    return value_at(_function(builder), ("deleted",)) is True
