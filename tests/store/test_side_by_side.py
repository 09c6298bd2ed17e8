"""Backups and a prune of one store at the same time: nothing is lost, and nobody fails for it."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from jitsu_backup.sandbox import Sandbox, State, default_state, example_workspace, running
from tests.support import OWNER, PRODUCTION, STAGING, cli


def test_two_backups_and_a_prune_at_once_lose_nothing_and_all_end_well(tmp_path: Path) -> None:
    state: State = default_state()
    for workspace in (STAGING, PRODUCTION):
        example_workspace(state, workspace)
    with running(Sandbox(state, rate_limit=False)) as url, ThreadPoolExecutor(4) as pool:
        env = {"JITSU_HOST": url, "JITSU_APIKEY": OWNER}

        def ask(*arguments: str) -> Any:
            return cli(*arguments, env=env, cwd=tmp_path)

        for _ in range(3):
            assert ask("backup", "acme-staging", "acme-production").returncode == 0
        for number in range(4):
            state.objects["enrich-0001"].config["code"] = f"round {number}"
            jobs = [
                pool.submit(ask, "backup", "acme-staging"),
                pool.submit(ask, "backup", "acme-staging", "acme-production"),
                pool.submit(ask, "prune", "--keep-last", "2"),
            ]
            ended = [job.result() for job in jobs]
            assert [done.returncode for done in ended] == [0, 0, 0], [done.stderr for done in ended]
            newest = ask("--json", "show", "acme-staging/latest", "function/enrich-0001")
            assert f"round {number}" in newest.stdout
        assert ask("verify", "--all").returncode == 0
        assert ask("prune", "--keep-last", "1").returncode == 0
        left = json.loads(ask("--json", "snapshots").stdout)["snapshots"]
    assert {line["archive"].partition(".")[0] for line in left} == {"acme-staging", "acme-production"}
    assert [path.name for path in (tmp_path / "jitsu-backups").iterdir() if path.name.startswith(".")] == []
