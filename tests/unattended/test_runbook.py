"""The runbook leads to what was lost, and back to it, with the id that the alert names."""

import re
import shlex

from tests.test_guides import blocks_of, read
from tests.unattended.workbench import Bench

NAMED = "acme-staging/705442c27e39"
"""The archive of the alert that the runbook shows."""


def test_the_entry_for_shrunk_finds_what_went_though_each_run_writes_another_shrunk_archive(
    bench: Bench,
) -> None:
    bench.run("backup", "acme-staging")
    bench.forget("stream", 0)
    for _ in range(2):
        alert = bench.run("backup", "acme-staging")
        assert alert.returncode == 3
    good = re.search(r"acme-staging/[0-9a-f]{12}", alert.stderr)
    assert good
    (block,) = [lines for _, lines in blocks_of(read("runbook.md")) if NAMED in lines]
    commands = [
        shlex.split(line)[1:] for line in block.replace(NAMED, good[0]).splitlines() if "history" not in line
    ]
    difference, plan = (bench.run(*command) for command in commands)
    assert "- removed  stream" in difference.stdout
    assert (plan.returncode, "+ create" in plan.stdout) == (0, True), plan.stdout + plan.stderr
