"""`recover` as somebody types it: one plan, one question, and a console that is back."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Generation, Sandbox, State, default_state, running
from jitsu_backup.sandbox.state import OWNER as OWNER_USER
from tests.recovery.kit import ADMIN_KEY, SLUGS, add_workspace, tables
from tests.reports.samples import HOSTILE
from tests.restores.kit import typed
from tests.support import ANALYST, OWNER, cli

KEYS = ("--keys-out", "keys.json")


def empty_console(generation: Generation = Generation.JULY_2026) -> Sandbox:
    state = default_state(generation=generation)
    state.workspaces.clear()
    return Sandbox(state, rate_limit=False)


@dataclass
class Desk:
    """Two consoles behind addresses, a store in a folder, and a shell."""

    folder: Path
    old: Sandbox
    new: Sandbox
    old_url: str
    new_url: str

    def run(self, *arguments: str, key: str = OWNER, lost: bool = False, **env: str) -> Any:
        host = self.old_url if lost else self.new_url
        return cli(*arguments, env={"JITSU_HOST": host, "JITSU_APIKEY": key, **env}, cwd=self.folder)

    def back_up(self, *slugs: str, secrets: bool = True) -> None:
        flags = ("--admin-token", ADMIN_KEY, "--plaintext-secrets") if secrets else ()
        done = self.run("backup", *(slugs or ("--all",)), *flags, lost=True)
        assert done.returncode == 0, done.stderr

    def recover(self, *arguments: str, **options: Any) -> Any:
        return self.run("recover", *arguments, **options)

    def state(self) -> State:
        return self.new.state


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    old, new = empty_console(), empty_console()
    for slug in SLUGS:
        add_workspace(old.state, slug)
    with running(old) as one, running(new) as other:
        yield Desk(tmp_path, old, new, one, other)


def words(text: str) -> str:
    return " ".join(text.split())


def test_a_console_comes_back_in_one_command_and_a_second_run_writes_nothing(desk: Desk) -> None:
    desk.back_up()
    looked = desk.recover("--dry-run")
    assert looked.returncode == 0, looked.stderr
    assert "3 to be created." in looked.stdout
    assert not desk.new.state.workspaces
    asked = desk.recover()
    assert (asked.returncode, "cannot ask for confirmation without a terminal" in asked.stderr) == (2, True)
    done = desk.recover("--yes", JITSU_ADMIN_TOKEN=ADMIN_KEY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 of 3 workspaces restored completely." in done.stdout
    assert "senders need no change" in words(done.stdout)
    for slug in SLUGS:
        assert tables(desk.state(), slug) == tables(desk.old.state, slug)
        row = desk.state().find_workspace(slug)
        assert row is not None
        assert row.access == {OWNER_USER.id: "owner"}  # a person made it
    before = len([one for one in desk.new.requests if one.method != "GET"])
    again = desk.recover("--yes", JITSU_ADMIN_TOKEN=ADMIN_KEY)
    assert (again.returncode, "3 of 3 workspaces restored completely." in again.stdout) == (0, True), (
        again.stdout
    )
    assert len([one for one in desk.new.requests if one.method != "GET"]) == before


def test_the_operators_token_alone_is_enough_and_nobody_is_a_member_then(desk: Desk) -> None:
    desk.back_up()
    token = ("--admin-token", ADMIN_KEY)
    done = cli("recover", "--yes", *token, env={"JITSU_HOST": desk.new_url}, cwd=desk.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    said = words(done.stdout)
    assert "Invite an owner to team-blue, team-green, team-red, because nobody is a member yet" in said
    assert "Send one event with a previous write key" in said
    assert "only as long as the console needs, because it sets no rate limits here" in words(done.stdout)


def test_a_run_that_can_use_no_archive_says_why(desk: Desk) -> None:
    desk.back_up("team-red")
    for archive in desk.folder.glob("jitsu-backups/team-red.*.gz"):
        archive.write_bytes(b"damaged")
    done = desk.recover("--yes")
    assert (done.returncode, "Left out (1)" in done.stdout) == (5, True), done.stdout


def test_without_secrets_the_plan_is_blocked_and_the_form_that_it_writes_unblocks_it(desk: Desk) -> None:
    desk.back_up(secrets=False)
    blocked = desk.recover("--yes", "--overlay-out", "form.toml")
    assert blocked.returncode == 7, blocked.stdout
    assert "3 blocked." in blocked.stdout
    assert "with --overlay form.toml, once you have filled it in" in words(blocked.stdout)
    assert "Overlay for what is missing" not in blocked.stdout
    assert not desk.new.state.workspaces
    form = (desk.folder / "form.toml").read_text()
    assert form.count('["team-blue:destination/') == 3
    assert "contains an unencrypted secret" not in blocked.stderr
    variables = dict.fromkeys(re.findall(r'env = "(\w+)"', form), "CANARY-secret")
    refused = desk.recover("--yes", "--overlay", "form.toml")
    assert (refused.returncode, "variables TEAM_BLUE_" in refused.stderr) == (2, True)
    keyless = desk.recover("--yes", "--overlay", "form.toml", **variables)
    assert (keyless.returncode, "--keys-out keys.json" in keyless.stderr) == (7, True)
    assert not desk.new.state.workspaces
    done = desk.recover(
        "--yes", "--overlay", "form.toml", *KEYS, "--html", "r.html", "--markdown", "r.md", **variables
    )
    assert done.returncode == 0, done.stdout + done.stderr
    keys = json.loads((desk.folder / "keys.json").read_text())["stream_keys"]
    assert (desk.folder / "keys.json").stat().st_mode & 0o777 == 0o600
    assert {one["workspace"] for one in keys} == set(SLUGS)
    assert "CANARY-secret" in json.dumps([one.config for one in desk.state().objects.values()])
    shown = (
        done.stdout
        + done.stderr
        + "".join((desk.folder / f"r.{kind}").read_text() for kind in ("html", "md"))
    )
    assert "CANARY-secret" not in shown
    assert not any(one["write_key"] in shown for one in keys)


def test_json_is_one_document_of_the_plan_or_of_the_recovery(desk: Desk) -> None:
    desk.back_up()
    planned = json.loads(desk.recover("--dry-run", "--json").stdout)
    assert [one["standing"] for one in planned["plan"]["workspaces"]] == ["to be made"] * 3
    done = json.loads(desk.recover("--yes", "--json").stdout)
    assert {one["workspace"]: (one["ended"], one["made"]) for one in done["workspaces"]} == dict.fromkeys(
        SLUGS, ("back", True)
    )
    assert all(one["way_back"].startswith("jitsu-backup undo c") for one in done["workspaces"])
    assert done["exit_code"] == 0


def test_what_is_in_use_is_left_alone_until_asked_and_the_rest_continues(desk: Desk) -> None:
    desk.back_up()
    add_workspace(desk.state(), "team-red", filled=False)
    row = desk.state().find_workspace("team-red")
    assert row is not None
    desk.state().add_object(row.id, "function", "mine-0001", {"name": "Mine", "code": "x"})
    done = desk.recover("--yes")
    assert done.returncode == 7, done.stdout
    assert "2 of 3 workspaces restored completely; 1 blocked." in done.stdout
    assert f"team-red: another workspace has its slug and is in use: {row.id} ('Team Red')" in words(
        done.stdout
    )
    assert len(list(desk.state().live_objects(row.id, "stream"))) == 0
    over = desk.recover("--yes", "--over-existing", "--into", "team-red=team-red")
    assert over.returncode in (0, 3), over.stdout
    assert "mine-0001" in desk.state().objects
    assert len(list(desk.state().live_objects(row.id, "stream"))) > 0


def test_a_key_that_may_not_write_or_is_wrong_is_reported(desk: Desk) -> None:
    desk.back_up()
    wrong = desk.recover("--yes", key="key9:secret9secret9secret9")
    assert wrong.returncode == 6, wrong.stderr
    assert (
        desk.recover("--yes", "--workspace", "team-red", key=ANALYST).returncode == 0
    )  # who makes it owns it


def test_workspaces_are_chosen_begun_with_and_taken_at_a_time(desk: Desk) -> None:
    desk.back_up()
    done = json.loads(
        desk.recover("--dry-run", "--json", "--first", "team-red", "--first", "team-green").stdout
    )
    assert [one["workspace"] for one in done["plan"]["workspaces"]] == ["team-red", "team-green", "team-blue"]
    one = json.loads(desk.recover("--dry-run", "--json", "--workspace", "team-green").stdout)
    assert [one["workspace"] for one in one["plan"]["workspaces"]] == ["team-green"]
    assert desk.recover("--dry-run", "--at", "yesterday").returncode == 2
    for wrong in (
        ("--workspace", "none"),
        ("--first", "none"),
        ("--at", "soon"),
        ("--from", "http://no.example"),
        ("--into", "x"),
        ("--into", "team-red=nowhere"),
    ):
        done = desk.recover("--dry-run", *wrong)
        assert done.returncode == 2, wrong
        assert done.stderr.strip().count("\n") <= 1


def test_the_store_is_named_once_and_has_to_be_there(desk: Desk) -> None:
    desk.back_up()
    assert desk.recover("./jitsu-backups", "--dry-run").returncode == 0
    assert "name different stores" in desk.recover("./jitsu-backups", "--store", "other", "--dry-run").stderr
    assert desk.recover("./nothing", "--dry-run").returncode == 1


def test_a_profile_names_the_console_and_gives_what_is_different_in_its_workspace(desk: Desk) -> None:
    desk.back_up()
    (desk.folder / "red.toml").write_text('["function/Enrich"]\ndescription = "of the profile"\n')
    (desk.folder / "all.toml").write_text(
        '["function/Enrich"]\ndescription = "of all"\n["team-blue : function/Enrich"]\ndescription = "of blue"\n'
    )
    (desk.folder / "jitsu-backup.toml").write_text(
        f'[profiles.new]\nhost = "{desk.new_url}"\nkey = {{ env = "NEW_KEY" }}\n'
        f'[profiles.red]\nhost = "{desk.new_url}"\nworkspace = "team-red"\nkey = {{ env = "NEW_KEY" }}\noverlay = "red.toml"\n'
        f'[profiles.elsewhere]\nhost = "{desk.old_url}"\nworkspace = "team-blue"\nkey = "a:b"\noverlay = "missing.toml"\n'
    )
    done = desk.recover("--into", "@new", "--yes", NEW_KEY=ADMIN_KEY, lost=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "jitsu-backup undo @new/c" in words(done.stdout)
    texts = {
        one.workspace_id: one.config.get("description")
        for one in desk.state().objects.values()
        if one.config.get("name") == "Enrich"
    }
    row = desk.state().find_workspace("team-red")
    assert row is not None
    assert texts[row.id] == "of the profile"
    assert list(texts.values()).count("of the profile") == 1
    done = desk.recover(
        "--into", "@new", "--overlay", "all.toml", "--yes", "--over-existing", NEW_KEY=ADMIN_KEY, lost=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    after = sorted(
        str(one.config.get("description"))
        for one in desk.state().objects.values()
        if one.config.get("name") == "Enrich"
    )
    assert after == ["of all", "of all", "of blue"]


def test_tables_of_an_overlay_that_name_nothing_are_reported_with_file_and_workspace(desk: Desk) -> None:
    desk.back_up()
    for table, told in {
        '["team-none:function/Enrich"]': "overlay o.toml: the table 'team-none:function/Enrich' names a workspace that is not in the store",
        '["function/Nothing"]': "overlay o.toml: 'function/Nothing' matches nothing in any workspace of this recovery",
        '["team-red:function/Enrich"]\nid = "x"': "overlay o.toml: the table 'team-red:function/Enrich' of workspace team-red:",
    }.items():
        (desk.folder / "o.toml").write_text(f'{table}\ncode = "x"\n')
        done = desk.recover("--dry-run", "--overlay", "o.toml")
        assert (done.returncode, told in done.stderr) == (2, True), done.stderr


def test_a_typo_in_the_table_of_one_workspace_is_reported_with_the_file(desk: Desk) -> None:
    desk.back_up()
    (desk.folder / "o.toml").write_text('["team-red:function/Enrihc"]\ncode = "x"\n')
    done = desk.recover("--dry-run", "--overlay", "o.toml")
    assert done.returncode == 2
    assert "overlay o.toml: 'function/Enrihc' is not in the snapshot" in words(done.stdout)


def rename(desk: Desk, slug: str, new: str) -> None:
    row = desk.old.state.find_workspace(slug)
    assert row is not None
    row.slug = new
    desk.back_up()


def test_an_overlay_reaches_a_workspace_under_its_earlier_slug(desk: Desk) -> None:
    desk.back_up()
    rename(desk, "team-red", "team-crimson")
    (desk.folder / "o.toml").write_text('["team-red:function/Enrich"]\ndescription = "of the overlay"\n')
    done = desk.recover("--yes", "--overlay", "o.toml", "--workspace", "team-crimson")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "of the overlay" in json.dumps([one.config for one in desk.state().objects.values()])


def test_the_overlay_of_a_profile_for_what_is_not_recovered_stands_in_no_ones_way(desk: Desk) -> None:
    desk.back_up()
    lost, other = desk.old_url, empty_console()
    add_workspace(other.state, "team-other")
    with running(other) as desk.old_url:
        assert desk.run("backup", "team-other", lost=True).returncode == 0
    (desk.folder / "jitsu-backup.toml").write_text(
        f'[profiles.other]\nhost = "{desk.new_url}"\nworkspace = "team-other"\nkey = "a:b"\noverlay = "o.toml"\n'
    )
    (desk.folder / "o.toml").write_text('["function/Enrich"]\ndescription = "of another"\n')
    done = desk.recover("--dry-run", "--from", lost)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 to be created, 1 left out." in done.stdout


def test_what_a_profile_protects_and_ignores_holds_for_its_workspace_alone(desk: Desk) -> None:
    desk.back_up()
    (desk.folder / "jitsu-backup.toml").write_text(
        f'[profiles.red]\nhost = "{desk.new_url}"\nworkspace = "team-red"\nkey = "a:b"\nignore = ["function/*:code"]\n'
    )
    assert desk.recover("--yes").returncode == 0
    for state, code in ((desk.old.state, "export default e => 1"), (desk.state(), "export default e => 2")):
        for one in state.objects.values():
            if one.config.get("name") == "Enrich":
                one.config = {**one.config, "code": code}
    desk.back_up(*SLUGS)
    done = json.loads(desk.recover("--yes", "--json").stdout)
    ended = {one["workspace"]: one["ended"] for one in done["workspaces"]}
    assert ended == {"team-blue": "blocked", "team-green": "blocked", "team-red": "in place"}


def test_a_run_with_nothing_to_do_writes_the_record_that_a_killed_one_could_not(desk: Desk) -> None:
    desk.back_up()
    assert desk.recover("--yes").returncode == 0
    store = desk.folder / "jitsu-backups"

    def records() -> list[Path]:
        return [path for path in store.iterdir() if ".cloned." in path.name]

    for path in records():
        path.unlink()
    assert desk.recover("--dry-run").returncode == 0
    assert records() == []
    done = desk.recover("--yes")
    assert (done.returncode, "3 of 3 workspaces restored completely." in done.stdout) == (0, True), (
        done.stdout
    )
    assert len(records()) == 3


def test_the_way_back_runs_as_it_is_printed(desk: Desk) -> None:
    desk.back_up()
    add_workspace(desk.state(), "other", filled=False)
    (desk.folder / "jitsu-backup.toml").write_text(
        f'[profiles.new]\nhost = "{desk.new_url}"\nkey = {{ env = "NEW_KEY" }}\n'
    )
    for slug, flags, env in (
        ("team-red", ("--into", "@new"), {"JITSU_HOST": desk.old_url, "NEW_KEY": ADMIN_KEY}),
        ("team-blue", (), {"JITSU_HOST": desk.new_url, "JITSU_ADMIN_TOKEN": ADMIN_KEY}),
        (
            "team-green",
            ("--into", "team-green=other"),
            {"JITSU_HOST": desk.new_url, "JITSU_ADMIN_TOKEN": ADMIN_KEY},
        ),
    ):
        done = cli(
            "recover", *flags, "--yes", "--json", "--workspace", slug, "--store", "./jitsu-backups", env=env, cwd=desk.folder
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        (workspace,) = json.loads(done.stdout)["workspaces"]
        _, *line = shlex.split(workspace["way_back"])
        assert line.pop() == "--accept-shrink"
        stopped = cli(*line, "--yes", env=env, cwd=desk.folder)
        assert stopped.returncode == 7, stopped.stdout + stopped.stderr
        if slug == "team-green":
            assert "is the recovery or clone of 20" in stopped.stderr
            assert f" from team-green on {desk.old_url}" in " ".join(stopped.stderr.split())
        else:
            assert "is the recovery of 20" in stopped.stderr
        assert "add --accept-shrink to allow it" in stopped.stderr
        assert stopped.stdout.count("add --accept-shrink to allow it") == 1
        undone = cli(*line, "--yes", "--accept-shrink", env=env, cwd=desk.folder)
        assert undone.returncode == 0, (line, undone.stdout, undone.stderr)
        again = [
            one for one in undone.stderr.splitlines() if one.startswith("  jitsu-backup") and "recover" in one
        ]
        if slug == "team-green":
            assert again == []  # under another slug, it may have been a clone
        else:
            assert f"recover --from {desk.old_url} --workspace {slug}" in again[0]
            assert again[0].endswith("--into @new") == ("--into" in flags)
            assert "That would create new write keys." in undone.stderr
            assert "with the --overlay, --at and --keys-out of that run, if it had them" in undone.stderr
            _, *line = shlex.split(again[0])
            looked = cli(*line, "--dry-run", env=env, cwd=desk.folder)
            assert (looked.returncode, "no new keys" in looked.stdout) == (0, True), looked.stdout
        assert list(desk.state().live_objects(workspace["target_id"], "stream")) == []
    looked = desk.recover("--dry-run", "--json", "--workspace", "team-blue", JITSU_ADMIN_TOKEN=ADMIN_KEY)
    (again,) = json.loads(looked.stdout)["plan"]["workspaces"]
    assert {one["used_by"] for one in again["taken_ids"]} == {""}
    assert (
        len(again["taken_ids"])
        == len(list(desk.old.state.live_objects(again["workspace_id"], "stream"))) + 12
    )


def test_names_that_could_command_a_terminal_are_harmless_everywhere(desk: Desk) -> None:
    for number, text in enumerate(HOSTILE):
        row = next(iter(desk.old.state.workspaces.values()))
        desk.old.state.add_object(row.id, "function", f"hostile-{number:04d}", {"name": text, "code": "x"})
    desk.back_up(secrets=False)
    done = desk.recover("--dry-run", "-v", "--html", "r.html", "--markdown", "r.md")
    assert done.returncode == 7, done.stderr
    assert not re.search(r"[\x00-\x08\x1b\u202e]", done.stdout)
    assert "<script>alert" not in (desk.folder / "r.html").read_text()


def test_on_a_terminal_one_question_is_asked_in_plain_words_and_no_leaves_all_as_it_is(desk: Desk) -> None:
    desk.back_up()
    code, said = typed(desk.new_url, desk.folder, ["recover"], [lambda: "n"])
    assert code == 1
    assert words(said).count("[y/N]") == 1
    assert f"Create 3 workspaces on {desk.new_url} and write 63 entities to them? [y/N]" in words(said)
    assert re.search(r"\n\r?\nCreate 3 workspaces", said), "a blank line before the question"
    code, said = typed(desk.new_url, desk.folder, ["recover"], [lambda: "\x04"])
    assert (code, "interrupted; nothing was changed" in said) == (130, True), said
    assert not desk.new.state.workspaces
    code, said = typed(desk.new_url, desk.folder, ["recover"], [lambda: "y"])
    assert code == 0, said
    assert "3 of 3 workspaces restored completely." in said
    assert desk.recover().stdout.startswith("Recovery: "), "no empty line first"


def test_progress_off_a_terminal_is_a_line_a_workspace_and_none_with_quiet(desk: Desk) -> None:
    desk.back_up()
    done = desk.recover("--yes")
    lines = [line for line in done.stderr.split("\n") if line.startswith("team-")]
    assert len(lines) == 3
    assert "created, restored, 21 entities written" in lines[0]
    assert "of 3 workspaces" in lines[0]
    assert desk.recover("--yes", "-q").stderr == ""


def test_ctrl_c_ends_after_the_requests_under_way_and_the_same_command_continues(tmp_path: Path) -> None:
    old = empty_console()
    state = default_state()
    state.workspaces.clear()
    new = Sandbox(state)  # with its limits, so that the third workspace has to wait
    for slug in SLUGS:
        add_workspace(old.state, slug)
    with running(old) as one, running(new) as other:
        desk = Desk(tmp_path, old, new, one, other)
        desk.back_up()
        env = {k: v for k, v in os.environ.items() if not k.startswith("JITSU")}
        env |= {"JITSU_HOST": other, "JITSU_APIKEY": OWNER, "HOME": str(tmp_path)}
        command = [sys.executable, "-m", "jitsu_backup", "recover", "--yes"]
        with subprocess.Popen(
            command, cwd=tmp_path, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            assert process.stderr is not None
            ended = 0
            for line in process.stderr:
                ended += ": created, restored" in line
                if ended == 2:
                    break
            process.send_signal(signal.SIGINT)
            said, more = process.communicate(timeout=60)
        assert process.returncode == 130, said
        assert "2 of 3 workspaces restored completely; 1 not started." in said
        assert "interrupted; run the same command again to continue" in more
        assert "1. Run the same command again" in said
        done = desk.recover("--yes", key=ADMIN_KEY)
        assert done.returncode == 0, done.stdout
        assert sorted(row.slug for row in state.workspaces.values()) == sorted(SLUGS)


def test_what_was_recovered_is_no_alarm_of_the_next_backup(desk: Desk) -> None:
    desk.back_up("team-blue")
    assert desk.recover("--yes", JITSU_ADMIN_TOKEN=ADMIN_KEY).returncode == 0
    kept = desk.run("backup", "--all")
    assert (kept.returncode, "--allow-unseen" in kept.stderr) == (0, False), kept.stderr
    lost = next(row.id for row in desk.old.state.workspaces.values() if row.slug == "team-blue")
    (mine,) = desk.state().workspaces
    shown = desk.run("show", "team-blue/latest")
    assert shown.returncode == 2
    assert f"{mine}/latest ({desk.new_url}, last backup " in words(shown.stderr)
    assert f"{lost}/latest ({desk.old_url}, last backup " in words(shown.stderr)
    for command in (("diff", "team-blue/latest"), ("restore", "team-blue/latest", "--dry-run")):
        done = desk.run(*command)
        assert (done.returncode, f"the one that exists is used, {mine}" in words(done.stderr)) == (0, True)
    listed = desk.run("snapshots", "team-blue").stdout.split()
    assert listed.count("team-blue") == listed.count(mine) + listed.count(lost)
    assert {mine, lost} <= set(listed)
