"""A recovery of every kind of trouble, made by hand: a plan, and how it ended."""

from dataclasses import replace
from datetime import timedelta
from functools import cache
from typing import Any

from jitsu_backup.archive import archive_name
from jitsu_backup.errors import BlockedError, ConsoleError, IntegrityError
from jitsu_backup.model import MASK, Snapshot
from jitsu_backup.operations.apply_plan import ActionOutcome, Status
from jitsu_backup.operations.recovery import (
    Clash,
    ClashKind,
    LeftOut,
    Member,
    OptionSet,
    PassedOver,
    Presence,
    RecoveryOutcome,
    RecoveryPlan,
    RecoveryRun,
    WorkspaceRecovery,
)
from jitsu_backup.operations.recovery.target import losses_of
from jitsu_backup.operations.restore import PreparedRestore, Result
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import PlanOptions, Residue, make_plan
from jitsu_backup.planning.forecast import Load, load_of
from jitsu_backup.reports.recovery_values import RecoveryReport
from tests.support import MOMENT, make_snapshot

OLD, NEW = "https://lost.example", "https://new.example"
NOW = MOMENT + timedelta(hours=5)
CANARY = "CANARY-7f3a"


def snapshot(slug: str, name: str = "Web site", *, hours: float = 0) -> Snapshot:
    """A workspace with a stream, a warehouse whose password is masked, a function with a secret, and a model."""
    made = make_snapshot(
        {
            "stream": [{"id": f"{slug}-web", "name": name, "publicKeys": [{"id": f"{slug}-key", "hint": "a*z"}]}],
            "destination": [
                {"id": f"{slug}-db", "name": f"{name} warehouse", "destinationType": "postgres", "password": MASK}
            ],
            "function": [{"id": f"{slug}-fn", "name": "Enrich", "code": f"// {CANARY}"}],
            "model": [{"id": f"{slug}-model", "name": "Users", "warehouseId": f"{slug}-db", "query": "select 1"}],
        },
        host=OLD, slug=slug, workspace_id=f"c{slug}",
    )  # fmt: skip
    return replace(made, taken_at=MOMENT - timedelta(hours=hours))


def recovery(wanted: Snapshot, *, new: bool = True, lacks: bool = True, **options: Any) -> WorkspaceRecovery:
    """What is planned for a workspace: made, or there and empty, on a console that knows no models."""
    source = wanted.manifest.source
    live = make_snapshot(
        {"stream": [], "destination": [], "function": [], "link": []},
        host=NEW, slug=source.slug, workspace_id=f"n{source.workspace_id}", not_offered=("model",),
    )  # fmt: skip
    plan_options = PlanOptions(allow_missing_secrets=lacks)
    prepared = PreparedRestore(make_plan(wanted, live, plan_options), wanted, live, plan_options)
    return WorkspaceRecovery(
        archive_name(wanted), wanted, **{
            "presence": Presence.NEW if new else Presence.THERE, "target_id": None if new else f"n{source.workspace_id}",
            "prepared": prepared, "losses": losses_of(prepared), "load": load_of(prepared.plan) + Load(workspaces=int(new)),
            **options,
        }
    )  # fmt: skip


