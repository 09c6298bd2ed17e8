"""A saved plan binds what it was reviewed with, and moves between machines."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest

from jitsu_backup.cli.apply_options import RunOptions
from jitsu_backup.cli.restore_report import _continues
from jitsu_backup.cli.saved_plans import _is_found
from jitsu_backup.sandbox import Generation, Sandbox, default_state, example_workspace, running
from jitsu_backup.sandbox.state import AttemptRow
from jitsu_backup.settings import Place, SecretText
from tests.support import ANALYST, OWNER, PRODUCTION, STAGING, cli, writes

PLAIN = '["function/Enrich"]\ndescription = { env = "TOLD", plain = true }\n'
HIDDEN = '["function/Enrich"]\ndescription = { env = "GIVEN" }\nname = { file = "name" }\n'


class Machine:
    """A working folder and an environment to run the command line in."""

    def __init__(self, folder: Path, **env: str) -> None:
        self.folder, self.env = folder, {"JITSU_APIKEY": OWNER, **env}
        folder.mkdir()

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def document(self, name: str = "plan.json") -> dict[str, Any]:
        return dict(json.loads((self.folder / name).read_text()))

    def __call__(self, *arguments: str, code: int = 0, **env: str) -> str:
        done = cli(*arguments, env={**self.env, **env}, cwd=self.folder)
        assert done.returncode == code, done.stderr
        return str(done.stdout + done.stderr)


@pytest.fixture
def here(tmp_path: Path, sandbox: Sandbox) -> Iterator[Machine]:
    with running(sandbox) as url:
        yield Machine(tmp_path / "here", JITSU_HOST=url, GIVEN="4711", TOLD="told-to-all")


@pytest.fixture
def there(tmp_path: Path, here: Machine) -> Machine:
    return Machine(tmp_path / "there", **here.env)


def saved(machine: Machine, overlay: str, *more: str) -> str:
    machine.write("o.toml", overlay)
    machine.write("name", "Enrich, from a file")
    machine("backup", "acme-staging")
    return machine("restore", "latest", "--overlay", "o.toml", "--plan-out", "plan.json", *more)


def test_another_value_of_a_variable_or_file_blocks_a_saved_plan_before_anything_is_sent(
    here: Machine, sandbox: Sandbox
) -> None:
    saved(here, HIDDEN)
    run = ("restore", "--plan", "plan.json", "--yes")
    sandbox.requests.clear()
    refused = here(*run, GIVEN="0815", code=7)
    assert 'function/Enrich description, from { env = "GIVEN" }' in refused
    assert "4711" not in refused
    assert "0815" not in refused
    assert "create a new plan" in refused
    here.write("name", "another")
    both = here(*run, GIVEN="0815", code=7)
    assert 'function/Enrich name, from { file = "name" }' in both
    assert "function/Enrich description" in both
    assert sandbox.requests == []
    here.write("name", "Enrich, from a file")
    here(*run)
    assert sandbox.state.objects["enrich-0001"].config["description"] == "4711"


def test_a_plan_file_holds_no_value_and_no_path_of_the_machine(here: Machine) -> None:
    saved(here, HIDDEN)
    text = (here.folder / "plan.json").read_text()
    assert "4711" not in re.sub(r"\b[0-9a-f]{64}\b", "", text)  # a digest may contain it
    assert "from a file" not in text
    assert str(here.folder) not in text
    assert '"/' not in text
    overlay = here.document()["overlay"]
    assert overlay["file"] == "o.toml"
    assert [one["field"] for one in overlay["values"]] == [
        "function/Enrich description",
        "function/Enrich name",
    ]


def test_a_plain_value_is_shown_in_plans_and_pages_and_bound_all_the_same(
    here: Machine, sandbox: Sandbox
) -> None:
    shown = saved(here, PLAIN, "-v", "--html", "page.html")
    assert "told-to-all" in shown
    assert "told-to-all" in (here.folder / "page.html").read_text()
    assert "told-to-all" in (here.folder / "plan.json").read_text()
    here("restore", "--plan", "plan.json", "--yes", TOLD="something else", code=7)
    assert writes(sandbox) == 0
    assert "told-to-all" not in saved(here, PLAIN.replace(", plain = true", ""), "-v")


@pytest.mark.parametrize(
    ("selector", "field"),
    [
        ("destination/Warehouse", "password"),  # named like a secret, and masked
        ("destination/*", "password"),
        ("*/Warehouse", "password"),
        ("link/Web site -> Warehouse", "data.functionsEnv.HOST"),  # the table's
    ],
)
def test_a_secret_is_never_plain(here: Machine, selector: str, field: str, sandbox: Sandbox) -> None:
    here("backup", "acme-staging")
    here.write("o.toml", f'["{selector}"]\n"{field}" = {{ env = "TOLD", plain = true }}\n')
    refused = here("restore", "latest", "--overlay", "o.toml", "--yes", code=2)
    assert f"'{field}' is a secret, which is never shown; remove its plain = true" in refused
    assert "told-to-all" not in refused
    assert writes(sandbox) == 0


def test_a_value_that_is_plain_in_one_field_and_secret_in_another_is_hidden(here: Machine) -> None:
    shown = saved(here, f'{PLAIN}code = {{ env = "TOLD" }}\n', "-v")
    assert "told-to-all" not in shown
    assert "told-to-all" not in (here.folder / "plan.json").read_text()


def test_a_value_that_is_not_plain_shows_in_no_name_and_no_refusal(here: Machine) -> None:
    shown = saved(here, '["function/Enrich"]\nname = { env = "TOLD" }\n', "-v", "--html", "page.html")
    here.write("o.toml", '["link/Web site -> Warehouse"]\nfromId = { env = "TOLD" }\n')
    refused = here("restore", "latest", "--overlay", "o.toml", "--dry-run", code=2)
    assert "fromId *** is not an id in the snapshot" in refused
    for text in (shown, refused, *((here.folder / name).read_text() for name in ("page.html", "plan.json"))):
        assert "told-to-all" not in text


@pytest.mark.parametrize("more", ["", ", plain = true"])
def test_the_tools_own_key_goes_into_no_workspace_plain_or_not(here: Machine, more: str) -> None:
    here("backup", "acme-staging")
    here.write("o.toml", f'["function/Enrich"]\ndescription = {{ env = "COPY"{more} }}\n')
    refused = here("restore", "latest", "--overlay", "o.toml", "--yes", COPY=f"x{OWNER}", code=2)
    assert "such secrets must not be written into a workspace" in refused
    assert OWNER not in refused


def test_an_overlay_from_a_pipe_is_read_once(here: Machine, sandbox: Sandbox) -> None:
    here("backup", "acme-staging")
    line = ("restore", "latest", "--overlay", "/dev/stdin", "--plan-out", "plan.json")
    done = subprocess.run(
        [sys.executable, "-m", "jitsu_backup", *line],
        env={**os.environ, **here.env}, cwd=here.folder, input=PLAIN, text=True, capture_output=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    here.write("o.toml", PLAIN)
    here("restore", "--plan", "plan.json", "--yes", code=2)
    here("restore", "--plan", "plan.json", "--overlay", "o.toml", "--yes")
    assert sandbox.state.objects["enrich-0001"].config["description"] == "told-to-all"


def test_a_plan_moves_with_its_overlay_and_its_archive_beside_it(
    here: Machine, there: Machine, sandbox: Sandbox
) -> None:
    saved(here, PLAIN)
    archive = next((here.folder / "jitsu-backups").glob("*.json.gz"))
    (there.folder / "handed-over").mkdir()
    for path in (here.folder / "plan.json", here.folder / "o.toml", archive):
        shutil.copy(path, there.folder / "handed-over")
    shutil.move(here.folder, here.folder.with_name("gone"))
    there("restore", "--plan", "handed-over/plan.json", "--yes")
    assert sandbox.state.objects["enrich-0001"].config["description"] == "told-to-all"


def test_a_plan_takes_archive_overlay_and_target_from_flags(
    here: Machine, there: Machine, sandbox: Sandbox
) -> None:
    saved(here, PLAIN)
    archive = next((here.folder / "jitsu-backups").glob("*.json.gz"))
    shutil.copy(archive, there.folder / "other-name.json.gz")
    shutil.copy(here.folder / "plan.json", there.folder)
    lacking = there("restore", "--plan", "plan.json", "--yes", code=2)
    assert "its overlay o.toml is not beside it; name it with --overlay FILE" in lacking
    there.write("x.toml", PLAIN)
    overlay = ("--overlay", "x.toml", "--yes")
    lacking = there("restore", "--plan", "plan.json", *overlay, code=1)
    assert f"its archive {archive.name} is not beside it" in " ".join(lacking.split())
    assert "name it: restore SNAPSHOT --plan plan.json" in lacking
    run = ("restore", "other-name.json.gz", "--plan", "plan.json", *overlay)
    elsewhere = there(*run, "--into", "acme-production", code=7)
    assert f"it is for workspace {STAGING} on" in elsewhere
    assert f"not for {PRODUCTION}" in elsewhere
    assert writes(sandbox) == 0
    there(*run, "--into", "acme-staging")
    assert sandbox.state.objects["enrich-0001"].config["description"] == "told-to-all"


def test_a_plan_finds_its_archive_in_the_store_that_is_given(here: Machine, there: Machine) -> None:
    saved(here, PLAIN)
    for name in ("plan.json", "o.toml"):
        shutil.copy(here.folder / name, there.folder)
    there("--store", str(here.folder / "jitsu-backups"), "restore", "--plan", "plan.json", "--yes")


def test_another_archive_or_overlay_than_the_plans_own_is_refused(here: Machine, sandbox: Sandbox) -> None:
    saved(here, PLAIN)
    sandbox.state.objects["filter-0001"].config["code"] = "later"
    here("backup", "acme-staging", "--output", "later.json.gz")
    other = here("restore", "later.json.gz", "--plan", "plan.json", "--yes", code=7)
    assert "the snapshot later.json.gz is not the one that the plan was created with" in other
    here.write("other.toml", f"{PLAIN}# more\n")
    other = here("restore", "--plan", "plan.json", "--overlay", "other.toml", "--yes", code=7)
    assert "the overlay other.toml has changed since the plan was made" in other
    without = here("restore", "latest", "--plan-out", "without.json")
    assert "restore --plan without.json" in without
    refused = here("restore", "--plan", "without.json", "--overlay", "o.toml", code=2)
    assert "it was created without an overlay; leave out --overlay" in refused


def test_the_line_that_carries_a_plan_out_names_what_is_not_beside_it(here: Machine) -> None:
    (here.folder / "plans").mkdir()
    here.write("o.toml", PLAIN)
    here("backup", "acme-staging", "--output", "a.json.gz")
    told = here("restore", "a.json.gz", "--overlay", "o.toml", "--plan-out", "plans/p.json")
    line = "restore a.json.gz --plan plans/p.json --overlay o.toml"
    assert f"jitsu-backup {line}" in " ".join(told.split())
    here(*line.split(), "--yes", "--new-store")
    beside = here("restore", "a.json.gz", "--overlay", "o.toml", "--plan-out", "p.json")
    assert "jitsu-backup restore --plan p.json" in " ".join(beside.split())


def test_who_carries_out_a_plan_may_have_another_role_than_who_reviewed_it(here: Machine) -> None:
    here("backup", "acme-staging")
    here("restore", "latest", "--plan-out", "plan.json")
    document = here.document()
    assert document["plan"]["target"]["role"] == "owner"
    document["plan"]["target"]["role"] = "editor"
    here.write("plan.json", json.dumps(document))
    here("restore", "--plan", "plan.json", "--yes")


def test_variables_of_functions_that_an_analyst_could_not_see_are_no_change_when_an_editor_carries_its_plan_out(
    here: Machine, sandbox: Sandbox
) -> None:
    for stream in sandbox.state.live_objects(STAGING, "stream"):
        stream.config.pop("domains", None)
    clone = (
        "clone",
        "acme-staging",
        "acme-production",
        "--skip",
        "domain",
        "--allow-missing-secrets",
        "--new-store",
    )
    here(*clone, "--keys-out", "keys.json", "--yes", code=3)
    enrich = sandbox.state.objects["enrich-0001"].config
    (link,) = (row for row in sandbox.state.live_links(PRODUCTION) if (row.data or {}).get("functionsEnv"))
    before = dict(link.data)
    enrich["code"] = "// reviewed"
    here(*clone, "--plan-out", "plan.json", code=3, JITSU_APIKEY=ANALYST)
    link.data = {**before, "mode": "stream"}
    told = here("clone", "--plan", "plan.json", "--yes", code=7)
    assert "the target has changed since the plan was made: link" in told
    link.data = before
    here("clone", "--plan", "plan.json", "--yes", code=3)
    assert link.data["functionsEnv"] == before["functionsEnv"]
    codes = [row.config["code"] for row in sandbox.state.live_objects(PRODUCTION, "function")]
    assert "// reviewed" in codes


def test_a_plan_that_an_attempt_or_a_feature_stops_names_that_cause(tmp_path: Path) -> None:
    state = default_state(generation=Generation.NEWEST)
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        machine = Machine(tmp_path / "here", JITSU_HOST=url)
        machine("backup", "acme-staging")
        state.objects["users-0001"].config["query"] = "SELECT 1"
        machine("restore", "latest", "--rebind", "--plan-out", "plan.json")
        (sync,) = (row for row in state.live_links(STAGING) if row.type == "reverse-sync")
        moment = "2026-11-25T10:00:00.000Z"
        state.attempts.append(AttemptRow("task-1", sync.id, "RUNNING", moment, moment))
        busy = machine("restore", "--plan", "plan.json", "--yes", code=7)
        state.attempts.clear()
        state.workspaces[STAGING].features = []
        off = machine("restore", "--plan", "plan.json", "--yes", code=7)
    assert "one of its attempts is running or waiting" in busy
    assert "reverse-etl is switched off" in off
    for told in (busy, off):
        assert "the plan would be different now for model 'Users'" in told
        assert "(a feature, a Jitsu subscription, the state of a reverse sync" in told


@pytest.mark.parametrize("command", ["clone", "restore"])
def test_a_clones_plan_is_carried_out_as_it_was_reviewed_whatever_the_source_is_now(
    command: str, here: Machine, there: Machine, sandbox: Sandbox
) -> None:
    here.write("o.toml", PLAIN)
    options = ("--overlay", "o.toml", "--allow-missing-secrets")
    told = here("clone", "acme-staging", "acme-production", *options, "--plan-out", "plan.json", code=3)
    assert "jitsu-backup clone --plan plan.json" in " ".join(told.split())
    assert writes(sandbox) == 0
    (archive,) = here.folder.glob("*.json.gz")
    assert archive.stat().st_mode & 0o777 == 0o600
    assert not (here.folder / "jitsu-backups").exists()
    sandbox.state.objects["enrich-0001"].config["code"] = "changed after the review"
    for path in (archive, here.folder / "plan.json", here.folder / "o.toml"):
        shutil.copy(path, there.folder)
    there(command, "--plan", "plan.json", "--yes", "--keys-out", "keys.json", code=3)
    made = [o for o in sandbox.state.objects.values() if o.workspace_id == PRODUCTION]
    described = [o.config for o in made if o.config.get("description") == "told-to-all"]
    assert len(described) == 1
    assert described[0]["code"] != "changed after the review"


def test_the_archive_beside_a_clones_plan_is_encrypted_as_the_stores_are(
    here: Machine, sandbox: Sandbox
) -> None:
    phrase = {"JITSU_BACKUP_PASSPHRASE": "a long passphrase"}
    clone = ("clone", "acme-staging", "acme-production", "--allow-missing-secrets", "--plan-out", "plan.json")
    here(*clone, code=3, **phrase)
    (archive,) = here.folder.glob("*.age")
    assert archive.read_bytes().startswith(b"age-encryption.org/")
    assert list(here.folder.glob("*.json.gz")) == []
    here("clone", "--plan", "plan.json", "--dry-run", code=2)
    here("clone", "--plan", "plan.json", "--dry-run", code=3, **phrase)


def test_the_line_that_carries_out_a_plan_for_an_encrypted_archive_runs_as_printed(here: Machine) -> None:
    identity = pyrage.x25519.Identity.generate()
    here.write("my identity", str(identity))
    here("backup", "acme-staging", "--encrypt-to", str(identity.to_public()))
    told = here("restore", "latest", "--identity", "my identity", "--plan-out", "plan.json")
    line = told.partition("to carry it out:\n  jitsu-backup ")[2].splitlines()[0]
    assert "Nothing to change" in here(*shlex.split(line), "--yes")


def test_the_line_that_carries_out_a_plan_leaves_out_an_overlay_that_the_profile_gives(
    tmp_path: Path,
) -> None:
    overlay, plan = tmp_path / "production.toml", tmp_path / "plans" / "plan.json"
    overlay.write_text("")
    place = Place(host="http://console.example", workspace="acme", key=SecretText("a:b"), overlay=overlay)
    assert _is_found(overlay, plan, place)
    assert not _is_found(overlay, plan, replace(place, overlay=None))
    plan.parent.mkdir()
    (plan.parent / overlay.name).write_text("another file beside the plan, which counts first")
    assert not _is_found(overlay, plan, place)


def test_a_run_of_a_saved_plan_is_continued_by_a_new_plan() -> None:
    assert _continues(RunOptions(saved=True)) == "create a new plan with --plan-out, which continues this run"
    assert _continues(RunOptions()) == "run the same command again to continue"


def test_a_clone_needs_two_places_or_a_plan(here: Machine) -> None:
    assert "name SOURCE and TARGET, or give --plan FILE" in here("clone", code=2)
    assert "only acme-staging given; name SOURCE and TARGET" in here("clone", "acme-staging", code=2)
    assert "leave out SOURCE and TARGET" in here("clone", "a", "b", "--plan", "p.json", code=2)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"version": 1}, "its format is 1, but this version of jitsu-backup applies format 2"),
        ({"version": 3}, "its format is 3, but this version of jitsu-backup applies format 2"),
        ({"format": "other"}, "give a file that --plan-out wrote"),
        ({"target": []}, "give a file that --plan-out wrote"),
        ({"salt": 1}, "give a file that --plan-out wrote"),
        ({"plan": None}, "give a file that --plan-out wrote"),
        ({"overlay": {}}, "give a file that --plan-out wrote"),
        ({"overlay": {"file": "o.toml", "digest": "", "values": 1}}, "give a file that --plan-out wrote"),
        ({"overlay": {"file": "../o.toml", "digest": "", "values": []}}, "give a file that --plan-out wrote"),
        ({"snapshot": {"archive": "/etc/passwd", "digest": ""}}, "give a file that --plan-out wrote"),
    ],
)
def test_a_plan_of_another_format_or_hand_is_refused_in_a_line(
    here: Machine, change: dict[str, Any], told: str
) -> None:
    here("backup", "acme-staging")
    here("restore", "latest", "--plan-out", "plan.json")
    here.write("plan.json", json.dumps({**here.document(), **change}))
    refused = here("restore", "--plan", "plan.json", "--yes", code=2)
    assert told in refused
    assert "Traceback" not in refused


@pytest.mark.parametrize("held", ['["stream/*"]\n', '{"format": "other"}', "[1]", "5", ""])
def test_a_plan_is_never_written_over_another_file(shell: Any, tmp_path: Path, held: str) -> None:
    shell("backup", "acme-staging")
    (tmp_path / "o.toml").write_text(held)
    done = shell("restore", "latest", "--plan-out", "o.toml")
    assert (done.returncode, (tmp_path / "o.toml").read_text()) == (2, held)
    assert "--plan-out o.toml: the file exists and is not a plan; name another" in done.stderr


def test_a_plan_takes_the_place_of_a_plan(shell: Any, tmp_path: Path) -> None:
    shell("backup", "acme-staging")
    for _ in range(2):
        assert shell("restore", "latest", "--plan-out", "p.json").returncode == 0


def test_a_dry_run_says_where_the_run_itself_would_be_blocked_for_its_write_keys(shell: Any) -> None:
    shell("backup", "acme-staging")
    line = ("clone", "acme-staging", "acme-production", "--allow-missing-secrets", "--dry-run")
    words = "without a terminal, this plan is blocked unless --keys-out keys.json or --json"
    assert words in shell(*line).stderr
    assert words not in shell(*line, "--keys-out", "keys.json").stderr
    assert words not in shell("restore", "latest", "--dry-run").stderr


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("--keys-out", "--html"),
        ("--plan-out", "--overlay-out"),
        ("--plan-out", "--html"),
        ("--keys-out", "--plan-out"),
    ],
)
def test_two_outputs_that_name_one_file_are_refused_before_anything_is_sent(
    shell: Any, sandbox: Sandbox, tmp_path: Path, one: str, other: str
) -> None:
    line = ("clone", "acme-staging", "acme-production", "--allow-missing-secrets", "--yes")
    done = shell(*line, one, "one.json", other, "./one.json")
    assert done.returncode == 2
    assert "name the same file" in done.stderr
    assert not (tmp_path / "one.json").exists()
    assert sandbox.requests == []
