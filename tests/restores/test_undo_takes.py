"""`undo --take`: it settles what the run and others both changed, and takes back nothing that others alone changed."""

from collections.abc import Callable
from typing import Any

import pytest

from jitsu_backup.sandbox import Sandbox
from tests.restores.kit import delete
from tests.restores.test_undo import planned
from tests.support import STAGING
from tests.test_bad_input import refused

Shell = Callable[..., Any]

COLLEAGUE = "// of a colleague\nexport default async e => e"


@pytest.fixture
def both(shell: Shell, sandbox: Sandbox) -> Shell:
    """A workspace in which a restore changed the code of a function, and a colleague after it: there is a conflict."""
    shell("backup", "acme-staging")
    sandbox.state.objects["enrich-0001"].config["code"] = "of today"
    assert shell("restore", "latest", "--yes").returncode == 0
    sandbox.state.objects["enrich-0001"].config["code"] = COLLEAGUE
    return shell


@pytest.mark.parametrize("take", ["source", "source:function/*", "source:function/Enrich", "source:*"])
def test_taking_the_state_of_before_settles_a_conflict_and_keeps_what_others_alone_changed(
    both: Shell, sandbox: Sandbox, take: str
) -> None:
    objects = sandbox.state.objects
    objects["enrich-0001"].config["name"] = "Enrich of a colleague"
    objects["filter-0001"].config["code"] = COLLEAGUE
    objects["web-0001"].config["name"] = "Web of a colleague"
    objects["lake-0001"].config["project"] = "of-a-colleague"
    refused(both("undo", "--yes"), 7, "code changed in the run being undone, and again since")
    done = both("undo", "--yes", "--take", take)
    assert done.returncode == 0, done.stdout + done.stderr
    assert objects["enrich-0001"].config["code"] == "of today"
    assert objects["enrich-0001"].config["name"] == "Enrich of a colleague"
    assert objects["filter-0001"].config["code"] == COLLEAGUE
    assert objects["web-0001"].config["name"] == "Web of a colleague"
    assert objects["lake-0001"].config["project"] == "of-a-colleague"


def test_what_others_alone_deleted_stays_deleted_unless_it_is_named(both: Shell, sandbox: Sandbox) -> None:
    delete(sandbox.state, "lake-0001", cascade=True)
    kept = planned(both("--json", "undo", "--dry-run", "--take", "source"))
    assert (kept["destination", "BigQuery"], kept["function", "Enrich"]) == ("skipped", "update")
    named = planned(
        both(
            "--json",
            "undo",
            "--dry-run",
            "--take",
            "source:destination/BigQuery",
            "--take",
            "source:function/*",
        )
    )
    assert named["destination", "BigQuery"] == "create"


def test_what_the_run_changed_and_others_deleted_is_recreated_where_the_state_of_before_is_taken(
    both: Shell, sandbox: Sandbox
) -> None:
    delete(sandbox.state, "enrich-0001", cascade=True)
    assert planned(both("--json", "undo", "--dry-run"))["function", "Enrich"] == "skipped"
    assert planned(both("--json", "undo", "--dry-run", "--take", "source"))["function", "Enrich"] == "create"


def test_a_workspace_that_others_emptied_since_says_how_to_make_it_again(
    both: Shell, sandbox: Sandbox
) -> None:
    for row in [*sandbox.state.live_objects(STAGING, "destination")]:
        delete(sandbox.state, row.id, cascade=True)
    blocked = both("undo", "--yes", "--take", "source:function/Enrich")
    refused(blocked, 7, "re-create them with --take='source:*', or leave them deleted with --take=target")
    done = both("undo", "--dry-run", "--take", "source:*")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "create" in done.stdout
