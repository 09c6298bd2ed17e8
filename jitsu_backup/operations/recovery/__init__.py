"""Recover a whole console from the archives of a store: choose archives, plan all workspaces, restore several at once."""

from jitsu_backup.operations.recovery.carrying_out import recover as recover
from jitsu_backup.operations.recovery.planning import plan_recovery as plan_recovery
from jitsu_backup.operations.recovery.values import (
    Clash as Clash,
    ClashKind as ClashKind,
    LeftOut as LeftOut,
    Member as Member,
    OptionSet as OptionSet,
    PassedOver as PassedOver,
    Presence as Presence,
    RecoveryJob as RecoveryJob,
    RecoveryOutcome as RecoveryOutcome,
    RecoveryPlan as RecoveryPlan,
    RecoveryRun as RecoveryRun,
    TakenId as TakenId,
    WorkspaceRecovery as WorkspaceRecovery,
    entities_of as entities_of,
    forecast as forecast,
)