def plan(*names: str) -> RecoveryPlan:
    """A plan with one workspace of each kind; `names` take the place of what people call things."""
    name = names[0] if names else "Web site"
    text = names[-1] if names else "function 'Mine'"
    damaged = archive_name(snapshot("billing", hours=-1), ("damaged-by-hand",))
    blue = recovery(
        snapshot("team-blue", name),
        members=(
            Member(names[0] if names else "ann@example.com", "owner"),
            Member("bob@example.com", "analyst"),
        ),
        options=(
            OptionSet("data-retention", {"days": 3}),
            OptionSet("observability-exports", problem=f"it lacks {text}"),
        ),
    )
    billing = recovery(
        snapshot("billing", hours=90),
        is_old=True,
        passed_over=(PassedOver(damaged, f"it is damaged: {text}", 5),),
    )
    green = recovery(snapshot("team-green", hours=1), new=False)
    red = recovery(
        snapshot("team-red"),
        new=False,
        problem=BlockedError(
            f"team-red is in use: it has {text}; to write into it anyway, as `restore` would, add --over-existing"
        ).with_flags("--over-existing"),
    )
    black = recovery(snapshot("team-black"), lacks=False)
    black = replace(
        black,
        problem=BlockedError(
            "destination 'Web site warehouse': secret not in the snapshot: password; provide it with --overlay"
        ),
    )
    return RecoveryPlan(
        OLD, NEW, (blue, billing, green, red, black),
        left_out=(
            LeftOut("cold", names[0] if names else "old-shop", "it was deleted on purpose, according to the settings (allow_unseen)"),
            LeftOut("cbad", "team-grey", f"its newest archive cannot be read: {text}", IntegrityError.exit_code),
        ),
        clashes=(Clash(ClashKind.DOMAIN, names[0] if names else "data.acme.example", ("team-blue", "billing")),),
    )  # fmt: skip


def planned(*names: str) -> RecoveryReport:
    return RecoveryReport(plan(*names), NOW, "s3://backups/jitsu", again="jitsu-backup recover")


@cache
def many(count: int) -> RecoveryReport:
    """A plan of many workspaces, of which some lack secrets, and three are in use."""
    found = []
    for number in range(count):
        one = recovery(snapshot(f"team-{number:03d}", hours=number % 3), lacks=number % 10 == 0)
        problem = BlockedError(
            "destination 'Web site warehouse': secret not in the snapshot: password; provide it with --overlay"
        )
        if number % 100 == 7:
            problem = BlockedError(
                f"team-{number:03d} is in use: it has function 'Mine', which the archive lacks"
            )
        found.append(one if number % 10 == 0 else replace(one, problem=problem))
    return RecoveryReport(
        RecoveryPlan(OLD, NEW, tuple(found)), NOW, "./jitsu-backups", again="jitsu-backup recover"
    )


def ended(*names: str) -> RecoveryReport:
    """How that plan ended: one back in part, one refused, one in place, two blocked."""
    made = plan(*names)
    text = names[-1] if names else "HTTP 500: constraint violated"
    blue, billing, green, red, black = made.workspaces
    key = StreamKey(names[0] if names else "Web site", "web", "browser", "k1", "k2", f"k2:{CANARY}")
    outcomes = (
        RecoveryOutcome(
            replace(blue, target_id="nblue"), "nblue", made=True, result=_result(blue, text, [key]),
            options_set=("data-retention",), options_left=(OptionSet("observability-exports", problem=f"it lacks {text}"),),
            memberless=True, renamed=names[0] if names else "team-blue",
        ),
        RecoveryOutcome(billing, failure=ConsoleError(f"the console refused: {text}")),
        RecoveryOutcome(green, "ncteam-green", result=_all_done(green)),
        RecoveryOutcome(red, "ncteam-red", failure=red.problem),
        RecoveryOutcome(black, failure=black.problem),
    )  # fmt: skip
    ways = {"nblue": "jitsu-backup undo nblue", "ncteam-green": "jitsu-backup undo ncteam-green"}
    return RecoveryReport(
        made,
        NOW,
        "s3://backups/jitsu",
        RecoveryRun(made, outcomes, 754.0),
        "keys.json",
        ways,
        "jitsu-backup recover",
    )


def _all_done(one: WorkspaceRecovery) -> Result:
    assert one.prepared is not None
    plan = one.prepared.plan
    return Result(
        plan, [ActionOutcome(a, Status.DONE, "made") for a in plan.writes], verified=True, sent=True
    )


def _result(one: WorkspaceRecovery, text: str, keys: list[StreamKey]) -> Result:
    result = _all_done(one)
    first, *others = result.outcomes
    failed = ActionOutcome(first.action, Status.FAILED, None, text)
    residue = [
        Residue(other.action.key, other.action.name, "password", "nobody has it") for other in others[:1]
    ]
    return replace(result, outcomes=[failed, *others], found=residue, keys=keys)
