"""What `backup --if-changed` says of a workspace that was asked about: text, JSON, log, figures and monitor."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from jitsu_backup.sandbox import Sandbox, default_state, example_workspace, running
from jitsu_backup.store.control import READING
from tests.asking.kit import long_ago
from tests.support import STAGING
from tests.unattended.workbench import Bench, monitor, samples


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    state = default_state()
    example_workspace(state, STAGING)
    long_ago(state)
    sandbox = Sandbox(state, rate_limit=False)
    with running(sandbox) as url:
        yield Bench(sandbox.state, url, tmp_path)


def test_it_is_unchanged_and_said_to_be_asked_about(bench: Bench) -> None:
    first = bench.run("backup", "acme-staging", "--if-changed")
    assert first.returncode == 0
    assert "asked" not in first.stdout
    again = bench.run("backup", "acme-staging", "--if-changed")
    assert again.returncode == 0
    (archive,) = bench.archives
    assert f"acme-staging: {archive.total} entities, unchanged since " in again.stdout
    every = bench.run("backup", "--all", "--if-changed")
    assert "2 workspaces: 1 backed up, 1 unchanged" in every.stdout


def test_the_document_the_log_and_the_monitor_count_it_as_unchanged(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--if-changed")
    (archive,) = bench.archives
    told = json.loads(bench.run("--json", "backup", "acme-staging", "--if-changed").stdout)
    (document,) = told["snapshots"]
    assert (document["asked"], document["written"], document["id"]) == (True, False, archive.digest_prefix)
    assert document["source"]["workspace_id"] == STAGING
    assert document["complete"]
    with monitor() as (url, pings):
        log = bench.run(
            "backup", "acme-staging", "--if-changed", "--log-format", "json", "--ping", url
        ).stderr
    line = json.loads(log)
    assert line["exit_code"] == 0
    assert line["workspaces"][0]["asked"]
    assert pings[1][1] == "exit code 0: 1 workspace: 1 unchanged"


def test_the_figures_say_that_it_was_looked_at_and_keep_what_is_known_of_it(bench: Bench) -> None:
    metrics = ("--metrics", "backups.prom")
    bench.run("backup", "acme-staging", "--if-changed", *metrics)
    path = bench.folder / "backups.prom"
    before = {(one.name, *sorted(one.labels.items())): one.value for one in samples(path)}
    bench.run("backup", "acme-staging", "--if-changed", *metrics)
    after = {(one.name, *sorted(one.labels.items())): one.value for one in samples(path)}
    assert after.keys() == before.keys()
    later = {name[0] for name, value in after.items() if value > before[name]}
    assert later >= {
        "jitsu_backup_last_read_timestamp_seconds", "jitsu_backup_last_success_timestamp_seconds",
        "jitsu_backup_last_run_timestamp_seconds",
    }  # fmt: skip
    same = [name for name in after if name[0] in ("jitsu_backup_entities", "jitsu_backup_archive_bytes")]
    assert [after[name] for name in same] == [before[name] for name in same]


@pytest.mark.parametrize("flags", [("--full-every", "0"), ("--unpack", "folder"), ("--accept-shrink",)])
def test_who_wants_all_of_it_gets_it_read(bench: Bench, flags: tuple[str, ...]) -> None:
    for _ in range(2):
        done = bench.run("backup", "acme-staging", "--if-changed", *flags)
        assert done.returncode == 0
        assert "asked" not in done.stdout


def test_old_archives_of_it_are_pruned_all_the_same(bench: Bench) -> None:
    bench.run("backup", "acme-staging", "--if-changed")
    bench.an_hour_passes()
    row = next(bench.state.live_objects(STAGING, "function"))
    row.config["code"], row.updated_at = "export default 2", "2026-01-01T00:00:01.000Z"
    bench.run("backup", "acme-staging", "--if-changed")
    assert len(bench.archives) == 2
    done = bench.run("backup", "acme-staging", "--if-changed", "--prune", "--keep-last", "1")
    assert "1 workspace: 1 unchanged; 1 old archive removed" in done.stdout
    assert len(bench.archives) == 1


def test_without_if_changed_nothing_is_asked_or_remembered(bench: Bench) -> None:
    bench.run("backup", "acme-staging")
    assert not [p for p in (bench.folder / "jitsu-backups").iterdir() if READING.fullmatch(p.name)]
