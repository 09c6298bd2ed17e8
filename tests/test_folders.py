"""A folder of `unpack` on the command line, wherever a snapshot goes; and what is wrong with one, in one line."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from tests.restores.kit import delete
from tests.support import PRODUCTION, STAGING, cli
from tests.test_bad_input import refused
from tests.unattended.workbench import Bench

GIT = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    """A console, a backup of it in the store, and the folder `tree` that it was unpacked to."""
    state = default_state()
    example_workspace(state, STAGING)
    with running(Sandbox(state, rate_limit=False)) as url:
        made = Bench(state, url, tmp_path)
        assert made.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
        yield made


def file(bench: Bench, pattern: str, folder: str = "tree") -> Path:
    (found,) = (bench.folder / folder).glob(pattern)
    return found


def edit(bench: Bench, pattern: str, folder: str = "tree", **fields: Any) -> None:
    path = file(bench, pattern, folder)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def an_edit(bench: Bench, folder: str = "tree") -> None:
    file(bench, "function/enrich-*.js", folder).write_text("// edited")


def planned(done: Any) -> Any:
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)["plan"]


def enriched(bench: Bench) -> str:
    code: str = bench.state.objects["enrich-0001"].config["code"]
    return code


# -- wherever a snapshot goes ----------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_an_untouched_folder_differs_from_nothing(bench: Bench, flags: tuple[str, ...]) -> None:
    assert bench.run("unpack", "latest", "other", *flags).returncode == 0
    for sides in (("other",), ("other", "live:acme-staging"), ("other", "latest"), ("latest", "./other")):
        done = bench.run("--json", "diff", *sides, "--exit-code")
        assert (done.returncode, json.loads(done.stdout)["changes"]) == (0, []), done.stdout
    verified = bench.run("verify", "other")
    assert verified.returncode == 0, verified.stderr + verified.stdout
    assert "Acme Staging" in bench.run("show", "other").stdout
    assert "Enrich" in bench.run("show", "other/", "function/Enrich").stdout


def test_a_folder_is_rehearsed_as_an_archive_is(bench: Bench) -> None:
    done = bench.run("verify", "tree", "--rehearse")
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_folder_of_another_workspace_is_compared_and_restored_there(bench: Bench) -> None:
    an_edit(bench)
    flags = ("--into", "acme-production", "--allow-missing-secrets", "--keys-out", "keys.json", "--yes")
    done = bench.run("restore", "tree", *flags)
    assert done.returncode in (0, 3), done.stderr
    made = [row for row in bench.state.live_objects(PRODUCTION, "function") if row.config["name"] == "Enrich"]
    assert [row.config["code"] for row in made] == ["// edited"]
    made[0].config["code"] = "// of production"
    again = bench.run("--json", "restore", "tree", *flags[:-1], "--dry-run")
    (action,) = [a for a in planned(again)["actions"] if a["name"] == "Enrich"]
    assert action["action"] == "unchanged", action
    assert "no record of an earlier clone" not in again.stdout


def test_edit_diff_restore_and_again(bench: Bench) -> None:
    an_edit(bench)
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    shown = bench.run("diff", "tree", "--only", "function/*")
    assert "// edited" in shown.stdout
    done = bench.run("restore", "tree", "--yes")
    assert done.returncode == 0, done.stderr
    assert enriched(bench) == "// edited"
    assert bench.state.objects["lake-0001"].config["project"] == "of-a-colleague"
    again = bench.run("restore", "tree", "--yes")
    assert again.returncode == 0
    edit(bench, "destination/bigquery-*.json", project="of-the-folder")
    blocked = bench.run("restore", "tree", "--yes")
    refused(blocked, 7, "both sides changed project differently since the folder was unpacked", "--take")


def test_a_saved_plan_finds_its_folder_beside_it_and_is_bound_to_its_content(bench: Bench) -> None:
    an_edit(bench)
    assert bench.run("restore", "tree", "--plan-out", "plan.json").returncode == 0
    assert json.loads((bench.folder / "plan.json").read_text())["snapshot"]["archive"] == "tree"
    file(bench, "function/enrich-*.js").write_text("// edited again")
    refused(
        bench.run("restore", "--plan", "plan.json", "--yes"), 7, "not the one that the plan was created with"
    )
    an_edit(bench)
    done = bench.run("restore", "--plan", "plan.json", "--yes")
    assert done.returncode == 0, done.stderr
    assert enriched(bench) == "// edited"


def test_a_saved_plan_whose_folder_is_elsewhere_takes_it_as_the_snapshot(bench: Bench) -> None:
    an_edit(bench)
    (bench.folder / "plans").mkdir()
    made = bench.run("restore", "tree", "--plan-out", "plans/plan.json")
    assert "restore tree --plan plans/plan.json" in made.stderr
    (bench.folder / "tree").rename(bench.folder / "moved")
    refused(bench.run("restore", "--plan", "plans/plan.json", "--yes"), 1, "tree is not beside it")
    assert bench.run("restore", "moved", "--plan", "plans/plan.json", "--yes").returncode == 0
    assert enriched(bench) == "// edited"


def test_the_archive_of_a_folder_is_found_in_it_where_no_store_has_it(bench: Bench) -> None:
    assert bench.run("unpack", "latest", "kept", "--keep-base").returncode == 0
    shutil.rmtree(bench.folder / "jitsu-backups")
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    for folder, kept in (("kept", True), ("tree", False)):
        plan = planned(bench.run("--json", "restore", folder, "--dry-run"))
        (action,) = [a for a in plan["actions"] if a["name"] == "BigQuery"]
        assert (action["action"] == "unchanged") is kept
        assert any("was unpacked from is neither beside it" in note for note in plan["notes"]) is not kept
    (bench.folder / "kept" / ".base").rename(bench.folder / "tree.base")
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert [a["name"] for a in plan["actions"] if a["action"] == "update"] == []


def test_the_current_folder_is_a_snapshot_too(bench: Bench) -> None:
    an_edit(bench)
    (bench.folder / "tree.base").write_bytes(next((bench.folder / "jitsu-backups").glob("*.gz")).read_bytes())
    done = cli("restore", ".", "--plan-out", "../plan.json", env=bench.env, cwd=bench.folder / "tree")
    assert done.returncode == 0, done.stderr
    assert "neither beside it" not in done.stdout
    assert "restore --plan ../plan.json" in done.stderr
    assert bench.run("restore", "--plan", "plan.json", "--yes").returncode == 0
    assert enriched(bench) == "// edited"


def test_a_base_in_the_folder_is_kept_up_to_date_and_untouched_where_nothing_changed(bench: Bench) -> None:
    assert bench.run("unpack", "latest", "tree", "--keep-base").returncode == 0
    base = bench.folder / "tree" / ".base"
    before = base.read_bytes()
    assert bench.run("unpack", "latest", "tree").returncode == 0
    assert base.read_bytes() == before
    bench.state.objects["enrich-0001"].config["code"] = "// of the console"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert base.read_bytes() != before
    bench.state.objects["enrich-0001"].config["code"] = "// of a colleague"
    shutil.rmtree(bench.folder / "jitsu-backups")
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert not any("neither beside it" in note for note in plan["notes"])


def test_a_redacted_folder_never_holds_the_whole_archive_in_clear(bench: Bench) -> None:
    refused(bench.run("unpack", "latest", "red", "--redact", "--keep-base"), 2, "--encrypt-to", "red/.base")
    assert not (bench.folder / "red").exists()
    sealed = {"JITSU_BACKUP_PASSPHRASE": "correct horse"}
    assert bench.run("unpack", "latest", "red", "--redact", "--keep-base", **sealed).returncode == 0
    assert (bench.folder / "red" / ".base").read_bytes().startswith(b"age-encryption.org")
    refused(
        bench.run("restore", "red", "--dry-run"), 2, "the archive that red was unpacked from cannot be read"
    )
    assert bench.run("restore", "red", "--dry-run", "--take", "source").returncode == 0
    assert bench.run("restore", "red", "--dry-run", **sealed).returncode == 0


def test_a_damaged_archive_of_the_folder_ends_the_run_unless_the_source_is_taken(bench: Bench) -> None:
    (bench.folder / "tree" / ".base").write_bytes(b"damaged")
    an_edit(bench)
    refused(bench.run("restore", "tree", "--yes"), 5, "tree/.base", "continue without it with --take=source")
    assert bench.run("restore", "tree", "--yes", "--take", "source").returncode == 0
    assert enriched(bench) == "// edited"


def times_pass(bench: Bench, month: int, *flags: str) -> None:
    """Let a time alone change in the console, and back it up."""
    bench.state.objects["lake-0001"].updated_at = f"2026-{month:02}-01T00:00:00.000Z"
    before = file(bench, "run.json").read_bytes()
    assert bench.run("backup", "acme-staging", "--unpack", "tree", *flags).returncode == 0
    assert file(bench, "run.json").read_bytes() == before


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_where_times_alone_changed_a_later_archive_serves_once_the_first_is_pruned(
    bench: Bench, flags: tuple[str, ...]
) -> None:
    shutil.rmtree(bench.folder / "tree")
    assert bench.run("backup", "acme-staging", "--unpack", "tree", *flags).returncode == 0
    times_pass(bench, 1, *flags)
    if flags:  # what the folder hides makes no commit either
        bench.state.objects["ops-0001"].config["slackWebhookUrl"] = "https://hooks.acme.example/rotated"
    times_pass(bench, 2, *flags)
    assert bench.run("prune", "--keep-last", "1").returncode == 0
    (kept,) = (bench.folder / "jitsu-backups").glob("*.json.gz")
    named = json.loads(file(bench, "run.json").read_text())["archive"]
    assert named[:12] not in kept.name
    untouched = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert {action["action"] for action in untouched["actions"]} == {"unchanged"}
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    assert bench.run("backup", "acme-staging").returncode == 0
    an_edit(bench)
    done = bench.run("restore", "tree", "--yes")
    assert (done.returncode, "neither beside it" in done.stdout) == (0, False), done.stderr
    assert enriched(bench) == "// edited"
    assert bench.state.objects["lake-0001"].config["project"] == "of-a-colleague"


def test_a_folder_that_does_not_say_what_it_showed_has_its_own_archive_alone(bench: Bench) -> None:
    run = file(bench, "run.json")
    run.write_text(json.dumps({k: v for k, v in json.loads(run.read_text()).items() if k != "content"}))
    times_pass(bench, 1)
    for pruned in (False, True):
        plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
        assert any("neither beside it" in note for note in plan["notes"]) is pruned
        assert bench.run("prune", "--keep-last", "1").returncode == 0


# -- edits that nobody has applied -------------------------------------------------------


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_edits_that_nobody_has_applied_are_named_and_not_overwritten(
    bench: Bench, flags: tuple[str, ...]
) -> None:
    shutil.rmtree(bench.folder / "tree")
    assert bench.run("unpack", "latest", "tree", *flags).returncode == 0
    an_edit(bench)
    edit(bench, "destination/bigquery-*.json", project="of-the-folder")
    bench.state.objects["lake-0001"].config["dataset"] = "of-a-colleague"
    before = [path.read_bytes() for path in sorted((bench.folder / "tree").rglob("*.j*"))]
    done = bench.run("backup", "acme-staging", "--unpack", "tree", "--prune", "--keep-last", "1", *flags)
    refused(done, 3, "would be lost", file(bench, "function/enrich-*.js").name, "destination/bigquery-")
    assert len(list((bench.folder / "jitsu-backups").glob("*.json.gz"))) == 1
    assert [path.read_bytes() for path in sorted((bench.folder / "tree").rglob("*.j*"))] == before


def test_an_archive_is_not_unpacked_over_edits_until_they_are_applied_or_removed(bench: Bench) -> None:
    an_edit(bench)
    edit(bench, "destination/bigquery-*.json", project="of-the-folder")
    refused(bench.run("unpack", "latest", "tree"), 1, "would be lost", "restore tree")
    for path in (bench.folder / "tree").glob("destination/bigquery-*"):
        path.unlink()
    bench.state.objects["lake-0001"].config["dataset"] = "of-a-colleague"
    assert bench.run("restore", "tree", "--yes").returncode == 0
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert json.loads(file(bench, "destination/bigquery-*.json").read_text())["dataset"] == "of-a-colleague"
    assert file(bench, "function/enrich-*.js").read_text() == "// edited"


def test_after_a_conflict_that_was_settled_for_the_target_the_folder_follows(bench: Bench) -> None:
    edit(bench, "destination/bigquery-*.json", project="of-the-folder")
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    take = ("--take", "target:destination/BigQuery")
    assert bench.run("restore", "tree", "--yes", *take).returncode == 0
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert json.loads(file(bench, "destination/bigquery-*.json").read_text())["project"] == "of-a-colleague"


def test_other_ends_of_lines_are_no_edits(bench: Bench) -> None:
    code = bench.state.objects["enrich-0001"].config
    code["code"] = "// one\n// two\n"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    for path in (bench.folder / "tree").rglob("*.j*"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    code["description"] = "of a colleague"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert file(bench, "function/enrich-*.js").read_bytes() == b"// one\n// two\n"


def test_where_nothing_tells_what_the_folder_was_unpacked_from_it_is_brought_up_to_date(bench: Bench) -> None:
    shutil.rmtree(bench.folder / "jitsu-backups")
    an_edit(bench)
    bench.state.objects["lake-0001"].config["dataset"] = "of-a-colleague"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert "// edited" not in file(bench, "function/enrich-*.js").read_text()


# -- what is wrong ---------------------------------------------------------------------


def spoil(pattern: str, text: str) -> Callable[[Bench], object]:
    return lambda bench: file(bench, pattern).write_text(text)


def remove(pattern: str) -> Callable[[Bench], object]:
    return lambda bench: file(bench, pattern).unlink()


def add(path: str, text: str) -> Callable[[Bench], object]:
    def apply(bench: Bench) -> None:
        there = bench.folder / "tree" / path
        there.parent.mkdir(exist_ok=True)
        there.write_text(text)

    return apply


def drop_function(bench: Bench) -> None:
    for path in (bench.folder / "tree/function").glob("only-known-users-*"):
        path.unlink()


FUNCTION_OF_BUILDER = "function/profile-builder-function-??????.js"
BUILDER = "profile-builder/profiles-??????.js"
MERGE = "<<<<<<< HEAD\none\n=======\ntwo\n>>>>>>> theirs\n"


@pytest.mark.parametrize(
    ("change", "code", "words"),
    [
        (remove("manifest.json"), 5, ("tree: manifest.json is missing",)),
        (remove("run.json"), 5, ("tree: run.json is missing",)),
        (spoil("function/enrich-*.js", MERGE), 5, ("function/enrich-", ".js", "it contains conflict markers")),
        (spoil("function/enrich-*.json", MERGE), 5, ("function/enrich-", "it contains conflict markers")),
        (spoil("run.json", MERGE), 5, ("tree: run.json", "it contains conflict markers")),
        (add("stream/b.json", '{"id": "web-0001"}'), 5, ("same id", "stream/b.json", "stream/web-site-")),
        (add("gadget/a.json", '{"id": "a"}'), 5, ("gadget/a.json", "an unknown type")),
        (lambda bench: edit(bench, "function/enrich-*.json", id="other"), 5,
         ("function/enrich-", "'other'", "unpacked with 'enrich-0001'")),
        (lambda bench: edit(bench, "link/web-site--clickhouse-*.json", toId="gone"), 5,
         ("link/web-site--clickhouse-", "'gone'", "toId", "no file has that id")),
        (remove("destination/clickhouse-*.json"), 5, ("link/web-site--clickhouse-", "clicks-0001")),
        (add("link/b.json", '{"id": "b", "type": "push", "toId": "clicks-0001"}'), 5, ("link/b.json has no fromId",)),
        (add("link/b.json", '{"id": "b", "type": "push", "fromId": 5, "toId": "clicks-0001"}'), 5, ("link/b.json has no fromId",)),
        (add("link/b.json", '{"id": "b", "type": "push", "fromId": "clicks-0001", "toId": "web-0001"}'), 5,
         ("link/b.json refers to 'web-0001' at toId", "not of a type allowed there")),
        (add("notification/b.json", '{"id": "b", "name": "B", "slackWebhookUrl": "***"}'), 5,
         ("notification/b.json has *** at slackWebhookUrl", "without --redact")),
        (add("function/b.json", '{"id": "b", "name": "B", "code": "fetch(\'https://me:***@h\')"}'), 5,
         ("function/b.json has *** at code",)),
        (spoil(FUNCTION_OF_BUILDER, "// edited"), 5,
         ("function/profile-builder-function-", "was edited (code)", "profile-builder/profiles-", "make the same change there")),
        (lambda bench: os.mkfifo(bench.folder / "tree" / "stream" / "pipe.json"), 5, ("stream/pipe.json is not a regular",)),
        (lambda bench: (bench.folder / "tree" / "stream" / "a.json").symlink_to("b"), 5, ("a.json is a symbolic link",)),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line_with_the_file_and_nothing_is_sent(
    bench: Bench, change: Callable[[Bench], object], code: int, words: tuple[str, ...]
) -> None:
    change(bench)
    before = enriched(bench)
    done = bench.run("restore", "tree", "--yes")
    refused(done, code, *words)
    assert "CANARY" not in done.stderr
    assert enriched(bench) == before


@pytest.mark.parametrize("flags", [(), ("--redact",)], ids=["plain", "redacted"])
def test_the_function_of_a_profile_builder_is_edited_in_the_files_of_its_builder(
    bench: Bench, flags: tuple[str, ...]
) -> None:
    (function,) = (one for one in bench.state.objects.values() if one.config.get("kind") == "profile")
    function.config["code"] = "// https://me:password@host"
    assert bench.run("backup", "acme-staging", "--unpack", "folder", *flags).returncode == 0
    own, builders = (file(bench, pattern, "folder") for pattern in (FUNCTION_OF_BUILDER, BUILDER))

    def updates() -> int:
        count: int = planned(bench.run("restore", "folder", "--dry-run", "--json"))["counts"]["update"]
        return count

    assert updates() == 0
    as_it_was = builders.read_text()
    builders.write_text("// edited")
    assert updates() == 1
    own.write_text("// edited")
    assert updates() == 1
    builders.write_text(as_it_was)
    refused(bench.run("restore", "folder", "--dry-run"), 5, "was edited (code)", "make the same change there")


def test_stars_that_the_console_holds_itself_are_a_value(bench: Bench) -> None:
    bench.state.objects["ops-0001"].config["slackWebhookUrl"] = "***"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    edit(bench, "notification/ops-*.json", name="Other")
    assert planned(bench.run("restore", "tree", "--dry-run", "--json"))["counts"]["update"] == 1


def test_a_hidden_password_in_code_shows_as_stars_and_as_a_secret_where_it_alone_differs(
    bench: Bench,
) -> None:
    function = bench.state.objects["enrich-0001"]
    function.config["code"] = "// https://me:CANARY@host\n"
    assert bench.run("backup", "acme-staging", "--unpack", "folder", "--redact").returncode == 0
    path = file(bench, "function/enrich-*.js", "folder")
    path.write_text(path.read_text().replace("host", "other") + "// https://me:***@third\n")
    shown = bench.run("diff", "live:acme-staging", "folder")
    assert "-// https://***@host" in shown.stdout
    assert "+// https://***@other" in shown.stdout
    assert "MASKED" not in shown.stdout
    function.config["code"] = "// https://me:another@host\n"
    shown = bench.run("diff", "latest")
    assert "code: secret changed" in shown.stdout, shown.stdout
    assert "line ends" not in shown.stdout


def test_stars_of_a_redacted_folder_block_wherever_the_target_has_no_value(bench: Bench) -> None:
    assert bench.run("unpack", "latest", "folder", "--redact").returncode == 0
    for name, code in (("a", "fetch('https://***@h')"), ("b", "fetch('https://me:***@h')")):
        body = {"id": f"new-{name}", "name": name, "code": code}
        (bench.folder / f"folder/function/{name}.json").write_text(json.dumps(body))
    done = bench.run("restore", "folder", "--dry-run", "--json")
    actions = {one["name"]: one for one in json.loads(done.stdout)["plan"]["actions"]}
    assert [actions[name]["action"] for name in "ab"] == ["blocked", "blocked"], actions


@pytest.mark.parametrize(
    ("flags", "change", "words"),
    [
        ((), spoil("function/enrich-*.json", "{"), ("is not JSON", "line 1 column", "correct the folder")),
        ((), lambda bench: file(bench, "function/enrich-*.json").write_bytes(b"\xff"), ("is not UTF-8", "correct the folder")),
        ((), drop_function, ("dangling", "correct that in the folder")),
        (("--rehearse",), lambda bench: bench.run("unpack", "latest", "tree", "--redact"),
         ("tree is redacted", "rehearse the archive")),
    ],
    ids=["JSON", "UTF-8", "dangling", "redacted"],
)  # fmt: skip
def test_a_folder_that_is_not_whole_is_to_be_mended_in_the_folder(
    bench: Bench, flags: tuple[str, ...], change: Callable[[Bench], object], words: tuple[str, ...]
) -> None:
    change(bench)
    done = bench.run("verify", "tree", *flags)
    assert done.returncode != 0
    assert all(word in done.stderr for word in words), done.stderr
    assert "console" not in done.stderr
    assert "snapshots" not in done.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("restore", "tree", "--plan-out", "tree/plan.json"),
        ("restore", "tree", "--dry-run", "--markdown", "tree/plan.md"),
        ("restore", "tree", "--yes", "--keys-out", "tree/function/keys.json"),
        ("restore", "tree", "--dry-run", "--overlay-out", "tree/overlay.toml"),
        ("diff", "tree", "--html", "tree/page.html"),
        ("pack", "tree", "--output", "tree/archive.json.gz"),
    ],
    ids=lambda words: words[-2].strip("-"),
)
def test_nothing_is_written_into_a_folder_that_could_not_be_read_with_it(
    bench: Bench, words: tuple[str, ...]
) -> None:
    refused(bench.run(*words), 2, f"{words[-2]} {words[-1]}: this is inside the folder tree")
    hidden = words[-1].replace("tree/", "tree/.").replace(".function/", "function/.")
    assert bench.run(*words[:-1], hidden).returncode == 0
    assert bench.run("verify", "tree").returncode == 0


def test_what_is_no_folder_of_unpack_is_refused_by_its_name(bench: Bench) -> None:
    (bench.folder / "mine").mkdir()
    (bench.folder / "mine" / "thesis.txt").write_text("mine")
    refused(bench.run("restore", "./mine", "--yes"), 5, "manifest.json is missing", "mine")
    refused(
        bench.run("diff", "mine"),
        2,
        "'mine' is not a snapshot",
        "the folder mine was not written by `unpack`",
    )
    for path in (".", "..", "mine/"):
        refused(bench.run("restore", path), 5, "manifest.json is missing; give a folder that `unpack` wrote")
    refused(bench.run("unpack", "tree", "copy"), 2, "tree is already a folder; unpack takes an archive")
    (bench.folder / "half").mkdir()
    for name in ("run.json", "options.json"):
        shutil.copy(bench.folder / "tree" / name, bench.folder / "half")
    refused(bench.run("verify", "half"), 5, "half: manifest.json is missing")


def test_a_dangling_reference_of_the_console_itself_is_no_mistake_of_the_folder(bench: Bench) -> None:
    bench.state.objects["hook-0001"].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert bench.run("restore", "tree", "--dry-run").returncode == 0


# -- Git -------------------------------------------------------------------------------


class Git:
    """A repository in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self("init", "-q")

    def __call__(self, *arguments: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@t.example")
        done = subprocess.run(
            ["git", *identity, *arguments], cwd=self.folder, capture_output=True, text=True, check=True, timeout=60,
            env={"PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "GIT_CONFIG_NOSYSTEM": "1"},
        )  # fmt: skip
        return done.stdout

    def commit(self) -> None:
        self("add", "-A")
        self("commit", "-q", "-m", "x")

    def changed(self) -> set[str]:
        self("add", "-A")
        return {line[3:] for line in self("status", "--porcelain").splitlines()}


@pytest.fixture
def git(bench: Bench) -> Git:
    made = Git(bench.folder / "tree")
    made.commit()
    return made


@GIT
def test_a_time_alone_makes_no_commit(bench: Bench, git: Git) -> None:
    for row in (*bench.state.objects.values(), *bench.state.links.values(), *bench.state.builders.values()):
        row.updated_at = row.created_at = "2027-01-01T00:00:00.000Z"
    bench.state.workspaces[STAGING].updated_at = "2027-01-01T00:00:00.000Z"
    bench.an_hour_passes()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()


@GIT
def test_a_file_keeps_its_name_over_a_new_id_and_changes_it_with_the_name(bench: Bench, git: Git) -> None:
    path = file(bench, "function/only-known-users-*.json")
    delete(bench.state, "filter-0001")
    done = bench.run("restore", "latest", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    changed = git.changed()
    assert all(name.startswith(("function/only-known-users", "link/", "run.json")) for name in changed), (
        changed
    )
    assert path.exists()
    assert json.loads(path.read_text())["id"] != "filter-0001"
    stat = git("diff", "--cached", "--stat", "--", "function")
    assert "1 file changed, 2 insertions(+), 2 deletions(-)" in stat  # its id, and when it was made
    git.commit()
    bench.state.objects[json.loads(path.read_text())["id"]].config["name"] = "Renamed"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not path.exists()
    assert bench.run("pack", "tree").returncode == 0
    bench.state.objects[json.loads(file(bench, "function/renamed-*.json").read_text())["id"]].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert list((bench.folder / "tree" / "function").glob("renamed-*")) == []


@GIT
def test_a_file_that_somebody_added_keeps_its_name_once_it_was_applied(bench: Bench, git: Git) -> None:
    add("function/new.json", '{"id": "new-function", "name": "New", "code": {"$file": "new.js"}}')(bench)
    add("function/new.js", "// new")(bench)
    git.commit()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()  # it is not applied yet, and nothing takes it away
    done = bench.run("restore", "tree", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.state.objects["new-function"].config["code"] == "// new"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() <= {"function/new.json", "run.json"}
    git.commit()
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert git.changed() == set()
    bench.state.objects["new-function"].deleted = True
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not (bench.folder / "tree" / "function" / "new.json").exists()
    assert not (bench.folder / "tree" / "function" / "new.js").exists()


@GIT
def test_a_file_whose_id_was_taken_and_one_of_a_connection_become_those_of_what_was_made(
    bench: Bench, git: Git
) -> None:
    bench.state.add_object(STAGING, "function", "taken", {"name": "Gone", "code": "x"})
    bench.state.objects["taken"].deleted = True
    add("function/new.json", '{"id": "taken", "name": "New", "code": "// new"}')(bench)
    link = {"id": "mine", "fromId": "server-0001", "toId": "lake-0001", "data": {"mode": "batch"}}
    add("link/mine.json", json.dumps(link))(bench)
    done = bench.run("restore", "tree", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert json.loads(file(bench, "function/new.json").read_text())["id"] != "taken"
    assert not (bench.folder / "tree" / "link" / "mine.json").exists()
    assert json.loads(file(bench, "link/backend-events--bigquery-*.json").read_text())["id"] != "mine"
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert {action["action"] for action in plan["actions"]} == {"unchanged"}


@GIT
def test_a_file_under_a_name_that_does_not_fit_moves_to_one_that_does(bench: Bench, git: Git) -> None:
    add("stream/My Stream.json", '{"id": "new-stream", "name": "New"}')(bench)
    assert bench.run("restore", "tree", "--yes").returncode == 0
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    assert not (bench.folder / "tree" / "stream" / "My Stream.json").exists()
    assert json.loads(file(bench, "stream/new-*.json").read_text())["id"] == "new-stream"
    assert bench.run("pack", "tree").returncode == 0


@GIT
def test_a_branch_with_an_edit_merges_with_what_was_unpacked_meanwhile(bench: Bench, git: Git) -> None:
    git("checkout", "-q", "-b", "edit")
    an_edit(bench)
    git.commit()
    git("checkout", "-q", "-")
    bench.state.objects["lake-0001"].config["project"] = "of-a-colleague"
    assert bench.run("backup", "acme-staging", "--unpack", "tree").returncode == 0
    git.commit()
    git("merge", "-q", "edit", "-m", "merged")
    plan = planned(bench.run("--json", "restore", "tree", "--dry-run"))
    assert [(a["name"], a["action"]) for a in plan["actions"] if a["action"] != "unchanged"] == [
        ("Enrich", "update")
    ]


@GIT
def test_the_flow_on_the_page_runs_as_written(bench: Bench) -> None:
    page = (Path(__file__).parents[1] / "docs" / "git.md").read_text(encoding="utf-8")
    section = page.split("## How do I edit a workspace as files?\n")[1].split("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    author = {
        f"GIT_{who}_{what}": "t@t.example" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = {**bench.env, **author, "PATH": path, "HOME": str(bench.folder), "GIT_CONFIG_NOSYSTEM": "1"}
    told = []
    for block in blocks:
        done = subprocess.run(
            ["sh", "-e", "-c", block], env=env, cwd=bench.folder, capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        told.append(done.stdout)
    assert "edited: true" in told[-1]
    assert "edited: true" in enriched(bench)
    assert bench.state.objects["anonymize"].config["name"] == "Anonymize"
    again = bench.run("restore", "workspace", "--yes")
    assert again.returncode == 0
