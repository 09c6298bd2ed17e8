"""What an operator named one by one, and the target keeps all the same because it has changed it."""

from jitsu_backup.catalogue import Selector, joins
from jitsu_backup.model import Entity, Path
from jitsu_backup.planning.options import PlanOptions
from jitsu_backup.planning.plan import Action, Plan
from jitsu_backup.planning.take import Take, Winner, parse_take


def asked_in_vain(plan: Plan, options: PlanOptions) -> tuple[Action, ...]:
    """Return the kept entities that a selector of `only` names without `*`, unless `take` decided for the target.

    `with_links` asks for deleted links too.
    """
    exact = [selector for selector in map(Selector, options.only) if selector.exact]
    take = parse_take(options.take)
    return tuple(
        action
        for action in plan.kept_there
        if (
            any(selector.matches(_named(action), action.name) for selector in exact)
            or (options.with_links and action.deleted_there and joins(action.key))
        )
        and not _is_decided(action, take)
    )


def _is_decided(action: Action, take: Take) -> bool:
    fields: list[Path] = [(path.partition(".")[0],) for path in action.own] or [()]
    return all(take.winner([(_named(action), action.name)], field) is Winner.TARGET for field in fields)


def _named(action: Action) -> Entity:
    return Entity(action.key, {})
