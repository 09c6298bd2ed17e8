"""A shrink alarm stays open until it is settled, whatever time passes and whatever is pruned."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from jitsu_backup.sandbox import Generation
from tests.support import STAGING
from tests.unattended.workbench import Bench


def days_pass(bench: Bench, days: float) -> None:
    folder = bench.folder / "jitsu-backups"
    for archive in bench.archives:
        (folder / str(archive)).rename(
            folder / str(replace(archive, taken_at=archive.taken_at - timedelta(days=days)))
        )


def functions(bench: Bench, number: int) -> None:
    """Let there be so many functions of ours, beside those of the example."""
    for row in list(bench.state.live_objects(STAGING, "function")):
        if row.id.startswith("many-"):
            row.deleted = True
    for n in range(number):
        bench.state.add_object(STAGING, "function", f"many-{number}-{n}", {"name": f"F{n}", "code": "x"})


def code(bench: Bench, *more: str) -> int:
    done: Any = bench.run("backup", "acme-staging", *more)
    return int(done.returncode)


def test_an_alarm_outlives_the_window_that_set_it_off(bench: Bench) -> None:
    functions(bench, 27)
    assert code(bench) == 0
    days_pass(bench, 1)
    functions(bench, 14)
    assert code(bench) == 0
    days_pass(bench, 1)
    functions(bench, 8)
    assert code(bench) == 3
    for _ in range(5):
        days_pass(bench, 3)
        assert code(bench) == 3
    assert code(bench, "--accept-shrink") == 0
    days_pass(bench, 1)
    assert code(bench) == 0


@pytest.mark.parametrize("policy", ["--keep-daily=3", "--keep-last=1"])
def test_what_an_open_alarm_compares_with_is_never_pruned(bench: Bench, policy: str) -> None:
    functions(bench, 27)
    assert code(bench) == 0
    days_pass(bench, 0.2)
    functions(bench, 14)
    assert code(bench) == 0
    days_pass(bench, 0.2)
    functions(bench, 8)
    assert code(bench) == 3
    for _ in range(6):
        days_pass(bench, 1.5)
        assert bench.run("prune", policy).returncode == 0
        assert code(bench) == 3
    assert max(archive.counts["function"] for archive in bench.archives) >= 27


def test_a_state_that_stood_unchanged_since_before_the_window_counts(bench: Bench) -> None:
    functions(bench, 27)
    assert code(bench, "--if-changed") == 0
    days_pass(bench, 20)
    assert code(bench, "--if-changed") == 0  # unchanged
    functions(bench, 14)
    assert code(bench, "--if-changed") == 0
    days_pass(bench, 0.04)
    functions(bench, 8)
    assert code(bench, "--if-changed") == 3


def test_what_was_accepted_stays_accepted_when_its_neighbours_are_pruned(bench: Bench) -> None:
    functions(bench, 27)
    assert code(bench) == 0
    days_pass(bench, 0.1)
    functions(bench, 4)
    assert code(bench, "--accept-shrink") == 0
    for _ in range(3):
        days_pass(bench, 0.6)
        bench.run("prune", "--keep-daily", "14")
        assert code(bench) == 0


def test_what_a_restore_deleted_on_purpose_is_no_alarm_but_what_goes_besides_is(bench: Bench) -> None:
    assert code(bench) == 0
    functions(bench, 27)
    assert code(bench) == 0
    first = bench.archives[0]
    done = bench.run("restore", str(first), "--prune", "--accept-shrink", "--yes")
    assert done.returncode == 0, done.stderr
    assert code(bench, "--if-changed") == 0
    assert bench.archives[-1].marks == ()
    bench.forget("destination", 1)
    assert code(bench) == 3


def test_cursors_that_are_gone_with_every_newer_type_are_missing(bench: Bench) -> None:
    state = bench.state
    for row in list(state.objects.values()):
        if row.type not in ("stream", "destination", "function", "service"):
            row.deleted = True
    for builder in state.builders.values():
        builder.deleted = True
    assert code(bench) == 0
    state.generation = Generation.OCTOBER_2024
    done = bench.run("backup", "acme-staging")
    assert done.returncode == 3, done.stderr
    assert "sync-cursor could not be read" in done.stderr
    assert code(bench, "--accept-shrink") == 0
