"""What a reviewer must not overlook in the plan of a promotion: it stands above everything that is folded."""

from dataclasses import replace

import pytest
from rich.console import Console, RenderableType

from jitsu_backup.model import CloneRecord, Key, Snapshot
from jitsu_backup.operations.third_side import unrecorded_clone, with_third_side
from jitsu_backup.planning import ActionKind, PlanOptions
from jitsu_backup.reports import plan_document, plan_view
from jitsu_backup.reports.html import plan_page
from jitsu_backup.reports.markdown import plan_markdown
from tests.promotions import Promotion, edit, promotion
from tests.restores.kit import delete
from tests.restores.test_three_sides import action_of, both
from tests.support import PRODUCTION, STAGING, make_snapshot, run


@pytest.fixture
def cloned() -> Promotion:
    """Staging, cloned into production once."""
    made = promotion()
    made.clone()
    return made


def told(view: RenderableType) -> str:
    """What a view shows on a wide terminal, on one line."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(view)
    return " ".join(captured.get().split())


@pytest.mark.parametrize(
    ("take", "edited", "flag"),
    [
        ("source:function/Enrich:code", True, "--take=source:function/Enrich:code"),
        ("source", False, "--take=source"),
    ],
)
def test_a_choice_that_stayed_says_everywhere_what_it_overwrites(
    cloned: Promotion, take: str, edited: bool, flag: str
) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// mended in production")
    if edited:
        edit(cloned.source.state, key.id, description="of staging")
    prepared = cloned.prepared(take=(take,))
    (action,) = prepared.plan.overwriting
    assert (action.key, [one.path for one in action.overwrites]) == (key, ["code"])
    says = f"overwrites code, which the target changed since the last clone ({flag})"
    counts = "Overwrites changes of the target: 1 entity: function Enrich (code)"
    shown = told(plan_view(prepared.plan))
    assert says in shown
    assert counts in shown
    text = plan_markdown(prepared.plan, prepared.snapshot, prepared.live)
    assert "- **Overwrites changes of the target:** 1 entity: function Enrich (code)" in text
    assert f"`({flag})`" in text or f"(`{flag}`)" in text
    page = plan_page(prepared.plan, prepared.snapshot, prepared.live)
    assert says in page
    assert "Overwrites changes of the target (1)" in page
    (found,) = [one for one in plan_document(prepared.plan)["actions"] if one["overwrites"]]
    assert found["overwrites"] == [{"path": "code", "flag": flag}]


def test_a_clone_without_the_record_of_the_one_before_says_so_first(cloned: Promotion) -> None:
    cloned.record, cloned.lost = None, True
    prepared = cloned.prepared()
    says = "copies from acme-staging, but the store has no record of a clone"
    assert says in told(plan_view(prepared.plan))
    head = plan_markdown(prepared.plan, prepared.snapshot, prepared.live).split("\n\n")[1]
    assert head.startswith("- **Attention:** the target has ")
    assert cloned.plan(take=("source",)).attention == ()
    assert promotion().plan().attention == ()


def test_without_the_record_of_the_one_before_nothing_is_overwritten_that_may_be_the_targets_own(
    cloned: Promotion,
) -> None:
    key, there = both(cloned, "function", "Enrich")
    edit(cloned.target.state, there, code="// mended in production")
    cloned.record, cloned.lost = None, True
    prepared = cloned.prepared()
    (blocked,) = prepared.plan.blocked
    assert (blocked.key, blocked.conflicts) == (key, ("code",))
    assert str(blocked.reason) == (
        "code differs, and the store has no record of the last clone, so this may be the target's own change: settle it with"
        " --take=source:function/Enrich or --take=target:function/Enrich"
    )
    text = plan_markdown(prepared.plan, prepared.snapshot, prepared.live)
    assert "from the target to the source:\n\n```diff" in text
    assert "-// mended in production" in text
    kept = cloned.plan(take=("target:function/Enrich",))
    assert (kept.blocked, kept.writes) == ((), ())
    taken = cloned.plan(take=("source",))
    assert (action_of(taken, key).kind, taken.overwriting) == (ActionKind.UPDATE, ())


def test_without_the_record_of_the_one_before_nothing_is_pruned_that_may_be_the_targets_own(
    cloned: Promotion,
) -> None:
    cloned.record, cloned.lost = None, True
    cloned.target.state.add_object(PRODUCTION, "function", "own-0001", {"name": "Own", "code": "x"})
    for take in ((), ("source",)):
        (blocked,) = cloned.plan(prune=True, take=take).blocked
        assert (blocked.name, blocked.reason) == (
            "Own",
            (
                "not in acme-staging, but the store has no record of the last clone, so it may be the target's own: give the"
                " store that has the record with --store, leave out --prune, or delete all that only the target has with"
                " --prune-own"
            ),
        )
    plan = cloned.plan(prune=True, prune_own=True)
    assert [a.name for a in plan.actions if a.kind is ActionKind.DELETE] == ["Own"]


def test_a_target_with_the_originals_has_no_copies() -> None:
    lists = {"function": [{"id": f"f{n}", "name": f"Mine {n}", "code": "x"} for n in (1, 2)]}
    source = make_snapshot(lists, host="https://elsewhere.example", workspace_id=PRODUCTION, slug="elsewhere")
    live = make_snapshot(lists)

    def attention(record: Snapshot | None) -> list[str]:
        async def find(one: Snapshot, other: Snapshot) -> Snapshot | None:
            return record if (one, other) == (live, source) else None

        options = run(with_third_side(PlanOptions(), source, live, find, None))
        return [*unrecorded_clone(options, source)]

    def covering(*ids: str) -> Snapshot:
        cloned = CloneRecord(live.manifest.source, {Key("function", one): one for one in ids})
        return replace(live, manifest=replace(live.manifest, cloned=cloned))

    assert "has 2 copies from elsewhere" in " ".join(attention(None))
    assert "has 1 copy from elsewhere" in " ".join(attention(covering("f1")))
    assert attention(covering("f1", "f2")) == []


def test_a_comment_names_the_command_for_write_keys_that_a_job_cannot_hand_over() -> None:
    prepared = promotion().prepared()
    command = "jitsu-backup clone --plan p.json --keys-out keys.json"
    text = plan_markdown(prepared.plan, prepared.snapshot, prepared.live, command)
    keys = prepared.plan.made_keys
    assert (
        f"- **Needs a decision:** {keys} new write keys: carry this plan out by hand, with `{command}`\n"
        in text
    )


def test_a_choice_for_the_source_that_overwrites_nothing_is_not_reported(cloned: Promotion) -> None:
    key, _ = both(cloned, "function", "Enrich")
    edit(cloned.source.state, key.id, code="// of staging")
    plan = cloned.plan(take=("source",))
    assert action_of(plan, key).kind is ActionKind.UPDATE
    assert plan.overwriting == ()


def test_a_choice_that_deletes_what_the_target_changed_or_brings_back_what_it_deleted_says_so(
    cloned: Promotion,
) -> None:
    cloned.source.state.add_object(STAGING, "function", "passing", {"name": "Passing", "code": "x"})
    cloned.clone()
    mended, there = both(cloned, "function", "Passing")
    _, hook_there = both(cloned, "destination", "Alerts webhook")
    edit(cloned.target.state, there, code="// mended in production")
    delete(cloned.source.state, mended.id, cascade=True)
    delete(cloned.target.state, hook_there, cascade=True)
    plan = cloned.plan(take=("source",), prune=True)
    shown = told(plan_view(plan, verbose=True))
    assert "deletes it although the target changed it since the last clone (--take=source)" in shown
    assert "re-creates it although the target deleted it since the last clone (--take=source)" in shown
    assert {(a.kind, a.name) for a in plan.overwriting} >= {
        (ActionKind.DELETE, "Passing"), (ActionKind.CREATE, "Alerts webhook"),
    }  # fmt: skip
