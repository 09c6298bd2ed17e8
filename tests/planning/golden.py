"""Golden plans and comparisons: what planning makes of every scenario, kept as JSON to be read and reviewed.

`python -m tests.planning.golden --write` writes fixtures/plans anew; the difference is what to look at.
"""

import argparse
import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any

from jitsu_backup.model import Key
from jitsu_backup.planning import Action, ActionKind, Changes, FieldChange, Plan, compare, make_plan
from tests.planning.random_scenarios import SEEDS, random_scenario
from tests.planning.scenarios import SCENARIOS, Scenario
from tests.support import FIXTURES

FOLDER = FIXTURES / "plans"
VERY_LONG = "very " * 40


def scenario_of(name: str) -> Scenario:
    return SCENARIOS[name]() if name in SCENARIOS else random_scenario(int(name.removeprefix("random-")))


NAMES = (*SCENARIOS, *(f"random-{seed}" for seed in SEEDS))


def outcome(scenario: Scenario) -> dict[str, Any]:
    """Everything that planning says of a scenario, as JSON values without what says nothing."""
    plan = make_plan(scenario.snapshot, scenario.live, scenario.options)
    shown = (
        {ActionKind.UPDATE} if scenario.large else {*ActionKind}
    )  # what a new entity's fields show is in its body too
    plan = replace(
        plan,
        actions=tuple(replace(a, fields=plan.fields(a) if a.kind in shown else ()) for a in plan.actions),
    )
    if not scenario.live.entities:
        return {"plan": _plan(plan)}
    changes = compare(scenario.snapshot, scenario.live, scenario.options.schemas)
    if scenario.large:
        changes = replace(changes, entities=tuple(replace(change, body={}) for change in changes.entities))
    return {"plan": _plan(plan), "changes": _changes(changes)}


def _plan(plan: Plan) -> Any:
    moved = {key: new for key, new in plan.ids.items() if key.id != new}
    quiet = [
        a
        for a in plan.actions
        if a == Action(ActionKind.UNCHANGED, a.key, a.name, plan.ids.get(a.key), "already as intended")
    ]
    return _plain({
        "actions": [action for action in plan.actions if action not in quiet],
        "already_as_meant": ", ".join(str(action.key) for action in quiet), "kept_ids": ", ".join(sorted(map(str, plan.ids.keys() - moved))), "ids": moved,
        "notes": plan.notes, "fixed_ids": plan.fixed_ids, "owned_functions": plan.owned_functions,
        "with_builders": plan.with_builders, "skipped_with_builders": plan.skipped_with_builders, "left_out": plan.left_out, "extras": plan.extras,
    })  # fmt: skip


def _changes(changes: Changes) -> Any:
    moved = {key: other for key, other in changes.pairs.items() if key != other}
    return _plain({
        "entities": changes.entities, "same": ", ".join(map(str, changes.same)), "notes": changes.notes, "pairs": moved,
    })  # fmt: skip


def _plain(value: Any) -> Any:
    if isinstance(value, Key):
        return str(value)
    if isinstance(value, FieldChange):  # the path, what was, what is
        return [value.path, value.before, value.after, *(["secret"] if value.secret else []), *value.code]
    if is_dataclass(value):
        shown = {f.name: (getattr(value, f.name), _default(f)) for f in fields(value) if f.compare}
        return {name: _plain(item) for name, (item, default) in shown.items() if item != default}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, str):
        return value.replace(VERY_LONG, "very … ")
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def golden_file(name: str) -> Path:
    return FOLDER / f"{name}.json"


def as_text(document: Any) -> str:
    """Each action, entity, id and note on a line of its own."""
    lines = ["{"]
    for part, content in document.items():
        lines.append(f' "{part}": {{')
        for name, value in content.items():
            if isinstance(value, list | dict) and value:
                opening, closing = "[]" if isinstance(value, list) else "{}"
                items = (
                    [_line(item) for item in value]
                    if isinstance(value, list)
                    else [f"{_line(key)}: {_line(item)}" for key, item in value.items()]
                )
                lines.append(f'  "{name}": {opening}\n   ' + ",\n   ".join(items) + f"\n  {closing},")
            elif value:
                lines.append(f'  "{name}": {_line(value)},')
        lines[-1] = lines[-1].rstrip(",")
        lines.append(" },")
    lines[-1] = lines[-1].rstrip(",")
    return "\n".join([*lines, "}\n"])


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--write", action="store_true", help="write the fixtures anew")
    if not options.parse_args().write:
        options.error("nothing to do without --write; `pytest tests/planning/test_golden.py` compares")
    FOLDER.mkdir(exist_ok=True)
    for old in FOLDER.glob("*.json"):
        old.unlink()
    for name in NAMES:
        golden_file(name).write_text(as_text(outcome(scenario_of(name))), encoding="utf-8")


if __name__ == "__main__":
    main()
