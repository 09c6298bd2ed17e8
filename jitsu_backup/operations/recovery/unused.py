"""Archives that a recovery or drill does not use: of how many workspaces the key is missing, and why, in words."""

import re

from jitsu_backup.operations.recovery.values import RecoveryPlan

_ANOTHER = re.compile(r"; use another archive(?: of this workspace)?(?:, and (?P<rest>.+))?$")


def locked_workspaces(plan: RecoveryPlan) -> int:
    """Return of how many workspaces an archive that no given key opens is the newest, or the only one."""
    locked = {one.workspace_id for one in plan.left_out if one.locked}
    return len(
        locked | {one.workspace_id for one in plan.workspaces if any(p.locked for p in one.passed_over)}
    )


def without_another(why: str) -> str:
    """Return why an archive is not used, without the advice to use another one: a recovery looks for that itself."""
    return _ANOTHER.sub(lambda found: f"; {found['rest']}" if found["rest"] else "", why)
