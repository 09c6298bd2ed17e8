"""Promotion with three sides: what is made again by hand, what is never guessed, and what `--take` may name."""

from pathlib import Path
from random import Random
from shutil import which
from subprocess import run

import pytest

from jitsu_backup.errors import UsageError
from jitsu_backup.model import Key
from jitsu_backup.operations.diff import Side, diff
from jitsu_backup.planning import ActionKind, Overlay, PlanOptions, compare, parse_overlay
from jitsu_backup.planning.merge import Rules, merge
from jitsu_backup.reports.html import changes_page
from jitsu_backup.reports.markdown import changes_markdown, plan_markdown
from jitsu_backup.reports.summary import only_in_target
from jitsu_backup.sandbox import Generation
from tests.promotions import Promotion, edit, key_named, promotion
from tests.restores.kit import delete
from tests.support import PRODUCTION, STAGING, stand_ins


@pytest.fixture
def cloned(request: pytest.FixtureRequest) -> Promotion:
    """Staging, cloned into production once."""
    made = promotion(getattr(request, "param", Generation.NEWEST))
    made.clone()
    return made


EACH = pytest.mark.parametrize("cloned", Generation, indirect=True, ids=lambda one: one.value)

OURS = Key("destination", "by-hand")


def made_by_hand(cloned: Promotion) -> Key:
    """Delete a destination of production and make another of its name; return the source's key."""
    key = key_named(cloned.snapshot(), "destination", "BigQuery")
    row = cloned.target.state.objects[cloned.id_in_target(key)]
    row.deleted = True
    cloned.target.state.add_object(PRODUCTION, *OURS, {**row.config, "project": "by-hand"})
    return key


@EACH
@pytest.mark.parametrize(
    "options",
    [
        {"mapping": (("destination/BigQuery", str(OURS)),)},
        {"match_by_name": True, "take": ("source:destination/BigQuery",)},
    ],
    ids=["map", "match-by-name"],
)
def test_what_the_target_recreated_by_hand_is_paired_on_request(
    cloned: Promotion, options: dict[str, object]
) -> None:
    key = made_by_hand(cloned)
    cloned.clone(**options)
    assert cloned.id_in_target(key) == OURS.id
    assert [e.key for e in cloned.live().of_type("destination") if e.name == "BigQuery"] == [OURS]
    cloned.silent_clone()


def test_what_stays_deleted_beside_a_namesake_is_reported(cloned: Promotion) -> None:
    key = made_by_hand(cloned)
    plan = cloned.plan(match_by_name=True)
    assert [a.kind for a in plan.actions if a.key == key] == [ActionKind.SKIPPED]
    assert any(f"--map {key}={OURS} does" in note for note in plan.notes)


@EACH
def test_a_set_of_which_the_sides_removed_different_items_is_not_emptied_unasked(cloned: Promotion) -> None:
    key = key_named(cloned.snapshot(), "destination", "ClickHouse")
    there = cloned.id_in_target(key)
    edit(cloned.source.state, key.id, hosts=["ch1:8443"])
    edit(cloned.target.state, there, hosts=["ch2:8443"])
    assert [action.conflicts for action in cloned.plan().blocked] == [("hosts",)]


def merged_code(base: str, source: str, target: str) -> str | None:
    """The merged code; None for a conflict."""
    rules = Rules(lambda _, one, other: one == other)
    result = merge({"code": base}, {"code": source}, {"code": target}, rules)
    return None if result.conflicts else result.values.get(("code",), source)


@pytest.mark.parametrize(
    ("base", "source", "target"),
    [
        ("f f f", "{ f f", "f f"),
        ("} } }", "} } } }", "} c }"),
        ("a b c", "a c b", "a b"),
        ("a b c d", "a x c d", "a b y d"),
    ],
)
def test_which_of_equal_or_moved_lines_is_meant_is_never_guessed(base: str, source: str, target: str) -> None:
    sides = ("".join(f"{line}\n" for line in side.split()) for side in (base, source, target))
    assert merged_code(*sides) is None


@pytest.mark.parametrize(
    ("base", "source", "target", "merged"),
    [
        ("a b c d", "x a b c d", "a b c d y", "x a b c d y"),
        ("a } b } c", "a } x b } c", "a } b } y c", "a } x b } y c"),
        ("a b c d e", "a fix b c d x", "a fix b c d e", "a fix b c d x"),
        ("a b c d e", "a c b d e", "a b c d y", "a c b d y"),
    ],
    ids=["ends", "equal lines elsewhere", "the same fix in both", "moved lines elsewhere"],
)
def test_lines_that_do_not_touch_come_together(base: str, source: str, target: str, merged: str) -> None:
    base, source, target, merged = (
        "".join(f"{line}\n" for line in side.split()) for side in (base, source, target, merged)
    )
    assert merged_code(base, source, target) == merged
    assert merged_code(base, target, source) == merged


