"""What is agreed to late, what goes wrong late, and what would delete most: nothing is lost, and all is told."""

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from jitsu_backup.archive import encode
from jitsu_backup.cli.write_keys import check_keys_out, settle_keys, write_keys
from jitsu_backup.errors import BlockedError, FileAccessError, UsageError
from jitsu_backup.operations.apply_plan import Status
from jitsu_backup.operations.restore import Result
from jitsu_backup.operations.write_keys import StreamKey
from jitsu_backup.planning import ActionKind, PlanOptions
from jitsu_backup.sandbox import Sandbox, default_state, running
from tests.restores.kit import delete, plan_for, typed, write_overlay
from tests.support import (
    OWNER,
    PRODUCTION,
    STAGING,
    FakeTime,
    carry_out,
    cli,
    console_of,
    prepare,
    read,
    restore,
    run,
    stand_ins,
    writes,
)

# -- what changes while the question waits ------------------------------------------------


def test_an_edit_made_while_the_question_waits_is_shown_in_a_new_plan_and_is_in_the_safety_backup(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    function = sandbox.state.objects["enrich-0001"]
    with running(sandbox) as url:
        backed_up = cli(
            "backup", "acme-staging", env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path
        )
        assert backed_up.returncode == 0
        function.config["code"] = "changed on Monday"

        def colleague() -> str:
            function.config["code"] = "changed by a colleague while we were reading"
            return "y"

        code, said = typed(url, tmp_path, ["restore", "latest"], [colleague, lambda: "y"])
    assert code == 0, said
    told = (
        "the target has changed since the plan was made: function 'Enrich' (function/enrich-0001) has changed"
    )
    assert told in said.replace("\r\n", " ")
    assert said.count("Apply 1 change") == 2
    (kept,) = (tmp_path / "jitsu-backups").glob("*.pre-restore*.json.gz")
    shown = cli("show", str(kept), "function/enrich-0001", cwd=tmp_path)
    assert "changed by a colleague" in shown.stdout
    assert "Monday" not in shown.stdout


def test_an_edit_of_something_else_while_the_question_waits_is_in_the_safety_backup_and_stops_nothing(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with running(sandbox) as url:
        cli("backup", "acme-staging", env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path)
        sandbox.state.objects["enrich-0001"].config["code"] = "changed on Monday"

        def colleague() -> str:
            sandbox.state.add_object(STAGING, "function", "fn-new", {"name": "A colleague's", "code": "x"})
            return "y"

        code, said = typed(url, tmp_path, ["restore", "latest"], [colleague])
    assert code == 0, said
    (kept,) = (tmp_path / "jitsu-backups").glob("*.pre-restore*.json.gz")
    assert "A colleague's" in cli("show", str(kept), "function/fn-new", cwd=tmp_path).stdout
    assert not sandbox.state.objects["fn-new"].deleted


def test_a_plan_that_no_longer_fits_is_not_carried_out_from_python_either(sandbox: Sandbox) -> None:
    from jitsu_backup import api

    with running(sandbox) as url:
        jitsu = api.connect(url, OWNER)
        before = run(api.read(jitsu, STAGING))
        sandbox.state.objects["enrich-0001"].config["code"] = "one"
        prepared = run(api.plan(jitsu, before, STAGING))
        sandbox.state.objects["enrich-0001"].config["code"] = "two"
        sandbox.requests.clear()
        with pytest.raises(BlockedError, match=r"function/enrich-0001\) has changed"):
            run(api.apply(jitsu, prepared))
    assert writes(sandbox) == 0
    assert sandbox.state.objects["enrich-0001"].config["code"] == "two"


# -- whatever happens after the first write ---------------------------------------------------


class Dying:
    """A console that answers with a stranger's page to every request of a kind, once something has been written."""

    def __init__(self, sandbox: Sandbox, when: Callable[[str, str, int], bool]) -> None:
        self.sandbox, self.when, self.writes = sandbox, when, 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if self.when(scope["method"], scope["path"], self.writes):
            await send(
                {"type": "http.response.start", "status": 404, "headers": [(b"content-type", b"text/html")]}
            )
            await send({"type": "http.response.body", "body": b"<html>gone</html>"})
            return
        self.writes += scope["method"] != "GET"
        await self.sandbox.app(scope, receive, send)


def test_a_console_that_dies_before_reading_back_leaves_a_report_with_the_new_keys(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    before = run(read(console_of(sandbox), STAGING))
    (tmp_path / "a.json.gz").write_bytes(encode(before))
    write_overlay(before, tmp_path / "o.json")
    alone = run(restore(lambda: console_of(Sandbox(default_state(), rate_limit=False)), before))
    total = sum(1 for outcome in alone.outcomes)
    target = Sandbox(default_state(), rate_limit=False)

    def reading_back(method: str, path: str, number: int) -> bool:
        return number > 0 and method == "GET" and path == f"/api/workspace/{PRODUCTION}"

    with running(SimpleNamespace(app=Dying(target, reading_back))) as url:  # type: ignore[arg-type]
        done = cli(
            "--json", "restore", "a.json.gz", "--into", "acme-production", "--overlay", "o.json", "--yes", "--html", "r.html",
            env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert "not verified" in done.stderr
    assert "Traceback" not in done.stderr
    report = json.loads(done.stdout)
    assert report["verified"] is False
    assert "not verified" in report["failure"]
    assert len(report["outcomes"]) == total
    keys = {key["key_id"] for key in report["stream_keys"]}
    live = list(target.state.live_objects(PRODUCTION, "stream"))
    assert keys == {
        k["id"] for row in live for f in ("publicKeys", "privateKeys") for k in row.config.get(f, ())
    }
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")


def test_a_refusal_in_the_middle_keeps_its_reason(sandbox: Sandbox) -> None:
    before = run(read(console_of(sandbox), STAGING))
    sandbox.state.add_object(STAGING, "function", "extra", {"name": "Extra", "code": "x"})
    sandbox.state.objects["enrich-0001"].config["code"] = "other"

    def link_list_once_written(method: str, path: str, number: int) -> bool:
        return number > 0 and method == "GET" and path.endswith("/config/link")

    with running(SimpleNamespace(app=Dying(sandbox, link_list_once_written))) as url:  # type: ignore[arg-type]
        from jitsu_backup.console import Console

        result = run(
            restore(lambda: Console(url, OWNER), before, STAGING, prune=True, overlay=stand_ins(before))
        )
    assert result.failure is not None
    assert "answers 404, but not in the form of Jitsu" in str(result.failure.with_context(after="; more"))
    assert not result.verified
    assert any(outcome.action.kind is ActionKind.UPDATE for outcome in result.outcomes)


# -- the brake ----------------------------------------------------------------------------------


def emptied(sandbox: Sandbox, share: float) -> None:
    rows = [row for row in sandbox.state.objects.values() if row.workspace_id == STAGING and not row.deleted]
    for row in rows[: round(len(rows) * share)]:
        delete(sandbox.state, row.id, cascade=True)
    for builder in sandbox.state.builders.values():
        builder.deleted = share == 1 or builder.deleted


def test_a_clone_from_an_emptied_source_empties_nothing_until_that_is_said_to_be_meant(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    before = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), before, overlay=stand_ins(before)))
    emptied(sandbox, 1)
    sandbox.requests.clear()
    clone = ("clone", "acme-staging", "acme-production", "--prune", "--yes")
    refused = shell(*clone)
    assert refused.returncode == 7, refused.stderr
    assert "add --accept-shrink to allow it" in refused.stderr
    assert writes(sandbox) == 0
    assert "blocked" in refused.stdout  # what would go is listed
    assert shell(*clone, "--dry-run").returncode == 7
    assert shell("clone", "acme-staging", "acme-production", "--yes").returncode == 0  # deletes nothing
    # the first record knows no pair of what staging had lost by then, so that it counts as production's own
    accepted = shell(*clone, "--prune-own", "--accept-shrink")
    assert accepted.returncode in (0, 3), accepted.stderr
    assert not list(sandbox.state.live_objects(PRODUCTION, "stream"))


@pytest.mark.parametrize(("share", "blocked"), [(0.05, False), (0.9, True), (1, True)])
def test_the_brake_holds_for_whatever_deletes_most(sandbox: Sandbox, share: float, blocked: bool) -> None:
    before = run(read(console_of(sandbox), STAGING))
    run(restore(lambda: console_of(sandbox), before, overlay=stand_ins(before)))
    emptied(sandbox, share)
    now = run(read(console_of(sandbox), STAGING))
    options = {"prune": True, "allow_missing_secrets": True}
    plan = plan_for(sandbox, now, PRODUCTION, **options)
    assert any("--accept-shrink" in action.reason for action in plan.blocked) is blocked
    accepted = plan_for(sandbox, now, PRODUCTION, accept_shrink=True, **options)
    assert not any("--accept-shrink" in action.reason for action in accepted.blocked)
    assert accepted.counts()["delete"] > 0


def test_a_rollback_that_deletes_most_is_braked_too_and_a_saved_plan_remembers_what_was_accepted(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    shell("backup", "acme-staging")
    for number in range(12):
        sandbox.state.add_object(STAGING, "function", f"fn-{number}", {"name": f"New {number}", "code": "x"})
    refused = shell("restore", "latest", "--prune", "--yes")
    assert refused.returncode == 7
    assert "12 of the 15 function entities" in refused.stderr, refused.stderr
    save = shell("restore", "latest", "--prune", "--accept-shrink", "--plan-out", "plan.json")
    assert save.returncode == 0, save.stderr
    carried = shell("restore", "--plan", "plan.json", "--yes")
    assert carried.returncode == 0, carried.stderr
    assert all(sandbox.state.objects[f"fn-{number}"].deleted for number in range(12))


def test_the_way_back_of_a_first_clone_says_all_flags_that_it_needs(
    shell: Any, sandbox: Sandbox, tmp_path: Path
) -> None:
    before = run(read(console_of(sandbox), STAGING))
    write_overlay(before, tmp_path / "o.json")
    sandbox.state.add_object(
        PRODUCTION, "misc", "own", {"name": "Own", "value": "", "objectType": "classic-mapping"}
    )
    clone = shell(
        "-v",
        "clone",
        "acme-staging",
        "acme-production",
        "--overlay",
        "o.json",
        "--prune",
        "--keys-out",
        "k.json",
        "--yes",
    )
    assert clone.returncode in (0, 3), clone.stderr
    way = clone.stdout.split("  jitsu-backup restore ")[-1].split("\n")[0].split()
    assert way[-2:] == ["--prune", "--accept-shrink"]
    back = shell("restore", *way, "--yes")
    assert back.returncode in (0, 3), back.stderr
    left = [
        row.id for row in sandbox.state.objects.values() if row.workspace_id == PRODUCTION and not row.deleted
    ]
    assert len(left) == 1


# -- what changes while a write waits ------------------------------------------------------------


class Watchful(FakeTime):
    """Tells what is slept, so that somebody can act meanwhile."""

    def __init__(self, act: Callable[[float], None]) -> None:
        super().__init__()
        self.act = act

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds)
        self.act(seconds)


@pytest.mark.parametrize("trouble", ["limit", "maintenance"])
def test_what_a_colleague_edits_while_writes_wait_is_not_overwritten(trouble: str) -> None:
    state = default_state()
    for number in range(200):
        state.add_object(STAGING, "function", f"fn-{number:03d}", {"name": f"F{number}", "code": "good"})
    edited: list[str] = []

    def colleague(seconds: float) -> None:
        if seconds >= 5 and not edited:
            rows = [row for row in state.objects.values() if row.config.get("code") == "bad"]
            for row in rows[::2]:
                row.config = {**row.config, "code": "a colleague's"}
                edited.append(row.id)
            sandbox.maintenance = False

    time = Watchful(colleague)
    sandbox = Sandbox(state, clock=time.clock, rate_limit=trouble == "limit")
    before = run(read(console_of(sandbox, time=time), STAGING))
    for row in state.objects.values():
        row.config = {**row.config, "code": "bad"}

    def begin() -> None:
        sandbox.maintenance = trouble == "maintenance"

    async def job() -> Any:
        prepared = await prepare(
            console_of(sandbox, time=time), STAGING, before, PlanOptions(), lambda _: None
        )
        return await carry_out(console_of(sandbox, time=time), prepared, lambda _: None, before_writing=begin)

    result = run(job())
    assert edited
    assert {state.objects[one].config["code"] for one in edited} == {"a colleague's"}
    overtaken = {o.action.key.id for o in result.outcomes if o.status is Status.OVERTAKEN}
    assert overtaken == set(edited)
    assert {line.key.id for line in result.found} == set(edited)
    assert all(row.config["code"] == "good" for row in state.objects.values() if row.id not in edited)


# -- what only the target has -----------------------------------------------------------------------


def test_what_is_there_twice_is_deleted_by_the_command_that_the_report_gives(
    shell: Any, sandbox: Sandbox
) -> None:
    shell("backup", "acme-staging")
    sync = next(link for link in sandbox.state.live_links(STAGING) if link.type == "sync")
    sandbox.state.add_link(STAGING, "sync", sync.from_id, sync.to_id, sync.data, "the-second")
    told = shell("restore", "latest", "--yes")
    assert told.returncode == 3, told.stderr
    assert "delete it with --prune --only link/the-second" in " ".join(told.stdout.split())
    assert shell("restore", "latest", "--yes", "--skip", "link/the-second").returncode == 0
    done = shell("restore", "latest", "--prune", "--only", "link/the-second", "--yes")
    assert done.returncode == 0, done.stderr
    assert sandbox.state.links["the-second"].deleted
    assert shell("restore", "latest", "--yes").returncode == 0


# -- write keys -----------------------------------------------------------------------------------------


HERE = "http://here"


def key(secret: str, key_id: str = "k1") -> StreamKey:
    return StreamKey("Site", "s1", "browser", "source", key_id, f"{key_id}:{secret}")


def secrets_in(path: Path) -> list[str]:
    return [entry["write_key"] for entry in json.loads(path.read_text())["stream_keys"]]


def test_a_key_of_another_run_stays_in_the_file_until_ours_is_known_to_be_the_one(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    write_keys(path, [key("theirs")], HERE)
    write_keys(path, [key("ours")], HERE)
    assert secrets_in(path) == ["k1:theirs", "k1:ours"]
    plan = SimpleNamespace()
    overtaken = Result(plan, verified=True)  # type: ignore[arg-type]  the other run made the stream
    settle_keys(path, [key("ours")], overtaken, HERE)
    assert secrets_in(path) == ["k1:theirs"]
    write_keys(path, [key("ours")], HERE)
    unknown = Result(plan, keys=[key("ours")])  # type: ignore[arg-type]
    settle_keys(path, [key("ours")], unknown, HERE)
    assert secrets_in(path) == ["k1:theirs", "k1:ours"]  # nobody knows
    settle_keys(path, [key("ours")], replace(unknown, verified=True), HERE)
    assert secrets_in(path) == ["k1:ours"]


def test_keys_of_another_console_stay_in_the_file_although_derived_ids_are_equal(tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    before = asdict(key("of an earlier version"))
    path.write_text(json.dumps({"stream_keys": [before]}))
    for host in (HERE, "http://elsewhere"):
        made = [key(host)]
        write_keys(path, made, host)
        settle_keys(path, made, Result(SimpleNamespace(), keys=made, verified=True), host)  # type: ignore[arg-type]
    entries = json.loads(path.read_text())["stream_keys"]
    assert [entry.get("console") for entry in entries] == [None, HERE, "http://elsewhere"]
    assert secrets_in(path)[1:] == [f"k1:{HERE}", "k1:http://elsewhere"]


@pytest.mark.parametrize(
    "content",
    [
        "something else",
        "[]",
        '{"stream_keys": {}}',
        '{"stream_keys": [], "other": "kept by hand"}',
        '{"stream_keys": [{"key_id": "k1", "write_key": ""}]}',
        '{"stream_keys": ["k1"]}',
    ],
)
def test_a_file_that_has_anything_but_keys_is_reported_before_anything_is_sent_and_stays(
    tmp_path: Path, content: str
) -> None:
    path = tmp_path / "keys.json"
    path.write_text(content)
    for add in (lambda: check_keys_out(path), lambda: write_keys(path, [key("ours")], HERE)):
        with pytest.raises(UsageError, match="contains something else; name another"):
            add()
    assert path.read_text() == content


def test_an_empty_file_takes_keys_and_a_folder_that_takes_none_is_reported_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "keys.json"
    path.touch()
    check_keys_out(path)
    write_keys(path, [key("ours")], HERE)
    assert secrets_in(path) == ["k1:ours"]
    monkeypatch.setattr("os.access", lambda *_: False)  # whoever runs the tests may be root
    with pytest.raises(FileAccessError, match=r"permission denied in"):
        check_keys_out(path)


def test_a_console_that_dies_at_the_first_write_may_have_written(sandbox: Sandbox, tmp_path: Path) -> None:
    (tmp_path / "a.json.gz").write_bytes(encode(run(read(console_of(sandbox), STAGING))))
    target = Sandbox(default_state(), rate_limit=False)
    with running(SimpleNamespace(app=Dying(target, lambda _m, _p, number: number > 0))) as url:  # type: ignore[arg-type]
        done = cli(
            "restore", "a.json.gz", "--into", "acme-production", "--only", "function/Enrich", "--yes",
            env={"JITSU_HOST": url, "JITSU_APIKEY": OWNER}, cwd=tmp_path,
        )  # fmt: skip
    assert done.returncode == 1
    assert "nothing was written" not in done.stderr
