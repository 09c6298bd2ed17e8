"""A folder of `unpack` on the command line, wherever a snapshot goes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import PRODUCTION, cli
from tests.test_bad_input import refused
from tests.unattended.workbench import Bench
from tests.unpacked import an_edit, edit, enriched, file, planned, unpacked


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with unpacked(tmp_path) as made:
        yield made


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