@pytest.mark.skipif(which("git") is None, reason="it is compared with git")
def test_code_merges_as_git_does_or_not_at_all(tmp_path: Path) -> None:
    random, merges = Random(16), 0
    for _ in range(300):
        base = [random.choice("abcdefgh}}") for _ in range(random.randint(3, 12))]
        sides = [base, _changed(random, base), _changed(random, base)]
        for name, side in zip(("base", "source", "target"), sides, strict=True):
            (tmp_path / name).write_text("".join(f"{line}\n" for line in side))
        ours = merged_code(*((tmp_path / name).read_text() for name in ("base", "source", "target")))
        if ours is not None:
            merges += 1
            files = [str(tmp_path / name) for name in ("source", "base", "target")]
            git = run(["git", "merge-file", "-p", *files], capture_output=True, text=True, check=False)
            assert (git.returncode, git.stdout) == (0, ours), sides
    assert merges > 50


def _changed(random: Random, lines: list[str]) -> list[str]:
    """Lines of which one or two were added, removed or replaced."""
    changed = list(lines)
    for _ in range(random.randint(1, 2)):
        at = random.randrange(len(changed) + 1)
        changed[at : at + random.randint(0, 1)] = random.choice(([], ["x"], [random.choice("abc}")]))
    return changed


@EACH
@pytest.mark.parametrize("field", ["", ":code"])
def test_a_choice_may_name_an_entity_as_the_target_calls_it(cloned: Promotion, field: str) -> None:
    key = key_named(cloned.snapshot(), "function", "Enrich")
    there = cloned.id_in_target(key)
    edit(cloned.source.state, key.id, code="// of staging")
    edit(cloned.target.state, there, code="// of production", name="Enrich in production")
    assert cloned.plan().blocked
    cloned.clone(take=(f"source:function/Enrich in production{field}",))
    assert cloned.target.state.objects[there].config["code"] == "// of staging"


@EACH
def test_a_choice_may_name_a_connection_by_its_id_in_the_target(cloned: Promotion) -> None:
    state = cloned.target.state
    key = next(Key("link", row.id) for row in cloned.source.state.live_links(STAGING) if row.type == "push")
    there = cloned.id_in_target(key)
    for row, size in ((cloned.source.state.links[key.id], 1), (state.links[there], 2)):
        row.data = {**(row.data or {}), "batchSize": size}
    assert [action.conflicts for action in cloned.plan().blocked] == [("data.batchSize",)]
    cloned.clone(take=(f"source:link/{there}:data.batchSize",))
    assert (state.links[there].data or {})["batchSize"] == 1


@pytest.mark.parametrize(
    ("choice", "hint"),
    [
        ("source:function/Enrich:", "no field ''"),
        ("source:function/Enrich:cod", "no field 'cod' on either side; did you mean 'code'?"),
        ("target:destination/*:hots", "no field 'hots' on either side; did you mean 'hosts'?"),
        ("source:link/{}:schedule", "no field 'schedule' on either side; did you mean 'data.schedule'?"),
    ],
)
def test_a_choice_of_a_field_that_neither_side_has_is_refused_in_one_line(
    cloned: Promotion, choice: str, hint: str
) -> None:
    link = next(row for row in cloned.source.state.live_links(STAGING) if row.data and "schedule" in row.data)
    with pytest.raises(UsageError) as refusal:
        cloned.plan(take=(choice.format(link.id),))
    assert hint in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_choice_may_name_the_code_of_a_profile_builder_and_a_field_of_one_side(cloned: Promotion) -> None:
    key = key_named(cloned.snapshot(), "function", "Enrich")
    edit(cloned.target.state, cloned.id_in_target(key), of_production="x")
    cloned.plan(take=("target:profile-builder/*:code", "target:function/Enrich:of_production"))


def builder_in_conflict(cloned: Promotion) -> tuple[Key, Key]:
    """A profile builder that the source deleted and whose code the target changed: its key there, and its function's."""
    builder = cloned.source.state.live_builders(STAGING)[0]
    builder.deleted = cloned.source.state.objects[builder.function_id].deleted = True
    (there,) = cloned.target.state.live_builders(PRODUCTION)
    edit(cloned.target.state, there.function_id, code="// hot", draft="// hot")
    return Key("profile-builder", there.id), Key("function", there.function_id)


def test_a_deleted_profile_builder_and_its_function_are_one_conflict(cloned: Promotion) -> None:
    builder, _ = builder_in_conflict(cloned)
    assert [action.key for action in cloned.plan(prune=True).blocked] == [builder]


@pytest.mark.parametrize(("side", "stays"), [("source", False), ("target", True)])
def test_one_choice_settles_a_profile_builder_and_its_function(
    cloned: Promotion, side: str, stays: bool
) -> None:
    keys = builder_in_conflict(cloned)
    cloned.clone(prune=True, take=(f"{side}:{keys[0]}",))
    assert [key in {e.key for e in cloned.live().entities} for key in keys] == [stays, stays]


