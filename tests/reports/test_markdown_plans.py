"""Plans as comments: what is said once for many entities, and what stands there to be copied."""

from dataclasses import replace

from jitsu_backup.model import MASK, Key
from jitsu_backup.planning import Action, ActionKind, EmptiedByUndo, EmptiedThere, PlanOptions, make_plan
from jitsu_backup.planning.plan import Overwrite
from jitsu_backup.reports.markdown import plan_markdown
from jitsu_backup.reports.markdown_flags import flags_to_copy
from jitsu_backup.reports.plan_groups import grouped
from tests.reports.samples import promoted
from tests.reports.test_markdown import checked
from tests.support import PRODUCTION, make_snapshot


def test_what_is_blocked_for_the_same_reason_shares_a_line_and_the_missing_overlay_stands_there() -> None:
    source = make_snapshot({"destination": [
        {"id": f"d{n}", "name": f"Db {n}", "destinationType": "postgres", "host": "pg.staging", "password": MASK} for n in "ABC"
    ]})  # fmt: skip
    live = make_snapshot({"destination": []}, workspace_id=PRODUCTION, slug="acme-production")
    text = plan_markdown(make_plan(source, live, PlanOptions()), source, live)
    checked(text)
    assert (
        "### Needs a decision (3)\n\n- 3 destination: `Db A, Db B, Db C`: secret not in the snapshot: password;"
        in text
    )
    assert (
        "- **Hosts copied unchanged from the source:** host of destination 'Db A', host of destination 'Db B',"
        in text
    )
    table = '["destination/Db A"]\n# "host" = "pg.staging"\n"password" = { env = "DB_A_PASSWORD" }\n'
    assert f"{table}\n[" in text.partition("Add these lines to the overlay")[2].partition("```toml")[2]
    assert "Notes" not in text


def test_what_overwrites_comes_first_and_what_only_re_creates_shares_a_line() -> None:
    def action(kind: ActionKind, name: str, *paths: str) -> Action:
        lost = tuple(Overwrite(path, "--take=source", "since the last clone") for path in paths)
        return Action(kind, Key("function", name), name, None, f"changes {name}", overwrites=lost)

    plan, snapshot, live = promoted()
    again = [replace(action(ActionKind.CREATE, f"Gen {n}", ""), reason="not in the target") for n in range(8)]
    others = (action(ActionKind.UPDATE, "Plain"), action(ActionKind.UPDATE, "Mended", "code"))
    plan = replace(plan, actions=(*again, *others))
    text = plan_markdown(plan, snapshot, live)
    says = "re-creates it although the target deleted it since the last clone (`--take=source`)\n"
    assert text.partition("### Changes (10)\n\n")[2].startswith(
        "- **update** function `Mended`: changes Mended; overwrites"
    )
    assert (
        f"- **create** 8 function: `Gen 0, Gen 1, Gen 2, Gen 3, Gen 4, Gen 5, Gen 6, Gen 7`: {says}" in text
    )
    assert "- **Overwrites changes of the target:** 9 entities: function Mended (code); " in text
    assert "deleted there and re-created: function" in text
    assert [len(group) for group in grouped(plan.actions)] == [1, 8, 1]


def test_what_stands_there_to_be_copied_is_a_choice_and_nothing_that_is_listed_already() -> None:
    def copied(reason: str) -> str:
        action = Action(ActionKind.BLOCKED, Key("function", "f"), "F", None, reason)
        return flags_to_copy([action]).partition("```\n")[2].removesuffix("\n```\n")

    emptied = "58 of the 82 entities were deleted: re-create them with --take=source, or leave them with --take=target"
    assert copied(EmptiedThere(emptied)) == "--take=source\n--take=target"
    assert copied(EmptiedByUndo(emptied)) == ""
    own = "leave out --prune, or delete all that only the target has with --prune-own; also use --skip=a/b"
    first, second = copied(own).split("\n\n")
    assert first.endswith("; to keep that, leave out --prune instead\n--prune-own")
    assert second == "--skip=a/b"
    assert (
        copied("undo would delete 3 of the 4 entities; add --accept-shrink to allow it") == "--accept-shrink"
    )
