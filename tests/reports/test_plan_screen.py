"""A plan of many entities fits on one screen, and hides nothing that matters."""

import re
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console as Screen

from jitsu_backup.model import Key
from jitsu_backup.planning import Action, ActionKind, Plan
from jitsu_backup.reports import plan_view
from tests.planning.scenarios.scenario import CRM, Scenario, db, elsewhere, in_place, link, plan_of

SCREEN = 50


def lines(plan: Plan, *, width: int = 120, verbose: bool = False) -> list[str]:
    screen = Screen(record=True, width=width, file=open("/dev/null", "w"))  # noqa: SIM115, PTH123
    screen.print(plan_view(plan, verbose=verbose), crop=False)
    screen.file.close()
    return [line.rstrip() for line in screen.export_text().rstrip("\n").split("\n")]


def workspace(**more: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of a workspace of 47 entities."""
    streams = [{"id": f"web-{n}", "name": f"Site {n}", "domains": []} for n in range(12)]
    destinations = [db(f"db-{n}", name=f"Warehouse {n}", host=f"db{n}.staging") for n in range(8)]
    functions = [{"id": f"fn-{n}", "name": f"Step {n}", "code": "x", "kind": "event"} for n in range(11)]
    links = [link(f"l{n}", f"web-{n % 12}", f"db-{n % 8}") for n in range(15)]
    lists = {
        "stream": streams,
        "destination": destinations,
        "function": functions,
        "service": [CRM],
        "link": links,
    }
    return {**lists, **more}


FUNCTIONS = [{"id": f"fn-{n}", "name": f"Step {n}", "code": "x", "kind": "event"} for n in range(47)]
PLANS: dict[str, Scenario] = {
    "into an empty workspace": elsewhere(workspace(), {}, allow_missing_secrets=True),
    "blocked, because every secret is missing": elsewhere(workspace(), {}),
    "in place, where every function differs": in_place(
        workspace(), workspace(function=[{**one, "code": "y"} for one in workspace()["function"]])
    ),
    "in place, with every function to be deleted": in_place(
        {}, {"function": FUNCTIONS}, prune=True, accept_shrink=True
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_a_plan_of_47_entities_fits_on_one_screen_of_120_columns(name: str) -> None:
    assert len(lines(plan_of(PLANS[name]))) <= SCREEN


def test_each_entity_is_counted_in_its_group_and_listed_with_v() -> None:
    plan = plan_of(PLANS["blocked, because every secret is missing"])
    counts = [re.match(r"\S (create|blocked) +\S+ +(\d+): ", line) for line in lines(plan)]
    grouped = [found for found in counts if found is not None]
    alone = [line for line in lines(plan) if re.match(r"[+!] ", line) and not re.search(r" \d+: ", line)]
    assert sum(int(found[2]) for found in grouped) + len(alone) == 47
    assert "-v lists each" in " ".join(lines(plan))
    assert sum(bool(re.match(r"[+!] ", line)) for line in lines(plan, verbose=True)) == 47


def test_what_needs_a_decision_and_what_is_deleted_come_first_and_deletions_are_named() -> None:
    shown = lines(plan_of(PLANS["blocked, because every secret is missing"]))
    kinds = [line[0] for line in shown if re.match(r"[+!] ", line)]
    assert kinds == sorted(kinds)  # "!" sorts before "+"
    gone = " ".join(" ".join(lines(plan_of(PLANS["in place, with every function to be deleted"]))).split())
    assert {f"Step {n}" for n in range(47)} <= set(re.findall(r"Step \d+", gone))


def test_similar_reasons_are_counted() -> None:
    fields: dict[str, Any] = {"host": "a", "port": 5, "mode": "b"}
    names = list(fields)
    changed = [
        {**one, names[place % 3]: fields[names[place % 3]]}
        for place, one in enumerate(workspace()["destination"])
    ]
    others = {
        "function": [{**one, "code": "y"} for one in workspace()["function"]],
        "stream": [{**one, "name": f"{one['name']}!"} for one in workspace()["stream"]],
    }
    shown = lines(plan_of(in_place(workspace(destination=changed), workspace(**others))))
    assert any(re.match(r"~ update +destination +8: Warehouse 0, ", line) for line in shown), shown
    assert any("(and 2 similar reasons)" in line for line in shown), shown


def test_a_small_plan_lists_every_entity() -> None:
    small = {"stream": workspace()["stream"], "function": workspace()["function"]}
    shown = lines(plan_of(elsewhere(small, {})))
    assert sum(line.startswith("+ create") for line in shown) == 23
    assert not any("-v lists each" in line for line in shown)


def test_a_flag_with_blanks_stays_on_one_line_of_a_narrow_screen() -> None:
    flag = f"--take='source:function/{' '.join(['Known users only'] * 8)}'"
    told = f"both sides changed code differently since the last clone: settle it with {flag} or {flag}; and that is all"
    plan = plan_of(in_place({"stream": []}, {"stream": []}))
    action = Action(ActionKind.BLOCKED, Key("function", "f"), "Known users only", "f", told)
    plan = replace(plan, actions=(action,), notes=(told,), attention=(f"{told}, is it?",))
    shown = lines(plan, width=80)
    assert sum(line.count(flag) for line in shown) == 6
    assert "is it?" in [line.strip().rpartition(", ")[2] for line in shown]
    assert all(len(line) <= 80 for line in shown if flag not in line)