def test_an_overlays_secret_that_the_target_shows_is_in_no_report_of_a_difference() -> None:
    made = promotion()
    secrets, given = stand_ins(made.snapshot()), parse_overlay({"destination/Warehouse": {"host": "CANARY"}})
    overlay = Overlay((*secrets.rules, *given.rules), secrets.secrets | {"CANARY"})
    made.clone(overlay=overlay)
    changes = compare(made.snapshot(), made.live(), {}, PlanOptions(overlay=overlay))
    assert "CANARY" not in changes_page(changes) + changes_markdown(changes)


@EACH
def test_what_an_overlay_gives_to_others_that_a_rule_chooses_is_no_difference(cloned: Promotion) -> None:
    overlay = parse_overlay({"destination/*": {"keyFile": "given"}})
    changes = diff(Side(cloned.snapshot()), Side(cloned.live()), options=PlanOptions(overlay=overlay))
    assert {c.name for c in changes.entities if c.type == "destination"} <= {"BigQuery"}


@EACH
def test_a_part_of_a_promotion_goes_with_the_overlay_of_the_whole(cloned: Promotion) -> None:
    overlay = parse_overlay({"destination/*": {"keyFile": "given"}, "destination/BigQuery": {"project": "x"}})
    assert not cloned.plan(overlay=overlay, only=("destination/ClickHouse",)).blocked
    alone = parse_overlay({"destination/ClickHouse": {"keyFile": "given"}})
    with pytest.raises(UsageError, match="has no field 'keyFile' there"):
        cloned.plan(overlay=alone, only=("destination/ClickHouse",))


def test_what_prune_would_be_blocked_by_is_not_reported_as_kept_with_prune(cloned: Promotion) -> None:
    lake = cloned.id_in_target(key_named(cloned.snapshot(), "destination", "BigQuery"))
    cloned.source.state.objects[lake].deleted = True
    edit(cloned.target.state, lake, project="of-production")
    (line,) = only_in_target(cloned.plan().extras)
    assert (
        line
        == "1 only in the target, kept; with --prune, the plan needs a decision about it: destination BigQuery."
    )


def test_a_take_that_names_no_side_is_refused_before_anything_is_read() -> None:
    with pytest.raises(UsageError, match="write source or target"):
        PlanOptions(take=("source:",))


def test_what_settles_a_conflict_overwrites_no_other_change_of_the_target(cloned: Promotion) -> None:
    key = key_named(cloned.snapshot(), "function", "Enrich")
    there = cloned.id_in_target(key)
    edit(cloned.source.state, key.id, code="// of staging", description="of staging")
    edit(cloned.target.state, there, code="// of production", description="of production", name="Enrich (EU)")

    def reason() -> str:
        (action,) = cloned.plan().blocked
        return action.reason

    assert reason() == (
        "both sides changed code, description differently since the last clone: the target's own name is kept;"
        " settle code with --take=source:function/Enrich:code or --take=target:function/Enrich:code; also"
        " settle description with --take=source:function/Enrich:description or --take=target:function/Enrich:description"
    )
    cloned.clone(take=("source:function/Enrich:code", "target:function/Enrich:description"))
    now = cloned.target.state.objects[there].config
    found = [now[name] for name in ("code", "description", "name")]
    assert found == ["// of staging", "of production", "Enrich (EU)"]


def test_a_comment_says_what_take_target_decided_against_and_shows_what_is_not_promoted(
    cloned: Promotion,
) -> None:
    keys = [
        key_named(cloned.snapshot(), *named)
        for named in (("function", "Enrich"), ("destination", "BigQuery"))
    ]
    enrich, big_query = map(cloned.id_in_target, keys)
    edit(cloned.source.state, keys[0].id, code="// of staging")
    edit(cloned.target.state, enrich, code="// of production", name="Enrich (EU)")
    delete(cloned.source.state, keys[1].id, cascade=True)
    edit(cloned.target.state, big_query, project="of-production")
    made = cloned.prepared(prune=True, take=("target:function/Enrich:code", "target:destination/BigQuery"))
    text = plan_markdown(made.plan, made.snapshot, made.live)
    kept = text.partition("<summary>Kept in the target")[2]
    assert (
        "`Enrich`: keeps the target's code, which the source changed too (`--take=target:function/Enrich:code`);"
        " keeps the target's name\n" in kept
    )
    assert "; kept in the target (`--take=target:destination/BigQuery`)\n" in kept
    assert "Skipped" not in text
    details = "function <code>Enrich</code>: not promoted, from the target to the source</summary>"
    assert "\n-// of production\n+// of staging\n" in text.partition(details)[2]
    assert "- **Kept in the target:** 1 changed there, 1 only there\n" in text
